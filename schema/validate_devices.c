/* Rules for interfaces and the other devices, and for what goes across devices. */
#include "schema/validate.h"
#include "schema/xml_element.h"
#include <string.h>

#define KIB (1u << 10)

static void check_bandwidth(const Check *check, const char *direction, const BandwidthSpec *limit) {
  if (!limit->given)
    return;
  g_autofree char *average = g_strconcat(direction, ".average", NULL), *peak = g_strconcat(direction, ".peak", NULL);
  g_autofree char *burst = g_strconcat(direction, ".burst", NULL);
  check_multiple(check, average, limit->average, KIB, "KiB/s");
  check_multiple(check, peak, limit->peak, KIB, "KiB/s");
  check_multiple(check, burst, limit->burst, KIB, "KiB");
}

void validate_interfaces(const Check *outer) {
  const VmSpec *vm = object_vm(outer->object);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    const Check check = check_item(outer, "interfaces", interface->name);
    check_bandwidth(&check, "inbound", &interface->inbound);
    check_bandwidth(&check, "outbound", &interface->outbound);
  }
}

typedef struct {
  const char *list, *item;
} Booted;

/* Boot indexes are unique across devices, and exclude boot.order. */
static void claim_boot_index(const Check *outer, GHashTable *seen, const char *list, const char *item, gint64 index) {
  const Check check = check_item(outer, list, item);
  if (given(&object_vm(check.object)->boot, BootSpec, order))
    check_error(&check, "bootIndex", "bootIndex can't be combined with boot.order");
  const Booted *first = g_hash_table_lookup(seen, GINT_TO_POINTER((int)index));
  if (first) {
    check_error(&check, "bootIndex", "the bootIndex %" G_GINT64_FORMAT " is used twice: first by %s[%s]", index, first->list, first->item);
    return;
  }
  Booted *booted = g_new(Booted, 1);
  *booted = (Booted){list, item};
  g_hash_table_insert(seen, GINT_TO_POINTER((int)index), booted);
}

/* Those of a list of any device that has one. */
static void claim_boot_indexes(const Check *check, GHashTable *seen, const char *list, const FieldTable *table, const GPtrArray *items) {
  const Field *key = table_key_field(table), *index = table_find(table, "bootIndex");
  for (guint i = 0; items && i < items->len; i++)
    if (field_given(table, items->pdata[i], index))
      claim_boot_index(check, seen, list, *(char **)field_member(key, items->pdata[i]), *(gint64 *)field_member(index, items->pdata[i]));
}

static void check_boot_indexes(const Check *check, const VmSpec *vm) {
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
  claim_boot_indexes(check, seen, "disks", &DiskSpec_table, vm->disks);
  claim_boot_indexes(check, seen, "interfaces", &InterfaceSpec_table, vm->interfaces);
  claim_boot_indexes(check, seen, "hostDevices.pci", &PciDeviceSpec_table, vm->hostDevices.pci);
  claim_boot_indexes(check, seen, "hostDevices.usb", &UsbDeviceSpec_table, vm->hostDevices.usb);
}

/* libvirt numbers consoles in their order, from the first serial port's on: a gap would be closed. */
static void check_console_numbers(const Check *check, const VmSpec *vm) {
  gint64 first = given(vm, VmSpec, serials) && vm->serials->len > 0 ? 1 : 0;
  for (guint i = 0; vm->consoles && i < vm->consoles->len; i++) {
    const ConsoleSpec *console = vm->consoles->pdata[i];
    gint64 last = first + vm->consoles->len - 1;
    g_autofree char *path = g_strdup_printf("consoles[%" G_GINT64_FORMAT "].port", console->port);
    if (console->port < first || console->port > last)
      check_error(check, path, "consoles are numbered without gaps, here from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT "%s", first, last,
                  first > 0 ? ": 0 is the first serial port's" : "");
  }
}

static void check_filesystems(const Check *outer, const VmSpec *vm) {
  for (guint i = 0; vm->filesystems && i < vm->filesystems->len; i++) {
    const FilesystemSpec *filesystem = vm->filesystems->pdata[i];
    if (!given(filesystem, FilesystemSpec, driver) || filesystem->driver != FilesystemDriver_virtiofs)
      continue;
    const Check check = check_item(outer, "filesystems", filesystem->tag);
    if (!vm->memory.shared && !check.adopt)
      check_error(&check, "driver", "virtiofs needs memory.shared: true");
  }
}

/* Found here, with its place, and not by libvirt when half of the files are applied. */
static void check_extra(const Check *check, char *const *extra) {
  for (guint i = 0; extra && extra[i]; i++)
    if (!is_xml_element(extra[i])) {
      g_autofree char *shown = quoted(extra[i]);
      check_error(check, "devices.extra", "extra: expected one whole XML element, but got %s", shown);
    }
}

void validate_devices(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  check_boot_indexes(check, vm);
  if (!check->adopt)
    check_console_numbers(check, vm);
  check_filesystems(check, vm);
  check_extra(check, vm->devices.extra);
  check_multiple(check, "video.vram", vm->video.vram, KIB, "KiB");
}
