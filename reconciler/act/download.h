/* A volume's content, read through libvirt. */
#pragma once
#include "reconciler/act/common.h"

/* The SHA-256 digest of the volume's file as it is. `total` and `phase` are for progress. NULL with error. */
char *download_digest(const ActionContext *context, const Action *action, virStorageVolPtr volume, guint64 total, const char *phase, GError **error);
/* What the volume holds into an empty file, holes as holes. */
gboolean download_file(const ActionContext *context, const Action *action, virStorageVolPtr volume, int fd, GError **error);
