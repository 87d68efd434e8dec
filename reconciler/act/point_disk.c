#include "reconciler/act/point_disk.h"

#include "reconciler/act/volume.h"
#include "state/xml_tree.h"

/* The path that a disk of a definition names; NULL: none, or none that is known. */
static char *path_of(virConnectPtr connect, xmlNode *disk) {
  char *path = xml_path_get(xml_path("[@type='file']/source/@file ?? [@type='block']/source/@dev"), disk);
  if (path)
    return path;
  g_autofree char *pool_name = xml_path_get(xml_path("source/@pool"), disk), *name = xml_path_get(xml_path("source/@volume"), disk);
  g_autoptr(VirStoragePool) pool = pool_name && name ? virStoragePoolLookupByName(connect, pool_name) : NULL;
  g_autoptr(VirStorageVol) volume = pool ? virStorageVolLookupByName(pool, name) : NULL;
  g_autofree char *found = volume ? virStorageVolGetPath(volume) : NULL;
  return g_strdup(found);
}

static gboolean is_device(virStorageVolPtr volume, const char *path) {
  virStorageVolInfo info;
  return volume && virStorageVolGetInfo(volume, &info) == 0 ? info.type == VIR_STORAGE_VOL_BLOCK : g_str_has_prefix(path, "/dev/");
}

static void name_file(virConnectPtr connect, xmlNode *disk, const DiskPointing *pointing) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, pointing->to);
  g_autoptr(VirStoragePool) pool = volume ? virStoragePoolLookupByVolume(volume) : NULL;
  xmlNode *source = xml_path_node(xml_path("source"), disk);
  static const char *const names[] = { "file", "dev", "pool", "volume" };
  for (guint i = 0; source && i < G_N_ELEMENTS(names); i++)
    xml_remove_attribute(source, names[i]);
  if (pool && g_strcmp0(xml_attribute(disk, "type"), "volume") == 0) {
    xml_path_set(xml_path("source/@pool"), disk, virStoragePoolGetName(pool));
    xml_path_set(xml_path("source/@volume"), disk, virStorageVolGetName(volume));
  } else {
    gboolean device = is_device(volume, pointing->to);
    xml_set_attribute(disk, "type", device ? "block" : "file");
    xml_path_set(device ? xml_path("source/@dev") : xml_path("source/@file"), disk, pointing->to);
  }
  xml_path_set(xml_path("driver/@type"), disk, pointing->format);
}

/* Whether anything was to be changed. */
static gboolean point(virDomainPtr domain, xmlNode *disk, const DiskPointing *pointing, gboolean *ret_changed, GError **error) {
  virConnectPtr connect = virDomainGetConnect(domain);
  g_autofree char *now = path_of(connect, disk);
  gboolean differs = g_strcmp0(now, pointing->to) != 0;
  if (differs && g_strcmp0(now, pointing->from) != 0)
    return act_stale(error, "disk %s of the definition of domain %s names %s, not %s as planned", pointing->target,
                     virDomainGetName(domain), now ? now : "no file", pointing->from);
  xmlNode *backing = xml_first_child(disk, "backingStore");
  if (differs)
    name_file(connect, disk, pointing);
  if (backing)
    xml_remove(backing);
  *ret_changed = differs || backing;
  return TRUE;
}

gboolean act_point_disk(const ActionContext *context, virDomainPtr domain, const DiskPointing *pointing, GError **error) {
  g_autoptr(Ownership) record = NULL;
  g_autoptr(xmlDoc) doc = act_definition(domain, &record, error);
  xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
  if (!root || !record)
    return root && act_not_ours(domain, error);
  xmlNode *disk = xml_map_find_device(table_find(&VmSpec_table, "disks"), root, pointing->target);
  gboolean changed = FALSE;
  if (!disk)
    return act_stale(error, "the definition of domain %s has no disk %s any more", virDomainGetName(domain), pointing->target);
  if (!point(domain, disk, pointing, &changed, error))
    return FALSE;
  if (pointing->change && pointing->change(&record->facts, pointing->data)) {
    ownership_write(root, record);
    changed = TRUE;
  }
  return !changed || act_write_definition(context, doc, error);
}
