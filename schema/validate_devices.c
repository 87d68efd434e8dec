/* Rules for interfaces and the other devices, and for what goes across devices. */
#include "schema/validate.h"
#include <string.h>

#define KIB (1u << 10)

static void check_connection(const Check *check, const InterfaceSpec *interface) {
  guint connections = given(interface, InterfaceSpec, network) + given(interface, InterfaceSpec, bridge) +
                      given(interface, InterfaceSpec, direct) + (interface->user ? 1u : 0u);
  if (connections > 1)
    check_error(check, "name", "an interface is connected to one of network, bridge, direct or user");
  else if (connections == 0 && !check->adopt)
    check_error(check, "name", "an interface needs one of network, bridge, direct or user: true");
  if (given(interface, InterfaceSpec, directMode) && !given(interface, InterfaceSpec, direct))
    check_error(check, "directMode", "directMode is about direct: give that too");
}

static void check_bandwidth(const Check *outer, const char *direction, const BandwidthSpec *limit) {
  g_autofree char *within = g_strconcat(outer->within, direction, ".", NULL);
  Check check = *outer;
  check.within = within;
  check_multiple(&check, "average", limit->average, KIB, "KiB/s");
  check_multiple(&check, "peak", limit->peak, KIB, "KiB/s");
  check_multiple(&check, "burst", limit->burst, KIB, "KiB");
  if (limit->given && !given(limit, BandwidthSpec, average))
    check_error(&check, given(limit, BandwidthSpec, peak) ? "peak" : "burst", "peak and burst need an average");
}

void validate_interfaces(const Check *outer) {
  const VmSpec *vm = object_vm(outer->object);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    g_autofree char *within = g_strdup_printf("interfaces[%s].", interface->name);
    Check check = *outer;
    check.within = within;
    check_connection(&check, interface);
    check_bandwidth(&check, "inbound", &interface->inbound);
    check_bandwidth(&check, "outbound", &interface->outbound);
  }
}

/* Boot indexes are unique across devices, and exclude boot.order. Takes path. */
static void check_boot_index(const Check *check, GHashTable *seen, gboolean has, gint64 index, char *path) {
  g_autofree char *owned = path;
  if (!has)
    return;
  if (given(&object_vm(check->object)->boot, BootSpec, order))
    check_error(check, path, "bootIndex can't be combined with boot.order");
  const char *first = g_hash_table_lookup(seen, GINT_TO_POINTER((int)index));
  if (first)
    check_error(check, path, "the bootIndex %" G_GINT64_FORMAT " is used twice: first at %s", index, first);
  else
    g_hash_table_insert(seen, GINT_TO_POINTER((int)index), g_steal_pointer(&owned));
}

static void check_boot_indexes(const Check *check, const VmSpec *vm) {
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
  for (guint i = 0; vm->disks && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    check_boot_index(check, seen, given(disk, DiskSpec, bootIndex), disk->bootIndex, g_strdup_printf("disks[%s].bootIndex", disk->target));
  }
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    check_boot_index(check, seen, given(interface, InterfaceSpec, bootIndex), interface->bootIndex,
                     g_strdup_printf("interfaces[%s].bootIndex", interface->name));
  }
  for (guint i = 0; vm->hostDevices.pci && i < vm->hostDevices.pci->len; i++) {
    const PciDeviceSpec *device = vm->hostDevices.pci->pdata[i];
    check_boot_index(check, seen, given(device, PciDeviceSpec, bootIndex), device->bootIndex,
                     g_strdup_printf("hostDevices.pci[%s].bootIndex", device->address));
  }
  for (guint i = 0; vm->hostDevices.usb && i < vm->hostDevices.usb->len; i++) {
    const UsbDeviceSpec *device = vm->hostDevices.usb->pdata[i];
    check_boot_index(check, seen, given(device, UsbDeviceSpec, bootIndex), device->bootIndex,
                     g_strdup_printf("hostDevices.usb[%s].bootIndex", device->id));
  }
}

/* Serial ports and consoles: what each type needs. */
static void check_port(const Check *outer, const char *list, gint64 port, int type, gboolean has_path, gboolean has_mode, gboolean has_append) {
  g_autofree char *within = g_strdup_printf("%s[%" G_GINT64_FORMAT "].", list, port);
  Check check = *outer;
  check.within = within;
  const char *word = SerialType_words.words[type];
  if (type != SerialType_pty && !has_path)
    check_error(&check, "type", "type %s needs a path", word);
  if (type == SerialType_pty && has_path)
    check_error(&check, "path", "a pty is chosen at start: remove the path");
  if (type != SerialType_socket && has_mode)
    check_error(&check, "socketMode", "socketMode is only for type socket");
  if (type != SerialType_file && has_append)
    check_error(&check, "append", "append is only for type file");
}

static void check_ports(const Check *check, const VmSpec *vm) {
  for (guint i = 0; vm->serials && i < vm->serials->len; i++) {
    const SerialSpec *serial = vm->serials->pdata[i];
    check_port(check, "serials", serial->port, serial->type, given(serial, SerialSpec, path), given(serial, SerialSpec, socketMode),
               given(serial, SerialSpec, append));
  }
  for (guint i = 0; vm->consoles && i < vm->consoles->len; i++) {
    const ConsoleSpec *console = vm->consoles->pdata[i];
    check_port(check, "consoles", console->port, console->type, given(console, ConsoleSpec, path), given(console, ConsoleSpec, socketMode), FALSE);
  }
}

static void check_filesystems(const Check *outer, const VmSpec *vm) {
  for (guint i = 0; vm->filesystems && i < vm->filesystems->len; i++) {
    const FilesystemSpec *filesystem = vm->filesystems->pdata[i];
    if (!given(filesystem, FilesystemSpec, driver) || filesystem->driver != FilesystemDriver_virtiofs)
      continue;
    g_autofree char *within = g_strdup_printf("filesystems[%s].", filesystem->tag);
    Check check = *outer;
    check.within = within;
    if (!vm->memory.shared && !check.adopt)
      check_error(&check, "driver", "virtiofs needs memory.shared: true");
    if (filesystem->readOnly)
      check_error(&check, "readOnly", "virtiofs can't be read-only here: use driver 9p");
  }
}

void validate_devices(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  check_boot_indexes(check, vm);
  if (!check->adopt)
    check_ports(check, vm);
  check_filesystems(check, vm);
  check_multiple(check, "video.vram", vm->video.vram, KIB, "KiB");
  if (given(&vm->rng, RngSpec, ratePeriod) && !given(&vm->rng, RngSpec, rateBytes) && !check->adopt)
    check_error(check, "rng.ratePeriod", "a period needs rateBytes: the bytes that may pass in it");
}
