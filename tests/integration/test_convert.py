#!/usr/bin/python3
"""Disks whose format is changed in the file: converted while the machine is off, never just read another way."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import counting  # noqa: E402
import lab  # noqa: E402
import product  # noqa: E402


class ConvertCase(lab.TestCase):
    def setUp(self):
        self.storage = self.hv.write("pool.yaml", self.hv.pool(), self.hv.image())

    def source(self):
        return self.hv.path("specs")

    def volume(self, name):
        return self.hv.path("pools", "lab", name)

    def files(self):
        return sorted(name for name in os.listdir(self.hv.path("pools", "lab")) if not name.startswith("sha256-"))

    def machine(self, *disks, power="stopped", **spec):
        self.hv.write("web.yaml", self.hv.vm("web", "control", serials=self.hv.control_port("web"), powerState=power,
                                             disks=[{"pool": "lab", **disk} for disk in disks], **spec))

    def in_sync(self):
        self.assertEqual(self.hv.plan(self.source(), status=0)["actions"], [])

    def defined(self, target="vda"):
        """Format and path in the definition."""
        xml = ET.fromstring(self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        disk = next(each for each in xml.iter("disk") if each.find("target").get("dev") == target)
        return disk.find("driver").get("type"), os.path.basename(disk.find("source").get("file"))

    def write_pattern(self, name, fmt):
        subprocess.run(["qemu-io", "-f", fmt, "-c", "write -P 0x5a 1M 2M", "-c", "write -P 0xa5 6M 64k", self.volume(name)],
                       check=True, stdout=subprocess.DEVNULL)

    def content(self, name, fmt):
        """Digest of what a guest reads, also of a disk that is open."""
        whole = self.hv.path("content.raw")
        subprocess.run(["qemu-img", "convert", "-U", "-f", fmt, "-O", "raw", self.volume(name), whole], check=True)
        with open(whole, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def assert_same(self, one, other):
        subprocess.run(["qemu-img", "compare", "-U", self.volume(one), self.volume(other)], check=True, stdout=subprocess.DEVNULL)


class Stopped(ConvertCase):
    def test_there_and_back(self):
        self.machine({"target": "vda", "size": "8MiB"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.qcow2", "qcow2")
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        plan = self.hv.plan(self.source(), status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["domain-record", "disk-convert"])
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("raw", "web-vda.raw"))
        self.assertEqual(self.files(), ["web-vda.qcow2", "web-vda.raw"])
        self.assert_same("web-vda.qcow2", "web-vda.raw")
        self.in_sync()
        # The old one is kept until the machine has run on the new one, and so it can't be replaced again.
        self.machine({"target": "vda", "size": "8MiB", "format": "qcow2"})
        self.assertIn("is kept until the machine has run", self.hv.apply(self.source()).stdout)
        self.assertEqual(self.defined(), ("raw", "web-vda.raw"))
        self.in_sync()
        # A person starts it: what was kept goes, and the next conversion comes, in one run.
        self.hv.domain("web").create()
        self.machine({"target": "vda", "size": "8MiB", "format": "qcow2"}, power="running")
        plan = self.hv.plan("--allow", "restart", self.source(), status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]],
                         ["domain-record", "disk-settle", "domain-shutdown", "disk-convert", "domain-start", "disk-settle"])
        before = self.content("web-vda.raw", "raw")
        self.hv.apply("--allow", "restart", self.source())
        self.assertEqual(self.defined(), ("qcow2", "web-vda.2.qcow2"))
        self.assertEqual(self.files(), ["web-vda.2.qcow2"])
        self.assertEqual(self.content("web-vda.2.qcow2", "qcow2"), before)
        self.in_sync()

    @unittest.skipUnless(shutil.which("strace"), "shows it by strace")
    def test_on_the_disk_before_the_switch(self):
        """A power cut can't take both: the new file is written, not only given to the kernel, before the definition names it."""
        self.machine({"target": "vda", "size": "8MiB"})
        self.hv.apply(self.source())
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        log = self.hv.path("state/strace")
        subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync", "-o", log, product.binary(), self.source()], env={**self.hv.env, "RECONCILE_FAULT_AT": "replace: made"},
                       stdout=subprocess.DEVNULL)
        self.assertEqual(self.defined(), ("qcow2", "web-vda.qcow2"))
        with open(log, encoding="utf-8") as file:
            synced = [line for line in file if "= 0" in line]
        for path in (self.volume("web-vda.raw"), self.hv.path("pools", "lab")):
            self.assertTrue([line for line in synced if f"<{path}>" in line], (path, synced))

    def test_started_with_it(self):
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.raw", "raw")
        before = self.content("web-vda.raw", "raw")
        self.machine({"target": "vda", "size": "8MiB", "format": "qcow2"}, power="running")
        self.hv.apply(self.source())
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.assertEqual(self.content("web-vda.qcow2", "qcow2"), before)
        self.in_sync()

    def test_overlay_becomes_raw(self):
        self.machine({"target": "vda", "image": "base"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.qcow2", "qcow2")
        self.machine({"target": "vda", "image": "base", "provision": "copy", "format": "raw"})
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("raw", "web-vda.raw"))
        self.assert_same("web-vda.qcow2", "web-vda.raw")
        self.in_sync()

    def test_grown_with_it(self):
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.raw", "raw")
        self.machine({"target": "vda", "size": "12MiB", "format": "qcow2"})
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("qcow2", "web-vda.qcow2"))
        self.assert_same("web-vda.raw", "web-vda.qcow2")
        self.in_sync()

    def test_taken_name(self):
        self.machine({"target": "vda", "size": "8MiB"})
        self.hv.apply(self.source())
        with open(self.volume("web-vda.raw"), "wb") as file:
            file.write(b"precious" * 512)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("raw", "web-vda.2.raw"))
        with open(self.volume("web-vda.raw"), "rb") as file:
            self.assertEqual(file.read(), b"precious" * 512)

    def test_snapshot_in_the_way(self):
        self.machine({"target": "vda", "size": "8MiB"})
        self.hv.apply(self.source())
        self.hv.domain("web").snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>")
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        result = self.hv.reconcile(self.source(), check=1)
        self.assertIn("the snapshot mine holds layers of it", result.stdout + result.stderr)
        self.assertEqual(self.files(), ["web-vda.qcow2"])

    def test_flattened_with_it(self):
        """Into a volume of the new format at once."""
        self.machine({"target": "vda", "size": "8MiB"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.qcow2", "qcow2")
        self.hv.domain("web").snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                                                libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        before = self.content("web-vda.mine", "qcow2")
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"}, chain={"maxDepth": 1, "onExceed": "flatten"})
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("raw", "web-vda.flat-1.raw"))
        self.assertEqual(self.content("web-vda.flat-1.raw", "raw"), before)
        self.in_sync()

    def test_beneath_a_persons_snapshot(self):
        """What merging uncovers has another format than the file says: that is converted by the same run."""
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.raw", "raw")
        self.hv.domain("web").snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        subprocess.run(["qemu-io", "-c", "write -P 0x33 3M 64k", self.volume("web-vda.mine")], check=True, stdout=subprocess.DEVNULL)
        before = self.content("web-vda.mine", "qcow2")
        self.machine({"target": "vda", "size": "8MiB", "format": "qcow2"}, chain={"handMade": "merge"})
        plan = self.hv.plan(self.source(), status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["domain-record", "snapshot-adopt", "snapshot-remove", "disk-convert"])
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("qcow2", "web-vda.qcow2"))
        self.assertEqual(self.content("web-vda.qcow2", "qcow2"), before)
        self.assertEqual(self.files(), ["web-vda.qcow2", "web-vda.raw"])
        self.in_sync()


class Held(ConvertCase):
    """Nobody starts the machine, or writes to its disk, between the copy and the switch."""

    def setUp(self):
        super().setUp()
        self.machine({"target": "vda", "image": "base"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.qcow2", "qcow2")

    def convert(self):
        self.machine({"target": "vda", "image": "base", "provision": "copy", "format": "raw"})

    def start_meanwhile(self):
        """What virsh says of it, once the copy is made."""
        said, before = self.hv.path("said"), self.content("web-vda.qcow2", "qcow2")
        self.convert()
        self.hv.reconcile(self.source(), env={**self.hv.env, "RECONCILE_FAULT_AT": "replace: made", "RECONCILE_FAULT_COMMAND":
                                               f"virsh start web >{said} 2>&1; virsh list --name >>{said}"}, check=0)
        self.assertEqual((self.defined(), self.content("web-vda.raw", "raw")), (("raw", "web-vda.raw"), before))
        with open(said, encoding="utf-8") as file:
            return file.read()

    def test_by_locks(self):
        said = self.start_meanwhile()
        self.assertRegex(said, r"Failed to get .* lock")
        self.assertNotIn("web-reconcile", said)

    def test_by_a_helper(self):
        """Where it isn't certain which file libvirt means: here that has a second name."""
        os.link(self.volume("web-vda.qcow2"), self.hv.path("second"))
        said = self.start_meanwhile()
        self.assertRegex(said, r"Failed to get .* lock")
        self.assertIn("web-reconcile", said)

    def test_a_layer_is_written_to(self):
        base = next(name for name in os.listdir(self.hv.path("pools", "lab")) if name.startswith("sha256-"))
        self.convert()
        for name in ("web-vda.qcow2", base):
            with self.subTest(name), subprocess.Popen(["qemu-io", self.volume(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
                writer.stdin.write(b"length\n")
                writer.stdin.flush()
                writer.stdout.readline()  # it has the file open
                result = self.hv.reconcile(self.source(), check=3)
                self.assertIn("somebody writes to", result.stdout + result.stderr)
                self.assertEqual((self.defined(), self.files()), (("qcow2", "web-vda.qcow2"), ["web-vda.qcow2"]))
                writer.stdin.close()
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("raw", "web-vda.raw"))


class Verified(ConvertCase):
    """What a guest would read of old and new is compared before the switch."""

    def setUp(self):
        super().setUp()
        self.machine({"target": "vda", "image": "base"})
        self.hv.apply(self.source())
        self.write_pattern("web-vda.qcow2", "qcow2")
        self.machine({"target": "vda", "image": "base", "provision": "copy", "format": "raw"})

    def assert_refused(self, offset):
        alter = f"printf x | dd of={self.volume('web-vda.raw')} bs=1 seek={offset} conv=notrunc,nocreat status=none"
        log = self.hv.path("refused.faults")
        result = self.hv.reconcile(self.source(), env={**self.hv.env, "RECONCILE_FAULT_AT": "replace: made", "RECONCILE_FAULT_COMMAND": alter,
                                                       "RECONCILE_FAULT_LOG": log}, check=1)
        self.assertIn("web-vda.raw doesn't hold what disk vda of domain web does", result.stdout + result.stderr)
        with open(log, encoding="utf-8") as file:
            self.assertNotIn("replace: verified", file.read())
        self.assertEqual((self.defined(), self.files()), (("qcow2", "web-vda.qcow2"), ["web-vda.qcow2"]))

    def test_by_its_files(self):
        before = self.content("web-vda.qcow2", "qcow2")
        self.assert_refused(2500000)  # in what was written
        self.assert_refused(7000000)  # in the base, or nowhere
        self.hv.apply(self.source())
        self.assertEqual((self.defined(), self.content("web-vda.raw", "raw")), (("raw", "web-vda.raw"), before))

    def test_brought_here(self):
        """As of another host, where it isn't certain which file libvirt means: here that has a second name."""
        os.link(self.volume("web-vda.qcow2"), self.hv.path("second"))
        self.assert_refused(2500000)
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("raw", "web-vda.raw"))


class Header(ConvertCase):
    """A raw disk is never read as what its guest made it look like, such as another machine's disk."""

    def machines(self, fmt, **spec):
        disk = {"target": "vda", "size": "8MiB", "pool": "lab"}
        self.hv.write("web.yaml", self.hv.vm("web", powerState="stopped", disks=[disk]),
                      self.hv.vm("other", powerState="stopped", disks=[{**disk, "format": fmt}], **spec))

    def test_is_refused(self):
        self.machines("raw")
        self.hv.apply(self.source())
        self.write_pattern("web-vda.qcow2", "qcow2")
        for base in ([], ["-F", "qcow2", "-b", self.volume("web-vda.qcow2")]):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base, self.hv.path("header"), "8M"], check=True)
            with open(self.hv.path("header"), "rb") as header, open(self.volume("other-vda.raw"), "r+b") as data:
                data.write(header.read())
            self.hv.conn.storagePoolLookupByName("lab").refresh()
            export = ("raw", {"exports": [{"name": "out", "disk": "vda", "to": "lab"}]})
            for fmt, spec in [export] if base else [("qcow2", {}), export]:
                with self.subTest(based=bool(base), format=fmt):
                    self.machines(fmt, **spec)
                    result = self.hv.reconcile(self.source(), check=3)
                    self.assertIn("its guest made it look like qcow2", result.stdout + result.stderr)
                    self.assertEqual(self.files(), ["other-vda.raw", "web-vda.qcow2"])


class Restarted(ConvertCase):
    """A machine isn't stopped for what can't be done, and it runs again whatever became of it."""

    tiny = True

    def setUp(self):
        self.hv.write("pool.yaml", self.hv.pool())

    def declare(self, fmt):
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}, {"target": "vdb", "size": "8MiB", "format": fmt, "pool": "lab"}]
        self.hv.write("web.yaml", counting.machine(self.hv, "web", disks, updatePolicy={"restart": "allowed"}))

    def assert_refused(self, reason, *options, env=None):
        running = self.hv.domain("web").ID()
        result = self.hv.reconcile(*options, self.source(), env={**self.hv.env, **(env or {})}, check=3)
        self.assertIn(reason, result.stdout + result.stderr)
        self.assertEqual((self.hv.domain("web").ID(), self.defined("vdb")), (running, ("raw", "web-vdb.raw")))

    def test_refused_before_the_stop(self):
        self.declare("raw")
        self.hv.apply(self.source())
        self.declare("qcow2")
        os.mkdir(self.hv.path("no-tools"))
        self.assert_refused("qemu-img isn't installed", env={"PATH": self.hv.path("no-tools")})
        checkpoint = self.hv.domain("web").checkpointCreateXML("<domaincheckpoint><disks><disk name='vda'/><disk name='vdb' checkpoint='no'/></disks></domaincheckpoint>")
        self.assert_refused("domain web has checkpoints")
        checkpoint.delete()
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.hv.path("header"), "8M"], check=True)
        with open(self.hv.path("header"), "rb") as header, open(self.volume("web-vdb.raw"), "r+b") as data:
            data.write(header.read())
        self.assert_refused("its guest made it look like qcow2")

    @unittest.skipUnless(os.geteuid() == 0, "mounting file systems needs root")
    def test_needs_room(self):
        """Where files are brought to: here one has a second name."""
        self.declare("raw")
        self.hv.apply(self.source())
        self.declare("qcow2")
        counting.write(self.hv, "web", "vdb", 1, 7)
        small = self.hv.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        os.link(self.volume("web-vdb.raw"), self.hv.path("second"))
        self.assert_refused("has to be brought to", "--state-dir", small)
        os.remove(self.hv.path("second"))
        self.hv.apply("--state-dir", small, self.source())

    def test_started_again(self):
        self.declare("qcow2")
        self.hv.apply(self.source())
        self.declare("raw")
        running = self.hv.domain("web").ID()
        alter = f"printf x | dd of={self.volume('web-vdb.raw')} bs=1 seek=2500000 conv=notrunc,nocreat status=none"
        result = self.hv.reconcile(self.source(), env={**self.hv.env, "RECONCILE_FAULT_AT": "replace: made", "RECONCILE_FAULT_COMMAND": alter}, check=1)
        self.assertRegex(result.stdout + result.stderr, "web-vdb.raw doesn't hold what .*mismatch at offset 2499584")
        self.assertEqual(self.defined("vdb"), ("qcow2", "web-vdb.qcow2"))
        self.assertGreater(self.hv.domain("web").ID(), running)
        self.hv.apply(self.source())
        self.assertEqual(self.defined("vdb"), ("raw", "web-vdb.raw"))
        self.in_sync()

    def test_comparison_that_cannot_be_done(self):
        """Isn't called a difference."""
        self.declare("qcow2")
        self.hv.apply(self.source())
        self.declare("raw")
        tools = self.hv.path("tools")
        os.mkdir(tools)
        with open(os.path.join(tools, "qemu-img"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho out of luck >&2\nexit 2\n")
        os.chmod(file.name, 0o755)
        result = self.hv.reconcile(self.source(), env={**self.hv.env, "PATH": tools}, check=1)
        self.assertRegex(result.stdout + result.stderr, "web-vdb.raw can't be compared with disk vdb of domain web, .*out of luck")


class AsItIs(ConvertCase):
    """What the file names by path or volume isn't converted, and isn't read another way either."""

    def test_is_refused(self):
        self.hv.apply(self.source())
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", self.volume("data"), "8M"], check=True)
        self.hv.give(self.volume("data"))
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        for name in ({"path": self.volume("data"), "pool": None}, {"volume": "data"}):
            with self.subTest(**name):
                def machine(**more):
                    disk = {key: value for key, value in {"target": "vda", "pool": "lab", **name, **more}.items() if value is not None}
                    self.hv.write("web.yaml", self.hv.vm("web", powerState="stopped", disks=[disk]))
                machine()
                self.hv.apply(self.source())
                machine(format="qcow2")
                result = self.hv.reconcile(self.source(), check=1)
                self.assertIn("is used as it is and not converted", result.stdout + result.stderr)
                # A guest that writes a qcow2 header doesn't turn its raw disk into one.
                subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.volume("header"), "8M"], check=True)
                with open(self.volume("header"), "rb") as header, open(self.volume("data"), "r+b") as data:
                    data.write(header.read(65536))
                os.remove(self.volume("header"))
                self.hv.conn.storagePoolLookupByName("lab").refresh()
                machine()
                self.in_sync()
                self.assertEqual(self.defined()[0], "raw")


class Running(ConvertCase):
    def test_waits_for_the_restart(self):
        policy = {"updatePolicy": {"restart": "whenStopped"}, "shutdown": {"timeout": "5s", "retryInterval": "1s"}}
        self.machine({"target": "vda", "size": "8MiB", "format": "raw"}, power="running", **policy)
        self.hv.apply(self.source())
        guest = self.hv.guest("web")
        guest.wait_heartbeat()
        guest.do("write", "vda", 3, "seed")
        before = guest.do("sum", "vda")
        self.machine({"target": "vda", "size": "8MiB", "format": "qcow2"}, power="running", **policy)
        result = self.hv.apply(self.source())
        self.assertIn("pending restart: disks[vda].format", result.stdout)
        self.assertEqual(self.defined(), ("raw", "web-vda.raw"))
        plan = self.hv.plan(self.source(), status=0)
        self.assertEqual(plan["actions"], [])
        policy["updatePolicy"] = {"restart": "allowed"}
        self.machine({"target": "vda", "size": "8MiB", "format": "qcow2"}, power="running", **policy)
        plan = self.hv.plan(self.source())
        self.assertEqual([action["kind"] for action in plan["actions"]][-4:],
                         ["domain-shutdown", "disk-convert", "domain-start", "disk-settle"])
        text = guest.text()
        self.hv.apply(self.source())
        self.assertEqual(self.defined(), ("qcow2", "web-vda.qcow2"))
        while guest.text().count("ready") <= text.count("ready"):
            time.sleep(0.2)
        self.assertEqual(guest.do("sum", "vda"), before)
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.in_sync()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
