#!/usr/bin/python3
"""What our record knows of a machine's disks and snapshots, after people changed the machine behind its back: nothing is lost,
nothing is deleted that somebody may need, and nothing is stuck."""

import os
import re
import subprocess

import chain_case
from chain_case import lab, libvirt

CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
NAMESPACE = "https://reconcile.dev/xmlns/1"


class Facts(chain_case.ChainCase):
    def machine(self, format="raw", **spec):
        spec.setdefault("powerState", "stopped")
        self.write(disks=[{"target": "vda", "pool": "lab", "size": "8MiB", "format": format}], **spec)

    def replaced(self):
        """A machine whose disk was raw and is qcow2, the old volume kept; what it holds."""
        self.hv.write("storage.yaml", self.hv.pool())
        self.machine()
        self.apply()
        subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 0x5a 1M 1M", self.defined()], check=True, stdout=subprocess.DEVNULL)
        before = self.seen()
        self.machine("qcow2")
        self.apply()
        self.assertEqual(self.record()["disks"], [{"target": "vda", "retired": self.hv.path("pools/lab/web-vda.raw")}])
        return before

    def put_back(self):
        """By hand, as with 'virsh edit'."""
        xml = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        xml = re.sub(r"type='qcow2'", "type='raw'", xml.replace(self.defined(), self.hv.path("pools/lab/web-vda.raw")))
        self.hv.conn.defineXML(xml)

    def test_old_volume_put_back(self):
        before = self.replaced()
        self.assertIn("web-vda.raw, which it was before", self.hv.reconcile("status", "--disks", "web", check=0).stdout)
        status = self.hv.reconcile("status", "--disks", "-o", "json", "web", check=0).json()
        self.assertEqual(status["domains"][0]["disks"][0]["retired"], self.hv.path("pools/lab/web-vda.raw"))
        self.put_back()
        self.apply()  # the file still says qcow2
        self.assertEqual(self.names(), ["web-vda.2.qcow2"])
        self.assertEqual(self.seen(), before)
        self.assert_settled()
        self.put_back()
        self.machine()
        self.apply()
        self.assertEqual(self.names(), ["web-vda.raw"])
        self.assertEqual(self.files(), ["web-vda.2.qcow2", "web-vda.qcow2", "web-vda.raw"])
        self.assertNotIn("disks", self.record())
        self.assert_settled()

    def test_flattened_and_not_run_yet(self):
        """A second replacement waits for the machine to have run on the first; that is planned, not refused by the action."""
        self.replaced()
        self.layer("one", metadata=False)
        self.machine("qcow2", chain={"maxDepth": 1, "onExceed": "flatten"})
        self.apply()
        self.assertIn("is kept until the machine has run", self.notes(self.assert_settled()))

    def test_copied_and_renamed(self):
        """What carries our record under another name is nobody's orphan: it isn't pruned."""
        self.replaced()
        xml = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.hv.conn.defineXML(re.sub("<uuid>.*</uuid>", "", xml.replace("<name>web</name>", "<name>copy</name>")))
        result = self.apply("--prune")
        self.assertIn("kept: its record is of the machine web", result.stdout)
        self.assertEqual(self.hv.domain("copy").isActive(), 0)
        # The copy keeps what it has of the disk from being deleted.
        self.machine("qcow2", powerState="running")
        self.assertIn("it stays, since", self.apply().stdout)
        self.assertEqual(self.files(), ["web-vda.qcow2", "web-vda.raw"])
        self.assert_settled()
        self.hv.domain("copy").undefine()
        self.off()
        self.hv.domain("web").rename("old")
        result = self.apply("--prune", status=1)
        self.assertIn("virsh domrename old web", result.stdout)
        self.assertEqual(self.hv.domain("old").isActive(), 0)
        self.hv.domain("old").rename("web")
        self.apply()
        self.assert_settled()

    def test_imported(self):
        self.replaced()
        self.machine("qcow2", snapshots=[{"name": "ours"}])
        self.apply()
        facts, chain = self.record(), self.names()
        os.remove(self.hv.path("specs/web.yaml"))
        self.hv.write("imported.yaml", self.hv.reconcile("import", "web", check=0).stdout)
        self.apply()
        self.assertEqual((self.record(), self.names()), (facts, chain))
        self.assertEqual(self.hv.domain("web").snapshotListNames(), ["ours"])
        self.assertIn("web-vda.raw", self.files())
        self.assertIn("is kept until the machine has run", self.notes(self.assert_settled()))

    def test_record_removed(self):
        self.replaced()
        self.machine("qcow2", snapshots=[{"name": "ours"}])
        self.apply()
        files = self.files()
        self.hv.domain("web").setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, "reconcile", NAMESPACE, CONFIG)
        self.assertIn("that isn't ours", self.apply(status=1).stdout)
        self.hv.write("web.yaml", self.hv.vm("web", metadata={"adopt": True}, powerState="stopped",
                                             disks=[{"target": "vda", "pool": "lab", "size": "8MiB", "format": "qcow2"}]))
        self.apply()
        self.assertEqual(self.files(), files)
        self.assertEqual(self.hv.domain("web").snapshotListNames(), ["ours"])
        self.assertIn("that a person made", self.notes(self.assert_settled()))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
