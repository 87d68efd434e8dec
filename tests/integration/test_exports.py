#!/usr/bin/python3
"""Stand-alone images of disks: written once, at one moment, whether the machine runs or not."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import lab  # noqa: E402


class ExportCase(lab.TestCase):
    def setUp(self):
        self.hv.write("pool.yaml", self.hv.pool(), self.hv.pool("images"), self.hv.image())

    def source(self):
        return self.hv.path("specs")

    def files(self):
        return sorted(os.listdir(self.hv.path("pools", "images")))

    def volume(self, name, pool="images"):
        return self.hv.path("pools", pool, name)

    def machine(self, *disks, power="stopped", exports=(), **spec):
        self.hv.write("web.yaml", self.hv.vm("web", "control", serials=self.hv.control_port("web"), powerState=power,
                                             exports=[{"to": "images", "disk": "vda", **each} for each in exports] or None,
                                             disks=[{"pool": "lab", **disk} for disk in disks], **spec))

    def in_sync(self):
        self.assertEqual(self.hv.plan(self.source(), status=0)["actions"], [])

    def assert_defined(self, recorder):
        """At every moment of what was recorded, which isn't nothing."""
        recorder.settle()
        self.assertNotEqual(recorder.of("web", "metadata"), [])
        self.assertNotIn("undefined", recorder.names_of("web"))

    def info(self, name):
        out = subprocess.run(["qemu-img", "info", "-U", "--output=json", self.volume(name)], check=True, stdout=subprocess.PIPE).stdout
        return json.loads(out)

    def killed(self, *places):
        """Runs that are killed at these places, until one has none left."""
        statuses = [self.hv.reconcile(self.source(), env={**self.hv.env, "RECONCILE_FAULT_AT": str(at)}).status for at in places]
        self.assertIn(statuses[:3], ([-9] * 3,), statuses)

    def assert_compressed(self, name, method):
        info = self.info(f"{name}.qcow2")
        self.assertEqual(info["format-specific"]["data"]["compression-type"], method)
        check = subprocess.run(["qemu-img", "check", "--output=json", self.volume(f"{name}.qcow2")], check=True, stdout=subprocess.PIPE).stdout
        self.assertGreater(json.loads(check)["compressed-clusters"], 0)

    def assert_same(self, path, name):
        subprocess.run(["qemu-img", "compare", "-U", path, self.volume(name)], check=True, stdout=subprocess.DEVNULL)


class Stopped(ExportCase):
    def test_chain_becomes_one_image(self):
        disk = {"target": "vda", "image": "base"}
        self.machine(disk)
        self.hv.apply(self.source())
        overlay = self.volume("web-vda.qcow2", "lab")
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 2M", overlay], check=True, stdout=subprocess.DEVNULL)
        self.machine(disk, exports=[{"name": "one"}, {"name": "two", "format": "raw"}])
        recorder = self.recorder()
        self.hv.apply(self.source())
        self.assert_defined(recorder)
        self.assertEqual(self.files(), ["one.qcow2", "two.raw"])
        self.assertNotIn("backing-filename", self.info("one.qcow2"))
        self.assert_same(overlay, "one.qcow2")
        self.assert_same(overlay, "two.raw")
        self.in_sync()
        # Written once: what was taken away isn't written again.
        os.remove(self.volume("one.qcow2"))
        self.in_sync()

    def test_declared_again(self):
        """Written once: a name that comes back isn't passed over without a word."""
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk, exports=[{"name": "one"}])
        self.hv.apply(self.source())
        self.machine(disk)
        self.hv.apply(self.source())
        os.rename(self.volume("one.qcow2"), self.hv.path("one.qcow2"))
        self.machine(disk, exports=[{"name": "one"}])
        for arguments in (("--dry-run",), ()):
            result = self.hv.reconcile(*arguments, self.source(), check=1)
            self.assertIn("export one: it was written before it left the files, and isn't written again: give it another name",
                          result.stdout + result.stderr)
        self.assertEqual(self.files(), [])
        self.machine(disk, exports=[{"name": "two"}])
        self.hv.apply(self.source())
        self.assertEqual(self.files(), ["two.qcow2"])
        self.in_sync()

    def test_never_overwrites(self):
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk)
        self.hv.apply(self.source())
        with open(self.volume("one.qcow2"), "wb") as file:
            file.write(b"precious" * 64)
        self.machine(disk, exports=[{"name": "one"}])
        result = self.hv.reconcile(self.source())
        self.assertIn("never overwritten", result.stdout + result.stderr)
        with open(self.volume("one.qcow2"), "rb") as file:
            self.assertEqual(file.read(), b"precious" * 64)

    def test_made_with_the_machine(self):
        self.machine({"target": "vda", "image": "base"}, exports=[{"name": "one"}])
        self.hv.apply(self.source())
        self.assert_same(self.volume("web-vda.qcow2", "lab"), "one.qcow2")
        self.in_sync()

    def test_killed_and_done_again(self):
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk)
        self.hv.apply(self.source())
        self.machine(disk, exports=[{"name": "one"}])
        self.killed(1, 2, 3, 4, 5, 6)
        self.hv.apply(self.source())
        self.assertEqual(self.files(), ["one.qcow2"])
        self.assert_same(self.volume("web-vda.qcow2", "lab"), "one.qcow2")
        self.in_sync()

    def test_compressed_is_killed_and_done_again(self):
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk)
        self.hv.apply(self.source())
        overlay = self.volume("web-vda.qcow2", "lab")
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 4M", overlay], check=True, stdout=subprocess.DEVNULL)
        self.machine(disk, exports=[{"name": "one", "compress": "zstd"}])
        for place in ("copy: copied", "compress: volume made", "compress: sent", "export: compressed"):
            self.assertEqual(self.hv.reconcile(self.source(), env={**self.hv.env, "RECONCILE_FAULT_AT": place}).status, -9, place)
        self.hv.apply(self.source())
        self.assertEqual(self.files(), ["one.qcow2"])
        self.assert_compressed("one", "zstd")
        self.assert_same(overlay, "one.qcow2")
        self.in_sync()

    def test_somebody_elses_file_beside_a_killed_one(self):
        """NAME.plain is ours only where we made it: not by the marker of NAME."""
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk)
        self.hv.apply(self.source())
        with open(self.volume("one.qcow2.plain"), "wb") as file:
            file.write(b"precious")
        self.hv.give(self.volume("one.qcow2.plain"))
        self.machine(disk, exports=[{"name": "one"}])
        for place in ("export: marked", "copy: copied"):
            self.assertEqual(self.hv.reconcile(self.source(), env={**self.hv.env, "RECONCILE_FAULT_AT": place}).status, -9, place)
        self.machine(disk, exports=[{"name": "one", "compress": "zstd"}])
        result = self.hv.reconcile(self.source(), check=3)
        self.assertIn("never overwritten", result.stdout + result.stderr)
        self.machine(disk, exports=[{"name": "one"}])
        self.hv.apply(self.source())
        self.assertEqual(self.files(), ["one.qcow2", "one.qcow2.plain"])
        with open(self.volume("one.qcow2.plain"), "rb") as file:
            self.assertEqual(file.read(), b"precious")
        self.in_sync()

    @unittest.skipUnless(os.geteuid() == 0, "mounting file systems needs root")
    def test_compressing_needs_room(self):
        """Where the program runs; judged before anything is written."""
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk)
        self.hv.apply(self.source())
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 4M", self.volume("web-vda.qcow2", "lab")], check=True,
                       stdout=subprocess.DEVNULL)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.machine(disk, exports=[{"name": "one", "compress": "gzip"}])
        small = self.hv.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        result = self.hv.reconcile("--state-dir", small, self.source(), check=1)
        self.assertRegex(result.stdout, r"file system has .* available, and\s+compressing may take")
        self.assertEqual(self.files(), [])

    def test_compressing_needs_its_tool(self):
        disk = {"target": "vda", "size": "8MiB"}
        self.machine(disk)
        self.hv.apply(self.source())
        self.machine(disk, exports=[{"name": "one", "compress": "gzip"}, {"name": "raw", "format": "raw", "compress": "gzip"}])
        self.assertIn("only qcow2 is compressed within", self.hv.reconcile("validate", self.source(), check=1).stderr)
        self.machine(disk, exports=[{"name": "one", "compress": "gzip"}])
        self.assertIn(", compressed, into pool", self.hv.plan(self.source())["actions"][-1]["description"])
        tools = self.hv.path("state", "tools")
        os.mkdir(tools)
        result = self.hv.reconcile(self.source(), env={**self.hv.env, "PATH": tools})
        self.assertNotEqual(result.status, 0)
        self.assertIn("install the package qemu-utils", result.stdout + result.stderr)
        self.assertEqual(self.files(), [])


class Running(ExportCase):
    def test_is_of_one_moment(self):
        disks = [{"target": "vda", "image": "base", "size": "96MiB"}, {"target": "vdb", "size": "8MiB", "format": "raw"},
                 {"target": "vdc", "size": "8MiB", "stateless": True}]
        self.machine(*disks, power="running")
        self.hv.apply(self.source())
        guest = self.hv.guest("web")
        guest.wait_heartbeat()
        guest.do("write", "vda", 80, "seed")
        guest.do("write", "vdb", 3, "seed")
        guest.do("write", "vdc", 3, "dropped")
        guest.do("write", "vda", 81, "seed")
        sums = {disk: guest.do("sum", disk) for disk in ("vda", "vdb")}
        before = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).split("<metadata>")[1].split("</metadata>")[1]
        self.machine(*disks, power="running", exports=[{"name": "one"}, {"name": "data", "disk": "vdb", "format": "raw"},
                                                       {"name": "mixed", "disk": "vdb"}, {"name": "empty", "disk": "vdc"},
                                                       {"name": "small", "compress": "zstd"}])
        recorder = self.recorder()
        result = self.hv.apply(self.source())
        self.assert_defined(recorder)
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertIn("one.qcow2 is crash: as after a power cut", result.stdout + result.stderr)
        self.assert_compressed("small", "zstd")
        after = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).split("<metadata>")[1].split("</metadata>")[1]
        self.assertEqual(before, after)
        self.assertEqual(self.files(), ["data.raw", "empty.qcow2", "mixed.qcow2", "one.qcow2", "small.qcow2"])
        self.assertNotIn("backing-filename", self.info("one.qcow2"))
        for name, disk in (("one.qcow2", "vda"), ("small.qcow2", "vda"), ("data.raw", "vdb"), ("mixed.qcow2", "vdb")):
            path = self.hv.path("state", "raw")
            subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", self.volume(name), path], check=True)
            out = subprocess.run(["md5sum", path], check=True, stdout=subprocess.PIPE, encoding="ascii").stdout
            self.assertEqual(out.split()[0], sums[disk], name)
        self.assert_same(self.volume("web-vdc.qcow2", "lab"), "empty.qcow2")
        self.in_sync()

    def test_boots(self):
        self.machine({"target": "vda", "image": "base"}, power="running", exports=[{"name": "golden"}])
        self.hv.apply(self.source())
        document = self.hv.vm("copy", boot=None, disks=[{"target": "vda", "path": self.volume("golden.qcow2"), "format": "qcow2"}])
        self.hv.write("copy.yaml", document)
        self.hv.apply(self.source())
        self.hv.guest("copy").wait_heartbeat()

    def test_killed_while_it_is_written(self):
        self.machine({"target": "vda", "size": "8MiB"}, power="running")
        self.hv.apply(self.source())
        self.machine({"target": "vda", "size": "8MiB"}, power="running", exports=[{"name": "one"}])
        self.killed(1, 2, 3, 4)
        self.hv.apply(self.source())
        self.assertEqual(self.files(), ["one.qcow2"])
        self.assert_same(self.volume("web-vda.qcow2", "lab"), "one.qcow2")
        self.in_sync()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
