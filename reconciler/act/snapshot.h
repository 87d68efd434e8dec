/* Snapshots: taken for the actions, and for what else needs one (a revert keeps the present first). */
#pragma once
#include "reconciler/act/common.h"
#include "state/actual.h"

typedef struct {
  const char *name;
  const char *description; /* NULL: none */
  char **disks;            /* targets; NULL: all that the guest can write, see reconciler/plan/snapshot_rules.h */
  gboolean memory;         /* of a running machine; an internal one of a running machine always has it */
  Quiesce quiesce;
  SnapshotMode mode;
  SnapshotOrigin origin;
} SnapshotWanted;

/* Takes a snapshot of a machine of ours, running or not: all disks at one moment, or nothing. Notes in the
 * record that it was begun, and how consistent it is when it is done. When it is there already and ours (an
 * earlier run was interrupted), that is completed. */
gboolean snapshot_take(const ActionContext *context, const Action *action, virDomainPtr domain, const SnapshotWanted *wanted,
                       Consistency *ret_consistency, GError **error);

/* Our record of a snapshot: that it is begun, and makes these files, none of which is there; and that it was taken. */
gboolean snapshot_note_begun(virDomainPtr domain, const ActualSnapshot *snapshot, SnapshotOrigin origin, GError **error);
gboolean snapshot_note(virDomainPtr domain, const char *name, SnapshotOrigin origin, Consistency consistency, GError **error);
gboolean snapshot_forget(virDomainPtr domain, const char *name, GError **error);
/* NULL without error: there is none of this name. */
gboolean snapshot_find(virDomainPtr domain, const char *name, virDomainSnapshotPtr *ret_snapshot, GError **error);

typedef virDomainSnapshot VirDomainSnapshot;
static inline void vir_snapshot_release(virDomainSnapshotPtr p) { if (p) virDomainSnapshotFree(p); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirDomainSnapshot, vir_snapshot_release)
