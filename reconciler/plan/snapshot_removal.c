/* Snapshots of ours that are declared no more, or have had their time: removed, unless something else needs
 * their layers. What execution finds then may differ: it decides anew, and refuses. */
#include "reconciler/plan/build.h"
#include "reconciler/plan/snapshot_policy.h"
#include "reconciler/plan/snapshot_rules.h"
#include "reconciler/plan/space.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const ActualDomain *found;
  GHashTable *kept;  /* names of the policy's snapshots that stay */
  GHashTable *gone;  /* paths of layers and names of snapshots that earlier actions of the plan remove */
  GPtrArray *actions;
  const Action *due; /* NULL: none */
} Removal;

static gboolean is_declared(const PlanObject *object, const char *name) {
  const VmSpec *vm = object_vm(object->desired);
  return given(vm, VmSpec, snapshots) && list_find(&SnapshotSpec_table, vm->snapshots, table_key_field(&SnapshotSpec_table), name) != NULL;
}

/* Of the policy's snapshots those that stay, by name. */
static GHashTable *kept_by_clock(PlanBuilder *builder, const PlanObject *object, const ActualDomain *found, gboolean due) {
  GHashTable *kept = g_hash_table_new(g_str_hash, g_str_equal);
  const SnapshotPolicySpec *policy = policy_of(object_vm(object->desired));
  g_autoptr(GPtrArray) taken = policy_snapshots(policy, found, builder->input->now);
  for (guint i = policy != NULL ? policy_surplus(policy, taken, due) : 0; i < taken->len; i++)
    g_hash_table_add(kept, ((const ActualSnapshot *)taken->pdata[i])->name);
  return kept;
}

static gboolean goes(const Removal *removal, const SnapshotFactSpec *fact) {
  return fact->origin != SnapshotOrigin_safety && !is_declared(removal->object, fact->name) && !g_hash_table_contains(removal->kept, fact->name);
}

/* Another volume on the path than the layer, and than what the plan removes before; NULL: none. */
static const char *other_overlay(const Removal *removal, const char *path, const char *layer) {
  const Actual *actual = removal->builder->input->actual;
  GHashTableIter iter;
  ActualVolume *volume;
  g_hash_table_iter_init(&iter, actual->volumes_by_path);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&volume))
    if (g_strcmp0(actual_file(actual, volume->backing_path), actual_file(actual, path)) == 0 && g_strcmp0(volume->path, layer) != 0 &&
        !g_hash_table_contains(removal->gone, volume->path))
      return volume->path;
  return NULL;
}

static int place_in(const ActualDisk *disk, const char *path) {
  for (guint i = 0; disk != NULL && i < disk->chain->len; i++)
    if (g_strcmp0(((const ActualVolume *)disk->chain->pdata[i])->path, path) == 0)
      return (int)i;
  return -1;
}

static const ActualVolume *layer_in(const GPtrArray *disks, const ActualSnapshotDisk *wanted, const char **ret_above) {
  const ActualDisk *disk = disks != NULL ? actual_disk(disks, wanted->target) : NULL;
  int place = place_in(disk, wanted->path);
  if (place > 0 && ret_above != NULL)
    *ret_above = ((const ActualVolume *)disk->chain->pdata[place - 1])->path;
  return place >= 0 ? disk->chain->pdata[place] : NULL;
}

/* The layer as the machine uses it, now or at its next start, and what lies on it; NULL: it is of a branch that was
 * left, or gone. */
static const ActualVolume *layer_used(const ActualDomain *found, const ActualSnapshotDisk *disk, const char **ret_above) {
  const ActualVolume *layer = layer_in(found->disks, disk, ret_above);
  return layer != NULL ? layer : layer_in(found->defined_disks, disk, ret_above);
}

static char *left_layer_needed(const Removal *removal, const ActualSnapshotDisk *disk) {
  const char *user = uses_domain(removal->builder->uses, disk->path, removal->found->name, FALSE), *overlay = other_overlay(removal, disk->path, NULL);
  if (user != NULL)
    return g_strdup_printf("its layer %s is a disk of the machine %s", disk->path, user);
  return overlay != NULL ? g_strdup_printf("%s, on another branch, is based on its layer %s", overlay, disk->path) : NULL;
}

/* Why the layer can't be merged into what it is on, or deleted where the machine doesn't use it. */
static char *layer_needed(const Removal *removal, const ActualSnapshotDisk *disk) {
  const char *above = NULL;
  const ActualVolume *layer = layer_used(removal->found, disk, &above);
  if (layer == NULL)
    return left_layer_needed(removal, disk);
  if (layer->backing_path == NULL)
    return g_strdup_printf("what lies beneath its layer %s can't be read: refresh the pool", disk->path);
  const char *user = uses_domain(removal->builder->uses, layer->backing_path, removal->found->name, FALSE);
  const char *overlay = other_overlay(removal, layer->backing_path, disk->path), *branch = other_overlay(removal, disk->path, above);
  if (user != NULL)
    return g_strdup_printf("%s is also a disk of the machine %s", layer->backing_path, user);
  if (branch != NULL)
    return g_strdup_printf("%s, on another branch, is based on its layer %s", branch, disk->path);
  return overlay != NULL ? g_strdup_printf("%s is needed by %s too", layer->backing_path, overlay) : NULL;
}

static gboolean descends_from(const ActualDomain *found, const ActualSnapshot *snapshot, const char *ancestor) {
  for (guint steps = 0; snapshot != NULL && snapshot->parent != NULL && steps <= found->snapshots->len; steps++) {
    if (g_str_equal(snapshot->parent, ancestor))
      return TRUE;
    snapshot = actual_snapshot(found, snapshot->parent);
  }
  return FALSE;
}

static gboolean is_internal(const ActualSnapshot *snapshot) {
  for (guint i = 0; i < snapshot->disks->len; i++)
    if (((const ActualSnapshotDisk *)snapshot->disks->pdata[i])->internal)
      return TRUE;
  return FALSE;
}

/* What an internal snapshot keeps lies in the file that later layers are based on: they go first. */
static char *internal_needed(const Removal *removal, const ActualSnapshot *snapshot) {
  const ActualDomain *found = removal->found;
  for (guint i = 0; i < found->snapshots->len; i++) {
    const ActualSnapshot *later = found->snapshots->pdata[i];
    if (!is_internal(later) && !g_hash_table_contains(removal->gone, later->name) && descends_from(found, later, snapshot->name))
      return g_strdup_printf("it lies within files that the later snapshot %s is based on: remove that one first", later->name);
  }
  return NULL;
}

static char *why_kept(const Removal *removal, const ActualSnapshot *snapshot) {
  char *why = snapshot_obstacle(removal->found);
  if (why == NULL && is_internal(snapshot))
    why = internal_needed(removal, snapshot);
  for (guint i = 0; why == NULL && i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (!disk->internal && disk->path != NULL)
      why = layer_needed(removal, disk);
  }
  const char *doubt = why == NULL && !is_internal(snapshot) ? volume_users_unread(uses_volumes(removal->builder->uses)) : NULL;
  return doubt != NULL ? g_strdup_printf("it can't be told whether something else uses its layers: %s", doubt) : why;
}

char *plan_snapshot_kept(PlanBuilder *builder, const ActualDomain *found, const ActualSnapshot *snapshot, GHashTable *gone) {
  const Removal removal = {.builder = builder, .found = found, .gone = gone};
  return why_kept(&removal, snapshot);
}

/* Layers right above that were merged into it before go with it; those beneath that went before are not there. */
static void add_room(const ActualDomain *found, const ActualSnapshotDisk *layer, GHashTable *gone, Action *action) {
  const ActualDisk *disk = actual_disk(found->disks, layer->target);
  if (place_in(disk, layer->path) < 0)
    disk = actual_disk(found->defined_disks, layer->target);
  int place = place_in(disk, layer->path);
  if (place < 0)
    return;
  const GPtrArray *chain = disk->chain;
  guint top = (guint)place, base = (guint)place + 1;
  while (top > 0 && g_hash_table_contains(gone, ((const ActualVolume *)chain->pdata[top - 1])->path))
    top--;
  while (base < chain->len && g_hash_table_contains(gone, ((const ActualVolume *)chain->pdata[base])->path))
    base++;
  if (base < chain->len)
    space_add(action, ((const ActualVolume *)chain->pdata[base])->pool, space_of_merge(chain, top, (guint)place, base));
}

void plan_snapshot_gone(const ActualDomain *found, const ActualSnapshot *snapshot, Action *action, GHashTable *gone) {
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (disk->path != NULL)
      add_room(found, disk, gone, action);
  }
  g_hash_table_add(gone, snapshot->name);
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (disk->path != NULL)
      g_hash_table_add(gone, disk->path);
  }
}

static void remove_with(Removal *removal, const char *name, const ActualSnapshot *snapshot, char *description) {
  Action *action = build_action(removal->builder, removal->object, ACTION_SNAPSHOT_REMOVE,
                                removal->due != NULL ? removal->due->id : NULL, description, "name", name, NULL);
  build_wait_all(action, removal->actions);
  g_ptr_array_add(removal->actions, action);
  if (snapshot != NULL)
    plan_snapshot_gone(removal->found, snapshot, action, removal->gone);
}

static void remove_or_keep(Removal *removal, const ActualSnapshot *snapshot, const char *how) {
  g_autofree char *why = why_kept(removal, snapshot);
  if (why != NULL)
    build_note(removal->object, g_strdup_printf("snapshot %s is declared no more, but stays: %s", snapshot->name, why));
  else
    remove_with(removal, snapshot->name, snapshot, g_strdup_printf("remove snapshot %s: %s", snapshot->name, how));
}

/* In which order: what lies on branches that were left from its end, then the machine's own chain from its
 * beginning (each byte is then copied once), then internal ones, the latest first. */
typedef enum { PART_LEFT, PART_CHAIN, PART_INTERNAL, PART_N } Part;

static Part part_of(const ActualDomain *found, const ActualSnapshot *snapshot) {
  if (is_internal(snapshot))
    return PART_INTERNAL;
  for (guint i = 0; i < snapshot->disks->len; i++)
    if (layer_used(found, snapshot->disks->pdata[i], NULL) != NULL)
      return PART_CHAIN;
  return PART_LEFT;
}

static void remove_part(Removal *removal, Part part) {
  static const char *const how[PART_N] = {"delete its layers, on a branch that was left", "merge its layers into what they are based on",
                                          "it lies within the disks' files"};
  const ActualDomain *found = removal->found;
  for (guint i = 0; i < found->snapshots->len; i++) {
    const ActualSnapshot *snapshot = found->snapshots->pdata[part == PART_CHAIN ? i : found->snapshots->len - 1 - i];
    const SnapshotFactSpec *fact = snapshot_fact(&found->owner->facts, snapshot->name);
    if (fact != NULL && goes(removal, fact) && part_of(found, snapshot) == part)
      remove_or_keep(removal, snapshot, how[part]);
  }
}

/* What our record names and isn't there: begun by a run that was interrupted, or removed by somebody. */
static void forget_missing(Removal *removal) {
  const FactsSpec *facts = &removal->found->owner->facts;
  for (guint i = 0; i < facts->snapshots->len; i++) {
    const SnapshotFactSpec *fact = facts->snapshots->pdata[i];
    if (actual_snapshot(removal->found, fact->name) == NULL && goes(removal, fact))
      remove_with(removal, fact->name, NULL, g_strdup_printf("forget snapshot %s, which isn't there", fact->name));
  }
}

void plan_snapshots_removed(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const Action *due, GPtrArray *actions) {
  if (found->owner == NULL || !given(&found->owner->facts, FactsSpec, snapshots))
    return; /* none is ours */
  g_autoptr(GHashTable) kept = kept_by_clock(builder, object, found, due != NULL), gone = g_hash_table_new(g_str_hash, g_str_equal);
  Removal removal = {builder, object, found, kept, gone, actions, due};
  for (Part part = 0; part < PART_N; part++)
    remove_part(&removal, part);
  forget_missing(&removal);
}
