/* What an interrupted run left of a snapshot that our record says was begun and libvirt knows nothing of. */
#pragma once
#include "reconciler/act/common.h"
#include "state/actual.h"

/* `wanted`: as it would be taken. Where the machine runs (or is defined) on all of the layers already, libvirt
 * is told again of the snapshot (ret_taken); where it is on none, all files that our record says it began to
 * make are deleted, each only when it is based on the disk as it is now and nobody has it open. Refused in any other case, and
 * while libvirt is at work on the machine. */
gboolean snapshot_settle(const ActionContext *context, virDomainPtr domain, gboolean active, const ActualSnapshot *wanted,
                         gboolean *ret_taken, GError **error);
/* The same of one that no file declares any more: what was begun shows by the files that it would have made. */
gboolean snapshot_settle_unwanted(const ActionContext *context, virDomainPtr domain, const SnapshotFactSpec *fact, gboolean *ret_taken, GError **error);
