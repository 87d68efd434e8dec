/* Who a machine is: its UUID, its addresses and what runs it, where the file leaves them to us. */
#include "reconciler/plan/identity.h"

static gboolean has_mac(const VmSpec *vm, const char *mac) {
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++)
    if (g_strcmp0(((const InterfaceSpec *)vm->interfaces->pdata[i])->mac, mac) == 0)
      return TRUE;
  return FALSE;
}

/* A fleet that gets a name later keeps the addresses that were derived without one: a network card isn't changed for that. */
static void keep_macs(const ActualDomain *existing, const char *fleet, const char *machine, VmSpec *vm) {
  for (guint i = 0; fleet != NULL && given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    InterfaceSpec *interface = vm->interfaces->pdata[i];
    g_autofree char *derived = derive_mac(fleet, machine, interface->name), *without = derive_mac(NULL, machine, interface->name);
    if (g_strcmp0(interface->mac, derived) == 0 && !has_mac(&existing->persistent, derived) && has_mac(&existing->persistent, without)) {
      g_free(interface->mac);
      interface->mac = g_steal_pointer(&without);
    }
  }
}

void resolve_identity(const PlanInput *input, const ActualDomain *existing, Object *object) {
  VmSpec *vm = object_vm(object);
  const Desired *everywhere = input->everywhere != NULL ? input->everywhere : input->desired;
  if (existing == NULL && !given(vm, VmSpec, uuid)) {
    vm->uuid = derive_vm_uuid(desired_fleet(everywhere), object->metadata.name);
    set_given(vm, VmSpec, uuid);
  }
  if (existing != NULL)
    keep_macs(existing, desired_fleet(everywhere), object->metadata.name, vm);
  gboolean automatic = given(vm, VmSpec, type) ? vm->type == DomainType_auto : TRUE;
  if (automatic && existing == NULL) {
    gboolean foreign = given(vm, VmSpec, arch) && g_strcmp0(vm->arch, input->actual->arch) != 0;
    vm->type = input->actual->has_kvm && !foreign ? DomainType_kvm : DomainType_qemu;
    set_given(vm, VmSpec, type);
  } else if (automatic) {
    spec_unset(&VmSpec_table, vm, &VmSpec_table.fields[VmSpec_type]);
  }
  DomainType type = given(vm, VmSpec, type) ? vm->type : existing->persistent.type;
  if (type == DomainType_kvm)
    spec_unset(&FeaturesSpec_table, &vm->features, &FeaturesSpec_table.fields[FeaturesSpec_tcgCache]);
}
