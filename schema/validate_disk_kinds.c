/* Rules for what a disk is for: formatted when it is made, or forgetting what is written to it. */
#include "schema/validate.h"
#include "schema/value.h"

#define FILESYSTEM_LEAST (1ull << 20)
#define FILESYSTEM_MOST (8ull << 40)
#define VFAT_MOST (2ull << 40) /* 2^32 sectors */

/* Large enough for what is put on it. */
static void check_filesystem(const Check *check, const DiskSpec *disk) {
  if (!given(disk, DiskSpec, filesystem) || !given(disk, DiskSpec, size))
    return;
  guint64 most = disk->filesystem == DiskFilesystem_vfat ? VFAT_MOST : FILESYSTEM_MOST;
  if (disk->size < FILESYSTEM_LEAST || disk->size > most) {
    g_autofree char *from = bytes_format(FILESYSTEM_LEAST), *to = bytes_format(most);
    check_error(check, "size", "a disk that is formatted with %s has from %s to %s", DiskFilesystem_words.words[disk->filesystem], from, to);
  }
}

static void check_stateless(const Check *check, const VmSpec *vm, const DiskSpec *disk) {
  if (!given(disk, DiskSpec, stateless) || !disk->stateless)
    return;
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
