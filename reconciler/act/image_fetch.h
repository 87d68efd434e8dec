/* Images that are fetched: into the state directory, from where an interrupted run stopped, and held
 * against their digest before anything is made of them. */
#pragma once
#include "reconciler/act/common.h"

/* The file, to be freed; it stays until image_fetch_drop. NULL with error. */
char *image_fetch(const ActionContext *context, const Action *action, const char *url, const char *sha256, guint64 bytes,
                  GError **error);
void image_fetch_drop(const char *path);
