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


def brief(result):
    """What went wrong, without the whole plan."""
    told = result.json()
    return json.dumps([told.get("error"), [each["error"] for each in told["objects"] if each.get("error")],
                       [each for each in told.get("results") or [] if each["result"] != "done"]], indent=1) + result.stderr


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
        self.assertEqual(result.status, status, brief(result))
        if status == 0:
            again = self.hv.reconcile("--dry-run", "-o", "json", self.hv.path("specs"))
            self.assertEqual(again.status, 0, brief(again) + json.dumps(again.json()["actions"]))
            again = again.json()
            self.assertEqual((again["actions"], self.notes(again)), ([], []), json.dumps(result.json().get("results")))
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


class ByTheClock(SnapshotCase):
    def at(self, when):
        """Applies at that moment; a second run a minute later has nothing to do."""
        self.declare(snapshotPolicy={"every": "1h", "keep": 2, "prefix": "hourly"})
        for moment, status in ((when, 0), (when + 60, 0)):
            result = self.hv.reconcile("-o", "json", self.hv.path("specs"), env={**self.hv.env, "RECONCILE_NOW": str(moment)})
            self.assertEqual(result.status, status, brief(result))
        self.assertEqual(result.json()["actions"], [])
        return self.snapshots()

    def test_taken_and_removed(self):
        self.apply()
        self.guest.do("write", "vda", 1, "first")
        now, start = self.guest.do("sum", "vda"), 1768000000
        self.assertEqual(self.at(start), ["hourly-20260109T230640Z"])
        self.assertEqual(self.facts()["hourly-20260109T230640Z"]["origin"], "policy")
        self.at(start + 3600)
        recorder = self.recorder()
        with self.guest.keeps_beating(max_gap=15):
            self.assertEqual(self.at(start + 5 * 3600), ["hourly-20260110T000640Z", "hourly-20260110T040640Z"])  # missed ones once
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertEqual(len(self.chain("web-vda.hourly-20260110T040640Z.qcow2")), 3)
        self.assertEqual(self.at(start + 5 * 3600 - 120), ["hourly-20260110T000640Z", "hourly-20260110T040640Z"])  # the clock went back
        self.assertEqual(self.guest.do("sum", "vda"), now)
        self.options.pop("snapshotPolicy")
        self.apply()
        self.assertEqual((self.snapshots(), self.files()), ([], ["web-vda.qcow2"]))
        self.assertEqual(self.guest.do("sum", "vda"), now)


class NoSpace(SnapshotCase):
    def test_memory_does_not_fit(self):
        """Refused up front, or, where the space went meanwhile, the machine runs on as it was."""
        self.hv.small_disk("lab", "40M")
        self.apply()
        self.guest.wait_heartbeat()
        self.declare({"name": "one", "memory": True})
        result = self.hv.reconcile(self.hv.path("specs"))
        self.assertIn(result.status, (1, 3), str(result))
        self.guest.wait_heartbeat(2)
        self.assertEqual((self.snapshots(), self.facts(), self.files()), ([], {}, ["web-vda.qcow2"]))
        result = self.hv.reconcile("--allow", "overcommit", self.hv.path("specs"))
        self.assertEqual(result.status, 1, str(result))
        self.guest.wait_heartbeat(2)
        self.assertEqual((self.snapshots(), self.facts(), self.sources()), ([], {}, {"vda": "web-vda.qcow2"}))
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.apply("one")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
