/* Empty file systems, made by the host's own tools where this program runs, never by libvirt. */
#pragma once
#include "reconciler/act/common.h"

/* A private sparse file of that size that nobody else sees and that is gone when it is closed, formatted as a whole.
 * label may be NULL. Returns its descriptor, or -1 with error. */
int mkfs_file(DiskFilesystem filesystem, const char *label, guint64 bytes, GError **error);
