/* Consequences of a patch that no single row knows: what libvirt adds by itself and then
 * refuses beside the new value. */
#include "state/domain_settle.h"
#include "schema/value.h"
#include "state/xml_tree.h"
#include "state/xml_value.h"

#include <string.h>

/* Fields that say what a device is plugged into: another value needs another address. */
static const struct {
  guint row;   /* of VmSpec */
  guint field; /* of its table */
} sockets[] = {{VmSpec_disks, DiskSpec_bus},       {VmSpec_inputs, InputSpec_bus},  {VmSpec_interfaces, InterfaceSpec_model},
               {VmSpec_watchdog, WatchdogSpec_model}, {VmSpec_sound, SoundSpec_model}, {VmSpec_video, VideoSpec_model}};

static gboolean is_pcie_card(const char *model) {
  return strcmp(model, "virtio") == 0 || strcmp(model, "e1000e") == 0 || strcmp(model, "igb") == 0;
}

static gboolean needs_other_address(const Field *field, gconstpointer now, gconstpointer wanted) {
  if (value_equal(field, now, wanted))
    return FALSE;
  if (field->type != VALUE_NAME)
    return TRUE;
  return !is_pcie_card(*(char *const *)now) || !is_pcie_card(*(char *const *)wanted);
}

/* libvirt writes each model's own kinds of memory, and refuses them with another model. */
static void drop_video_memory(xmlNode *video) {
  static const char *const memories[] = {"ram", "vram", "vram64", "vgamem"};
  xmlNode *model = xml_first_child(video, "model");
  for (guint i = 0; model && i < G_N_ELEMENTS(memories); i++)
    xml_remove_attribute(model, memories[i]);
}

static void drop_address(const Field *row, const Field *field, xmlNode *element, gconstpointer spec) {
  XmlValue now = {0};
  if (!element || !field_given(row->sub, spec, field) || !xml_value_read(field, element, &now))
    return;
  gboolean other = needs_other_address(field, &now, field_member(field, spec));
  value_clear(field, &now);
  xmlNode *address = other ? xml_first_child(element, "address") : NULL;
  if (address)
    xml_remove(address);
  if (other && row->sub == &VideoSpec_table)
    drop_video_memory(element);
}

void domain_drop_stale_addresses(xmlNode *domain, const VmSpec *spec) {
  for (guint i = 0; i < G_N_ELEMENTS(sockets); i++) {
    const Field *row = &VmSpec_table.fields[sockets[i].row], *field = &row->sub->fields[sockets[i].field];
    if (!field_given(&VmSpec_table, spec, row))
      continue;
    gpointer member = field_member(row, spec);
    if (row->type == VALUE_GROUP) {
      drop_address(row, field, xml_map_find_device(row, domain, NULL), member);
      continue;
    }
    const GPtrArray *items = *(GPtrArray **)member;
    for (guint item = 0; items && item < items->len; item++) {
      g_autofree char *match = item_match(row->sub, items->pdata[item]);
      if (match)
        drop_address(row, field, xml_map_find_device(row, domain, match), items->pdata[item]);
    }
  }
}

static gboolean gives_boot_index(const FieldTable *table, gconstpointer spec) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, spec, field))
      continue;
    if (strcmp(field->key, "bootIndex") == 0)
      return TRUE;
    if (field->type == VALUE_GROUP && gives_boot_index(field->sub, field_member(field, spec)))
      return TRUE;
    const GPtrArray *items = field->type == VALUE_LIST ? *(GPtrArray **)field_member(field, spec) : NULL;
    for (guint item = 0; items && item < items->len; item++)
      if (gives_boot_index(field->sub, items->pdata[item]))
        return TRUE;
  }
  return FALSE;
}

/* libvirt writes <boot dev='hd'/> into every definition that says nothing, and refuses it
 * beside the boot order of a device. */
static gboolean drop_boot_kinds(xmlNode *domain, const VmSpec *spec) {
  const Field *order = &BootSpec_table.fields[BootSpec_order];
  if (given(&spec->boot, BootSpec, order) || !gives_boot_index(&VmSpec_table, spec))
    return FALSE;
  return xml_value_remove(order, domain);
}

/* libvirt adds mode='custom', which keeps the element once its last child is dropped. */
static gboolean drop_empty_hyperv(xmlNode *domain, const VmSpec *applied) {
  xmlNode *hyperv = xml_path_node(xml_path("features/hyperv"), domain);
  if (!hyperv || !applied || !given(&applied->features, FeaturesSpec, hyperv) || xml_first_child(hyperv, NULL))
    return FALSE;
  xml_remove_up_to(hyperv, domain);
  return TRUE;
}

/* libvirt adds mode='strict', and refuses it without the nodes that it is about. */
static gboolean drop_numa_mode(xmlNode *domain, const VmSpec *applied) {
  xmlNode *memory = xml_path_node(xml_path("numatune/memory"), domain);
  if (!memory || !applied || !given(&applied->numa, NumaSpec, nodeset) || xml_attribute(memory, "nodeset") || xml_attribute(memory, "placement"))
    return FALSE;
  xml_remove_up_to(memory, domain);
  return TRUE;
}

/* libvirt refuses a topology that doesn't say all three, and writes down what it adds itself. */
static gboolean settle_topology(xmlNode *domain, const VmSpec *spec, const VmSpec *applied) {
  xmlNode *topology = xml_path_node(xml_path("cpu/topology"), domain);
  if (!topology)
    return FALSE;
  if (!given(&spec->cpu, CpuSpec, topology) && applied && given(&applied->cpu, CpuSpec, topology)) {
    xml_remove_up_to(topology, domain);
    return TRUE;
  }
  static const char *const parts[] = {"sockets", "cores", "threads"};
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
    if (!xml_attribute(topology, parts[i]))
      xml_set_attribute(topology, parts[i], "1");
  return FALSE;
}

/* What libvirt wrote beside a CPU mode is refused or stale under another one. */
static void settle_cpu(xmlNode *domain) {
  xmlNode *cpu = xml_first_child(domain, "cpu");
  const char *mode = cpu ? xml_attribute(cpu, "mode") : NULL;
  if (!cpu || g_strcmp0(mode, "host-passthrough") == 0 || g_strcmp0(mode, "maximum") == 0)
    return;
  xml_remove_attribute(cpu, "migratable");
  if (mode || xml_first_child(cpu, "model"))
    return;
  xml_remove_attribute(cpu, "check"); /* both are of the model that is gone */
  xml_remove_attribute(cpu, "match");
  if (xml_is_empty(cpu))
    xml_remove(cpu);
}

static gint64 console_port(xmlNode *console) {
  g_autofree char *port = xml_path_get(xml_path("target/@port"), console);
  return port ? g_ascii_strtoll(port, NULL, 10) : 0;
}

/* libvirt numbers consoles in their order, whatever number they give. */
static void sort_consoles(xmlNode *domain) {
  g_autoptr(GPtrArray) consoles = xml_path_all(xml_path("devices/console[target/@type='virtio']"), domain);
  for (guint i = 1; i < consoles->len; i++)
    for (guint at = i; at > 0 && console_port(consoles->pdata[at]) < console_port(consoles->pdata[at - 1]); at--) {
      gpointer moved = consoles->pdata[at];
      xmlAddPrevSibling(consoles->pdata[at - 1], moved);
      consoles->pdata[at] = consoles->pdata[at - 1];
      consoles->pdata[at - 1] = moved;
    }
}

/* libvirt numbers consoles in their order, and puts one for the first serial port in front
 * only after that: a new virtio console would have another number at the next definition. */
static void settle_consoles(xmlNode *domain) {
  xmlNode *serial = xml_path_node(xml_path("devices/serial"), domain);
  if (!serial || !xml_path_exists(xml_path("devices/console"), domain) ||
      xml_path_exists(xml_path("devices/console[target/@type='serial']"), domain))
    return;
  xmlNode *first = xml_add_child(serial->parent, serial, "console");
  xml_set_attribute(first, "type", "pty"); /* libvirt makes it what the serial port is */
  xmlNode *target = xml_add_child(first, NULL, "target");
  xml_set_attribute(target, "type", "serial");
  xml_set_attribute(target, "port", "0");
}

/* The console that stands for the first serial port would bring it back. */
static void drop_serial_console(xmlNode *domain, const VmSpec *applied) {
  xmlNode *console = xml_path_node(xml_path("devices/console[target/@type='serial']"), domain);
  if (console && applied && given(applied, VmSpec, serials) && !xml_path_exists(xml_path("devices/serial"), domain))
    xml_remove(console);
}

/* The balloon's row for statistics may be what made the element. */
static void complete_balloon(xmlNode *domain) {
  xmlNode *balloon = xml_path_node(xml_path("devices/memballoon"), domain);
  if (balloon && !xml_attribute(balloon, "model"))
    xml_set_attribute(balloon, "model", "virtio");
}

gboolean domain_settle(xmlNode *domain, const VmSpec *spec, const VmSpec *applied) {
  gboolean changed = drop_boot_kinds(domain, spec);
  changed |= drop_empty_hyperv(domain, applied);
  changed |= drop_numa_mode(domain, applied);
  changed |= settle_topology(domain, spec, applied);
  settle_cpu(domain);
  settle_consoles(domain);
  sort_consoles(domain);
  drop_serial_console(domain, applied);
  complete_balloon(domain);
  return changed;
}
