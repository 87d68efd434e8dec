/* What a machine's files were when they were begun to be copied to another host, in its record: the time at which each was
 * last written, as libvirt tells it. Somebody may start the copy that was left behind until it is undefined, and what he
 * writes there is in no other. */
#pragma once
#include "reconciler/act/volume.h"

/* Notes that of the volume, which is about to be read, in the record of the machine there. */
gboolean move_note_copied(virDomainPtr domain, virStorageVolPtr volume, const char *path, GError **error);
/* An error where a file isn't what was copied any more: of those that the record tells of, where they are on the context's host.
 * paths: lines; NULL: none. */
gboolean move_check_copied(const ActionContext *there, const FactsSpec *facts, const char *paths, GError **error);
gboolean move_check_written(const FactsSpec *facts, virStorageVolPtr volume, const char *path, GError **error);
