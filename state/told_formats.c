#include "state/told_formats.h"

/* What is said of each volume: ActualVolume * → a static word. */
static const char agreed_raw[] = "raw", something_else[] = "something else";

static gboolean is_raw(const char *format) { return g_strcmp0(format, "raw") == 0; }

static ActualVolume *volume_of(const Actual *actual, const ActualDisk *disk) {
  if (disk->path)
    return g_hash_table_lookup(actual->volumes_by_path, disk->path);
  const ActualPool *pool = disk->pool && disk->volume ? g_hash_table_lookup(actual->pools, disk->pool) : NULL;
  const ActualVolume *volume = pool ? g_hash_table_lookup(pool->volumes, disk->volume) : NULL;
  return volume && volume->path ? g_hash_table_lookup(actual->volumes_by_path, volume->path) : NULL;
}

/* FALSE: it was said before. */
static gboolean say(GHashTable *told, ActualVolume *volume, const char *format) {
  const char *before = g_hash_table_lookup(told, volume), *now = is_raw(format) ? agreed_raw : something_else;
  return before != now && before != something_else && g_hash_table_replace(told, volume, (gpointer)now);
}

/* From the top down, as long as a layer tells what it is based on. */
static void listen_to_chain(GHashTable *told, const Actual *actual, ActualVolume *volume, const char *format) {
  while (volume && format && say(told, volume, format) && !is_raw(format)) {
    format = volume->backing_format;
    volume = volume->backing_path ? g_hash_table_lookup(actual->volumes_by_path, volume->backing_path) : NULL;
  }
}

static void listen(GHashTable *told, const Actual *actual, const GPtrArray *disks) {
  for (guint i = 0; disks && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    listen_to_chain(told, actual, volume_of(actual, disk), disk->format);
    for (guint n = 1; n < disk->chain->len; n++) { /* of what runs */
      const ActualVolume *layer = disk->chain->pdata[n];
      if (layer->path)
        listen_to_chain(told, actual, g_hash_table_lookup(actual->volumes_by_path, layer->path), layer->format);
    }
  }
}

void told_format_apply(ActualVolume *volume, const char *format) {
  if (!is_raw(format) || volume->error || !volume->format || is_raw(volume->format) || !volume->physical)
    return;
  g_free(volume->looks);
  volume->looks = g_steal_pointer(&volume->format);
  volume->format = g_strdup("raw");
  volume->capacity = volume->physical;
  g_clear_pointer(&volume->backing_path, g_free);
  g_clear_pointer(&volume->backing_format, g_free);
}

void told_formats_apply(Actual *actual) {
  g_autoptr(GHashTable) told = g_hash_table_new(NULL, NULL);
  GHashTableIter iter;
  gpointer each;
  g_hash_table_iter_init(&iter, actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, &each)) {
    const ActualDomain *domain = each;
    listen(told, actual, domain->disks);
    if (domain->defined_disks != domain->disks)
      listen(told, actual, domain->defined_disks);
    listen(told, actual, domain->saved_disks);
  }
  gpointer volume;
  g_hash_table_iter_init(&iter, told);
  while (g_hash_table_iter_next(&iter, &volume, &each))
    told_format_apply(volume, each);
}
