/* Exports: a disk's content as a stand-alone image, once.
 *
 * The steps: a marker beside the volume (volume.h); the volume, by a backup of the running machine or as a copy of the
 * stopped one's; our record says that it was written; the marker goes. A volume with a marker that the record doesn't
 * know is thrown away by the next run and written anew. */
#include "reconciler/act/backup.h"
#include "reconciler/act/layer_guard.h"
#include "reconciler/act/offline.h"
#include "reconciler/act/volume.h"
#include "state/fault.h"

typedef struct {
  const char *name, *target, *pool, *volume, *format;
  virStoragePoolPtr handle;
  const DiskLayers *layers;
} Export;

static gboolean read_arguments(const Action *action, Export *export, GError **error) {
  return (export->name = act_need(action, "export", error)) && (export->target = act_need(action, "target", error)) &&
         (export->pool = act_need(action, "pool", error)) && (export->volume = act_need(action, "volume", error)) &&
         (export->format = act_need(action, "format", error));
}

static const ExportFactSpec *fact_of(const FactsSpec *facts, const char *name) {
  return given(facts, FactsSpec, exports)
             ? list_find(&ExportFactSpec_table, facts->exports, table_key_field(&ExportFactSpec_table), name) : NULL;
}

static gboolean note(FactsSpec *facts, gconstpointer name) {
  if (fact_of(facts, name))
    return FALSE;
  if (!given(facts, FactsSpec, exports)) {
    facts->exports = spec_list_new(&ExportFactSpec_table);
    set_given(facts, FactsSpec, exports);
  }
  ExportFactSpec *fact = spec_new(&ExportFactSpec_table);
  fact->name = g_strdup(name);
  set_given(fact, ExportFactSpec, name);
  g_ptr_array_add(facts->exports, fact);
  return TRUE;
}

static char *volume_path(const Export *export, GError **error) {
  g_autofree char *text = virStoragePoolGetXMLDesc(export->handle, 0);
  if (!text)
    libvirt_fail(error, "cannot read storage pool %s", export->pool);
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, export->pool, error) : NULL;
  g_autofree char *directory = doc ? xml_path_get(xml_path("target/path"), xmlDocGetRootElement(doc)) : NULL;
  if (doc && !directory)
    act_refuse(error, "storage pool %s has no directory to write %s into", export->pool, export->volume);
  return directory ? g_build_filename(directory, export->volume, NULL) : NULL;
}

/* From the file, which nobody writes to: the machine is off and held, or it runs on an overlay that is dropped. */
static gboolean copy(const ActionContext *context, const Action *action, virDomainPtr helper G_GNUC_UNUSED, gconstpointer data, GError **error) {
  const Export *export = data;
  const ActualDisk *disk = export->layers->chain.disk;
  const ActualVolume *top = disk->chain->pdata[0];
  const VolumeCopy copied = { export->pool, export->volume, export->format, disk->path, top->capacity, .keep_marker = TRUE };
  return volume_copy(context, action, &copied, error);
}

static gboolean is_stateless(const Export *export) {
  const VmSpec *live = &export->layers->now->live;
  const DiskSpec *disk = given(live, VmSpec, disks)
                             ? list_find(&DiskSpec_table, live->disks, &DiskSpec_table.fields[DiskSpec_target], export->target) : NULL;
  return disk && given(disk, DiskSpec, stateless) && disk->stateless;
}

static gboolean write_volume(const ActionContext *context, const Action *action, const Export *export, const char *path, GError **error) {
  virDomainPtr domain = export->layers->domain;
  if (!export->layers->now->active)
    return offline_hold(context, action, domain, export->target, copy, export, error);
  if (is_stateless(export)) /* block jobs aren't supported on it */
    return copy(context, action, NULL, export, error);
  return backup_disk(context, action, domain, export->target, path, export->format, error);
}

/* It is there, whole and stand-alone. */
static gboolean check_written(const ActionContext *context, const Export *export, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  const ActualVolume *top = export->layers->chain.disk->chain->pdata[0];
  if (!volume_find(context, export->handle, export->volume, TRUE, &volume, &facts, error))
    return FALSE;
  return (volume && g_strcmp0(facts.format, export->format) == 0 && !facts.backing_path && facts.capacity >= top->capacity) ||
         act_fail(error, "volume %s in storage pool %s isn't the image that was written", export->volume, export->pool);
}

/* Throws away what an earlier run began; refuses what is there otherwise. */
static gboolean make_room(const ActionContext *context, const Export *export, const char *path, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean begun;
  if (!volume_find(context, export->handle, export->volume, TRUE, &volume, NULL, error) ||
      !marker_find(context, export->handle, export->volume, &begun, error))
    return FALSE;
  if (volume && !begun)
    return act_refuse(error, "there is a volume %s in storage pool %s already; it is never overwritten", export->volume, export->pool);
  if (!begun)
    return TRUE;
  if (export->layers->now->active && !backup_end(context, export->layers->domain, path, error))
    return FALSE;
  g_clear_pointer(&volume, virStorageVolFree); /* the end of a job may have removed it */
  if (!volume_find(context, export->handle, export->volume, TRUE, &volume, NULL, error))
    return FALSE;
  return !volume || volume_delete(volume, error);
}

static gboolean write_once(const ActionContext *context, const Action *action, const Export *export, GError **error) {
  g_autofree char *path = volume_path(export, error);
  if (!path || !make_room(context, export, path, error) || act_cancelled(context, error) ||
      !marker_set(export->handle, export->volume, error))
    return FALSE;
  FAULT("export: marked");
  if (write_volume(context, action, export, path, error) && check_written(context, export, error)) {
    FAULT("export: written");
    return act_change_facts(export->layers->domain, note, export->name, error);
  }
  volume_refresh(context, export->handle, NULL);
  half_made_remove(export->handle, export->volume);
  return FALSE;
}

gboolean act_disk_export(const ActionContext *context, const Action *action, GError **error) {
  Export export = { 0 };
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
  if (!fact_of(layers.facts, export.name) && !write_once(context, action, &export, error))
    return FALSE;
  FAULT("export: noted");
  return marker_clear(pool, export.volume, error);
}
