/* A compressed copy of a disk's content. libvirt has no call for it: the content is brought to where this program runs,
 * compressed there by qemu-img, compared, and sent back. */
#pragma once
#include "reconciler/act/common.h"

/* Whether it can be done here at all. */
gboolean compress_check(GError **error);
/* `plain` is a raw volume; `name` is made anew in the pool, as qcow2 with each cluster compressed by `method`
 * ("gzip": deflate, or "zstd"), and read back. On failure a part of it may be left. */
gboolean compress_volume(const ActionContext *context, const Action *action, virStorageVolPtr plain, const char *method, virStoragePoolPtr pool,
                         const char *name, GError **error);
