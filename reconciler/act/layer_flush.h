/* After a pull, QEMU's image has no backing file any more, and what was copied into it may be in QEMU's memory alone: where its
 * tables are, QEMU (7.2) keeps until the guest asks for a flush, which an idle one doesn't. If QEMU died, all that was copied
 * would be lost. No call of libvirt's asks for a flush; but QEMU flushes a disk before a snapshot puts a layer on it. So that
 * is done, without a snapshot that libvirt knows of, and the layer is merged back.
 * (block/stream.c: stream_prepare; blockdev.c: external_snapshot_prepare)
 *
 * The layer, VM-TARGET.+flush.qcow2, is named in our record (facts.disks[].flushing, and leaving) from before the pull on until
 * all of that is done (layers_remove): a next run goes on with it, or puts it away. */
#pragma once
#include "reconciler/act/layer_guard.h"

/* Where the layer goes: beside the disk, or where that is a device, beside the uppermost layer that isn't. NULL: nowhere. */
char *layer_flush_path(const DiskLayers *layers);
/* Where our record says that it is still to be done. Nothing to do: TRUE. */
gboolean layer_flush(const ActionContext *context, const Action *action, const char *target, GError **error);
