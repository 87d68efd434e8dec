#!/usr/bin/python3
"""Taking snapshots, one action at a time: what is taken, what is noted, what is refused."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import action_case  # noqa: E402
from action_case import MIB, ActionCase, image_info, libvirt  # noqa: E402


def facts(domain):
    """What our record says was done: {name: fact}."""
    text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, action_case.NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    record = json.loads(ET.fromstring(text).text)
    return {fact["name"]: fact for fact in record.get("facts", {}).get("snapshots", [])}


def sources(domain, flags=0):
    root = ET.fromstring(domain.XMLDesc(flags))
    return {disk.find("target").get("dev"): disk.find("source").get("file") for disk in root.findall("devices/disk")
            if disk.find("source") is not None}


def write(path, text, offset="0"):
    """A pattern into a stopped machine's disk, as a guest would write it."""
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -P {text} {offset} 1M", path], check=True, stdout=subprocess.DEVNULL)


def holds(path, text, offset="0", force=True):
    """Whether it is there; -U: also while a machine runs on it."""
    command = ["qemu-io", *(["-U"] if force else []), "-r", "-f", "qcow2", "-c", f"read -P {text} {offset} 1M", path]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    return "Pattern verification failed" not in out


class Take(ActionCase):
    def machine(self, start=False, disks=None, **more):
        self.make_pool()
        self.make_volume("web-vda.qcow2")
        disks = disks or [{"target": "vda", "path": self.hv.path("pools/lab/web-vda.qcow2"), "format": "qcow2"}]
        return self.make_vm("web", start=start, disks=disks, **more)

    def take(self, spec, name="one", **args):
        return self.act("snapshot-take", "web", spec=spec, name_=name, **args)

    def layer(self, name="one", target="vda"):
        return self.hv.path("pools/lab", f"web-{target}.{name}.qcow2")

    def test_stopped(self):
        domain, spec = self.machine()
        base = self.hv.path("pools/lab/web-vda.qcow2")
        write(base, "0x11")
        outcome = self.take(spec, description="before <it> & after")
        self.assertIn("the machine was off", outcome.remarks)
        self.assertEqual(sources(domain), {"vda": self.layer()})
        self.assertEqual(image_info(self.layer())["full-backing-filename"], base)
        self.assertEqual(facts(domain), {"one": {"name": "one", "origin": "declared", "consistency": "stopped"}})
        self.assertIn("web-vda.one.qcow2", self.hv.conn.storagePoolLookupByName("lab").listVolumes())
        snapshot = domain.snapshotLookupByName("one")
        self.assertEqual(ET.fromstring(snapshot.getXMLDesc()).findtext("description"), "before <it> & after")
        write(self.layer(), "0x22")
        self.assertTrue(holds(base, "0x11"))
        self.take(spec)  # again: nothing
        self.assertEqual(domain.snapshotNum(), 1)
        self.take(spec, name="two")
        self.assertEqual(sources(domain), {"vda": self.layer("two")})
        self.assertEqual(domain.snapshotLookupByName("two").getParent().getName(), "one")

    def test_running(self):
        domain, spec = self.machine(start=True)
        recorder = self.recorder()
        with self.hv.guest("web").keeps_beating():
            outcome = self.take(spec)
        self.assertIn("crash-consistent", outcome.remarks)
        self.assertIn("no agent answers", outcome.remarks)
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertEqual(sources(domain), {"vda": self.layer()})
        self.assertEqual(sources(domain, libvirt.VIR_DOMAIN_XML_INACTIVE), {"vda": self.layer()})
        self.assertEqual(facts(domain)["one"]["consistency"], "crash")
        self.act("snapshot-take", "web", code="refused", saying="qemu-guest-agent", spec=spec, name_="two", quiesce="required")
        self.assertEqual(list(facts(domain)), ["one"])

    def test_running_with_memory(self):
        domain, spec = self.machine(start=True)
        recorder = self.recorder()
        outcome = self.take(spec, memory="true")
        self.hv.guest("web").wait_heartbeat()
        self.assertIn("with memory", outcome.remarks)
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertTrue(os.path.getsize(self.hv.path("pools/lab/web.one.memory")) > MIB)
        self.assertEqual(facts(domain)["one"]["consistency"], "memory")

    def test_internal(self):
        domain, spec = self.machine()
        self.take(spec, mode="internal")
        self.assertEqual(sources(domain), {"vda": self.hv.path("pools/lab/web-vda.qcow2")})
        self.assertEqual([each["name"] for each in image_info(self.hv.path("pools/lab/web-vda.qcow2"))["snapshots"]], ["one"])
        domain.create()
        self.hv.guest("web").wait_heartbeat()
        self.take(spec, name="two", mode="internal")
        self.hv.guest("web").wait_heartbeat()
        self.assertEqual({name: fact["consistency"] for name, fact in facts(domain).items()}, {"one": "stopped", "two": "memory"})

    def test_disks_left_out_and_refused(self):
        self.make_pool()
        for name, fmt in (("web-vda.qcow2", "qcow2"), ("web-vdb.raw", "raw"), ("scratch.qcow2", "qcow2"), ("both.raw", "raw")):
            self.make_volume(name, fmt=fmt)
        path = lambda name: self.hv.path("pools/lab", name)
        domain, spec = self.make_vm("web", disks=[
            {"target": "vda", "path": path("web-vda.qcow2"), "format": "qcow2"},
            {"target": "vdb", "path": path("web-vdb.raw"), "format": "raw"},
            {"target": "vdc", "path": path("scratch.qcow2"), "format": "qcow2", "ephemeral": True},
            {"target": "vdd", "path": path("both.raw"), "format": "raw", "shareable": True},
            {"target": "sda", "device": "cdrom", "bus": "scsi"}], controllers=None)
        refuse = lambda saying, **args: self.act("snapshot-take", "web", code="refused", saying=saying, spec=spec, name_="x", **args)
        refuse("vdb is raw", mode="internal")
        refuse("shared with other machines", disks="vda,vdd")
        refuse("has no disk vdz", disks="vdz")
        self.assertEqual(facts(domain), {})
        self.take(spec)
        self.assertEqual(sources(domain), {"vda": self.layer(), "vdb": self.layer(target="vdb"), "vdc": path("scratch.qcow2"),
                                           "vdd": path("both.raw")})
        self.assertEqual(image_info(self.layer(target="vdb"))["backing-filename-format"], "raw")
        self.take(spec, name="only", disks="vdb")
        self.assertEqual(sources(domain)["vda"], self.layer())

    def test_a_file_in_the_way(self):
        domain, spec = self.machine()
        with open(self.layer(), "w", encoding="utf-8") as file:
            file.write("a person's")
        self.hv.give(self.layer())
        self.act("snapshot-take", "web", code="refused", saying="web-vda.one.qcow2", spec=spec, name_="one")
        with open(self.layer(), encoding="utf-8") as file:
            self.assertEqual(file.read(), "a person's")
        self.assertEqual(facts(domain), {})
        self.assertEqual(domain.snapshotNum(), 0)

    def test_somebody_elses_snapshot(self):
        domain, spec = self.machine()
        domain.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>", 0)
        self.act("snapshot-take", "web", code="stale", saying="isn't ours", spec=spec, name_="one")

    def test_states_without_snapshots(self):
        domain, spec = self.machine(start=True)
        domain.managedSave()
        self.act("snapshot-take", "web", code="refused", saying="hibernated", spec=spec, name_="one")


if __name__ == "__main__":
    action_case.main()
