/* Storage pools and volumes. */
#include "state/object_xml.h"
#include "state/xml_tree.h"

static xmlDoc *new_doc(const char *element, const char *name) {
  xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *root = xmlNewDocNode(doc, NULL, BAD_CAST element, NULL);
  xmlDocSetRootElement(doc, root);
  xml_path_set(xml_path("name"), root, name);
  return doc;
}

static gboolean missing(const char *kind, const char *name, const char *field, GError **error) {
  g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "%s %s has no %s", kind, name, field);
  return FALSE;
}

static gboolean pool_check(const char *name, const StoragePoolSpec *spec, GError **error) {
  if (!given(spec, StoragePoolSpec, type))
    return missing("pool", name, "type", error);
  gboolean logical = spec->type == PoolType_logical;
  if (logical && !given(&spec->source, PoolSourceSpec, name))
    return missing("pool", name, "source.name: the volume group", error);
  if (!logical && !given(spec, StoragePoolSpec, target))
    return missing("pool", name, "target", error);
  return TRUE;
}

/* A volume group's devices appear below /dev. */
static void complete_pool(xmlNode *pool, const StoragePoolSpec *spec) {
  if (given(spec, StoragePoolSpec, target) || spec->type != PoolType_logical)
    return;
  g_autofree char *path = g_strconcat("/dev/", spec->source.name, NULL);
  xml_path_set(xml_path("target/path"), pool, path);
}

xmlDoc *pool_xml_new(const char *name, const StoragePoolSpec *spec, const char *uuid, GError **error) {
  if (!pool_check(name, spec, error))
    return NULL;
  xmlDoc *doc = new_doc("pool", name);
  xmlNode *pool = xmlDocGetRootElement(doc);
  if (uuid)
    xml_path_set(xml_path("uuid"), pool, uuid);
  xml_map_patch(&StoragePoolSpec_table, pool, spec, NULL);
  complete_pool(pool, spec);
  return doc;
}

void pool_xml_read(xmlNode *pool, StoragePoolSpec *spec) {
  xml_map_read(&StoragePoolSpec_table, pool, spec);
}

static void set_bytes(xmlNode *volume, const char *path, guint64 bytes) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
  xml_set_attribute(xml_path_set(xml_path(path), volume, text), "unit", "bytes");
}

xmlDoc *volume_xml_new(const char *name, const char *format, guint64 bytes, const char *backing_path,
                       const char *backing_format, guint mode, GError **error) {
  if (backing_path && !backing_format) /* probing a base's format would trust its content */
    return missing("volume", name, "format of its backing store", error), NULL;
  xmlDoc *doc = new_doc("volume", name);
  xmlNode *volume = xmlDocGetRootElement(doc);
  set_bytes(volume, "capacity", bytes);
  gboolean qcow2 = g_strcmp0(format, "qcow2") == 0;
  if (qcow2) /* grown as it is written; raw files are sparse by allocation 0 */
    set_bytes(volume, "allocation", 0);
  xml_path_set(xml_path("target/format/@type"), volume, format);
  if (qcow2)
    xml_path_set(xml_path("target/compat"), volume, "1.1");
  if (mode) {
    g_autofree char *octal = g_strdup_printf("%04o", mode);
    xml_path_set(xml_path("target/permissions/mode"), volume, octal);
  }
  if (backing_path) {
    xml_path_set(xml_path("backingStore/path"), volume, backing_path);
    xml_path_set(xml_path("backingStore/format/@type"), volume, backing_format);
  }
  return doc;
}
