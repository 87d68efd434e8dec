#include "state/transient_disk.h"

#include <string.h>

#include "state/xml_tree.h"

char *transient_overlay_path(const char *disk_path, const char *domain) { return g_strdup_printf("%s.TRANSIENT-%s", disk_path, domain); }

static const char *source_file(xmlNode *element) {
  xmlNode *source = element ? xml_first_child(element, "source") : NULL;
  return source ? xml_attribute(source, "file") : NULL;
}

static void move(xmlNode *child, xmlNode *parent, xmlNode *after) {
  xmlUnlinkNode(child);
  xml_insert(parent, after, child);
}

/* <backingStore> says of the layer below what <disk> says of the top one. */
static void drop_top_layer(xmlNode *disk, xmlNode *backing) {
  xmlNode *driver = xml_first_child(disk, "driver"), *format = xml_first_child(backing, "format"), *overlay = xml_first_child(disk, "source");
  xmlNode *source = xml_first_child(backing, "source"), *below = xml_first_child(backing, "backingStore");
  const char *type = xml_attribute(backing, "type"), *word = format ? xml_attribute(format, "type") : NULL;
  if (type)
    xml_set_attribute(disk, "type", type);
  if (driver && word)
    xml_set_attribute(driver, "type", word);
  move(source, disk, overlay);
  xml_remove(overlay);
  if (below)
    move(below, disk, source);
  xml_remove(backing);
}

static void settle(xmlNode *domain) {
  xmlNode *devices = xml_first_child(domain, "devices"), *named = xml_first_child(domain, "name");
  g_autofree char *owned = NULL;
  const char *name = named ? xml_content(named, &owned) : NULL;
  for (xmlNode *disk = devices && name ? xml_first_child(devices, "disk") : NULL; disk; disk = xml_next_sibling(disk, "disk")) {
    xmlNode *backing = xml_first_child(disk, "transient") ? xml_first_child(disk, "backingStore") : NULL;
    const char *top = source_file(disk), *below = source_file(backing);
    g_autofree char *overlay = below ? transient_overlay_path(below, name) : NULL;
    if (overlay && g_strcmp0(top, overlay) == 0)
      drop_top_layer(disk, backing);
  }
}

char *transient_disks_settle(const char *live) {
  g_autoptr(xmlDoc) doc = strstr(live, "<transient") ? xml_parse(live, "what runs", NULL) : NULL;
  if (!doc)
    return NULL;
  settle(xmlDocGetRootElement(doc));
  return xml_text(doc);
}
