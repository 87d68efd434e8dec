#!/usr/bin/python3
"""A few of the places where taking and removing snapshots may be interrupted (all: tests/soak/test_faults.py)."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from snapshot_case import SnapshotCase, lab  # noqa: E402
import faults  # noqa: E402


class Some(faults.TestCase):
    def test_taking_and_removing(self):
        scenario = faults.Snapshots()
        names = self.begin(scenario)
        back = self.places(2)
        self.converge("the way back")
        for step, name, kill in ((3, "snapshot: taken", self.kill_reconcile), (4, "layers: merged", self.kill_reconcile),
                                 (5, "snapshot: begun", self.kill_libvirtd), (6, "snapshot: layer removed", self.kill_libvirtd)):
            number = (names if step % 2 else back).index(name) + 1
            self.at(step, number, kill, name)
        for step, place in ((7, "snapshot: recorded"), (9, "snapshot: taken")):  # the last one: no later one refreshes the pool
            last = max(number for number, name in enumerate(names, 1) if name == place)
            self.places(step - 1)
            self.assertTrue(self.at(step, last, self.kill_reconcile, place))


class HalfMade(SnapshotCase):
    def test_layer(self):
        """libvirtd died while it made the layer: the file is empty, or says that it holds nothing."""
        self.apply(powerState="stopped")
        for number, make in enumerate((["truncate", "-s", "0"], ["qemu-img", "create", "-q", "-f", "qcow2"])):
            name = f"s{number}"
            self.declare(name)
            process = self.hv.start_reconcile(self.hv.path("specs"), env={**self.hv.env, "RECONCILE_FAULT_AT": "snapshot: begun"})
            process.communicate()
            self.assertEqual(process.returncode, -9)
            path = self.path(f"web-vda.{name}.qcow2")
            subprocess.run([*make, path, *(["0"] if number else [])], check=True)
            self.hv.give(path)
            self.apply(name)
            self.assertEqual(self.sources(), {"vda": f"web-vda.{name}.qcow2"})
            self.apply()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
