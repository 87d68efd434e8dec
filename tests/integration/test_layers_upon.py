#!/usr/bin/python3
"""What is based on a file is never destroyed by a machine that takes the file and writes to it: a machine whose definition
went, and whose disks stayed, is made anew over the layer that a person's snapshot gave it."""

import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import document  # noqa: E402

SNAPSHOT = "<domainsnapshot><name>by-hand</name></domainsnapshot>"


class LayersUpon(lab.TestCase):
    tiny = True

    def setUp(self):
        self.specs = self.hv.path("specs")

    def write(self, *documents):
        self.hv.write("all.yaml", self.hv.pool(), *documents)

    def machine(self, **disk):
        return self.hv.vm("web", powerState="stopped", disks=[{"target": "vda", **(disk or {"size": "1MiB", "pool": "lab"})}])

    def refresh(self):
        self.hv.conn.storagePoolLookupByName("lab").refresh()

    def files(self):
        """Of the pool: name and content."""
        content = {}
        for name in sorted(os.listdir(self.pool_file(""))):
            with open(self.pool_file(name), "rb") as file:
                content[name] = hashlib.sha256(file.read()).hexdigest()
        return content

    def undefine(self):
        self.hv.domain("web").undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)

    def layered(self, known):
        """`web` was on a layer of a person's making, which has what was written last; then its definition went."""
        self.write(self.machine())
        self.hv.apply(self.specs)
        self.hv.domain("web").snapshotCreateXML(SNAPSHOT, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", self.pool_file("web-vda.by-hand")], check=True, stdout=subprocess.DEVNULL)
        self.hv.give(self.pool_file("web-vda.by-hand"))
        self.undefine()
        if known:
            self.refresh()

    def refuses(self, *saying, layer="web-vda.by-hand", helps="path:"):
        """The run ends in an error that says which file lies upon which, and what helps; nothing is made or changed."""
        before = self.files()
        result = self.hv.reconcile(self.specs)
        self.assertIn(result.status, (1, 3), str(result))
        for text in (layer, helps, *saying):
            self.assertIn(text, result.stdout + result.stderr)
        self.assertEqual(self.files(), before)
        return result

    def is_absent(self, name="web"):
        self.assertNotIn(name, [domain.name() for domain in self.hv.conn.listAllDomains()])

    def test_made_anew(self):
        self.layered(known=True)
        result = self.refuses(self.pool_file("web-vda.qcow2"))
        self.assertEqual(result.status, 1, str(result))
        self.assertEqual(self.hv.plan(self.specs, status=1)["actions"], [])
        self.is_absent()
        # What the message says helps.
        self.write(self.machine(path=self.pool_file("web-vda.by-hand")))
        self.hv.apply(self.specs)
        self.assertEqual(self.hv.plan(self.specs, status=0)["actions"], [])

    def test_made_anew_while_the_pool_does_not_know_the_layer(self):
        self.layered(known=False)
        self.refuses(self.pool_file("web-vda.qcow2"))
        self.is_absent()
        subprocess.run(["qemu-img", "commit", "-q", self.pool_file("web-vda.by-hand")], check=True)
        os.remove(self.pool_file("web-vda.by-hand"))
        self.hv.give(self.pool_file("web-vda.qcow2"))
        self.refresh()
        self.hv.apply(self.specs)
        self.assertEqual(self.hv.plan(self.specs, status=0)["actions"], [])

    def test_made_anew_while_the_pool_knows_neither(self):
        """It is to be made, as far as the plan can tell."""
        self.layered(known=True)
        aside = self.hv.make_directory("consoles", "aside")
        names = ("web-vda.qcow2", "web-vda.by-hand")
        for name in names:
            os.rename(self.pool_file(name), os.path.join(aside, name))
        self.refresh()
        for name in names:
            os.rename(os.path.join(aside, name), self.pool_file(name))
        self.refuses(self.pool_file("web-vda.qcow2"))
        self.is_absent()

    def test_it_does_not_grow_beneath_either(self):
        self.layered(known=False)
        self.write(self.machine(size="2MiB", pool="lab"))
        self.refuses(helps="can't be resized")
        self.is_absent()

    def test_named_by_path_or_volume(self):
        for known in (True, False):
            self.layered(known)
            for disk in ({"path": self.pool_file("web-vda.qcow2"), "format": "qcow2"}, {"volume": "web-vda.qcow2", "pool": "lab"}):
                with self.subTest(known=known, **disk):
                    self.write(self.machine(**disk))
                    self.refuses(self.pool_file("web-vda.qcow2"))
                    self.is_absent()
                    if not known:  # the run looked
                        break
            os.remove(self.pool_file("web-vda.by-hand"))
            os.remove(self.pool_file("web-vda.qcow2"))
            self.refresh()

    def test_who_only_reads_it_may_have_it(self):
        self.layered(known=True)
        self.write(self.machine(path=self.pool_file("web-vda.qcow2"), format="qcow2", readOnly=True))
        self.hv.apply(self.specs)
        self.assertEqual(self.hv.plan(self.specs, status=0)["actions"], [])

    def test_a_further_disk(self):
        """A machine that is there gets one more: the base of its own layer."""
        for known in (True, False):
            with self.subTest(known=known):
                self.layered(known)
                top = {"target": "vda", "path": self.pool_file("web-vda.by-hand"), "format": "qcow2"}
                self.write(self.hv.vm("web", powerState="stopped", disks=[top]))
                self.hv.apply(self.specs)
                before = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
                below = {"target": "vdb", "path": self.pool_file("web-vda.qcow2"), "format": "qcow2"}
                self.write(self.hv.vm("web", powerState="stopped", disks=[top, below]))
                self.refuses(self.pool_file("web-vda.qcow2"))
                self.assertEqual(self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), before)
                self.undefine()
                os.remove(self.pool_file("web-vda.by-hand"))
                self.refresh()

    def test_beneath_a_snapshot_in_no_pool(self):
        """Of a stopped machine, nothing but libvirt's snapshots tells that its file is a layer."""
        place = self.hv.make_directory("elsewhere")
        disk, layer = os.path.join(place, "disk.qcow2"), os.path.join(place, "web-vda.one.qcow2")
        one = {"path": disk, "format": "qcow2"}
        for ours in (True, False):
            with self.subTest(ours=ours):
                subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
                self.hv.give(disk)
                self.write(self.machine(**one))
                self.hv.apply(self.specs)
                snapshots = {"snapshots": [{"name": "one"}]} if ours else {}
                if ours:
                    self.write(self.hv.vm("web", powerState="stopped", disks=[{"target": "vda", **one}], **snapshots))
                    self.hv.apply(self.specs)
                else:
                    self.hv.domain("web").snapshotCreateXML(
                        f"<domainsnapshot><name>one</name><disks><disk name='vda' snapshot='external'><source file='{layer}'/></disk></disks>"
                        "</domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
                before = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
                self.write(self.hv.vm("web", powerState="stopped", disks=[{"target": "vdb", **one}], **snapshots))
                self.refuses(disk, layer=layer)
                self.assertEqual(self.hv.plan(self.specs, status=1)["actions"], [])
                self.assertEqual(self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), before)
                self.write(self.hv.vm("web", powerState="stopped", disks=[{"target": "vda", "size": "1MiB", "pool": "lab"}], **snapshots),
                           self.hv.vm("heir", powerState="stopped", disks=[{"target": "vda", **one}]))
                self.refuses(disk, layer=layer)
                self.is_absent("heir")
                self.undefine()
                os.remove(layer)
                os.remove(disk)

    def test_several_layers(self):
        """The topmost is the one that helps."""
        self.layered(known=True)
        top = self.pool_file("web-vda.top.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self.pool_file("web-vda.by-hand"), "-F", "qcow2", top], check=True)
        self.hv.give(top)
        self.refresh()
        self.refuses(layer=top)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
