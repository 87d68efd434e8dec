/* Pools and their volumes. libvirt opens a volume's file for each XML, so sizes are those of
 * now; which volumes there are is what the last refresh of the pool saw. */
#include <libvirt/virterror.h>

#include "state/host_facts.h"
#include "state/libvirt/reading.h"

typedef struct {
  virStorageVolPtr handle;
  ActualPool *pool;
} VolumeReading;

typedef struct {
  virStoragePoolPtr handle;
  ActualPool *pool;
} PoolReading;

static void keep_volume(Reading *reading, ActualPool *pool, ActualVolume *volume) {
  g_mutex_lock(&reading->lock);
  g_hash_table_replace(pool->volumes, volume->name, volume);
  g_mutex_unlock(&reading->lock);
}

static void read_volume(gpointer data, gpointer item) {
  Reading *reading = data;
  g_autofree VolumeReading *each = item;
  g_autoptr(VirStorageVol) handle = each->handle;
  const char *name = virStorageVolGetName(handle), *key = virStorageVolGetKey(handle);
  g_autofree char *xml = virStorageVolGetXMLDesc(handle, 0); /* last: each call forgets the error before it */
  if (!xml && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL)
    return;
  ActualVolume *volume = g_new0(ActualVolume, 1);
  volume->name = g_strdup(name);
  volume->pool = g_strdup(each->pool->name);
  volume->path = g_strdup(key); /* of files and devices it is the path */
  volume->texts = texts_new(reading->options->keep_texts);
  g_autoptr(GError) error = NULL;
  if (!xml) {
    volume->error = reading_trouble(reading, "volume %s of pool %s", name, each->pool->name);
  } else if (!volume_facts_read(volume, xml, &error)) {
    volume->error = g_strdup_printf("volume %s of pool %s: %s", name, each->pool->name, error->message);
  }
  keep_volume(reading, each->pool, volume);
}

static void list_volumes(Reading *reading, virStoragePoolPtr handle, ActualPool *pool) {
  virStorageVolPtr *volumes = NULL;
  int n = virStoragePoolListAllVolumes(handle, &volumes, 0);
  if (n < 0) {
    pool->error = reading_trouble(reading, "volumes of pool %s", pool->name);
    return;
  }
  for (int i = 0; i < n; i++) {
    VolumeReading *each = g_new(VolumeReading, 1);
    *each = (VolumeReading){volumes[i], pool};
    work_push(reading->work, read_volume, reading, each);
  }
  free(volumes);
}

static void drop_pool(Reading *reading, ActualPool *pool) {
  g_mutex_lock(&reading->lock);
  g_hash_table_remove(reading->actual->pools, pool->name);
  g_mutex_unlock(&reading->lock);
}

static void read_pool(gpointer data, gpointer item) {
  Reading *reading = data;
  g_autofree PoolReading *each = item;
  g_autoptr(VirStoragePool) handle = each->handle;
  ActualPool *pool = each->pool;
  g_autofree char *xml = virStoragePoolGetXMLDesc(handle, 0);
  g_autoptr(GError) error = NULL;
  int autostart = 0;
  if (!xml && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL) {
    drop_pool(reading, pool);
  } else if (!xml || virStoragePoolGetAutostart(handle, &autostart) < 0) {
    pool->error = reading_trouble(reading, "pool %s", pool->name);
  } else if (!pool_facts_read(pool, xml, &error)) {
    pool->error = g_strdup_printf("pool %s: %s", pool->name, error->message);
  } else {
    pool_facts_finish(pool, autostart);
    if (pool->active)
      list_volumes(reading, handle, pool);
  }
}

static ActualPool *add_pool(Reading *reading, virStoragePoolPtr handle) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virStoragePoolGetUUIDString(handle, uuid);
  ActualPool *pool = actual_pool_new(virStoragePoolGetName(handle), uuid);
  pool->active = virStoragePoolIsActive(handle) == 1;
  pool->persistent = virStoragePoolIsPersistent(handle) == 1;
  pool->texts = texts_new(reading->options->keep_texts);
  g_mutex_lock(&reading->lock);
  g_hash_table_replace(reading->actual->pools, pool->name, pool);
  g_mutex_unlock(&reading->lock);
  return pool;
}

static void list_pools(gpointer data, gpointer item G_GNUC_UNUSED) {
  Reading *reading = data;
  virStoragePoolPtr *pools = NULL;
  int n = virConnectListAllStoragePools(reading->conn, &pools, 0);
  if (n < 0 && reading_lacks_driver())
    reading->actual->storage_error = reading_trouble(reading, "storage pools");
  else if (n < 0)
    reading_fail_libvirt(reading, "cannot list the storage pools");
  for (int i = 0; i < n; i++) {
    PoolReading *each = g_new(PoolReading, 1);
    *each = (PoolReading){pools[i], add_pool(reading, pools[i])};
    work_push(reading->work, read_pool, reading, each);
  }
  free(pools);
}

void read_storage(Reading *reading) { work_push(reading->work, list_pools, reading, NULL); }

void read_storage_finish(Reading *reading) { actual_index_volumes(reading->actual); }
