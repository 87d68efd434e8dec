/* Profiles: named defaults. What a machine gives itself counts; the rest comes from
 * the profile, groups field by field and list items by their key. */
#include "schema/validate.h"
#include <string.h>

/* What the profile may not give, and what the machine has chosen otherwise, isn't taken. */
static void drop_identity(VmSpec *defaults) {
  spec_unset(&VmSpec_table, defaults, table_find(&VmSpec_table, "uuid"));
  for (guint i = 0; defaults->interfaces && i < defaults->interfaces->len; i++)
    spec_unset(&InterfaceSpec_table, defaults->interfaces->pdata[i], table_find(&InterfaceSpec_table, "mac"));
}

/* Fields of which a machine's choice rules out the profile's: given one of them, the
 * profile's others aren't taken. */
static const char *const disk_sources[] = {"image", "provision", "volume", "path", NULL};
static const char *const interface_sources[] = {"network", "bridge", "direct", "directMode", "user", NULL};

static void drop_rivals(const FieldTable *table, gconstpointer mine, gpointer defaults, const char *const *rivals) {
  gboolean chosen = FALSE;
  for (guint i = 0; rivals[i]; i++)
    chosen = chosen || field_given(table, mine, table_find(table, rivals[i]));
  for (guint i = 0; chosen && rivals[i]; i++)
    spec_unset(table, defaults, table_find(table, rivals[i]));
}

static void drop_item_rivals(const FieldTable *table, const GPtrArray *mine, const GPtrArray *defaults, const char *const *rivals) {
  const Field *key = table_key_field(table);
  for (guint i = 0; mine && i < mine->len; i++) {
    g_autofree char *name = item_key(table, mine->pdata[i]);
    gpointer item = list_find(table, defaults, key, name);
    if (item)
      drop_rivals(table, mine->pdata[i], item, rivals);
  }
}

static gboolean has_boot_index(const VmSpec *vm) {
  for (guint i = 0; vm->disks && i < vm->disks->len; i++)
    if (given((const DiskSpec *)vm->disks->pdata[i], DiskSpec, bootIndex))
      return TRUE;
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++)
    if (given((const InterfaceSpec *)vm->interfaces->pdata[i], InterfaceSpec, bootIndex))
      return TRUE;
  return FALSE;
}

static void drop_boot_indexes(VmSpec *vm) {
  const Field *disk = table_find(&DiskSpec_table, "bootIndex"), *interface = table_find(&InterfaceSpec_table, "bootIndex");
  for (guint i = 0; vm->disks && i < vm->disks->len; i++)
    spec_unset(&DiskSpec_table, vm->disks->pdata[i], disk);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++)
    spec_unset(&InterfaceSpec_table, vm->interfaces->pdata[i], interface);
}

const Object *profile_apply(const Desired *desired, Object *machine, Diagnostics *diagnostics) {
  VmSpec *vm = object_vm(machine);
  if (!given(vm, VmSpec, profile))
    return NULL;
  const Object *profile = desired_find(desired, KIND_PROFILE, vm->profile);
  if (!profile) {
    const Check check = {.desired = desired, .object = machine, .diagnostics = diagnostics};
    check_reference(&check, "profile", KIND_PROFILE, vm->profile);
    return NULL;
  }
  VmSpec *defaults = spec_copy(&VmSpec_table, profile->spec);
  drop_identity(defaults);
  drop_item_rivals(&DiskSpec_table, vm->disks, defaults->disks, disk_sources);
  drop_item_rivals(&InterfaceSpec_table, vm->interfaces, defaults->interfaces, interface_sources);
  if (has_boot_index(vm))
    spec_unset(&BootSpec_table, &defaults->boot, table_find(&BootSpec_table, "order"));
  else if (given(&vm->boot, BootSpec, order))
    drop_boot_indexes(defaults);
  spec_merge(&VmSpec_table, defaults, vm);
  spec_free(&VmSpec_table, defaults);
  return profile;
}
