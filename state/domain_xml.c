/* A domain as a whole: the rows, and what they don't say. */
#include "state/domain_xml.h"
#include "state/device_defaults.h"
#include "state/domain_settle.h"
#include "state/extra_devices.h"
#include "state/xml_tree.h"

#include <string.h>

static char *const *extras_of(const VmSpec *spec) {
  return spec && given(spec, VmSpec, devices) && given(&spec->devices, DevicesSpec, extra) ? spec->devices.extra : NULL;
}

/* libvirt expands an alias at definition: q35 to pc-q35-7.2, pc to pc-i440fx-7.2, virt to
 * virt-7.2, and distributions write their own versions (pc-q35-rhel9.0.0). */
gboolean machine_matches(const char *wanted, const char *defined) {
  if (strcmp(wanted, defined) == 0)
    return TRUE;
  const char *name = strcmp(wanted, "pc") == 0 ? "i440fx" : wanted, *at = defined;
  if (strcmp(name, "q35") == 0 || strcmp(name, "i440fx") == 0) {
    if (!g_str_has_prefix(at, "pc-"))
      return FALSE;
    at += strlen("pc-");
  }
  gsize length = strlen(name);
  if (strncmp(at, name, length) != 0 || at[length] != '-')
    return FALSE;
  at += length + 1;
  while (g_ascii_islower(*at)) /* rhel9.0.0 */
    at++;
  return g_ascii_isdigit(*at) && strspn(at, "0123456789.") == strlen(at);
}

/* A spec without what is the same by another word; a shallow copy, not to be cleared. */
static VmSpec without_aliases(const VmSpec *spec, xmlNode *domain) {
  VmSpec wanted = *spec;
  g_autofree char *machine = xml_path_get(xml_path("os/type/@machine"), domain);
  if (given(spec, VmSpec, machine) && machine && machine_matches(spec->machine, machine))
    wanted.given &= ~FIELD_BIT(VmSpec_machine);
  if (given(spec, VmSpec, type) && spec->type == DomainType_auto) /* whatever it is */
    wanted.given &= ~FIELD_BIT(VmSpec_type);
  return wanted;
}

gboolean disk_drops_medium(const DiskSpec *disk, const DiskSpec *applied) {
  return applied && (given(applied, DiskSpec, path) || given(applied, DiskSpec, volume) || given(applied, DiskSpec, image)) &&
         !given(disk, DiskSpec, path) && !given(disk, DiskSpec, volume) && !given(disk, DiskSpec, image);
}

/* Drives whose medium was dropped from the spec become empty. */
static gboolean eject_dropped(xmlNode *domain, const VmSpec *spec, const VmSpec *applied) {
  const Field *row = &VmSpec_table.fields[VmSpec_disks];
  const XmlPath *source = xml_path(DiskSpec_table.fields[DiskSpec_path].xml);
  gboolean changed = FALSE;
  for (guint i = 0; applied && spec->disks && i < spec->disks->len; i++) {
    const DiskSpec *disk = spec->disks->pdata[i];
    const DiskSpec *last = vm_disk(applied, disk->target);
    xmlNode *element = disk_drops_medium(disk, last) ? xml_map_find_device(row, domain, disk->target) : NULL;
    const char *device = element ? xml_attribute(element, "device") : NULL;
    if (g_strcmp0(device, "cdrom") != 0 && g_strcmp0(device, "floppy") != 0)
      continue;
    changed |= xml_path_exists(source, element);
    xml_path_remove(source, element);
  }
  return changed;
}

gboolean domain_xml_patch(xmlNode *domain, const VmSpec *spec, const VmSpec *applied, const Ownership *ownership,
                          gboolean *ret_changed, GError **error) {
  gboolean changed = FALSE;
  if (!extra_devices_patch(domain, extras_of(spec), extras_of(applied), &changed, error))
    return FALSE;
  changed |= eject_dropped(domain, spec, applied);
  domain_drop_stale_addresses(domain, spec);
  VmSpec wanted = without_aliases(spec, domain);
  changed |= xml_map_patch_with(&VmSpec_table, domain, &wanted, applied, device_complete);
  changed |= domain_settle(domain, spec, applied);
  if (ownership)
    ownership_write(domain, ownership);
  *ret_changed = changed;
  return TRUE;
}

/* New domains. */

static gboolean is_x86(const VmSpec *spec) {
  if (given(spec, VmSpec, arch))
    return strcmp(spec->arch, "x86_64") == 0 || strcmp(spec->arch, "i686") == 0;
#if defined(__x86_64__) || defined(__i386__)
  return TRUE; /* the resolved spec names the host's where that is another */
#else
  return FALSE;
#endif
}

/* Without ACPI a guest can't be asked to shut down, and without an APIC it has one CPU. */
static void add_features(xmlNode *domain, const VmSpec *spec) {
  if (!is_x86(spec))
    return;
  if (!given(&spec->features, FeaturesSpec, acpi))
    xml_path_set(xml_path("features/acpi"), domain, NULL);
  if (!given(&spec->features, FeaturesSpec, apic))
    xml_path_set(xml_path("features/apic"), domain, NULL);
}

/* libvirt wants the maximum; where only the current value is given it is both. */
static void add_maxima(xmlNode *domain) {
  g_autofree char *vcpus = xml_path_get(xml_path("vcpu/@current"), domain);
  g_autofree char *most = xml_path_get(xml_path("vcpu"), domain);
  if (vcpus && (!most || !*most)) {
    xml_path_set(xml_path("vcpu"), domain, vcpus);
    xml_remove_attribute(xml_path_node(xml_path("vcpu"), domain), "current");
  }
  g_autofree char *size = xml_path_get(xml_path("currentMemory"), domain);
  if (size && !xml_path_exists(xml_path("memory"), domain))
    xml_set_attribute(xml_path_set(xml_path("memory"), domain, size), "unit", "KiB");
}

/* hvm: full virtualisation, the only kind of QEMU's. A clock in UTC is what every guest but
 * Windows expects, and libvirt's default, written down. */
xmlDoc *domain_xml_new(const char *name, const VmSpec *spec, const Ownership *ownership, GError **error) {
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *domain = xmlNewDocNode(doc, NULL, BAD_CAST "domain", NULL);
  xmlDocSetRootElement(doc, domain);
  xml_path_set(xml_path("name"), domain, name);
  xml_path_set(xml_path("os/type"), domain, "hvm");
  gboolean changed = FALSE;
  if (!domain_xml_patch(domain, spec, NULL, ownership, &changed, error))
    return NULL;
  add_maxima(domain);
  add_features(domain, spec);
  if (!xml_path_exists(xml_path("clock/@offset"), domain))
    xml_path_set(xml_path("clock/@offset"), domain, "utc");
  return g_steal_pointer(&doc);
}

/* Reading. */

/* A loader that is named by its path says nothing in os/@firmware: it may be of any kind. */
static void forget_unknown_firmware(xmlNode *domain, VmSpec *spec) {
  if (!xml_path_exists(xml_path("os/loader"), domain) || xml_path_exists(xml_path("os/@firmware"), domain))
    return;
  spec_unset(&FirmwareSpec_table, &spec->firmware, &FirmwareSpec_table.fields[FirmwareSpec_type]);
  if (!spec->firmware.given)
    spec_unset(&VmSpec_table, spec, &VmSpec_table.fields[VmSpec_firmware]);
}

void domain_xml_read(xmlNode *domain, const VmSpec *applied, VmSpec *spec) {
  xml_map_read(&VmSpec_table, domain, spec);
  forget_unknown_firmware(domain, spec);
  char **extra = extra_devices_read(domain, extras_of(applied));
  if (!extra)
    return;
  spec->devices.extra = extra;
  set_given(&spec->devices, DevicesSpec, extra);
  set_given(spec, VmSpec, devices);
}

/* One device. */

/* The member of a row anywhere below a table; NULL when not given. */
static gconstpointer row_member(const FieldTable *table, gconstpointer spec, const Field *row) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    gconstpointer found = NULL;
    if (field == row)
      found = field_member(field, spec);
    else if (field->type == VALUE_GROUP && field_given(table, spec, field))
      found = row_member(field->sub, field_member(field, spec), row);
    if (found)
      return field != row || field_given(table, spec, field) ? found : NULL;
  }
  return NULL;
}

char *domain_xml_device(const VmSpec *spec, const Field *row, const char *match, GError **error) {
  gconstpointer member = row_member(&VmSpec_table, spec, row);
  if (member && row->type == VALUE_LIST)
    member = list_find(row->sub, *(GPtrArray *const *)member, table_match_field(row->sub), match);
  if (!member) {
    g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "%s %s isn't in the specification", row->key, match ? match : "");
    return NULL;
  }
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *domain = xmlNewDocNode(doc, NULL, BAD_CAST "domain", NULL);
  xmlDocSetRootElement(doc, domain);
  xmlNode *element = xml_path_append(xml_path(row->xml), domain);
  xml_map_patch(row->sub, element, member, NULL);
  device_complete(row, element, member);
  return xml_node_text(element);
}
