#!/usr/bin/python3
"""A guest that writes to its disk faster than it can be sent moves with synchronousWrites: each write waits for the other host then, and
what it writes isn't taken for what was to be sent, so that the time-out doesn't end the move while the rest of the disk is still copied."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
from test_migration_ends import AGAIN, Copied, fill  # noqa: E402


class Writes(Copied):
    test_writes_faster_than_it_is_sent = test_no_room_left_while_it_is_sent = None

    def test_synchronously(self):
        self.begin_writing(f"{fill(40)}; {AGAIN}")
        slow = {"bandwidth": "8MiB/s", "timeout": "2s", "maxDowntime": "2s"}
        self.at("lab-b", **slow)
        self.go(1)
        self.at("lab-b", **slow, synchronousWrites=True)
        self.go()
        self.assertEqual([self.where(), self.files(self.hv), self.guest(self.other).starts()], [["lab-b"], [], 1])


del Copied

if __name__ == "__main__":
    lab.need_binary()
    lab.main()
