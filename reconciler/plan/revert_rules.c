#include "reconciler/plan/revert_rules.h"

#include "reconciler/plan/chain.h"

static void disk_free(gpointer data) {
  RevertDisk *disk = data;
  g_free(disk->volume);
  g_free(disk);
}

void revert_plan_free(RevertPlan *plan) {
  if (plan == NULL)
    return;
  g_ptr_array_unref(plan->disks);
  g_free(plan);
}

static char *unknown_snapshot(const ActualDomain *domain, const char *name) {
  g_autoptr(GString) names = g_string_new(NULL);
  for (guint i = 0; i < domain->snapshots->len; i++)
    g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", ((const ActualSnapshot *)domain->snapshots->pdata[i])->name);
  return g_strdup_printf("there is no snapshot %s: the machine has %s", name, names->len > 0 ? names->str : "none");
}

static char *check_state(const ActualDomain *domain) {
  PowerState power;
  if (!power_state_of(domain->state, domain->has_managed_save, &power))
    return g_strdup_printf("the machine is %s: wait until that is over", power_state_word(domain->state, domain->has_managed_save));
  if (power == PowerState_hibernated)
    return g_strdup("the machine is hibernated, and its saved memory belongs to the disks as they are: start it, or discard that "
                    "('virsh managedsave-remove')");
  for (guint i = 0; domain->disks != NULL && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    if (disk->job != NULL)
      return g_strdup_printf("a block job (%s) works on disk %s: wait until it has ended, or end it", disk->job, disk->target);
  }
  return NULL;
}

/* Who writes to a file, or relies on it in another way than beneath a layer: NULL: nobody. */
static char *writer_of(const VolumeUsers *users, const char *path) {
  const GPtrArray *list = volume_users_of(users, path);
  for (guint i = 0; i < list->len; i++) {
    const VolumeUser *user = list->pdata[i];
    gboolean writes = (user->use == USER_DISK || user->use == USER_DEFINITION || user->use == USER_SAVED) && user->depth == 0;
    if (writes || user->use == USER_JOB)
      return g_strdup_printf("disk %s of machine %s", user->target, user->domain);
  }
  return NULL;
}

static char *find_pool(const VolumeUsers *users, RevertDisk *disk) {
  const ActualVolume *top = volume_users_layer(users, disk->top), *held = volume_users_layer(users, disk->holds);
  disk->pool = top != NULL && top->pool != NULL ? top->pool : held != NULL ? held->pool : NULL;
  return disk->pool != NULL ? NULL : g_strdup_printf("%s is in no storage pool, where a new layer could be made: define and start a pool over "
                                                     "its directory", disk->top);
}

/* A file beneath it that isn't there, as far as pools tell; NULL: none. */
static const char *lost_beneath(const VolumeUsers *users, const ActualVolume *held) {
  g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
  while (held->backing_path != NULL && g_hash_table_add(seen, (gpointer)held)) {
    const ActualVolume *next = volume_users_layer(users, held->backing_path);
    if (next == NULL)
      return volume_users_gone(users, held->backing_path) ? held->backing_path : NULL;
    held = next;
  }
  return NULL;
}

static char *check_external(const Actual *actual, const VolumeUsers *users, const ActualSnapshotDisk *of, gboolean resumed, RevertDisk *disk) {
  const ActualVolume *layer = volume_users_layer(users, of->path);
  disk->holds = volume_users_held(users, of);
  if (disk->holds == NULL)
    return g_strdup_printf("what the snapshot holds can't be told: its layer %s %s", of->path != NULL ? of->path : "isn't named",
                           layer == NULL ? "is in no storage pool that runs" : "has nothing beneath");
  const ActualVolume *held = volume_users_layer(users, disk->holds);
  if (held == NULL || held->error != NULL || held->capacity == 0)
    return g_strdup_printf("%s, which the snapshot holds, can't be read: bring it back, or start or refresh its pool", disk->holds);
  const char *lost = lost_beneath(users, held);
  if (lost != NULL)
    return g_strdup_printf("%s, on which what the snapshot holds is based, isn't there: bring it back, or refresh its pool", lost);
  disk->format = layer->backing_format != NULL ? layer->backing_format : held->format;
  disk->bytes = held->capacity;
  g_autofree char *writer = writer_of(users, disk->holds);
  if (writer != NULL)
    return g_strdup_printf("%s, which the snapshot holds, is written to as %s: it isn't what it was", disk->holds, writer);
  char *error = find_pool(users, disk);
  const ActualPool *pool = error == NULL ? g_hash_table_lookup(actual->pools, disk->pool) : NULL;
  if (pool != NULL && pool->spec.type != PoolType_dir && pool->spec.type != PoolType_fs && pool->spec.type != PoolType_netfs)
    error = g_strdup_printf("pool %s has no room for the file of a new layer", disk->pool);
  else if (pool != NULL && !resumed && g_hash_table_contains(pool->volumes, disk->volume))
    error = g_strdup_printf("volume %s of pool %s exists already: choose another word as request", disk->volume, disk->pool);
  return error;
}

static char *check_internal(const VolumeUsers *users, const ActualDomain *domain, const ActualSnapshotDisk *of, const RevertDisk *disk) {
  if (of->base != NULL && g_strcmp0(of->base, disk->top) != 0)
    return g_strdup_printf("the snapshot is kept within %s, which is beneath %s now: merge the layers above first", of->base, disk->top);
  const GPtrArray *list = volume_users_of(users, disk->top);
  for (guint i = 0; i < list->len; i++) {
    const VolumeUser *user = list->pdata[i];
    if (user->use == USER_OVERLAY)
      return g_strdup_printf("%s is an overlay on %s, and would read something else then", user->path, disk->top);
    if (user->domain != NULL && g_strcmp0(user->domain, domain->name) != 0)
      return g_strdup_printf("machine %s uses %s too", user->domain, disk->top);
  }
  return NULL;
}

static char *check_disk(const Actual *actual, const VolumeUsers *users, const ActualDomain *domain, const ActualSnapshotDisk *of,
                        gboolean resumed, RevertDisk *disk) {
  const ActualDisk *defined = actual_disk(domain->defined_disks, of->target);
  const ActualDisk *now = domain->active ? actual_disk(domain->disks, of->target) : defined;
  if (defined == NULL || now == NULL)
    return g_strdup("the machine doesn't have it any more");
  if (defined->path == NULL)
    return g_strdup("it isn't a file any more");
  if (g_strcmp0(defined->path, now->path) != 0)
    return g_strdup_printf("it is another file at the next start (%s): restart the machine first", defined->path);
  disk->top = defined->path;
  return of->internal ? check_internal(users, domain, of, disk) : check_external(actual, users, of, resumed, disk);
}

static char *check_disks(const Actual *actual, const VolumeUsers *users, const ActualDomain *domain, const char *request, gboolean resumed,
                         RevertPlan *plan) {
  for (guint i = 0; i < plan->snapshot->disks->len; i++) {
    const ActualSnapshotDisk *of = plan->snapshot->disks->pdata[i];
    RevertDisk *disk = g_new0(RevertDisk, 1);
    disk->target = of->target;
    disk->volume = chain_layer_name(domain->name, of->target, request);
    g_ptr_array_add(plan->disks, disk);
    if (i == 0)
      plan->internal = of->internal;
    g_autofree char *error = plan->internal != of->internal ? g_strdup("it is kept in another way than the others of the snapshot")
                                                            : check_disk(actual, users, domain, of, resumed, disk);
    if (error != NULL)
      return g_strdup_printf("disk %s: %s", of->target, error);
  }
  return plan->disks->len > 0 ? NULL : g_strdup("the snapshot holds no disk");
}

static gboolean is_covered(const ActualSnapshot *snapshot, const char *target) {
  for (guint i = 0; i < snapshot->disks->len; i++)
    if (g_str_equal(((const ActualSnapshotDisk *)snapshot->disks->pdata[i])->target, target))
      return TRUE;
  return FALSE;
}

GPtrArray *revert_untouched(const ActualDomain *domain, const ActualSnapshot *snapshot) {
  GPtrArray *targets = g_ptr_array_new();
  for (guint i = 0; i < domain->defined_disks->len; i++) {
    const ActualDisk *disk = domain->defined_disks->pdata[i];
    const DiskSpec *spec = vm_disk(&domain->persistent, disk->target);
    if (!(spec != NULL && disk_is_read_only(spec)) && !is_covered(snapshot, disk->target))
      g_ptr_array_add(targets, disk->target);
  }
  return targets;
}

RevertPlan *revert_plan_new(const Actual *actual, const VolumeUsers *users, const ActualDomain *domain, const char *to,
                            const char *request, gboolean resumed, char **ret_error) {
  g_autoptr(RevertPlan) plan = g_new0(RevertPlan, 1);
  plan->snapshot = actual_snapshot(domain, to);
  plan->disks = g_ptr_array_new_with_free_func(disk_free);
  char *error = plan->snapshot == NULL ? unknown_snapshot(domain, to) : check_state(domain);
  if (error == NULL)
    error = check_disks(actual, users, domain, request, resumed, plan);
  *ret_error = error;
  return error == NULL ? g_steal_pointer(&plan) : NULL;
}

/* Those that name the layers of the new branch afterwards: the snapshot gone back to, and those before it. */
static gboolean names_another(const ActualDomain *domain, const RevertPlan *plan, const char *snapshot) {
  guint limit = domain->snapshots->len;
  for (const ActualSnapshot *each = plan->snapshot; each != NULL && snapshot != NULL; each = actual_snapshot(domain, each->parent)) {
    if (g_str_equal(each->name, snapshot))
      return TRUE;
    if (each->parent == NULL || limit-- == 0)
      break;
  }
  return FALSE;
}

static gboolean is_in_chain(const VolumeUsers *users, const char *each, const char *path) {
  for (const ActualVolume *layer; each != NULL && !g_str_equal(each, path); each = layer != NULL ? layer->backing_path : NULL)
    layer = volume_users_layer(users, each);
  return each != NULL;
}

/* A use that remains: not as a layer of this disk, nor as that of a snapshot which names another one then. */
static gboolean is_needed(const VolumeUsers *users, const ActualDomain *domain, const RevertPlan *plan, const RevertDisk *disk, const char *path,
                          const GPtrArray *abandoned) {
  const GPtrArray *list = volume_users_of(users, path);
  for (guint i = 0; i < list->len; i++) {
    const VolumeUser *user = list->pdata[i];
    gboolean own = g_strcmp0(user->domain, domain->name) == 0 && g_strcmp0(user->target, disk->target) == 0;
    gboolean goes = user->use == USER_OVERLAY ? g_ptr_array_find_with_equal_func((GPtrArray *)abandoned, user->path, g_str_equal, NULL)
                    : own && (user->use == USER_DISK || user->use == USER_DEFINITION ||
                              (user->use == USER_SNAPSHOT_LAYER && names_another(domain, plan, user->snapshot)));
    if (!goes)
      return TRUE;
  }
  return FALSE;
}

/* From a layer down, as far as nothing needs it. */
static void abandon(const VolumeUsers *users, const ActualDomain *domain, const RevertPlan *plan, const RevertDisk *disk, const char *path,
                    GPtrArray *abandoned) {
  for (const ActualVolume *layer; path != NULL && !is_needed(users, domain, plan, disk, path, abandoned); path = layer->backing_path) {
    layer = volume_users_layer(users, path);
    if (layer == NULL || layer->pool == NULL || is_in_chain(users, disk->holds, path) ||
        g_ptr_array_find_with_equal_func(abandoned, path, g_str_equal, NULL))
      break;
    g_ptr_array_add(abandoned, (gpointer)path);
  }
}

/* Beside the disk's own, unless they are kept: what an earlier revert left to the snapshot that named it. */
GPtrArray *revert_abandoned(const VolumeUsers *users, const ActualDomain *domain, const RevertPlan *plan, const RevertDisk *disk, gboolean kept) {
  GPtrArray *abandoned = g_ptr_array_new();
  if (plan->internal)
    return abandoned;
  if (!kept)
    abandon(users, domain, plan, disk, disk->top, abandoned);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    for (guint j = 0; names_another(domain, plan, snapshot->name) && j < snapshot->disks->len; j++) {
      const ActualSnapshotDisk *of = snapshot->disks->pdata[j];
      if (g_str_equal(of->target, disk->target) && of->path != NULL && !(kept && is_in_chain(users, disk->top, of->path)))
        abandon(users, domain, plan, disk, of->path, abandoned);
    }
  }
  return abandoned;
}
