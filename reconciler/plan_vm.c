/* One virtual machine: volumes for its disks, its definition, what changes live, its power. */
#include "reconciler/diff.h"
#include "reconciler/placement.h"
#include "reconciler/plan_build.h"
#include "schema/value.h"

static char *decimal(guint64 value) { return g_strdup_printf("%" G_GUINT64_FORMAT, value); }

/* A volume of the name that we would make is there already: it is used when it is what we would
 * make (left by an interrupted run, or kept when the machine was removed), and never overwritten. */
static char *check_leftover(PlanBuilder *builder, PlanObject *object, const DiskSource *source, const ActualVolume *found) {
  const DiskSpec *disk = source->disk;
  if (found->error != NULL)
    return g_strdup_printf("volume %s exists and can't be read: %s", source->volume, found->error);
  const char *user = uses_domain(builder->uses, found->path, object->name, FALSE);
  if (user != NULL)
    return g_strdup_printf("volume %s is a disk of the machine %s", source->volume, user);
  if (g_strcmp0(found->format, Format_words.words[disk->format]) != 0)
    return g_strdup_printf("volume %s exists with another format (%s): delete or rename it", source->volume, found->format);
  gboolean overlay = source->kind == SOURCE_IMAGE && !(given(disk, DiskSpec, provision) && disk->provision == Provision_copy);
  if (g_strcmp0(found->backing_path, overlay ? source->base_path : NULL) != 0)
    return g_strdup_printf("volume %s exists on another base (%s): delete or rename it", source->volume,
                           found->backing_path != NULL ? found->backing_path : "none");
  if (given(disk, DiskSpec, size) && found->capacity > disk->size)
    return g_strdup_printf("volume %s exists and is larger than the declared size", source->volume);
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

static Action *grow_volume(PlanBuilder *builder, PlanObject *object, const DiskSpec *disk, const char *path, guint64 from, gboolean running) {
  g_autofree char *bytes = decimal(disk->size), *now = decimal(from), *text_from = bytes_format(from), *text_to = bytes_format(disk->size);
  char *description = g_strdup_printf("grow disk %s from %s to %s", disk->target, text_from, text_to);
  if (running)
    return build_action(builder, object, ACTION_RESIZE_DISK, NULL, description, "target", disk->target, "bytes", bytes, "from", now, NULL);
  return build_action(builder, object, ACTION_VOLUME_GROW, NULL, description, "path", path, "bytes", bytes, "from", now, NULL);
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
  const ActualPool *pool = g_hash_table_lookup(builder->input->actual->pools, source->pool);
  if (pool != NULL && pool->error != NULL)
    return g_strdup_printf("pool %s can't be read: %s", source->pool, pool->error);
  if (pool != NULL && !pool->active && build_needs(builder, KIND_STORAGE_POOL, source->pool) == NULL)
    return g_strdup_printf("pool %s isn't started: start it, or declare it with state: active", source->pool);
  const ActualVolume *found = locate_volume(builder->input, source->pool, source->volume);
  g_autofree char *marker = g_strconcat(source->volume, INCOMPLETE_SUFFIX, NULL);
  if (found == NULL || locate_volume(builder->input, source->pool, marker) != NULL) {
    g_ptr_array_add(actions, create_volume(builder, object, source));
    return NULL;
  }
  char *error = check_leftover(builder, object, source, found);
  if (error == NULL && given(disk, DiskSpec, size) && disk->size > found->capacity)
    g_ptr_array_add(actions, grow_volume(builder, object, disk, found->path, found->capacity, FALSE));
  return error;
}

static char *plan_volumes(PlanBuilder *builder, PlanObject *object, const Resolved *resolved, GPtrArray *actions) {
  for (guint i = 0; i < resolved->sources->len; i++) {
    const DiskSource *source = resolved->sources->pdata[i];
    g_autofree char *error = plan_source(builder, object, source, actions);
    if (error != NULL)
      return g_strdup_printf("disk %s: %s", source->disk->target, error);
  }
  return NULL;
}

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
  if (build_needs(builder, KIND_NETWORK, name) != NULL || actual->networks_error != NULL || (has_it && !starts))
    return NULL;
  if (network == NULL && desired_find(builder->input->desired, KIND_NETWORK, name) == NULL)
    return g_strdup_printf("there is no network %s: declare a Network of this name, or name another one", name);
  if (network != NULL && !network->active && starts)
    return g_strdup_printf("its network %s isn't started: start it, or declare it with state: active", name);
  return NULL;
}

static char *check_networks(PlanBuilder *builder, const VmSpec *vm, const ActualDomain *found) {
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    char *error = given(interface, InterfaceSpec, network) ? network_trouble(builder, vm, interface, found) : NULL;
    if (error != NULL)
      return g_strdup_printf("interface %s: %s", interface->name, error);
  }
  return NULL;
}

/* libvirt knows a machine by its UUID: one of another name was renamed by hand. */
static char *check_uuid(PlanBuilder *builder, const Object *desired) {
  const ActualDomain *domain = uses_uuid(builder->uses, object_vm(desired)->uuid);
  return domain == NULL ? NULL
                        : g_strdup_printf("the machine %s has its UUID %s: if that was renamed, rename it back ('virsh domrename %s %s'); "
                                          "else give another uuid", domain->name, domain->uuid, domain->name, desired->metadata.name);
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
static char *wait_for_others(PlanBuilder *builder, const PlanObject *object, const Resolved *resolved, Action *action) {
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
  for (guint i = 0; i < resolved->sources->len; i++) {
    const DiskSource *source = resolved->sources->pdata[i];
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

static void autostart(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions, const char *after) {
  const VmSpec *vm = object_vm(object->desired);
  gboolean has = found != NULL && found->autostart, wanted = has;
  if (given(vm, VmSpec, autostart))
    wanted = vm->autostart;
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    if (change->call == CALL_AUTOSTART)
      wanted = g_strcmp0(change->to, "true") == 0;
  }
  if (wanted != has)
    g_ptr_array_add(actions, build_action(builder, object, ACTION_DOMAIN_AUTOSTART, after,
                                          g_strdup(wanted ? "start with the host" : "don't start with the host"), "value",
                                          wanted ? "true" : "false", NULL));
}

/* A copy of it may come back with a host that is given up. How often that has moved nobody knows: the time is more. */
static void begin_epoch(const PlanBuilder *builder, const PlanObject *object, Action *define) {
  const Placed *placed = placed_find(builder->input->placed, object->name);
  if (placed == NULL || !fleet_has_fenced(placed->fleet))
    return;
  g_autofree char *epoch = g_strdup_printf("%" G_GINT64_FORMAT, builder->input->now);
  string_map_set(define->args, "epoch", epoch);
}

static void plan_create(PlanBuilder *builder, PlanObject *object, const Resolved *resolved) {
  g_autoptr(GPtrArray) actions = g_ptr_array_new();
  object->change = CHANGE_CREATE;
  object->fingerprint = g_strdup("absent");
  char *error = check_uuid(builder, object->desired);
  if (error == NULL)
    error = check_networks(builder, object_vm(object->desired), NULL);
  if (error == NULL)
    error = plan_volumes(builder, object, resolved, actions);
  Action *define = build_action(builder, object, ACTION_DOMAIN_DEFINE, NULL, g_strdup("define the machine"), NULL);
  begin_epoch(builder, object, define);
  build_wait_all(define, actions);
  if (error == NULL)
    error = wait_for_others(builder, object, resolved, define);
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  g_ptr_array_add(actions, define);
  error = plan_snapshots_taken(builder, object, NULL, actions);
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  Action *due = plan_snapshots_due(builder, object, NULL);
  if (due != NULL) {
    build_wait_all(due, actions);
    g_ptr_array_add(actions, due);
  }
  autostart(builder, object, NULL, actions, define->id);
  error = plan_exports(builder, object, NULL, resolved->sources, actions);
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  plan_power(builder, object, NULL, resolved->sources, actions);
  build_ready(builder, KIND_VIRTUAL_MACHINE, object->name, actions->pdata[actions->len - 1]);
}

static const DiskSpec *found_disk(const VmSpec *spec, const char *target) {
  return given(spec, VmSpec, disks) ? list_find(&DiskSpec_table, spec->disks, &DiskSpec_table.fields[DiskSpec_target], target) : NULL;
}

/* Growing a disk that the machine has. Shrinking and bases are refused. */
static char *grow_disk(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const FieldChange *change, GPtrArray *actions) {
  const DiskSpec *disk = found_disk(object_vm(object->desired), change->match);
  const DiskSpec *now = found_disk(found->active ? &found->live : &found->persistent, change->match);
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
  if (!found->active && found->has_managed_save)
    return g_strdup_printf("disk %s can't grow while the machine is hibernated: its saved memory knows the old size", change->match);
  if (!found->active) {
    const char *user = uses_domain(builder->uses, now->path, object->name, TRUE);
    if (user != NULL)
      return g_strdup_printf("disk %s can't grow: the running machine %s uses it too", change->match, user);
  }
  if (found->active && given(now, DiskSpec, stateless) && now->stateless)
    return g_strdup_printf("disk %s is stateless and can't grow while the machine runs: what it runs on is dropped when it stops", change->match);
  Action *grow = grow_volume(builder, object, disk, now->path, now->size, found->active);
  plan_bases(grow, found->disks, NULL);
  g_ptr_array_add(actions, grow);
  return NULL;
}

static char *plan_growth(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    char *error = change->call == CALL_RESIZE_DISK && change->match != NULL ? grow_disk(builder, object, found, change, actions) : NULL;
    if (error != NULL)
      return error;
  }
  return NULL;
}

static gboolean needs_redefine(const PlanObject *object) {
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    gboolean ours = change->field->xml == NULL && change->effect == EFFECT_NONE;
    if (change->persistent && !ours && change->call != CALL_POWER && change->call != CALL_AUTOSTART && change->call != CALL_RESIZE_DISK)
      return TRUE;
  }
  return FALSE;
}

static gboolean record_differs(const PlanObject *object, const ActualDomain *found) {
  return found->owner == NULL || !spec_equal(&VmSpec_table, object->declared->spec, &found->owner->spec) ||
         !spec_equal(&MetadataSpec_table, &object->declared->metadata, &found->owner->metadata);
}

/* First of all where a machine is taken over: what is done to one is noted in our record. */
static char *take_over(PlanBuilder *builder, PlanObject *object, const Resolved *resolved, GPtrArray *actions) {
  if (!object->adopt)
    return NULL;
  Action *action = build_action(builder, object, ACTION_DOMAIN_RECORD, NULL, g_strdup("take over: write our record into its metadata"), NULL);
  g_ptr_array_add(actions, action);
  return wait_for_others(builder, object, resolved, action);
}

/* Growth and new volumes, after all that comes before anything changes (actions up to `first`). */
static char *plan_storage(PlanBuilder *builder, PlanObject *object, const Resolved *resolved, const ActualDomain *found, GPtrArray *actions) {
  guint first = actions->len;
  char *error = plan_growth(builder, object, found, actions);
  if (error == NULL)
    error = plan_volumes(builder, object, resolved, actions);
  for (guint i = first; i < actions->len; i++)
    for (guint before = 0; before < first; before++)
      build_wait(actions->pdata[i], ((const Action *)actions->pdata[before])->id);
  return error;
}

/* Brings definition and record in line. Returns the action that does, or NULL. */
static Action *define_anew(PlanBuilder *builder, PlanObject *object, const Resolved *resolved, const ActualDomain *found,
                           GPtrArray *actions, char **ret_error) {
  *ret_error = NULL;
  Action *action = NULL;
  if (needs_redefine(object))
    action = build_action(builder, object, ACTION_DOMAIN_REDEFINE, NULL, g_strdup("change the definition"), NULL);
  else if (!object->adopt && record_differs(object, found))
    action = build_action(builder, object, ACTION_DOMAIN_RECORD, NULL, g_strdup("update our record in its metadata"), NULL);
  if (action == NULL)
    return NULL;
  build_wait_all(action, actions);
  *ret_error = wait_for_others(builder, object, resolved, action);
  g_ptr_array_add(actions, action);
  return action;
}

/* A machine that goes back to a snapshot is then what only that brings to light: the rest is for the next run. */
static void leave_rest(PlanObject *object) {
  g_autoptr(GString) rest = g_string_new(NULL);
  object->change = CHANGE_UPDATE;
  for (guint i = object->fields->len; i > 0; i--) {
    const FieldChange *change = object->fields->pdata[i - 1];
    if (g_str_has_prefix(change->path, "revert") || change->call == CALL_POWER || change->call == CALL_RESIZE_DISK)
      continue; /* done with it */
    g_string_append_printf(rest, "%s%s", rest->len > 0 ? ", " : "", change->path);
    g_ptr_array_remove_index(object->fields, i - 1);
  }
  if (rest->len > 0)
    build_note(object, g_strdup_printf("the next run looks at the rest: %s", rest->str));
}

static void plan_update(PlanBuilder *builder, PlanObject *object, const Resolved *resolved, const ActualDomain *found) {
  g_autoptr(GPtrArray) actions = g_ptr_array_new();
  object->fingerprint = g_strdup(found->fingerprint);
  DiffInput diff = {
      .table = &VmSpec_table,
      .desired = object->desired->spec,
      .applied = found->owner != NULL ? &found->owner->spec : NULL,
      .persistent = &found->persistent,
      .live = found->active ? &found->live : NULL,
      .has_numa = found->has_numa,
      .started = found->started != NULL ? &found->started->spec : NULL,
  };
  g_ptr_array_unref(object->fields);
  object->fields = diff_spec(&diff);
  plan_helper_end(builder, object, found, actions);
  gboolean reverts;
  char *error = plan_revert(builder, object, found, resolved->sources, actions, &reverts);
  if (error == NULL && reverts) {
    leave_rest(object);
    return;
  }
  if (error == NULL)
    error = build_refusal(object);
  if (error == NULL)
    error = check_networks(builder, diff.desired, found);
  if (error == NULL)
    error = take_over(builder, object, resolved, actions);
  if (error == NULL)
    error = plan_snapshots_taken(builder, object, found, actions);
  const char *first = actions->len > 0 ? ((const Action *)actions->pdata[actions->len - 1])->id : NULL;
  if (error == NULL)
    error = plan_storage(builder, object, resolved, found, actions);
  Action *define = NULL;
  if (error == NULL)
    define = define_anew(builder, object, resolved, found, actions, &error);
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  const char *after = define != NULL ? define->id : first;
  autostart(builder, object, found, actions, after);
  if (found->active)
    plan_live_changes(builder, object, found, after, actions);
  const Action *due = plan_snapshots_due(builder, object, found);
  plan_snapshots_removed(builder, object, found, due, actions);
  plan_chain(builder, object, found, actions);
  error = plan_convert_fields(builder, object, found, resolved->sources);
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  if (!found->active)
    plan_convert(builder, object, found, resolved->sources, actions);
  error = plan_exports(builder, object, found, resolved->sources, actions);
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  plan_settle(builder, object, found, actions);
  plan_power(builder, object, found, resolved->sources, actions);
  const char *source = found->owner != NULL ? found->owner->source : NULL;
  if (object->change != CHANGE_ERROR && (actions->len > 0 || due != NULL)) {
    if (source != NULL && g_strcmp0(source, builder->input->source) != 0)
      build_note(object, g_strdup_printf("so far it was declared by another source, %s: this run takes it over", source));
    gboolean adopt_only = object->adopt && actions->len == 1 && due == NULL && object->fields->len == 0;
    object->change = adopt_only ? CHANGE_NONE : CHANGE_UPDATE;
  }
}

/* Only a run that asks that host too can tell whether a copy of it runs there (placement.c). */
static gboolean may_be_elsewhere(const PlanInput *input, const ActualDomain *found) {
  return input->placed == NULL && found->owner != NULL && given(&found->owner->facts, FactsSpec, arriving) && !found->active;
}

static char *refuse_existing(const PlanInput *input, const Object *declared, const ActualDomain *found) {
  gboolean adopt = given(&declared->metadata, MetadataSpec, adopt) && declared->metadata.adopt;
  if (found->error != NULL)
    return g_strdup_printf("it can't be read: %s", found->error);
  if (!found->is_persistent)
    return g_strdup("a transient machine of this name runs, which has no definition to manage: stop it, or define it ('virsh dumpxml', 'virsh define')");
  if (found->owner == NULL && !adopt)
    return g_strdup("a machine of this name exists that isn't ours: give metadata.adopt: true to take it over, or choose another name");
  if (may_be_elsewhere(input, found))
    return g_strdup_printf("it was being moved to %s, and may run there: use the source that declares both hosts", found->owner->facts.movingTo);
  return NULL;
}

void plan_vm(PlanBuilder *builder, const Object *declared) {
  const ActualDomain *found = g_hash_table_lookup(builder->input->actual->domains, declared->metadata.name);
  PlanObject *object = build_object(builder, KIND_VIRTUAL_MACHINE, declared->metadata.name, CHANGE_NONE, declared);
  char *error = found != NULL ? refuse_existing(builder->input, declared, found) : NULL;
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  g_autoptr(Resolved) resolved = resolve_vm(builder->input, object->declared, found);
  if (resolved->error != NULL) {
    build_error(builder, object, g_strdup(resolved->error));
    return;
  }
  object->desired = g_steal_pointer(&resolved->desired);
  object->adopt = found != NULL && found->owner == NULL;
  if (found == NULL)
    plan_create(builder, object, resolved);
  else
    plan_update(builder, object, resolved, found);
}
