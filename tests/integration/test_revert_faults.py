#!/usr/bin/python3
"""Some of the places at which tests/soak/test_faults_revert.py kills, on machines that don't run."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import faults  # noqa: E402
import revert  # noqa: E402


class Some(revert.TestCase, faults.TestCase):
    def some(self, scenario, kill, wanted):
        names = self.begin(scenario)
        for step, name in enumerate(wanted, 2):
            with self.subTest(name):
                self.assertTrue(self.at(step, names.index(name) + 1, kill, name))

    def test_external(self):
        self.some(revert.KeepingThePresent(), self.kill_reconcile,
                  ("revert: machine off", "snapshot: taken", "revert: layer made", "revert: gone back", "revert: notes written"))

    def test_without_safety(self):
        self.some(revert.Stopped(), self.kill_reconcile, ("revert: gone back", "revert: abandoned layer deleted"))

    def test_between_two_snapshots(self):
        """What was abandoned there the last time, and what is now."""
        self.begin(revert.Between())
        for step in (2, 3):
            names = self.places(step)
            self.converge(f"going back the time {step}")
        self.assertEqual(names.count("revert: abandoned layer deleted"), 2)

    def test_what_a_snapshot_held_goes_with_it(self):
        """On a branch that was left, by the same run, which looks again after the revert."""
        self.begin(revert.WithMore())
        names = self.places(2)
        self.converge("the second time")
        for step, name in enumerate(("run: looks again", "snapshot: branch noted", "snapshot: layer removed"), 3):
            with self.subTest(name):
                self.assertTrue(self.at(step, names.index(name) + 1, self.kill_reconcile, name))

    def test_within_the_file(self):
        self.some(revert.Within(), self.kill_reconcile, ("revert: record given", "revert: gone back within the file"))

    def test_libvirtd(self):
        self.some(revert.Stopped(), self.kill_libvirtd, ("revert: layer made", "revert: gone back"))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
