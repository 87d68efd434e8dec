#!/usr/bin/python3
"""A few of the places of tests/soak/test_faults_chain.py."""

import os
import signal

from chain_case import lab
import chain_faults
import counting


class Some(chain_faults.TestCase):
    def sample(self, scenario, kill, *places):
        """Interrupted right after each of the named places was passed for the first time."""
        killed, _ = self.at_places(scenario(), kill, lambda number, names: names[number - 1] in places and
                                names.index(names[number - 1]) == number - 1)
        self.assertEqual(killed, len(places))

    def test_commit_stopped(self):
        self.sample(chain_faults.CommitStopped, self.kill_reconcile, "block job: ready", "layers: merged", "layers: definition")

    def test_commit_running(self):
        self.sample(chain_faults.CommitRunning, self.kill_libvirtd, "block job: started")

    def test_flatten_stopped(self):
        self.sample(chain_faults.FlattenStopped, self.kill_reconcile, "replace: made")

    def test_flattened_and_qemu_dies(self):
        """QEMU keeps to itself where it wrote what it pulled, until a guest asks for a flush; this one never does."""
        scenario = chain_faults.FlattenRunning()
        self.begin(scenario)
        self.write(2)
        content = counting.content(self.hv, "web")
        self.assertEqual(self.apply().status, 0)
        with open(self.hv.path("run/libvirt/qemu/run/web.pid"), encoding="utf-8") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        self.hv.guest("web").wait(lambda _: not self.hv.domain("web").isActive(), "the machine's end")
        self.assertEqual(counting.content(self.hv, "web"), content)

    def test_flush_is_taken_up(self):
        self.sample(chain_faults.FlattenRunning, self.kill_reconcile, "layers: merged", "layers: flushed")

    def test_helper_that_outlives_libvirtd(self):
        """All is done but that: the next run ends it."""
        self.sample(chain_faults.FlattenStopped, self.kill_libvirtd, "replace: switched")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
