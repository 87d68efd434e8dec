#include "reconciler/act/transient.h"

#include "reconciler/act/volume.h"
#include "state/transient_disk.h"

static gboolean remove_overlay(const ActionContext *context, virDomainPtr domain, const char *disk_path, GError **error) {
  const char *name = virDomainGetName(domain);
  g_autofree char *overlay = transient_overlay_path(disk_path, name);
  if (!volume_refresh_around(context, disk_path, NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(domain), overlay);
  if (!volume)
    return TRUE; /* or in no pool: then libvirt says what is in the way */
  g_auto(VolumeFacts) facts = { 0 };
  if (!volume_facts(volume, &facts, error))
    return FALSE;
  if (g_strcmp0(facts.backing_path, disk_path) != 0)
    return act_refuse(error, "%s is in the way of the stateless disk %s of domain %s, and isn't an overlay of it: move it away", overlay,
                      disk_path, name);
  if (!volume_delete(volume, error))
    return FALSE;
  act_remark(context, "%s, which a sudden end of the machine had left, was deleted", overlay);
  return TRUE;
}

static char *path_of(virConnectPtr connect, xmlNode *disk) {
  g_autofree char *pool_name = xml_path_get(xml_path("source/@pool"), disk), *name = xml_path_get(xml_path("source/@volume"), disk);
  g_autoptr(VirStoragePool) pool = pool_name && name ? virStoragePoolLookupByName(connect, pool_name) : NULL;
  g_autoptr(VirStorageVol) volume = pool ? virStorageVolLookupByName(pool, name) : NULL;
  g_autofree char *path = volume ? virStorageVolGetPath(volume) : NULL;
  return path ? g_strdup(path) : xml_path_get(xml_path("source/@file"), disk);
}

gboolean transient_overlays_remove(const ActionContext *context, virDomainPtr domain, GError **error) {
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  g_autoptr(GPtrArray) disks = xml_path_all(xml_path("devices/disk"), xmlDocGetRootElement(doc));
  for (guint i = 0; i < disks->len; i++) {
    gboolean transient = xml_path_exists(xml_path("transient"), disks->pdata[i]);
    g_autofree char *path = transient ? path_of(virDomainGetConnect(domain), disks->pdata[i]) : NULL;
    if (path && !remove_overlay(context, domain, path, error))
      return FALSE;
  }
  return TRUE;
}
