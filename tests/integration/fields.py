"""The fields of a virtual machine and how each is tried: two values, what may
change in the XML, and when the change reaches a machine that runs.

FIELDS has one entry per row of the product; test_fields_table.py compares both.
Texts may hold {dir} (the hypervisor's directory) and {name} (the machine's).
"""

import copy
import re

from product import CMDLINE, CPUS_STAY

# The list's key in its items.
KEYS = {"disks": "target", "interfaces": "name", "graphics": "type", "serials": "port", "consoles": "port",
        "inputs": "type", "timers": "name", "features": "name", "pinning": "vcpu", "pci": "address", "usb": "id",
        "filesystems": "tag", "cells": "id"}


# Editing a document by paths such as disks[vda].ioLimits.read.

def _steps(path):
    """[("disks", "vda"), ("ioLimits", None), ("read", None)]"""
    return [(match[1], match[2]) for match in re.finditer(r"(\w+)(?:\[([^]]*)\])?\.?", path)]


def _item(items, key, name):
    return next((item for item in items if str(item[key]) == name), None)


def _enter(holder, step, make):
    """The mapping that a step leads to; None when it isn't there."""
    key, name = step
    if name is None:
        return holder.setdefault(key, {}) if make else holder.get(key)
    items = holder.setdefault(key, []) if make else holder.get(key, [])
    item = _item(items, KEYS[key], name)
    if item is None and make:
        item = {KEYS[key]: int(name) if name.isdigit() else name}
        items.append(item)
    return item


def put(holder, path, value):
    """Sets a value, or (None) takes it out, with what becomes empty by that."""
    if value is not None:
        _put(holder, _steps(path), value)
    else:
        _take_out(holder, _steps(path))


def _put(holder, steps, value):
    for step in steps[:-1]:
        holder = _enter(holder, step, True)
    key, name = steps[-1]
    if name is None:
        holder[key] = copy.deepcopy(value)
        return
    item = _enter(holder, steps[-1], True)
    for inner, each in value.items():
        put(item, inner, each)


def _take_out(holder, steps):
    key, name = steps[0]
    if len(steps) > 1:
        inner = _enter(holder, steps[0], False)
        if inner is None:
            return
        _take_out(inner, steps[1:])
        if not inner:
            del holder[key]
    elif name is None:
        holder.pop(key, None)
    elif key in holder:
        holder[key] = [item for item in holder[key] if str(item[KEYS[key]]) != name]
        if not holder[key]:
            del holder[key]


def fill(value, **words):
    """Texts inside with their {words} filled in."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [fill(each, **words) for each in value]
    if isinstance(value, dict):
        return {key: fill(each, **words) for key, each in value.items()}
    return value


class Set(dict):
    """A value that stands at several paths."""


class Field:
    """How one row is tried.

    path      of an instance: disks[vdb].cache for the row disks[].cache
    a, b      its values; None is: not given; Set gives paths their values
    effect    "live", "next-start" or "none"; None where it is never changed
    xml       names of the elements that may change, with what is inside them
    removed   what leaving the YAML does to value a: "reset", "stays", or None:
              it can't leave. (Where a is None, going back to a shows it.)
    context   path → value: what both values need beside them
    paths     what the plan names, where that is not just the path
    pending   of these, what then waits for the next start, where that is not all
    stopped, running   True, or why it can't be tried so here
    variant   the machine that it needs: see base()
    root      needs a privileged libvirtd
    kvm       needs a host with it
    one_way   b can't be taken back
    shaping   needs traffic shaping of the kernel's
    groups    needs control groups that libvirt can use
    guest     b is taken back by the guest only, and the test's doesn't
    why       a change is refused with these words
    """

    def __init__(self, path, a, b, effect, xml=(), removed="reset", *, context=None, paths=None, pending=None,
                 stopped=True, running=True, variant="pc", root=False, kvm=False, shaping=False, groups=False, guest=False,
                 one_way=False, why=None):
        self.path, self.a, self.b, self.effect, self.removed = path, a, b, effect, removed
        self.xml = {xml} if isinstance(xml, str) else set(xml)
        self.context = context or {}
        self.paths = {path} if paths is None else set(paths)
        self.pending = self.paths if pending is None else set(pending)
        self.stopped, self.running, self.variant = stopped, running, variant
        self.root, self.kvm, self.guest = root, kvm, guest
        self.shaping, self.groups = shaping, groups
        self.one_way, self.why = one_way, why

    @property
    def row(self):
        return re.sub(r"\[[^]]*\]", "[]", self.path)

    @property
    def devices(self):
        """How many devices may change: those that the plan names, or each kind that comes along (a sound
        backend with a display)."""
        return max(len(self.paths), len(self.xml)) if self.xml else 0

    def document(self, document, value):
        """Edits the document of a machine so that it gives `value`."""
        spec = document["spec"]
        for path, each in self.context.items():
            put(spec, path, each)
        for path, each in (value if isinstance(value, Set) else {self.path: value}).items():
            if path.startswith("metadata."):
                put(document["metadata"], path.split(".", 1)[1], each)
            else:
                put(spec, path, each)
        return document

    def __repr__(self):
        return self.path


def live(path, a, b, xml=(), removed="reset", **more):
    return Field(path, a, b, "live", xml, removed, **more)


def later(path, a, b, xml=(), removed="reset", **more):
    return Field(path, a, b, "next-start", xml, removed, **more)


def record(path, a, b, **more):
    """Kept in our record only; the XML stays as it is."""
    return Field(path, a, b, "none", (), **more)


def never(path, a, b, why, **more):
    return Field(path, a, b, None, (), None, why=why, **more)


class Group:
    """A row that holds others and is no device: its members have entries."""

    def __init__(self, row):
        self.row = row


class Untried:
    """A row that no change can be tried of here, and why."""

    def __init__(self, row, why):
        self.row, self.why = row, why


SPICE = {"graphics[vnc]": None, "graphics[spice]": {"listen": "127.0.0.1"}}
USB = "needs a USB device of the host"

# The machine that has nearly everything.

NIC = "interfaces[eth1]"
BLANK = {"pool": "lab", "size": "16MiB"}
# Odd values, where libvirt or QEMU round: what they make of them is no difference.
MOST = "163001KiB"
BOOTED = f"{CMDLINE} {CPUS_STAY}"

def base(hv, name, variant="pc"):
    """Its document; variant "q35": the few fields that need that machine type;
    "small": QEMU 7.2 crashes when an emulated CPU is plugged beside many devices."""
    spec = {
        "machine": "pc",
        "title": "A title",
        "description": "A description",
        "shutdown": {"timeout": "0s"},
        "cpu": {"count": 1, "max": 4},
        "memory": {"size": "96MiB", "max": MOST},
        "boot": {"kernel": "{dir}/guest/kernel", "initrd": "{dir}/guest/initrd", "cmdline": CMDLINE if variant == "small" else BOOTED},
        "onPoweroff": "destroy", "onReboot": "restart", "onCrash": "destroy",
        "clock": {"offset": "utc"},
        "ioThreads": 2,
        "disks": [
            {"target": "vda", "pool": "lab", "size": "16MiB"},
            {"target": "vdb", "path": "{dir}/files/{name}-b.raw", "format": "raw"},
            {"target": "sda", "bus": "scsi", "path": "{dir}/files/{name}-c.raw", "format": "raw"},
            {"target": "sdb", "bus": "scsi", "path": "{dir}/files/{name}-d.raw", "format": "raw"},
            {"target": "hdc", "bus": "ide", "device": "cdrom", "path": "{dir}/files/1.iso"},
        ],
        "interfaces": [{"name": "eth0", "user": True}],
        "graphics": [{"type": "vnc", "listen": "127.0.0.1", "passwordSecret": "first"}],
        "video": {"model": "vga", "vram": "9MiB", "heads": 1},
        "serials": [
            {"port": 0, "type": "file", "path": hv.console_path(name), "append": True},
            {"port": 1, "type": "file", "path": "{dir}/files/{name}.serial1", "append": True},
        ],
        "consoles": [{"port": 1, "type": "file", "path": "{dir}/files/{name}.console1"}],
        "rng": {"source": "/dev/urandom", "rateBytes": "513B", "ratePeriod": "1001ms"},
        "watchdog": {"model": "i6300esb", "action": "reset"},
        "balloon": {"model": "virtio"},
        "inputs": [{"type": "tablet", "bus": "usb"}],
        "filesystems": [{"tag": "shared", "source": "{dir}/files"}],
        "features": {"acpi": True, "apic": True, "tcgCache": "32MiB"},
    }
    if variant != "pc":
        spec.update(disks=None, interfaces=None, watchdog=None, inputs=None, consoles=None, filesystems=None)
    if variant == "q35":
        spec["machine"] = "q35"
    return fill(hv.vm(name, **spec), dir=hv.directory, name=name)


FIELDS = [
    # Identity and record.
    Untried("metadata.name", "another name is another machine: see test_another_name"),
    record("metadata.labels", {"tier": "web"}, {"tier": "db"}, paths=()),
    record("metadata.annotations", None, {"owner": "ops"}, paths=()),
    record("metadata.adopt", None, True, paths=()),
    record("profile", None, "plain"),
    never("uuid", "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11", "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a12",
          "libvirt knows a domain by its UUID"),
    live("title", "A title", "Another title", "title"),
    live("description", "A description", "Another description", "description"),
    live("powerState", None, None, removed=None, stopped="see test_power_state", running="see test_power_state"),
    record("restartPolicy", None, "never"),
    record("startPaused", None, True),
    live("autostart", None, True),
    record("deletionProtection", None, True),
    Group("updatePolicy"),
    record("updatePolicy.restart", None, "never"),
    Group("shutdown"),
    record("shutdown.timeout", "0s", "1s"),
    record("shutdown.retryInterval", None, "2s"),
    record("shutdown.force", None, True),
    later("type", "qemu", "kvm", {"domain"}, "stays", context={"features.tcgCache": None, "cpu": {"count": 1}}, kvm=True),
    later("arch", "x86_64", "i686", {"type"}, "stays"),
    later("machine", "pc-i440fx-7.2", "pc-i440fx-7.1", {"type"}, "stays"),
    Group("firmware"),
    later("firmware.type", "bios", "uefi", {"os"}, "stays", variant="q35"),
    later("firmware.secureBoot", False, True, {"os"}, "stays", variant="q35",
          context={"firmware.type": "uefi", "features.smm": True}),
    Group("boot"),
    later("boot.order", None, ["network", "disk"], "boot"),
    later("boot.menu", None, True, "bootmenu"),
    later("boot.menuTimeout", None, "3001ms", "bootmenu", context={"boot.menu": True}),
    later("boot.kernel", "{dir}/guest/kernel", "{dir}/files/kernel", "kernel", removed=None),
    later("boot.initrd", "{dir}/guest/initrd", "{dir}/files/initrd", "initrd"),
    later("boot.cmdline", BOOTED, "console=ttyS0", "cmdline"),

    # CPUs and memory.
    Group("cpu"),
    live("cpu.count", 1, 2, {"vcpu", "vcpus"}, "stays", variant="small", guest=True),
    later("cpu.max", 4, 8, "vcpu", "stays"),
    Group("cpu.topology"),
    later("cpu.topology.sockets", Set({"cpu.topology": {"sockets": 4}}), Set({"cpu.max": 2, "cpu.topology": {"sockets": 2}}),
          {"vcpu", "cpu"}, removed=None, paths={"cpu.max", "cpu.topology.sockets"}),
    later("cpu.topology.dies", Set({"cpu.topology": {"sockets": 1, "dies": 2, "cores": 2}}),
          Set({"cpu.topology": {"sockets": 1, "dies": 1, "cores": 4}}), "cpu", removed=None,
          paths={"cpu.topology.dies", "cpu.topology.cores"}),
    later("cpu.topology.cores", Set({"cpu.topology": {"sockets": 2, "cores": 2}}),
          Set({"cpu.topology": {"sockets": 1, "cores": 4}}), "cpu", removed=None,
          paths={"cpu.topology.sockets", "cpu.topology.cores"}),
    later("cpu.topology.threads", Set({"cpu.topology": {"sockets": 2, "threads": 2}}),
          Set({"cpu.topology": {"sockets": 4, "threads": 1}}), "cpu", removed=None,
          paths={"cpu.topology.sockets", "cpu.topology.threads"}),
    later("cpu.mode", None, "maximum", "cpu"),
    later("cpu.model", "qemu64", "Nehalem", "cpu", removed=None, context={"cpu.mode": "custom"}),
    later("cpu.features[pcid]", None, {"policy": "require"}, "feature", context={"cpu.mode": "custom", "cpu.model": "qemu64"}),
    later("cpu.features[pcid].name", Set({"cpu.features[pcid]": {"policy": "disable"}}),
          Set({"cpu.features[x2apic]": {"policy": "disable"}}), "feature", removed=None,
          paths={"cpu.features[pcid]", "cpu.features[x2apic]"}, context={"cpu.mode": "custom", "cpu.model": "qemu64"}),
    later("cpu.features[pcid].policy", "require", "disable", "feature", removed=None,
          context={"cpu.mode": "custom", "cpu.model": "qemu64"}),
    live("cpu.shares", 1000, 513, "cputune", root=True, groups=True),
    live("cpu.period", None, 50001, "cputune", root=True, groups=True),
    live("cpu.quota", None, 20001, "cputune", root=True, groups=True),
    live("cpu.pinning[0]", None, {"cpus": "0"}, "cputune"),
    live("cpu.pinning[0].vcpu", Set({"cpu.pinning[0]": {"cpus": "0"}}), Set({"cpu.pinning[1]": {"cpus": "0"}}), "cputune",
         removed=None, paths={"cpu.pinning[0]", "cpu.pinning[1]"}, context={"cpu.count": 2}, variant="small"),
    live("cpu.pinning[0].cpus", "0", "0-1", "cputune", removed=None),
    live("cpu.emulatorPin", None, "0", "cputune"),
    Group("memory"),
    live("memory.size", "96MiB", "131001KiB", "currentMemory", "stays"),
    later("memory.max", MOST, "196001KiB", "memory", "stays"),
    record("memory.guaranteed", None, "64MiB"),
    later("memory.hugePages", None, "2MiB", "memoryBacking", root=True),
    later("memory.locked", None, True, "memoryBacking"),
    later("memory.shared", None, True, "memoryBacking"),
    live("memory.statsPeriod", None, "5s", "memballoon"),
    Group("numa"),
    later("numa.mode", None, "interleave", "numatune", context={"numa.nodeset": "0"}),
    later("numa.nodeset", None, "0", "numatune"),
    later("numa.cells[0]", None, {"cpus": "0-3", "memory": MOST}, "cpu"),
    later("numa.cells[0].id", Set({"numa.cells[0]": {"cpus": "0-3", "memory": MOST}}),
          Set({"numa.cells[0]": {"cpus": "0-3", "memory": "64MiB"}, "numa.cells[1]": {"memory": "97465KiB"}}), "cpu", removed=None,
          paths={"numa.cells[0].memory", "numa.cells[1]"}),
    later("numa.cells[0].cpus", Set({"numa.cells[0]": {"cpus": "0-2", "memory": "97465KiB"}, "numa.cells[1]": {"cpus": "3", "memory": "64MiB"}}),
          Set({"numa.cells[0]": {"cpus": "0-1", "memory": "97465KiB"}, "numa.cells[1]": {"cpus": "2-3", "memory": "64MiB"}}), "cpu",
          removed=None, paths={"numa.cells[0].cpus", "numa.cells[1].cpus"}),
    later("numa.cells[0].memory", MOST, "131001KiB", {"cpu", "memory"}, removed=None,
          context={"memory.max": None, "numa.cells[0]": {"cpus": "0-3"}}),
    later("ioThreads", 2, 3, "iothreads"),

    # Features and the clock.
    Group("features"),
    later("features.acpi", True, False, "features", "stays"),
    later("features.apic", True, False, "features", "stays"),
    later("features.pae", None, True, "features"),
    later("features.smm", False, True, "features", "stays", variant="q35"),
    later("features.vmport", None, False, "features"),
    later("features.kvmHidden", None, True, "features"),
    Group("features.hyperv"),
    later("features.hyperv.relaxed", None, True, "features"),
    later("features.hyperv.vapic", None, True, "features"),
    later("features.hyperv.vpindex", None, True, "features"),
    later("features.hyperv.synic", None, True, "features", context={"features.hyperv.vpindex": True}),
    later("features.hyperv.stimer", None, True, "features",
          context={"features.hyperv.vpindex": True, "features.hyperv.synic": True}),
    later("features.hyperv.runtime", None, True, "features"),
    later("features.tcgCache", "32MiB", "33MiB", "features"),
    Group("clock"),
    later("clock.offset", "utc", "localtime", "clock", "stays"),
    later("clock.timezone", "Europe/Berlin", "Europe/Paris", "clock", removed=None, context={"clock.offset": "timezone"}),
    later("clock.timers[hpet]", None, {"present": False}, "clock"),
    later("clock.timers[hpet].name", Set({"clock.timers[hpet]": {"present": False}}),
          Set({"clock.timers[pit]": {"tickPolicy": "delay"}}), "clock", removed=None,
          paths={"clock.timers[hpet]", "clock.timers[pit]"}),
    later("clock.timers[hpet].present", None, False, "clock", context={"clock.timers[hpet]": {}}),
    later("clock.timers[rtc].tickPolicy", None, "catchup", "clock", context={"clock.timers[rtc]": {}}),
    live("onPoweroff", "destroy", "restart", "on_poweroff", "stays"),
    live("onReboot", "restart", "destroy", "on_reboot", "stays"),
    live("onCrash", "destroy", "restart", "on_crash", "stays"),

    # Disks.
    live("disks[vdz]", None, {"path": "{dir}/files/{name}-z.raw", "format": "raw"}, "disk"),
    live("disks[vdz].target", Set({"disks[vdz]": {"path": "{dir}/files/{name}-z.raw", "format": "raw"}}),
         Set({"disks[vdy]": {"path": "{dir}/files/{name}-z.raw", "format": "raw"}}), "disk", removed=None,
         paths={"disks[vdy]", "disks[vdz]"}),
    later("disks[sdb].device", "disk", "cdrom", "disk", "stays", context={"disks[sdb].readOnly": True}),
    later("disks[sdb].bus", "scsi", "usb", "disk", "stays"),
    never("disks[vdi].image", "first", "second", "a disk keeps the image it was made from",
          context={"disks[vdi]": {"provision": "overlay"}}),
    never("disks[vdi].provision", "overlay", "copy", "a disk stays an overlay or a copy",
          context={"disks[vdi]": {"image": "first"}}),
    live("disks[vdg].size", "16777001B", "33000001B", removed=None, one_way=True, context={"disks[vdg]": {"pool": "lab"}}),
    never("disks[vda].pool", "lab", "other", "moving a disk between pools"),
    later("disks[vdv].volume", "{name}-1", "{name}-2", "source", removed=None, context={"disks[vdv]": {"pool": "lab"}},
          paths={"disks[vdv].volume", "disks[vdv].path"}, pending={"disks[vdv].path"}),
    live("disks[hdc].path", "{dir}/files/1.iso", "{dir}/files/2.iso", "source"),
    never("disks[vdb].format", "raw", "qcow2", "not converted"),
    later("disks[vdb].cache", None, "none", "driver"),
    later("disks[vdb].discard", None, "unmap", "driver"),
    later("disks[vdb].io", None, "threads", "driver"),
    later("disks[vdb].ioThread", None, 1, "driver"),
    later("disks[vdb].serial", None, "SERIAL1", "serial"),
    later("disks[vdb].readOnly", False, True, "readonly", "stays"),
    later("disks[vdb].shareable", None, True, "shareable"),
    later("disks[vdb].bootIndex", None, 1, "boot"),
    Group("disks[].ioLimits"),
    live("disks[vdb].ioLimits.total", None, "10000001B/s", "iotune"),
    live("disks[vdb].ioLimits.read", "10MiB/s", "20000001B/s", "iotune"),
    live("disks[vdb].ioLimits.write", "10MiB/s", None, "iotune", context={"disks[vdb].ioLimits.read": "10MiB/s"}),
    live("disks[vdb].ioLimits.totalIops", None, 1001, "iotune"),
    live("disks[vdb].ioLimits.readIops", None, 1000, "iotune"),
    live("disks[vdb].ioLimits.writeIops", 1000, 2000, "iotune"),

    # Interfaces.
    live("interfaces[eth1]", None, {"user": True}, "interface"),
    live("interfaces[eth0].name", Set({}), Set({"interfaces[eth0]": None, "interfaces[eth1]": {"user": True}}), "interface",
         removed=None, paths={"interfaces[eth0]", "interfaces[eth1]"}),
    live("interfaces[eth0].mac", "52:54:00:11:11:11", "52:54:00:22:22:22", "mac", removed=None, paths={"interfaces[eth0]"}),
    live("interfaces[eth1].network", "net-a", "net-b", "source", removed=None, root=True),
    live("interfaces[eth1].bridge", "virbr-a", "virbr-b", "source", removed=None, root=True),
    live("interfaces[eth1].direct", "link-a", "link-b", "source", removed=None, root=True,
         context={NIC: {"directMode": "bridge"}}),
    live("interfaces[eth1].directMode", "bridge", "vepa", "source", "stays", root=True, context={NIC: {"direct": "link-a"}}),
    live("interfaces[eth1].user", Set({NIC: {"network": "net-a"}}), Set({NIC: {"user": True}}), "interface", removed=None,
         root=True),
    live("interfaces[eth0].model", "virtio", "e1000", "model", "stays"),
    live("interfaces[eth1].mtu", None, 1401, "mtu", context={NIC: {"network": "net-a"}}, root=True),
    live("interfaces[eth1].vlan", None, 42, "vlan", context={NIC: {"network": "net-a"}}, root=True,
         running="needs Open vSwitch or SR-IOV"),
    live("interfaces[eth1].filter", None, "clean-traffic", "filterref", context={NIC: {"network": "net-a"}}, root=True),
    live("interfaces[eth0].link", None, "down", "link"),
    Group("interfaces[].inbound"),
    live("interfaces[eth1].inbound.average", "1MiB/s", "2001KiB/s", "bandwidth", context={NIC: {"network": "net-a"}}, root=True, shaping=True),
    live("interfaces[eth1].inbound.peak", None, "4001KiB/s", "bandwidth", root=True,
         context={NIC: {"network": "net-a", "inbound.average": "1MiB/s"}}, shaping=True),
    live("interfaces[eth1].inbound.burst", None, "1001KiB", "bandwidth", root=True,
         context={NIC: {"network": "net-a", "inbound.average": "1MiB/s"}}, shaping=True),
    Group("interfaces[].outbound"),
    live("interfaces[eth1].outbound.average", None, "2001KiB/s", "bandwidth", context={NIC: {"network": "net-a"}}, root=True, shaping=True),
    live("interfaces[eth1].outbound.peak", None, "4MiB/s", "bandwidth", root=True,
         context={NIC: {"network": "net-a", "outbound.average": "1MiB/s"}}, shaping=True),
    live("interfaces[eth1].outbound.burst", None, "1MiB", "bandwidth", root=True,
         context={NIC: {"network": "net-a", "outbound.average": "1MiB/s"}}, shaping=True),
    later("interfaces[eth0].bootIndex", None, 1, "boot"),

    # Other devices.
    later("graphics[vnc]", None, {"listen": "127.0.0.1"}, {"graphics", "audio"}, pending=()),
    later("graphics[vnc].type", Set({}), Set({"graphics[vnc]": None, "graphics[spice]": {"listen": "127.0.0.1"}}),
          {"graphics", "audio"}, removed=None, paths={"graphics[vnc]", "graphics[spice]"},
          context={"graphics[vnc].passwordSecret": None}),
    later("graphics[vnc].listen", "127.0.0.1", "127.0.0.2", "graphics", "stays"),
    later("graphics[vnc].port", None, 5977, "graphics"),
    later("graphics[vnc].keymap", None, "de", "graphics"),
    later("graphics[spice].clipboard", None, False, "graphics", context=SPICE),
    later("graphics[spice].fileTransfer", None, False, "graphics", context=SPICE),
    live("graphics[vnc].passwordSecret", "first", "second"),
    later("video", None, {"model": "vga"}, "video", context={"video": None, "graphics": None}, pending=()),
    later("video.model", "vga", "virtio", "video", "stays", context={"video": {"heads": 1}, "video.vram": None}),
    later("video.heads", 1, 2, "video", "stays", context={"video": {"model": "virtio"}}),
    later("video.vram", "9MiB", "24MiB", "video", "stays"),
    later("serials[2]", None, {"type": "pty"}, "serial"),
    later("serials[1].port", Set({}), Set({"serials[1]": None, "serials[2]": {"type": "pty"}}), "serial", removed=None,
          paths={"serials[1]", "serials[2]"}),
    later("serials[1].type", Set({"serials[1]": {"type": "pty", "path": None, "append": None}}),
          Set({"serials[1]": {"type": "file", "path": "{dir}/files/{name}.serial1", "append": None}}), "serial",
          removed=None, paths={"serials[1].type", "serials[1].path"}, pending=()),
    later("serials[1].path", "{dir}/files/{name}.serial1", "{dir}/files/{name}.serial2", "serial", removed=None),
    later("serials[1].socketMode", "bind", "connect", "serial", "stays",
          context={"serials[1]": {"type": "socket", "path": "{dir}/files/{name}.socket", "append": None}}),
    later("serials[1].append", True, False, "serial"),
    later("consoles[2]", None, {"type": "pty"}, "console"),
    Untried("consoles[].port", "libvirt numbers consoles without gaps, so none can get another number"),
    later("consoles[1].type", Set({"consoles[1]": {"type": "pty", "path": None}}),
          Set({"consoles[1]": {"type": "file", "path": "{dir}/files/{name}.console1"}}), "console", removed=None,
          paths={"consoles[1].type", "consoles[1].path"}, pending=()),
    later("consoles[1].path", "{dir}/files/{name}.console1", "{dir}/files/{name}.console2", "console", removed=None),
    later("consoles[1].socketMode", "bind", "connect", "console", "stays",
          context={"consoles[1]": {"type": "socket", "path": "{dir}/files/{name}.socket"}}),
    later("guestAgent", None, True, "channel"),
    later("rng", None, {"source": "/dev/urandom"}, "rng", pending=()),
    later("rng.source", "/dev/urandom", "/dev/random", "rng", "stays", context={"rng.rateBytes": "1KiB"}),
    later("rng.rateBytes", None, "515B", "rng", context={"rng.ratePeriod": None}),
    later("rng.ratePeriod", None, "2001ms", "rng", context={"rng.rateBytes": "1KiB"}),
    later("tpm", None, {"model": "tis"}, "tpm"),
    later("tpm.model", "tis", "crb", "tpm", "stays", context={"tpm.version": "v2.0"}),
    later("tpm.version", "v2.0", "v1.2", "tpm", "stays", context={"tpm.model": "tis"}),
    later("watchdog", None, {"model": "i6300esb"}, "watchdog", pending=()),
    later("watchdog.model", "i6300esb", "ib700", "watchdog", removed=None),
    later("watchdog.action", "poweroff", "shutdown", "watchdog"),
    # libvirt gives every machine one.
    later("balloon", None, {"model": "virtio", "autodeflate": True}, "memballoon", paths={"balloon.autodeflate"},
          context={"balloon": None}),
    later("balloon.model", "virtio", "none", "memballoon", "stays"),
    later("balloon.autodeflate", None, True, "memballoon"),
    later("balloon.freePageReporting", None, True, "memballoon"),
    later("sound", None, {"model": "ich6"}, {"sound", "audio"}),
    later("sound.model", "ich6", "ac97", "sound", removed=None),
    later("inputs[tablet]", None, {"bus": "usb"}, "input", pending=()),
    Untried("inputs[].type", "it names the device, and a mouse and a keyboard are always there: see inputs[]"),
    later("inputs[tablet].bus", "usb", "virtio", "input", "stays"),
    Group("hostDevices"),
    later("hostDevices.pci[0000:03:00.0]", None, {"managed": True}, "hostdev"),
    later("hostDevices.pci[0000:03:00.0].address", Set({"hostDevices.pci[0000:03:00.0]": {"managed": True}}),
          Set({"hostDevices.pci[0000:03:00.1]": {"managed": True}}), "hostdev", removed=None,
          paths={"hostDevices.pci[0000:03:00.0]", "hostDevices.pci[0000:03:00.1]"}),
    later("hostDevices.pci[0000:03:00.0].managed", None, True, "hostdev", context={"hostDevices.pci[0000:03:00.0]": {}}),
    later("hostDevices.pci[0000:03:00.0].bootIndex", None, 1, {"boot"}, context={"hostDevices.pci[0000:03:00.0]": {}}),
    live("hostDevices.usb[1d6b:0002]", None, {}, "hostdev", running=USB),
    live("hostDevices.usb[1d6b:0002].id", Set({"hostDevices.usb[1d6b:0002]": {}}), Set({"hostDevices.usb[1d6b:0003]": {}}),
         "hostdev", removed=None, paths={"hostDevices.usb[1d6b:0002]", "hostDevices.usb[1d6b:0003]"},
         running=USB),
    later("hostDevices.usb[1d6b:0002].bootIndex", None, 1, {"boot"}, context={"hostDevices.usb[1d6b:0002]": {}},
          running=USB),
    later("filesystems[more]", None, {"source": "{dir}/files"}, "filesystem"),
    later("filesystems[more].tag", Set({"filesystems[more]": {"source": "{dir}/files"}}),
          Set({"filesystems[other]": {"source": "{dir}/files"}}), "filesystem", removed=None,
          paths={"filesystems[more]", "filesystems[other]"}),
    later("filesystems[shared].source", "{dir}/files", "{dir}/guest", "filesystem", removed=None),
    later("filesystems[shared].driver", None, "virtiofs", "filesystem", context={"memory.shared": True}, root=True),
    later("filesystems[shared].readOnly", None, True, "filesystem"),
    Group("migration"),
    record("migration.mode", None, "cold"),
    record("migration.bandwidth", None, "100MiB/s"),
    record("migration.maxDowntime", "500ms", "1s"),
    record("migration.timeout", None, "5m"),
    record("migration.postCopy", None, True),
    record("migration.autoConverge", None, True),
    record("migration.compression", None, "xbzrle"),
    record("migration.parallel", None, 4),
    record("migration.postCopyBandwidth", None, "10MiB/s", context={"migration.postCopy": True}),
    record("migration.autoConvergeInitial", 20, 30, context={"migration.autoConverge": True}),
    record("migration.autoConvergeIncrement", 10, 20, context={"migration.autoConverge": True}),
    record("migration.compressionLevel", None, 2, context={"migration.compression": "mt"}),
    record("migration.compressionThreads", None, 2, context={"migration.compression": "mt"}),
    record("migration.decompressionThreads", None, 2, context={"migration.compression": "mt"}),
    record("migration.compressionCache", None, "128MiB", context={"migration.compression": "xbzrle"}),
    record("migration.zeroCopy", None, True, context={"migration.parallel": 2}),
    record("migration.synchronousWrites", None, True),
    Group("placement"),
    Untried("placement.failBack", "see test_drain.py"),
    Untried("placement.host", "see test_fleet.py"),
    Untried("placement.selector", "see test_fleet.py"),
    # What is done to chains and snapshots has tests of its own, with guests that know their content.
    Group("chain"),
    record("chain.maxDepth", 3, 4),
    record("chain.onExceed", "report", "commit", context={"chain.maxDepth": 3}),
    record("chain.handMade", None, "merge"),
    record("chain.bandwidth", "10MiB/s", "20MiB/s"),
    Group("snapshots[]"),
    Untried("snapshots[].name", "see test_snapshots.py"),
    Untried("snapshots[].description", "see test_actions_snapshot.py"),
    Untried("snapshots[].memory", "see test_snapshots_removed.py"),
    Untried("snapshots[].disks", "see test_snapshots_removed.py"),
    Untried("snapshots[].quiesce", "see test_snapshots_quiesced.py"),
    Untried("snapshots[].mode", "see test_snapshots_removed.py"),
    Group("snapshotPolicy"),
    Untried("snapshotPolicy.every", "see test_snapshots_policy.py"),
    Untried("snapshotPolicy.keep", "see test_snapshots_policy.py"),
    Untried("snapshotPolicy.prefix", "see test_snapshots_policy.py"),
    Untried("snapshotPolicy.quiesce", "see test_snapshots_policy.py"),
    Group("revert"),
    Untried("revert.to", "see test_revert.py"),
    Untried("revert.request", "see test_revert.py"),
    Untried("revert.safety", "see test_revert.py"),
    Group("exports[]"),
    Untried("exports[].name", "see test_exports.py"),
    Untried("exports[].disk", "see test_exports.py"),
    Untried("exports[].to", "see test_exports.py"),
    Untried("exports[].format", "see test_exports.py"),
    Untried("exports[].compress", "see test_exports.py"),
    never("disks[vdf].filesystem", "ext4", "swap", "a disk is formatted when it is made", context={"disks[vdf]": BLANK}),
    never("disks[vdf].label", "first", "second", "a disk is labelled when it is made",
          context={"disks[vdf]": {**BLANK, "filesystem": "swap"}}),
    record("disks[vdf].ephemeral", None, True, context={"disks[vdf]": BLANK}),
    later("disks[vdf].stateless", None, True, "disk", context={"disks[vdf]": BLANK}),
    Group("devices"),
    later("devices.extra", None, ["<panic model='isa'/>"], "panic"),
]


def rows(schema):
    """All rows of a VirtualMachine, from the product's JSON Schema: {row: its part of the schema}."""
    definitions = schema["definitions"]
    found = {}

    def walk(name, prefix):
        for key, part in definitions[name]["properties"].items():
            reference = part.get("$ref") or next((each["$ref"] for each in part.get("allOf", ()) if "$ref" in each), None)
            items = part.get("items", {}).get("$ref")
            path = prefix + key + ("[]" if items else "")
            found[path] = part
            inner = reference or items
            if inner:
                walk(inner.rsplit("/", 1)[1], path + ".")

    walk("MetadataSpec", "metadata.")
    walk("VmSpec", "")
    return found
