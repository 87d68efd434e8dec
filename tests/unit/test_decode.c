/* Documents as objects. What is wrong with bad ones: tests/golden/bad. */
#include "tests/unit/check.h"
#include "schema/document.h"
#include "schema/value.h"
#include <string.h>

#define HEAD(kind, name) "apiVersion: reconcile/v1\nkind: " kind "\nmetadata: {name: " name "}\n"

/* What a text without errors declares. */
static Desired *decode(const char *text) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Desired *desired = desired_new();
  desired_decode(desired, "/srv/vms/f.yaml", text, strlen(text), diagnostics);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    fail_msg("%s", line);
  }
  return desired;
}

static void a_machine(void **state) {
  (void)state;
  g_autoptr(Desired) desired = decode(
      "apiVersion: reconcile/v1\n"
      "kind: VirtualMachine\n"
      "metadata:\n"
      "  name: web-1\n"
      "  labels: {tier: web, empty: ''}\n"
      "  adopt: true\n"
      "spec:\n"
      "  title: Web server\n"
      "  powerState: running\n"
      "  autostart: false\n"
      "  cpu: {count: 0x2, max: 8, pinning: [{vcpu: 0, cpus: '3,0-2'}, {vcpu: 1, cpus: 7-7}]}\n"
      "  memory: {size: 2048MiB}\n"
      "  boot: {order: [disk, network]}\n"
      "  rng: {}\n"
      "  disks:\n"
      "    - {target: vda, image: debian-12, size: 20GiB, ioLimits: {read: 1024KiB/s}}\n"
      "    - {target: sda, device: cdrom, path: ../isos//x.iso}\n"
      "  interfaces:\n"
      "    - {name: eth0, network: default, mac: 52:54:00:AB:CD:EF}\n"
      "  devices: {extra: [\"<vsock model='virtio'/>\"]}\n");
  const Object *object = desired_find(desired, KIND_VIRTUAL_MACHINE, "web-1");
  assert_non_null(object);
  assert_text(place_format(object->at), "/srv/vms/f.yaml:1:1");
  assert_string_equal(string_map_get(object->metadata.labels, "tier"), "web");
  assert_string_equal(string_map_get(object->metadata.labels, "empty"), "");
  assert_true(given(&object->metadata, MetadataSpec, adopt) && object->metadata.adopt);
  const VmSpec *vm = object_vm(object);
  assert_string_equal(vm->title, "Web server");
  assert_true(given(vm, VmSpec, autostart) && !vm->autostart);
  assert_false(given(vm, VmSpec, description));
  assert_int_equal(vm->cpu.count, 2);
  const CpuPinSpec *pin = vm->cpu.pinning->pdata[0];
  assert_string_equal(pin->cpus, "0-3");
  assert_true(vm->memory.size == 2ull << 30 && !given(&vm->memory, MemorySpec, max));
  assert_string_equal(vm->boot.order[1], "network");
  assert_true(given(vm, VmSpec, rng));
  const DiskSpec *vda = vm->disks->pdata[0], *sda = vm->disks->pdata[1];
  assert_true(vda->ioLimits.read == 1 << 20);
  assert_string_equal(sda->path, "/srv/isos/x.iso");
  const InterfaceSpec *eth0 = vm->interfaces->pdata[0];
  assert_string_equal(eth0->mac, "52:54:00:ab:cd:ef");
  assert_string_equal(vm->devices.extra[0], "<vsock model='virtio'/>");
}

static void several_documents(void **state) {
  (void)state;
  g_autoptr(Desired) desired = decode("# nothing\n---\n" HEAD("StoragePool", "p") "spec: {type: dir, target: pool}\n---\n"
                                      HEAD("Volume", "v") "spec: {}\n---\n---\n" HEAD("Profile", "v") "spec: {}\n");
  assert_int_equal(desired->objects->len, 3);
  assert_null(desired_find(desired, KIND_VOLUME, "p"));
  const StoragePoolSpec *pool = desired_find(desired, KIND_STORAGE_POOL, "p")->spec;
  assert_string_equal(pool->target, "/srv/vms/pool");
  g_autoptr(Object) copy = object_copy(desired_find(desired, KIND_STORAGE_POOL, "p"));
  assert_true(spec_equal(&StoragePoolSpec_table, pool, copy->spec));
  assert_string_equal(copy->metadata.name, "p");
}

static void relative_files(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  const char *text = HEAD("Image", "i") "spec: {source: a.img}\n";
  desired_decode(desired, "f.yaml", text, strlen(text), diagnostics);
  assert_int_equal(diagnostics->errors, 0);
  g_autofree char *expected = g_canonicalize_filename("a.img", NULL);
  const ImageSpec *image = desired_find(desired, KIND_IMAGE, "i")->spec;
  assert_string_equal(image->source, expected);
}

/* An object with an error is left out, the others are there. */
static void broken_objects_are_left_out(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  const char *text = HEAD("Volume", "a") "spec: {size: 5G}\n---\n" HEAD("Volume", "b") "spec: {size: 5GiB}\n---\n" HEAD("Volume", "a") "spec: {}\n";
  desired_decode(desired, "f.yaml", text, strlen(text), diagnostics);
  assert_null(desired_find(desired, KIND_VOLUME, "a"));
  assert_non_null(desired_find(desired, KIND_VOLUME, "b"));
  assert_true(g_hash_table_contains(desired->broken, "volume/a"));
  assert_int_equal(diagnostics->errors, 2);
  assert_text(diagnostic_format(diagnostics->items->pdata[1]), "f.yaml:11:1: error: Volume \"a\" is declared twice");
  assert_text(diagnostic_format(diagnostics->items->pdata[2]), "f.yaml:1:1: note: first declared here");
}

static void duplicates_across_files(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  const char *text = HEAD("Volume", "a") "spec: {}\n";
  desired_decode(desired, "one.yaml", text, strlen(text), diagnostics);
  desired_decode(desired, "two.yaml", text, strlen(text), diagnostics);
  assert_int_equal(diagnostics->errors, 1);
  assert_text(diagnostic_format(diagnostics->items->pdata[0]), "two.yaml:1:1: error: Volume \"a\" is declared twice");
  assert_text(diagnostic_format(diagnostics->items->pdata[1]), "one.yaml:1:1: note: first declared here");
}

/* However much is wrong, what is said stays bounded, and so does the time. */
static void errors_are_bounded(void **state) {
  (void)state;
  g_autoptr(GString) text = g_string_new(HEAD("VirtualMachine", "a") "spec:\n");
  for (int i = 0; i < 100000; i++)
    g_string_append_printf(text, "  k%d: 1\n", i);
  g_string_append(text, "---\n" HEAD("VirtualMachine", "b") "spec:\n  disks:\n");
  for (int i = 0; i < 50000; i++)
    g_string_append(text, "  - {target: vda}\n");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  gint64 start = g_get_monotonic_time();
  desired_decode(desired, "f.yaml", text->str, text->len, diagnostics);
  assert_int_equal(diagnostics->errors, 2000);
  assert_true(g_get_monotonic_time() - start < 10 * G_USEC_PER_SEC);
}

/* Never change these: existing machines carry them. */
static void derived_identities(void **state) {
  (void)state;
  assert_text(derive_uuid("vm", "web-1"), "92684fe3-62e5-53dd-8955-7413b2cfbad1");
  assert_text(derive_mac(NULL, "web-1", "eth0"), "52:3e:4e:09:16:3e");
  assert_text(derive_vm_uuid(NULL, "web-1"), "92684fe3-62e5-53dd-8955-7413b2cfbad1");
  assert_text(derive_vm_uuid("east", "web-1"), "95829c37-84b1-54aa-a538-305dda759cfe");
  assert_text(derive_mac("east", "web-1", "eth0"), "52:6d:21:7d:e7:e1");
}

static void near_words(void **state) {
  (void)state;
  static const char *const words[] = {"memory", "disks", "cpu", "interfaces", NULL};
  assert_string_equal(nearest_word("memroy", words), "memory");
  assert_string_equal(nearest_word("disk", words), "disks");
  assert_string_equal(nearest_word("CPU", words), "cpu");
  assert_string_equal(nearest_word("interface", words), "interfaces");
  assert_null(nearest_word("network", words));
  assert_null(nearest_word("", words));
  assert_null(nearest_word("x", words));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_machine), cmocka_unit_test(several_documents), cmocka_unit_test(relative_files),
      cmocka_unit_test(broken_objects_are_left_out), cmocka_unit_test(duplicates_across_files),
      cmocka_unit_test(errors_are_bounded), cmocka_unit_test(derived_identities), cmocka_unit_test(near_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
