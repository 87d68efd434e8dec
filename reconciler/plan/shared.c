/* What a machine would newly share with another: disks and addresses. Where files declare both in the same words,
 * validation has spoken. */
#include "reconciler/plan/build.h"

static gboolean is_declared(const PlanBuilder *builder, const char *machine) {
  const PlanInput *input = builder->input;
  return desired_find(input->everywhere != NULL ? input->everywhere : input->desired, KIND_VIRTUAL_MACHINE, machine) != NULL;
}

static gboolean may_be_written(const DiskSpec *disk) { return !disk_is_read_only(disk) && !disk->shareable; }

static gboolean is_written(const DiskSpec *disk) { return given(disk, DiskSpec, path) && may_be_written(disk); }

static gboolean has_disk(const ActualDomain *found, const DiskSpec *disk) {
  const DiskSpec *now = found != NULL ? vm_disk(&found->persistent, disk->target) : NULL;
  return now != NULL && g_strcmp0(now->path, disk->path) == 0;
}

static gboolean will_run(const VmSpec *vm, const ActualDomain *found) {
  gboolean told = given(vm, VmSpec, powerState);
  return told ? vm->powerState == PowerState_running || vm->powerState == PowerState_paused : found != NULL && found->active;
}

static gboolean same_file(const PlanBuilder *builder, const char *path, const char *other) {
  const Actual *actual = builder->input->actual;
  return g_strcmp0(actual_file(actual, path), actual_file(actual, other)) == 0;
}

/* The machine has the file now, and goes on declaring that disk, in other words: as what was made for it, or by another name. */
static gboolean goes_on_with(const PlanBuilder *builder, const DiskSpec *disk, const char *machine) {
  const Object *declared = desired_find(builder->input->desired, KIND_VIRTUAL_MACHINE, machine);
  const ActualDomain *domain = g_hash_table_lookup(builder->input->actual->domains, machine);
  const GPtrArray *disks = declared != NULL && domain != NULL && given(&domain->persistent, VmSpec, disks) ? domain->persistent.disks : NULL;
  for (guint i = 0; disks != NULL && i < disks->len; i++) {
    const DiskSpec *now = disks->pdata[i];
    const DiskSpec *goes_on = same_file(builder, now->path, disk->path) ? vm_disk(object_vm(declared), now->target) : NULL;
    if (goes_on == NULL || !may_be_written(goes_on))
      continue;
    gboolean in_other_words = given(goes_on, DiskSpec, volume) != given(disk, DiskSpec, volume) || !given(goes_on, DiskSpec, path);
    if (given(goes_on, DiskSpec, path) ? same_file(builder, goes_on->path, disk->path) && !g_str_equal(goes_on->path, disk->path) : in_other_words)
      return TRUE;
  }
  return FALSE;
}

/* Of two names of a file at least one isn't that under which it counts: the disk of that name looks for the other. */
static const char *declared_by_another_name(const PlanBuilder *builder, const DiskSpec *disk) {
  const GPtrArray *objects = builder->input->desired->objects;
  if (g_str_equal(actual_file(builder->input->actual, disk->path), disk->path))
    return NULL;
  for (guint i = 0; i < objects->len; i++) {
    const Object *object = objects->pdata[i];
    const VmSpec *vm = object->kind == KIND_VIRTUAL_MACHINE ? object_vm(object) : NULL;
    for (guint n = 0; vm != NULL && given(vm, VmSpec, disks) && n < vm->disks->len; n++) {
      const DiskSpec *other = vm->disks->pdata[n];
      if (is_written(other) && !g_str_equal(other->path, disk->path) && same_file(builder, other->path, disk->path))
        return object->metadata.name;
    }
  }
  return NULL;
}

/* QEMU's lock doesn't help: an overlay that nobody runs at the moment holds none. */
static char *lies_beneath(const PlanBuilder *builder, const PlanObject *object, const DiskSpec *disk) {
  const GPtrArray *users = volume_users_of(uses_volumes(builder->uses), disk->path);
  for (guint i = 0; i < users->len; i++) {
    const VolumeUser *user = users->pdata[i];
    if (g_strcmp0(user->domain, object->name) == 0)
      continue;
    if (user->use == USER_SAVED && (user->depth > 0 || may_be_written(disk)))
      return g_strdup_printf("disk %s: %s is a disk of the machine %s, which is hibernated, and comes back to it as it was: start that one, or discard "
                             "its saved memory ('virsh managedsave-remove %s')", disk->target, disk->path, user->domain, user->domain);
    if ((user->use == USER_DISK || user->use == USER_DEFINITION) && user->depth > 0)
      return g_strdup_printf("disk %s: disk %s of the machine %s is based on %s, and would be destroyed by who writes to that: give readOnly, "
                             "or a copy of it", disk->target, user->target, user->domain, disk->path);
  }
  g_autofree char *overlay = volume_users_beneath(uses_volumes(builder->uses), disk->path);
  return overlay != NULL ? g_strdup_printf("disk %s: %s", disk->target, overlay) : NULL;
}

/* A file that the machine doesn't have yet, and will write to: named by the file, left by one of its name, or to be made. */
static gboolean takes_file(const DiskSource *source, const ActualDomain *found) {
  gboolean file = source->kind == SOURCE_EXISTING || source->kind == SOURCE_IMAGE || source->kind == SOURCE_BLANK;
  return file && given(source->disk, DiskSpec, path) && !disk_is_read_only(source->disk) && !has_disk(found, source->disk);
}

/* QEMU's lock lets one machine at a time write to a disk. */
static char *share_disk(PlanBuilder *builder, PlanObject *object, const DiskSpec *disk, const ActualDomain *found) {
  const char *running = uses_domain(builder->uses, disk->path, object->name, TRUE);
  const char *user = running != NULL ? running : uses_domain(builder->uses, disk->path, object->name, FALSE);
  gboolean declared = user != NULL && is_declared(builder, user);
  if (user != NULL && !declared && running != NULL && will_run(object_vm(object->desired), found))
    return g_strdup_printf("disk %s: %s is a disk of the machine %s, which runs: stop that one, or give shareable or readOnly", disk->target,
                           disk->path, user);
  if (user != NULL && !declared) {
    build_note(object, g_strdup_printf("disk %s: %s is also a disk of the machine %s, which no file declares: only one of them can run",
                                       disk->target, disk->path, user));
    return NULL;
  }
  const char *other = user != NULL && goes_on_with(builder, disk, user) ? user : declared_by_another_name(builder, disk);
  if (other != NULL)
    build_note(object, g_strdup_printf("disk %s: %s is also a disk of the machine %s, which may write to it at the same time: give shareable or "
                                       "readOnly", disk->target, disk->path, other));
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
    if (!takes_file(source, found))
      continue;
    error = lies_beneath(builder, object, source->disk);
    if (error == NULL && source->kind == SOURCE_EXISTING && is_written(source->disk))
      error = share_disk(builder, object, source->disk, found);
  }
  for (guint i = 0; error == NULL && given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++)
    if (!has_interface(found, vm->interfaces->pdata[i]))
      share_address(builder, object, vm->interfaces->pdata[i]);
  return error;
}

/* What this plan makes itself, its action looks at. */
static gboolean is_there(const PlanBuilder *builder, const DiskSource *source) {
  return source->volume == NULL || locate_volume(builder->input, source->pool, source->volume) != NULL;
}

void plan_taken(const PlanBuilder *builder, Action *define, const ActualDomain *found, const GPtrArray *sources) {
  g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
  for (guint i = 0; i < sources->len; i++) {
    const DiskSource *source = sources->pdata[i];
    if (takes_file(source, found) && is_there(builder, source))
      g_strv_builder_add(paths, source->disk->path);
  }
  g_auto(GStrv) list = g_strv_builder_end(paths);
  g_autofree char *text = list[0] != NULL ? g_strjoinv("\n", list) : NULL;
  if (text != NULL)
    string_map_set(define->args, "taken", text);
}
