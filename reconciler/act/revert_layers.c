/* The new layers that a machine goes on with after going back. */
#include "reconciler/act/revert.h"
#include "reconciler/act/volume.h"
#include "reconciler/act/volume_sync.h"
#include "state/fault.h"
#include "state/xml_tree.h"

#define CLUSTER (64 << 10)

/* A qcow2 file as it was made has a header, one table and one block of reference counts, and its first table of
 * clusters, 8 bytes for each 512 MiB; any cluster of data needs a second table and itself. */
static gboolean is_fresh(const VolumeFacts *facts) {
  guint64 table = facts->capacity / (512 << 20) * 8 + 8;
  return facts->physical <= 3 * CLUSTER + (table + CLUSTER - 1) / CLUSTER * CLUSTER;
}

static gboolean holds_what_is_planned(virConnectPtr connect, const RevertingDisk *disk, GError **error) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, disk->holds);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up %s", disk->holds);
  return volume || act_stale(error, "%s, which the snapshot holds of disk %s, isn't in its pool any more", disk->holds, disk->target);
}

/* One of the name may be left by an interrupted run: nobody has written to it, and nobody uses it. */
static gboolean is_left_over(const ActionContext *context, virStorageVolPtr volume, const VolumeFacts *facts, const char *holds, GError **error) {
  g_autofree char *user = NULL, *doubt = NULL;
  const char *name = virStorageVolGetName(volume);
  if ((holds && g_strcmp0(facts->backing_path, holds) != 0) || !is_fresh(facts))
    return act_refuse(error, "volume %s exists already, and isn't one that an interrupted run left: rename it, or choose another word as request", name);
  if (!volume_find_user(context, facts->path, FALSE, &user, &doubt, error))
    return FALSE;
  if (user)
    return act_refuse(error, "volume %s exists already, and is used by %s: choose another word as request", name, user);
  return !doubt || act_refuse(error, "volume %s exists already, and it can't be told whether something else uses it: %s", name, doubt);
}

static gboolean clear_way(const ActionContext *context, virStorageVolPtr volume, const VolumeFacts *facts, const char *holds, GError **error) {
  return is_left_over(context, volume, facts, holds, error) && volume_delete(volume, error);
}

static gboolean check_disk(const ActionContext *context, const RevertingDisk *disk, GError **error) {
  g_autoptr(VirStoragePool) pool = volume_pool(context, disk->pool, error);
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  return pool && volume_refresh_around(context, disk->holds, NULL, error) &&
         holds_what_is_planned(virStoragePoolGetConnect(pool), disk, error) &&
         volume_find(context, pool, disk->volume, TRUE, &volume, &facts, error) &&
         (!volume || is_left_over(context, volume, &facts, disk->holds, error));
}

gboolean revert_check(const ActionContext *context, const GPtrArray *disks, const char *memory, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  for (guint i = 0; connect && i < disks->len; i++) {
    const RevertingDisk *disk = disks->pdata[i];
    if (!disk->holds || check_disk(context, disk, error))
      continue;
    g_prefix_error(error, "disk %s: ", disk->target);
    return FALSE;
  }
  if (!connect || !memory)
    return connect != NULL;
  g_autofree char *saved = virDomainSaveImageGetXMLDesc(connect, memory, 0);
  return saved || (libvirt_fail(error, "cannot read the memory in %s", memory),
                   g_prefix_error(error, "nothing is changed: bring that file back, or declare powerState: stopped: "), FALSE);
}

static gboolean make_layer(const ActionContext *context, RevertingDisk *disk, GError **error) {
  g_autoptr(VirStoragePool) pool = volume_pool(context, disk->pool, error);
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (!pool || !volume_find(context, pool, disk->volume, TRUE, &volume, &facts, error) ||
      !holds_what_is_planned(virStoragePoolGetConnect(pool), disk, error) || (volume && !clear_way(context, volume, &facts, disk->holds, error)))
    return FALSE;
  g_autoptr(VirStorageVol) made = volume_make(pool, disk->volume, "qcow2", disk->bytes, disk->holds, disk->format, 0, error);
  g_autofree char *path = made ? virStorageVolGetPath(made) : NULL;
  disk->layer = g_strdup(path);
  FAULT("revert: layer made");
  return made && volume_sync(made, "qcow2", error);
}

gboolean revert_make_layers(const ActionContext *context, const GPtrArray *disks, GError **error) {
  for (guint i = 0; i < disks->len; i++)
    if (!make_layer(context, disks->pdata[i], error)) {
      g_prefix_error(error, "disk %s: ", ((const RevertingDisk *)disks->pdata[i])->target);
      return FALSE;
    }
  return TRUE;
}

gboolean revert_drop_layers(const ActionContext *context, const GPtrArray *disks, GError **error) {
  for (guint i = 0; i < disks->len; i++) {
    const RevertingDisk *disk = disks->pdata[i];
    g_autoptr(VirStoragePool) pool = volume_pool(context, disk->pool, error);
    g_autoptr(VirStorageVol) volume = NULL;
    g_auto(VolumeFacts) facts = { 0 };
    g_autoptr(GError) kept = NULL;
    if (!pool || !volume_find(context, pool, disk->volume, TRUE, &volume, &facts, error))
      return FALSE;
    if (volume && !clear_way(context, volume, &facts, NULL, &kept))
      act_remark(context, "kept: %s", kept->message);
  }
  return TRUE;
}

gboolean revert_is_untouched(const ActionContext *context, xmlNode *domain, const RevertingDisk *disk, gboolean *ret_untouched, GError **error) {
  xmlNode *element = xml_map_find_device(table_find(&VmSpec_table, "disks"), domain, disk->target);
  g_autofree char *path = element ? xml_path_get(xml_path("source/@file"), element) : NULL;
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  g_autoptr(VirStorageVol) volume = path ? virStorageVolLookupByPath(connect, path) : NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (volume && !volume_facts(volume, &facts, error))
    return FALSE;
  *ret_untouched = volume && g_str_equal(virStorageVolGetName(volume), disk->volume) && is_fresh(&facts);
  return TRUE;
}

gboolean revert_name_file(xmlNode *domain, const char *target, const char *path, GError **error) {
  static const char *const names[] = { "file", "dev", "pool", "volume", "mode" };
  xmlNode *disk = xml_map_find_device(table_find(&VmSpec_table, "disks"), domain, target);
  if (!disk)
    return act_stale(error, "the definition has no disk %s any more", target);
  xmlNode *source = xml_path_node(xml_path("source"), disk), *backing = xml_first_child(disk, "backingStore");
  for (guint i = 0; source && i < G_N_ELEMENTS(names); i++)
    xml_remove_attribute(source, names[i]);
  if (backing)
    xml_remove(backing);
  xml_set_attribute(disk, "type", "file");
  xml_path_set(xml_path("source/@file"), disk, path);
  xml_path_set(xml_path("driver/@type"), disk, "qcow2");
  return TRUE;
}
