/* Pools and their volumes. libvirt opens a volume's file for each XML, so sizes are those of
 * now; which volumes there are is what the last refresh of the pool saw. What is asked of a pool is asked at once: one
 * round trip for each question would be the longest wait of a look at a host far away. Files are read while others wait for
 * libvirt; their volumes come after everything else, because definitions tell which of them to read only through libvirt. */
#include <libvirt/virterror.h>
#include <sys/statvfs.h>

#include "state/helper.h"
#include "state/host_facts.h"
#include "state/libvirt/reading.h"
#include "state/libvirt/volume_file.h"

typedef struct {
  virStoragePoolPtr handle;
  ActualPool *pool; /* owned by the Actual */
  FileEvidence *evidence;
  gboolean autostart, vanished; /* between list and read */
} PoolReading;

typedef struct {
  virStorageVolPtr handle;
  PoolReading *pool;
  ActualVolume *from_file; /* NULL: it couldn't be read so */
  FileAccess access;       /* of that file */
} VolumeReading;

void pool_reading_free(gpointer pool_reading) {
  PoolReading *each = pool_reading;
  vir_pool_release(each->handle);
  file_evidence_free(each->evidence);
  g_free(each);
}

void volume_reading_free(gpointer volume_reading) {
  VolumeReading *each = volume_reading;
  vir_vol_release(each->handle);
  actual_volume_free(each->from_file);
  g_free(each);
}

static void keep_volume(Reading *reading, ActualPool *pool, ActualVolume *volume) {
  g_mutex_lock(&reading->lock);
  g_hash_table_replace(pool->volumes, volume->name, volume);
  g_mutex_unlock(&reading->lock);
}

/* NULL: it vanished. */
static ActualVolume *ask_libvirt(Reading *reading, const VolumeReading *each, ActualVolume *volume /* taken */) {
  g_autofree char *xml = virStorageVolGetXMLDesc(each->handle, 0);
  if (!xml && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL) {
    g_mutex_lock(&reading->lock);
    if (volume->path)
      g_hash_table_add(reading->actual->vanished, g_strdup(volume->path));
    g_mutex_unlock(&reading->lock);
    actual_volume_free(volume);
    return NULL;
  }
  g_autoptr(GError) error = NULL;
  volume->texts = texts_new(reading->options->keep_texts);
  if (!xml)
    volume->error = reading_trouble(reading, "volume %s of pool %s", volume->name, volume->pool);
  else if (!volume_facts_read(volume, xml, &error))
    volume->error = g_strdup_printf("volume %s of pool %s: %s", volume->name, volume->pool, error->message);
  else if (reading->by_files)
    file_evidence_add(each->pool->evidence, volume);
  return volume;
}

static ActualVolume *new_volume(const VolumeReading *each) {
  ActualVolume *volume = g_new0(ActualVolume, 1);
  volume->name = g_strdup(virStorageVolGetName(each->handle));
  volume->pool = g_strdup(each->pool->pool->name);
  volume->path = g_strdup(virStorageVolGetKey(each->handle)); /* of files and devices it is the path */
  return volume;
}

static void read_file(gpointer data G_GNUC_UNUSED, gpointer item) {
  VolumeReading *each = item;
  ActualVolume *volume = new_volume(each);
  if (volume_file_read(volume, &each->access))
    each->from_file = volume;
  else
    actual_volume_free(volume);
}

static gboolean is_file_enough(const Reading *reading, const VolumeReading *each) {
  return each->from_file && !g_hash_table_contains(reading->not_qcow2, each->from_file->path) &&
         file_evidence_covers(each->pool->evidence, &each->access);
}

static void read_volume(gpointer data, gpointer item) {
  Reading *reading = data;
  VolumeReading *each = item;
  ActualVolume *volume = is_file_enough(reading, each) ? g_steal_pointer(&each->from_file)
                                                       : ask_libvirt(reading, each, new_volume(each));
  g_clear_pointer(&each->handle, virStorageVolFree);
  if (volume)
    keep_volume(reading, each->pool->pool, volume);
}

static void note_format(Reading *reading, const ActualDisk *disk) {
  const ActualPool *pool = disk->pool ? g_hash_table_lookup(reading->actual->pools, disk->pool) : NULL;
  if (g_strcmp0(disk->format, "qcow2") == 0)
    return;
  if (disk->path)
    g_hash_table_add(reading->not_qcow2, g_strdup(disk->path));
  else if (pool && pool->target && disk->volume)
    g_hash_table_add(reading->not_qcow2, g_build_filename(pool->target, disk->volume, NULL));
}

/* A guest can write a header of any kind into a disk that isn't called qcow2. */
static void note_formats(Reading *reading) {
  GHashTableIter domains;
  const ActualDomain *domain;
  g_hash_table_iter_init(&domains, reading->actual->domains);
  while (g_hash_table_iter_next(&domains, NULL, (gpointer *)&domain)) {
    for (guint i = 0; domain->disks && i < domain->disks->len; i++)
      note_format(reading, domain->disks->pdata[i]);
    for (guint i = 0; domain->defined_disks && i < domain->defined_disks->len; i++)
      note_format(reading, domain->defined_disks->pdata[i]);
  }
}

void read_volumes(Reading *reading) {
  if (!reading->by_files)
    return; /* they have been asked for as soon as they were listed */
  note_formats(reading);
  for (guint i = 0; i < reading->volumes->len; i++)
    work_push(reading->work, read_volume, reading, reading->volumes->pdata[i]);
}

/* After a call that has failed. */
static void fail_pool(Reading *reading, PoolReading *each, const char *what) {
  gboolean vanished = virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL;
  char *trouble = vanished ? NULL : reading_trouble(reading, "%s %s", what, each->pool->name);
  g_mutex_lock(&reading->lock);
  each->vanished |= vanished;
  if (each->pool->error)
    g_free(trouble);
  else
    each->pool->error = trouble;
  g_mutex_unlock(&reading->lock);
}

/* One that isn't active refuses; only then it is asked whether that is so. */
static int list_if_active(Reading *reading, PoolReading *pool, virStorageVolPtr **ret_volumes) {
  int n = virStoragePoolListAllVolumes(pool->handle, ret_volumes, 0);
  if (n < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID) {
    if (virStoragePoolIsActive(pool->handle) != 1)
      return 0;
    n = virStoragePoolListAllVolumes(pool->handle, ret_volumes, 0); /* it was started meanwhile */
  }
  if (n < 0)
    fail_pool(reading, pool, "volumes of pool");
  pool->pool->active = n >= 0 || virStoragePoolIsActive(pool->handle) == 1;
  return n;
}

static void list_volumes(gpointer data, gpointer item) {
  Reading *reading = data;
  PoolReading *into = item;
  virStorageVolPtr *volumes = NULL;
  int n = list_if_active(reading, into, &volumes);
  g_mutex_lock(&reading->lock);
  for (int i = 0; i < n; i++) {
    VolumeReading *each = g_new(VolumeReading, 1);
    *each = (VolumeReading){.handle = volumes[i], .pool = into};
    g_ptr_array_add(reading->volumes, each);
    if (reading->by_files)
      work_push_local(reading->work, read_file, NULL, each);
    else
      work_push(reading->work, read_volume, reading, each);
  }
  g_mutex_unlock(&reading->lock);
  free(volumes);
}

static void read_pool(gpointer data, gpointer item) {
  Reading *reading = data;
  PoolReading *each = item;
  g_autofree char *xml = virStoragePoolGetXMLDesc(each->handle, 0);
  g_autoptr(GError) error = NULL;
  if (!xml) {
    fail_pool(reading, each, "pool");
  } else if (!pool_facts_read(each->pool, xml, &error)) {
    g_mutex_lock(&reading->lock);
    g_free(each->pool->error);
    each->pool->error = g_strdup_printf("pool %s: %s", each->pool->name, error->message);
    g_mutex_unlock(&reading->lock);
  }
}

static void read_pool_flags(gpointer data, gpointer item) {
  Reading *reading = data;
  PoolReading *each = item;
  int autostart = 0;
  each->pool->persistent = virStoragePoolIsPersistent(each->handle) == 1;
  if (virStoragePoolGetAutostart(each->handle, &autostart) < 0)
    fail_pool(reading, each, "pool");
  each->autostart = autostart;
}

static ActualPool *add_pool(Reading *reading, virStoragePoolPtr handle) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virStoragePoolGetUUIDString(handle, uuid);
  ActualPool *pool = actual_pool_new(virStoragePoolGetName(handle), uuid);
  pool->texts = texts_new(reading->options->keep_texts);
  g_mutex_lock(&reading->lock);
  g_hash_table_replace(reading->actual->pools, pool->name, pool);
  g_mutex_unlock(&reading->lock);
  return pool;
}

static gboolean is_aside(virStoragePoolPtr handle) {
  return g_str_equal(virStoragePoolGetName(handle), ASIDE_POOL_NAME) && virStoragePoolIsPersistent(handle) == 0;
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
    if (is_aside(pools[i])) {
      virStoragePoolFree(pools[i]);
      continue;
    }
    PoolReading *each = g_new(PoolReading, 1);
    *each = (PoolReading){.handle = pools[i], .pool = add_pool(reading, pools[i]), .evidence = file_evidence_new()};
    g_ptr_array_add(reading->pools, each);
    work_push(reading->work, list_volumes, reading, each);
    work_push(reading->work, read_pool, reading, each);
    work_push(reading->work, read_pool_flags, reading, each);
  }
  free(pools);
}

void read_storage(Reading *reading) { work_push(reading->work, list_pools, reading, NULL); }

/* libvirt remembers what room there was when it refreshed the pool; guests and others have written since. FALSE: its files
 * aren't known to be those that we see. */
static gboolean measure(const PoolReading *each) {
  struct statvfs found;
  if (!file_evidence_found(each->evidence))
    return FALSE; /* one that vanished while it was read, too */
  ActualPool *pool = each->pool;
  if (!pool->target || statvfs(pool->target, &found) < 0)
    return FALSE;
  pool->capacity = (guint64)found.f_blocks * found.f_frsize;
  pool->available = (guint64)found.f_bavail * found.f_frsize;
  pool->measured = TRUE;
  return TRUE;
}

void read_storage_finish(Reading *reading) {
  for (guint i = 0; i < reading->pools->len; i++) {
    const PoolReading *each = reading->pools->pdata[i];
    if (each->vanished) {
      g_hash_table_remove(reading->actual->pools, each->pool->name);
      continue;
    }
    if (!each->pool->error)
      pool_facts_finish(each->pool, each->autostart);
    reading->actual->sees_files |= measure(each);
  }
  actual_index_volumes(reading->actual);
}
