/* Domains, networks, pools and volumes as whole documents. Golden cases are directories in
 * tests/golden/xml: desired.yaml, optional before.xml (else a new definition is made) and
 * applied.yaml, and after.xml. REGENERATE=1 rewrites after.xml for review. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "state/object_xml.h"

#define GOLDEN "tests/golden/xml"

static char *slurp(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(GOLDEN, directory, name, NULL);
  char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static Object *load(const char *directory, const char *name) {
  g_autofree char *text = slurp(directory, name);
  if (!text)
    return NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  desired_decode(desired, name, text, strlen(text), diagnostics);
  if (diagnostics->errors)
    fail_msg("%s/%s: %s", directory, name, ((Diagnostic *)diagnostics->items->pdata[0])->message);
  return object_copy(desired->objects->pdata[0]);
}

static xmlDoc *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  xmlDoc *doc = xml_parse(text, "test", &error);
  if (!doc)
    fail_msg("%s", error->message);
  return doc;
}

static const VmSpec *vm(const Object *object) {
  return object ? object->spec : NULL;
}

static void run_golden(const char *directory) {
  g_autoptr(Object) desired = load(directory, "desired.yaml"), applied = load(directory, "applied.yaml");
  g_autofree char *before = slurp(directory, "before.xml"), *after = slurp(directory, "after.xml");
  g_autoptr(GError) error = NULL;
  gboolean changed = TRUE;
  g_autoptr(xmlDoc) doc = before ? parse(before) : domain_xml_new(desired->metadata.name, vm(desired), NULL, &error);
  assert_null(error);
  if (before)
    assert_true(domain_xml_patch(xmlDocGetRootElement(doc), vm(desired), vm(applied), NULL, &changed, NULL));
  g_autofree char *text = xml_text(doc);
  g_autofree char *line = g_strconcat(text, "\n", NULL);
  if (g_getenv("REGENERATE")) {
    g_autofree char *path = g_build_filename(GOLDEN, directory, "after.xml", NULL);
    assert_true(g_file_set_contents(path, line, -1, NULL));
  } else {
    assert_string_equal(line, after);
  }
  assert_int_equal(changed, !before || strcmp(g_strchomp(before), text) != 0);
  /* Once in line, there is nothing to change. */
  assert_true(domain_xml_patch(xmlDocGetRootElement(doc), vm(desired), vm(desired), NULL, &changed, NULL));
  assert_false(changed);
  g_autofree char *again = xml_text(doc);
  assert_string_equal(again, text);
}

static void test_golden(void **state G_GNUC_UNUSED) {
  g_autoptr(GDir) all = g_dir_open(GOLDEN, 0, NULL);
  assert_non_null(all);
  guint n = 0;
  for (const char *name; (name = g_dir_read_name(all)); n++) {
    print_message("  %s\n", name);
    run_golden(name);
  }
  assert_true(n >= 4);
}

static void test_machine_matches(void **state G_GNUC_UNUSED) {
  assert_true(machine_matches("q35", "pc-q35-7.2"));
  assert_true(machine_matches("q35", "pc-q35-rhel9.0.0"));
  assert_true(machine_matches("pc", "pc-i440fx-7.2"));
  assert_true(machine_matches("virt", "virt-7.2"));
  assert_true(machine_matches("s390-ccw-virtio", "s390-ccw-virtio-7.2"));
  assert_true(machine_matches("pc-q35-7.2", "pc-q35-7.2"));
  assert_false(machine_matches("pc-q35-7.1", "pc-q35-7.2"));
  assert_false(machine_matches("pc", "pc-q35-7.2"));
  assert_false(machine_matches("q35", "pc-i440fx-7.2"));
  assert_false(machine_matches("virt", "virt-"));
}

/* The record. */

static Ownership *example_ownership(const Object *object) {
  Ownership *ownership = g_new0(Ownership, 1);
  ownership->source = g_strdup("https://example.org/vms.git");
  ownership->revision = g_strdup("0123abcd");
  ownership->place = g_strdup("a<b>&'\".yaml:3");
  spec_copy_into(&MetadataSpec_table, &object->metadata, &ownership->metadata);
  spec_copy_into(&VmSpec_table, object->spec, &ownership->spec);
  return ownership;
}

static void test_record(void **state G_GNUC_UNUSED) {
  g_autoptr(Object) object = load("new-full", "desired.yaml");
  g_autoptr(Ownership) written = example_ownership(object), copy = ownership_copy(written);
  g_autoptr(GError) error = NULL;
  g_autoptr(xmlDoc) doc = domain_xml_new("a", &written->spec, written, &error);
  assert_null(error);
  g_autofree char *text = xml_text(doc);
  g_autoptr(xmlDoc) again = parse(text);
  xmlNode *domain = xmlDocGetRootElement(again);
  g_autoptr(Ownership) read = ownership_read(domain, &error);
  assert_null(error);
  assert_string_equal(read->source, written->source);
  assert_string_equal(read->revision, written->revision);
  assert_string_equal(read->place, written->place);
  assert_true(spec_equal(&MetadataSpec_table, &read->metadata, &copy->metadata));
  assert_true(spec_equal(&VmSpec_table, &read->spec, &copy->spec));
  ownership_write(domain, read); /* replaces, doesn't add */
  g_autofree char *twice = xml_text(again);
  assert_string_equal(twice, text);
  g_autofree char *alone = ownership_text(read);
  g_autoptr(xmlDoc) element = parse(alone);
  assert_null(xmlDocGetRootElement(element)->ns); /* virDomainSetMetadata adds it */
}

static void expect_record(const char *content, const char *message) {
  g_autofree char *text = g_strdup_printf("<domain><metadata>%s</metadata></domain>", content);
  g_autoptr(xmlDoc) doc = parse(text);
  g_autoptr(GError) error = NULL;
  assert_null(ownership_read(xmlDocGetRootElement(doc), &error));
  if (message)
    assert_non_null(strstr(error->message, message));
  else
    assert_null(error);
}

#define OURS(name, content) "<r:" name " xmlns:r='" METADATA_NAMESPACE "'>" content "</r:" name ">"

static void test_unreadable_record(void **state G_GNUC_UNUSED) {
  expect_record("", NULL);
  expect_record("<a xmlns='urn:other'>x</a>", NULL);
  expect_record(OURS("vm", ""), "can't be read");
  expect_record(OURS("vm", "{"), "can't be read");
  expect_record(OURS("vm", "[]"), "metadata");
  expect_record(OURS("vm", "{\"metadata\":{}}"), "\"spec\"");
  expect_record(OURS("vm", "{\"metadata\":{},\"spec\":{\"cpu\":7}}"), "cpu");
  expect_record(OURS("network", "{}"), "another kind");
}

/* Raw devices. */

static void expect_extra(const char *extra, const char *message) {
  VmSpec *spec = spec_new(&VmSpec_table);
  spec->devices.extra = g_strsplit(extra, "|", -1);
  set_given(spec, VmSpec, devices);
  set_given(&spec->devices, DevicesSpec, extra);
  g_autoptr(xmlDoc) doc = parse("<domain><devices/></domain>");
  gboolean changed = FALSE;
  g_autoptr(GError) error = NULL;
  assert_int_equal(domain_xml_patch(xmlDocGetRootElement(doc), spec, NULL, NULL, &changed, &error), message == NULL);
  if (message && !strstr(error->message, message))
    fail_msg("%s", error->message);
  g_autofree char *text = xml_text(doc);
  if (message)
    assert_string_equal(text, "<domain><devices/></domain>");
  spec_free(&VmSpec_table, spec);
}

static void test_extra(void **state G_GNUC_UNUSED) {
  expect_extra("<vsock><cid auto='yes'/></vsock>", NULL);
  expect_extra("<hub type='usb'/>|<hub type='usb'/>", NULL);
  expect_extra("<emulator>/bin/sh</emulator>", "program");
  expect_extra("<graphics type='vnc'/>", "no alias");
  expect_extra("<lease/>", "no alias");
  expect_extra("<toaster/>", "no such device");
  expect_extra("<vsock", "not well-formed");
  expect_extra("<vsock/><vsock/>", "not well-formed");
  expect_extra("<!DOCTYPE a><vsock/>", "document type");
  expect_extra("<a:vsock xmlns:a='urn:a'/>", "namespace");
  expect_extra("<hub><alias name='ua-a'/></hub>|<vsock><alias name='ua-a'/></vsock>", "twice");
}

static void test_extra_is_read_where_it_is(void **state G_GNUC_UNUSED) {
  g_autoptr(Object) object = load("extra", "desired.yaml");
  g_autofree char *text = slurp("extra", "after.xml");
  g_autoptr(xmlDoc) doc = parse(text);
  VmSpec *read = spec_new(&VmSpec_table);
  domain_xml_read(xmlDocGetRootElement(doc), vm(object), read);
  assert_true(spec_equal(&DevicesSpec_table, &read->devices, &vm(object)->devices));
  spec_clear(&VmSpec_table, read);
  domain_xml_read(xmlDocGetRootElement(doc), NULL, read);
  assert_false(given(read, VmSpec, devices));
  spec_free(&VmSpec_table, read);
}

static void test_device(void **state G_GNUC_UNUSED) {
  g_autoptr(Object) object = load("new-full", "desired.yaml");
  g_autoptr(GError) error = NULL;
  const Field *disks = table_find(&VmSpec_table, "disks"), *usb = table_find(&HostDevicesSpec_table, "usb");
  g_autofree char *disk = domain_xml_device(vm(object), disks, "sda", &error);
  assert_string_equal(disk, "<disk device=\"cdrom\" type=\"file\">\n      <target dev=\"sda\" bus=\"sata\"/>\n"
                            "      <driver name=\"qemu\" type=\"raw\"/>\n      <readonly/>\n    </disk>");
  g_autofree char *stick = domain_xml_device(vm(object), usb, "1d6b:0002", &error);
  assert_non_null(strstr(stick, "<hostdev mode=\"subsystem\" type=\"usb\">"));
  assert_null(error);
  assert_null(domain_xml_device(vm(object), disks, "vdz", &error));
  assert_non_null(error);
}

/* Pools, volumes and networks. */

static void expect_text(xmlDoc *doc, const char *expected) {
  g_autofree char *text = xml_text(doc);
  assert_string_equal(text, expected);
  xmlFreeDoc(doc);
}

static void test_volume(void **state G_GNUC_UNUSED) {
  expect_text(volume_xml_new("a.qcow2", "qcow2", 4096, "/b", "raw", 0444, NULL),
              "<volume>\n  <name>a.qcow2</name>\n  <capacity unit=\"bytes\">4096</capacity>\n"
              "  <allocation unit=\"bytes\">0</allocation>\n  <target>\n    <format type=\"qcow2\"/>\n"
              "    <compat>1.1</compat>\n    <permissions>\n      <mode>0444</mode>\n    </permissions>\n  </target>\n"
              "  <backingStore>\n    <path>/b</path>\n    <format type=\"raw\"/>\n  </backingStore>\n</volume>");
  g_autoptr(GError) error = NULL;
  assert_null(volume_xml_new("a", "qcow2", 1, "/b", NULL, 0, &error));
  assert_non_null(error);
}

static void test_pool(void **state G_GNUC_UNUSED) {
  StoragePoolSpec *spec = spec_from_json(&StoragePoolSpec_table,
      "{\"type\":\"logical\",\"source\":{\"device\":\"/dev/sdb\",\"name\":\"vg0\"}}", "test", NULL);
  expect_text(pool_xml_new("p", spec, NULL, NULL),
              "<pool type=\"logical\">\n  <name>p</name>\n  <source>\n    <device path=\"/dev/sdb\"/>\n"
              "    <name>vg0</name>\n  </source>\n  <target>\n    <path>/dev/vg0</path>\n  </target>\n</pool>");
  spec_free(&StoragePoolSpec_table, spec);
  spec = spec_from_json(&StoragePoolSpec_table, "{\"type\":\"dir\"}", "test", NULL);
  g_autoptr(GError) error = NULL;
  assert_null(pool_xml_new("p", spec, NULL, &error));
  assert_non_null(error);
  spec_free(&StoragePoolSpec_table, spec);
}

static void expect_network(const char *before, const char *json, const char *after) {
  g_autoptr(xmlDoc) doc = parse(before);
  NetworkSpec *spec = spec_from_json(&NetworkSpec_table, json, "test", NULL);
  gboolean changed = FALSE;
  assert_true(network_xml_patch(xmlDocGetRootElement(doc), spec, NULL, NULL, &changed, NULL));
  g_autofree char *text = xml_text(doc);
  assert_string_equal(text, after);
  assert_int_equal(changed, strcmp(before, after) != 0);
  assert_true(network_xml_patch(xmlDocGetRootElement(doc), spec, spec, NULL, &changed, NULL));
  assert_false(changed);
  spec_free(&NetworkSpec_table, spec);
}

static void test_network(void **state G_GNUC_UNUSED) {
  expect_network("<network><forward mode=\"nat\"><nat/></forward></network>", "{\"mode\":\"isolated\"}", "<network/>");
  expect_network("<network><forward mode=\"nat\"><nat/></forward></network>", "{\"mode\":\"route\"}",
                 "<network><forward mode=\"route\"/></network>");
  const char *netmask = "<network><ip address=\"10.0.0.1\" netmask=\"255.255.255.0\"/></network>";
  expect_network(netmask, "{\"mode\":\"isolated\",\"prefix\":24}", netmask);
  expect_network(netmask, "{\"mode\":\"isolated\",\"prefix\":25}", "<network><ip address=\"10.0.0.1\" prefix=\"25\"/></network>");
  expect_network("<network/>", "{\"mode\":\"isolated\",\"address\":\"fd00::1\",\"prefix\":64}",
                 "<network>\n  <ip address=\"fd00::1\" prefix=\"64\" family=\"ipv6\"/>\n</network>");
  expect_network("<network/>",
                 "{\"mode\":\"nat\",\"address\":\"10.0.0.1\",\"prefix\":24,\"dhcp\":{\"ranges\":[{\"start\":\"10.0.0.5\","
                 "\"end\":\"10.0.0.9\"}],\"hosts\":[{\"mac\":\"52:54:00:00:00:01\",\"name\":\"a\",\"ip\":\"10.0.0.7\"}]}}",
                 "<network>\n  <forward mode=\"nat\"/>\n  <ip address=\"10.0.0.1\" prefix=\"24\">\n    <dhcp>\n"
                 "      <range start=\"10.0.0.5\" end=\"10.0.0.9\"/>\n"
                 "      <host mac=\"52:54:00:00:00:01\" name=\"a\" ip=\"10.0.0.7\"/>\n    </dhcp>\n  </ip>\n</network>");
}

static void test_network_record(void **state G_GNUC_UNUSED) {
  g_autoptr(NetworkOwnership) record = g_new0(NetworkOwnership, 1);
  record->source = g_strdup("/srv/vms");
  record->spec.mode = NetworkMode_nat;
  set_given(&record->spec, NetworkSpec, mode);
  g_autoptr(GError) error = NULL;
  g_autoptr(xmlDoc) doc = network_xml_new("n", &record->spec, "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11", record, &error);
  assert_null(error);
  g_autoptr(NetworkOwnership) read = network_ownership_read(xmlDocGetRootElement(doc), &error);
  assert_string_equal(read->source, "/srv/vms");
  assert_null(read->revision);
  assert_int_equal(read->spec.mode, NetworkMode_nat);
  NetworkSpec spec = {0};
  network_xml_read(xmlDocGetRootElement(doc), &spec);
  assert_string_equal(spec.uuid, "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11");
  spec_clear(&NetworkSpec_table, &spec);
}

static void test_dhcp_elements(void **state G_GNUC_UNUSED) {
  DhcpRangeSpec range = {.start = (char *)"10.0.0.1", .end = (char *)"10.0.0.2"};
  set_given(&range, DhcpRangeSpec, start);
  set_given(&range, DhcpRangeSpec, end);
  g_autofree char *text = dhcp_range_xml(&range);
  assert_string_equal(text, "<range start=\"10.0.0.1\" end=\"10.0.0.2\"/>");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),         cmocka_unit_test(test_machine_matches), cmocka_unit_test(test_record),
      cmocka_unit_test(test_unreadable_record), cmocka_unit_test(test_extra),
      cmocka_unit_test(test_extra_is_read_where_it_is), cmocka_unit_test(test_device), cmocka_unit_test(test_volume),
      cmocka_unit_test(test_pool),           cmocka_unit_test(test_network),         cmocka_unit_test(test_network_record),
      cmocka_unit_test(test_dhcp_elements),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
