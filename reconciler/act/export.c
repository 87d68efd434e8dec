/* Exports: a disk's content as a stand-alone image, once.
 *
 * The steps: a marker beside the volume (volume.h); the volume, by a backup of the running machine or as a copy of the
 * stopped one's; our record says that it was written; the marker goes. To be compressed, it is first written as raw
 * volume NAME.plain, which has a marker of its own, and goes when the compressed one is whole. What the record doesn't know
 * and has a marker is thrown away by the next run and written anew. */
#include "reconciler/act/backup.h"
#include "reconciler/act/compress.h"
#include "reconciler/act/layer_guard.h"
#include "reconciler/act/offline.h"
#include "reconciler/act/volume.h"
#include "reconciler/act/volume_sync.h"
#include "reconciler/plan/facts.h"
#include "state/fault.h"

#define PLAIN_SUFFIX ".plain"

typedef struct {
  const char *name, *target, *pool, *volume, *format;
  const char *compress; /* NULL: as it is */
  char *plain;          /* what is written first: the volume itself, or what is compressed to it */
  virStoragePoolPtr handle;
  const DiskLayers *layers;
} Export;

static void export_clear(Export *export) { g_free(export->plain); }
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Export, export_clear)

static gboolean read_arguments(const Action *action, Export *export, GError **error) {
  export->compress = act_arg(action, "compress");
  if (!(export->name = act_need(action, "export", error)) || !(export->target = act_need(action, "target", error)) ||
      !(export->pool = act_need(action, "pool", error)) || !(export->volume = act_need(action, "volume", error)) ||
      !(export->format = act_need(action, "format", error)))
    return FALSE;
  export->plain = g_strconcat(export->volume, export->compress ? PLAIN_SUFFIX : NULL, NULL);
  return TRUE;
}

static const char *plain_format(const Export *export) { return export->compress ? "raw" : export->format; }

typedef struct {
  const char *name;
  Consistency consistency;
} Written;

static gboolean note(FactsSpec *facts, gconstpointer data) {
  const Written *written = data;
  gboolean is_new = !facts_find(facts, FactsSpec_exports, written->name);
  ExportFactSpec *fact = facts_need(facts, FactsSpec_exports, written->name);
  fact->consistency = (int)written->consistency;
  set_given(fact, ExportFactSpec, consistency);
  return is_new;
}

static char *path_of(const Export *export, const char *name, GError **error) {
  g_autofree char *text = virStoragePoolGetXMLDesc(export->handle, 0);
  if (!text)
    libvirt_fail(error, "cannot read storage pool %s", export->pool);
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, export->pool, error) : NULL;
  g_autofree char *directory = doc ? xml_path_get(xml_path("target/path"), xmlDocGetRootElement(doc)) : NULL;
  if (doc && !directory)
    act_refuse(error, "storage pool %s has no directory to write %s into", export->pool, export->volume);
  return directory ? g_build_filename(directory, name, NULL) : NULL;
}

/* From the file, which nobody writes to: the machine is off and held, or it runs on an overlay that is dropped. */
static gboolean copy(const ActionContext *context, const Action *action, virDomainPtr helper G_GNUC_UNUSED, gconstpointer data, GError **error) {
  const Export *export = data;
  const ActualDisk *disk = export->layers->chain.disk;
  const ActualVolume *top = disk->chain->pdata[0];
  const VolumeCopy copied = {
    .pool = export->pool, .volume = export->plain, .format = plain_format(export), .from = disk->path, .from_format = disk->format,
    .bytes = top->capacity, .keep_marker = TRUE,
  };
  return volume_copy(context, action, &copied, error);
}

static gboolean is_stateless(const Export *export) {
  const DiskSpec *disk = vm_disk(actual_live(export->layers->now), export->target);
  return disk && given(disk, DiskSpec, stateless) && disk->stateless;
}

static gboolean write_plain(const ActionContext *context, const Action *action, const Export *export, const char *path, Consistency *ret_consistency,
                            GError **error) {
  virDomainPtr domain = export->layers->domain;
  *ret_consistency = Consistency_stopped; /* of a stateless disk too: what the machine started from */
  if (!export->layers->now->active)
    return offline_hold(context, action, export->layers, copy, export, error);
  if (is_stateless(export)) /* block jobs aren't supported on it */
    return copy(context, action, NULL, export, error);
  return backup_disk(context, action, domain, export->target, path, plain_format(export), ret_consistency, error);
}

/* It is there, whole and stand-alone. */
static gboolean check_written(const ActionContext *context, const Export *export, const char *name, const char *format, virStorageVolPtr *ret_volume,
                              GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  const ActualVolume *top = export->layers->chain.disk->chain->pdata[0];
  if (!volume_find(context, export->handle, name, TRUE, &volume, &facts, error))
    return FALSE;
  if (!volume || g_strcmp0(facts.format, format) != 0 || facts.backing_path || facts.capacity < top->capacity)
    return act_fail(error, "volume %s in storage pool %s isn't the image that was written", name, export->pool);
  if (ret_volume)
    *ret_volume = g_steal_pointer(&volume);
  return TRUE;
}

static gboolean compress(const ActionContext *context, const Action *action, const Export *export, GError **error) {
  g_autoptr(VirStorageVol) plain = NULL;
  if (!check_written(context, export, export->plain, "raw", &plain, error))
    return FALSE;
  FAULT("export: plain written");
  if (!compress_volume(context, action, plain, export->compress, export->handle, export->volume, error))
    return FALSE;
  FAULT("export: compressed");
  return volume_delete(plain, error) && marker_clear(export->handle, export->plain, error);
}

static gboolean check_free(const ActionContext *context, const Export *export, const char *name, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  if (!volume_find(context, export->handle, name, TRUE, &volume, NULL, error))
    return FALSE;
  return !volume || act_refuse(error, "there is a volume %s in storage pool %s already; it is never overwritten", name, export->pool);
}

/* What an earlier run, or this one, began, by whichever way: the declaration may have changed since. */
static gboolean throw_away(const ActionContext *context, const Export *export, GError **error) {
  g_autofree char *plain = g_strconcat(export->volume, PLAIN_SUFFIX, NULL);
  const char *const names[] = { plain, export->volume };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    gboolean begun;
    g_autofree char *path = path_of(export, names[i], error);
    if (!path || !marker_find(context, export->handle, names[i], &begun, error) ||
        (begun && export->layers->now->active && !backup_end(context, export->layers->domain, path, error)) ||
        !half_made_clear(context, export->handle, names[i], error))
      return FALSE;
  }
  return TRUE;
}

/* Nothing is overwritten but what an earlier run began. */
static gboolean make_room(const ActionContext *context, const Export *export, GError **error) {
  return volume_refresh(context, export->handle, error) && throw_away(context, export, error) &&
         check_free(context, export, export->volume, error) && check_free(context, export, export->plain, error) &&
         !act_cancelled(context, error) && marker_set(export->handle, export->volume, error) && marker_set(export->handle, export->plain, error);
}

static gboolean write_all(const ActionContext *context, const Action *action, const Export *export, const char *path, Consistency *ret_consistency,
                          GError **error) {
  return write_plain(context, action, export, path, ret_consistency, error) && (!export->compress || compress(context, action, export, error)) &&
         check_written(context, export, export->volume, export->format, NULL, error);
}

static const char *const worth[Consistency_N] = {
  [Consistency_stopped] = "stopped: nobody wrote to it",
  [Consistency_quiesced] = "quiesced: the guest's file systems were frozen at its moment",
  [Consistency_crash] = "crash: as after a power cut",
};

static gboolean write_once(const ActionContext *context, const Action *action, const Export *export, GError **error) {
  g_autofree char *path = path_of(export, export->plain, error);
  Written written = { .name = export->name };
  if (!path || (export->compress && !compress_check(error)) || !make_room(context, export, error))
    return FALSE;
  FAULT("export: marked");
  if (write_all(context, action, export, path, &written.consistency, error) && volume_sync_named(export->handle, export->volume, NULL, error)) {
    FAULT("export: written");
    act_remark(context, "%s is %s", export->volume, worth[written.consistency]);
    return act_change_facts(export->layers->domain, note, &written, error);
  }
  throw_away(context, export, NULL);
  return FALSE;
}

gboolean act_disk_export(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Export) export = { 0 };
  g_auto(DiskLayers) layers = { 0 };
  if (!read_arguments(action, &export, error) || !disk_layers_read(context, export.target, &layers, error))
    return FALSE;
  export.layers = &layers;
  g_autoptr(VirStoragePool) pool = volume_pool(context, export.pool, error);
  export.handle = pool;
  if (!pool)
    return FALSE;
  if (layers.chain.disk->chain->len == 0)
    return act_refuse(error, "disk %s of domain %s isn't a file that can be exported", export.target, context->object->name);
  if (!facts_find(layers.facts, FactsSpec_exports, export.name) && !write_once(context, action, &export, error))
    return FALSE;
  FAULT("export: noted");
  return marker_clear(pool, export.volume, error);
}
