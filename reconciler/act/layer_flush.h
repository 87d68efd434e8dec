/* After a pull, QEMU's image has no backing file any more, and what was copied into it may be in QEMU's memory alone: where its
 * tables are, QEMU (7.2) keeps until the guest asks for a flush, which an idle one doesn't. If QEMU died, all that was copied
 * would be lost. No call of libvirt's asks for a flush; but QEMU flushes a disk before a snapshot puts a layer on it. So that
 * is done, without a snapshot that libvirt knows of, and the layer is merged back.
 * (block/stream.c: stream_prepare; blockdev.c: external_snapshot_prepare)
 *
 * The layer, VM-TARGET.+flush.qcow2, is named in our record (facts.disks[].flushing) from before the pull on until it is merged
 * back: a next run goes on with it. It is named as leaving too only when libvirt has told that the machine is on it (layer_merge):
 * until then libvirtd may die at the switch, and not know of it, and what the guest wrote would be in that file alone. So one that
 * isn't noted as leaving goes only when nobody has it open and nobody wrote to it (left_layer.h).
 * If QEMU has died or ended before it was flushed, what is missing is pulled once more (layer_pulled.h).
 *
 * Nothing that lay beneath the disk is deleted meanwhile (layers_remove). */
#pragma once
#include "reconciler/act/layer_guard.h"

/* Where the layer goes: beside the disk, or where that is a device, beside the uppermost layer that isn't. NULL: nowhere. */
char *layer_flush_path(const DiskLayers *layers);
/* Puts it on the disk of a machine that has these disks (ActualDisk *; NULL: only that one): then QEMU has flushed the disk. */
gboolean layer_put_on(virDomainPtr domain, const GPtrArray *disks, const char *target, const char *path, GError **error);
/* Where our record says that it is still to be done. Nothing to do, or a block job is still running: TRUE. Refused where the
 * machine may have been on the layer without libvirt's knowledge. */
gboolean layer_flush(const ActionContext *context, const Action *action, const char *target, GError **error);
/* The same for all disks that the machine has. */
gboolean layer_flush_all(const ActionContext *context, const Action *action, virDomainPtr domain, GError **error);
