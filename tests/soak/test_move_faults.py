#!/usr/bin/python3
"""Moves between two hosts that are interrupted: reconcile, the source's libvirtd, the target's libvirtd killed, and the
link between the hosts cut, at each place that a move passes, for each way of moving. The program runs on lab-a and
reaches lab-b through the link. Afterwards at most one copy runs, what is on the disks is what was written, and the next
runs end with exactly one copy, where it shall be, and nothing left anywhere.

MOVE_FAULTS=WORD,... runs only what has all of the words in its name: "live_shared,link"."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import brief, COMMON, Faults, KILLS, POOL, WAYS  # noqa: E402


class All(Faults):
    def everywhere(self, way, kill):
        budget = lab.Budget()
        self.begin(way)
        places = self.places()
        self.assertGreater(len(places), 3, "the program is built without RECONCILE_FAULTS")
        began, tried, passed, missed = time.monotonic(), 0, 0, []
        for place in budget.draw(places):
            fine = False
            with self.subTest(way=way, kill=kill, place=place):
                tried += 1
                if self.interrupt(kill, place):
                    passed += 1
                else:
                    missed.append(place)
                fine = True
            if not fine:  # the next one begins anew
                self.restore(kill)
                self.tearDown()
                self.begin(way)
        lab.figure(f"{way}, {kill}: {passed} of {tried} tried, {len(places)} places, {time.monotonic() - began:.0f} s{budget.told()}" +
                   (f", not passed: {', '.join(missed)}" if missed else ""))


class Meanwhile(Faults):
    def test_autostart(self):
        """It goes along live, whether the file says so or not, also where the move was interrupted. (Cold: each check.)"""
        self.begin("live_copy")
        for said, place in (({}, None), ({"autostart": True}, "migrate: ended")):
            self.more = said
            self.write_at(self.away())
            if place:
                self.killed(place)
            self.converge(place or "moved")

    def test_changed_back(self):
        """It shall be where it was again, while its copy is elsewhere already: one run ends what was begun, and brings it back."""
        for way in ("cold_stopped", "cold_running"):
            self.begin(way)
            for place in ("move: defined there", "move: started there", "move: undefined here"):
                if way == "cold_stopped" and place == "move: started there":
                    continue
                self.write_at(self.away())
                self.killed(place)
                self.write_at(self.away())
                with self.subTest(way=way, place=place):
                    self.assert_one_run()
            self.tearDown()

    def test_its_snapshots_are_still_to_come(self):
        """libvirt doesn't know them yet where it arrived: until then nothing is done to it there."""
        self.begin("snapshots_running")
        self.write_at("lab-b", chain={"maxDepth": 1})
        self.killed("move: snapshot told there#2")
        uri = self.host_specs["lab-a"]["uri"]
        self.host_specs["lab-a"]["uri"] = "qemu+unix:///system?socket=/nonexistent"
        self.write_at("lab-b", chain={"maxDepth": 1})
        status, out = self.run_inside()
        self.assertIn("libvirt here doesn't know all of its snapshots yet (one, two, within)", brief(status, out))
        self.assertEqual(self.running(), [])
        self.host_specs["lab-a"]["uri"] = uri
        self.write_at("lab-b")
        self.assert_one_run()

    def test_memory_comes_along(self):
        """Live it is refused; it goes back to its memory where it arrived."""
        self.begin("cold_running")
        first = [{"name": "first", "memory": True}]
        self.write_at("lab-a", snapshots=first)
        self.assertEqual(self.run_inside()[0], 0)
        for mode in ("live", "auto"):
            self.write_at("lab-b", snapshots=first, migration={"mode": mode})
            self.assertIn("libvirt migrates none that has snapshots", brief(*self.run_inside("--dry-run")))
        self.write_at("lab-b", snapshots=first)
        self.assert_quiet_run()
        guest = self.guest(self.other)
        guest.wait(lambda g: g.starts() == 2, "second start")
        guest.wait_heartbeat()
        self.write_at("lab-b", snapshots=first, revert={"to": "first", "request": "r1"})
        self.assert_quiet_run()
        guest.wait_heartbeat(2)
        self.assertEqual([guest.starts(), self.other.domain("web").isActive()], [2, 1])

    def test_one_that_a_person_makes_meanwhile(self):
        """After the disks were copied: it isn't moved without that, and then with it."""
        for way in ("cold_stopped", "snapshots_stopped"):
            self.begin(way)
            self.write_at("lab-b")
            status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "move-volume: acted#2",
                                                  "RECONCILE_FAULT_COMMAND": f"virsh -c '{self.hv.uri}' snapshot-create-as web late >/dev/null"})
            self.assertIn("snapshot late was made since this was planned", brief(status, out))
            self.assertEqual([self.copies(), self.listing(self.other, POOL)], [[("lab-a", libvirt.VIR_DOMAIN_SHUTOFF)], []])
            self.notes = self.snapshots(self.hv)
            self.assertIn("late", [name for name, _, _ in self.notes])
            self.assert_one_run()
            self.tearDown()

    def test_declared_while_it_moves_live(self):
        """Taken when it has moved, by the same run: it would keep it from that."""
        self.begin("live_copy")
        self.write_at("lab-b", snapshots=[{"name": "first"}])
        self.assert_quiet_run()
        self.assertEqual([[each.getName() for each in self.other.domain("web").listAllSnapshots()], self.running()], [["first"], ["lab-b"]])
        self.assertEqual(self.guest(self.other).starts(), 1)

    def assert_quiet_run(self):
        for arguments in ((), ("--dry-run",)):
            status, out = self.run_inside(*arguments)
            self.assertEqual(status, 0, brief(status, out))

    def test_given_up(self):
        """Which wasn't off. What the machine was here since counts, and nothing of it goes for what comes back."""
        self.begin("cold_running")
        self.write_at("lab-b")
        self.killed("move: started there")
        self.assertEqual(self.running(), ["lab-b"])
        self.host_specs["lab-b"]["fenced"] = True
        self.write_at("lab-a")
        status, out = self.run_inside()
        self.assertEqual([status, sorted(self.running())], [0, ["lab-a", "lab-b"]], brief(status, out))
        self.assertEqual(self.run_inside("--dry-run")[0], 0)
        # Off here when that host is seen again, and running there: nobody chooses.
        self.on_disk(self.hv)
        self.hv.domain("web").destroy()
        del self.host_specs["lab-b"]["fenced"]
        self.write_at("lab-a")
        status, out = self.run_inside()
        self.assertEqual([status, self.listing(self.hv, POOL), self.running()], [1, self.own, ["lab-b"]], brief(status, out))
        self.assertIn("it is on lab-a and on lab-b", brief(status, out))
        # Off there too, the older one stays so.
        self.other.domain("web").destroy()
        status, out = self.run_inside()
        self.assertEqual([status, self.running(), self.listing(self.hv, POOL)], [0, ["lab-a"], self.own], brief(status, out))
        self.assertIn("an older copy of it, which is off, is kept on lab-b", brief(status, out))
        self.on_disk(self.hv)


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
        for _ in range(4):
            status, out = self.run_inside()
            told += f"\nthen {brief(status, out)}"
            if status == 0:
                break
            time.sleep(1)
        self.assertEqual(status, 0, told)
        status, out = self.run_inside("--dry-run")
        self.assertEqual(status, 0, f"{told}\nthe second run: {brief(status, out)}")
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


def add(way, kill):
    def test(self):
        self.everywhere(way, kill)
    setattr(All, f"test_{way}_{kill}", test)


for each_way in WAYS:
    for each_kill in KILLS:
        words = filter(None, os.environ.get("MOVE_FAULTS", "").split(","))
        if all(word in f"{each_way} {each_kill}" for word in words):
            add(each_way, each_kill)

if __name__ == "__main__":
    lab.need_binary()
    lab.main()
