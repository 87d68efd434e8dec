/* Rules for disks: one source each, a bus that fits the target, limits that go together. */
#include "schema/validate.h"
#include <string.h>

static gboolean is_drive(const DiskSpec *disk) { return given(disk, DiskSpec, device) && disk->device != DiskDevice_disk; }

/* An image in a drive is used as it is. */
static void check_medium(const Check *check, const DiskSpec *disk) {
  if (!given(disk, DiskSpec, image) || !is_drive(disk))
    return;
  if (given(disk, DiskSpec, size))
    check_error(check, "size", "a cdrom has the size of its image");
  if (given(disk, DiskSpec, provision))
    check_error(check, "provision", "a cdrom reads its image itself: there is no overlay or copy");
  if (given(disk, DiskSpec, pool))
    check_error(check, "pool", "a cdrom reads its image where that is: give the pool to the Image");
  if (given(disk, DiskSpec, format) && disk->format != Format_raw)
    check_error(check, "format", "what a cdrom reads is raw");
}

static void check_source(const Check *check, const DiskSpec *disk) {
  gboolean image = given(disk, DiskSpec, image), volume = given(disk, DiskSpec, volume), path = given(disk, DiskSpec, path);
  if (image + volume + path > 1)
    check_error(check, path ? "path" : "volume", "a disk has one source: image, volume or path");
  else if (!image && !volume && !path && !is_drive(disk) && !given(disk, DiskSpec, size) && !check->adopt)
    check_error(check, "target", "a disk needs a size, or a source: image, volume or path");
  if (image && is_drive(disk) && disk->device != DiskDevice_cdrom)
    check_error(check, "image", "images are read-only, and a %s is written to: give a path or a volume", DiskDevice_words.words[disk->device]);
  else if (image)
    check_reference(check, "image", KIND_IMAGE, disk->image);
  check_medium(check, disk);
  if (given(disk, DiskSpec, pool) && path)
    check_error(check, "pool", "a path is used as it is: remove the pool, or name a volume of it");
  if (given(disk, DiskSpec, provision) && !image && !check->adopt)
    check_error(check, "provision", "provision says how a disk is made from an image: give the image, or remove it");
  if (image && disk->provision == Provision_overlay && given(disk, DiskSpec, format) && disk->format == Format_raw)
    check_error(check, "format", "an overlay can't be raw: use qcow2, or provision: copy");
}

/* Which buses the first letters of a target stand for. */
static gboolean bus_fits(const char *target, int bus) {
  switch (*target) {
  case 'v':
    return bus == DiskBus_virtio;
  case 'h':
    return bus == DiskBus_ide;
  case 's':
    return bus == DiskBus_scsi || bus == DiskBus_sata || bus == DiskBus_usb;
  case 'f':
    return bus == DiskBus_fdc;
  default:
    return FALSE;
  }
}

static void check_bus(const Check *check, const DiskSpec *disk) {
  if (check->adopt) /* libvirt lets names and buses differ, so existing machines may */
    return;
  if (*disk->target == 'x') {
    check_error(check, "target", "%s is a Xen disk: use vda, sda, hda or fda and on", disk->target);
    return;
  }
  if (given(disk, DiskSpec, bus) && !bus_fits(disk->target, disk->bus))
    check_error(check, "bus", "%s isn't on a %s bus: vd* is virtio, hd* ide, sd* scsi, sata or usb, fd* fdc", disk->target,
                DiskBus_words.words[disk->bus]);
  int device = given(disk, DiskSpec, device) ? disk->device : DiskDevice_disk;
  if (device == DiskDevice_cdrom && (*disk->target == 'v' || *disk->target == 'f'))
    check_error(check, "target", "a cdrom can't be %s: use sda or hda and on", disk->target);
  if ((device == DiskDevice_floppy) != (*disk->target == 'f'))
    check_error(check, "target", "a floppy is fda or fdb, and only a floppy is: %s", disk->target);
}

static void check_both(const Check *check, const char *total_path, gboolean total, gboolean parts) {
  if (total && parts)
    check_error(check, total_path, "a limit of the total can't be combined with one of reads or writes");
}

static void check_limits(const Check *check, const IoLimitsSpec *limits) {
  check_both(check, "ioLimits.total", limits->total > 0, limits->read > 0 || limits->write > 0);
  check_both(check, "ioLimits.totalIops", limits->totalIops > 0, limits->readIops > 0 || limits->writeIops > 0);
}

static void check_driver(const Check *check, const VmSpec *vm, const DiskSpec *disk) {
  gboolean direct = given(disk, DiskSpec, cache) && (disk->cache == DiskCache_none || disk->cache == DiskCache_directsync);
  if (check->adopt)
    return;
  if (given(disk, DiskSpec, io) && disk->io == DiskIo_native && !direct)
    check_error(check, "io", "io native needs cache none or directsync");
  if (given(disk, DiskSpec, ioThread) && disk->ioThread > vm->ioThreads)
    check_error(check, "ioThread", "there is no I/O thread %" G_GINT64_FORMAT ": ioThreads is %" G_GINT64_FORMAT, disk->ioThread,
                vm->ioThreads);
  if (given(disk, DiskSpec, readOnly) && !disk->readOnly && is_drive(disk) && disk->device == DiskDevice_cdrom)
    check_error(check, "readOnly", "a cdrom is always read-only");
}

static void check_exports(const Check *outer, const VmSpec *vm) {
  for (guint i = 0; vm->exports && i < vm->exports->len; i++) {
    const ExportSpec *export = vm->exports->pdata[i];
    const Check check = check_item(outer, "exports", export->name);
    const DiskSpec *disk = vm->disks ? list_find(&DiskSpec_table, vm->disks, &DiskSpec_table.fields[DiskSpec_target], export->disk) : NULL;
    if (!disk && !outer->adopt)
      check_error(&check, "disk", "the machine has no disk %s", export->disk);
    else if (disk && is_drive(disk))
      check_error(&check, "disk", "%s is a %s: only disks are exported", export->disk, DiskDevice_words.words[disk->device]);
    if (given(export, ExportSpec, compress) && export->compress != Compression_none && given(export, ExportSpec, format) &&
        export->format != Format_qcow2)
      check_error(&check, "compress", "only qcow2 is compressed within: leave out format");
  }
}

void validate_disks(const Check *outer) {
  const VmSpec *vm = object_vm(outer->object);
  check_exports(outer, vm);
  for (guint i = 0; vm->disks && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    const Check check = check_item(outer, "disks", disk->target);
    check_source(&check, disk);
    check_bus(&check, disk);
    validate_disk_kind(&check, vm, disk);
    check_driver(&check, vm, disk);
    check_limits(&check, &disk->ioLimits);
  }
}
