/* A file's content into a volume. */
#pragma once
#include "reconciler/act/common.h"

/* Sends the first `bytes` of the file, holes as holes, with progress. ret_sha256: digest of what was sent; NULL: not
 * wanted, and then holes of the file aren't even read. Aborts cleanly when cancelled; the volume is half-written then. */
gboolean upload_file(const ActionContext *context, const Action *action, virStorageVolPtr volume, int fd,
                     guint64 bytes, char **ret_sha256 /* may be NULL */, GError **error);
