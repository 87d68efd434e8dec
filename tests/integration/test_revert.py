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
        """Grown since; and with a second request, to what was kept of the present."""
        self.declare()
        a = self.fill("a")
        self.snapshot("first", EXTERNAL)
        b = self.fill("b")
        self.assertNotEqual(a, b)
        self.declare(size="6MiB")
        self.revert(to="first", request="r1")
        self.assertEqual((self.sum(), self.capacity()), (a, 6 << 20))
        self.assertEqual(self.current(), "first")
        self.assertEqual(self.snapshots(), {"first": None, "revert-r1": "first"})
        self.fill("c")
        # What else differs is done by the same run, when it is back.
        self.last.update(title="back", cpu={"count": 2, "max": 2}, updatePolicy={"restart": "allowed"})
        self.revert(to="revert-r1", request="r2")
        self.assertEqual(self.sum(), b)
        self.assertEqual(self.current(), "revert-r1")
        self.assertEqual(self.hv.domain("web").maxVcpus(), 2)

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
        self.last.update(title="back", snapshots=[{"name": "ours"}])
        self.revert(to="first", request="r1")
        self.assertEqual(self.hv.domain("web").isActive(), 0)
        self.assertEqual(self.capacity(), 6 << 20)
        self.assertEqual(self.content()[:len(a)], a)
        self.assertEqual(self.snapshots(), {"first": None, "second": "first", "revert-r1": "second", "ours": "first"})
        self.assertEqual(self.hv.domain("web").metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None), "back")

    def test_a_file_beneath_is_gone(self):
        """Said before the machine is stopped for it."""
        self.declare(powerState="stopped")
        for name in ("first", "second"):
            self.snapshot(name, EXTERNAL)
        lowest, away = self.hv.path("pools/lab", "web-vda.qcow2"), self.hv.path("state/away")
        os.rename(lowest, away)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        result = self.revert(status=1, to="second", request="r1")
        self.assertIn(f"{lowest}, on which what the snapshot holds is based, isn't there", result.stdout)
        os.rename(away, lowest)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.revert(to="second", request="r1", boots=False)

    def test_saved_plan(self):
        """Is carried out as it was reviewed: what else differs is for the next run."""
        self.declare(powerState="stopped")
        self.snapshot("first", EXTERNAL)
        self.declare(powerState="stopped", title="back", revert={"to": "first", "request": "r1"}, apply=False)
        saved = self.hv.path("state/plan.json")
        plan = self.hv.plan("--plan-out", saved, self.specs(), status=2)
        self.assertIn("in the same run: title", "".join(note for each in plan["objects"] for note in each.get("notes", [])))
        self.hv.apply("--plan", saved)
        self.assertIn("r1", self.record())
        self.assertNotIn("<title>", self.hv.domain("web").XMLDesc())
        result = self.hv.apply(self.specs())
        self.assertNotIn("go back", result.stdout)
        self.settled()

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

    def test_merging_what_a_branch_needs(self):
        """A person's snapshot isn't merged away, nor taken over, while what was left by going back lies on its layer."""
        self.declare(powerState="stopped")
        self.snapshot("first", EXTERNAL)
        self.declare(powerState="stopped", snapshots=[{"name": "second"}])
        self.revert(to="second", request="r1")
        a = self.put("a")
        files = self.files()
        spec = {**self.last, "chain": {"handMade": "merge"}, "snapshots": []}
        self.declare(revert={"to": "second", "request": "r1"}, **spec)
        self.settled()
        notes = "\n".join(self.hv.plan(self.specs())["objects"][1]["notes"])
        self.assertRegex(notes, "snapshot first, which a person made, isn't merged away: .*second.qcow2, on another branch, is based on its layer")
        self.assertEqual((self.snapshots(), self.files()), ({"first": None, "second": "first", "revert-r1": "second"}, files))
        self.assertNotIn('"first"', self.record())
        self.assertEqual(self.content(4 << 20), a)

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

    def test_a_new_machine(self):
        """Made anew from a file that once asked for a revert: nothing to go back to, and nothing is missed."""
        self.declare(powerState="stopped", revert={"to": "first", "request": "r1"})
        self.settled()
        self.snapshot("first", EXTERNAL)
        self.settled()

    def test_removed_afterwards(self):
        """A snapshot gone back to names this branch's layer: declared no more, that is merged into what it held."""
        wanted = {"snapshots": [{"name": "first"}], "powerState": "stopped"}
        self.declare(**wanted)
        self.put("a")
        a = self.content(4 << 20)
        self.revert(to="first", request="r1", safety=False)
        self.put("b")
        b = self.content(4 << 20)
        self.assertNotEqual(a, b)
        self.declare(powerState="stopped")
        self.settled()
        self.assertEqual(self.snapshots(), {})
        self.assertEqual(self.files(), {"web-vda.qcow2"})
        self.assertEqual(self.content(4 << 20), b)

    def test_two_disks(self):
        """Both go back at once, or neither."""
        second = {"target": "vdb", "pool": "lab", "size": "1MiB"}
        self.declare(powerState="stopped", more=[second])
        self.snapshot("first", EXTERNAL)
        self.put("b")
        self.revert(to="first", request="r1")
        definition = self.hv.domain("web").XMLDesc()
        for target in ("vda", "vdb"):
            self.assertIn(f"web-{target}.r1.qcow2", definition)
        self.assertEqual(self.content(4 << 20), bytes(4 << 20))

    def test_raw_disk(self):
        self.declare(powerState="stopped", format="raw")
        a = self.put("a")
        self.snapshot("first", EXTERNAL)
        self.put("b")
        self.revert(to="first", request="r1")
        self.assertEqual(self.content(4 << 20), a)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
