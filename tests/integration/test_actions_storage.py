#!/usr/bin/python3
"""Actions on pools, volumes and images."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
import unittest

import action_case
from action_case import MIB, image_info
import libvirt

import lab


class PoolTest(action_case.ActionCase):
    def pool_act(self, action, name="lab", spec=None, **more):
        return self.act(action, name, kind="StoragePool", spec=spec or self.pool_spec(name), **more)

    def test_life(self):
        for action in ("pool-define", "pool-build", "pool-start"):
            self.pool_act(action)
            self.pool_act(action)
        pool = self.hv.conn.storagePoolLookupByName("lab")
        self.assertTrue(pool.isActive())
        self.assertTrue(os.path.isdir(self.hv.path("pools/lab")))
        self.pool_act("pool-autostart", value="true")
        self.assertEqual(pool.autostart(), 1)
        self.pool_act("pool-autostart", value="false")
        self.assertEqual(pool.autostart(), 0)
        self.make_volume("kept")
        self.pool_act("pool-stop")
        self.pool_act("pool-stop")
        self.assertFalse(pool.isActive())
        self.act("pool-undefine", "lab", kind="StoragePool")
        self.act("pool-undefine", "lab", kind="StoragePool")
        self.assertEqual(self.hv.conn.listAllStoragePools(), [])
        self.assertTrue(os.path.exists(self.hv.path("pools/lab/kept")))

    def test_undefine_stops_first(self):
        self.make_pool()
        self.act("pool-undefine", "lab", kind="StoragePool")
        self.assertEqual(self.hv.conn.listAllStoragePools(), [])

    def test_build_keeps_a_directory(self):
        os.makedirs(self.hv.make_directory("pools/lab"), exist_ok=True)
        with open(self.hv.path("pools/lab/file"), "w", encoding="utf-8") as file:
            file.write("kept")
        self.make_pool()
        self.assertEqual(self.volume_names(), ["file"])

    def test_another_pool_of_the_name_is_refused(self):
        self.make_pool()
        other = {"type": "dir", "target": self.hv.path("pools/elsewhere")}
        self.pool_act("pool-define", spec=other, code="refused", saying="another target")

    def test_somebody_elses_pool(self):
        self.hv.make_directory("pools/lab")
        self.hv.conn.storagePoolDefineXML(
            f"<pool type='dir'><name>lab</name><target><path>{self.hv.path('pools/lab')}</path></target></pool>")
        for action in ("pool-define", "pool-start", "pool-stop", "pool-undefine"):
            self.pool_act(action, code="refused", saying="isn't ours")
        self.pool_act("pool-define", metadata={"adopt": True})
        self.pool_act("pool-start", metadata={"adopt": True})
        self.assertTrue(self.hv.conn.storagePoolLookupByName("lab").isActive())

    def test_start_without_directory(self):
        self.pool_act("pool-define")
        self.pool_act("pool-start", code="libvirt", saying="cannot start storage pool lab")


class VolumeTest(action_case.ActionCase):
    def setUp(self):
        self.make_pool()

    def test_blank(self):
        for fmt in ("qcow2", "raw"):
            path = self.make_volume("disk." + fmt, 10 * MIB, fmt=fmt)
            info = image_info(path)
            self.assertEqual((info["format"], info["virtual-size"]), (fmt, 10 * MIB))
            self.assertLess(os.stat(path).st_blocks * 512, MIB)
            self.make_volume("disk." + fmt, 10 * MIB, fmt=fmt)

    def test_existing_is_never_overwritten(self):
        path = self.make_volume("disk", 8 * MIB)
        with open(path, "rb") as file:
            before = file.read()
        for more, why in (({"bytes": 9 * MIB}, "8388608 bytes"), ({"format": "raw"}, "format qcow2"),
                          ({"backingPath": "/base", "backingFormat": "raw"}, "based on nothing")):
            args = {"pool": "lab", "volume": "disk", "format": "qcow2", "bytes": 8 * MIB, **more}
            self.act("volume-create", "web", code="refused", saying=why, **args)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_file_that_libvirt_does_not_know(self):
        path = self.hv.path("pools/lab/disk")
        with open(path, "w", encoding="utf-8") as file:
            file.write("precious")
        self.act("volume-create", "web", pool="lab", volume="disk", format="qcow2", bytes=MIB, code="refused")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")

    def test_file_that_came_while_it_was_made(self):
        """Making it failed, for whatever reason libvirt tells: what is there then is somebody's."""
        path = self.hv.path("pools/lab/disk")
        with self.at("volume: made", f"echo precious >{path}"):
            self.act("volume-create", "web", pool="lab", volume="disk", format="qcow2", bytes=MIB, backingPath="/nowhere", backingFormat="raw",
                     code="refused", saying="left alone")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious\n")

    def test_file_that_has_gone(self):
        path = self.make_volume("disk")
        os.unlink(path)
        self.make_volume("disk")
        self.assertTrue(os.path.exists(path))

    def test_overlay(self):
        base = self.make_volume("base", 8 * MIB)
        overlay = self.make_volume("overlay", 12 * MIB, backingPath=base, backingFormat="qcow2")
        info = image_info(overlay)
        self.assertEqual((info["virtual-size"], info["full-backing-filename"], info["backing-filename-format"]),
                         (12 * MIB, base, "qcow2"))
        self.make_volume("overlay", 12 * MIB, backingPath=base, backingFormat="qcow2")
        self.act("volume-create", "web", pool="lab", volume="lost", format="qcow2", bytes=MIB,
                 backingPath=self.hv.path("pools/lab/none"), backingFormat="qcow2", code="libvirt")
        self.assertEqual(self.volume_names(), ["base", "overlay"])

    def test_no_pool(self):
        args = {"volume": "disk", "format": "raw", "bytes": MIB}
        self.act("volume-create", "web", pool="none", code="stale", saying="no storage pool none", **args)
        self.hv.conn.storagePoolLookupByName("lab").destroy()
        self.act("volume-create", "web", pool="lab", code="stale", saying="isn't active", **args)

    def test_copy(self):
        base = self.hv.path("pools/lab/base")
        shutil.copyfile(self.hv.path("guest/base.qcow2"), base)
        self.hv.give(base)
        size = image_info(base)["virtual-size"]
        args = {"pool": "lab", "volume": "copy", "format": "qcow2", "from_": base}
        self.act("volume-copy", "web", bytes=size - MIB, code="refused", saying="smaller", **args)
        self.assertEqual(self.volume_names(), ["base"])
        self.act("volume-copy", "web", bytes=size + 8 * MIB, **args)
        path = self.hv.path("pools/lab/copy")
        info = image_info(path)
        self.assertEqual((info["virtual-size"], info.get("backing-filename")), (size + 8 * MIB, None))
        subprocess.run(["qemu-img", "compare", "-q", base, path], check=True)
        self.assertEqual(self.volume_names(), ["base", "copy"])
        self.act("volume-copy", "web", bytes=size + 8 * MIB, **args)
        self.act("volume-copy", "web", bytes=size, code="refused", saying="left alone", **args)

    def test_copy_to_raw(self):
        base = self.hv.path("pools/lab/base")
        shutil.copyfile(self.hv.path("guest/base.qcow2"), base)
        self.hv.give(base)
        size = image_info(base)["virtual-size"]
        self.act("volume-copy", "web", pool="lab", volume="copy", format="raw", bytes=size + MIB, from_=base)
        path = self.hv.path("pools/lab/copy")
        self.assertEqual(os.path.getsize(path), size + MIB)
        subprocess.run(["qemu-img", "compare", "-q", "-F", "raw", base, path], check=True)

    def test_half_made_copy(self):
        """With the marker beside it, a half-made copy is thrown away; without, nothing is."""
        base = self.make_volume("base", 8 * MIB)
        copy = self.hv.path("pools/lab/copy")
        for name in (copy, copy + ".incomplete"):
            with open(name, "w", encoding="utf-8") as file:
                file.write("half")
            self.hv.give(name)
        self.act("volume-copy", "web", pool="lab", volume="copy", format="qcow2", bytes=8 * MIB, from_=base)
        self.assertEqual(image_info(copy)["virtual-size"], 8 * MIB)
        self.assertEqual(self.volume_names(), ["base", "copy"])

    def test_half_made_and_in_use(self):
        """A marker that isn't ours, beside the disk of a machine, whether that runs or not."""
        base, used = self.make_volume("base", 8 * MIB), self.make_volume("used", 8 * MIB)
        with open(used + ".incomplete", "w", encoding="utf-8") as file:
            file.write("not ours")
        self.hv.give(used + ".incomplete")
        domain = self.make_vm("other", boot=None, disks=[{"target": "vda", "path": used, "format": "qcow2"}])[0]
        for user in ("the definition of", "running"):
            saying = f"it is used by disk vda of {user} domain other"
            self.act("volume-copy", "web", pool="lab", volume="used", format="qcow2", bytes=8 * MIB, from_=base, code="refused", saying=saying)
            self.act("volume-format", "web", pool="lab", volume="used", format="qcow2", bytes=8 * MIB, filesystem="ext4", code="refused", saying=saying)
            if not domain.isActive():
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        self.assertEqual(self.volume_names(), ["base", "used", "used.incomplete"])

    def test_volume_that_came_while_it_was_copied(self):
        """Only what the call itself made is taken back when it fails, and no marker is left at what is another's."""
        self.make_volume("base")
        path = self.hv.path("pools/lab/copy")
        with self.at("copy: marked", f"echo precious >{path}; virsh -q -c '{self.hv.uri}' pool-refresh lab >/dev/null"):
            self.act("volume-copy", "web", pool="lab", volume="copy", format="qcow2", bytes=8 * MIB, from_=self.hv.path("pools/lab/base"),
                     code="libvirt", saying="already")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious\n")
        self.assertEqual(self.volume_names(), ["base", "copy"])

    def test_a_marker_is_of_one_volume(self):
        """A copy was killed after its marker; then the disk shall have a file system, which is made by way of NAME.filling."""
        self.make_volume("base")
        with self.at("copy: marked", "kill -9 $PPID"):
            process = self.start_act("volume-copy", "web", pool="lab", volume="disk", format="qcow2", bytes=8 * MIB, from_=self.hv.path("pools/lab/base"))
            self.finish(process)
        self.assertEqual(self.volume_names(), ["base", "disk.incomplete"])
        filling = self.hv.path("pools/lab/disk.filling")
        with open(filling, "w", encoding="utf-8") as file:
            file.write("precious")
        self.hv.give(filling)
        args = {"pool": "lab", "volume": "disk", "format": "qcow2", "bytes": 8 * MIB, "filesystem": "ext4"}
        self.act("volume-format", "web", **args, code="refused", saying="disk.filling in storage pool lab already; it is left alone")
        with open(filling, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")
        os.unlink(filling)
        self.act("volume-format", "web", **args)
        self.assertEqual(self.volume_names(), ["base", "disk"])

    def test_copy_of_nothing(self):
        self.act("volume-copy", "web", pool="lab", volume="copy", format="qcow2", bytes=MIB,
                 from_=self.hv.path("pools/lab/none"), code="libvirt")
        self.assertEqual(self.volume_names(), [])

    def test_killed_copy_is_made_again(self):
        base = self.hv.path("pools/lab/base")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "256M"], check=True)
        subprocess.run(["qemu-io", "-c", "write -P 7 0 200M", base], check=True, stdout=subprocess.DEVNULL)
        self.hv.give(base)
        args = {"pool": "lab", "volume": "copy", "format": "qcow2", "bytes": 256 * MIB, "from_": base}
        process = self.start_act("volume-copy", "web", **args)
        deadline = time.monotonic() + 20
        while not os.path.exists(self.hv.path("pools/lab/copy")) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        self.finish(process)
        self.hv.kill_daemon()
        self.hv.restart_daemon()
        self.hv.conn.storagePoolLookupByName("lab").isActive() or self.make_pool()
        self.act("volume-copy", "web", **args)
        subprocess.run(["qemu-img", "compare", "-q", base, self.hv.path("pools/lab/copy")], check=True)
        self.assertEqual(self.volume_names(), ["base", "copy"])

    def test_grow(self):
        for fmt in ("qcow2", "raw"):
            path = self.make_volume("disk." + fmt, 8 * MIB, fmt=fmt)
            self.act("volume-grow", "web", path=path, bytes=16 * MIB, from_=8 * MIB)
            self.assertEqual(image_info(path)["virtual-size"], 16 * MIB)
            self.act("volume-grow", "web", path=path, bytes=16 * MIB, from_=8 * MIB)
            self.act("volume-grow", "web", path=path, bytes=8 * MIB, code="refused", saying="never")
            self.act("volume-grow", "web", path=path, bytes=32 * MIB, from_=8 * MIB, code="stale", saying="as planned")
            self.assertEqual(image_info(path)["virtual-size"], 16 * MIB)
        self.act("volume-grow", "web", path="/nowhere", bytes=MIB, code="stale")

    def test_base_is_not_grown(self):
        base = self.make_volume("base", 8 * MIB)
        self.make_volume("overlay", 8 * MIB, backingPath=base, backingFormat="qcow2")
        self.act("volume-grow", "web", path=base, bytes=16 * MIB, code="refused", saying="volume overlay")

    def test_disk_of_a_running_machine_is_not_grown_beside_it(self):
        path = self.make_volume("disk", 8 * MIB)
        self.make_vm("web", start=True, disks=[{"target": "vda", "path": path, "format": "qcow2"}])
        self.act("volume-grow", "web", path=path, bytes=16 * MIB, code="refused", saying="running domain web")

    def test_internal_snapshot(self):
        path = self.make_volume("disk", 8 * MIB)
        subprocess.run(["qemu-img", "snapshot", "-c", "one", path], check=True)
        outcome = action_case.Outcome(self.finish(self.start_act("volume-grow", "web", path=path, bytes=16 * MIB)))
        self.assertIn(outcome.code, (None, "libvirt"), str(outcome))

    def test_delete(self):
        path = self.make_volume("disk")
        self.act("volume-delete", "web", path=path)
        self.act("volume-delete", "web", path=path)
        self.assertEqual(self.volume_names(), [])
        self.act("volume-delete", "web", path="/etc/hostname", code="stale", saying="no active storage pool")

    def test_used_is_not_deleted(self):
        base = self.make_volume("base")
        overlay = self.make_volume("overlay", backingPath=base, backingFormat="qcow2")
        self.act("volume-delete", "web", path=base, code="refused", saying="volume overlay")
        domain, _ = self.make_vm("web", disks=[{"target": "vda", "path": overlay, "format": "qcow2"}])
        self.act("volume-delete", "web", path=overlay, code="refused", saying="definition of domain web")
        domain.create()
        domain.undefine()
        self.act("volume-delete", "web", path=overlay, code="refused", saying="running domain web")
        domain.destroy()
        self.act("volume-delete", "web", path=overlay)
        self.act("volume-delete", "web", path=base)

    def test_stopped_pool_blocks_deleting(self):
        path = self.make_volume("disk")
        other = self.hv.conn.storagePoolDefineXML(f"<pool type='dir'><name>other</name><target><path>{self.hv.path('state')}</path></target></pool>")
        self.act("volume-delete", "web", path=path, code="refused", saying="can't be told whether something else uses it: pool other isn't started")
        self.assertEqual(self.volume_names(), ["disk"])
        other.undefine()
        self.act("volume-delete", "web", path=path)

    def test_disk_outside_pools_blocks_deleting(self):
        base = self.make_volume("base")
        outside = self.hv.path("state/outside.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", outside], check=True)
        self.make_vm("web", disks=[{"target": "vda", "path": outside, "format": "qcow2"}])
        self.act("volume-delete", "web", path=base, code="refused", saying="can't be told")


class ImageTest(action_case.ActionCase):
    def setUp(self):
        self.make_pool()
        self.source = self.hv.path("guest/base.qcow2")

    def import_args(self, source=None, **more):
        source = source or self.source
        with open(source, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        return {"pool": "lab", "volume": "base.qcow2", "source": source, "sha256": digest, "format": "qcow2",
                "bytes": os.path.getsize(source), "kind": "Image", "spec": {"source": source}, **more}

    def same(self, name="base.qcow2", source=None):
        with open(source or self.source, "rb") as one, open(self.hv.path("pools/lab", name), "rb") as two:
            return one.read() == two.read()

    def test_import(self):
        outcome = self.act("image-import", "base", **self.import_args())
        self.assertTrue(self.same())
        self.assertEqual(self.volume_names(), ["base.qcow2"])
        sent = [p for p in outcome.progress if p[2] == "uploading"]
        self.assertEqual(sent[-1][0], os.path.getsize(self.source))
        self.assertEqual(self.act("image-import", "base", **self.import_args()).progress, [])
        pool = self.hv.conn.storagePoolLookupByName("lab")
        self.assertIn("<format type='qcow2'/>", pool.storageVolLookupByName("base.qcow2").XMLDesc())

    def test_raw_keeps_its_holes(self):
        source = self.hv.path("state/disk.raw")
        with open(source, "wb") as file:
            file.truncate(64 * MIB)
            file.seek(20 * MIB)
            file.write(os.urandom(MIB + 123))
        self.act("image-import", "disk", **self.import_args(source, volume="disk.raw", format="raw"))
        self.assertTrue(self.same("disk.raw", source))
        self.assertLess(os.stat(self.hv.path("pools/lab/disk.raw")).st_blocks * 512, 4 * MIB)

    def test_wrong_digest(self):
        args = self.import_args(sha256="0" * 64)
        outcome = self.act("image-import", "base", code="failed", saying="0" * 64, **args)
        self.assertIn(self.import_args()["sha256"], outcome.message)
        self.assertEqual(self.volume_names(), [])

    def test_other_file_than_planned(self):
        self.act("image-import", "base", code="stale", saying="as planned", **self.import_args(bytes=17))
        args = self.import_args()
        self.act("image-import", "base", code="stale", saying="No such file", **{**args, "source": "/nowhere"})
        self.act("image-import", "base", code="refused", saying="format raw", **{**args, "format": "raw"})
        self.assertEqual(self.volume_names(), [])

    def test_image_with_backing_file(self):
        overlay = self.hv.path("state/overlay.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self.source, "-F", "qcow2", overlay], check=True)
        self.act("image-import", "base", code="refused", saying="backing file", **self.import_args(overlay))
        outside = self.hv.path("state/outside.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={outside}.raw", outside, "1M"], check=True)
        self.act("image-import", "base", code="refused", saying="another file", **self.import_args(outside))
        self.assertEqual(self.volume_names(), [])

    def test_half_uploaded(self):
        for name in ("base.qcow2", "base.qcow2.incomplete"):
            with open(self.hv.path("pools/lab", name), "w", encoding="utf-8") as file:
                file.write("half")
            self.hv.give(self.hv.path("pools/lab", name))
        self.act("image-import", "base", **self.import_args())
        self.assertTrue(self.same())
        self.assertEqual(self.volume_names(), ["base.qcow2"])

    def test_volume_that_came_meanwhile(self):
        """It is the image, which somebody else brought: it stays, and the next run uses it."""
        path = self.hv.path("pools/lab/base.qcow2")
        with self.at("image: marked", f"cp {self.source} {path}; virsh -q -c '{self.hv.uri}' pool-refresh lab >/dev/null"):
            self.act("image-import", "base", code="libvirt", saying="already", **self.import_args())
        self.assertTrue(self.same())
        self.assertEqual(self.volume_names(), ["base.qcow2"])
        self.hv.give(path)
        self.act("image-import", "base", **self.import_args())

    def test_somebody_elses_volume(self):
        with open(self.hv.path("pools/lab/base.qcow2"), "w", encoding="utf-8") as file:
            file.write("precious")
        self.act("image-import", "base", code="refused", saying="left alone", **self.import_args())

    def big_image(self):
        source = self.hv.path("state/big.raw")
        with open(source, "wb") as file:
            for _ in range(64):
                file.write(os.urandom(4 * MIB))
        return self.import_args(source, volume="big.raw", format="raw")

    @staticmethod
    def written(path):
        try:
            return os.stat(path).st_blocks * 512
        except FileNotFoundError:  # also a moment after it was made: libvirt may make it anew
            return 0

    def test_cancelled(self):
        self.act("image-import", "big", code="cancelled", cancel_at=40 * MIB, **self.big_image())
        self.assertEqual(self.volume_names(), [])

    def test_killed(self):
        args = self.big_image()
        process = self.start_act("image-import", "big", **args)
        path = self.hv.path("pools/lab/big.raw")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.written(path) < MIB:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        self.finish(process)
        self.assertEqual(self.volume_names(), ["big.raw", "big.raw.incomplete"])
        self.act("image-import", "big", **args)
        self.assertTrue(self.same("big.raw", args["source"]))
        self.assertEqual(self.volume_names(), ["big.raw"])


@unittest.skipUnless(os.geteuid() == 0, "mounting file systems needs root")
class SystemTest(action_case.ActionCase):
    """What only a privileged daemon does: file systems as pools, read-only images, a full pool."""

    hypervisor = lab.SystemHypervisor

    def test_image_is_read_only(self):
        self.make_pool()
        source = self.hv.path("guest/base.qcow2")
        with open(source, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.act("image-import", "base", kind="Image", spec={"source": source}, pool="lab", volume="base.qcow2",
                 source=source, sha256=digest, format="qcow2", bytes=os.path.getsize(source))
        self.assertEqual(os.stat(self.hv.path("pools/lab/base.qcow2")).st_mode & 0o777, 0o444)
        self.make_volume("disk.qcow2", 128 * MIB, backingPath=self.hv.path("pools/lab/base.qcow2"), backingFormat="qcow2")
        _, spec = self.make_vm("web", boot=None, start=True,
                               disks=[{"target": "vda", "path": self.hv.path("pools/lab/disk.qcow2"), "format": "qcow2"}])

    def loop_device(self, size):
        image = self.hv.path("state/device.img")
        with open(image, "wb") as file:
            file.truncate(size)
        found = subprocess.run(["losetup", "-f", "--show", image], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if found.returncode:
            self.skipTest(f"no loop devices here: {found.stderr.strip()}")
        device = found.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "-d", device], check=True)
        return device

    def test_file_system(self):
        """Made once; a device with another file system on it is never formatted."""
        device = self.loop_device(32 * MIB)
        spec = {"type": "fs", "target": self.hv.path("pools/lab"), "build": True, "source": {"device": device, "format": "ext4"}}
        for action in ("pool-define", "pool-build", "pool-build", "pool-start", "pool-build"):
            self.act(action, "lab", kind="StoragePool", spec=spec)
        self.make_volume("disk", MIB)
        self.act("pool-stop", "lab", kind="StoragePool", spec=spec)
        self.act("pool-build", "lab", kind="StoragePool", spec=spec)
        self.act("pool-start", "lab", kind="StoragePool", spec=spec)
        self.assertIn("disk", self.volume_names())
        self.act("pool-undefine", "lab", kind="StoragePool", spec=spec)
        other = {**spec, "source": {"device": device, "format": "xfs"}}
        self.act("pool-define", "lab", kind="StoragePool", spec=other)
        self.act("pool-build", "lab", kind="StoragePool", spec=other, code="libvirt", saying="cannot build")
        self.act("pool-undefine", "lab", kind="StoragePool", spec=spec)
        for action in ("pool-define", "pool-start"):
            self.act(action, "lab", kind="StoragePool", spec=spec)
        self.assertIn("disk", self.volume_names())
        self.act("pool-undefine", "lab", kind="StoragePool", spec=spec)

    def test_full_pool(self):
        self.hv.make_directory("pools/lab")
        self.hv.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.hv.path("pools/lab"))
        self.make_pool()
        self.hv.run("dd", "if=/dev/zero", f"of={self.hv.path('pools/lab/filler')}", "bs=1k", "count=1000", "status=none")
        self.act("volume-create", "web", code="libvirt", pool="lab", volume="disk", format="qcow2", bytes=64 * MIB)
        self.assertEqual(self.volume_names(), ["filler"])
        source = self.hv.path("guest/base.qcow2")
        with open(source, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.act("image-import", "base", code="libvirt", saying="No space left", kind="Image", spec={"source": source}, pool="lab",
                 volume="base.qcow2", source=source, sha256=digest, format="qcow2", bytes=os.path.getsize(source))
        self.assertEqual(self.volume_names(), ["filler"])


if __name__ == "__main__":
    action_case.main()
