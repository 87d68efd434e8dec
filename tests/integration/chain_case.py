"""What the tests of disk chains share: machines with layers, made by hand, and what their guests read."""

import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import lab  # noqa: E402

MIB = 1 << 20
EXTERNAL = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC


class ChainCase(lab.TestCase):
    """A machine "web" whose guest obeys, with a disk vda: an overlay on the image (or what `disks` says)."""

    tiny = True

    def write(self, name="web", disks=None, **spec):
        disks = disks or [{"target": "vda", "image": "base", "pool": "lab", "size": "64MiB"}]
        spec.setdefault("serials", self.hv.control_port(name))
        self.hv.write(f"{name}.yaml", self.hv.vm(name, cmdline="control", disks=disks, **spec))

    def make(self, name="web", **spec):
        self.hv.write("storage.yaml", self.hv.pool(), self.hv.image())
        self.write(name, **spec)
        self.apply()
        return self.hv.domain(name)

    def apply(self, *options, status=0):
        return self.hv.apply(*options, self.hv.path("specs"), status=status)

    def plan(self, status=None):
        return self.hv.plan(self.hv.path("specs"), status=status)

    def assert_settled(self):
        """A second run has nothing to do, and no temporary volume is left."""
        plan = self.plan(status=0)
        self.assertEqual(plan["actions"], [])
        left = [name for name in os.listdir(self.hv.path("pools/lab")) if name.endswith(".incomplete")]
        self.assertEqual(left, [])
        self.assertEqual([each.name() for each in self.hv.conn.listAllDomains() if each.name().endswith("-reconcile")], [])
        return plan

    def notes(self, plan, name="web"):
        found = [each for each in plan["objects"] if each["name"] == name and each["kind"] == "VirtualMachine"]
        return "\n".join(found[0].get("notes", []))

    def record(self, name="web"):
        """Our record's facts."""
        xml = self.hv.domain(name).metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "https://reconcile.dev/xmlns/1",
                                            libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        return json.loads(__import__("xml.etree.ElementTree", fromlist=["fromstring"]).fromstring(xml).text).get("facts", {})

    # Layers.

    def layer(self, snapshot, name="web", target="vda", metadata=True, path=None):
        """Another layer on the disk, as a person makes one: its path."""
        domain = self.hv.domain(name)
        path = path or self.hv.path("pools/lab", f"{name}-{target}.{snapshot}.qcow2")
        disks = "".join(
            f"<disk name='{each}' snapshot='external'><source file='{path}'/></disk>" if each == target else f"<disk name='{each}' snapshot='no'/>"
            for each in self.targets(name))
        flags = EXTERNAL | (0 if metadata else libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)
        domain.snapshotCreateXML(f"<domainsnapshot><name>{snapshot}</name><disks>{disks}</disks></domainsnapshot>", flags)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        return path

    def targets(self, name="web"):
        import xml.etree.ElementTree as ET
        return [each.get("dev") for each in ET.fromstring(self.hv.domain(name).XMLDesc()).findall("devices/disk/target")]

    def defined(self, name="web", target="vda"):
        return self.source(self.hv.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), target)

    def live(self, name="web", target="vda"):
        return self.source(self.hv.domain(name).XMLDesc(), target)

    def source(self, xml, target):
        import xml.etree.ElementTree as ET
        return [disk.find("source").get("file") for disk in ET.fromstring(xml).findall("devices/disk")
                if disk.find("target").get("dev") == target][0]

    def chain(self, name="web", target="vda"):
        """Paths from the top of the defined disk down."""
        command = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", self.defined(name, target)]
        return [each["filename"] for each in json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)]

    def names(self, name="web", target="vda"):
        return [os.path.basename(path) for path in self.chain(name, target)]

    def files(self):
        """The files of the pool, without the base."""
        return sorted(name for name in os.listdir(self.hv.path("pools/lab")) if not name.startswith("sha256-"))

    def base_files(self):
        return [name for name in os.listdir(self.hv.path("pools/lab")) if name.startswith("sha256-")]

    def base(self):
        return self.hv.path("pools/lab", self.base_files()[0])

    # Content.

    def seen(self, name="web", target="vda"):
        """SHA-256 of what a guest would read of a stopped machine's disk; the images are sound."""
        for path in self.chain(name, target):
            subprocess.run(["qemu-img", "check", "-q", path], check=path.endswith(".qcow2"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        raw = self.hv.path("seen.raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", self.defined(name, target), raw], check=True)
        with open(raw, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def digest(self, path):
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def stack(self, *snapshots, name="web", **options):
        """A running machine's guest writes something, a layer is made, and so on; the content that it sees."""
        guest = self.hv.guest(name)
        guest.do("write", "vda", 30, "lowest")
        for number, snapshot in enumerate(snapshots):
            self.layer(snapshot, name, **options)
            guest.do("write", "vda", 31 + number, snapshot)
        return guest.do("sum", "vda")

    def off(self, name="web"):
        """Powered off by hand, its data on the disk."""
        self.hv.domain(name).destroy()
