/* Whether a machine can go back to a snapshot, and what that takes. Pure.
 *
 * An external snapshot's content is the layer beneath the one that took over when it was taken: that is never written
 * again, and a new layer is put on it. An internal one is kept within the disk's file. */
#pragma once
#include "state/volume_users.h"

typedef struct {
  const char *target;
  const char *holds, *format; /* external: the layer that the snapshot holds; NULL: internal */
  const char *pool;           /* external: of the new layer */
  char *volume;               /* its name, "VM-TARGET.REQUEST.qcow2" */
  guint64 bytes;              /* size that the snapshot holds */
  const char *top;            /* what the disk is now */
} RevertDisk;

typedef struct {
  const ActualSnapshot *snapshot;
  gboolean internal;
  GPtrArray *disks;     /* of RevertDisk * */
} RevertPlan;
void revert_plan_free(RevertPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RevertPlan, revert_plan_free)

/* NULL with *ret_error: why it can't be, and what to do. `resumed`: an earlier run began the same, so that a new layer
 * may be there. */
RevertPlan *revert_plan_new(const Actual *actual, const VolumeUsers *users, const ActualDomain *domain, const char *to,
                            const char *request, gboolean resumed, char **ret_error);
/* Targets of the disks that the guest can write and that the snapshot doesn't hold: borrowed. */
GPtrArray *revert_untouched(const ActualDomain *domain, const ActualSnapshot *snapshot);
/* Layers from a disk's top down, and of branches that were left before, that no snapshot, other disk or overlay needs once the
 * machine is back at the snapshot: paths, the top of each first. `kept`: a snapshot of the present holds what is now. */
GPtrArray *revert_abandoned(const VolumeUsers *users, const ActualDomain *domain, const RevertPlan *plan, const RevertDisk *disk, gboolean kept);
