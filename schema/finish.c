/* From decoded objects to the desired state: order, profiles, rules. */
#include "schema/validate.h"
#include <string.h>

static int compare_objects(gconstpointer a, gconstpointer b) {
  const Object *x = *(Object *const *)a, *y = *(Object *const *)b;
  return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->metadata.name, y->metadata.name);
}

static void validate_object(const Check *check) {
  validate_rules(check);
  switch (check->object->kind) {
  case KIND_HOST:
    validate_host(check);
    break;
  case KIND_NETWORK:
    validate_network(check);
    break;
  case KIND_VOLUME:
    validate_volume(check);
    break;
  case KIND_VIRTUAL_MACHINE:
    validate_machine(check);
    validate_numa(check);
    validate_placement(check);
    validate_migration(check);
    validate_disks(check);
    validate_snapshots(check);
    validate_interfaces(check);
    validate_devices(check);
    break;
  case KIND_IMAGE:
    validate_image(check);
    break;
  case KIND_STORAGE_POOL:
  case KIND_PROFILE:
  case KIND_N:
    break;
  }
}

/* They follow from the names, so that they never change and needn't be remembered. As given they count only
 * when the rules have seen which ones the files give. */
static void derive_macs(const char *fleet, Object *object) {
  VmSpec *vm = object_vm(object);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++) {
    InterfaceSpec *interface = vm->interfaces->pdata[i];
    if (!given(interface, InterfaceSpec, mac))
      interface->mac = derive_mac(fleet, object->metadata.name, interface->name);
  }
}

static void take_macs(Object *object) {
  VmSpec *vm = object_vm(object);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++)
    set_given((InterfaceSpec *)vm->interfaces->pdata[i], InterfaceSpec, mac);
}

void desired_finish(Desired *desired, Diagnostics *diagnostics) {
  g_autoptr(GHashTable) said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_ptr_array_sort(desired->objects, compare_objects);
  for (guint i = 0; i < desired->objects->len; i++) {
    Object *object = desired->objects->pdata[i];
    const Object *profile = object->kind == KIND_VIRTUAL_MACHINE ? profile_apply(desired, object, diagnostics) : NULL;
    const Check check = {.desired = desired, .object = object, .profile = profile, .said = said, .diagnostics = diagnostics,
                         .adopt = object->metadata.adopt};
    /* without its profile a machine says too little to be judged */
    if (profile || object->kind != KIND_VIRTUAL_MACHINE || !given(object_vm(object), VmSpec, profile))
      validate_object(&check);
    if (object->kind == KIND_VIRTUAL_MACHINE)
      derive_macs(desired_fleet(desired), object);
  }
  validate_set(desired, diagnostics);
  validate_fleet(desired, diagnostics);
  for (guint i = 0; i < desired->objects->len; i++) {
    Object *object = desired->objects->pdata[i];
    g_clear_pointer(&object->node, node_free);
    if (object->kind == KIND_VIRTUAL_MACHINE)
      take_macs(object);
  }
  diagnostics_sort(diagnostics);
}
