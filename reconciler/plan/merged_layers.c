#include "reconciler/plan/merged_layers.h"

#include <string.h>

static const char *arg(const Action *action, const char *key) { return string_map_get(action->args, key); }

/* The plan's actions on the machine, of this kind. */
static GPtrArray *actions_of(const Plan *plan, const PlanObject *object, ActionKind kind) {
  g_autofree char *id = plan_object_id(object);
  GPtrArray *actions = g_ptr_array_new();
  for (guint i = 0; i < plan->actions->len; i++) {
    Action *action = plan->actions->pdata[i];
    if (action->kind == kind && g_str_equal(action->object, id))
      g_ptr_array_add(actions, action);
  }
  return actions;
}

static const ActualSnapshotDisk *disk_in(const ActualSnapshot *snapshot, const char *target) {
  for (guint i = 0; snapshot != NULL && i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (g_str_equal(disk->target, target))
      return disk;
  }
  return NULL;
}

static const char *path_of(const ActualDisk *disk, guint i) { return ((const ActualVolume *)disk->chain->pdata[i])->path; }

static void add_removed(GHashTable *gone, const GPtrArray *removals, const ActualDomain *found, const ActualDisk *disk) {
  for (guint i = 0; i < removals->len; i++) {
    const ActualSnapshotDisk *layer = disk_in(actual_snapshot(found, arg(removals->pdata[i], "name")), disk->target);
    if (layer != NULL && layer->path != NULL)
      g_hash_table_add(gone, layer->path);
  }
}

static void add_committed(GHashTable *gone, const GPtrArray *commits, const ActualDisk *disk) {
  for (guint i = 0; i < commits->len; i++) {
    const Action *commit = commits->pdata[i];
    gboolean within = FALSE;
    for (guint layer = 0; g_strcmp0(arg(commit, "target"), disk->target) == 0 && layer < disk->chain->len; layer++) {
      const char *path = path_of(disk, layer);
      within = (within || g_strcmp0(path, arg(commit, "top")) == 0) && g_strcmp0(path, arg(commit, "base")) != 0;
      if (within)
        g_hash_table_add(gone, (gpointer)path);
    }
  }
}

guint merged_layers_top(const Plan *plan, const PlanObject *object, const ActualDomain *found, const ActualDisk *disk) {
  g_autoptr(GPtrArray) removals = actions_of(plan, object, ACTION_SNAPSHOT_REMOVE), commits = actions_of(plan, object, ACTION_LAYER_COMMIT);
  g_autoptr(GHashTable) gone = g_hash_table_new(g_str_hash, g_str_equal);
  add_removed(gone, removals, found, disk);
  add_committed(gone, commits, disk);
  guint top = 0;
  while (top + 1 < disk->chain->len && g_hash_table_contains(gone, path_of(disk, top)))
    top++;
  return top;
}

static gboolean is_removed(const GPtrArray *removals, const char *name) {
  for (guint i = 0; i < removals->len; i++)
    if (g_strcmp0(arg(removals->pdata[i], "name"), name) == 0)
      return TRUE;
  return FALSE;
}

const char *merged_layers_snapshot(const Plan *plan, const PlanObject *object, const ActualDomain *found, const char *target) {
  g_autoptr(GPtrArray) removals = actions_of(plan, object, ACTION_SNAPSHOT_REMOVE), taken = actions_of(plan, object, ACTION_SNAPSHOT_TAKE);
  for (guint i = 0; i < found->snapshots->len; i++) {
    const ActualSnapshot *snapshot = found->snapshots->pdata[i];
    if (disk_in(snapshot, target) != NULL && !is_removed(removals, snapshot->name))
      return snapshot->name;
  }
  for (guint i = 0; i < taken->len; i++) {
    g_auto(GStrv) targets = g_strsplit(arg(taken->pdata[i], "disks"), ",", -1);
    if (g_strv_contains((const char *const *)targets, target))
      return arg(taken->pdata[i], "name");
  }
  return NULL;
}

gboolean merged_layers_replaced(const Plan *plan, const PlanObject *object, const char *target) {
  g_autoptr(GPtrArray) flattened = actions_of(plan, object, ACTION_DISK_FLATTEN);
  for (guint i = 0; i < flattened->len; i++)
    if (arg(flattened->pdata[i], "volume") != NULL && g_strcmp0(arg(flattened->pdata[i], "target"), target) == 0)
      return TRUE;
  return FALSE;
}

gboolean merged_layers_change(const Plan *plan, const PlanObject *object) {
  g_autoptr(GPtrArray) removals = actions_of(plan, object, ACTION_SNAPSHOT_REMOVE), taken = actions_of(plan, object, ACTION_SNAPSHOT_TAKE);
  return removals->len + taken->len > 0;
}
