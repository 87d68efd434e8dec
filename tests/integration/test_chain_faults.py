#!/usr/bin/python3
"""A few of the places of tests/soak/test_faults_chain.py."""

from chain_case import lab
import chain_faults


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

    def test_helper_that_outlives_libvirtd(self):
        """All is done but that: the next run ends it."""
        self.sample(chain_faults.FlattenStopped, self.kill_libvirtd, "replace: switched")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
