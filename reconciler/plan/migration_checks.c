/* What stands in the way of a move, as far as both observations tell; the rest is asked of the hosts (Placed.unfit). */
#include "reconciler/plan/compare.h"
#include "reconciler/plan/migration.h"

const VmSpec *move_spec(const Move *move) { return actual_now(move->domain); }

static gboolean has_devices(const VmSpec *vm) {
  const HostDevicesSpec *devices = &vm->hostDevices;
  return given(vm, VmSpec, hostDevices) && ((given(devices, HostDevicesSpec, pci) && devices->pci->len > 0) ||
                                            (given(devices, HostDevicesSpec, usb) && devices->usb->len > 0));
}

const char *move_not_live(const ActualDomain *domain, gboolean bare) {
  const VmSpec *live = actual_live(domain);
  if (!bare && domain->snapshots->len > 0)
    return "libvirt migrates none that has snapshots; shut down, it goes with them";
  if (has_devices(live))
    return "it has devices of its host";
  if (given(live, VmSpec, filesystems) && live->filesystems->len > 0)
    return "it shares directories of its host";
  return NULL;
}

/* What may be missing in its file is asked of what lies beneath it, here: done first where it can be (move_first). */
static char *refuse_flattened(const ActualDomain *domain) {
  const FactsSpec *facts = domain->owner != NULL ? &domain->owner->facts : NULL;
  for (guint i = 0; facts != NULL && facts->disks != NULL && i < facts->disks->len; i++) {
    const DiskFactSpec *fact = facts->disks->pdata[i];
    if (given(fact, DiskFactSpec, flushing))
      return g_strdup_printf("an interrupted run has flattened disk %s, and it isn't certain that it holds all: run once with the machine where it is, "
                             "then move it", fact->target);
  }
  return NULL;
}

static char *refuse_machine(const Move *move) {
  const ActualDomain *domain = move->domain;
  const VmSpec *vm = &domain->persistent;
  if (!domain->is_persistent)
    return g_strdup(COMPARE_TRANSIENT);
  if (domain->has_managed_save)
    return g_strdup("it is hibernated, and its saved memory can't be moved: start it, or discard the memory");
  if (domain->has_helper)
    return g_strdup("an interrupted run still holds its disks: run once with it where it is, then move it");
  if (has_devices(vm))
    return g_strdup("it has devices of its host: detach them first");
  if (given(vm, VmSpec, type) && vm->type == DomainType_kvm && !move->there->has_kvm)
    return g_strdup_printf("it needs KVM, which %s doesn't offer", move->to);
  if (given(vm, VmSpec, arch) && g_strcmp0(vm->arch, move->there->arch) != 0 && vm->type == DomainType_kvm)
    return g_strdup_printf("its architecture is %s, and %s is %s", vm->arch, move->to, move->there->arch);
  return refuse_flattened(domain);
}

static char *refuse_identity(const Move *move) {
  GHashTableIter iter;
  ActualDomain *other;
  if (g_hash_table_contains(move->there->domains, move->domain->name))
    return g_strdup_printf("%s has a machine of this name that isn't ours", move->to);
  g_hash_table_iter_init(&iter, move->there->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&other))
    if (g_strcmp0(other->uuid, move->domain->uuid) == 0)
      return g_strdup_printf("%s has a machine %s with its UUID", move->to, other->name);
  return NULL;
}

/* Those that aren't there may be made by this very plan. */
static void need_networks(const Move *move) {
  const VmSpec *vm = move_spec(move);
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    const ActualNetwork *network = given(interface, InterfaceSpec, network) ? g_hash_table_lookup(move->there->networks, interface->network) : NULL;
    if (given(interface, InterfaceSpec, network) && (network == NULL || !network->active))
      plan_need(move->object, KIND_NETWORK, move->to, interface->network,
                g_strdup_printf("its network %s %s on %s: declare and start it there first", interface->network,
                                network == NULL ? "isn't" : "isn't started", move->to));
  }
}

char *move_refusal(const Move *move) {
  char *error = refuse_machine(move);
  if (error == NULL)
    error = move_snapshots_refusal(move);
  if (error == NULL)
    error = move_state_refusal(move);
  if (error == NULL)
    error = refuse_identity(move);
  need_networks(move);
  return error != NULL || move->placed->unfit == NULL ? error : g_strdup(move->placed->unfit);
}
