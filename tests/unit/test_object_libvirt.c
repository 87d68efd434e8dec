/* Networks, pools and volumes against libvirt's own parser, by its test driver (in memory):
 * what is made is accepted, comes back with the same values, and needs no patch then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include "state/libvirt/connection.h"
#include "state/object_xml.h"

static virConnectPtr connection;

static xmlDoc *parse(char *text) {
  g_autoptr(GError) error = NULL;
  if (!text)
    fail_msg("%s", virGetLastErrorMessage());
  xmlDoc *doc = xml_parse(text, "libvirt", &error);
  if (!doc)
    fail_msg("%s", error->message);
  free(text);
  return doc;
}

/* Every field that `wanted` gives is the same in `found`; the rest is libvirt's. */
static void expect_fields(const FieldTable *table, gconstpointer wanted, gconstpointer found) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, wanted, field))
      continue;
    if (field->type == VALUE_GROUP)
      expect_fields(field->sub, field_member(field, wanted), field_member(field, found));
    else if (!field_equal(table, field, wanted, found))
      fail_msg("%s.%s differs", table->name, field->key);
  }
}

static gpointer spec_of(const FieldTable *table, const char *json) {
  g_autoptr(GError) error = NULL;
  gpointer spec = spec_from_json(table, json, "test", &error);
  if (!spec)
    fail_msg("%s", error->message);
  return spec;
}

static xmlDoc *define_network(xmlDoc *doc) {
  g_autofree char *text = xml_text(doc);
  xmlFreeDoc(doc);
  g_autoptr(VirNetwork) network = virNetworkDefineXML(connection, text);
  if (!network)
    fail_msg("%s: %s", virGetLastErrorMessage(), text);
  return parse(virNetworkGetXMLDesc(network, 0));
}

#define NETWORK_UUID "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11"

static const char *const networks[] = {
    "{\"mode\":\"nat\",\"bridge\":\"virbr7\",\"domain\":\"lab.example.org\",\"mtu\":9000,\"address\":\"10.7.0.1\",\"prefix\":24,"
    "\"dhcp\":{\"ranges\":[{\"start\":\"10.7.0.10\",\"end\":\"10.7.0.20\"},{\"start\":\"10.7.0.30\",\"end\":\"10.7.0.40\"}],"
    "\"hosts\":[{\"mac\":\"52:54:00:12:34:56\",\"name\":\"web-1\",\"ip\":\"10.7.0.99\"},"
    "{\"mac\":\"52:54:00:12:34:57\",\"ip\":\"10.7.0.98\"}]}}",
    "{\"mode\":\"route\",\"bridge\":\"virbr7\",\"address\":\"fd00:7::1\",\"prefix\":64}",
    "{\"mode\":\"isolated\",\"bridge\":\"virbr7\",\"address\":\"10.7.0.1\",\"prefix\":25}",
    "{\"mode\":\"isolated\",\"bridge\":\"virbr7\"}",
    "{\"mode\":\"bridge\",\"bridge\":\"br0\"}",
};

static void expect_network(xmlDoc *doc, const NetworkSpec *wanted, const NetworkSpec *applied) {
  xmlNode *root = xmlDocGetRootElement(doc);
  NetworkSpec found = {0};
  network_xml_read(root, &found);
  expect_fields(&NetworkSpec_table, wanted, &found);
  spec_clear(&NetworkSpec_table, &found);
  gboolean changed = FALSE;
  assert_true(network_xml_patch(root, wanted, applied, NULL, &changed, NULL));
  assert_false(changed);
}

static void test_networks(void **state G_GNUC_UNUSED) {
  for (guint i = 0; i < G_N_ELEMENTS(networks); i++) {
    g_autoptr(NetworkOwnership) record = g_new0(NetworkOwnership, 1);
    NetworkSpec *spec = spec_of(&NetworkSpec_table, networks[i]);
    record->source = g_strdup("/srv/vms");
    spec_copy_into(&NetworkSpec_table, spec, &record->spec);
    g_autoptr(xmlDoc) doc = define_network(network_xml_new("n", spec, NETWORK_UUID, record, NULL));
    expect_network(doc, spec, spec);
    g_autoptr(GError) error = NULL;
    g_autoptr(NetworkOwnership) read = network_ownership_read(xmlDocGetRootElement(doc), &error);
    assert_non_null(read);
    assert_true(spec_equal(&NetworkSpec_table, &read->spec, spec));
    spec_free(&NetworkSpec_table, spec);
  }
}

/* From each of them to each other one. */
static void test_network_changes(void **state G_GNUC_UNUSED) {
  for (guint from = 0; from < G_N_ELEMENTS(networks); from++)
    for (guint to = 0; to < G_N_ELEMENTS(networks); to++) {
      NetworkSpec *before = spec_of(&NetworkSpec_table, networks[from]), *after = spec_of(&NetworkSpec_table, networks[to]);
      g_autoptr(xmlDoc) made = define_network(network_xml_new("n", before, NETWORK_UUID, NULL, NULL));
      gboolean changed = FALSE;
      if (!given(after, NetworkSpec, address) && given(before, NetworkSpec, address)) {
        spec_free(&NetworkSpec_table, before); /* the address is left as it is */
        spec_free(&NetworkSpec_table, after);
        continue;
      }
      assert_true(network_xml_patch(xmlDocGetRootElement(made), after, before, NULL, &changed, NULL));
      assert_int_equal(changed, from != to);
      g_autoptr(xmlDoc) doc = define_network(g_steal_pointer(&made));
      expect_network(doc, after, after);
      spec_free(&NetworkSpec_table, before);
      spec_free(&NetworkSpec_table, after);
    }
}

static void test_pools(void **state G_GNUC_UNUSED) {
  static const char *const pools[] = {
      "{\"type\":\"dir\",\"target\":\"/srv/p\"}",
      "{\"type\":\"fs\",\"target\":\"/srv/p\",\"source\":{\"device\":\"/dev/sdb1\",\"format\":\"ext4\"}}",
      "{\"type\":\"netfs\",\"target\":\"/srv/p\",\"source\":{\"host\":\"nas\",\"dir\":\"/export\",\"format\":\"nfs\"}}",
      "{\"type\":\"logical\",\"source\":{\"device\":\"/dev/sdb\",\"name\":\"vg0\",\"format\":\"lvm2\"}}",
  };
  for (guint i = 0; i < G_N_ELEMENTS(pools); i++) {
    StoragePoolSpec *spec = spec_of(&StoragePoolSpec_table, pools[i]), found = {0};
    g_autoptr(xmlDoc) made = pool_xml_new("p", spec, NULL, NULL);
    g_autofree char *text = xml_text(made);
    g_autoptr(VirStoragePool) pool = virStoragePoolDefineXML(connection, text, 0);
    if (!pool)
      fail_msg("%s: %s", virGetLastErrorMessage(), text);
    g_autoptr(xmlDoc) doc = parse(virStoragePoolGetXMLDesc(pool, 0));
    pool_xml_read(xmlDocGetRootElement(doc), &found);
    expect_fields(&StoragePoolSpec_table, spec, &found);
    spec_free(&StoragePoolSpec_table, spec);
    spec_clear(&StoragePoolSpec_table, &found);
    virStoragePoolUndefine(pool);
  }
}

static void test_volumes(void **state G_GNUC_UNUSED) {
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByName(connection, "default-pool");
  g_autoptr(xmlDoc) made = volume_xml_new("a.qcow2", "qcow2", 1 << 20, "/base", "raw", 0444, NULL);
  g_autofree char *text = xml_text(made);
  g_autoptr(VirStorageVol) volume = virStorageVolCreateXML(pool, text, 0);
  if (!volume)
    fail_msg("%s: %s", virGetLastErrorMessage(), text);
  g_autoptr(xmlDoc) doc = parse(virStorageVolGetXMLDesc(volume, 0));
  VolumeSpec found = {0};
  xml_map_read(&VolumeSpec_table, xmlDocGetRootElement(doc), &found);
  assert_int_equal(found.size, 1 << 20);
  spec_clear(&VolumeSpec_table, &found);
}

static void ignore(void *data G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED) {
}

static int connect_test_driver(void **state G_GNUC_UNUSED) {
  virSetErrorFunc(NULL, ignore);
  connection = virConnectOpen("test:///default");
  return connection ? 0 : -1;
}

static int disconnect(void **state G_GNUC_UNUSED) {
  virConnectClose(connection);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_networks),
      cmocka_unit_test(test_network_changes),
      cmocka_unit_test(test_pools),
      cmocka_unit_test(test_volumes),
  };
  return cmocka_run_group_tests(tests, connect_test_driver, disconnect);
}
