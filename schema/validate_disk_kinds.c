/* Rules for what a disk is for: formatted when it is made, or forgetting what is written to it. */
#include "schema/validate.h"
#include "schema/value.h"
#include <string.h>

#define FILESYSTEM_LEAST (1ull << 20)
#define FILESYSTEM_MOST (8ull << 40)
#define VFAT_MOST (2ull << 40) /* 2^32 sectors */
#define LABEL_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static gboolean is_drive(const DiskSpec *disk) { return given(disk, DiskSpec, device) && disk->device != DiskDevice_disk; }

/* A new blank disk, large enough for what is put on it. */
static void check_filesystem(const Check *check, const DiskSpec *disk) {
  gboolean has_source = given(disk, DiskSpec, image) || given(disk, DiskSpec, volume) || given(disk, DiskSpec, path) || is_drive(disk);
  if (given(disk, DiskSpec, label) && !given(disk, DiskSpec, filesystem))
    check_error(check, "label", "a label is that of a file system: give filesystem too");
  if (!given(disk, DiskSpec, filesystem))
    return;
  guint64 most = disk->filesystem == DiskFilesystem_vfat ? VFAT_MOST : FILESYSTEM_MOST;
  if (has_source)
    check_error(check, "filesystem", "only a blank disk is formatted: give size alone, without image, volume or path");
  else if (given(disk, DiskSpec, size) && (disk->size < FILESYSTEM_LEAST || disk->size > most)) {
    g_autofree char *from = bytes_format(FILESYSTEM_LEAST), *to = bytes_format(most);
    check_error(check, "size", "a disk that is formatted with %s has from %s to %s", DiskFilesystem_words.words[disk->filesystem], from, to);
  }
  static const gsize longest[DiskFilesystem_N] = {[DiskFilesystem_ext4] = 16, [DiskFilesystem_vfat] = 11, [DiskFilesystem_swap] = 15};
  const char *label = disk->label;
  if (!given(disk, DiskSpec, label))
    return;
  if (strlen(label) > longest[disk->filesystem])
    check_error(check, "label", "a label of %s has at most %zu characters", DiskFilesystem_words.words[disk->filesystem], longest[disk->filesystem]);
  else if (!g_ascii_isalnum(*label) || label[strspn(label, LABEL_CHARACTERS)])
    check_error(check, "label", "a label has letters, digits, - and _, and begins with a letter or digit");
}

static void check_stateless(const Check *check, const VmSpec *vm, const DiskSpec *disk) {
  if (!given(disk, DiskSpec, stateless) || !disk->stateless)
    return;
  if (is_drive(disk))
    check_error(check, "stateless", "a %s isn't written to: stateless is for disks", DiskDevice_words.words[disk->device]);
  else if (given(disk, DiskSpec, readOnly) && disk->readOnly)
    check_error(check, "stateless", "a disk is either read-only or stateless: the guest writes to a stateless one, and that is dropped");
  else if (given(disk, DiskSpec, shareable) && disk->shareable)
    check_error(check, "stateless", "a stateless disk can't be shareable: each machine would drop what it wrote for itself");
  else if (given(disk, DiskSpec, path) && g_str_has_prefix(disk->path, "/dev/"))
    check_error(check, "stateless", "a block device can't be stateless: what is dropped is kept in a file beside the disk");
  if (given(vm, VmSpec, powerState) && vm->powerState == PowerState_hibernated)
    check_error(check, "stateless", "a machine with a stateless disk can't be hibernated: QEMU doesn't save what is dropped");
  for (guint i = 0; vm->snapshots && i < vm->snapshots->len; i++) {
    const SnapshotSpec *snapshot = vm->snapshots->pdata[i];
    if (snapshot->memory)
      check_error(check, "stateless", "the snapshot %s can't hold the memory of a machine with a stateless disk: QEMU doesn't save what is dropped",
                  snapshot->name);
  }
}

void validate_disk_kind(const Check *check, const VmSpec *vm, const DiskSpec *disk) {
  check_filesystem(check, disk);
  check_stateless(check, vm, disk);
}
