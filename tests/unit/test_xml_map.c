/* Rows read from XML and patched into it: shapes, units, words, lists, three-way removal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "schema/value.h"
#include "state/xml_map.h"
#include "state/xml_value.h"

typedef struct {
  xmlDoc *doc;
  VmSpec *desired, *applied;
} Case;

static VmSpec *vm(const char *json) {
  g_autoptr(GError) error = NULL;
  VmSpec *spec = json ? spec_from_json(&VmSpec_table, json, "test", &error) : NULL;
  if (error)
    fail_msg("%s", error->message);
  return spec;
}

static xmlDoc *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  xmlDoc *doc = xml_parse(text, "test", &error);
  assert_non_null(doc);
  return doc;
}

static void expect_read(const char *xml, const char *json) {
  g_autoptr(xmlDoc) doc = parse(xml);
  VmSpec *spec = spec_new(&VmSpec_table), *wanted = vm(json);
  xml_map_read(&VmSpec_table, xmlDocGetRootElement(doc), spec);
  /* Only what the test is about: the fields of `wanted`. */
  g_autofree char *text = NULL;
  for (guint i = 0; i < VmSpec_table.n_fields; i++) {
    const Field *field = &VmSpec_table.fields[i];
    if (!field_given(&VmSpec_table, wanted, field) && field_given(&VmSpec_table, spec, field))
      spec_unset(&VmSpec_table, spec, field);
  }
  text = spec_to_json(&VmSpec_table, spec);
  g_autofree char *canonical = spec_to_json(&VmSpec_table, wanted);
  assert_string_equal(text, canonical);
  spec_free(&VmSpec_table, spec);
  spec_free(&VmSpec_table, wanted);
}

static void expect_patch(const char *before, const char *desired, const char *applied, const char *after) {
  g_autoptr(xmlDoc) doc = parse(before);
  xmlNode *root = xmlDocGetRootElement(doc);
  VmSpec *wanted = vm(desired), *last = vm(applied);
  g_autofree char *untouched = xml_text(doc);
  assert_int_equal(xml_map_patch(&VmSpec_table, root, wanted, last), strcmp(untouched, after) != 0);
  g_autofree char *text = xml_text(doc);
  assert_string_equal(text, after);
  if (wanted) /* the second time there is nothing to do */
    assert_false(xml_map_patch(&VmSpec_table, root, wanted, wanted));
  spec_free(&VmSpec_table, wanted);
  spec_free(&VmSpec_table, last);
}

static void test_scaled(void **state G_GNUC_UNUSED) {
  const struct {
    const char *number, *unit;
    guint64 bytes;
  } good[] = {{"1", NULL, 512}, {"1", "", 512}, {"3", "b", 3}, {"3", "bytes", 3}, {"2", "k", 2048}, {"2", "KB", 2000},
              {"2", "KiB", 2048}, {"2", "M", 2 << 20}, {"1", "GB", 1000000000}, {"1", "TiB", G_GUINT64_CONSTANT(1) << 40}};
  for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
    guint64 bytes = 0;
    assert_true(xml_scaled(good[i].number, good[i].unit, 512, &bytes));
    assert_int_equal(bytes, good[i].bytes);
  }
  guint64 bytes = 7;
  assert_false(xml_scaled("1", "XiB", 1, &bytes));
  assert_false(xml_scaled("1", "KiBs", 1, &bytes));
  assert_false(xml_scaled("1", "KBs", 1, &bytes));
  assert_false(xml_scaled("-1", "KiB", 1, &bytes));
  assert_false(xml_scaled("18446744073709551615", "KiB", 1, &bytes));
  assert_int_equal(bytes, 7);
}

static void test_read_shapes(void **state G_GNUC_UNUSED) {
  expect_read("<domain><memory unit='KiB'>2097152</memory><currentMemory unit='MiB'>1024</currentMemory></domain>",
              "{\"memory\":{\"size\":\"1GiB\",\"max\":\"2GiB\",\"locked\":false,\"shared\":false,\"statsPeriod\":\"0ms\"}}");
  expect_read("<domain><memory>2048</memory><memoryBacking><hugepages><page size='2' unit='M'/></hugepages><locked/>"
              "</memoryBacking><devices><memballoon><stats period='10'/></memballoon></devices></domain>",
              "{\"memory\":{\"size\":\"2MiB\",\"max\":\"2MiB\",\"hugePages\":\"2MiB\",\"locked\":true,\"shared\":false,"
              "\"statsPeriod\":\"10s\"}}");
  expect_read("<domain><features><acpi/><smm state='on'/><vmport state='off'/><tcg><tb-cache unit='GiB'>1</tb-cache></tcg>"
              "</features></domain>",
              "{\"features\":{\"acpi\":true,\"apic\":false,\"pae\":false,\"smm\":true,\"vmport\":false,\"tcgCache\":\"1GiB\"}}");
}

static void test_read_words(void **state G_GNUC_UNUSED) {
  expect_read("<domain type='xen'><os firmware='efi'><boot dev='hd'/><boot dev='network'/></os></domain>",
              "{\"firmware\":{\"type\":\"uefi\"},\"boot\":{\"order\":[\"disk\",\"network\"]}}");
  expect_read("<domain><os><boot dev='hd'/><boot dev='moon'/></os></domain>", "{\"firmware\":{\"type\":\"bios\"}}");
  expect_read("<domain type='xen'/>", "{}"); /* a word the row doesn't have */
}

static void test_read_devices(void **state G_GNUC_UNUSED) {
  expect_read("<domain><devices>"
              "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x3' slot='0x1f' function='0x7'/></source></hostdev>"
              "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1d6b'/><product id='0x2'/></source></hostdev>"
              "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>"
              "</devices></domain>",
              "{\"hostDevices\":{\"pci\":[{\"address\":\"0000:03:1f.7\",\"managed\":true}],\"usb\":[{\"id\":\"1d6b:0002\"}]}}");
}

/* An interface's name isn't in XML; of two with one MAC, and of one without, no item is made. */
static void test_read_interfaces(void **state G_GNUC_UNUSED) {
  g_autoptr(xmlDoc) doc = parse("<domain><devices><interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='n'/>"
                                "</interface><interface type='user'><mac address='52:54:00:aa:bb:cc'/></interface>"
                                "<interface type='user'/></devices></domain>");
  VmSpec *spec = spec_new(&VmSpec_table);
  xml_map_read(&VmSpec_table, xmlDocGetRootElement(doc), spec);
  assert_int_equal(spec->interfaces->len, 1);
  const InterfaceSpec *interface = spec->interfaces->pdata[0];
  assert_false(given(interface, InterfaceSpec, name));
  assert_string_equal(interface->mac, "52:54:00:aa:bb:cc");
  assert_string_equal(interface->network, "n");
  assert_false(given(interface, InterfaceSpec, user));
  assert_int_equal(interface->link, LinkState_up);
  spec_free(&VmSpec_table, spec);
}

#define DOMAIN(text) "<domain>" text "</domain>"

static void test_vcpus(void **state G_GNUC_UNUSED) {
  expect_patch(DOMAIN("<vcpu placement=\"static\">2</vcpu>"), "{\"cpu\":{\"count\":2,\"max\":8}}", NULL,
               DOMAIN("<vcpu placement=\"static\" current=\"2\">8</vcpu>"));
  expect_patch(DOMAIN("<vcpu current=\"2\">8</vcpu>"), "{\"cpu\":{\"count\":8}}", NULL, DOMAIN("<vcpu>8</vcpu>"));
  /* count isn't given: it stays, as far as the new max allows */
  expect_patch(DOMAIN("<vcpu>2</vcpu>"), "{\"cpu\":{\"max\":8}}", NULL, DOMAIN("<vcpu current=\"2\">8</vcpu>"));
  expect_patch(DOMAIN("<vcpu current=\"6\">8</vcpu>"), "{\"cpu\":{\"max\":4}}", NULL, DOMAIN("<vcpu>4</vcpu>"));
  expect_patch(DOMAIN("<memory unit=\"KiB\">4096</memory><currentMemory unit=\"KiB\">4096</currentMemory>"),
               "{\"memory\":{\"max\":\"2MiB\"}}", NULL,
               DOMAIN("<memory unit=\"KiB\">2048</memory><currentMemory unit=\"KiB\">2048</currentMemory>"));
}

static void test_equal_is_untouched(void **state G_GNUC_UNUSED) {
  expect_patch(DOMAIN("<memory unit=\"GB\">1</memory>"), "{\"memory\":{\"max\":\"1000000000B\"}}", NULL,
               DOMAIN("<memory unit=\"GB\">1</memory>"));
  expect_patch(DOMAIN("<memory unit=\"GB\">1</memory>"), "{\"memory\":{\"max\":\"1GiB\",\"size\":\"1GiB\"}}", NULL,
               DOMAIN("<memory unit=\"KiB\">1048576</memory>"));
  expect_patch(DOMAIN("<features/>"), "{\"features\":{\"acpi\":false}}", NULL, DOMAIN("<features/>"));
}

static void test_three_way(void **state G_GNUC_UNUSED) {
  const char *titled = DOMAIN("<title>a</title>");
  expect_patch(titled, "{}", NULL, titled);                     /* never ours */
  expect_patch(titled, "{}", "{\"title\":\"b\"}", "<domain/>"); /* dropped */
  expect_patch(titled, NULL, "{\"title\":\"b\"}", "<domain/>");
  expect_patch(DOMAIN("<on_crash>destroy</on_crash>"), "{}", "{\"onCrash\":\"destroy\"}",
               DOMAIN("<on_crash>destroy</on_crash>")); /* unmanage */
  expect_patch(DOMAIN("<os><boot dev=\"hd\"/></os>"), "{}", "{\"boot\":{\"order\":[\"disk\"]}}", "<domain/>");
  expect_patch(DOMAIN("<os>\n<boot dev=\"hd\"/></os>"), "{\"boot\":{\"order\":[\"network\",\"disk\"]}}", NULL,
               DOMAIN("<os>\n<boot dev=\"network\"/>\n    <boot dev=\"hd\"/>\n  </os>"));
}

#define DISKS(text) DOMAIN("<devices>" text "</devices>")
#define VDA "<disk type=\"file\"><source file=\"/a\" index=\"1\"/><target dev=\"vda\"/><mine/></disk>"
#define VDB "<disk type=\"file\"><source file=\"/b\"/><target dev=\"vdb\"/></disk>"

static void test_lists(void **state G_GNUC_UNUSED) {
  expect_patch(DISKS(VDA VDB), "{\"disks\":[{\"target\":\"vdb\",\"path\":\"/b\"},{\"target\":\"vda\",\"path\":\"/a\"}]}", NULL,
               DISKS(VDA VDB));
  expect_patch(DISKS(VDA VDB), "{}", "{\"disks\":[{\"target\":\"vdb\"}]}", DISKS(VDA));
  expect_patch(DISKS(VDA VDB), "{\"disks\":[]}", NULL, DISKS(VDA VDB));
  expect_patch(DISKS(VDA), "{\"disks\":[{\"target\":\"vda\",\"path\":\"/dev/x\",\"serial\":\"s\"}]}", NULL,
               DISKS("<disk type=\"block\"><target dev=\"vda\"/><mine/>\n      <source dev=\"/dev/x\"/>\n"
                     "      <serial>s</serial>\n    </disk>"));
  expect_patch("<domain>\n  <devices>\n    " VDA "\n  </devices>\n</domain>", "{\"disks\":[{\"target\":\"vdc\"}]}", NULL,
               "<domain>\n  <devices>\n    " VDA "\n    <disk>\n      <target dev=\"vdc\"/>\n    </disk>\n  </devices>\n</domain>");
}

static void test_changed_mac(void **state G_GNUC_UNUSED) {
  expect_patch(DISKS("<interface type=\"user\"><mac address=\"52:54:00:00:00:01\"/><mine/></interface>"),
               "{\"interfaces\":[{\"name\":\"e\",\"mac\":\"52:54:00:00:00:02\"}]}",
               "{\"interfaces\":[{\"name\":\"e\",\"mac\":\"52:54:00:00:00:01\"}]}",
               DISKS("<interface type=\"user\"><mac address=\"52:54:00:00:00:02\"/><mine/></interface>"));
  expect_patch(DISKS("<interface type=\"user\"><mac address=\"52:54:00:00:00:0A\"/></interface>"),
               "{\"interfaces\":[{\"name\":\"f\",\"mac\":\"52:54:00:00:00:0a\"}]}",
               "{\"interfaces\":[{\"name\":\"e\",\"mac\":\"52:54:00:00:00:0a\"}]}",
               DISKS("<interface type=\"user\"><mac address=\"52:54:00:00:00:0A\"/></interface>"));
}

static void test_groups(void **state G_GNUC_UNUSED) {
  expect_patch(DISKS("<a/>"), "{\"rng\":{}}", NULL, DISKS("<a/>\n    <rng/>\n  "));
  expect_patch(DISKS("<rng model=\"virtio\"/><a/>"), "{}", "{\"rng\":{}}", DISKS("<a/>"));
  expect_patch(DISKS("<rng model=\"virtio\"/>"), "{}", NULL, DISKS("<rng model=\"virtio\"/>"));
  const char *limited = DISKS("<disk><target dev=\"vda\"/><iotune><read_iops_sec>9</read_iops_sec></iotune></disk>");
  expect_patch(limited, "{\"disks\":[{\"target\":\"vda\"}]}", "{\"disks\":[{\"target\":\"vda\",\"ioLimits\":{\"readIops\":9}}]}",
               DISKS("<disk><target dev=\"vda\"/></disk>"));
  expect_patch(limited, "{\"disks\":[{\"target\":\"vda\",\"ioLimits\":{\"read\":\"0B/s\"}}]}", NULL, limited);
  expect_patch("<domain/>", "{\"features\":{\"hyperv\":{}}}", NULL, "<domain/>");
}

static void test_devices(void **state G_GNUC_UNUSED) {
  expect_patch(DISKS(""), "{\"hostDevices\":{\"pci\":[{\"address\":\"0000:03:00.1\"}],\"usb\":[{\"id\":\"1d6b:0002\"}]}}", NULL,
               DISKS("\n    <hostdev mode=\"subsystem\" type=\"pci\">\n      <source>\n"
               "        <address domain=\"0x0000\" bus=\"0x03\" slot=\"0x00\" function=\"0x1\"/>\n      </source>\n    </hostdev>\n"
               "    <hostdev mode=\"subsystem\" type=\"usb\">\n      <source>\n        <vendor id=\"0x1d6b\"/>\n"
               "        <product id=\"0x0002\"/>\n      </source>\n    </hostdev>\n  "));
}

static void test_find_device(void **state G_GNUC_UNUSED) {
  g_autoptr(xmlDoc) doc = parse(DISKS(VDA VDB "<video/>"));
  xmlNode *root = xmlDocGetRootElement(doc);
  const Field *disks = table_find(&VmSpec_table, "disks"), *video = table_find(&VmSpec_table, "video");
  xmlNode *vdb = xml_map_find_device(disks, root, "vdb");
  g_autofree char *text = xml_node_text(vdb);
  assert_string_equal(text, VDB);
  assert_null(xml_map_find_device(disks, root, "vdc"));
  assert_non_null(xml_map_find_device(video, root, NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scaled),  cmocka_unit_test(test_read_shapes),       cmocka_unit_test(test_read_words),
      cmocka_unit_test(test_vcpus),   cmocka_unit_test(test_read_devices),      cmocka_unit_test(test_equal_is_untouched),
      cmocka_unit_test(test_lists),   cmocka_unit_test(test_three_way),         cmocka_unit_test(test_changed_mac),
      cmocka_unit_test(test_groups),  cmocka_unit_test(test_devices),           cmocka_unit_test(test_find_device),
      cmocka_unit_test(test_read_interfaces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
