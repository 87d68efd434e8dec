#!/usr/bin/python3
"""Declared snapshots of real machines: taken once, holding what the guest had written then; removed when
they leave the file, with nothing lost; each second run changes nothing."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import lab  # noqa: E402

NAMESPACE = "https://reconcile.dev/xmlns/1"
INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


class SnapshotCase(lab.TestCase):
    """One machine, web, with a disk vda in pool lab."""

    def setUp(self):
        self.options = {"disks": [{"target": "vda", "pool": "lab", "size": "8MiB"}]}

    def declare(self, *names, **more):
        """Writes the file. names: of snapshots, or dictionaries."""
        self.options.update(more)
        snapshots = [name if isinstance(name, dict) else {"name": name} for name in names]
        spec = {**self.options, **({"snapshots": snapshots} if snapshots else {})}
        self.hv.write("all.yaml", self.hv.pool(), self.hv.vm("web", "control", serials=self.hv.control_port("web"), **spec))

    def apply(self, *names, status=0, **more):
        """Declares, applies, and a second run has nothing to do. The result of the first."""
        self.declare(*names, **more)
        result = self.hv.reconcile("-o", "json", self.hv.path("specs"))
        self.assertEqual(result.status, status, str(result))
        if status == 0:
            again = self.hv.plan(self.hv.path("specs"), status=0)
            self.assertEqual((again["actions"], self.notes(again)), ([], []))
        return result.json()

    def notes(self, plan):
        return [note for each in plan["objects"] for note in each.get("notes", [])]

    def results(self, result):
        return {each["id"]: each for each in result["results"]}

    @property
    def domain(self):
        return self.hv.domain("web")

    @property
    def guest(self):
        return self.hv.guest("web")

    def path(self, name):
        return self.hv.path("pools/lab", name)

    def facts(self):
        text = self.domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        return {fact["name"]: fact for fact in json.loads(ET.fromstring(text).text).get("facts", {}).get("snapshots", [])}

    def sources(self, flags=0):
        root = ET.fromstring(self.domain.XMLDesc(flags))
        return {disk.find("target").get("dev"): os.path.basename(disk.find("source").get("file")) for disk in root.findall("devices/disk")}

    def chain(self, name):
        """Names of a file's chain, the top first, as the files themselves say."""
        text = subprocess.run(["qemu-img", "info", "-U", "--backing-chain", "--output=json", self.path(name)], check=True,
                              stdout=subprocess.PIPE).stdout
        return [os.path.basename(each["filename"]) for each in json.loads(text)]

    def content(self, name, fmt="qcow2"):
        """SHA-256 of what a guest would read from the file (which no guest writes to at the moment)."""
        raw = self.hv.path("state/content.raw")
        subprocess.run(["qemu-img", "convert", "-U", "-f", fmt, "-O", "raw", self.path(name), raw], check=True)
        return subprocess.run(["sha256sum", raw], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.split()[0]

    def snapshots(self):
        return sorted(each.getName() for each in self.domain.listAllSnapshots())

    def files(self):
        return sorted(name for name in os.listdir(self.hv.path("pools/lab")))


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
        # By file and by the clock both: the machine's disk is the same disk.
        self.apply("one", disks=[{"target": "vda", "volume": "web-vda.qcow2", "pool": "lab"}])
        self.apply("one", disks=[{"target": "vda", "path": self.path("web-vda.qcow2")}])
        self.apply("one", powerState="stopped")
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})

    def test_new_machine_before_its_first_start(self):
        self.apply("one")
        self.assertEqual(self.facts()["one"]["consistency"], "stopped")
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})
        self.guest.wait_heartbeat()

    def test_a_persons_is_taken_over(self):
        self.apply(powerState="stopped")
        self.domain.snapshotCreateXML("<domainsnapshot><name>mine</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])
        self.assertEqual(self.facts(), {})
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
