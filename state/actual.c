/* Life of what was observed, and questions to it. */
#include "state/actual.h"

#include "state/helper.h"

static void free_volume(gpointer volume) { actual_volume_free(volume); }
static void free_pool(gpointer pool) { actual_pool_free(pool); }
static void free_network(gpointer network) { actual_network_free(network); }
static void free_domain(gpointer domain) { actual_domain_free(domain); }

Actual *actual_new(void) {
  Actual *actual = g_new0(Actual, 1);
  actual->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_domain);
  actual->pools = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_pool);
  actual->networks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_network);
  actual->volumes_by_path = g_hash_table_new(g_str_hash, g_str_equal);
  actual->vanished = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  actual->same_files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return actual;
}

Texts *texts_new(gboolean keep) { return keep ? g_new0(Texts, 1) : NULL; }

void texts_set(Texts *texts, const char *persistent, const char *live) {
  if (!texts)
    return;
  g_free(texts->persistent);
  g_free(texts->live);
  g_free(texts->saved);
  *texts = (Texts){g_strdup(persistent), g_strdup(live), NULL};
}

void texts_free(Texts *texts) {
  texts_set(texts, NULL, NULL);
  g_free(texts);
}

void actual_free(Actual *actual) {
  if (!actual)
    return;
  g_clear_pointer(&actual->images, g_hash_table_unref);
  g_hash_table_unref(actual->domains);
  g_hash_table_unref(actual->volumes_by_path);
  g_hash_table_unref(actual->vanished);
  g_hash_table_unref(actual->same_files);
  g_hash_table_unref(actual->pools);
  g_hash_table_unref(actual->networks);
  g_free(actual->uri);
  g_free(actual->hostname);
  g_free(actual->arch);
  texts_free(actual->texts);
  g_free(actual->storage_error);
  g_free(actual->networks_error);
  g_free(actual);
}

ActualDomain *actual_domain_new(const char *name, const char *uuid) {
  ActualDomain *domain = g_new0(ActualDomain, 1);
  domain->name = g_strdup(name);
  domain->uuid = g_strdup(uuid);
  domain->snapshots = g_ptr_array_new_with_free_func((GDestroyNotify)actual_snapshot_free);
  domain->boot_files = g_ptr_array_new_with_free_func(g_free);
  return domain;
}

void actual_domain_free(ActualDomain *domain) {
  if (!domain)
    return;
  spec_clear(&VmSpec_table, &domain->persistent);
  spec_free(&VmSpec_table, domain->live);
  spec_free(&VmSpec_table, domain->saved);
  ownership_free(domain->owner);
  ownership_free(domain->started);
  spec_free(&VmSpec_table, domain->leaving);
  g_ptr_array_unref(domain->snapshots);
  g_clear_pointer(&domain->disks, g_ptr_array_unref);
  g_clear_pointer(&domain->defined_disks, g_ptr_array_unref);
  g_clear_pointer(&domain->saved_disks, g_ptr_array_unref);
  g_clear_pointer(&domain->volumes, g_ptr_array_unref);
  g_ptr_array_unref(domain->boot_files);
  g_free(domain->nvram);
  g_free(domain->name);
  g_free(domain->helper_of);
  g_free(domain->uuid);
  g_free(domain->fingerprint);
  texts_free(domain->texts);
  g_free(domain->error);
  g_free(domain);
}

ActualPool *actual_pool_new(const char *name, const char *uuid) {
  ActualPool *pool = g_new0(ActualPool, 1);
  pool->name = g_strdup(name);
  pool->uuid = g_strdup(uuid);
  pool->volumes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_volume);
  return pool;
}

void actual_pool_free(ActualPool *pool) {
  if (!pool)
    return;
  spec_clear(&StoragePoolSpec_table, &pool->spec);
  g_hash_table_unref(pool->volumes);
  g_free(pool->name);
  g_free(pool->uuid);
  g_free(pool->target);
  texts_free(pool->texts);
  g_free(pool->error);
  g_free(pool);
}

ActualNetwork *actual_network_new(const char *name, const char *uuid) {
  ActualNetwork *network = g_new0(ActualNetwork, 1);
  network->name = g_strdup(name);
  network->uuid = g_strdup(uuid);
  return network;
}

void actual_network_free(ActualNetwork *network) {
  if (!network)
    return;
  spec_clear(&NetworkSpec_table, &network->persistent);
  spec_clear(&NetworkSpec_table, &network->live);
  network_ownership_free(network->owner);
  g_free(network->name);
  g_free(network->uuid);
  g_free(network->fingerprint);
  texts_free(network->texts);
  g_free(network->error);
  g_free(network);
}

void actual_volume_free(ActualVolume *volume) {
  if (!volume)
    return;
  g_free(volume->name);
  g_free(volume->path);
  g_free(volume->pool);
  g_free(volume->format);
  g_free(volume->looks);
  g_free(volume->backing_path);
  g_free(volume->backing_format);
  texts_free(volume->texts);
  g_free(volume->error);
  g_free(volume);
}

void actual_snapshot_free(ActualSnapshot *snapshot) {
  if (!snapshot)
    return;
  g_free(snapshot->name);
  g_free(snapshot->description);
  g_free(snapshot->parent);
  g_free(snapshot->memory_path);
  g_free(snapshot->state);
  g_ptr_array_unref(snapshot->disks);
  texts_free(snapshot->texts);
  g_free(snapshot);
}

const ActualSnapshot *actual_snapshot(const ActualDomain *domain, const char *name) {
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    if (g_str_equal(snapshot->name, name))
      return snapshot;
  }
  return NULL;
}

void actual_disk_free(ActualDisk *disk) {
  if (!disk)
    return;
  g_free(disk->job);
  g_free(disk->job_path);
  g_clear_pointer(&disk->chain, g_ptr_array_unref);
  g_free(disk->target);
  g_free(disk->path);
  g_free(disk->format);
  g_free(disk->pool);
  g_free(disk->volume);
  g_free(disk->lost);
  g_free(disk);
}

const char *actual_chain_unknown(const ActualDomain *domain, const ActualDisk *disk) {
  const ActualVolume *last = disk->chain->len ? disk->chain->pdata[disk->chain->len - 1] : NULL;
  if (last && last->backing_path)
    return g_strcmp0(last->backing_format, "raw") == 0 ? NULL : last->backing_path;
  if (last && (last->pool || domain->active))
    return NULL;
  return g_strcmp0(last ? last->format : disk->format, "raw") == 0 ? NULL : disk->path;
}

const VmSpec *actual_live(const ActualDomain *domain) {
  static const VmSpec nothing;
  return domain->live ? domain->live : &nothing;
}

const VmSpec *actual_now(const ActualDomain *domain) { return domain->active ? actual_live(domain) : &domain->persistent; }

const ActualDisk *actual_disk(const GPtrArray *disks, const char *target) {
  for (guint i = 0; disks && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    if (g_str_equal(disk->target, target))
      return disk;
  }
  return NULL;
}

/* Of two pools on one directory always the same one is taken. */
static void index_volume(GHashTable *by_path, ActualVolume *volume) {
  const ActualVolume *other = volume->path ? g_hash_table_lookup(by_path, volume->path) : NULL;
  if (volume->path && (!other || g_strcmp0(volume->pool, other->pool) < 0))
    g_hash_table_replace(by_path, volume->path, volume);
}

void actual_index_volumes(Actual *actual) {
  GHashTableIter pools, volumes;
  ActualPool *pool;
  ActualVolume *volume;
  g_hash_table_iter_init(&pools, actual->pools);
  while (g_hash_table_iter_next(&pools, NULL, (gpointer *)&pool)) {
    g_hash_table_iter_init(&volumes, pool->volumes);
    while (g_hash_table_iter_next(&volumes, NULL, (gpointer *)&volume))
      index_volume(actual->volumes_by_path, volume);
  }
}

const char *actual_file(const Actual *actual, const char *path) {
  const char *same = path ? g_hash_table_lookup(actual->same_files, path) : NULL;
  return same ? same : path;
}

GPtrArray *actual_chain(const Actual *actual, const char *path) {
  GPtrArray *chain = g_ptr_array_new();
  while (path) {
    ActualVolume *volume = g_hash_table_lookup(actual->volumes_by_path, path);
    if (!volume || g_ptr_array_find(chain, volume, NULL))
      break;
    g_ptr_array_add(chain, volume);
    path = volume->backing_path;
  }
  return chain;
}

static gboolean is_helper(gpointer name, gpointer data, gpointer actual) {
  const ActualDomain *domain = data;
  if (g_strcmp0(domain->helper_of, HOST_LOCK_NAME) == 0 && g_str_equal(name, HOST_LOCK_NAME))
    ((Actual *)actual)->has_lock = TRUE;
  ActualDomain *machine = domain->helper_of ? g_hash_table_lookup(((Actual *)actual)->domains, domain->helper_of) : NULL;
  if (machine)
    machine->has_helper = TRUE;
  return domain->helper_of != NULL;
}

void actual_set_helpers_aside(Actual *actual) { g_hash_table_foreach_remove(actual->domains, is_helper, actual); }
