#include "state/device_defaults.h"
#include "state/xml_tree.h"

#include <string.h>

static xmlNode *child(xmlNode *element, const char *name) {
  xmlNode *found = xml_first_child(element, name);
  return found ? found : xml_add_child(element, NULL, name);
}

static void set_default(xmlNode *element, const char *attribute, const char *value) {
  if (!xml_attribute(element, attribute))
    xml_set_attribute(element, attribute, value);
}

/* The bus that a target's name stands for; libvirt guesses the same but for sd, where it
 * says scsi, which needs a controller and a driver that most guests don't expect. */
static const char *bus_of(const char *target) {
  static const struct {
    const char *prefix, *bus;
  } buses[] = {{"vd", "virtio"}, {"sd", "sata"}, {"hd", "ide"}, {"fd", "fdc"}, {"xvd", "xen"}};
  for (guint i = 0; i < G_N_ELEMENTS(buses); i++)
    if (g_str_has_prefix(target, buses[i].prefix))
      return buses[i].bus;
  return "virtio";
}

static void complete_disk(xmlNode *element, const DiskSpec *disk) {
  set_default(element, "type", "file"); /* an empty drive has no source that says it */
  set_default(element, "device", "disk");
  xmlNode *driver = child(element, "driver");
  set_default(driver, "name", "qemu");
  set_default(driver, "type", "raw"); /* never probed: a guest could write another format's header */
  set_default(child(element, "target"), "bus", bus_of(disk->target));
  if (strcmp(xml_attribute(element, "device"), "cdrom") == 0)
    child(element, "readonly");
}

static void complete_interface(xmlNode *element) {
  set_default(child(element, "model"), "type", "virtio"); /* libvirt's own default is a card of 1997 */
}

static void complete_graphics(xmlNode *element) {
  if (!xml_attribute(element, "port"))
    set_default(element, "autoport", "yes");
}

static void complete_rng(xmlNode *element) {
  set_default(element, "model", "virtio");
  xmlNode *backend = xml_first_child(element, "backend");
  if (backend)
    return;
  backend = xml_add_child(element, NULL, "backend");
  xml_set_attribute(backend, "model", "random");
  xml_set_content(backend, "/dev/urandom");
}

static void complete_serial(xmlNode *element) {
  const char *type = xml_attribute(element, "type");
  if (g_strcmp0(type, "unix") == 0)
    set_default(child(element, "source"), "mode", "bind");
}

void device_complete(const Field *row, xmlNode *element, gconstpointer spec) {
  const FieldTable *table = row->sub;
  if (table == &DiskSpec_table)
    complete_disk(element, spec);
  else if (table == &InterfaceSpec_table)
    complete_interface(element);
  else if (table == &GraphicsSpec_table)
    complete_graphics(element);
  else if (table == &RngSpec_table)
    complete_rng(element);
  else if (table == &TpmSpec_table)
    set_default(child(element, "backend"), "type", "emulator");
  else if (table == &SerialSpec_table || table == &ConsoleSpec_table)
    complete_serial(element);
  else if (table == &BalloonSpec_table)
    set_default(element, "model", "virtio");
}
