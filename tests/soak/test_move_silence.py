#!/usr/bin/python3
"""A host that falls silent while a machine arrives on it: the machine never runs on both."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
from move_case import MoveCase  # noqa: E402
from move_faults import Faults, brief  # noqa: E402


class Silence(MoveCase):
    def test_what_may_run_there_is_not_started_here(self):
        """The other host is silent from the moment when the machine was started there."""
        log = self.hv.path("places")
        for host in ("lab-a", "lab-b", "lab-a"):
            self.write(self.machine(host, migration={"mode": "cold"}))
            self.env["RECONCILE_FAULT_LOG"] = log
            self.apply()
            with open(log, encoding="utf-8") as file:
                places = file.read().splitlines()
            os.unlink(log)
        number = next(i for i, place in enumerate(places, 1) if place.startswith("move: started there"))
        self.write(self.machine("lab-b", migration={"mode": "cold"}))
        self.env.update({"RECONCILE_FAULT_AT": str(number), "RECONCILE_FAULT_COMMAND": f"kill -9 {self.other.daemon.pid}"})
        told = self.run_product(status=None)
        self.other.daemon.wait()
        self.other.restart_daemon()
        for key in ("RECONCILE_FAULT_AT", "RECONCILE_FAULT_COMMAND", "RECONCILE_FAULT_LOG"):
            self.env.pop(key)
        self.assertNotEqual(told.status, 0)
        self.assertFalse(self.hv.domain("web").isActive())
        self.assertIn("may run on the other host", str([told.json()["results"], told.stderr]))
        self.assertTrue(self.other.domain("web").isActive())
        self.apply()
        self.assert_moved()


class OutOfReach(Faults):
    def test_in_the_middle_of_a_look(self):
        """The cable is cut while several calls wait on one TCP connection: the run ends, and not only when the kernel gives up."""
        self.begin("cold_stopped")
        for n in range(20):
            self.other.define(f"more{n}")
        self.write_at("lab-a", title="new")
        cut = f"nsenter -t {self.other.keeper.pid} -n ip link set cable down"
        begun = time.monotonic()
        try:
            status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "observe: connected: qemu+tcp://lab-b/system#1", "RECONCILE_FAULT_COMMAND": cut})
        finally:
            self.restore("link")
        lab.figure(f"patience 1 s, a run whose second host is out of reach in the middle of a look: {time.monotonic() - begun:.1f} s")
        self.assertEqual(status, 1, brief(status, out))
        self.assertRegex(out[0], "keepalive timeout|no answer since|No route to host")
        self.assertIn("new", self.hv.domain("web").XMLDesc())
        end = time.monotonic() + 60
        status, out = self.run_inside()
        while status != 0 and time.monotonic() < end:  # the kernel doesn't find the way at once
            status, out = self.run_inside()
        self.assertEqual(status, 0, brief(status, out))

    def test_its_target_takes_nothing_any_more(self):
        """QEMU there stands still, while both libvirtds answer: the migration is ended, and the machine goes on."""
        self.begin("live_shared")
        self.write_at("lab-b", migration={"bandwidth": "1MiB/s"})
        stop = f"kill -STOP $(cat {self.other.path('run/libvirt/qemu/web.pid')})"
        begun = time.monotonic()
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "migrate: memory is sent", "RECONCILE_FAULT_COMMAND": stop})
        lab.figure(f"patience 1 s, a run whose target takes nothing any more: {time.monotonic() - begun:.1f} s")
        self.assertEqual(status, 1, brief(status, out))
        self.assertIn("nothing of it was taken on lab-b any more", out[0])
        self.assertEqual(self.running(), ["lab-a"], out[0])

    def test_while_the_source_connects_to_it(self):
        """Nobody there watches that: the run gives it up, and what libvirt does with it then, the next one ends."""
        self.begin("live_shared")
        self.write_at("lab-b")
        begun = time.monotonic()
        try:
            status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "migrate: prepared", "RECONCILE_FAULT_COMMAND": f"kill -STOP {self.other.daemon.pid}"})
        finally:
            self.other.daemon.send_signal(signal.SIGCONT)
        lab.figure(f"patience 1 s, a run whose target hangs when the source's libvirtd connects to it: {time.monotonic() - begun:.1f} s")
        self.assertEqual(status, 1, brief(status, out))
        self.assertIn("still waits for lab-b, which can't be asked", out[0])
        self.assertEqual(self.running(), ["lab-a"], out[0])
        self.settle()
        self.assertEqual(len(self.running()), 1)
        self.assert_one_run(brief(status, out))
        self.assertEqual([self.running(), self.guest(self.other).starts()], [["lab-b"], self.starts])


if __name__ == "__main__":
    lab.main()
