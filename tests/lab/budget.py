"""How much of a long test is done: what fits into SOAK_MINUTES for the whole file ("whole", or unset: all of it), in an
order that SOAK_SEED (default: the time) draws, so that runs with other seeds get elsewhere.

    budget = Budget(parts)               # at the beginning of a test: its share of the file's time
    for each in parts:
        budget.begin()                   # this part's share of the test's time
        for place in budget.draw(places):    # at least LEAST of them, however long that takes
            ...
    lab.figure(f"{done} of {len(places)} places{budget.told()}")
"""

import os
import random
import time

WHOLE = "whole"
LEAST = 2
MINUTES = os.environ.get("SOAK_MINUTES", WHOLE)
SEED = int(os.environ.get("SOAK_SEED") or time.time())
_file_ends = None if MINUTES == WHOLE else time.monotonic() + 60 * float(MINUTES)
_tests_left = 1


def begin_file(tests):
    """How many tests share the time; lab.main() says it."""
    global _tests_left
    _tests_left = tests


class Budget:
    """What one doesn't use the others have."""

    def __init__(self, parts=1):
        global _tests_left
        self.whole = _file_ends is None
        self.parts = parts
        self.random = random.Random(SEED)
        self.ends = None if self.whole else _share(_file_ends, _tests_left)
        self.part_ends = self.ends
        _tests_left = max(1, _tests_left - 1)

    def begin(self):
        """The next part."""
        if not self.whole:
            self.part_ends = _share(self.ends, self.parts)
            self.parts = max(1, self.parts - 1)

    def left(self, most):
        """Seconds of this part; `most` where all shall be done."""
        return most if self.whole else max(0, min(most, self.part_ends - time.monotonic()))

    def over(self):
        return not self.whole and time.monotonic() >= self.part_ends

    def rounds(self, most):
        """0, 1, 2 … as the time permits."""
        for number in range(most):
            if number >= LEAST and self.over():
                break
            yield number

    def shuffled(self, things):
        """In their order where all are done."""
        things = list(things)
        if not self.whole:
            self.random.shuffle(things)
        return things

    def as_far(self, things):
        """Of the list as many as the time permits."""
        for number in self.rounds(len(things)):
            yield things[number]

    def draw(self, things):
        """All in their order, or some in another one."""
        return self.as_far(self.shuffled(things))

    def side_by_side(self, lists):
        """Tuples with a thing of each list, until all of all have been met: of the shorter ones again."""
        lists = list(lists)
        for number in self.rounds(max(map(len, lists))):
            yield tuple(each[number % len(each)] for each in lists)

    def told(self):
        """For the figure."""
        return "" if self.whole else f", seed {SEED}"


def _share(end, among):
    now = time.monotonic()
    return now + max(0, end - now) / max(1, among)
