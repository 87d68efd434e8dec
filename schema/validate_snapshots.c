/* Rules for snapshots: names that libvirt and the files of layers can have, disks that there are. */
#include "schema/validate.h"
#include <string.h>

#define LONGEST_FILE 255

/* "VM-TARGET.SNAPSHOT.qcow2" is a file. */
static void check_length(const Check *check, const char *path, gsize name) {
  gsize longest = strlen(check->object->metadata.name) + strlen("-vdzz.") + name + strlen(".qcow2");
  if (longest > LONGEST_FILE)
    check_error(check, path, "the file of a layer, named after machine and snapshot, would have a name longer than %d bytes: take a shorter name",
                LONGEST_FILE);
}

static void check_snapshot(const Check *check, const VmSpec *vm, const SnapshotSpec *snapshot) {
  check_length(check, "name", strlen(snapshot->name));
  for (guint i = 0; snapshot->disks && snapshot->disks[i]; i++)
    if (!check->adopt && !vm_disk(vm, snapshot->disks[i]))
      check_error(check, "disks", "the machine has no disk %s", snapshot->disks[i]);
}

void validate_snapshots(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  for (guint i = 0; vm->snapshots && i < vm->snapshots->len; i++) {
    const SnapshotSpec *snapshot = vm->snapshots->pdata[i];
    const Check item = check_item(check, "snapshots", snapshot->name);
    check_snapshot(&item, vm, snapshot);
  }
  const SnapshotPolicySpec *policy = &vm->snapshotPolicy;
  if (!given(vm, VmSpec, snapshotPolicy) || !given(policy, SnapshotPolicySpec, prefix))
    return;
  check_length(check, "snapshotPolicy.prefix", strlen(policy->prefix) + strlen("-20260102T030405Z"));
}
