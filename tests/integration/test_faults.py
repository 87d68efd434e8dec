#!/usr/bin/python3
"""A few of the places of tests/soak/test_faults.py, spread over a plan that creates and one that changes."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import faults  # noqa: E402


class Some(faults.TestCase):
    def sample(self, scenario, kills):
        names = self.begin(scenario)
        self.assertGreater(len(names), 20, "the program is built without RECONCILE_FAULTS")
        for i, kill in enumerate(kills):
            number = 1 + (2 * i + 1) * len(names) // (2 * len(kills))
            self.at(2 + i, number, kill, names[number - 1])

    def test_create(self):
        self.sample(faults.Create(), [self.kill_reconcile] * 3)

    def test_change(self):
        self.sample(faults.Change(), [self.kill_reconcile, self.kill_reconcile, self.kill_libvirtd, self.kill_reconcile])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
