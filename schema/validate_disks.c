/* Rules for disks: images, I/O threads and exports that there are. */
#include "schema/validate.h"

static void check_thread(const Check *check, const VmSpec *vm, const DiskSpec *disk) {
  if (!check->adopt && given(disk, DiskSpec, ioThread) && disk->ioThread > vm->ioThreads)
    check_error(check, "ioThread", "there is no I/O thread %" G_GINT64_FORMAT ": ioThreads is %" G_GINT64_FORMAT, disk->ioThread,
                vm->ioThreads);
}

static void check_exports(const Check *outer, const VmSpec *vm) {
  for (guint i = 0; vm->exports && i < vm->exports->len; i++) {
    const ExportSpec *export = vm->exports->pdata[i];
    const Check check = check_item(outer, "exports", export->name);
    const DiskSpec *disk = vm_disk(vm, export->disk);
    if (!disk && !outer->adopt)
      check_error(&check, "disk", "the machine has no disk %s", export->disk);
    else if (disk && disk_is_drive(disk))
      check_error(&check, "disk", "%s is a %s: only disks are exported", export->disk, DiskDevice_words.words[disk->device]);
  }
}

void validate_disks(const Check *outer) {
  const VmSpec *vm = object_vm(outer->object);
  check_exports(outer, vm);
  for (guint i = 0; vm->disks && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    const Check check = check_item(outer, "disks", disk->target);
    if (given(disk, DiskSpec, image) && !(disk_is_drive(disk) && disk->device == DiskDevice_floppy))
      check_reference(&check, "image", KIND_IMAGE, disk->image);
    validate_disk_kind(&check, vm, disk);
    check_thread(&check, vm, disk);
  }
}
