#!/usr/bin/python3
"""Declared snapshots of real machines are taken once, holding what the guest had written then; each second
run changes nothing."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from snapshot_case import SnapshotCase, lab, libvirt  # noqa: E402


class Taking(SnapshotCase):
    def test_running(self):
        self.apply()
        self.guest.do("write", "vda", 1, "first")
        before = self.guest.do("sum", "vda")
        recorder = self.recorder()
        with self.guest.keeps_beating():
            result = self.apply("one")
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertIn("crash-consistent", json.dumps(result["results"]))
        self.assertEqual(self.facts(), {"one": {"name": "one", "origin": "declared", "consistency": "crash"}})
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})
        self.guest.do("write", "vda", 2, "second")
        self.assertEqual(self.content("web-vda.qcow2"), before)
        self.assertNotEqual(self.guest.do("sum", "vda"), before)
        # By volume and by path too, it is the same disk.
        self.apply("one", disks=[{"target": "vda", "volume": "web-vda.qcow2", "pool": "lab"}])
        self.apply("one", disks=[{"target": "vda", "path": self.path("web-vda.qcow2")}])
        self.apply("one", powerState="stopped")
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})

    def test_new_machine_before_its_first_start(self):
        self.apply("one")
        self.assertEqual(self.facts()["one"]["consistency"], "stopped")
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})
        self.guest.wait_heartbeat()

    def test_a_disk_in_no_pool(self):
        """Of a stopped machine, nothing but libvirt's snapshots tells then what the disk is based on."""
        place = self.hv.make_directory("elsewhere")
        disk = os.path.join(place, "disk.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "8M"], check=True)
        self.hv.give(disk)
        self.apply("one", powerState="stopped", disks=[{"target": "vda", "path": disk, "format": "qcow2"}])
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})
        self.apply("one", "two")
        self.assertEqual(self.sources(), {"vda": "web-vda.two.qcow2"})
        self.apply("one", "two", title="Another change")
        self.assertEqual(sorted(os.listdir(place)), ["disk.qcow2", "web-vda.one.qcow2", "web-vda.two.qcow2"])

    def test_a_persons_is_taken_over(self):
        self.apply(powerState="stopped")
        self.domain.snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])
        self.assertEqual(self.facts(), {})
        imported = self.hv.reconcile("import", "web", check=0)
        self.assertIn("snapshot mine stays as it is", imported.stdout + imported.stderr)
        self.apply("mine")
        imported = self.hv.write("all.yaml", self.hv.pool(), self.hv.reconcile("import", "web", check=0).stdout)
        plan = self.hv.plan(self.hv.path("specs"))
        self.assertNotIn("snapshot-remove", json.dumps(plan["actions"]), imported)
        self.apply("mine")
        self.assertEqual(self.facts(), {"mine": {"name": "mine", "origin": "adopted", "consistency": "stopped"}})

    def test_not_taken_of_a_hibernated_machine(self):
        self.apply()
        self.guest.wait_heartbeat()
        self.domain.managedSave()
        self.declare("one", powerState="hibernated")
        result = self.hv.reconcile(self.hv.path("specs"), check=1)
        self.assertIn("hibernated", result.stdout + result.stderr)
        self.assertEqual(self.snapshots(), [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
