#!/usr/bin/python3
"""A few of the places where taking and removing snapshots may be interrupted (all: tests/soak/test_faults.py)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
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


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
