#!/usr/bin/python3
"""Pools of the kinds that need a block device: fs and logical, on loop devices. Root only.
Logical volumes need the kernel's device mapper; without it the pool itself is still tried.
A netfs pool is defined only: to mount it takes an NFS client in the kernel."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
from product import document  # noqa: E402


class PoolKinds(lab.TestCase):
    hypervisor = lab.SystemHypervisor

    def loop_device(self, size=64 << 20):
        path = self.hv.path("disk.img")
        with open(path, "wb") as file:
            file.truncate(size)
        found = subprocess.run(["losetup", "-f", "--show", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if found.returncode != 0:
            self.skipTest(f"no loop devices here: {found.stderr.strip()}")
        device = found.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "-d", device], check=False)
        return device

    def converge(self, *documents):
        self.hv.write("all.yaml", *documents)
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])

    def test_file_system(self):
        device, target = self.loop_device(), self.hv.make_directory("pools", "fs")
        self.converge(document("StoragePool", "disk", {"type": "fs", "target": target, "build": True,
                                                       "source": {"device": device, "format": "ext4"}}),
                      document("Volume", "data.raw", {"pool": "disk", "size": "8MiB", "format": "raw"}))
        self.assertIn("data.raw", self.hv.conn.storagePoolLookupByName("disk").listVolumes())

    def test_network_file_system(self):
        """Defined and read back; nothing is mounted."""
        pool = {"type": "netfs", "target": self.hv.make_directory("pools", "nfs"), "state": "inactive", "autostart": False,
                "source": {"host": "192.0.2.1", "dir": "/export", "format": "nfs"}}
        self.converge(document("StoragePool", "nfs", pool))
        xml = self.hv.conn.storagePoolLookupByName("nfs").XMLDesc()
        for part in ("<host name='192.0.2.1'/>", "<dir path='/export'/>", "<format type='nfs'/>"):
            self.assertIn(part, xml)
        self.hv.write("all.yaml", document("StoragePool", "nfs", {**pool, "source": {**pool["source"], "dir": "/other"}}))
        self.hv.reconcile("--dry-run", self.hv.path("specs"), check=1)

    def test_a_file_system_is_never_made_over_another(self):
        device, target = self.loop_device(), self.hv.make_directory("pools", "fs")
        subprocess.run(["mkfs.ext2", "-q", device], check=True)
        self.hv.write("all.yaml", document("StoragePool", "disk", {
            "type": "fs", "target": target, "build": True, "source": {"device": device, "format": "xfs"}}))
        result = self.hv.reconcile(self.hv.path("specs"))
        self.assertNotEqual(result.status, 0)
        kind = subprocess.run(["blkid", "-p", "-o", "value", "-s", "TYPE", device], stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(kind.strip(), "ext2", str(result))

    def test_logical(self):
        if not shutil.which("vgcreate"):
            self.skipTest("lvm2 isn't installed")
        device = self.loop_device()
        self.addCleanup(subprocess.run, ["vgremove", "-ff", "-y", "rectest"], check=False,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["pvcreate", "-q", "-ff", "-y", device], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["vgcreate", "-q", "rectest", device], check=True, stdout=subprocess.DEVNULL)
        pool = document("StoragePool", "lvm", {"type": "logical", "source": {"name": "rectest", "format": "lvm2"}})
        self.converge(pool)
        self.assertTrue(self.hv.conn.storagePoolLookupByName("lvm").isActive())
        self.hv.write("all.yaml", pool, document("Volume", "data", {"pool": "lvm", "size": "8MiB", "format": "raw"}))
        result = self.hv.reconcile(self.hv.path("specs"))
        with open("/proc/misc", encoding="utf-8") as file:
            has_device_mapper = "device-mapper" in file.read()
        if not has_device_mapper:
            self.assertEqual(result.status, 1, str(result))  # and says why
            self.assertIn("volume/data", result.stdout + result.stderr)
        else:
            result.check(0)
            self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
