#!/usr/bin/python3
"""Snapshots that leave the file are removed, with nothing lost; each second run changes nothing."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from snapshot_case import INACTIVE, SnapshotCase, brief, lab, libvirt  # noqa: E402


class Removing(SnapshotCase):
    def test_running_chain_is_merged_in_any_order(self):
        self.apply()
        for number, name in enumerate(["one", "two", "three"]):
            self.guest.do("write", "vda", number, name)
            self.apply(*["one", "two", "three"][:number + 1])
        self.guest.do("write", "vda", 3, "now")
        now, two = self.guest.do("sum", "vda"), self.content("web-vda.one.qcow2")
        recorder = self.recorder()
        with self.guest.keeps_beating(max_gap=15):
            self.apply("two")  # one, the oldest, and three, the current one, go
        self.assertEqual(self.snapshots(), ["two"])
        self.assertIsNone(self.parent("two"))
        self.assertEqual(self.chain("web-vda.two.qcow2"), ["web-vda.two.qcow2", "web-vda.qcow2"])
        self.assertEqual(self.bases("two"), ["web-vda.qcow2"])
        self.assertEqual(self.content("web-vda.qcow2"), two)  # what two holds
        self.assertEqual(self.guest.do("sum", "vda"), now)
        self.apply()
        self.assertEqual((self.snapshots(), self.facts()), ([], {}))
        self.assertEqual(self.sources(), {"vda": "web-vda.qcow2"})
        self.assertEqual(self.sources(INACTIVE), {"vda": "web-vda.qcow2"})
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.assertEqual(self.guest.do("sum", "vda"), now)
        self.assertEqual(recorder.stopped_events("web"), [])

    def parent(self, name):
        try:
            return self.domain.snapshotLookupByName(name).getParent().getName()
        except libvirt.libvirtError:
            return None

    def bases(self, name):
        """Files of the disks in a snapshot's copy of the definition."""
        root = ET.fromstring(self.domain.snapshotLookupByName(name).getXMLDesc())
        return [os.path.basename(each.get("file")) for each in root.findall("domain/devices/disk/source")]

    def test_stopped_with_memory_and_a_raw_disk(self):
        disks = [{"target": "vda", "pool": "lab", "size": "8MiB", "format": "raw"}, {"target": "vdb", "pool": "lab", "size": "8MiB"}]
        self.apply(disks=disks)
        self.guest.do("write", "vda", 1, "first")
        self.apply({"name": "one", "memory": True, "disks": ["vda"]})
        self.assertEqual(self.facts()["one"]["consistency"], "memory")
        self.assertIn("web.one.memory", self.files())
        self.guest.do("write", "vda", 2, "second")
        now = self.guest.do("sum", "vda")
        self.apply({"name": "one", "memory": True, "disks": ["vda"]}, {"name": "two"}, powerState="stopped")
        self.assertEqual(self.facts()["two"]["consistency"], "crash")  # taken before it was stopped
        self.apply()
        self.assertEqual(self.files(), ["web-vda.raw", "web-vdb.qcow2"])
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.content("web-vda.raw", "raw"), now)
        self.apply(powerState="running")
        self.assertEqual(self.guest.do("sum", "vda"), now)

    def test_internal(self):
        self.apply({"name": "one", "mode": "internal"})
        self.guest.do("write", "vda", 1, "first")
        self.apply({"name": "one", "mode": "internal"}, {"name": "two", "mode": "internal"})
        self.assertEqual(self.facts()["two"]["consistency"], "memory")
        now = self.guest.do("sum", "vda")
        self.apply({"name": "two", "mode": "internal"})
        self.apply(powerState="stopped")
        self.assertEqual((self.snapshots(), self.facts(), self.files()), ([], {}, ["web-vda.qcow2"]))
        self.assertNotIn("snapshots", json.loads(subprocess.run(["qemu-img", "info", "--output=json", self.path("web-vda.qcow2")],
                                                                check=True, stdout=subprocess.PIPE).stdout))
        self.assertEqual(self.content("web-vda.qcow2"), now)

    def test_kept_while_a_file_names_it_by_another_path(self):
        """The directory by a link, which no pool has."""
        self.apply("one", powerState="stopped")
        os.symlink(self.path(""), self.hv.path("linked"))
        self.addCleanup(os.unlink, self.hv.path("linked"))
        before = self.content("web-vda.qcow2")
        base = self.hv.path("linked", "web-vda.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, self.path("other.qcow2")], check=True)
        self.hv.give(self.path("other.qcow2"))
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.declare()
        plan = self.hv.plan(self.hv.path("specs"))
        self.assertTrue([note for note in self.notes(plan) if "other.qcow2" in note])
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual((self.snapshots(), self.content("web-vda.qcow2")), (["one"], before))
        os.unlink(self.path("other.qcow2"))
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.apply()
        self.assertEqual((self.snapshots(), self.files()), ([], ["web-vda.qcow2"]))

    def test_kept_while_another_machine_needs_it(self):
        self.apply("one", powerState="stopped")
        base = self.path("web-vda.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, self.path("other.qcow2")], check=True)
        self.hv.give(self.path("other.qcow2"))
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.declare()
        plan = self.hv.plan(self.hv.path("specs"))
        self.assertTrue([note for note in self.notes(plan) if "other.qcow2" in note])
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.snapshots(), ["one"])
        self.assertEqual(list(self.facts()), ["one"])
        os.unlink(self.path("other.qcow2"))
        self.apply()
        self.assertEqual((self.snapshots(), self.files()), ([], ["web-vda.qcow2"]))

    def machines(self, **taken):
        """Machines that are off, each in a pool of its own."""
        disk = self.options["disks"][0]
        self.hv.write("all.yaml", *[document for name, names in taken.items() for document in (
            self.hv.pool(name), self.hv.vm(name, powerState="stopped", snapshots=[{"name": each} for each in names], disks=[{**disk, "pool": name}]))])

    def test_beside_others_that_are_half_done(self):
        """Of another machine's snapshot the layer has gone, and libvirt isn't told yet; or it was made, and no pool knows it yet."""
        self.machines(api=["one", "two"], web=["one"])
        self.hv.apply(self.hv.path("specs"))
        self.machines(api=["one", "two"], web=[])
        process = self.hv.start_reconcile(self.hv.path("specs"), env={**self.hv.env, "RECONCILE_FAULT_AT": "snapshot: layer removed"})
        process.communicate()
        self.assertEqual((process.returncode, self.snapshots(), os.listdir(self.hv.path("pools/web"))), (-9, ["one"], ["web-vda.qcow2"]))
        self.machines(api=["two"], web=[])
        result = self.hv.reconcile("--jobs", "1", "-o", "json", self.hv.path("specs"))  # by name: api first
        self.assertEqual((result.status, self.snapshots()), (0, []), brief(result))

        self.domain.snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.machines(api=[], web=[])
        result = self.hv.reconcile("--jobs", "1", "-o", "json", self.hv.path("specs"))
        self.assertEqual((self.hv.domain("api").listAllSnapshots(), self.snapshots()), ([], ["mine"]), brief(result))

    def test_deleted_with_its_machine(self):
        self.apply("one", shutdown={"timeout": "1s"})
        self.guest.wait_heartbeat()
        self.apply("one", {"name": "two", "memory": True})
        self.assertIn("web.two.memory", self.files())
        self.hv.write("all.yaml", self.hv.pool())
        self.hv.apply("--prune", "--allow", "restart,data-loss", self.hv.path("specs"))
        self.assertEqual((self.hv.conn.listAllDomains(), self.files()), ([], []))

    def test_a_persons_stays(self):
        self.apply("ours", powerState="stopped")
        self.domain.snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.declare()
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.snapshots(), ["mine"])
        self.assertEqual(self.sources(), {"vda": "web-vda.ours.mine"})
        self.assertEqual(self.chain("web-vda.ours.mine"), ["web-vda.ours.mine", "web-vda.qcow2"])


class HandMade(SnapshotCase):
    def test_ours_goes_when_a_persons_has_gone(self):
        """What a person's snapshot needed on a branch that was left is free when that is merged: ours goes in the same run."""
        self.apply("ours", powerState="stopped")
        self.domain.snapshotCreateXML("<domainsnapshot><name>theirs</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        back = {"to": "ours", "request": "r1", "safety": False}
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.apply("ours", revert=back)
        self.declare()
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.snapshots(), ["ours", "theirs"])
        self.apply(chain={"handMade": "merge"})
        self.assertEqual((self.snapshots(), len(self.files())), ([], 1))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
