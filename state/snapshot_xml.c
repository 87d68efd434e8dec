#include "state/snapshot_xml.h"

#include <string.h>

#include "state/xml_lean.h"
#include "state/xml_tree.h"

static char *text_of(xmlNode *parent, const char *name) {
  xmlNode *child = parent ? xml_first_child(parent, name) : NULL;
  g_autofree char *owned = NULL;
  const char *text = child ? xml_content(child, &owned) : NULL;
  return text && *text ? g_strdup(text) : NULL;
}

static void disk_free(gpointer data) {
  ActualSnapshotDisk *disk = data;
  g_free(disk->target);
  g_free(disk->path);
  g_free(disk->base);
  g_free(disk->base_format);
  g_free(disk);
}

ActualSnapshot *snapshot_new(const char *name, const char *description) {
  ActualSnapshot *snapshot = g_new0(ActualSnapshot, 1);
  snapshot->name = g_strdup(name);
  snapshot->description = g_strdup(description);
  snapshot->disks = g_ptr_array_new_with_free_func(disk_free);
  return snapshot;
}

void snapshot_add_disk(ActualSnapshot *snapshot, const char *target, gboolean internal, const char *path) {
  ActualSnapshotDisk *disk = g_new0(ActualSnapshotDisk, 1);
  disk->target = g_strdup(target);
  disk->internal = internal;
  disk->path = g_strdup(path);
  g_ptr_array_add(snapshot->disks, disk);
}

static void read_disk(ActualSnapshot *snapshot, xmlNode *element) {
  const char *name = xml_attribute(element, "name"), *how = xml_attribute(element, "snapshot");
  if (!name || g_strcmp0(how, "no") == 0)
    return;
  gboolean internal = g_strcmp0(how, "internal") == 0;
  xmlNode *source = internal ? NULL : xml_first_child(element, "source");
  snapshot_add_disk(snapshot, name, internal, source ? xml_attribute(source, xml_attribute(source, "file") ? "file" : "dev") : NULL);
}

static const char *child_attribute(xmlNode *element, const char *child, const char *attribute) {
  xmlNode *found = xml_first_child(element, child);
  return found ? xml_attribute(found, attribute) : NULL;
}

/* The machine's definition of that moment, which the snapshot has a copy of. */
static void read_bases(ActualSnapshot *snapshot, xmlNode *domain) {
  xmlNode *devices = domain ? xml_first_child(domain, "devices") : NULL;
  for (xmlNode *each = devices ? xml_first_child(devices, "disk") : NULL; each; each = xml_next_sibling(each, "disk")) {
    const char *target = child_attribute(each, "target", "dev"), *file = child_attribute(each, "source", "file");
    for (guint i = 0; target && i < snapshot->disks->len; i++) {
      ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
      if (disk->base || !g_str_equal(disk->target, target))
        continue;
      disk->base = g_strdup(file ? file : child_attribute(each, "source", "dev"));
      disk->base_format = g_strdup(child_attribute(each, "driver", "type"));
    }
  }
}

ActualSnapshot *snapshot_xml_read(const char *xml, GError **error) {
  g_autoptr(XmlLean) doc = xml_parse_lean(xml, "snapshot", error);
  if (!doc)
    return NULL;
  xmlNode *root = xml_lean_root(doc), *memory = xml_first_child(root, "memory"), *disks = xml_first_child(root, "disks");
  g_autofree char *created = text_of(root, "creationTime");
  g_autofree char *name = text_of(root, "name"), *description = text_of(root, "description");
  ActualSnapshot *snapshot = snapshot_new(name, description);
  snapshot->state = text_of(root, "state");
  snapshot->parent = text_of(xml_first_child(root, "parent"), "name");
  snapshot->created = created ? g_ascii_strtoll(created, NULL, 10) : 0;
  snapshot->memory = memory && g_strcmp0(xml_attribute(memory, "snapshot"), "no") != 0;
  snapshot->memory_path = memory ? g_strdup(xml_attribute(memory, "file")) : NULL;
  for (xmlNode *each = disks ? xml_first_child(disks, "disk") : NULL; each; each = xml_next_sibling(each, "disk"))
    read_disk(snapshot, each);
  read_bases(snapshot, xml_first_child(root, "domain"));
  if (snapshot->name)
    return snapshot;
  actual_snapshot_free(snapshot);
  g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "a snapshot without a name");
  return NULL;
}

static void write_disk(xmlNode *disks, const ActualSnapshotDisk *disk) {
  xmlNode *element = xml_add_child(disks, NULL, "disk");
  xml_set_attribute(element, "name", disk->target);
  xml_set_attribute(element, "snapshot", disk->internal ? "internal" : disk->path ? "external" : "no");
  if (!disk->path)
    return;
  xml_set_attribute(element, "type", "file");
  xml_set_attribute(xml_add_child(element, NULL, "driver"), "type", "qcow2");
  xml_set_attribute(xml_add_child(element, NULL, "source"), "file", disk->path);
}

char *snapshot_xml_new(const ActualSnapshot *snapshot) {
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *root = xmlNewDocNode(doc, NULL, (const xmlChar *)"domainsnapshot", NULL);
  xmlDocSetRootElement(doc, root);
  xml_set_content(xml_add_child(root, NULL, "name"), snapshot->name);
  if (snapshot->description)
    xml_set_content(xml_add_child(root, NULL, "description"), snapshot->description);
  xmlNode *memory = xml_add_child(root, NULL, "memory");
  xml_set_attribute(memory, "snapshot", snapshot->memory_path ? "external" : snapshot->memory ? "internal" : "no");
  if (snapshot->memory_path)
    xml_set_attribute(memory, "file", snapshot->memory_path);
  xmlNode *disks = xml_add_child(root, NULL, "disks");
  for (guint i = 0; i < snapshot->disks->len; i++)
    write_disk(disks, snapshot->disks->pdata[i]);
  return xml_text(doc);
}
