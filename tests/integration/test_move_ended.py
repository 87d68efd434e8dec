#!/usr/bin/python3
"""Moves that are told to end, by SIGTERM: the machine runs, once, and the next run moves it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
from move_faults import Faults, POOL, brief  # noqa: E402
from service_case import Passed, wait_for  # noqa: E402


class Ended(Faults):
    def begun(self, place, command="true"):
        """A move; and whether it has passed a place."""
        self.write_at(self.away())
        passed = Passed(self)
        return self.start({"RECONCILE_FAULT_LOG": passed.log, "RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command}), passed

    def ended(self, process):
        """By SIGTERM; what it said."""
        out = process.communicate(timeout=60)
        self.assertNotIn(process.returncode, (0, 2, -15), out)
        return brief(process.returncode, out)

    def assert_moves(self, told):
        """By the next run."""
        self.settle()
        self.assertLessEqual(len(self.running()), 1, told)
        self.assert_one_run(told)

    def test_it_goes_off_later(self):
        """The guest was asked to shut down, and nobody waits for that any more: it runs again, where it belongs."""
        self.begin("cold_unsaid")
        source = self.hv
        process, passed = self.begun("shutdown: to be asked for", f"virsh -c '{source.uri}' suspend web")
        wait_for(lambda: passed("shutdown: asked for"), "it is asked")
        process.terminate()
        told = self.ended(process)
        domain = source.domain("web")
        self.assertEqual(domain.isActive(), 1, told)
        domain.resume()
        domain.shutdown()  # QEMU that stands still takes no notice of the power button
        wait_for(lambda: not domain.isActive(), told)
        self.assert_moves(told)

    def test_between_two_actions(self):
        """What was shut down is started again, at once."""
        self.begin("cold_unsaid")
        process, passed = self.begun("domain-shutdown: acted", "kill -TERM $PPID; sleep 0.5")  # the program's own process
        told = self.ended(process)
        self.assertTrue(passed("move: started here again"), told)
        self.assertEqual([self.running(), self.listing(self.other, POOL)], [["lab-a"], []], told)
        self.assertIn("not begun; the machine was started again where it was", told)
        self.assert_moves(told)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
