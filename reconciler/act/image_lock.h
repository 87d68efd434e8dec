/* QEMU's locks on image files, taken without a QEMU.
 *
 * QEMU locks single bytes of each file that it opens (block/file-posix.c: open file description locks, in use since 2.10
 * by all that share a file): 100 + n says "I use permission n", 200 + n "I let nobody have it", both as shared locks; who
 * opens the file then looks whether anybody's are against that. With the bytes of a reader who lets nobody write, a
 * machine can't be started on the disk, as with a QEMU that has it read-only, but without the time that one takes to begin and end.
 *
 * Only where that is certain to be the same: each layer is a regular file of this host, and the one that libvirt tells
 * of (volume_file_open). Locks end with the process, at the latest. */
#pragma once
#include "reconciler/act/layer_guard.h"

typedef struct ImageLocks ImageLocks;
/* Locks all layers of the disk. FALSE with error: somebody writes to one of them. TRUE and *ret_locks NULL: it can't
 * be done here. */
gboolean image_locks_take(const DiskLayers *layers, ImageLocks **ret_locks, GError **error);
void image_locks_free(ImageLocks *locks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageLocks, image_locks_free)

/* What others do with a file, by their locks: nobody has it open, somebody has, somebody writes to it. */
typedef enum { IMAGE_UNKNOWN, IMAGE_CLOSED, IMAGE_OPEN, IMAGE_WRITTEN } ImageUse;
/* Of the file that libvirt tells of, and of one that its backing file is (which changes all the time, where it is written to). */
ImageUse image_use(virStorageVolPtr volume);
ImageUse image_use_of_backing(virStorageVolPtr volume);
