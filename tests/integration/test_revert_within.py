#!/usr/bin/python3
"""Going back within a disk's file, as libvirt does that."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import revert  # noqa: E402


class Revert(revert.TestCase):
    def test_internal_of_a_machine_that_shall_be_off(self):
        """It is brought back with its memory, as libvirt does that, and its power goes before it runs."""
        self.declare()
        a = self.fill("a")
        self.snapshot("first")
        self.fill("b")
        self.declare(powerState="stopped")
        starts = self.hv.guest("web").starts()
        self.revert(to="first", request="r1", safety=False)
        self.assertEqual(self.hv.domain("web").isActive(), 0)
        self.assertEqual(self.hv.guest("web").starts(), starts)
        self.declare()
        self.hv.guest("web").wait(lambda guest: guest.starts() > starts, "another start")
        self.assertEqual(self.sum(), a)

    def test_internal_stopped(self):
        self.declare(powerState="stopped")
        a = self.put("a")
        self.snapshot("first")
        b = self.put("b")
        self.declare(powerState="stopped", size="6MiB", title="changed since")
        self.revert(to="first", request="r1")
        self.assertEqual(self.content(len(a)), a)
        self.assertEqual(self.capacity(), 6 << 20)
        self.assertEqual(self.snapshots(), {"first": None, "revert-r1": "first"})
        self.assertEqual(self.current(), "first")
        self.revert(to="revert-r1", request="r2")
        self.assertEqual(self.content(len(b)), b)

    def test_internal_running(self):
        """Grown since."""
        self.declare()
        a = self.fill("a")
        self.snapshot("first")
        b = self.fill("b")
        self.declare(size="6MiB")
        self.assertEqual(self.capacity(), 6 << 20)
        self.revert(to="first", request="r1", boots=False)
        self.assertEqual(self.hv.domain("web").isActive(), 1)
        self.guest().wait_heartbeat(2)
        self.assertEqual((self.sum(), self.capacity()), (a, 6 << 20))
        self.revert(to="revert-r1", request="r2")
        self.assertEqual(self.sum(), b)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
