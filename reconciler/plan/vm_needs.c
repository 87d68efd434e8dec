/* What a machine needs of the plan's other objects: networks, pools, volumes, images. */
#include "reconciler/plan/build.h"

static const InterfaceSpec *found_interface(const ActualDomain *found, const InterfaceSpec *interface) {
  const VmSpec *spec = found != NULL ? &found->persistent : NULL;
  return spec != NULL && given(spec, VmSpec, interfaces)
             ? list_find(&InterfaceSpec_table, spec->interfaces, table_match_field(&InterfaceSpec_table), interface->mac) : NULL;
}

/* What a machine can't get from a network: unknown where the file is what brings it up, or
 * stopped where the machine would start on it. NULL: it can be used. */
static char *network_trouble(PlanBuilder *builder, const VmSpec *vm, const InterfaceSpec *interface, const ActualDomain *found) {
  const Actual *actual = builder->input->actual;
  const char *name = interface->network;
  const ActualNetwork *network = g_hash_table_lookup(actual->networks, name);
  const InterfaceSpec *now = found_interface(found, interface);
  gboolean has_it = now != NULL && given(now, InterfaceSpec, network) && g_str_equal(now->network, name);
  gboolean starts = given(vm, VmSpec, powerState) && (vm->powerState == PowerState_running || vm->powerState == PowerState_paused) &&
                    (found == NULL || !found->active);
  if (starts && activity_is_to_stop(builder, KIND_NETWORK, name))
    return g_strdup_printf("its network %s isn't to be started: declare it with state: active, or name another one", name);
  if (build_needs(builder, KIND_NETWORK, name) != NULL || actual->networks_error != NULL || (has_it && !starts))
    return NULL;
  if (network == NULL && desired_find(builder->input->desired, KIND_NETWORK, name) == NULL)
    return g_strdup_printf("there is no network %s: declare a Network of this name, or name another one", name);
  if (network != NULL && !network->active && starts)
    return g_strdup_printf("its network %s isn't started: start it, or declare it with state: active", name);
  return NULL;
}

char *plan_network_trouble(PlanBuilder *builder, const VmSpec *vm, const ActualDomain *found) {
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    g_autofree char *error = given(interface, InterfaceSpec, network) ? network_trouble(builder, vm, interface, found) : NULL;
    if (error != NULL)
      return g_strdup_printf("interface %s: %s", interface->name, error);
  }
  return NULL;
}

/* A kernel or initrd that is the base volume of an image of this plan. */
static char *wait_for_boot_file(PlanBuilder *builder, const char *path, Action *action) {
  const GPtrArray *objects = builder->input->desired->objects;
  for (guint i = 0; path != NULL && i < objects->len; i++) {
    const Object *object = objects->pdata[i], *image = NULL;
    g_autofree char *base = NULL, *unknown = NULL;
    if (object->kind != KIND_IMAGE || locate_image(builder->input, object->metadata.name, &image, &base, &unknown) == NULL ||
        g_strcmp0(base, path) != 0)
      continue;
    const char *failed = build_failed(builder, KIND_IMAGE, object->metadata.name);
    if (failed != NULL)
      return g_strdup_printf("image %s that it boots: %s", object->metadata.name, failed);
    build_wait(action, build_needs(builder, KIND_IMAGE, object->metadata.name));
  }
  return NULL;
}

/* Networks, pools, volumes and images of this plan that the machine uses: its actions wait for them. */
char *plan_wait_for_others(PlanBuilder *builder, const PlanObject *object, const GPtrArray *sources, Action *action) {
  const VmSpec *vm = object_vm(object->desired);
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    if (!given(interface, InterfaceSpec, network))
      continue;
    const char *failed = build_failed(builder, KIND_NETWORK, interface->network);
    if (failed != NULL)
      return g_strdup_printf("its network %s: %s", interface->network, failed);
    build_wait(action, build_needs(builder, KIND_NETWORK, interface->network));
  }
  for (guint i = 0; i < sources->len; i++) {
    const DiskSource *source = sources->pdata[i];
    if (source->kind == SOURCE_MEDIUM) /* whether that failed was asked before */
      build_wait(action, build_needs(builder, KIND_IMAGE, source->image));
    if (source->kind != SOURCE_EXISTING || source->volume == NULL)
      continue;
    const char *failed = build_failed(builder, KIND_VOLUME, source->volume);
    if (failed != NULL)
      return g_strdup_printf("its volume %s: %s", source->volume, failed);
    build_wait(action, build_needs(builder, KIND_VOLUME, source->volume));
    build_wait(action, build_needs(builder, KIND_STORAGE_POOL, source->pool));
  }
  char *error = wait_for_boot_file(builder, vm->boot.kernel, action);
  return error != NULL ? error : wait_for_boot_file(builder, vm->boot.initrd, action);
}

/* A disk's file may come with its pool. */
static void wait_for_pool_of(PlanBuilder *builder, const ActualDisk *disk, Action *action) {
  GHashTableIter iter;
  const ActualPool *pool;
  g_autofree char *directory = disk->path != NULL ? g_path_get_dirname(disk->path) : NULL;
  g_hash_table_iter_init(&iter, builder->input->actual->pools);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&pool))
    if (!pool->active && (g_strcmp0(pool->name, disk->pool) == 0 || (directory != NULL && g_strcmp0(pool->target, directory) == 0)))
      build_wait(action, build_needs(builder, KIND_STORAGE_POOL, pool->name));
}

char *plan_start_trouble(PlanBuilder *builder, const VmSpec *vm) {
  VmSpec started = *vm;
  started.powerState = PowerState_running;
  set_given(&started, VmSpec, powerState);
  return plan_network_trouble(builder, &started, NULL);
}

void plan_wait_to_start(PlanBuilder *builder, const VmSpec *vm, const ActualDomain *existing, Action *action) {
  for (guint i = 0; existing != NULL && existing->defined_disks != NULL && i < existing->defined_disks->len; i++)
    wait_for_pool_of(builder, existing->defined_disks->pdata[i], action);
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    if (!given(interface, InterfaceSpec, network))
      continue;
    const ActualNetwork *network = g_hash_table_lookup(builder->input->actual->networks, interface->network);
    if (network == NULL || !network->active)
      build_wait(action, build_needs(builder, KIND_NETWORK, interface->network));
  }
}
