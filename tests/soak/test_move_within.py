#!/usr/bin/python3
"""Live moves, on shared storage, with their disks, and with one disk of each kind, that are interrupted within libvirt's own call:
reconcile, either libvirtd killed, the link cut, right before and right after each thing that one of the two libvirtds says to its QEMU
or to the other one, and while disks or memory are sent. Afterwards exactly one copy runs, but at the few moments where libvirt itself lets both run or none
(move_within.py names them), and one run ends all of it as tests/soak/test_move_faults.py says.

MOVE_WITHIN=WORD,... runs only what has all of the words in its name: "live_copy,link"; MOVE_AT=REGEX only such moments."""

import collections
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
from move_faults import KILLS, brief  # noqa: E402
from move_within import Within  # noqa: E402


class All(Within):
    def interrupt(self, kill, place):
        """One that isn't passed on the way there is on the way back: disks are copied there only."""
        who, moment = place
        for _ in range(2):
            told = self.interrupt_sending(kill, moment) if who == "QEMU" else self.interrupt_said(kill, who, moment)
            if told:
                return self.assert_followed(told, (kill, who, moment))
        return None

    def test_taken_up(self):
        """What ends it is interrupted too."""
        for way in ("live_shared", "live_copy"):
            self.begin(way)
            for at, place in ((("source", "source", "before finish call"), "move: runs on here"), (("target", "target", "before cont"), "move: undefined there")):
                with self.subTest(way=way, place=place):
                    told = self.interrupt_said(*at)
                    self.assertTrue(told)
                    self.settle()
                    self.killed(place)
                    self.assertEqual(len(self.running()), 1)
                    self.assert_one_run(told)
            self.tearDown()

    def test_powered_off(self):
        """What stood still with memory that is older than its disks, where the next run is killed too."""
        self.split("live_shared")
        self.other.domain("web").destroy()
        self.host_specs["lab-b"]["fenced"] = True
        self.write_at("lab-a")
        self.killed("move: powered off here")
        self.assertEqual(self.running(), [])
        status, out = self.run_inside()
        self.assertEqual([status, self.running()], [0, ["lab-a"]], brief(status, out))
        self.guest(self.hv).wait_heartbeat()
        self.assertEqual([self.on_disk(self.hv), self.guest(self.hv).starts()], [self.content, self.starts + 1])

    def everywhere(self, way, kill):
        budget = lab.Budget()
        self.taken_out = 0
        self.begin(way)
        moments = [("QEMU", "memory"), *([("QEMU", "disks")] if way == "live_copy" else []), *self.moments()]
        self.assertGreater(len(moments), 16)
        moments = [each for each in moments if re.search(os.environ.get("MOVE_AT", ""), " ".join(each))]
        began, ran, missed, tried = time.monotonic(), collections.Counter(), [], 0
        for place in budget.draw(moments):
            fine = False
            with self.subTest(way=way, kill=kill, place=place):
                tried += 1
                number = self.interrupt(kill, place)
                ran[number] += 1
                missed += [" ".join(place)] if number is None else []
                fine = True
            if not fine:  # the next one begins anew
                for each in KILLS:
                    self.restore(each)
                self.tearDown()
                self.begin(way)
        self.assertLessEqual(len(missed), tried / 4, missed)
        lab.figure(f"{way}, {kill}: {tried} of {len(moments)} moments, {time.monotonic() - began:.0f} s, before the next run one copy ran after "
                   f"{ran[1]}, both after {ran[2]}, none after {ran[0]}{f', what libvirt left in QEMU taken out {self.taken_out} times' if self.taken_out else ''}{budget.told()}" + (f", not passed: {', '.join(missed)}" if missed else ""))


def add(way, kill):
    def test(self):
        self.everywhere(way, kill)
    setattr(All, f"test_{way}_{kill}", test)


for each_way in ("live_shared", "live_copy", "live_mixed"):
    for each_kill in KILLS:
        words = filter(None, os.environ.get("MOVE_WITHIN", "").split(","))
        if all(word in f"{each_way} {each_kill}" for word in words):
            add(each_way, each_kill)

if __name__ == "__main__":
    lab.need_binary()
    lab.main()
