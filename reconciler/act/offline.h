/* Block jobs need a QEMU. For a stopped machine one is started that never executes: a transient,
 * paused domain NAME-reconcile, of type qemu, with the one disk under its own target, and our
 * metadata saying for whom it is. It ends with the connection (VIR_DOMAIN_START_AUTODESTROY); one that
 * libvirtd's death left behind is recognised and ended by the next run. QEMU's image locks keep anybody
 * from starting the machine meanwhile, and it from starting while somebody uses the disk. */
#pragma once
#include "reconciler/act/common.h"
#include "reconciler/act/layer_guard.h"

/* What is done in the helper, where the disk has the target that it has in the machine. */
typedef gboolean (*OfflineWork)(const ActionContext *context, const Action *action, virDomainPtr helper, gconstpointer data, GError **error);

typedef struct {
  const char *target;
  const char *beneath, *format; /* what lies beneath it, whatever its file says; NULL: what that says */
} OfflineDisk;

/* Starts the helper with the disk as the machine's persistent definition has it, does the work, ends the
 * helper in any case. Refused when the machine runs or is hibernated. The definition isn't changed: when
 * the work replaced the top layer, act_point_disk does that. */
gboolean offline_run(const ActionContext *context, const Action *action, virDomainPtr machine, const OfflineDisk *disk,
                     OfflineWork work, gconstpointer data, GError **error);
/* Does the work while others may read the disk and nobody can write to it: by image_lock.h where that can be done, and
 * `helper` is NULL; else by a helper that has the disk read-only. */
gboolean offline_hold(const ActionContext *context, const Action *action, const DiskLayers *layers, OfflineWork work,
                      gconstpointer data, GError **error);
/* Ends a helper that was left behind, if there is one. A domain of its name that isn't a helper of
 * this machine is refused. */
gboolean offline_end(const ActionContext *context, virDomainPtr machine, GError **error);
