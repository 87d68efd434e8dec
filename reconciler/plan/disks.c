/* The volumes of a machine's disks: made, used as they are, or grown. */
#include "state/base_volume.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/granule.h"
#include "schema/value.h"

static char *decimal(guint64 value) { return g_strdup_printf("%" G_GUINT64_FORMAT, value); }

/* A volume of the name that we would make is there already: it is used when it is what we would
 * make (left by an interrupted run, or kept when the machine was removed), and never overwritten. */
static char *check_leftover(PlanBuilder *builder, PlanObject *object, const DiskSource *source, const ActualVolume *found) {
  const DiskSpec *disk = source->disk;
  if (found->error != NULL)
    return g_strdup_printf("volume %s exists and can't be read: %s", source->volume, found->error);
  if (g_strcmp0(found->format, Format_words.words[disk->format]) != 0)
    return g_strdup_printf("volume %s exists with another format (%s): delete or rename it", source->volume, found->format);
  gboolean overlay = source->kind == SOURCE_IMAGE && !(given(disk, DiskSpec, provision) && disk->provision == Provision_copy);
  if (g_strcmp0(found->backing_path, overlay ? source->base_path : NULL) != 0)
    return g_strdup_printf("volume %s exists on another base (%s): delete or rename it", source->volume,
                           found->backing_path != NULL ? found->backing_path : "none");
  if (given(disk, DiskSpec, size) && found->capacity > disk->size &&
      !capacity_is_met(builder->input->actual, found->path, disk->size, found->capacity)) {
    g_autofree char *has = bytes_format(found->capacity);
    return g_strdup_printf("volume %s exists with %s, more than the declared size, and a disk is never shrunk: declare that, or delete or "
                           "rename it", source->volume, has);
  }
  build_note(object, g_strdup_printf("disk %s: the existing volume %s is used as it is", disk->target, source->volume));
  return NULL;
}

/* What an empty file system writes: tables and a journal that are mostly left for later; twice for qcow2. */
static guint64 filesystem_bytes(const DiskSpec *disk) { return (disk->size >> 11) + (2u << 20); }

static Action *format_volume(PlanBuilder *builder, PlanObject *object, const DiskSource *source) {
  const DiskSpec *disk = source->disk;
  const char *filesystem = DiskFilesystem_words.words[disk->filesystem], *label = given(disk, DiskSpec, label) ? disk->label : NULL;
  g_autofree char *bytes = decimal(disk->size), *shown = bytes_format(disk->size), *writes = decimal(filesystem_bytes(disk));
  return build_action(builder, object, ACTION_VOLUME_FORMAT, build_needs(builder, KIND_STORAGE_POOL, source->pool),
                      g_strdup_printf("create a volume of %s with %s%s%s for disk %s in pool %s", shown, filesystem, label != NULL ? ", labelled " : "",
                                      label != NULL ? label : "", disk->target, source->pool),
                      "pool", source->pool, "volume", source->volume, "format", Format_words.words[disk->format], "bytes", bytes, "filesystem",
                      filesystem, "label", label, "writes", writes, NULL);
}

static Action *create_volume(PlanBuilder *builder, PlanObject *object, const DiskSource *source) {
  const DiskSpec *disk = source->disk;
  const char *format = Format_words.words[disk->format];
  gboolean from_image = source->kind == SOURCE_IMAGE;
  gboolean copy = from_image && given(disk, DiskSpec, provision) && disk->provision == Provision_copy;
  guint64 size = given(disk, DiskSpec, size) ? disk->size : source->base_bytes;
  g_autofree char *bytes = decimal(size), *shown = bytes_format(size);
  g_autofree char *what = !from_image ? g_strdup_printf("a blank %s volume", format)
                                      : g_strdup_printf("%s of image %s", copy ? "a copy" : "an overlay", source->image);
  if (given(disk, DiskSpec, filesystem))
    return format_volume(builder, object, source);
  Action *action = build_action(builder, object, copy ? ACTION_VOLUME_COPY : ACTION_VOLUME_CREATE,
                                build_needs(builder, KIND_STORAGE_POOL, source->pool),
                                g_strdup_printf("create %s, %s, for disk %s in pool %s", what, shown, disk->target, source->pool),
                                "pool", source->pool, "volume", source->volume, "format", format, "bytes", bytes, NULL);
  if (from_image) {
    string_map_set(action->args, copy ? "from" : "backingPath", source->base_path);
    g_autofree char *most = decimal(source->base_bytes);
    string_map_set(action->args, copy ? "writes" : "backingFormat", copy ? most : source->base_format);
    build_wait(action, build_needs(builder, KIND_IMAGE, source->image));
  }
  return action;
}

/* `has` is the disk as it is read now. */
static Action *resize(PlanBuilder *builder, const PlanObject *object, const DiskSpec *disk, const DiskSpec *has, const char *path, guint64 from,
                      gboolean running) {
  g_autofree char *bytes = decimal(disk->size), *now = decimal(from), *text_from = bytes_format(from), *text_to = bytes_format(disk->size);
  const char *format = given(has, DiskSpec, format) ? Format_words.words[has->format] : NULL;
  char *description = g_strdup_printf("grow disk %s from %s to %s", disk->target, text_from, text_to);
  if (running)
    return build_action(builder, object, ACTION_RESIZE_DISK, NULL, description, "target", disk->target, "bytes", bytes, "from", now, NULL);
  return build_action(builder, object, ACTION_VOLUME_GROW, NULL, description, "path", path, "bytes", bytes, "from", now, "format", format,
                      NULL);
}

static Action *grow_volume(PlanBuilder *builder, const PlanObject *object, const DiskSpec *disk, const DiskSpec *has, const char *path,
                           guint64 from, gboolean running) {
  Action *action = resize(builder, object, disk, has, path, from, running);
  const ActualVolume *volume = g_hash_table_lookup(builder->input->actual->volumes_by_path, path);
  if (volume != NULL)
    string_map_set(action->args, "pool", volume->pool);
  return action;
}

/* The volume of a new disk. Returns an error or NULL; appends the action, if any. */
static char *plan_source(PlanBuilder *builder, PlanObject *object, const DiskSource *source, GPtrArray *actions) {
  const DiskSpec *disk = source->disk;
  if (source->pool != NULL && build_failed(builder, KIND_STORAGE_POOL, source->pool) != NULL)
    return g_strdup_printf("its pool %s: %s", source->pool, build_failed(builder, KIND_STORAGE_POOL, source->pool));
  if (source->image != NULL && build_failed(builder, KIND_IMAGE, source->image) != NULL)
    return g_strdup_printf("its image %s: %s", source->image, build_failed(builder, KIND_IMAGE, source->image));
  if (source->kind != SOURCE_IMAGE && source->kind != SOURCE_BLANK)
    return NULL;
  char *pool = plan_pool_trouble(builder, source->pool);
  if (pool != NULL)
    return pool;
  const ActualVolume *found = locate_volume(builder->input, source->pool, source->volume);
  const char *user = found != NULL ? uses_domain(builder->uses, found->path, object->name, FALSE) : NULL;
  if (user != NULL) /* whatever a marker says */
    return g_strdup_printf("volume %s is a disk of the machine %s", source->volume, user);
  g_autofree char *marker = g_strconcat(source->volume, INCOMPLETE_SUFFIX, NULL);
  if (found == NULL || locate_volume(builder->input, source->pool, marker) != NULL) {
    g_ptr_array_add(actions, create_volume(builder, object, source));
    return NULL;
  }
  char *error = check_leftover(builder, object, source, found);
  if (error == NULL && given(disk, DiskSpec, size) && disk->size > found->capacity)
    g_ptr_array_add(actions, grow_volume(builder, object, disk, disk, found->path, found->capacity, FALSE));
  return error;
}

char *plan_disk_volumes(PlanBuilder *builder, PlanObject *object, const GPtrArray *sources, GPtrArray *actions) {
  for (guint i = 0; i < sources->len; i++) {
    const DiskSource *source = sources->pdata[i];
    g_autofree char *error = plan_source(builder, object, source, actions);
    if (error != NULL)
      return g_strdup_printf("disk %s: %s", source->disk->target, error);
  }
  return NULL;
}

gboolean plan_is_growth(const FieldChange *change) { return change->call == CALL_RESIZE_DISK && change->match != NULL; }

/* It would grow what it sees, which a guest wrote; only QEMU grows the disk. */
char *plan_looks_otherwise(const ActualVolume *volume) {
  return volume == NULL || volume->looks == NULL || g_str_equal(volume->looks, "iso")
             ? NULL
             : g_strdup_printf("%s is raw, but its guest made it look like %s, and libvirt would grow it as that: while its machine runs, its "
                               "disk can grow", volume->path, volume->looks);
}

/* Shrinking and bases are refused. */
char *plan_growth_refusal(const PlanBuilder *builder, const Object *desired, const ActualDomain *found, const FieldChange *change, gboolean running) {
  const DiskSpec *disk = vm_disk(object_vm(desired), change->match);
  const DiskSpec *now = vm_disk(actual_now(found), change->match);
  if (now == NULL || !given(now, DiskSpec, path))
    return g_strdup_printf("disk %s: its size can't be read: it isn't a file or block device", change->match);
  if (!given(now, DiskSpec, size))
    return g_strdup_printf("disk %s: the size of %s can't be read: bring the file back, or start or refresh its pool", change->match, now->path);
  g_autofree char *from = bytes_format(now->size), *to = bytes_format(disk->size);
  if (disk->size < now->size)
    return g_strdup_printf("disk %s has %s and can't become %s: a disk is never shrunk", change->match, from, to);
  const char *overlay = uses_overlay(builder->uses, now->path, NULL);
  if (overlay != NULL)
    return g_strdup_printf("disk %s can't grow: %s is an overlay on it", change->match, overlay);
  if (!running && found->has_managed_save)
    return g_strdup_printf("disk %s can't grow while the machine is hibernated: its saved memory knows the old size", change->match);
  if (!running) {
    const char *user = uses_domain(builder->uses, now->path, found->name, TRUE);
    if (user != NULL)
      return g_strdup_printf("disk %s can't grow: the %s machine %s uses it too", change->match, uses_state(builder->uses, user), user);
    g_autofree char *looks = plan_looks_otherwise(g_hash_table_lookup(builder->input->actual->volumes_by_path, now->path));
    if (looks != NULL)
      return g_strdup_printf("disk %s can't grow while it is off: %s", change->match, looks);
  }
  if (running && given(now, DiskSpec, stateless) && now->stateless)
    return g_strdup_printf("disk %s is stateless and can't grow while the machine runs: what it runs on is dropped when it stops", change->match);
  return NULL;
}

Action *plan_growth(PlanBuilder *builder, const PlanObject *object, const Object *desired, const ActualDomain *found, const FieldChange *change) {
  const DiskSpec *disk = vm_disk(object_vm(desired), change->match), *now = vm_disk(actual_now(found), change->match);
  Action *grow = grow_volume(builder, object, disk, now, now->path, now->size, found->active);
  plan_bases(builder, grow, found->disks, NULL);
  return grow;
}

static char *grow_disk(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const FieldChange *change, GPtrArray *actions) {
  char *error = plan_growth_refusal(builder, object->desired, found, change, found->active);
  if (error == NULL)
    g_ptr_array_add(actions, plan_growth(builder, object, object->desired, found, change));
  return error;
}

char *plan_disk_growth(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    char *error = plan_is_growth(change) ? grow_disk(builder, object, found, change, actions) : NULL;
    if (error != NULL)
      return error;
  }
  return NULL;
}

static gboolean is_where_it_is(const PlanBuilder *builder, const DiskSpec *disk, const DiskSpec *now, const Field *field) {
  const ActualVolume *volume = given(now, DiskSpec, path) ? g_hash_table_lookup(builder->input->actual->volumes_by_path, now->path) : NULL;
  return field == &DiskSpec_table.fields[DiskSpec_pool] && volume != NULL && g_strcmp0(volume->pool, disk->pool) == 0;
}

static void note_too_late(PlanBuilder *builder, PlanObject *object, const DiskSpec *disk, const DiskSpec *applied, const DiskSpec *now) {
  for (guint i = 0; i < DiskSpec_table.n_fields; i++) {
    const Field *field = &DiskSpec_table.fields[i];
    if (field->create_only && field->effect == EFFECT_NEVER && field_given(&DiskSpec_table, disk, field) &&
        !field_given(&DiskSpec_table, applied, field) && !is_where_it_is(builder, disk, now, field))
      build_note(object, g_strdup_printf("disk %s stays what it is: %s comes too late for it (%s)", disk->target, field->key, field->why));
  }
}

void plan_disks_as_made(PlanBuilder *builder, PlanObject *object, const ActualDomain *found) {
  const VmSpec *vm = object_vm(object->desired), *applied = found->owner != NULL ? &found->owner->spec : NULL;
  for (guint i = 0; given(vm, VmSpec, disks) && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i], *was = vm_disk(applied, disk->target), *now = vm_disk(&found->persistent, disk->target);
    gboolean named = given(disk, DiskSpec, path) || given(disk, DiskSpec, volume);
    if (was != NULL && now != NULL && !named && !disk_is_drive(disk))
      note_too_late(builder, object, disk, was, now);
  }
}

static gboolean has_path(const VmSpec *vm, const char *path) {
  for (guint i = 0; given(vm, VmSpec, disks) && i < vm->disks->len; i++)
    if (g_strcmp0(((const DiskSpec *)vm->disks->pdata[i])->path, path) == 0)
      return TRUE;
  return FALSE;
}

void plan_disks_left(PlanObject *object, const ActualDomain *found) {
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    const DiskSpec *disk = change->whole && change->persistent && change->to == NULL && g_strcmp0(change->list, "disks") == 0
                               ? vm_disk(&found->persistent, change->match) : NULL;
    if (disk == NULL || !given(disk, DiskSpec, path) || has_path(object_vm(object->desired), disk->path) || disk_is_drive(disk))
      continue;
    build_note(object, g_strdup_printf("disk %s leaves the machine, and its content is kept: %s; a disk that names that by path or volume has it again",
                                       disk->target, disk->path));
  }
}
