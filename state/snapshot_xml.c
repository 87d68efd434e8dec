#include "state/snapshot_xml.h"

#include <string.h>

#include "state/xml_tree.h"

static char *text_of(xmlNode *parent, const char *name) {
  xmlNode *child = parent ? xml_first_child(parent, name) : NULL;
  g_autofree char *owned = NULL;
  const char *text = child ? xml_content(child, &owned) : NULL;
  return text && *text ? g_strdup(text) : NULL;
}

static void read_disk(ActualSnapshot *snapshot, xmlNode *element) {
  const char *name = xml_attribute(element, "name"), *how = xml_attribute(element, "snapshot");
  if (!name || g_strcmp0(how, "no") == 0)
    return;
  ActualSnapshotDisk *disk = g_new0(ActualSnapshotDisk, 1);
  disk->target = g_strdup(name);
  disk->internal = g_strcmp0(how, "internal") == 0;
  xmlNode *source = disk->internal ? NULL : xml_first_child(element, "source");
  if (source)
    disk->path = g_strdup(xml_attribute(source, xml_attribute(source, "file") ? "file" : "dev"));
  g_ptr_array_add(snapshot->disks, disk);
}

static void disk_free(gpointer data) {
  ActualSnapshotDisk *disk = data;
  g_free(disk->target);
  g_free(disk->path);
  g_free(disk);
}

ActualSnapshot *snapshot_xml_read(const char *xml, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse_lean(xml, "snapshot", error);
  if (!doc)
    return NULL;
  xmlNode *root = xmlDocGetRootElement(doc), *memory = xml_first_child(root, "memory"), *disks = xml_first_child(root, "disks");
  g_autofree char *created = text_of(root, "creationTime");
  ActualSnapshot *snapshot = g_new0(ActualSnapshot, 1);
  snapshot->name = text_of(root, "name");
  snapshot->description = text_of(root, "description");
  snapshot->state = text_of(root, "state");
  snapshot->parent = text_of(xml_first_child(root, "parent"), "name");
  snapshot->created = created ? g_ascii_strtoll(created, NULL, 10) : 0;
  snapshot->memory = memory && g_strcmp0(xml_attribute(memory, "snapshot"), "no") != 0;
  snapshot->memory_path = memory ? g_strdup(xml_attribute(memory, "file")) : NULL;
  snapshot->disks = g_ptr_array_new_with_free_func(disk_free);
  for (xmlNode *each = disks ? xml_first_child(disks, "disk") : NULL; each; each = xml_next_sibling(each, "disk"))
    read_disk(snapshot, each);
  if (snapshot->name)
    return snapshot;
  actual_snapshot_free(snapshot);
  g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "a snapshot without a name");
  return NULL;
}
