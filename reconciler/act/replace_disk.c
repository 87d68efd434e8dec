#include "reconciler/act/replace_disk.h"

#include "reconciler/act/content_check.h"
#include "reconciler/act/layer_guard.h"
#include "reconciler/act/layer_remove.h"
#include "reconciler/act/offline.h"
#include "reconciler/act/point_disk.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "state/fault.h"

typedef struct {
  const DiskReplacement *wanted;
  const DiskLayers *layers;
  const char *path; /* of the new volume */
} Replacing;

static char *new_path(const ActionContext *context, const DiskReplacement *wanted, GError **error) {
  g_autoptr(VirStoragePool) pool = volume_pool(context, wanted->pool, error);
  g_autofree char *text = pool ? virStoragePoolGetXMLDesc(pool, 0) : NULL;
  if (pool && !text)
    libvirt_fail(error, "cannot read storage pool %s", wanted->pool);
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, wanted->pool, error) : NULL;
  g_autofree char *directory = doc ? xml_path_get(xml_path("target/path"), xmlDocGetRootElement(doc)) : NULL;
  if (doc && !directory)
    act_refuse(error, "storage pool %s has no directory to make volume %s in", wanted->pool, wanted->volume);
  return directory ? g_build_filename(directory, wanted->volume, NULL) : NULL;
}

/* Old and new change places in one write. */
static gboolean change_places(FactsSpec *facts, gconstpointer data) {
  const Replacing *replacing = data;
  const char *const old[] = { replacing->layers->chain.disk->path, NULL };
  DiskFact retired = { replacing->wanted->target, DiskFactSpec_retired, old }, coming = { replacing->wanted->target, DiskFactSpec_coming, NULL };
  gboolean changed = disk_facts_set(facts, &retired);
  return disk_facts_set(facts, &coming) || changed;
}

/* Read in one format and written in another. */
static gboolean is_converted(const Replacing *replacing) {
  return g_strcmp0(replacing->layers->chain.disk->format, replacing->wanted->format) != 0;
}

/* The disk is held meanwhile: nobody writes to it between the copy and the switch. */
static gboolean make_and_switch(const ActionContext *context, const Action *action, virDomainPtr helper G_GNUC_UNUSED, gconstpointer data, GError **error) {
  const Replacing *replacing = data;
  const DiskReplacement *wanted = replacing->wanted;
  const char *old = replacing->layers->chain.disk->path;
  const VolumeCopy copied = {
    .pool = wanted->pool, .volume = wanted->volume, .format = wanted->format, .from = old, .from_format = replacing->layers->chain.disk->format,
    .bytes = wanted->bytes,
  };
  if (!volume_copy(context, action, &copied, error))
    return FALSE;
  FAULT("replace: made");
  if (is_converted(replacing) && !content_check(context, action, replacing->layers, replacing->path, wanted->format, error))
    return FALSE;
  FAULT("replace: verified");
  DiskPointing pointing = { wanted->target, old, replacing->path, wanted->format, change_places, replacing };
  if (!act_point_disk(context, replacing->layers->domain, &pointing, error))
    return FALSE;
  FAULT("replace: switched");
  return TRUE;
}

/* All that doesn't need the machine to be off. */
static gboolean check(const Replacing *replacing, GError **error) {
  const DiskLayers *layers = replacing->layers;
  const DiskReplacement *wanted = replacing->wanted;
  const DiskFactSpec *fact = disk_facts(layers->facts, wanted->target);
  const ActualDisk *disk = layers->chain.disk;
  if (is_converted(replacing) && !content_check_possible(layers, error))
    return FALSE;
  if (fact && given(fact, DiskFactSpec, retired) && chain_find(&layers->chain, fact->retired) < 0)
    return act_refuse(error, "disk %s of domain %s was replaced before, and the old volume %s is kept until the machine has run on the new "
                      "one: start it first", wanted->target, layers->now->name, fact->retired);
  return layer_check_replace(layers, error) && volume_copy_possible(layers->context, disk->path, disk->format, error);
}

static gboolean check_off(const DiskLayers *layers, GError **error) {
  return !layers->now->active || act_stale(error, "domain %s has been started", layers->now->name);
}

/* Nobody else's volume is overwritten. */
static gboolean check_free(const ActionContext *context, const DiskReplacement *wanted, GError **error) {
  g_autoptr(VirStoragePool) pool = volume_pool(context, wanted->pool, error);
  g_autoptr(VirStorageVol) volume = NULL;
  if (!pool || !volume_find(context, pool, wanted->volume, TRUE, &volume, NULL, error))
    return FALSE;
  return !volume || act_refuse(error, "there is a volume %s in storage pool %s already; it is left alone", wanted->volume, wanted->pool);
}

static gboolean note_coming(const DiskLayers *layers, const DiskReplacement *wanted, const char *path, GError **error) {
  const char *const paths[] = { path, NULL };
  DiskFact fact = { wanted->target, DiskFactSpec_coming, paths };
  if (!act_change_facts(layers->domain, disk_facts_set, &fact, error))
    return FALSE;
  FAULT("replace: noted");
  return TRUE;
}

gboolean replace_read(const Action *action, DiskReplacement *ret_replacement, GError **error) {
  DiskReplacement read = { .target = act_need(action, "target", error) };
  if (!read.target || !(read.volume = act_need(action, "volume", error)) || !(read.pool = act_need(action, "pool", error)) ||
      !(read.format = act_need(action, "format", error)) || !act_arg_uint64(action, "capacity", &read.bytes, error))
    return FALSE;
  *ret_replacement = read;
  return TRUE;
}

/* What is replaced is the disk of the definition. */
gboolean replace_check(const ActionContext *context, const DiskReplacement *wanted, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, wanted->target, &layers, error))
    return FALSE;
  layers.chain.disk = actual_disk(layers.now->defined_disks, wanted->target);
  if (!layers.chain.disk || !layers.chain.disk->path)
    return act_stale(error, "domain %s has no disk %s with a file", layers.now->name, wanted->target);
  g_autofree char *path = new_path(context, wanted, error);
  if (path && !volume_refresh_around(context, layers.chain.disk->path, NULL, error)) /* its format is what the pool saw last */
    return FALSE;
  return path && check(&(Replacing){ .wanted = wanted, .layers = &layers, .path = path }, error);
}

gboolean replace_disk(const ActionContext *context, const Action *action, const DiskReplacement *wanted, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  g_autofree char *path = new_path(context, wanted, error);
  if (!path || !end_helper(context, error) || !disk_layers_read(context, wanted->target, &layers, error))
    return FALSE;
  if (g_strcmp0(layers.chain.disk->path, path) == 0)
    return TRUE; /* switched by an earlier run */
  const Replacing replacing = { .wanted = wanted, .layers = &layers, .path = path };
  if (!check_off(&layers, error) || !check(&replacing, error) || !coming_remove(context, wanted->target, error) || !check_free(context, wanted, error) ||
      !note_coming(&layers, wanted, path, error))
    return FALSE;
  if (offline_hold(context, action, &layers, make_and_switch, &replacing, error))
    return TRUE;
  coming_remove(context, wanted->target, NULL); /* what can't be done now, the next run does */
  return FALSE;
}
