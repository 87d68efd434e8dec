#!/usr/bin/python3
"""Moves between two hosts in the middle of which something else happens: a file that is changed, a snapshot, a host that is given up."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import brief, Faults, POOL  # noqa: E402


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
        self.assertIn("libvirt here doesn't know all of its snapshots yet (one, ", brief(status, out))
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
            self.assertIn("snapshot late of domain web was made since this was planned", brief(status, out))
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
        self.assert_nothing_goes_with_it()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
