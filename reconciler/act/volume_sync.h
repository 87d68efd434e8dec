/* What libvirt wrote into a volume, it leaves to the host's kernel to write to the disk some time (qemu-img convert, an upload).
 * Before older content is given up for it, or it is called whole, that is waited for: else a power cut could take both.
 *
 * Where the file is this host's and certain to be the one that libvirt tells of (volume_file_open), by fsync of it and of its
 * directory. Elsewhere libvirt has no call for it; but growing a qcow2 image by nothing lets qemu-img write its size once more,
 * and wait for all of the file (block/qcow2.c: qcow2_co_truncate). It is asked only of what is known to be such an image: in a
 * raw one, its guest may have written a header that names files of the host. Raw images of other hosts, and devices, are left to the kernel there. */
#pragma once
#include "reconciler/act/common.h"

/* FALSE only where it couldn't be written. `format`: what it is for certain; NULL: not known, or not even its header may be written again. */
gboolean volume_sync(virStorageVolPtr volume, const char *format, GError **error);
/* Of a pool's volume, which libvirt has seen. */
gboolean volume_sync_named(virStoragePoolPtr pool, const char *name, const char *format, GError **error);
