#!/usr/bin/python3
"""What a hibernated machine's saved memory goes on using is in use: it comes back with it."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import document  # noqa: E402


class Hibernated(lab.TestCase):
    tiny = True

    def setUp(self):
        super().setUp()
        self.hv.write("pool.yaml", self.hv.pool())
        self.apply()
        self.data = self.hv.path("pools/lab/data.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.data, "8M"], check=True)
        os.chmod(self.data, 0o666)
        self.hv.conn.storagePoolLookupByName("lab").refresh()

    def disk(self, **spec):
        return {"target": "vdb", "path": self.data, "format": "qcow2", **spec}

    def apply(self, *arguments, status=0):
        return self.hv.apply(*arguments, self.hv.path("specs"), status=status)

    def plan(self, *arguments, status=None):
        return self.hv.plan(*arguments, self.hv.path("specs"), status=status)

    def declare(self, name="a", disks=(), **spec):
        self.hv.write(f"{name}.yaml", self.hv.vm(name, disks=list(disks), **spec))

    def hibernate(self, *disks, **spec):
        self.declare(disks=disks, **spec)
        self.apply()
        self.hv.guest("a").wait_heartbeat()
        self.declare(disks=disks, powerState="hibernated", **spec)
        self.apply()
        self.assertTrue(self.hv.domain("a").hasManagedSaveImage())

    def uses(self, name):
        return f"file='{self.data}'" in self.hv.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)

    def error_of(self, name, plan):
        return next(each.get("error") or "" for each in plan["objects"] if each["name"] == name)

    def refused(self, name, text, *arguments):
        self.assertIn(text, self.error_of(name, self.hv.reconcile("--dry-run", "-o", "json", *arguments,
                                                                  self.hv.path("specs")).json()))
        result = self.hv.reconcile(*arguments, self.hv.path("specs"))
        self.assertNotEqual(result.status, 0)
        self.assertIn(text, result.stdout + result.stderr)

    def restore(self, *disks):
        self.declare(disks=disks, powerState="running")
        self.apply()
        self.assertEqual(self.hv.guest("a").starts(), 1)
        self.plan(status=0)

    def test_a_disk_stays_until_the_machine_is_back(self):
        self.hibernate(self.disk())
        self.declare(powerState="hibernated")
        self.declare("b", [self.disk()])
        self.refused("a", "disks[vdb] can't leave while the machine is hibernated")
        self.assertNotIn("b", [each.name() for each in self.hv.conn.listAllDomains()])
        self.assertTrue(self.uses("a"))
        os.remove(self.hv.path("specs/b.yaml"))
        self.restore(self.disk())
        self.declare(disks=[])
        self.apply()
        self.assertFalse(self.uses("a"))

    def test_a_disk_leaves_when_the_machine_is_back(self):
        """In the run that brings it back."""
        self.hibernate(self.disk())
        self.restore()
        self.assertFalse(self.uses("a"))

    def test_it_comes_back_paused(self):
        """Its guest isn't let run for a disk that leaves."""
        self.hibernate(self.disk())
        recorder = self.recorder()
        self.declare(disks=[], powerState="paused")
        self.apply()
        recorder.settle()
        self.assertNotIn("resumed", recorder.names_of("a"))
        self.assertEqual(self.hv.domain("a").state()[0], libvirt.VIR_DOMAIN_PAUSED)

    def test_a_refused_change_is_refused_first(self):
        self.hibernate(self.disk())
        self.declare(disks=[], interfaces=[{"name": "eth0", "network": "nowhere"}])
        self.refused("a", "there is no network nowhere")
        self.assertTrue(self.hv.domain("a").hasManagedSaveImage())

    def test_nobody_gets_a_disk_that_left_the_definition_by_hand(self):
        self.hibernate(self.disk())
        self.declare(powerState="hibernated", metadata={"annotations": {"reconcile.dev/suspend": "true"}})
        domain = self.hv.domain("a")
        begin, end = "<disk ", "</disk>"
        xml = domain.XMLDesc()
        self.hv.conn.defineXML(xml[:xml.index(begin)] + xml[xml.index(end) + len(end):])
        self.assertFalse(self.uses("a"))
        self.declare("b", [self.disk()])
        self.refused("b", f"{self.data} is a disk of the machine a, which is hibernated")
        with open(self.hv.path("host.json"), "w", encoding="utf-8") as file:
            file.write(self.hv.reconcile("observe", check=0).stdout)
        plan = self.hv.reconcile("--dry-run", "-o", "json", "--against", self.hv.path("host.json"), self.hv.path("specs")).json()
        self.assertIn("which is hibernated", self.error_of("b", plan))
        self.declare("b", [self.disk(readOnly=True)], powerState="stopped")
        self.apply()

    def test_the_memory_is_discarded_first_where_that_is_allowed(self):
        self.hibernate(self.disk())
        self.declare(powerState="stopped")
        self.refused("a", "disks[vdb] can't leave while the machine is hibernated")
        kinds = [each["kind"] for each in self.plan("--allow", "data-loss", status=2)["actions"]]
        self.assertEqual(kinds, ["domain-discard-save"])
        self.declare("b", [self.disk()], powerState="stopped")
        self.hv.reconcile("--allow", "data-loss", self.hv.path("specs"))
        self.assertFalse(self.hv.domain("a").hasManagedSaveImage())
        self.assertFalse(self.uses("a"))
        self.apply()
        self.assertTrue(self.uses("b"))
        self.plan(status=0)

    def test_what_came_since_leaves_again(self):
        self.hibernate()
        self.declare(disks=[self.disk()], powerState="hibernated")
        self.apply()
        self.declare(powerState="hibernated")
        self.apply()
        self.restore()

    def test_its_medium_is_kept(self):
        medium = self.hv.path("medium.iso")
        with open(medium, "wb") as file:
            file.write(b"one" * 4096)
        image = {"pool": "lab", "source": medium, "format": "raw"}
        drive = {"target": "sda", "bus": "sata", "device": "cdrom", "image": "medium"}
        self.hv.write("medium.yaml", document("Image", "medium", image))
        self.hibernate(drive)
        with open(medium, "wb") as file:
            file.write(b"two" * 4096)
        self.apply()
        self.apply("--prune-images", "0s")
        self.restore(drive)  # the new one is inserted
        self.assertIn("volume-delete", [each["kind"] for each in self.plan("--prune-images", "0s", status=2)["actions"]])

    def test_its_volume_does_not_grow(self):
        volume = {"pool": "lab", "size": "8MiB"}
        disk = {"target": "vdb", "volume": "kept", "pool": "lab"}
        self.hv.write("kept.yaml", document("Volume", "kept", volume))
        self.hibernate(disk)
        self.hv.write("kept.yaml", document("Volume", "kept", {**volume, "size": "16MiB"}))
        self.refused("kept", "it is in use by the hibernated machine a")
        self.assertEqual(self.hv.conn.storagePoolLookupByName("lab").storageVolLookupByName("kept").info()[1], 8 << 20)
        self.hv.write("kept.yaml", document("Volume", "kept", volume))
        self.restore(disk)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
