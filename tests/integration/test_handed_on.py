#!/usr/bin/python3
"""One commit drops a machine and declares its disk elsewhere: for another machine, for itself under another name, as a Volume. What
is declared isn't deleted with the machine that goes, whatever is allowed, and whatever has become of the other one."""

import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import document  # noqa: E402

EVERYTHING = ("--prune", "--prune-limit", "100", "--allow", "restart,data-loss")


class HandedOn(lab.TestCase):
    tiny = True

    def setUp(self):
        self.specs = self.hv.path("specs")

    def files(self):
        return sorted(name for name in os.listdir(self.pool_file("")) if not name.startswith("sha256-"))

    def write(self, *documents):
        self.hv.write("all.yaml", self.hv.pool(), *documents, *(self.hv.vm(name, powerState="stopped") for name in ("a", "b")))

    def begin(self, power="stopped", **disk):
        """`old` with two disks that were made for it; vdb has content."""
        blank = {"size": "1MiB", "pool": "lab"}
        self.write(self.hv.vm("old", powerState="stopped", disks=[{"target": "vda", **blank}, {"target": "vdb", **blank, **disk}]))
        self.hv.apply(self.specs)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", self.pool_file("old-vdb.qcow2")], check=True, stdout=subprocess.DEVNULL)
        if power == "running":
            self.hv.domain("old").create()
            self.hv.guest("old").wait_heartbeat()
        return self.content("old-vdb.qcow2")

    def content(self, name):
        with open(self.pool_file(name), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def new(self, **disk):
        return self.hv.vm("new", powerState="stopped", disks=[{"target": "vda", **disk}])

    def prune(self, *options):
        return self.hv.reconcile(*(options or EVERYTHING), self.specs)

    def ends_well(self, before):
        """With the run after it: the file as it was, and nothing left to do."""
        self.hv.apply(*EVERYTHING, self.specs)
        self.assertEqual(self.content("old-vdb.qcow2"), before)
        self.assertEqual(self.files(), ["old-vdb.qcow2"])
        self.assertEqual(self.hv.plan(*EVERYTHING, self.specs, status=0)["actions"], [])

    def test_to_another_machine_while_it_runs(self):
        before = self.begin("running")
        self.write(self.hv.vm("new", disks=[{"target": "vda", "path": self.pool_file("old-vdb.qcow2"), "format": "qcow2"}]))
        result = self.prune()
        self.assertIn("disk vdb stays: ", result.stdout)
        self.assertIn("declared by vm/new", result.stdout)
        self.assertEqual(self.files(), ["old-vdb.qcow2"], str(result))
        self.assertEqual(self.content("old-vdb.qcow2"), before)
        self.write(self.new(path=self.pool_file("old-vdb.qcow2"), format="qcow2"))
        self.ends_well(before)

    def test_to_one_that_waits_for_its_image(self):
        before = self.begin()
        self.write(self.hv.image(), self.hv.vm("new", powerState="stopped", disks=[
            {"target": "vda", "image": "base"}, {"target": "vdb", "volume": "old-vdb.qcow2", "pool": "lab"}]))
        self.hv.apply(*EVERYTHING, self.specs)
        self.assertEqual(self.content("old-vdb.qcow2"), before)
        self.assertEqual(self.files(), ["new-vda.qcow2", "old-vdb.qcow2"])
        self.assertEqual(self.hv.plan(*EVERYTHING, self.specs, status=0)["actions"], [])

    def test_to_a_volume(self):
        before = self.begin()
        self.write(document("Volume", "old-vdb.qcow2", {"pool": "lab", "size": "1MiB"}))
        self.assertIn("declared by volume/old-vdb.qcow2", self.prune().stdout)
        self.ends_well(before)

    def test_to_an_image(self):
        """That is made of the file, or of what its directory has; nothing needs it yet."""
        for source in ("old-vdb.qcow2", ""):
            with self.subTest(source):
                before = self.begin()
                self.write(document("Image", "golden", {"pool": "lab", "source": os.path.normpath(self.pool_file(source)), **({} if source else {"useLatest": True})}))
                self.prune()
                self.assertEqual(self.content("old-vdb.qcow2"), before)
                self.assertFalse(any(each.name() == "old" for each in self.hv.conn.listAllDomains()))
                os.remove(self.pool_file("old-vdb.qcow2"))
                self.hv.conn.storagePoolLookupByName("lab").refresh()

    def test_ephemeral(self):
        """Which goes without data-loss."""
        before = self.begin(ephemeral=True)
        self.write(self.new(path=self.pool_file("old-vdb.qcow2"), format="qcow2"))
        self.prune("--prune", "--prune-limit", "100")
        self.assertEqual(self.content("old-vdb.qcow2"), before)
        os.remove(self.pool_file("old-vda.qcow2"))
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.ends_well(before)

    def test_by_a_link(self):
        before = self.begin()
        link = os.path.join(self.hv.make_directory("consoles", "links"), "data.img")
        os.symlink(self.pool_file("old-vdb.qcow2"), link)
        self.write(self.new(path=link, format="qcow2"))
        self.prune()
        self.ends_well(before)

    def test_layers(self):
        """One is declared: those above it have what was written last, those beneath what it lies on."""
        for declared in ("old-vdb.qcow2", "old-vdb.by-hand", "clone.qcow2"):
            with self.subTest(declared=declared):
                before = self.begin()
                self.hv.domain("old").snapshotCreateXML("<domainsnapshot><name>by-hand</name></domainsnapshot>",
                                                        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
                clone = self.pool_file("clone.qcow2")
                if declared == "clone.qcow2":
                    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self.pool_file("old-vdb.by-hand"), "-F", "qcow2", clone], check=True)
                    self.hv.give(clone)
                self.hv.conn.storagePoolLookupByName("lab").refresh()
                self.write(self.new(path=self.pool_file(declared), format="qcow2"))
                result = self.prune()
                self.assertIn("declared by vm/new", result.stdout)
                kept = ["old-vdb.by-hand", "old-vdb.qcow2"] + ([declared] if declared == "clone.qcow2" else [])
                self.assertEqual(self.files(), sorted(kept), str(result))
                self.assertEqual(self.content("old-vdb.qcow2"), before)
                self.write()
                self.prune()
                for name in kept:
                    if os.path.exists(self.pool_file(name)):
                        os.remove(self.pool_file(name))
                self.hv.conn.storagePoolLookupByName("lab").refresh()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
