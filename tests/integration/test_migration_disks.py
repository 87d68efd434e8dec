#!/usr/bin/python3
"""A machine that moves with one disk on storage that both hosts have and one that is copied: libvirt touches the second alone."""

import hashlib
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import POOL, brief  # noqa: E402
from move_within import Within  # noqa: E402


class Mixed(Within):
    def shared_file(self):
        """What it is and holds, past what the hosts see of it."""
        path = self.hv.path("shared/web-vda.qcow2")
        with open(path, "rb") as file:
            return os.stat(path).st_ino, hashlib.sha256(file.read()).hexdigest()

    def record(self):
        """How often it has moved, and where it is, as its record says."""
        xml = self.at_home().domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace("&quot;", '"')
        return int(re.search(r'"epoch":(\d+)', xml).group(1)), re.search(r'"home":"([^"]+)"', xml).group(1)

    def go(self):
        """To the other host, and all is as it shall be; what the plan does, and what libvirt told QEMU where it came from."""
        source, shared = self.at_home(), self.shared_file()
        self.write_at(self.away())
        with self.heard(source) as told:
            status, out = self.run_inside()
        self.assertEqual(status, 0, brief(status, out))
        self.check(brief(status, out))
        self.assertEqual(self.shared_file(), shared)
        return json.loads(out[0])["actions"], told

    def test_live_and_cold(self):
        self.begin("live_mixed")
        for epoch, home in ((1, "lab-b"), (2, "lab-a")):
            actions, told = self.go()
            self.assertEqual([action["args"]["path"] for action in actions if action["kind"] == "move-prepare"], [f"{POOL}/web-vdb.qcow2"])
            mirrors = [line for line in told if '"blockdev-mirror"' in line]
            self.assertEqual(["vdb" in line for line in mirrors], [True], mirrors)
            self.assertEqual(self.record(), (epoch, home))
        self.way = "cold_mixed"
        for epoch, home in ((3, "lab-b"), (4, "lab-a")):
            actions, _ = self.go()
            self.assertEqual([action["args"]["path"] for action in actions if action["kind"] == "move-volume"], [f"{POOL}/web-vdb.qcow2"])
            self.assertEqual(self.record(), (epoch, home))

    def test_interrupted(self):
        self.begin("cold_mixed")
        for kill, place in (("reconcile", "move: volume copied"), ("target", "move: defined there"), ("reconcile", "move: undefined here")):
            with self.subTest(kill=kill, place=place):
                self.assertTrue(self.interrupt(kill, place))

    def test_both_run(self):
        """The older one is powered off at once, since it writes to the newer one's disk, and kept for what it wrote to its own."""
        self.begin("live_mixed")
        at = ("target", "target", "after cont")
        told = self.interrupt_said(*at)
        self.assertTrue(told)
        status, out = self.run_inside("--dry-run")
        self.assertEqual([each["description"] for each in json.loads(out[0])["actions"]], ["power off the older copy on lab-a"], brief(status, out))
        self.killed("move: older copy not to be deleted")  # its record says no more where it came from: what is shared is declared
        self.assertEqual(self.assert_followed(told, at), 2)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
