/* What a machine would newly share with one that no file declares: disks and addresses. Of those that files declare,
 * validation has spoken. */
#include "reconciler/plan/build.h"

static gboolean is_declared(const PlanBuilder *builder, const char *machine) {
  const PlanInput *input = builder->input;
  return desired_find(input->everywhere != NULL ? input->everywhere : input->desired, KIND_VIRTUAL_MACHINE, machine) != NULL;
}

static gboolean is_written(const DiskSpec *disk) {
  gboolean drive = given(disk, DiskSpec, device) && disk->device != DiskDevice_disk;
  return given(disk, DiskSpec, path) && !drive && !disk->readOnly && !disk->shareable;
}

static gboolean has_disk(const ActualDomain *found, const DiskSpec *disk) {
  const Field *key = &DiskSpec_table.fields[DiskSpec_target];
  const DiskSpec *now = found != NULL && given(&found->persistent, VmSpec, disks)
                            ? list_find(&DiskSpec_table, found->persistent.disks, key, disk->target) : NULL;
  return now != NULL && g_strcmp0(now->path, disk->path) == 0;
}

static gboolean will_run(const VmSpec *vm, const ActualDomain *found) {
  gboolean told = given(vm, VmSpec, powerState);
  return told ? vm->powerState == PowerState_running || vm->powerState == PowerState_paused : found != NULL && found->active;
}

/* QEMU's lock lets one machine at a time write to a disk. */
static char *share_disk(PlanBuilder *builder, PlanObject *object, const DiskSpec *disk, const ActualDomain *found) {
  const char *running = uses_domain(builder->uses, disk->path, object->name, TRUE);
  const char *user = running != NULL ? running : uses_domain(builder->uses, disk->path, object->name, FALSE);
  if (user == NULL || is_declared(builder, user))
    return NULL;
  if (running != NULL && will_run(object_vm(object->desired), found))
    return g_strdup_printf("disk %s: %s is a disk of the machine %s, which runs: stop that one, or give shareable or readOnly", disk->target,
                           disk->path, user);
  build_note(object, g_strdup_printf("disk %s: %s is also a disk of the machine %s, which no file declares: only one of them can run",
                                     disk->target, disk->path, user));
  return NULL;
}

static gboolean has_interface(const ActualDomain *found, const InterfaceSpec *interface) {
  return found != NULL && given(&found->persistent, VmSpec, interfaces) &&
         list_find(&InterfaceSpec_table, found->persistent.interfaces, table_match_field(&InterfaceSpec_table), interface->mac) != NULL;
}

static void share_address(PlanBuilder *builder, PlanObject *object, const InterfaceSpec *interface) {
  const char *user = interface->mac != NULL ? uses_mac(builder->uses, interface->mac, object->name) : NULL;
  if (user != NULL && !is_declared(builder, user))
    build_note(object, g_strdup_printf("interface %s: the machine %s, which no file declares, has its MAC address %s too: give one of them "
                                       "another, unless their networks are apart", interface->name, user, interface->mac));
}

char *plan_shared(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources) {
  const VmSpec *vm = object_vm(object->desired);
  char *error = NULL;
  for (guint i = 0; i < sources->len && error == NULL; i++) {
    const DiskSource *source = sources->pdata[i];
    if (source->kind == SOURCE_EXISTING && is_written(source->disk) && !has_disk(found, source->disk))
      error = share_disk(builder, object, source->disk, found);
  }
  for (guint i = 0; error == NULL && given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++)
    if (!has_interface(found, vm->interfaces->pdata[i]))
      share_address(builder, object, vm->interfaces->pdata[i]);
  return error;
}
