#!/usr/bin/python3
"""What is read from files themselves is what libvirt says of them (state/libvirt/volume_file.h)."""

import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

BUILD = os.environ.get("RECONCILE_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/asan")
TOOL = os.environ.get("OBSERVE_DUMP") or os.path.join(BUILD, "tests/observe_dump")

POOL = "<pool type='dir'><name>p</name><target><path>{path}</path></target></pool>"
DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='{format}'/>
  <source file='{path}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""
VOLUME_DISK = """
<disk type='volume' device='disk'>
  <driver name='qemu' type='raw'/>
  <source pool='p' volume='{volume}'/>
  <target dev='vda' bus='virtio'/>
</disk>"""


class Files:
    """What the tests of both kinds of daemon share."""

    def setUp(self):
        self.directory = self.hv.make_directory("pools", "p")

    def start_pool(self):
        pool = self.hv.conn.storagePoolDefineXML(POOL.format(path=self.directory))
        pool.create()
        return pool

    def path(self, name):
        return os.path.join(self.directory, name)

    def image(self, name, *options, size="8M", format="qcow2"):
        subprocess.run(["qemu-img", "create", "-q", "-f", format, *options, self.path(name), size], check=True)
        self.hv.give(self.path(name))
        return self.path(name)

    def file(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        self.hv.give(self.path(name))

    def edit(self, name, offset, content):
        with open(self.path(name), "r+b") as file:
            file.seek(offset)
            file.write(content)

    def dump(self, *options, **how):
        result = subprocess.run([TOOL, "--threads", "1", *options, self.hv.uri], env=self.hv.env, timeout=60, check=True,
                                stdout=subprocess.PIPE, text=True, **how)
        return json.loads(result.stdout)

    def volumes(self, **how):
        """Those of the pool, after checking that libvirt says the same; and which were read from files."""
        seen, said = (self.dump(*options, **how) for options in ((), ("--calls",)))
        seen, said = seen["pools"]["p"]["volumes"], said["pools"]["p"]["volumes"]
        by_file = {name for name, volume in seen.items() if volume.pop("fromFile")}
        self.assertEqual([name for name, volume in said.items() if volume.pop("fromFile")], [])
        self.maxDiff = None
        self.assertEqual(seen, said)
        return seen, by_file


class SessionTest(Files, lab.TestCase):
    def test_kinds(self):
        # One thread asks in the order of libvirt's list: the first plain file is the evidence.
        fine = [self.image(f"plain {number}") for number in range(2)]
        fine += [self.image("old", "-o", "compat=0.10"), self.image("extended", "-o", "extended_l2=on,cluster_size=128k"),
                 self.image("preallocated", "-o", "preallocation=metadata"), self.image("ümläut & <tag> 'quoted'"),
                 self.image("zstd", "-o", "compression_type=zstd"), self.image("huge", size="4T")]
        raw = self.image("raw", format="raw")
        fine += [self.image("on qcow2", "-F", "qcow2", "-b", fine[0]), self.image("on raw", "-F", "raw", "-b", raw),
                 self.image("old on raw", "-o", "compat=0.10", "-F", "raw", "-b", raw),
                 self.image("long name", "-F", "qcow2", "-b", os.path.join(self.directory, "./" * 400 + "plain 0"))]
        self.image("relative", "-F", "qcow2", "-b", "plain 0")
        self.image("no format", "-F", "qcow2", "-b", fine[0])
        for version, length in ((2, 72), (3, 104)):
            name = f"no format {version}"
            self.image(name, "-o", "compat=" + ("0.10" if version == 2 else "1.1"), "-F", "qcow2", "-b", fine[0])
            self.edit(name, length if version == 2 else self.header_length(name), b"\x12\x34\x56\x78")
        self.image("external", "-o", "data_file=" + self.path("external.raw"))
        for method, name in (1, "encrypted"), (2, "luks"):
            self.image(name)
            self.edit(name, 32, method.to_bytes(4, "big"))
        for name, format in (("qcow", "qcow"), ("qed", "qed"), ("vdi", "vdi"), ("vmdk", "vmdk"), ("vpc", "vpc")):
            self.image(name, format=format)
        self.file("text", b"Hello")
        self.file("nothing", b"")
        self.file("cut", b"QFI\xfb\0\0\0\2" + bytes(60))
        self.file("version 4", b"QFI\xfb\0\0\0\4" + bytes(5000))
        self.file("no size", b"QFI\xfb\0\0\0\3" + bytes(5000))
        self.file("far backing", b"QFI\xfb\0\0\0\2" + (1 << 60).to_bytes(8, "big") + b"\0\0\0\7\0\0\0\x10" + (1 << 20).to_bytes(8, "big") + bytes(5000))
        self.file("strange backing", b"QFI\xfb\0\0\0\2" + (500).to_bytes(8, "big") + b"\0\0\0\4\0\0\0\x10" + (1 << 20).to_bytes(8, "big") + bytes(468) + b"/a\1b" + bytes(4000))
        os.mkdir(self.path("directory"))
        os.symlink(fine[0], self.path("link"))
        self.start_pool()
        seen, by_file = self.volumes()
        self.assertGreater(len(seen), 28)
        asked = set(seen) - by_file
        self.assertLessEqual(by_file, {os.path.basename(path) for path in fine} | {"no format"})
        # But for those that libvirt was asked for until there was evidence.
        self.assertLessEqual(len({os.path.basename(path) for path in fine} & asked), 2, asked)

    def header_length(self, name):
        with open(self.path(name), "rb") as file:
            return int.from_bytes(file.read(104)[100:], "big")

    def test_what_took_the_place_of_a_file(self):
        for name in ("pipe", "link", "device", "socket", "gone", "other", "another", *"0123456789"):
            self.image(name)
        pool = self.start_pool()
        other = self.hv.path("elsewhere")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other, "64M"], check=True)
        self.hv.give(other)
        for name in ("pipe", "link", "device", "socket", "gone", "other", "another"):
            os.unlink(self.path(name))
        os.mkfifo(self.path("pipe"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path("socket"))
        os.symlink(other, self.path("link"))
        subprocess.run(["cp", "-p", other, self.path("another")], check=True)
        os.rename(other, self.path("other"))
        if self.hv.root:
            os.mknod(self.path("device"), 0o600 | 0o020000, os.makedev(1, 5))
        woken = threading.Event()

        def write():
            with open(self.path("pipe"), "wb"):
                woken.set()
        writer = threading.Thread(target=write, daemon=True)  # no end of the test waits for it
        writer.start()
        seen, by_file = self.volumes()
        self.assertFalse(woken.is_set(), "somebody opened the pipe")
        with open(self.path("pipe"), "rb"):
            writer.join()
        self.assertEqual([seen["other"]["capacity"], seen["another"]["capacity"]], [64 << 20] * 2)
        self.assertTrue({"other", "another"} & by_file)
        self.assertFalse({"pipe", "link", "device", "socket"} & by_file)
        self.assertNotIn("gone", seen)
        pool.destroy()

    def test_header_that_a_guest_wrote(self):
        for name in "abcde0123456789":
            self.image(name, format="raw" if name in "abcde" else "qcow2")
        self.start_pool()
        self.hv.define("file", DISK.format(format="raw", path=self.path("a"), target="vda"))
        self.hv.define("volume", VOLUME_DISK.format(volume="b"))
        for name in "abcde":
            self.image(name + ".qcow2", size="1T")
            os.rename(self.path(name + ".qcow2"), self.path(name + ".tmp"))
            with open(self.path(name + ".tmp"), "rb") as file:
                self.edit(name, 0, file.read(4096))
            os.unlink(self.path(name + ".tmp"))
        seen = self.dump()["pools"]["p"]["volumes"]
        self.assertEqual([seen[name]["format"] for name in "ab"], ["raw", "raw"])
        self.assertEqual([seen[name]["capacity"] for name in "ab"], [8 << 20] * 2)
        # Nobody's: as libvirt will see it when the pool is refreshed. One may come first in libvirt's list, whose
        # order is by chance: libvirt is asked for it then, and tells what it saw before.
        for name in "cde":
            self.assertEqual(seen[name]["capacity"], 1 << 40 if seen[name]["fromFile"] else 8 << 20)
        self.assertGreaterEqual([seen[name]["fromFile"] for name in "cde"].count(True), 2)

    def test_files_with_two_names_are_no_evidence(self):
        for number in range(5):
            os.link(self.image(str(number)), self.hv.path(f"other-{number}"))
        self.start_pool()
        self.assertEqual(self.volumes()[1], set())

    def test_the_daemon_may_not_read_it(self):
        if not self.hv.root:
            self.skipTest("needs root: then we may read everything")
        for name in ("closed", *"0123456789"):
            self.image(name)
        self.start_pool()
        os.chmod(self.path("closed"), 0)
        seen, by_file = self.volumes()
        self.assertIn("volume closed of pool p: ", seen["closed"]["error"])
        self.assertNotIn("closed", by_file)
        self.assertGreaterEqual(len(by_file), 9)


class SystemTest(Files, lab.TestCase):
    hypervisor = lab.SystemHypervisor

    def test_same_files(self):
        for number in range(4):
            self.image(str(number))
        self.start_pool()
        self.assertEqual(len(self.volumes()[1]), 3)

    def test_we_may_not_read_them(self):
        for number in range(4):
            os.chmod(self.image(str(number)), 0o600)
        self.start_pool()
        for place in ("run", "run/libvirt"):
            os.chmod(self.hv.path(place), 0o755)
        seen, by_file = self.volumes(user="nobody")
        self.assertEqual([len(seen), len(by_file)], [4, 0])

    def test_same_path_of_another_file(self):
        """The daemon has another directory there, in a mount namespace of its own."""
        for number in range(4):
            self.image(str(number), size="8M")
        inside = self.hv.make_directory("inside")
        for number in range(4):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", os.path.join(inside, str(number)), "32M"], check=True)
        self.hv.run("mount", "--bind", inside, self.directory)
        pool = self.start_pool()
        seen, by_file = self.volumes()
        self.assertEqual(by_file, set())
        self.assertEqual({volume["capacity"] for volume in seen.values()}, {32 << 20})
        pool.destroy()


if __name__ == "__main__":
    if not os.access(TOOL, os.X_OK):
        lab.skip_all(f"{TOOL} is not built")
    lab.main()
