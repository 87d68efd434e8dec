#!/usr/bin/python3
"""Going back to snapshots with real guests: what a disk holds afterwards is what it held then."""

import os
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

    def test_declared_snapshot_and_disks_beside(self):
        """A snapshot of ours; a disk that was added later and an ephemeral one stay as they are, which is said."""
        scratch = {"target": "vdb", "pool": "lab", "size": "1MiB", "ephemeral": True}
        wanted = [{"name": "first", "mode": "external"}]
        self.declare(powerState="stopped", snapshots=wanted, more=[scratch])
        self.hv.apply(self.specs())
        a = self.content(4 << 20)
        self.put("b")
        later = {"target": "vdc", "pool": "lab", "size": "1MiB"}
        self.declare(powerState="stopped", snapshots=wanted, more=[scratch, later])
        before = self.files()
        out = self.revert(to="first", request="r1").stdout
        self.assertIn("disk vdb stays as it is: snapshot first doesn't have it", out)
        self.assertIn("disk vdc stays as it is: snapshot first doesn't have it", out)
        self.assertEqual(self.content(4 << 20), a)
        self.assertEqual(self.files() - before, {"web-vda.r1.qcow2", "web-vda.revert-r1.qcow2"})

    def test_volume_with_a_snapshot(self):
        """A disk by the path of a file: its new layer is the same disk."""
        self.declare(powerState="stopped")
        own = self.hv.path("pools/lab/own.qcow2")
        os.rename(self.path(), own)
        self.hv.domain("web").undefineFlags(0)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.declare(powerState="stopped", disks=[{"target": "vda", "path": own}])
        a = self.put("a")
        self.snapshot("first", EXTERNAL)
        self.put("b")
        self.revert(to="first", request="r1", safety=False)
        self.assertEqual(self.content(4 << 20), a)

    def refused(self, why, **revert):
        self.declare(revert={"request": "r1", **revert}, apply=False, **self.last)
        before = (self.files(), self.snapshots(), self.record(), self.path())
        result = self.hv.reconcile(self.specs(), check=1)
        self.assertIn(why, result.stdout)
        self.assertEqual(before, (self.files(), self.snapshots(), self.record(), self.path()))

    def test_refusals(self):
        """With the reason, before anything happens."""
        self.declare(powerState="stopped", more=[{"target": "vdb", "pool": "lab", "size": "1MiB"}])
        self.snapshot("first", EXTERNAL)
        self.refused("there is no snapshot nothing: the machine has first", to="nothing")
        held = self.hv.path("pools/lab/web-vda.qcow2")
        self.hv.define("other", f"<disk type='file'><driver type='qcow2'/><source file='{held}'/><target dev='vda' bus='virtio'/></disk>")
        self.refused(f"disk vda: {held}, which the snapshot holds, is written to as disk vda of machine other", to="first")
        self.hv.domain("other").undefine()
        os.rename(held, held + ".away")
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.refused(f"{held}, which the snapshot holds, can't be read", to="first")
        os.rename(held + ".away", held)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        with open(self.hv.path("pools/lab/web-vda.r1.qcow2"), "wb"):
            pass
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.refused("volume web-vda.r1.qcow2 of pool lab exists already: choose another word", to="first")
        os.unlink(self.hv.path("pools/lab/web-vda.r1.qcow2"))
        self.snapshot("revert-r1", EXTERNAL)
        self.refused("there is a snapshot revert-r1 already", to="first")
        self.declare(powerState="stopped")
        self.refused("disk vdb: the machine doesn't have it any more", to="first")
        self.declare(powerState="running")
        self.hv.guest("web").wait_heartbeat()
        self.hv.domain("web").managedSave()
        self.last["powerState"] = "hibernated"
        self.refused("the machine is hibernated", to="first")

    def test_withdrawn(self):
        """Interrupted when the machine was off, and asked for no more: it runs again, and is what it was."""
        self.declare(powerState=None)
        self.hv.domain("web").create()
        self.fill("a")
        self.snapshot("first", EXTERNAL)
        b = self.fill("b")
        before = self.files()
        self.declare(revert={"to": "first", "request": "r1", "safety": False}, apply=False, **self.last)
        log = self.hv.path("state/places")
        for number in range(1, 40):
            process = self.hv.start_reconcile(self.specs(), env={**self.hv.env, "RECONCILE_FAULT_LOG": log, "RECONCILE_FAULT_AT": str(number)})
            process.communicate()
            with open(log, encoding="utf-8") as file:
                if "revert: layer made" in file.read():
                    break
            self.assertEqual(process.returncode, -9, "the program is built without RECONCILE_FAULTS")
        self.assertEqual(self.hv.domain("web").isActive(), 0)
        starts = self.hv.guest("web").starts()
        self.declare(**self.last)
        self.settled()
        self.hv.guest("web").wait(lambda guest: guest.starts() > starts, "another start")
        self.assertEqual(self.sum(), b)
        self.assertEqual(self.files(), before)
        self.assertEqual(self.current(), "first")

    def test_a_new_machine(self):
        """Made anew from a file that once asked for a revert: nothing to go back to, and nothing is missed."""
        self.declare(powerState="stopped", revert={"to": "first", "request": "r1"})
        self.settled()
        self.snapshot("first", EXTERNAL)
        self.settled()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
