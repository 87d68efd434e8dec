#!/usr/bin/python3
"""A host that was given up comes back with its older copy: reconcile and its libvirtd killed at each place of what follows."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import brief, COMMON, Faults, POOL  # noqa: E402


class GivenUp(Faults):
    """A host that was given up comes back with its older copy, which runs, or is off: it is kept, and never runs again."""

    def come_back(self, runs):
        """The next run sees both copies."""
        self.begin("cold_running" if runs else "cold_stopped")
        self.host_specs["lab-a"]["fenced"] = True
        self.write_at("lab-b")
        status, out = self.run_inside()
        self.assertEqual(status, 0, brief(status, out))
        del self.host_specs["lab-a"]["fenced"]
        self.write_at("lab-b")

    def end(self):
        self.host_specs["lab-a"].pop("fenced", None)
        self.tearDown()

    def kept(self, place, kill):
        command = {"RECONCILE_FAULT_COMMAND": f"kill -9 {self.hv.daemon.pid} || true"} if kill == "older" else {}
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": place, **command})
        told = f"after {kill} at {place}: {brief(status, out)}"
        if self.hv.daemon.poll() is not None:
            self.hv.restart_daemon()
        told = self.run_until_quiet(told)
        newest = libvirt.VIR_DOMAIN_RUNNING if self.runs else libvirt.VIR_DOMAIN_SHUTOFF
        self.assertEqual(self.copies(), [("lab-a", libvirt.VIR_DOMAIN_SHUTOFF), ("lab-b", newest)], told)
        self.assertEqual(self.hv.domain("web").autostart(), 0, told)
        self.assertEqual([self.listing(self.hv, POOL), self.on_disk(self.hv)], [self.own, self.content], told)
        # Its host alone doesn't start it either.
        uri, self.host_specs["lab-b"]["uri"] = self.host_specs["lab-b"]["uri"], "qemu+unix:///system?socket=/nonexistent"
        self.write_at("lab-a", powerState="running")
        status, out = self.run_inside()
        self.host_specs["lab-b"]["uri"] = uri
        self.assertEqual([status, self.hv.domain("web").isActive()], [1, 0], brief(status, out))

    def everywhere(self, runs, kill):
        budget, log = lab.Budget(), self.hv.path("names")
        self.come_back(runs)
        status, out = self.run_inside(faults={"RECONCILE_FAULT_LOG": log})
        self.assertEqual(status, 0, brief(status, out))
        places = list(dict.fromkeys(name for name in self.passed(log) if not name.endswith(COMMON)))
        self.assertIn("move: older copy kept", places)
        self.end()
        done = 0
        for place in budget.draw(places):
            with self.subTest(runs=runs, kill=kill, place=place):
                self.come_back(runs)
                self.kept(place, kill)
                done += 1
            self.end()
        lab.figure(f"older copy {'runs' if runs else 'is off'}, {kill}: {done} of {len(places)} places{budget.told()}")

    def test_runs(self):
        self.everywhere(True, "reconcile")

    def test_runs_daemon(self):
        self.everywhere(True, "older")

    def test_off(self):
        self.everywhere(False, "reconcile")

    def test_off_daemon(self):
        self.everywhere(False, "older")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
