#!/usr/bin/python3
"""Reconcile, and libvirtd, killed at each place of runs that merge layers, flatten and replace disks, of running
and stopped machines: the next run ends in the wanted state, content and files are what they shall be."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from chain_case import lab  # noqa: E402
import chain_faults  # noqa: E402


class Everywhere(chain_faults.TestCase):
    def test_reconcile(self):
        self.through_all(chain_faults.SCENARIOS, self.kill_reconcile)

    def test_libvirtd(self):
        self.through_all(chain_faults.SCENARIOS, self.kill_libvirtd)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
