#!/usr/bin/python3
"""A few of the places of tests/soak/test_faults.py, spread over a plan that creates and one that changes."""

import os
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import lab  # noqa: E402
import faults  # noqa: E402

INACTIVE, LIVE = libvirt.VIR_DOMAIN_XML_INACTIVE, libvirt.VIR_DOMAIN_AFFECT_LIVE


class Some(faults.TestCase):
    def sample(self, scenario, kills):
        names = self.begin(scenario)
        self.assertGreater(len(names), 20, "the program is built without RECONCILE_FAULTS")
        for i, kill in enumerate(kills):
            number = 1 + (2 * i + 1) * len(names) // (2 * len(kills))
            self.at(2 + i, number, kill, names[number - 1])

    def test_create(self):
        self.sample(faults.Create(), [self.kill_reconcile] * 3)

    def test_change(self):
        self.sample(faults.Change(), [self.kill_reconcile, self.kill_reconcile, self.kill_libvirtd, self.kill_reconcile])


class Leaving(lab.TestCase):
    """A device that left the definition, and not yet the running machine, is ours until it has left that too."""

    def write(self, *targets):
        hv = self.hv
        disks = [{"target": target, "pool": "lab", "size": "8MiB"} for target in ("vda", *targets)]
        hv.write("all.yaml", hv.pool(), hv.vm("web", machine="pc", disks=disks))

    def targets(self, flags):
        root = ET.fromstring(self.hv.domain("web").XMLDesc(flags))
        return [target.get("dev") for target in root.findall("devices/disk/target")]

    def killed(self, place):
        process = self.hv.start_reconcile(self.hv.path("specs"), env={**self.hv.env, "RECONCILE_FAULT_AT": place})
        out = process.communicate()
        self.assertEqual(process.returncode, -9, out)

    def planned(self):
        return [(action["kind"], action.get("args", {}).get("match")) for action in self.hv.plan(self.hv.path("specs"))["actions"]]

    def test_disk(self):
        hv = self.hv
        self.write()
        hv.apply(hv.path("specs"))
        hv.guest("web").wait_text("ready")
        self.write("vdb")
        hv.apply(hv.path("specs"))  # the machine was started without it
        self.write()
        self.killed("domain: defined")
        self.assertEqual((self.targets(INACTIVE), self.targets(0)), (["vda"], ["vda", "vdb"]))
        hv.restart_daemon()
        self.assertEqual(self.planned(), [("detach-device", "vdb")])
        self.write("vdb")  # wanted again: it is there
        self.assertNotIn(("detach-device", "vdb"), self.planned())
        self.write()
        self.killed("device: out")
        self.assertEqual(self.targets(0), ["vda"])
        self.assertEqual(self.planned(), [("domain-record", None)])
        hv.apply(hv.path("specs"))
        self.assertEqual(self.planned(), [])
        # What a person plugs in there later is the person's.
        with open(hv.path("theirs.raw"), "wb") as file:
            file.write(bytes(1 << 20))
        hv.give(hv.path("theirs.raw"))
        hv.domain("web").attachDeviceFlags(f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                                           f"<source file='{hv.path('theirs.raw')}'/><target dev='vdb' bus='virtio'/></disk>", LIVE)
        self.assertEqual(self.planned(), [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
