#!/usr/bin/python3
"""Moves between two hosts that are interrupted: reconcile, the source's libvirtd, the target's libvirtd killed, and the
link between the hosts cut, at each place that a move passes, for each way of moving. The program runs on lab-a and
reaches lab-b through the link. Afterwards at most one copy runs (of what moves live: exactly one, which is never started
anew). When what was interrupted is back, one run ends with exactly one copy, where it shall be, what is on the disks is
what was written, nothing is left anywhere, and a second run has nothing to do.

MOVE_FAULTS=WORD,... runs only what has all of the words in its name: "live_shared,link"."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
from move_faults import Faults, KILLS, WAYS  # noqa: E402


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
                # One that it doesn't pass on the way there it passes on the way back.
                if self.interrupt(kill, place) or self.interrupt(kill, place):
                    passed += 1
                else:
                    missed.append(place)
                fine = True
            if not fine:  # the next one begins anew
                self.restore(kill)
                self.tearDown()
                self.begin(way)
        self.assertGreaterEqual(passed, tried * 3 / 4, f"not passed: {', '.join(missed)}")
        lab.figure(f"{way}, {kill}: {passed} of {tried} tried, {len(places)} places, {time.monotonic() - began:.0f} s{budget.told()}" +
                   (f", not passed: {', '.join(missed)}" if missed else ""))


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
