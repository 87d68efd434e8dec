#include "reconciler/plan/fleet_plan.h"

#include <string.h>

static gboolean listed(char **hosts, const char *name) {
  return hosts == NULL || g_strv_contains((const char *const *)hosts, name);
}

/* A machine that is to move is neither made anew at its home nor an orphan where it is. A set of Object *. */
static GHashTable *living_on(const GPtrArray *placed, const FleetHost *host) {
  GHashTable *machines = g_hash_table_new(g_direct_hash, g_direct_equal);
  for (guint i = 0; i < placed->len; i++) {
    const Placed *each = placed->pdata[i];
    if (each->error == NULL && each->home == host && (each->now == NULL || each->now == host))
      g_hash_table_add(machines, (gpointer)each->machine);
  }
  return machines;
}

static gboolean belongs(const Object *object, GHashTable *living, const FleetHost *host) {
  switch (object->kind) {
  case KIND_STORAGE_POOL: return listed(((const StoragePoolSpec *)object->spec)->hosts, host->name);
  case KIND_NETWORK: return listed(((const NetworkSpec *)object->spec)->hosts, host->name);
  case KIND_VOLUME: return listed(((const VolumeSpec *)object->spec)->hosts, host->name);
  case KIND_VIRTUAL_MACHINE: return g_hash_table_contains(living, object);
  case KIND_PROFILE: return TRUE;
  default: return FALSE;
  }
}

static void add(Desired *part, const Object *object) {
  g_ptr_array_add(part->objects, object_ref(object));
  g_hash_table_replace(part->by_id, object_id(object->kind, object->metadata.name), (gpointer)object);
}

static void need_images(GHashTable *needed, const Object *object) {
  if (object->kind == KIND_VOLUME) {
    const VolumeSpec *volume = object->spec;
    if (given(volume, VolumeSpec, image))
      g_hash_table_add(needed, volume->image);
    return;
  }
  const VmSpec *vm = object->kind == KIND_VIRTUAL_MACHINE ? object_vm(object) : NULL;
  for (guint i = 0; vm != NULL && given(vm, VmSpec, disks) && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    if (given(disk, DiskSpec, image))
      g_hash_table_add(needed, disk->image);
  }
}

/* The order of the whole is kept: by kind, then name. */
Desired *fleet_part(const Desired *whole, const GPtrArray *placed, const FleetHost *host) {
  g_autoptr(GHashTable) needed = g_hash_table_new(g_str_hash, g_str_equal), living = living_on(placed, host);
  for (guint i = 0; i < whole->objects->len; i++)
    if (belongs(whole->objects->pdata[i], living, host))
      need_images(needed, whole->objects->pdata[i]);
  Desired *part = desired_new();
  for (guint i = 0; i < whole->objects->len; i++) {
    const Object *object = whole->objects->pdata[i];
    if (belongs(object, living, host) || (object->kind == KIND_IMAGE && g_hash_table_contains(needed, object->metadata.name)))
      add(part, object);
  }
  return part;
}

Plan *fleet_plan_new(const Fleet *fleet, const char *source, const char *revision) {
  Plan *plan = plan_new();
  plan->source = g_strdup(source);
  plan->revision = g_strdup(revision);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    PlanHost *each = g_new0(PlanHost, 1);
    each->name = g_strdup(host->name);
    each->connection = g_strdup(host->uri);
    each->unasked = host->actual == NULL;
    each->fenced = fleet_host_is_fenced(host);
    if (given(host->spec, HostSpec, limits)) {
      each->jobs = (guint)host->spec->limits.jobs;
      each->migrations = (guint)host->spec->limits.migrations;
    }
    if (fleet_host_shares_any(host)) {
      each->spec = g_new0(HostSpec, 1);
      spec_copy_field(&HostSpec_table, &HostSpec_table.fields[HostSpec_sharedPools], host->spec, each->spec);
    }
    g_ptr_array_add(plan->hosts, each);
  }
  return plan;
}

static char *host_action(const char *host, const char *id) { return g_strconcat(host, ".", id, NULL); }

static void rename_all(GPtrArray *ids /* NULL: none */, const char *host) {
  for (guint i = 0; ids != NULL && i < ids->len; i++) {
    char *id = host_action(host, ids->pdata[i]);
    g_free(ids->pdata[i]);
    ids->pdata[i] = id;
  }
}

/* Each host's actions are counted by themselves. */
static void rename_actions(Plan *part, const char *host) {
  for (guint i = 0; i < part->actions->len; i++) {
    Action *action = part->actions->pdata[i];
    char *id = host_action(host, action->id);
    g_free(action->id);
    action->id = id;
    rename_all(action->after, host);
    rename_all(action->regardless, host);
  }
}

static void move_all(GPtrArray *from, GPtrArray *to) {
  while (from->len > 0)
    g_ptr_array_add(to, g_ptr_array_steal_index(from, 0));
}

void fleet_plan_add(Plan *plan, Plan *part) {
  const char *host = part->objects->len > 0 ? ((const PlanObject *)part->objects->pdata[0])->host : NULL;
  if (host != NULL) {
    rename_actions(part, host);
    if (part->refused != NULL && plan->refused == NULL)
      plan->refused = g_strdup_printf("%s: %s", host, part->refused);
  }
  move_all(part->objects, plan->objects);
  move_all(part->actions, plan->actions);
  plan_free(part);
}

static PlanObject *add_trouble(Plan *plan, Kind kind, const char *name, const char *error) {
  PlanObject *object = g_new0(PlanObject, 1);
  object->kind = kind;
  object->name = g_strdup(name);
  object->change = CHANGE_ERROR;
  object->error = g_strdup(error);
  object->fields = g_ptr_array_new_with_free_func((GDestroyNotify)field_change_free);
  object->notes = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(plan->objects, object);
  return object;
}

void fleet_plan_troubles(Plan *plan, const Fleet *fleet, const GPtrArray *placed) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual == NULL && !fleet_host_is_fenced(host))
      add_trouble(plan, KIND_HOST, host->name, host->error->message);
  }
  for (guint i = 0; i < placed->len; i++) {
    const Placed *each = placed->pdata[i];
    if (each->error == NULL)
      continue;
    PlanObject *object = add_trouble(plan, KIND_VIRTUAL_MACHINE, each->machine->metadata.name, each->error);
    const FleetHost *concerns = each->home != NULL ? each->home : each->now;
    object->host = concerns != NULL ? g_strdup(concerns->name) : NULL;
    object->declared = object_ref(each->machine);
    object->place = g_strdup_printf("%s:%u", each->machine->at.file, each->machine->at.line);
  }
}

static gboolean concerns_host(const PlanObject *object, const char *host) {
  if (object->host != NULL)
    return g_str_equal(object->host, host);
  return object->kind != KIND_HOST || g_str_equal(object->name, host); /* else it is nowhere: all have to do with it */
}

void fleet_plan_only(Plan *plan, const char *host) {
  for (guint i = plan->objects->len; i-- > 0;) {
    PlanObject *object = plan->objects->pdata[i];
    if (concerns_host(object, host))
      continue;
    g_autofree char *id = plan_object_id(object);
    plan_drop_actions(plan, id);
    g_ptr_array_remove_index(plan->objects, i);
  }
}
