/* Disk chains: how deep they may become, and what becomes of layers that people made.
 *
 * A layer is only merged where nobody needs what lies beneath it: each snapshot that stays keeps the boundary
 * between its layer and the one below. What stands in the way is said, as are snapshots and block jobs of
 * people: those are never touched without chain.handMade: merge. */
#include "reconciler/plan/chain.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/merged_layers.h"
#include "reconciler/plan/snapshot_rules.h"
#include "reconciler/plan/space.h"
#include "state/base_volume.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const ActualDomain *found;
  const ChainSpec *policy;
  GPtrArray *actions;
  guint depth; /* of the chain looked at */
} Stage;

static const char *name_of(const Chain *chain, guint i) {
  const ActualVolume *layer = chain_layer(chain, i);
  return layer->name != NULL ? layer->name : layer->path;
}

/* Whose a layer is. */

static gboolean is_shared(gpointer data, const Chain *chain, guint i, gboolean *ret_shared) {
  Uses *uses = data;
  const char *path = chain_layer(chain, i)->path, *above = i > 0 ? chain_layer(chain, i - 1)->path : NULL;
  *ret_shared = uses_overlay(uses, path, above) != NULL || uses_in_chain(uses, path, chain->domain, chain->disk->target);
  return TRUE;
}

static gboolean is_declared_snapshot(const Stage *stage, const char *name) {
  const VmSpec *vm = object_vm(stage->object->declared);
  return given(vm, VmSpec, snapshots) &&
         list_find(&SnapshotSpec_table, vm->snapshots, table_key_field(&SnapshotSpec_table), name) != NULL;
}

static gboolean is_hand_made(const Stage *stage, const ActualSnapshot *snapshot) {
  const FactsSpec *facts = stage->found->owner != NULL ? &stage->found->owner->facts : NULL;
  return !(facts != NULL && snapshot_fact(facts, snapshot->name) != NULL) && !is_declared_snapshot(stage, snapshot->name);
}

/* Actions. */

static Action *add(const Stage *stage, ActionKind kind, const char *target, char *description) {
  Action *action = build_action(stage->builder, stage->object, kind, NULL, description, "target", target, NULL);
  build_wait_all(action, stage->actions);
  g_ptr_array_add(stage->actions, action);
  return action;
}

/* A block job, in the machine's QEMU where it runs. */
static Action *add_job(const Stage *stage, ActionKind kind, const char *target, char *description) {
  Action *action = add(stage, kind, target, description);
  g_autofree char *bandwidth = g_strdup_printf("%" G_GUINT64_FORMAT, stage->policy->bandwidth);
  if (given(stage->policy, ChainSpec, bandwidth))
    string_map_set(action->args, "bandwidth", bandwidth);
  if (stage->found->active)
    action->impact = IMPACT_LIVE;
  return action;
}

static void set_bytes(Action *action, const ActualVolume *into, guint64 bytes) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
  if (into->pool == NULL)
    return;
  string_map_set(action->args, "pool", into->pool);
  string_map_set(action->args, "bytes", text);
}

static void merge(const Stage *stage, const Chain *chain, guint top, guint base) {
  const char *target = chain->disk->target;
  char *what = base - top == 1 ? g_strdup_printf("merge layer %s of disk %s into %s", name_of(chain, top), target, name_of(chain, base))
                               : g_strdup_printf("merge %u layers of disk %s, %s to %s, into %s", base - top, target, name_of(chain, top),
                                                 name_of(chain, base - 1), name_of(chain, base));
  Action *action = add_job(stage, ACTION_LAYER_COMMIT, target, what);
  string_map_set(action->args, "top", chain_layer(chain, top)->path);
  string_map_set(action->args, "base", chain_layer(chain, base)->path);
  set_bytes(action, chain_layer(chain, base), space_of_merge(chain->disk->chain, top, base - 1, base));
}

/* A name that no volume of the pool has. */
static char *free_name(const Stage *stage, const char *pool, const char *target, const char *format) {
  for (guint i = 1;; i++) {
    g_autofree char *counted = g_strdup_printf("%s-%s.flat-%u.%s", stage->found->name, target, i, format);
    if (locate_volume(stage->builder->input, pool, counted) == NULL)
      return g_steal_pointer(&counted);
  }
}

/* Why the disk can't become stand-alone now; NULL: it can. */
static char *flatten_obstacle(const Stage *stage, const Chain *chain) {
  const ActualVolume *top = chain_layer(chain, 0);
  const ActualSnapshot *internal = chain_internal_snapshot(chain);
  for (guint i = 0; i < stage->depth; i++) {
    const ActualSnapshot *snapshot = chain_snapshot(chain, chain_layer(chain, i)->path);
    if (snapshot != NULL)
      return g_strdup_printf("the snapshot %s needs the layer beneath %s", snapshot->name, name_of(chain, i));
    if (i > 0 && chain_is_declared(chain, i))
      return g_strdup_printf("%s is declared as the disk: merge the layers on it with onExceed: commit", name_of(chain, i));
  }
  if (internal != NULL)
    return g_strdup_printf("the snapshot %s is kept within its file", internal->name);
  if (!stage->found->active && chain_is_declared(chain, 0))
    return g_strdup_printf("%s is declared as the disk, and would be replaced by another volume: start the machine", name_of(chain, 0));
  if (!stage->found->active && top->pool == NULL)
    return g_strdup_printf("%s is in no storage pool: start the machine", name_of(chain, 0));
  return stage->found->active ? NULL : plan_retired_wait(stage->found, chain->disk->target);
}

static char *flatten(const Stage *stage, const Chain *chain) {
  char *obstacle = flatten_obstacle(stage, chain);
  const ActualVolume *top = chain_layer(chain, 0);
  const char *target = chain->disk->target;
  if (obstacle != NULL)
    return obstacle;
  if (stage->found->active) {
    Action *action = add_job(stage, ACTION_DISK_FLATTEN, target, g_strdup_printf("flatten disk %s: copy all that lies beneath %s into it", target,
                                                                             name_of(chain, 0)));
    guint64 whole = space_of_copy(chain->disk->chain);
    set_bytes(action, top, whole - MIN(top->allocation, whole));
    return NULL;
  }
  /* In the format that the file wants, so that it isn't converted once more. */
  const char *format = Format_words.words[given(chain->declared, DiskSpec, format) ? chain->declared->format : Format_qcow2];
  g_autofree char *volume = free_name(stage, top->pool, target, format), *capacity = g_strdup_printf("%" G_GUINT64_FORMAT, top->capacity);
  Action *action = add(stage, ACTION_DISK_FLATTEN, target, g_strdup_printf("flatten disk %s into the new volume %s; %s is kept until the "
                                                                           "machine has run on it", target, volume, name_of(chain, 0)));
  string_map_set(action->args, "volume", volume);
  string_map_set(action->args, "format", format);
  string_map_set(action->args, "capacity", capacity);
  set_bytes(action, top, space_of_copy(chain->disk->chain));
  return NULL;
}

/* What keeps layer i and the one beneath it apart; NULL: nothing. */
static char *boundary(const Chain *chain, guint i) {
  const ActualSnapshot *snapshot = chain_snapshot(chain, chain_layer(chain, i)->path);
  if (snapshot != NULL)
    return g_strdup_printf("the snapshot %s needs the layer beneath %s", snapshot->name, name_of(chain, i));
  if (chain_is_declared(chain, i))
    return g_strdup_printf("%s is declared as the disk", name_of(chain, i));
  return NULL;
}

/* Every run of layers that nothing keeps apart becomes one. Returns what stands in the way of the wanted depth,
 * and how deep the chain remains. */
static char *commit(const Stage *stage, const Chain *chain, guint *ret_depth) {
  const ActualSnapshot *internal = chain_internal_snapshot(chain);
  const char *doubt = volume_users_unread(uses_volumes(stage->builder->uses));
  if (internal != NULL)
    return g_strdup_printf("the snapshot %s is kept within one of its layers", internal->name);
  if (doubt != NULL)
    return g_strdup_printf("it can't be told whether something else uses its layers: %s", doubt);
  g_autofree char *kept = NULL;
  guint top = 0, depth = 1;
  for (guint i = 0; i < stage->depth; i++) {
    gboolean last = i + 1 == stage->depth;
    char *why = last ? NULL : boundary(chain, i);
    if (!last && why == NULL)
      continue;
    if (i > top)
      merge(stage, chain, top, i);
    depth += !last;
    top = i + 1;
    if (why != NULL && kept == NULL)
      kept = why;
    else
      g_free(why);
  }
  *ret_depth = depth;
  return depth > (guint)stage->policy->maxDepth ? g_steal_pointer(&kept) : NULL;
}

/* Layers of people. */

static gboolean merges_hand_made(const Stage *stage) {
  return given(stage->policy, ChainSpec, handMade) && stage->policy->handMade == HandMade_merge;
}

/* The layer that going back to a snapshot made. */
static gboolean is_of_revert(const Stage *stage, const Chain *chain, guint i) {
  const FactsSpec *facts = stage->found->owner != NULL ? &stage->found->owner->facts : NULL;
  if (facts == NULL || !given(facts, FactsSpec, reverted))
    return FALSE;
  g_autofree char *name = chain_layer_name(stage->found->name, chain->disk->target, facts->reverted);
  return g_strcmp0(chain_layer(chain, i)->name, name) == 0;
}

static void note_hand_made(const Stage *stage, const Chain *chain) {
  for (guint i = 0; i < stage->depth; i++) {
    const ActualSnapshot *snapshot = chain_snapshot(chain, chain_layer(chain, i)->path);
    if (snapshot != NULL && is_hand_made(stage, snapshot) && !merges_hand_made(stage))
      build_note(stage->object, g_strdup_printf("disk %s is a layer deeper, %s, by the snapshot %s that a person made: declare it under "
                                                "snapshots to keep it, merge it away with chain.handMade: merge, or leave it",
                                                chain->disk->target, name_of(chain, i), snapshot->name));
    if (snapshot == NULL && i + 1 < stage->depth && !is_of_revert(stage, chain, i) && !given(stage->policy, ChainSpec, maxDepth))
      build_note(stage->object, g_strdup_printf("disk %s is a layer deeper, %s, which belongs to no snapshot: a person made it; merge it away "
                                                "with chain.maxDepth and onExceed: commit, or leave it", chain->disk->target, name_of(chain, i)));
  }
}

static gboolean has_layers(const ActualSnapshot *snapshot) {
  for (guint i = 0; i < snapshot->disks->len; i++)
    if (((const ActualSnapshotDisk *)snapshot->disks->pdata[i])->path != NULL)
      return TRUE;
  return FALSE;
}

/* The newest first: each is then the top layer, and its parent stays as it is. */
static void merge_hand_made(const Stage *stage) {
  g_autoptr(GHashTable) gone = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = stage->found->snapshots->len; i > 0; i--) {
    const ActualSnapshot *snapshot = stage->found->snapshots->pdata[i - 1];
    if (!is_hand_made(stage, snapshot) || !has_layers(snapshot))
      continue;
    g_autofree char *obstacle = plan_snapshot_kept(stage->builder, stage->found, snapshot, gone);
    if (obstacle != NULL) {
      build_note(stage->object, g_strdup_printf("snapshot %s, which a person made, isn't merged away: %s", snapshot->name, obstacle));
      continue;
    }
    Action *adopt = add(stage, ACTION_SNAPSHOT_ADOPT, NULL, g_strdup_printf("take over snapshot %s, which a person made", snapshot->name));
    string_map_set(adopt->args, "name", snapshot->name);
    Action *remove = add(stage, ACTION_SNAPSHOT_REMOVE, NULL, g_strdup_printf("merge snapshot %s away", snapshot->name));
    string_map_set(remove->args, "name", snapshot->name);
    plan_snapshot_gone(stage->found, snapshot, remove, gone);
    stage->object->follows = TRUE; /* ours may have stayed for it */
  }
}

/* One disk. */

static void shorten(const Stage *stage, const Chain *chain) {
  ChainPolicy policy = given(stage->policy, ChainSpec, onExceed) ? (ChainPolicy)stage->policy->onExceed : ChainPolicy_report;
  g_autofree char *obstacle = NULL;
  guint depth = stage->depth;
  if (policy == ChainPolicy_report)
    obstacle = g_strdup("chain.onExceed says what is done: flatten or commit");
  else if (!stage->found->active && stage->found->has_managed_save)
    obstacle = g_strdup("the machine is hibernated, and its saved memory knows the layers");
  else
    obstacle = policy == ChainPolicy_flatten ? flatten(stage, chain) : commit(stage, chain, &depth);
  if (obstacle != NULL)
    build_note(stage->object, g_strdup_printf("disk %s %s %u layers deep, and %" G_GINT64_FORMAT " are wanted at most: %s",
                                              chain->disk->target, depth < stage->depth ? "remains" : "is", depth, stage->policy->maxDepth, obstacle));
}

static gboolean is_ours(const Stage *stage, const ActualDisk *disk) {
  const DiskFactSpec *fact = stage->found->owner != NULL ? disk_facts(&stage->found->owner->facts, disk->target) : NULL;
  return fact != NULL && given(fact, DiskFactSpec, leaving);
}

/* Mostly a disk is one layer on an image, without snapshots: then who else uses it makes no difference, and isn't looked up. */
static guint depth_of(const Stage *stage, const Chain *chain) {
  g_autofree char *image = base_volume_digest(chain_layer(chain, 1)->path);
  guint depth = 1;
  if (image == NULL || stage->found->snapshots->len > 0)
    chain_depth(chain, is_shared, stage->builder->uses, &depth);
  return depth;
}

static void plan_disk(Stage *stage, const Chain *chain) {
  const ActualDisk *disk = chain->disk;
  if (disk->job != NULL && !is_ours(stage, disk)) {
    build_note(stage->object, g_strdup_printf("a block job (%s) that somebody started runs on disk %s: its layers are left alone until it has "
                                              "ended", disk->job, disk->target));
    return;
  }
  if (disk->chain->len < 2)
    return;
  stage->depth = depth_of(stage, chain);
  note_hand_made(stage, chain);
  if (!given(stage->policy, ChainSpec, maxDepth))
    return;
  if (merged_layers_change(stage->builder->plan, stage->object)) {
    stage->object->follows = TRUE;
    build_note(stage->object, g_strdup_printf("how deep disk %s is then is judged when its snapshots have changed, in the same run", disk->target));
  } else if (stage->depth > (guint)stage->policy->maxDepth) {
    shorten(stage, chain);
  }
}

void plan_chain(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  const VmSpec *vm = object_vm(object->declared);
  Stage stage = {builder, object, found, &vm->chain, actions, 0};
  if (merges_hand_made(&stage))
    merge_hand_made(&stage);
  for (guint i = 0; i < found->disks->len; i++) {
    const ActualDisk *disk = found->disks->pdata[i];
    const Chain chain = {found, disk, vm_disk(vm, disk->target)};
    if (chain.declared != NULL && disk->path != NULL)
      plan_disk(&stage, &chain);
  }
}
