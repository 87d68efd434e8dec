#include "reconciler/act/aside.h"

#include "state/fault.h"
#include "state/helper.h"
#include "state/xml_tree.h"

static GRecMutex one_at_a_time;

static char *definition(const char *directory) {
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *pool = xmlNewDocNode(doc, NULL, (const xmlChar *)"pool", NULL);
  xmlDocSetRootElement(doc, pool);
  xml_set_attribute(pool, "type", "dir");
  xmlNewTextChild(pool, NULL, (const xmlChar *)"name", (const xmlChar *)ASIDE_POOL_NAME);
  xmlNode *target = xmlNewChild(pool, NULL, (const xmlChar *)"target", NULL);
  xmlNewTextChild(target, NULL, (const xmlChar *)"path", (const xmlChar *)directory);
  return xml_text(doc);
}

static void end_left(virConnectPtr connect) {
  g_autoptr(VirStoragePool) left = virStoragePoolLookupByName(connect, ASIDE_POOL_NAME);
  if (left && virStoragePoolIsPersistent(left) == 0)
    virStoragePoolDestroy(left);
}

void aside_sweep(const ActionContext *context) {
  g_rec_mutex_lock(&one_at_a_time);
  virConnectPtr connect = connection_get(context->connection, NULL);
  if (connect)
    end_left(connect);
  g_rec_mutex_unlock(&one_at_a_time);
}

void aside_close(Aside *aside) {
  if (aside->pool && aside->own)
    virStoragePoolDestroy(aside->pool);
  if (aside->pool)
    virStoragePoolFree(aside->pool);
  if (aside->open)
    g_rec_mutex_unlock(&one_at_a_time);
  *aside = (Aside){0};
}

static gboolean open_directory(const ActionContext *context, virConnectPtr connect, const char *directory, Aside *aside, GError **error) {
  end_left(connect);
  aside->pool = virStoragePoolLookupByTargetPath(connect, directory);
  if (aside->pool)
    return volume_refresh(context, aside->pool, error);
  if (virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL)
    return libvirt_fail(error, "cannot look for the pool with %s", directory);
  g_autofree char *text = definition(directory);
  aside->pool = virStoragePoolCreateXML(connect, text, 0);
  aside->own = aside->pool != NULL;
  FAULT("aside: opened");
  return aside->own || libvirt_fail(error, "cannot look into %s", directory);
}

gboolean aside_open(const ActionContext *context, const char *path, Aside *ret_aside, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  g_autofree char *directory = g_path_get_dirname(path);
  *ret_aside = (Aside){0};
  if (!connect)
    return FALSE;
  g_rec_mutex_lock(&one_at_a_time);
  ret_aside->open = TRUE;
  if (open_directory(context, connect, directory, ret_aside, error))
    return TRUE;
  aside_close(ret_aside);
  return FALSE;
}

gboolean aside_find(const ActionContext *context, const char *path, Aside *ret_aside, virStorageVolPtr *ret_volume, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  *ret_aside = (Aside){0};
  *ret_volume = connect ? virStorageVolLookupByPath(connect, path) : NULL;
  if (!connect || *ret_volume)
    return connect != NULL;
  if (virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", path);
  g_autofree char *name = g_path_get_basename(path);
  return aside_open(context, path, ret_aside, error) && volume_find(context, ret_aside->pool, name, FALSE, ret_volume, NULL, error);
}
