/* Base volumes must stay what they were when machines were built on them. */
#pragma once
#include "reconciler/act/volume.h"

/* Refuses when a base that the action's argument `bases` names (paths, one a line; may be missing) has
 * another content than its name says. The content is read once; after that the size and time of change
 * that the journal remembers tell that it is the same. */
gboolean bases_check(const ActionContext *context, const Action *action, GError **error);
/* The same of one base, on the context's host. */
gboolean base_check(const ActionContext *context, const Action *action, const char *path, GError **error);
/* The digest of a volume's file as it is, read once and remembered as for bases. NULL with error. */
char *volume_digest(const ActionContext *context, const Action *action, virStorageVolPtr volume, GError **error);
/* After an import: the volume's content is known to have this digest. Best effort. */
void base_remember(const ActionContext *context, virStorageVolPtr volume, const char *sha256);
/* Takes the right to write away, where the file is on this host and ours to change. Best effort. */
void base_protect(virStorageVolPtr volume, guint64 bytes);
