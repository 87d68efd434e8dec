#!/usr/bin/python3
"""What a guest writes on its raw disk is content, whatever it looks like: it is read as what a definition says it is."""

import hashlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import counting  # noqa: E402
import lab  # noqa: E402
import libvirt  # noqa: E402

MIB = 1 << 20


class HeaderCase(lab.TestCase):
    tiny = True

    def setUp(self):
        self.specs = self.hv.path("specs")
        self.hv.write("pool.yaml", self.hv.pool())

    def file(self, name):
        return self.hv.path("pools", "lab", name)

    def digest(self, name):
        with open(self.file(name), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def machine(self, *disks, name="web", power="stopped", **spec):
        return self.hv.vm(name, powerState=power, disks=list(disks), **spec)

    def refresh(self):
        self.hv.conn.storagePoolLookupByName("lab").refresh()

    def header(self, name, size, *base):
        """As its guest would: the disk begins with a whole qcow2 image."""
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base, self.hv.path("header"), size], check=True)
        with open(self.hv.path("header"), "rb") as header, open(self.file(name), "r+b") as data:
            data.write(header.read())

    def based_on(self, name):
        return "-F", "qcow2", "-b", self.file(name)

    def defined(self, name="web"):
        """target: (format, file) in the definition."""
        xml = ET.fromstring(self.hv.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        return {disk.find("target").get("dev"): (disk.find("driver").get("type"), os.path.basename(disk.find("source").get("file")))
                for disk in xml.iter("disk")}

    def in_sync(self):
        self.assertEqual(self.hv.plan(self.specs, status=0)["actions"], [])

    def refuses(self, *saying, before=True):
        """The dry run says so too, unless only apply can see it."""
        for options in (["--dry-run"], []) if before else ([],):
            result = self.hv.reconcile(*options, self.specs)
            self.assertIn(result.status, (1, 3), str(result))
            for text in saying:
                self.assertIn(text, result.stdout + result.stderr)


LOOKS = "its guest made it look like qcow2"


class Grows(HeaderCase):
    def disk(self, size, **more):
        return {"target": "vdb", "size": f"{size}MiB", "format": "raw", "pool": "lab", **more}

    def declare(self, size, power="stopped"):
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}, self.disk(size)]
        self.hv.write("web.yaml", counting.machine(self.hv, "web", disks, powerState=power))

    def made(self, inner, *base, known, power="stopped"):
        """A disk of 8 MiB that looks like one of `inner`."""
        self.declare(8, power)
        self.hv.apply(self.specs)
        self.header("web-vdb.raw", f"{inner}M", *base)
        if known:
            self.refresh()
        return self.digest("web-vdb.raw")

    def test_it_is_not_written_into(self):
        for known in (False, True):
            for inner in (4, 8, 16):
                with self.subTest(known=known, inner=inner):
                    before = self.made(inner, known=known)
                    self.declare(16)
                    self.refuses(LOOKS, before=known)
                    self.assertEqual((self.digest("web-vdb.raw"), os.path.getsize(self.file("web-vdb.raw"))), (before, 8 * MIB))
                    self.hv.domain("web").undefine()
                    for name in ("web-vda.qcow2", "web-vdb.raw"):
                        os.remove(self.file(name))
                    self.refresh()

    def test_it_grows_while_its_machine_runs(self):
        self.made(4, known=True, power="running")
        self.in_sync()
        self.declare(16, "running")
        self.hv.apply(self.specs)
        self.assertEqual(os.path.getsize(self.file("web-vdb.raw")), 16 * MIB)
        self.in_sync()

    def test_its_size_is_its_own(self):
        """Whatever its header says: there is nothing to do."""
        for power in ("stopped", "running"):
            for inner in (4, 1024):
                with self.subTest(power=power, inner=inner):
                    self.made(inner, known=True, power=power)
                    self.in_sync()

    def test_it_is_an_overlay_on_nothing(self):
        """Nobody's disk is kept from growing by what a guest writes."""
        other = {"target": "vda", "size": "1MiB", "pool": "lab"}
        self.hv.write("other.yaml", self.machine(other, name="other"))
        self.made(8, known=False)
        self.header("web-vdb.raw", "8M", *self.based_on("other-vda.qcow2"))
        self.refresh()
        self.in_sync()
        self.hv.write("other.yaml", self.machine({**other, "size": "2MiB"}, name="other"))
        self.hv.apply(self.specs)
        self.in_sync()

    def test_beneath_a_layer(self):
        """A layer on it says what it is as well as a definition does."""
        self.declare(8)
        self.hv.apply(self.specs)
        self.header("web-vdb.raw", "1024M")
        self.hv.domain("web").snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.refresh()
        self.in_sync()

    def test_a_volume_of_its_own(self):
        def declare(size):
            self.hv.write("data.yaml", {"apiVersion": "reconcile/v1", "kind": "Volume", "metadata": {"name": "data"},
                                        "spec": {"pool": "lab", "format": "raw", "size": f"{size}MiB"}})
        declare(8)
        self.hv.write("web.yaml", self.machine({"target": "vda", "volume": "data", "pool": "lab"}))
        self.hv.apply(self.specs)
        self.header("data", "4M")
        before = self.digest("data")
        declare(16)
        self.refuses(LOOKS, before=False)
        self.refresh()
        self.refuses(LOOKS)
        self.assertEqual(self.digest("data"), before)
        declare(8)
        self.in_sync()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
