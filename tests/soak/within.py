#!/usr/bin/python3
"""libvirtd killed in the middle of what it is asked for, a moment after a numbered place that SOAK_SEED draws: while it takes
snapshots, with the memory and without, merges layers and flattens. The next run ends in the wanted state, guests never stopped."""

import glob
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from chain_case import lab  # noqa: E402
import chain_faults  # noqa: E402
import counting  # noqa: E402
import faults  # noqa: E402

class Taking(faults.Snapshots):
    """Removed undisturbed."""


SCENARIOS = (Taking, chain_faults.CommitRunning, chain_faults.CommitStopped, chain_faults.FlattenRunning, chain_faults.FlattenStopped,
             chain_faults.AroundSnapshots)


class Within(chain_faults.TestCase):
    def order(self, names):
        """Those first at which libvirt is asked for what takes it a while: places say what has been done before."""
        slow = [number for number, name in enumerate(names, 1) if name in ("snapshot: begun", "layers: noted", "block job: started", "block job: ready",
                                                                           "offline: files locked", "replace: made", "snapshot: layer removed")]
        return [*self.budget.shuffled(slow), *(number for number in super().order(names) if number not in slow)]

    def converge(self, where):
        try:
            super().converge(where)
        except AssertionError:
            if not where.startswith("kill"):
                raise
            self.restarted.append(where)
            self.restart_machine()
            super().converge(where)

    def forgotten(self):
        """Processes of machines that libvirt knows nothing of any more."""
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    text = file.read()
            except OSError:
                continue
            if b"guest=web," in text and self.hv.path("").encode() in text:
                yield int(path.split("/")[2])

    def restart_machine(self):
        domain = self.hv.domain("web")
        runs = domain.isActive()
        if runs:
            domain.destroy()
        for pid in self.forgotten():
            os.kill(pid, signal.SIGKILL)
            runs = True
        if runs:
            domain.create()
            self.scenario.starts = counting.came_up(self.hv, "web")

    def kill(self, number):
        if isinstance(self.scenario, Taking) and not self.scenario.taking:
            self.assertEqual(self.apply().status, 0)
            return False
        return self.kill_within(number)

    def test_libvirtd(self):
        self.restarted = []
        self.through_all(SCENARIOS, self.kill)
        lab.figure(f"restarted for it: {len(self.restarted)} times: {', '.join(self.restarted)}")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
