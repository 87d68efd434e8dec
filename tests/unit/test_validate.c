/* What is right, what profiles give, and where things stand. What is refused: tests/golden/bad. */
#include "tests/unit/check.h"
#include "schema/validate.h"
#include "schema/xml_element.h"
#include <string.h>

#define HEAD(kind, name) "---\napiVersion: reconcile/v1\nkind: " kind "\nmetadata: {name: " name "}\nspec:\n"
#define ADOPTED(kind, name) "---\napiVersion: reconcile/v1\nkind: " kind "\nmetadata: {name: " name ", adopt: true}\nspec:\n"

static Desired *read_all(const char *text, Diagnostics *diagnostics) {
  Desired *desired = desired_new();
  desired_decode(desired, "f.yaml", text, strlen(text), diagnostics);
  desired_finish(desired, diagnostics);
  return desired;
}

static Desired *accept(const char *text) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Desired *desired = read_all(text, diagnostics);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    fail_msg("%s", line);
  }
  return desired;
}

static void everything_right(void **state) {
  (void)state;
  g_autoptr(Desired) desired = accept(
      HEAD("VirtualMachine", "web-1")
      "  cpu: {count: 2, max: 8, topology: {sockets: 1, cores: 4, threads: 2}, mode: custom, model: Haswell, quota: -1}\n"
      "  memory: {size: 2GiB, max: 4GiB, guaranteed: 1GiB, hugePages: 2MiB, statsPeriod: 10s, shared: true}\n"
      "  firmware: {type: uefi, secureBoot: true}\n"
      "  boot: {menu: true, menuTimeout: 3s, kernel: k, initrd: i, cmdline: quiet}\n"
      "  clock: {offset: timezone, timezone: Europe/Berlin}\n"
      "  powerState: paused\n"
      "  ioThreads: 1\n"
      "  disks:\n"
      "    - {target: vda, image: debian-12, size: 20GiB, bootIndex: 1, ioThread: 1, cache: none, io: native}\n"
      "    - {target: vdb, size: 1GiB, ioLimits: {total: 1MiB/s, read: 0B/s}}\n"
      "    - {target: vdc, volume: data, pool: fast}\n"
      "    - {target: sda, device: cdrom}\n"
      "    - {target: hda, device: cdrom, path: x.iso, bus: ide}\n"
      "    - {target: fda, device: floppy, bus: fdc}\n"
      "    - {target: sdb, path: /dev/sdx, bus: usb}\n"
      "  interfaces:\n"
      "    - {name: eth0, network: anything, bootIndex: 2}\n"
      "    - {name: eth1, direct: eno1, directMode: bridge}\n"
      "    - {name: eth2, user: true, inbound: {average: 1MiB/s, peak: 2MiB/s}}\n"
      "  serials: [{port: 0, type: pty}, {port: 1, type: socket, path: s, socketMode: bind}, {port: 2, type: file, path: f, append: true}]\n"
      "  filesystems: [{tag: t, source: /srv, driver: virtiofs}]\n"
      "  rng: {source: /dev/urandom, rateBytes: 1KiB, ratePeriod: 1s}\n"
      HEAD("Image", "debian-12") "  {source: d.qcow2}\n"
      HEAD("Network", "n") "  {mode: nat, address: 10.0.0.1, prefix: 24, dhcp: {ranges: [{start: 10.0.0.2, end: 10.0.0.254}], "
                           "hosts: [{mac: 52:54:00:00:00:01, ip: 10.0.0.9}]}}\n"
      HEAD("Network", "b") "  {mode: bridge, bridge: br0}\n"
      HEAD("Network", "i") "  {mode: isolated}\n"
      HEAD("Network", "p2p") "  {mode: isolated, address: 10.1.0.0, prefix: 31, dhcp: {ranges: [{start: 10.1.0.1, end: 10.1.0.1}]}}\n"
      HEAD("StoragePool", "l") "  {type: logical, source: {name: vg0}}\n"
      HEAD("StoragePool", "f") "  {type: netfs, target: /srv/f, source: {host: nas, dir: /x, format: nfs}}\n"
      HEAD("Volume", "v") "  {image: debian-12, provision: copy, format: raw}\n");
  /* by kind, then name */
  static const char *const order[] = {"f", "l", "b", "i", "n", "p2p", "debian-12", "v", "web-1"};
  assert_int_equal(desired->objects->len, G_N_ELEMENTS(order));
  for (guint i = 0; i < G_N_ELEMENTS(order); i++)
    assert_string_equal(((Object *)desired->objects->pdata[i])->metadata.name, order[i]);
}

/* Existing objects have what their files don't say, and may be odd. */
static void adopted_objects_may_say_little(void **state) {
  (void)state;
  g_autoptr(Desired) desired = accept(
      ADOPTED("VirtualMachine", "old") "  disks: [{target: hda, bus: virtio}, {target: vda}]\n  interfaces: [{name: eth0}]\n"
                                       "  boot: {cmdline: x}\n  filesystems: [{tag: t, source: /s, driver: virtiofs}]\n  cpu: {mode: custom}\n"
      ADOPTED("VirtualMachine", "older") "  {}\n"
      ADOPTED("Network", "n") "  {mode: nat}\n"
      ADOPTED("StoragePool", "p") "  {type: dir}\n");
  assert_int_equal(desired->objects->len, 4);
}

static void profiles_fill_what_is_missing(void **state) {
  (void)state;
  g_autoptr(Desired) desired = accept(
      HEAD("Profile", "small")
      "  title: From the profile\n"
      "  powerState: running\n"
      "  cpu: {count: 1, max: 4}\n"
      "  boot: {order: [network]}\n"
      "  disks: [{target: vda, image: i, size: 10GiB, cache: none}, {target: vdb, size: 1GiB}]\n"
      "  interfaces: [{name: eth0, network: default, model: virtio}]\n"
      HEAD("Image", "i") "  {source: d.qcow2}\n"
      HEAD("VirtualMachine", "a") "  profile: small\n  title: Mine\n  cpu: {count: 2}\n"
      HEAD("VirtualMachine", "b")
      "  profile: small\n"
      "  disks: [{target: vda, path: /dev/sdx, bootIndex: 1}]\n"
      "  interfaces: [{name: eth0, bridge: br0}]\n");
  const VmSpec *a = object_vm(desired_find(desired, KIND_VIRTUAL_MACHINE, "a"));
  assert_string_equal(a->title, "Mine");
  assert_true(a->cpu.count == 2 && a->cpu.max == 4 && a->disks->len == 2);
  assert_string_equal(a->boot.order[0], "network");
  /* a source of one's own replaces the profile's; the rest of the item stays */
  const VmSpec *b = object_vm(desired_find(desired, KIND_VIRTUAL_MACHINE, "b"));
  const DiskSpec *disk = b->disks->pdata[0];
  const InterfaceSpec *interface = b->interfaces->pdata[0];
  assert_true(!given(disk, DiskSpec, image) && given(disk, DiskSpec, path) && disk->cache == DiskCache_none);
  assert_false(given(&b->boot, BootSpec, order));
  assert_string_equal(interface->bridge, "br0");
  assert_string_equal(interface->model, "virtio");
  assert_false(given(interface, InterfaceSpec, network));
  const VmSpec *profile = object_vm(desired_find(desired, KIND_PROFILE, "small"));
  assert_non_null(((const DiskSpec *)profile->disks->pdata[0])->image); /* as it was */
}

/* What is wrong in a profile is told once, however many machines build on it. */
static void profile_errors_are_told_once(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = read_all(HEAD("Profile", "p") "  {memory: {size: 2GiB, max: 1GiB}}\n"
                                    HEAD("VirtualMachine", "a") "  {profile: p}\n" HEAD("VirtualMachine", "b") "  {profile: p}\n", diagnostics);
  assert_int_equal(desired->objects->len, 3);
  assert_int_equal(diagnostics->errors, 1);
  assert_text(diagnostic_format(diagnostics->items->pdata[0]), "f.yaml:6:19: error: memory.size 2GiB is more than memory.max 1GiB");
  assert_text(diagnostic_format(diagnostics->items->pdata[1]), "f.yaml:12:13: note: in VirtualMachine \"a\", which builds on this profile");
}

/* An image or profile with errors of its own isn't also reported as missing. */
static void no_errors_of_errors(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = read_all(HEAD("Profile", "p") "  {title: 1}\n" HEAD("Image", "i") "  {source: 1}\n"
                                    HEAD("VirtualMachine", "a") "  {profile: p, interfaces: [{name: eth0}]}\n"
                                    HEAD("VirtualMachine", "b") "  {disks: [{target: vda, image: i}]}\n", diagnostics);
  assert_int_equal(desired->objects->len, 2);
  assert_int_equal(diagnostics->errors, 2);
}

/* Copies of a machine are found on hosts; two new ones are a slip of the pen. */
static void twins(void **state) {
  (void)state;
  const char *adopted = "apiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata: {name: old, adopt: true}\n"
                        "spec: {interfaces: [{name: e, user: true, mac: '52:54:00:00:00:01'}], memory: {hugePages: 5MiB}}\n";
  const char *twin = HEAD("VirtualMachine", "a") "  {interfaces: [{name: e, user: true, mac: '52:54:00:00:00:01'}]}\n";
  const char *other = HEAD("VirtualMachine", "b") "  {interfaces: [{name: e, user: true, mac: '52:54:00:00:00:01'}]}\n";
  g_autofree char *found = g_strconcat(adopted, twin, NULL), *slip = g_strconcat(twin, other, NULL);
  g_autoptr(Diagnostics) warned = diagnostics_new(), wrong = diagnostics_new();
  g_autoptr(Desired) first = read_all(found, warned), second = read_all(slip, wrong);
  assert_int_equal(warned->errors, 0);
  assert_int_equal(warned->items->len, 2); /* the warning and its note */
  assert_int_equal(wrong->errors, 1);
  assert_int_equal(first->objects->len + second->objects->len, 4);
}

static void whole_elements(void **state) {
  (void)state;
  const char *good[] = {"<a/>", "<a b='c'/>", "<a>\n <b/>\n</a>\n", "<a b='&lt;'>&#228;&amp;</a>", "<a xmlns:q='u'><q:b/></a>"};
  const char *bad[] = {"", "a", "<a", "<a b='c'", "<a><b></a>", "<a/><b/>", "<a/>b", "<a b='1' b='2'/>", "<a>&b;</a>", "<a b=c/>",
                       "<!-- --><a/>", "<!DOCTYPE a><a/>", "<?a?><a/>"};
  for (guint i = 0; i < G_N_ELEMENTS(good); i++)
    if (!is_xml_element(good[i]))
      fail_msg("refused: %s", good[i]);
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
    if (is_xml_element(bad[i]))
      fail_msg("accepted: %s", bad[i]);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = read_all(HEAD("VirtualMachine", "a") "  devices:\n    extra:\n      - \"<a b='c'\"\n", diagnostics);
  assert_int_equal(desired->objects->len, 1);
  assert_text(diagnostic_format(diagnostics->items->pdata[0]), "f.yaml:8:7: error: extra: expected one whole XML element, but got \"<a b='c'\"");
}

static void places_of_paths(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  const char *text = HEAD("VirtualMachine", "a") "  disks:\n    - {target: vda, size: 1GiB}\n    - target: vdb\n      ioLimits: {read: 1B/s}\n"
                                                 "  filesystems: [{tag: 'a]b.c', source: /x}]\n";
  desired_decode(desired, "f.yaml", text, strlen(text), diagnostics);
  const Object *object = desired->objects->pdata[0];
  const struct { const char *path, *place; gboolean exact; } cases[] = {
      {"metadata.name", "f.yaml:4:18", TRUE}, {"metadata.labels", "f.yaml:4:11", FALSE}, {"disks[vda].size", "f.yaml:7:27", TRUE},
      {"disks[vdb].ioLimits.read", "f.yaml:9:24", TRUE}, {"disks[vdb].size", "f.yaml:8:7", FALSE}, {"disks[vdc].size", "f.yaml:7:5", FALSE},
      {"disks[vda]", "f.yaml:7:7", TRUE}, {"cpu.count", "f.yaml:6:3", FALSE}, {"nonsense[a].b", "f.yaml:6:3", FALSE},
      {"filesystems[a]b.c].tag", "f.yaml:10:16", FALSE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    gboolean exact;
    g_autofree char *place = place_format(object_place(object, cases[i].path, &exact));
    if (strcmp(place, cases[i].place) != 0 || exact != cases[i].exact)
      fail_msg("%s: %s, not %s", cases[i].path, place, cases[i].place);
  }
  desired_finish(desired, diagnostics);
  assert_null(object->node);
  assert_text(place_format(object_place(object, "disks[vda]", NULL)), "f.yaml:2:1");
}

static void diagnostics_in_order(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  diag_error(diagnostics, (Place){"b", 2, 1}, "4");
  diag_note(diagnostics, (Place){"a", 1, 1}, "5");
  diag_error(diagnostics, (Place){"b", 1, 9}, "3");
  diag_error(diagnostics, (Place){"a", 7, 1}, "1");
  diag_warning(diagnostics, (Place){"b", 1, 1}, "2");
  diagnostics_sort(diagnostics);
  for (guint i = 0; i < diagnostics->items->len; i++)
    assert_int_equal(((Diagnostic *)diagnostics->items->pdata[i])->message[0], '1' + (int)i);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_right), cmocka_unit_test(adopted_objects_may_say_little),
      cmocka_unit_test(profiles_fill_what_is_missing), cmocka_unit_test(profile_errors_are_told_once),
      cmocka_unit_test(no_errors_of_errors), cmocka_unit_test(twins), cmocka_unit_test(whole_elements),
      cmocka_unit_test(places_of_paths), cmocka_unit_test(diagnostics_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
