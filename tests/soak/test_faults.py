#!/usr/bin/python3
"""Reconcile, and libvirtd, killed at each numbered place of plans that create, change, grow, attach,
start, stop and delete: the next run converges, and what guests wrote is intact."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import faults  # noqa: E402

SCENARIOS = (faults.Create, faults.Change, faults.Snapshots)


class Everywhere(faults.TestCase):
    def test_reconcile(self):
        self.through_all(SCENARIOS, self.kill_reconcile)

    def test_libvirtd(self):
        self.through_all(SCENARIOS, self.kill_libvirtd)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
