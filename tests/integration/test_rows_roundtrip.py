#!/usr/bin/python3
"""Each row of the VirtualMachine table against real libvirt: a definition made
with the row's example, and one patched with it, come back from libvirt with the
same value; patching again finds nothing to do; and dropping the field again
leaves what libvirt had before, where the row doesn't say that it stays."""

import copy
import difflib
import json
import os
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
import yaml  # noqa: E402

PROBE = os.environ.get("XML_PROBE") or os.path.join(
    os.environ.get("RECONCILE_BUILD") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/asan"),
    "tests", "xml_probe")

BASE = {
    "uuid": "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a10", "type": "qemu", "arch": "x86_64", "machine": "q35",
    "cpu": {"count": 8, "max": 8}, "memory": {"size": "2GiB", "max": "8GiB"},
}

TOPOLOGY = {"cpu": {"topology": {"sockets": 1, "dies": 1, "cores": 4, "threads": 2}}}
NETWORK = {"interfaces": [{"network": "default"}]}
SERIAL = {"serials": [{"port": 0, "type": "pty"}]}
SPICE = {"graphics": [{"type": "spice"}]}
NODES = {"numa": {"cells": [{"id": 0, "cpus": "0-3", "memory": "4GiB"}, {"id": 1, "cpus": "4-7", "memory": "4GiB"}]}}

# What a row needs to make sense to libvirt: before it is added, …
NEEDS = {
    "boot.initrd": {"boot": {"kernel": "/k"}},
    "boot.cmdline": {"boot": {"kernel": "/k"}},
    "boot.menuTimeout": {"boot": {"menu": True}},
    "cpu.topology.sockets": TOPOLOGY, "cpu.topology.dies": TOPOLOGY,
    "cpu.topology.cores": TOPOLOGY, "cpu.topology.threads": TOPOLOGY,
    "cpu.features[].name": {"cpu": {"mode": "custom", "model": "Haswell"}},
    "cpu.features[].policy": {"cpu": {"mode": "custom", "model": "Haswell"}},
    "disks[].device": {"disks": [{"target": "sda", "format": "raw"}]},
    "disks[].shareable": {"disks": [{"format": "raw"}]},
    "disks[].ioThread": {"ioThreads": 2},
    "interfaces[].directMode": {"interfaces": [{"direct": "eno1"}]},
    "interfaces[].vlan": NETWORK, "interfaces[].filter": NETWORK, "interfaces[].mtu": NETWORK,
    "interfaces[].inbound.average": NETWORK, "interfaces[].outbound.average": NETWORK,
    "interfaces[].inbound.peak": {"interfaces": [{"network": "default", "inbound": {"average": "10MiB/s"}}]},
    "interfaces[].inbound.burst": {"interfaces": [{"network": "default", "inbound": {"average": "10MiB/s"}}]},
    "interfaces[].outbound.peak": {"interfaces": [{"network": "default", "outbound": {"average": "10MiB/s"}}]},
    "interfaces[].outbound.burst": {"interfaces": [{"network": "default", "outbound": {"average": "10MiB/s"}}]},
    "graphics[].clipboard": SPICE, "graphics[].fileTransfer": SPICE,
    "numa.cells[].cpus": NODES, "numa.cells[].memory": NODES,
    "rng.ratePeriod": {"rng": {"rateBytes": "1KiB"}},
    "serials[].append": {"serials": [{"type": "file", "path": "/x.log"}]},
    "serials[].socketMode": {"serials": [{"type": "socket", "path": "/x.sock"}]},
    "consoles[].port": SERIAL, "consoles[].type": SERIAL, "consoles[].path": SERIAL,
    "consoles[].socketMode": {**SERIAL, "consoles": [{"type": "socket", "path": "/x.sock"}]},
    "video.vram": {"video": {"model": "qxl"}},
    "watchdog.action": {"watchdog": {"model": "i6300esb"}},
}
# … and together with it.
TOGETHER = {
    "firmware.secureBoot": {"firmware": {"type": "uefi"}, "features": {"smm": True}},
    "clock.timezone": {"clock": {"offset": "timezone"}},
    "cpu.model": {"cpu": {"mode": "custom"}},
    "cpu.topology.sockets": {"cpu": {"topology": {"cores": 2}}},
    "cpu.topology.cores": {"cpu": {"topology": {"threads": 1}}},
    "numa.mode": {"numa": {"nodeset": "0"}},
    "numa.cells[].cpus": {"numa": {"cells": [{}, {"cpus": "2-7"}]}},
    "numa.cells[].memory": {"numa": {"cells": [{}, {"memory": "2GiB"}]}},
    "serials[].path": {"serials": [{"type": "file"}]},
    "consoles[].path": {"consoles": [{"type": "file"}]},
    "filesystems[].driver": {"memory": {"shared": True}},
}
# Values that differ from what libvirt or a new definition has anyway.
EXAMPLES = {
    "type": "qemu", "features.acpi": "false", "features.apic": "false", "clock.offset": "localtime",
    "onPoweroff": "restart", "onReboot": "destroy", "interfaces[].model": "rtl8139", "balloon.model": "none",
    "inputs[].bus": "virtio", "disks[].bus": "sata", "serials[].socketMode": "connect", "consoles[].socketMode": "connect",
    "numa.mode": "interleave", "numa.cells[].memory": "6GiB", "cpu.topology.sockets": "2", "cpu.topology.cores": "8", "cpu.topology.dies": "1",
}

# An item of each list as it is without the row that is looked at.
ITEMS = {
    "disks": {"target": "vda", "path": "/srv/a.qcow2", "format": "qcow2"},
    "interfaces": {"name": "eth0", "mac": "52:54:00:12:34:56"},
    "graphics": {"type": "vnc"},
    "serials": {"port": 0, "type": "pty"},
    "consoles": {"port": 1, "type": "pty"},
    "inputs": {"type": "tablet"},
    "cpu.features": {"name": "pcid", "policy": "require"},
    "numa.cells": {"id": 0, "cpus": "0-7", "memory": "8GiB"},
    "cpu.pinning": {"vcpu": 0, "cpus": "0-1"},
    "clock.timers": {"name": "hpet"},
    "hostDevices.pci": {"address": "0000:03:00.0"},
    "hostDevices.usb": {"id": "1d6b:0002"},
    "filesystems": {"tag": "shared", "source": "/srv/shared"},
}
CONNECTIONS = ("network", "bridge", "direct", "user")

# Rows that this host's libvirt, QEMU or session daemon refuses; any other refusal fails.
REFUSED = {
    "cpu.mode": "kvm",
    "filesystems[].driver": "not yet supported in session mode",
}


VDA = {"target": "vda", "path": "/srv/a.qcow2", "format": "qcow2"}
CDROM = {"target": "sda", "device": "cdrom"}
MAC = "52:54:00:12:34:56"


def interface(**connection):
    return {"interfaces": [{"name": "eth0", "mac": MAC, **connection}]}


# From one specification to another and back: fields that depend on each other in XML.
TRANSITIONS = {
    "serial port to a file": [{"serials": [{"port": 0, "type": "pty"}]},
                              {"serials": [{"port": 0, "type": "file", "path": "/x.log"}]},
                              {"serials": [{"port": 0, "type": "socket", "path": "/x.sock"}]}],
    "serial ports and consoles come and go": [
        {}, {"serials": [{"port": 0, "type": "pty"}, {"port": 1, "type": "pty"}]},
        {"serials": [{"port": 0, "type": "pty"}], "consoles": [{"port": 1, "type": "pty"}, {"port": 2, "type": "pty"}]}],
    "interface to another network": [
        interface(user=True), interface(network="default"), interface(bridge="br0"),
        interface(direct="eno1", directMode="bridge"), interface(direct="eno1", directMode="passthrough")],
    "interface to another MAC and model": [
        interface(user=True), {"interfaces": [{"name": "eth0", "mac": "52:54:00:12:34:57", "user": True, "model": "rtl8139"}]},
        {"interfaces": [{"name": "eth0", "mac": MAC, "user": True, "model": "e1000e"}]}],
    "disk from a file to a device": [{"disks": [VDA]}, {"disks": [{"target": "vda", "path": "/dev/vg0/a", "format": "raw"}]}],
    "disk to another bus": [{"disks": [{**VDA, "target": "sda", "bus": "sata"}]}, {"disks": [{**VDA, "target": "sda", "bus": "scsi"}]},
                            {"disks": [{**VDA, "target": "sda", "bus": "usb"}]}],
    "media": [{"disks": [CDROM]}, {"disks": [{**CDROM, "path": "/a.iso"}]}, {"disks": [{**CDROM, "path": "/b.iso"}]}],
    "disks come and go": [{"disks": [VDA]}, {"disks": [VDA, {**VDA, "target": "vdb", "ioLimits": {"read": "1MiB/s"}}, CDROM]}],
    "processors": [{"cpu": {"count": 2, "max": 8}}, {"cpu": {"count": 8, "max": 8}}, {"cpu": {"count": 1, "max": 2}}],
    "processor models": [{"cpu": {"mode": "custom", "model": "Haswell", "features": [{"name": "pcid", "policy": "disable"}]}},
                         {"cpu": {"mode": "maximum"}}, {"cpu": {"mode": "host-model"}}, {}],
    "memory": [{"memory": {"size": "1GiB", "max": "2GiB"}}, {"memory": {"size": "4GiB", "max": "4GiB", "hugePages": "2MiB"}},
               {"memory": {"size": "1GiB", "max": "1GiB", "locked": True, "statsPeriod": "5s"}}],
    "displays": [{"graphics": [{"type": "vnc"}]}, {"graphics": [{"type": "vnc", "port": 5907, "listen": "0.0.0.0"}]},
                 {"graphics": [{"type": "spice"}, {"type": "vnc", "listen": "127.0.0.1", "keymap": "de"}]}],
    "cards": [{"video": {"model": "qxl", "heads": 2}}, {"video": {"model": "virtio"}}, {"video": {"model": "none"}},
              {"video": {"model": "cirrus"}}],
    "sound": [{"sound": {"model": "ich9"}}, {"sound": {"model": "usb"}}, {"sound": {"model": "sb16"}}, {}],
    "watchdogs": [{"watchdog": {"model": "i6300esb"}}, {"watchdog": {"model": "ib700", "action": "pause"}}, {}],
    "tablets": [{"inputs": [{"type": "tablet", "bus": "usb"}]}, {"inputs": [{"type": "tablet", "bus": "virtio"}]}],
    "boot orders": [{"disks": [VDA], "boot": {"order": ["network", "disk"]}}, {"disks": [{**VDA, "bootIndex": 1}]}, {"disks": [VDA]}],
    "clocks": [{"clock": {"offset": "timezone", "timezone": "Europe/Berlin"}}, {"clock": {"offset": "utc"}},
               {"clock": {"offset": "localtime", "timers": [{"name": "hpet", "present": False}]}}],
    "random numbers": [{"rng": {}}, {"rng": {"source": "/dev/random", "rateBytes": "1KiB", "ratePeriod": "2s"}}, {}],
    "balloons": [{"balloon": {"model": "none"}}, {"balloon": {"model": "virtio", "autodeflate": True},
                                                  "memory": {"statsPeriod": "3s"}}],
    "raw devices": [{"devices": {"extra": ["<vsock model='virtio'><cid auto='yes'/></vsock>"]}},
                    {"devices": {"extra": ["<vsock model='virtio'><cid auto='yes'/></vsock>", "<panic model='isa'/>",
                                           "<hub type='usb'/>", "<smartcard mode='host'/>",
                                           "<redirdev bus='usb' type='spicevmc'><alias name='ua-mine'/></redirdev>"],
                                 }, "graphics": [{"type": "spice"}]}, {}],
}


class Probe:
    """The program that answers (tests/tools/xml_probe.c)."""

    def __init__(self):
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, *arguments, text=""):
        content = text.encode()
        self.process.stdin.write("\t".join([*arguments, str(len(content))]).encode() + b"\n" + content)
        self.process.stdin.flush()
        state, length = self.process.stdout.readline().decode().split() or ("ended", 0)
        said = self.process.stdout.read(int(length)).decode()
        if state != "ok":
            raise AssertionError(f"xml_probe {' '.join(arguments)}: {state}: {said}")
        return said

    def end(self):
        """What the sanitizers found ends it with another status."""
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait() == 0, f"xml_probe ended with {self.process.returncode}"


def merge(into, other):
    """`other` over `into`; lists by place."""
    if isinstance(into, dict) and isinstance(other, dict):
        for key, value in other.items():
            into[key] = merge(into[key], value) if key in into else copy.deepcopy(value)
        return into
    if isinstance(into, list) and isinstance(other, list):
        return [merge(a, b) for a, b in zip(into, other)] + into[len(other):] + copy.deepcopy(other[len(into):])
    return copy.deepcopy(other)


def nested(path, value):
    """{"a": {"b": [{…, "c": value}]}} for a.b[].c"""
    for part in reversed(path.split(".")):
        value = {part[:-2]: [value]} if part.endswith("[]") else {part: value}
    return value


def list_of(path):
    return path.split("[]")[0] if "[]" in path else None


def core_schema(text):
    """YAML 1.2: PyYAML takes 52:54:00 for a number."""
    def scalar(value):
        if isinstance(value, list):
            return [scalar(each) for each in value]
        if isinstance(value, dict):
            return {key: scalar(each) for key, each in value.items()}
        if text.startswith(("'", '"')):
            return value
        return {"true": True, "false": False}.get(value, int(value) if re.fullmatch("-?[0-9]+", value) else value)
    return scalar(yaml.load(text, yaml.BaseLoader))


class Row:
    def __init__(self, line):
        self.path, flags, example = line.split("\t")
        self.flags = flags.split()
        self.value = core_schema(EXAMPLES.get(self.path, example))

    def without(self):
        """The specification that the row is added to."""
        spec = merge(copy.deepcopy(BASE), NEEDS.get(self.path, {}))
        if list_of(self.path):
            held = nested(list_of(self.path), [dict(ITEMS[list_of(self.path)])])
            spec = merge(held, spec)
            spec = merge(spec, NEEDS.get(self.path, {}))
        return self.connect(spec)

    def connect(self, spec):
        for interface in spec.get("interfaces", []):
            name = self.path.rpartition(".")[2]
            if name not in CONNECTIONS and not any(key in interface for key in CONNECTIONS):
                interface["user"] = True
        return spec

    def with_row(self):
        return merge(merge(self.without(), TOGETHER.get(self.path, {})), nested(self.path, self.value))


def differences(wanted, found, path=""):
    """What `wanted` gives and `found` doesn't have."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            if isinstance(found, dict) and key in found:
                yield from differences(value, found[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: {value} is missing"
    elif isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        for item in wanted:
            key = next(iter(item))
            same = [each for each in found if each.get(key) == item[key]]
            if not same:
                yield f"{path}[{item[key]}] is missing"
            else:
                yield from differences(item, same[0], f"{path}[{item[key]}]")
    elif wanted != found:
        yield f"{path}: {wanted} became {found}"


def in_xml(spec, rows):
    """The part of a canonical specification whose rows are in the XML."""
    known = {row.path for row in rows if "xml" in row.flags} | {"devices.extra"}

    def keep(value, path):
        if isinstance(value, dict):
            kept = {key: keep(each, f"{path}.{key}".lstrip(".")) for key, each in value.items()}
            return {key: each for key, each in kept.items() if each is not None}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [keep(each, path + "[]") for each in value]
        return value if path in known else None

    return keep(spec, "")


class RowsRoundTrip(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.access(PROBE, os.X_OK):
            lab.skip_all(f"{PROBE} is not built")
        super().setUpClass()
        cls.probe = Probe()
        cls.addClassCleanup(cls.probe.end)
        cls.rows = [Row(line) for line in cls.probe("rows").splitlines()]

    def document(self, name, spec):
        path = self.hv.path("specs", name + ".yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "reconcile/v1", "kind": "VirtualMachine",
                       "metadata": {"name": "probe"}, "spec": spec}, file)
        return path

    def define(self, xml):
        domain = self.hv.conn.defineXML(xml)
        return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)

    def undefine(self):
        for domain in self.hv.conn.listAllDomains():
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)

    def expect_read(self, document, canonical, dump):
        found = json.loads(self.probe("read", document, text=dump))
        if "machine" in canonical:
            canonical = dict(canonical)
            self.assertIn(canonical.pop("machine"), found["machine"])
        wrong = list(differences(in_xml(canonical, self.rows), found))
        self.assertEqual(wrong, [], dump)
        state, _, patched = self.probe("patch", document, document, text=dump).partition("\n")
        self.assertEqual(state, "unchanged", patched)

    def check(self, row):
        without, document = self.document("without", row.without()), self.document("with", row.with_row())
        canonical, _, xml = self.probe("new", document).partition("\n")
        canonical = json.loads(canonical)
        try:
            made = self.define(xml)
            self.undefine()
            before = None
            if row.path.rpartition(".")[2] not in CONNECTIONS and "key" not in row.flags and row.path != "uuid":
                before = self.define(self.probe("new", without).partition("\n")[2])
        except libvirt.libvirtError as error:
            if REFUSED.get(row.path, "nothing") not in str(error):
                raise
            return str(error)
        self.expect_read(document, canonical, made)
        if not before or row.with_row() == row.without():
            return None
        state, _, patched = self.probe("patch", document, without, text=before).partition("\n")
        self.assertEqual(state, "changed")
        dump = self.define(patched)
        self.expect_read(document, canonical, dump)
        if "unmanage" in row.flags or "required" in row.flags:
            return None
        _, _, dropped = self.probe("patch", without, document, text=dump).partition("\n")
        after = self.define(dropped)
        self.assertEqual("\n".join(difflib.unified_diff(lines(before), lines(after), lineterm="")), "")
        return None

    def walk(self, name, specs):
        """Each specification in turn, and back; what each gives is what libvirt then has."""
        steps = [merge(copy.deepcopy(BASE), json.loads(json.dumps(each))) for each in specs]
        last, dump = None, None
        for number, spec in enumerate(steps + steps[-2::-1]):
            document = self.document(f"step{number}", spec)
            canonical, _, xml = self.probe("new", document).partition("\n")
            if dump:
                _, _, xml = self.probe("patch", document, last, text=dump).partition("\n")
            dump = self.define(xml)
            self.expect_read(document, json.loads(canonical), dump)
            known = json.loads(self.probe("read", document, text=dump))
            for key in ("disks", "interfaces", "serials", "consoles", "graphics"):
                self.assertEqual(len(known.get(key, [])), len(spec.get(key, [])), f"{key}: {dump}")
            last = document

    def test_transitions(self):
        for name, specs in TRANSITIONS.items():
            with self.subTest(name):
                try:
                    self.walk(name, specs)
                finally:
                    self.undefine()

    def test_rows(self):
        only = os.environ.get("ROW")
        refused = []
        for row in self.rows:
            if "xml" not in row.flags or (only and only not in row.path):
                continue
            with self.subTest(row.path):
                try:
                    why = self.check(row)
                finally:
                    self.undefine()
                if why:
                    refused.append(f"{row.path}: {why}")
        print("\n".join(refused), file=sys.stderr)


def lines(xml):
    """Without controllers: those that libvirt added for a device stay when it goes."""
    root = ElementTree.fromstring(xml)
    for controller in root.findall("devices/controller"):
        root.find("devices").remove(controller)
    text = ElementTree.tostring(root, encoding="unicode")
    return ElementTree.canonicalize(text, strip_text=True).replace("><", ">\n<").splitlines()


if __name__ == "__main__":
    lab.main()
