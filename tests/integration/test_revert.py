#!/usr/bin/python3
"""Going back to snapshots with real guests: what a disk holds afterwards is what it held then."""

import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
import revert  # noqa: E402

EXTERNAL = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY


class Revert(revert.TestCase):
    def test_running_external(self):
        """And with a second request, to what was kept of the present."""
        self.declare()
        a = self.fill("a")
        self.snapshot("first", EXTERNAL)
        b = self.fill("b")
        self.assertNotEqual(a, b)
        self.revert(to="first", request="r1")
        self.assertEqual(self.sum(), a)
        self.assertEqual(self.current(), "first")
        self.assertEqual(self.snapshots(), {"first": None, "revert-r1": "first"})
        self.fill("c")
        self.revert(to="revert-r1", request="r2")
        self.assertEqual(self.sum(), b)
        self.assertEqual(self.current(), "revert-r1")

    def test_stopped_external_grown_since(self):
        """The machine stays off; the new layer has the declared size; a snapshot in the middle of the tree."""
        self.declare(powerState="stopped")
        a = self.put("a")
        self.snapshot("first", EXTERNAL)
        self.put("b")
        self.snapshot("second", EXTERNAL)
        self.put("c")
        self.declare(powerState="stopped", size="6MiB")
        self.assertEqual(self.capacity(), 6 << 20)
        self.revert(to="first", request="r1")
        self.assertEqual(self.hv.domain("web").isActive(), 0)
        self.assertEqual(self.capacity(), 6 << 20)
        self.assertEqual(self.content()[:len(a)], a)
        self.assertEqual(self.current(), "first")
        self.assertEqual(self.snapshots(), {"first": None, "second": "first", "revert-r1": "second"})

    def test_without_safety(self):
        """What nobody needs any more is deleted, and the token is carried out once."""
        self.declare()
        a = self.fill("a")
        self.snapshot("first", EXTERNAL)
        self.fill("b")
        before = self.files()
        self.revert(to="first", request="r1", safety=False)
        self.assertEqual(self.sum(), a)
        self.assertEqual(self.snapshots(), {"first": None})
        self.assertEqual(self.files(), before - {"web-vda.first"} | {"web-vda.r1.qcow2"})
        b = self.fill("b")
        self.hv.apply(self.specs())
        self.assertEqual(self.sum(), b)
        self.revert(to="first", request="r2", safety=False)
        self.assertEqual(self.sum(), a)
        self.assertEqual(self.files(), before - {"web-vda.first"} | {"web-vda.r2.qcow2"})

    def test_memory(self):
        """Resumed where it was: heartbeats go on from there, and the memory file serves again."""
        self.declare()
        a = self.fill("a")
        self.snapshot_memory("first")
        count = self.guest().heartbeats()[-1][0]
        self.fill("b")
        self.declare(size="6MiB")
        for request in ("r1", "r2"):
            starts = self.guest().starts()
            self.revert(to="first", request=request, boots=False)
            self.assertEqual(self.hv.domain("web").isActive(), 1)
            self.guest().wait_heartbeat(2)
            self.assertEqual(self.hv.guest("web").starts(), starts)
            self.assertLess(self.hv.guest("web").heartbeats()[-1][0], count + 30)
            self.assertEqual(self.sum(), a)
            self.assertEqual(self.guest().sizes()["vda"], 6 << 20)
            self.assertEqual(self.capacity(), 6 << 20)

    def test_memory_of_a_machine_that_shall_be_off(self):
        self.declare()
        self.fill("a")
        a = self.content(4 << 20)
        self.snapshot_memory("first")
        self.fill("b")
        self.declare(powerState="stopped")
        self.revert(to="first", request="r1")
        self.assertEqual(self.hv.domain("web").isActive(), 0)
        self.assertEqual(self.content(4 << 20), a)

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
        self.declare()
        a = self.fill("a")
        self.snapshot("first")
        b = self.fill("b")
        self.revert(to="first", request="r1", boots=False)
        self.assertEqual(self.hv.domain("web").isActive(), 1)
        self.guest().wait_heartbeat(2)
        self.assertEqual(self.sum(), a)
        self.revert(to="revert-r1", request="r2")
        self.assertEqual(self.sum(), b)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
