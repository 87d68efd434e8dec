#!/usr/bin/python3
"""Killed at each numbered place of plans that format, convert and export disks: the next run converges, with the
content that there was."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import faults  # noqa: E402


class Kinds(faults.Scenario):
    """From nothing: formatted disks in both formats, and exports of a stopped and of a running machine."""

    fresh = True

    def documents(self, hv, step):
        disks = [{"target": "vda", "pool": "lab", "size": "16MiB", "filesystem": "ext4", "label": "data"},
                 {"target": "vdb", "pool": "lab", "size": "8MiB", "filesystem": "swap", "format": "raw"}]
        return [hv.pool(), hv.vm("web", powerState="stopped", disks=disks,
                                 exports=[{"name": "one", "disk": "vda", "to": "lab"}, {"name": "two", "disk": "vdb", "to": "lab", "format": "raw"}])]

    def check(self, case):
        pool = case.hv.path("pools/lab")
        case.assertEqual(sorted(os.listdir(pool)), ["one.qcow2", "two.raw", "web-vda.qcow2", "web-vdb.raw"])
        for one, other in (("web-vda.qcow2", "one.qcow2"), ("web-vdb.raw", "two.raw")):
            subprocess.run(["qemu-img", "compare", "-q", os.path.join(pool, one), os.path.join(pool, other)], check=True)
        raw = case.hv.path("state/raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", os.path.join(pool, "web-vda.qcow2"), raw], check=True)
        subprocess.run(["/sbin/e2fsck", "-f", "-n", raw], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Everywhere(faults.TestCase):
    def test_reconcile(self):
        print(f"Kinds: reconcile killed at {self.everywhere(Kinds(), self.kill_reconcile)} places", file=sys.stderr)

    def test_libvirtd(self):
        print(f"Kinds: libvirtd killed at {self.everywhere(Kinds(), self.kill_libvirtd)} places", file=sys.stderr)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
