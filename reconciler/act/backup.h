/* A disk's content at one moment, copied into a new file while the machine runs on (virDomainBackupBegin, push mode).
 * The definition isn't touched; the copy has no backing store, whatever the disk has. */
#pragma once
#include "reconciler/act/common.h"

/* Waits until it is done, with progress; aborted when the run is cancelled. The file must not exist. File systems are
 * frozen for the moment itself where an agent listens: Consistency_quiesced, else Consistency_crash. */
gboolean backup_disk(const ActionContext *context, const Action *action, virDomainPtr domain, const char *target, const char *path,
                     const char *format, Consistency *ret_consistency, GError **error);
/* Ends a backup into that file which an earlier run began, and thaws what it may have left frozen. */
gboolean backup_end(const ActionContext *context, virDomainPtr domain, const char *path, GError **error);
