#!/usr/bin/python3
"""Reconcile, and libvirtd, killed at each numbered place of going back to a snapshot: the next run gets there, the
machine runs again if it ran, the disk holds what the snapshot did, and nothing is left over."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import faults  # noqa: E402
import revert  # noqa: E402

SCENARIOS = (revert.Stopped, revert.Between, revert.KeepingThePresent, revert.WithMore, revert.Within, revert.Running, revert.Resumed)


class Everywhere(revert.TestCase, faults.TestCase):
    def test_reconcile(self):
        self.through_all(SCENARIOS, self.kill_reconcile)

    def test_libvirtd(self):
        self.through_all(SCENARIOS, self.kill_libvirtd)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
