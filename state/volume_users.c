#include "state/volume_users.h"

#include <string.h>

const char *const volume_use_words[USER_N + 1] = {
    "overlay", "disk", "definition", "saved", "snapshot", "snapshot-layer", "memory", "job", "boot", "kept", NULL,
};

struct VolumeUsers {
  const Actual *actual;
  GHashTable *layers;  /* path → const ActualVolume * */
  GHashTable *by_path; /* path → GPtrArray of VolumeUser * */
  GPtrArray *nobody;   /* empty */
  GPtrArray *doubts;   /* of Doubt * */
};

typedef struct {
  gboolean unread;          /* a pool or a machine couldn't be read: looking again shows no more */
  const char *snapshots_of; /* a machine; NULL: it is about something else */
  const char *path;         /* a file of which nothing is known; NULL: none */
  char *text;
} Doubt;

static void doubt_free(gpointer data) {
  Doubt *doubt = data;
  g_free(doubt->text);
  g_free(doubt);
}

static void doubt(VolumeUsers *users, Doubt doubt) { g_ptr_array_add(users->doubts, g_memdup2(&doubt, sizeof doubt)); }

static void unread(VolumeUsers *users, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void unread(VolumeUsers *users, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  doubt(users, (Doubt){.unread = TRUE, .text = g_strdup_vprintf(format, arguments)});
  va_end(arguments);
}

static void add(VolumeUsers *users, const char *path, VolumeUser user) {
  path = actual_file(users->actual, path);
  GPtrArray *list = path ? g_hash_table_lookup(users->by_path, path) : NULL;
  if (!path)
    return;
  if (!list)
    g_hash_table_insert(users->by_path, (gpointer)path, list = g_ptr_array_new_with_free_func(g_free));
  g_ptr_array_add(list, g_memdup2(&user, sizeof user));
}

/* A file and all that lies beneath it. What is known of a layer may be a loop. */
static void add_downwards(VolumeUsers *users, const char *path, VolumeUser user) {
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (; path && g_hash_table_add(seen, (gpointer)path); user.depth++) {
    add(users, path, user);
    const ActualVolume *layer = volume_users_layer(users, path);
    path = layer ? layer->backing_path : NULL;
  }
}

/* Layers first: what a snapshot holds is found through them. */

static void know_pool(VolumeUsers *users, const ActualPool *pool) {
  if (pool->error)
    unread(users, "pool %s can't be read, and a volume in it may be based on anything: %s", pool->name, pool->error);
  else if (!pool->active)
    unread(users, "pool %s isn't started, and a volume in it may be based on anything: start it ('virsh pool-start %s'), or, where nobody "
           "needs it, undefine it ('virsh pool-undefine %s'; its files stay)", pool->name, pool->name, pool->name);
  GHashTableIter iter;
  ActualVolume *volume;
  g_hash_table_iter_init(&iter, pool->volumes);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&volume)) {
    if (volume->error)
      unread(users, "%s", volume->error);
    const char *path = actual_file(users->actual, volume->path);
    const ActualVolume *other = path ? g_hash_table_lookup(users->layers, path) : NULL;
    if (path && (!other || (!g_str_equal(other->path, path) && g_str_equal(volume->path, path))))
      g_hash_table_replace(users->layers, (gpointer)path, volume);
  }
}

static void know_chains(VolumeUsers *users, const ActualDomain *domain) {
  if (domain->error)
    unread(users, "machine %s can't be read: %s", domain->name, domain->error);
  for (guint i = 0; domain->active && domain->disks && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    for (guint j = 0; j < disk->chain->len; j++) {
      ActualVolume *layer = disk->chain->pdata[j];
      g_hash_table_replace(users->layers, (gpointer)actual_file(users->actual, layer->path), layer);
    }
  }
}

/* Then who uses them. */

static void use_overlays(VolumeUsers *users) {
  GHashTableIter iter;
  const ActualVolume *layer;
  g_hash_table_iter_init(&iter, users->layers);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&layer))
    add(users, layer->backing_path, (VolumeUser){.use = USER_OVERLAY, .path = layer->path});
}

static void doubt_end(VolumeUsers *users, const ActualDomain *domain, const ActualDisk *disk) {
  const char *path = domain->active ? NULL : actual_chain_unknown(domain, disk);
  if (path && !volume_users_layer(users, path))
    doubt(users, (Doubt){.path = path,
                         .text = g_strdup_printf("what lies beneath %s (disk %s of machine %s) isn't known: it is in no storage pool that runs",
                                                 path, disk->target, domain->name)});
}

static void use_disks(VolumeUsers *users, const ActualDomain *domain, const GPtrArray *disks, VolumeUse use) {
  for (guint i = 0; disks && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    VolumeUser user = {.use = use, .domain = domain->name, .target = disk->target};
    add_downwards(users, disk->path, user);
    if (use == USER_DISK) {
      user.use = USER_JOB;
      add(users, disk->job_path, user);
    } else {
      doubt_end(users, domain, disk);
    }
  }
}

gboolean volume_users_gone(const VolumeUsers *users, const char *path) {
  g_autofree char *directory = path && !volume_users_layer(users, path) ? g_path_get_dirname(path) : NULL;
  GHashTableIter iter;
  const ActualPool *pool;
  g_hash_table_iter_init(&iter, users->actual->pools);
  while (directory && g_hash_table_iter_next(&iter, NULL, (gpointer *)&pool))
    if (pool->active && !pool->error && g_strcmp0(pool->target, directory) == 0)
      return TRUE;
  return FALSE;
}

/* Where the layer has gone (libvirt is told of that last), the snapshot relies on nothing but what the disk was then. */
static const char *held_at_most(const VolumeUsers *users, const ActualSnapshotDisk *disk) {
  const char *held = volume_users_held(users, disk);
  if (held || disk->internal || !volume_users_layer(users, disk->base))
    return held;
  return volume_users_gone(users, disk->path) ? disk->base : NULL;
}

/* Of a layer that no pool and no running machine tells of, libvirt's snapshot knows what it was made upon. */
static void use_base(VolumeUsers *users, const ActualSnapshotDisk *disk) {
  if (!disk->internal && disk->path && !volume_users_layer(users, disk->path) && !volume_users_gone(users, disk->path))
    add(users, disk->base, (VolumeUser){.use = USER_OVERLAY, .path = disk->path});
}

static void use_snapshot(VolumeUsers *users, const ActualDomain *domain, const ActualSnapshot *snapshot) {
  VolumeUser user = {.use = USER_MEMORY, .domain = domain->name, .snapshot = snapshot->name};
  add(users, snapshot->memory_path, user);
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    user.target = disk->target;
    user.use = USER_SNAPSHOT_LAYER;
    add(users, disk->path, user);
    use_base(users, disk);
    user.use = USER_SNAPSHOT;
    const char *held = held_at_most(users, disk);
    add_downwards(users, held, user);
    if (!disk->internal && !held)
      doubt(users, (Doubt){.snapshots_of = domain->name, .path = disk->path,
                           .text = g_strdup_printf("what snapshot %s of machine %s holds of disk %s can't be told: %s can't be read; bring it back, "
                                                   "or have libvirt forget the snapshot ('virsh snapshot-delete %s %s --metadata')", snapshot->name,
                                                   domain->name, disk->target, disk->path ? disk->path : "its layer", domain->name, snapshot->name)});
  }
}

static void use_domain(VolumeUsers *users, const ActualDomain *domain) {
  if (domain->active)
    use_disks(users, domain, domain->disks, USER_DISK);
  use_disks(users, domain, domain->defined_disks, USER_DEFINITION);
  use_disks(users, domain, domain->saved_disks, USER_SAVED);
  for (guint i = 0; i < domain->snapshots->len; i++)
    use_snapshot(users, domain, domain->snapshots->pdata[i]);
  for (guint i = 0; i < domain->boot_files->len; i++)
    add(users, domain->boot_files->pdata[i], (VolumeUser){.use = USER_BOOT, .domain = domain->name});
  const GPtrArray *facts = domain->owner ? domain->owner->facts.disks : NULL;
  for (guint i = 0; facts && i < facts->len; i++) {
    const DiskFactSpec *fact = facts->pdata[i];
    VolumeUser user = {.use = USER_KEPT, .domain = domain->name, .target = fact->target};
    add_downwards(users, fact->retired, user);
    add_downwards(users, fact->coming, user);
    add(users, fact->flushing, user);
    add(users, fact->pulledInto, user);
    add_downwards(users, fact->beneath, user);
    for (guint j = 0; fact->leaving && fact->leaving[j]; j++)
      add(users, fact->leaving[j], user);
  }
}

static gint in_order(gconstpointer a, gconstpointer b) {
  const VolumeUser *left = *(VolumeUser *const *)a, *right = *(VolumeUser *const *)b;
  const char *const texts[][2] = {{left->domain, right->domain}, {left->target, right->target},
                                  {left->snapshot, right->snapshot}, {left->path, right->path}};
  gint order = (gint)left->use - (gint)right->use;
  for (guint i = 0; order == 0 && i < G_N_ELEMENTS(texts); i++)
    order = g_strcmp0(texts[i][0], texts[i][1]);
  return order;
}

VolumeUsers *volume_users_new(const Actual *actual) {
  VolumeUsers *users = g_new0(VolumeUsers, 1);
  users->actual = actual;
  users->layers = g_hash_table_new(g_str_hash, g_str_equal);
  users->by_path = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
  users->nobody = g_ptr_array_new();
  users->doubts = g_ptr_array_new_with_free_func(doubt_free);
  if (actual->storage_error)
    unread(users, "the storage pools can't be read: %s", actual->storage_error);
  g_autoptr(GList) pools = g_list_sort(g_hash_table_get_keys(actual->pools), (GCompareFunc)strcmp);
  g_autoptr(GList) domains = g_list_sort(g_hash_table_get_keys(actual->domains), (GCompareFunc)strcmp);
  for (const GList *each = pools; each; each = each->next)
    know_pool(users, g_hash_table_lookup(actual->pools, each->data));
  for (const GList *each = domains; each; each = each->next)
    know_chains(users, g_hash_table_lookup(actual->domains, each->data));
  use_overlays(users);
  for (const GList *each = domains; each; each = each->next)
    use_domain(users, g_hash_table_lookup(actual->domains, each->data));
  GHashTableIter iter;
  GPtrArray *list;
  g_hash_table_iter_init(&iter, users->by_path);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&list))
    g_ptr_array_sort(list, in_order);
  return users;
}

void volume_users_free(VolumeUsers *users) {
  if (!users)
    return;
  g_hash_table_unref(users->by_path);
  g_hash_table_unref(users->layers);
  g_ptr_array_unref(users->nobody);
  g_ptr_array_unref(users->doubts);
  g_free(users);
}

const GPtrArray *volume_users_of(const VolumeUsers *users, const char *path) {
  const GPtrArray *list = path ? g_hash_table_lookup(users->by_path, actual_file(users->actual, path)) : NULL;
  return list ? list : users->nobody;
}

static const char *overlay_on(const VolumeUsers *users, const char *path) {
  const GPtrArray *list = volume_users_of(users, path);
  const VolumeUser *first = list->len ? list->pdata[0] : NULL; /* the kinds are in order */
  return first && first->use == USER_OVERLAY ? first->path : NULL;
}

/* What was written last is in the topmost layer. Headers may name each other in a circle. */
char *volume_users_beneath(const VolumeUsers *users, const char *path) {
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  const char *overlay = overlay_on(users, path), *top = overlay;
  while (overlay && g_hash_table_add(seen, (gpointer)overlay)) {
    top = overlay;
    overlay = overlay_on(users, top);
  }
  return top ? g_strdup_printf("%s is based on %s, and would be destroyed by who writes to that: if it is the disk's newer content, declare it as "
                               "the disk (path: %s), or merge it ('qemu-img commit', 'virsh blockcommit'); else remove it, or give this disk "
                               "readOnly or another file", top, path, top) : NULL;
}

static const ActualVolume *with_times(const VolumeUsers *users, const char *path) {
  const ActualVolume *volume = g_hash_table_lookup(users->actual->volumes_by_path, path);
  return volume && volume->mtime_ns && volume->ctime_ns ? volume : NULL;
}

/* The directories may be one by a link, which only the times of volumes tell: of what is in no pool, it can't be told. */
static gboolean may_be_same(const VolumeUsers *users, const char *path, const char *other) {
  const ActualVolume *one = with_times(users, path), *two = with_times(users, other);
  return !one || !two || (one->mtime_ns == two->mtime_ns && one->ctime_ns == two->ctime_ns);
}

GPtrArray *volume_users_aliases(const VolumeUsers *users, const char *path) {
  GPtrArray *aliases = g_ptr_array_new();
  g_autofree char *name = g_path_get_basename(path);
  const char *counted = actual_file(users->actual, path); /* what is known to be the same isn't another */
  GHashTableIter iter;
  const char *other;
  g_hash_table_iter_init(&iter, users->by_path);
  while (g_hash_table_iter_next(&iter, (gpointer *)&other, NULL)) {
    const char *slash = strrchr(other, '/');
    if (g_str_equal(slash ? slash + 1 : other, name) && !g_str_equal(other, counted) && may_be_same(users, path, other))
      g_ptr_array_add(aliases, (gpointer)other);
  }
  return aliases;
}

const char *volume_users_unread(const VolumeUsers *users) {
  for (guint i = 0; i < users->doubts->len; i++)
    if (((const Doubt *)users->doubts->pdata[i])->unread)
      return ((const Doubt *)users->doubts->pdata[i])->text;
  return NULL;
}

GPtrArray *volume_users_unknown(const VolumeUsers *users) {
  GPtrArray *paths = g_ptr_array_new();
  for (guint i = 0; i < users->doubts->len; i++) {
    const Doubt *doubt = users->doubts->pdata[i];
    if (doubt->path)
      g_ptr_array_add(paths, (gpointer)doubt->path);
  }
  return paths;
}

const char *volume_users_doubt(const VolumeUsers *users, const char *but) {
  for (guint i = 0; i < users->doubts->len; i++) {
    const Doubt *doubt = users->doubts->pdata[i];
    if (!but || g_strcmp0(doubt->snapshots_of, but) != 0)
      return doubt->text;
  }
  return NULL;
}

const ActualVolume *volume_users_layer(const VolumeUsers *users, const char *path) {
  return path ? g_hash_table_lookup(users->layers, actual_file(users->actual, path)) : NULL;
}

const char *volume_users_held(const VolumeUsers *users, const ActualSnapshotDisk *disk) {
  const ActualVolume *layer = disk->internal ? NULL : volume_users_layer(users, disk->path);
  return layer ? layer->backing_path : NULL;
}
