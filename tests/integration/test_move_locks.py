#!/usr/bin/python3
"""Moves where libvirt guards disks by virtlockd (qemu.conf: lock_manager = "lockd"), on storage that both hosts have."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
from move_faults import Faults, SHARED  # noqa: E402

LEASES = "/var/lib/libvirt/leases"


class Virtlockd(Faults):
    settings = 'lock_manager = "lockd"\n'

    @classmethod
    def setUpClass(cls):
        if not shutil.which("virtlockd"):
            lab.skip_all("virtlockd is missing: run scripts/install-packages test")
        super().setUpClass()
        leases = cls.hv.make_directory("leases")
        for host in (cls.hv, cls.other):
            host.run("sh", "-c", f"mkdir -p {LEASES}; mount --bind {leases} {LEASES}; echo 'file_lockspace_dir = \"{LEASES}\"' >/etc/libvirt/qemu-lockd.conf")
            daemon = subprocess.Popen([*host.inside(), "virtlockd"], env=host.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            cls.addClassCleanup(daemon.wait)
            cls.addClassCleanup(daemon.terminate)
            host.run("timeout", "60", "sh", "-c", "until [ -S /run/libvirt/virtlockd-sock ]; do sleep 0.1; done")
            host.restart_daemon()

    def move(self):
        self.write_at(self.away())
        status, out = self.run_inside()
        self.assertEqual(status, 0, out)
        self.check(str(out))

    def test_moves_and_a_second_start(self):
        self.begin("live_shared")
        self.move()
        self.move()
        self.assertEqual(self.hv.guest("web").starts(), 1)
        # The same disk in another machine, where no pool and no plan can tell.
        twin = self.hv.vm("twin", serials=None, placement={"host": "lab-b"},
                          disks=[{"target": "vda", "path": f"{SHARED}/web-vdb.qcow2", "format": "qcow2"}])
        self.write_at("lab-a", twin)
        status, out = self.run_inside()
        self.assertEqual(status, 1, out)
        self.assertRegex(out[0], "Lockspace resource '.*' is locked")
        self.assertEqual(self.running(), ["lab-a"])
        self.other.domain("twin").undefine()
        self.way = "cold_shared"
        self.move()
        self.assertEqual(self.hv.guest("web").starts(), 2)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
