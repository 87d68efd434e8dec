#!/usr/bin/python3
"""Live moves that are given up, since the guest writes too fast, can't write any more, or has disks that libvirt doesn't take for
shared; and of a machine that is paused."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import Faults, POOL, SHARED, brief  # noqa: E402

def fill(mebibytes):
    """A command that writes so much to the second disk."""
    return ("dd if=/dev/urandom of=/tmp/some bs=1M count=2; while dd if=/tmp/some bs=1M; do :; done | "
            f"dd of=/dev/vdb bs=1M count={mebibytes} iflag=fullblock conv=fsync")


# Faster than 8 MiB/s.
AGAIN = "while :; do dd if=/tmp/some of=/dev/vdb bs=256k oflag=direct conv=notrunc; done >/dev/null 2>&1 &"


class Copied(Faults):
    """Its second disk is copied while the guest writes to it."""

    def at(self, host, **policy):
        disks = [{"target": "vda", "size": "1MiB", "pool": "moving"}, {"target": "vdb", "size": "48MiB", "pool": "moving", "cache": "writeback"}]
        self.write(self.machine(host, disks=disks, migration=policy))

    def begin_writing(self, command):
        self.at("lab-a")
        self.go()
        self.guest(self.hv).do("run", command)

    def go(self, expected=0):
        """What a run said."""
        status, out = self.run_inside()
        self.assertEqual(status, expected, brief(status, out))
        return brief(status, out)

    def assert_stayed(self):
        self.assertEqual([self.where(), self.files(self.other)], [["lab-a"], []])

    def test_writes_faster_than_it_is_sent(self):
        self.begin_writing(f"{fill(8)}; {AGAIN}")
        self.at("lab-b", bandwidth="8MiB/s", timeout="1s")
        with self.hv.guest("web").keeps_beating(max_gap=20):
            told = self.go(1)
        self.assertIn("the guest writes to its disks faster than they can be sent: the migration was given up", told)
        self.assert_stayed()

    def test_no_room_left_while_it_is_sent(self):
        """Its QEMU pauses it: what isn't written yet is in no file, and it stays where it can be."""
        self.hv.run("mkdir", "-p", POOL)
        self.hv.run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", POOL)
        try:
            self.without_room()
        finally:
            self.hv.run("umount", "-l", POOL)

    def without_room(self):
        self.begin_writing("true")
        self.at("lab-b", bandwidth="1MiB/s")
        process = self.start({})
        self.until(lambda: self.hv.domain("web").jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
        self.guest(self.hv).do("run", fill(24) + " &")
        out = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 1, brief(process.returncode, out))
        self.assertEqual(self.hv.domain("web").state(), [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR])
        self.assert_stayed()

    def until(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


class Shared(Faults):
    def refused(self, status, reason):
        """The machine runs on here, and nothing was touched."""
        files = self.listing(self.hv, SHARED)
        told = self.run_inside()
        self.assertEqual(told[0], status, brief(*told))
        self.assertIn(reason, brief(*told))
        self.write_at("lab-a")
        self.assert_one_run(brief(*told))
        self.assertEqual(self.listing(self.hv, SHARED), files)

    def test_what_libvirt_does_not_know_to_be_shared(self):
        """It may be right that disks on such storage aren't safe there: nobody insists."""
        for host in (self.hv, self.other):
            os.makedirs(self.hv.path("plain"), exist_ok=True)
            host.run("mount", "--bind", self.hv.path("plain"), SHARED)
            self.addCleanup(host.run, "umount", SHARED)
        self.more = {"disks": [{"target": target, "size": "16MiB", "pool": "shared", "cache": "writeback"} for target in ("vda", "vdb")]}
        self.more["disks"][1]["bootIndex"] = 1
        self.begin("live_shared")
        self.write_at("lab-b")
        self.refused(1, "Migration without shared storage is unsafe")

    def test_what_is_not_declared_to_be_shared(self):
        """It would be copied onto itself."""
        for spec in self.host_specs.values():
            del spec["sharedPools"]
        self.begin("live_shared")
        self.write_at("lab-b")
        self.refused(3, f"there is a file {SHARED}/web-vda.qcow2 on lab-b already")

    def test_paused(self):
        self.begin("live_mixed")
        self.more = {"powerState": "paused"}
        self.write_at("lab-a")
        self.assertEqual(self.run_inside()[0], 0)
        beats = self.disks(self.hv)
        self.write_at("lab-b")
        status, out = self.run_inside()
        self.assertEqual(status, 0, brief(status, out))
        self.assertEqual([self.copies(), self.disks(self.other)], [[("lab-b", libvirt.VIR_DOMAIN_PAUSED)], beats])
        self.more = {}
        self.write_at("lab-b")
        self.assertEqual(self.run_inside()[0], 0)
        self.check("resumed")
        self.assertGreater(self.disks(self.other)[0], beats[0])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
