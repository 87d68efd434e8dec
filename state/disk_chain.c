#include "state/disk_chain.h"

#include "state/base_volume.h"
#include "state/xml_tree.h"

static char *child_attribute(xmlNode *element, const char *name, const char *attribute) {
  xmlNode *child = xml_first_child(element, name);
  return child ? g_strdup(xml_attribute(child, attribute)) : NULL;
}

/* The path of a <disk> or <backingStore> of type file or block. */
static char *source_path(xmlNode *element) {
  const char *type = xml_attribute(element, "type");
  if (g_strcmp0(type, "file") == 0)
    return child_attribute(element, "source", "file");
  if (g_strcmp0(type, "block") == 0)
    return child_attribute(element, "source", "dev");
  return NULL;
}

static ActualVolume *add_layer(ActualDisk *disk, GPtrArray *layers, char *path, char *format) {
  ActualVolume *layer = g_new0(ActualVolume, 1);
  layer->path = path;
  layer->format = format;
  g_ptr_array_add(layers, layer);
  g_ptr_array_add(disk->chain, layer);
  return layer;
}

/* <mirror type='file' job='copy' ready='yes'>: a block job that can be followed from outside. */
static void read_job(ActualDisk *disk, xmlNode *element) {
  xmlNode *mirror = xml_first_child(element, "mirror");
  if (!mirror)
    return;
  const char *job = xml_attribute(mirror, "job");
  disk->job = g_strdup(job ? job : "copy");
  disk->job_path = source_path(mirror);
  disk->job_ready = g_strcmp0(xml_attribute(mirror, "ready"), "yes") == 0;
}

/* <backingStore type='file'><format type='qcow2'/><source file='…'/><backingStore>…; an empty
 * one ends the chain. */
static void read_layers(ActualDisk *disk, xmlNode *element, GPtrArray *layers) {
  if (!disk->path)
    return;
  ActualVolume *above = add_layer(disk, layers, g_strdup(disk->path), g_strdup(disk->format));
  while ((element = xml_first_child(element, "backingStore"))) {
    char *path = source_path(element);
    if (!path)
      break;
    above->backing_path = g_strdup(path);
    above->backing_format = child_attribute(element, "format", "type");
    above = add_layer(disk, layers, path, g_strdup(above->backing_format));
  }
}

static ActualDisk *read_disk(xmlNode *element) {
  char *target = child_attribute(element, "target", "dev");
  if (!target)
    return NULL;
  ActualDisk *disk = g_new0(ActualDisk, 1);
  disk->target = target;
  disk->path = source_path(element);
  disk->format = child_attribute(element, "driver", "type");
  if (g_strcmp0(xml_attribute(element, "type"), "volume") == 0) {
    disk->pool = child_attribute(element, "source", "pool");
    disk->volume = child_attribute(element, "source", "volume");
  }
  disk->chain = g_ptr_array_new();
  return disk;
}

GPtrArray *disks_read(xmlNode *domain, gboolean live, GPtrArray *layers) {
  GPtrArray *disks = g_ptr_array_new_with_free_func((GDestroyNotify)actual_disk_free);
  xmlNode *devices = xml_first_child(domain, "devices");
  for (xmlNode *each = devices ? xml_first_child(devices, "disk") : NULL; each; each = xml_next_sibling(each, "disk")) {
    ActualDisk *disk = read_disk(each);
    if (!disk)
      continue;
    g_ptr_array_add(disks, disk);
    if (live) {
      read_job(disk, each);
      read_layers(disk, each, layers);
    }
  }
  return disks;
}

/* A pool's volume says what a live layer can't: name, pool, capacity. What a pool's volume
 * says about its backing store may be older than the live XML, which then wins. */
static void complete_layer(ActualVolume *layer, const ActualVolume *volume) {
  if (!layer->name)
    layer->name = g_strdup(volume->name);
  if (!layer->pool)
    layer->pool = g_strdup(volume->pool);
  if (!layer->format)
    layer->format = g_strdup(volume->format);
  layer->capacity = volume->capacity;
  layer->allocation = volume->allocation;
  layer->physical = volume->physical;
}

static gboolean says_the_same(const ActualVolume *volume, const ActualVolume *layer) {
  return g_strcmp0(volume->backing_path, layer->backing_path) == 0 &&
         (!layer->format || g_strcmp0(volume->format, layer->format) == 0);
}

static guint place_below(const ActualDisk *disk, guint i, const char *path) {
  for (guint at = i + 1; path && at < disk->chain->len; at++)
    if (g_str_equal(((const ActualVolume *)disk->chain->pdata[at])->path, path))
      return at;
  return i;
}

/* Where libvirtd died between a merge's end and its note of it, its XML tells of layers that QEMU has left. A layer's own file
 * knows: what lies beneath it only ever gets less, so that one which names a lower layer is newer than the XML. */
static void drop_passed(ActualDisk *disk, const Actual *actual) {
  for (guint i = 0; i < disk->chain->len; i++) {
    ActualVolume *layer = disk->chain->pdata[i];
    const ActualVolume *volume = g_hash_table_lookup(actual->volumes_by_path, layer->path);
    guint next = volume && !volume->error ? place_below(disk, i, volume->backing_path) : i;
    if (next <= i + 1)
      continue;
    g_free(layer->backing_path);
    layer->backing_path = g_strdup(volume->backing_path);
    g_ptr_array_remove_range(disk->chain, i + 1, next - i - 1);
  }
}

static void resolve_live(ActualDisk *disk, const Actual *actual) {
  drop_passed(disk, actual);
  for (guint i = 0; i < disk->chain->len; i++) {
    ActualVolume *layer = disk->chain->pdata[i];
    ActualVolume *volume = g_hash_table_lookup(actual->volumes_by_path, layer->path);
    if (!volume)
      continue;
    if (says_the_same(volume, layer))
      disk->chain->pdata[i] = volume;
    else
      complete_layer(layer, volume);
  }
}

void disk_resolve(ActualDisk *disk, const Actual *actual) {
  if (disk->volume && !disk->path) {
    const ActualPool *pool = disk->pool ? g_hash_table_lookup(actual->pools, disk->pool) : NULL;
    const ActualVolume *volume = pool ? g_hash_table_lookup(pool->volumes, disk->volume) : NULL;
    disk->path = volume ? g_strdup(volume->path) : NULL;
  }
  if (disk->chain->len) {
    resolve_live(disk, actual);
    return;
  }
  g_ptr_array_unref(disk->chain);
  disk->chain = actual_chain(actual, disk->path);
}

gboolean disk_is_deep(const ActualDisk *disk) {
  guint n = disk->chain->len;
  const ActualVolume *lowest = n ? disk->chain->pdata[n - 1] : NULL;
  g_autofree char *base = lowest ? base_volume_digest(lowest->path) : NULL;
  return n > 2 || (n == 2 && !base);
}

void disks_fill(const GPtrArray *disks, VmSpec *spec) {
  for (guint i = 0; spec->disks && i < spec->disks->len; i++) {
    DiskSpec *wanted = spec->disks->pdata[i];
    const ActualDisk *disk = wanted->target ? actual_disk(disks, wanted->target) : NULL;
    if (!disk)
      continue;
    const ActualVolume *top = disk->chain->len ? disk->chain->pdata[0] : NULL;
    if (top && top->capacity) {
      wanted->size = top->capacity;
      set_given(wanted, DiskSpec, size);
    }
    if (disk->volume && disk->path && !given(wanted, DiskSpec, path)) {
      wanted->path = g_strdup(disk->path);
      set_given(wanted, DiskSpec, path);
    }
  }
}
