"""A machine with a data disk, snapshots of it, and going back: for the tests of reverts."""

import os
import subprocess
import glob
import xml.etree.ElementTree as ElementTree

import lab
import libvirt


class TestCase(lab.TestCase):
    """The machine "web" boots from files; vda is its only disk."""

    def specs(self):
        return self.hv.path("specs")

    def declare(self, revert=None, size="4MiB", more=(), apply=True, **spec):
        hv = self.hv
        self.last = dict(size=size, more=more, **spec)
        whole = {"disks": [{"target": "vda", "pool": "lab", "size": size}, *more], "serials": hv.control_port("web"),
                 "shutdown": {"timeout": "20s", "retryInterval": "2s"}, **spec}
        if revert:
            whole["revert"] = revert
        hv.write("all.yaml", hv.pool(), hv.vm("web", "control", **whole))
        if apply:
            hv.apply(self.specs())

    def revert(self, status=0, options=(), boots=True, **revert):
        """Asks for it, applies, and sees that a second run has nothing to do."""
        self.declare(revert=revert, apply=False, **self.last)
        starts = self.hv.guest("web").starts()
        result = self.hv.reconcile(*options, self.specs(), check=status)
        if status == 0 and boots and self.hv.domain("web").isActive():
            self.hv.guest("web").wait(lambda guest: guest.starts() > starts, "another start")
        if status == 0:
            self.settled()
        return result

    def settled(self):
        plan = self.hv.plan(self.specs(), status=0)
        self.assertEqual(plan["actions"], [])
        self.assertEqual(plan["summary"]["pending"], 0)
        self.assertNotIn("reverting", self.record())

    def record(self):
        return self.hv.domain("web").metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "https://reconcile.dev/xmlns/1",
                                              libvirt.VIR_DOMAIN_AFFECT_CONFIG)

    # Content: as the guest sees it, or of a disk of a stopped machine.

    def guest(self):
        """Which listens: what is said to its port before it reads there is lost."""
        guest = self.hv.guest("web")
        guest.wait(lambda guest: len(guest.heartbeats()) >= 2, "two heartbeats")
        return guest

    def write(self, seed, mib=2):
        self.guest().do("write", "vda", mib, seed)
        return self.sum()

    def sum(self):
        return self.guest().do("sum", "vda", 0, 4)

    def path(self):
        disk = ElementTree.fromstring(self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("devices/disk")
        return disk.find("source").get("file")

    def put(self, seed):
        subprocess.run(["qemu-io", "-c", f"write -P {ord(seed)} 1M 64k", self.path()], check=True, stdout=subprocess.DEVNULL)
        return self.content(4 << 20)

    def content(self, most=None):
        out = self.hv.path("content.raw")
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", self.path(), out], check=True)
        with open(out, "rb") as file:
            data = file.read(most)
        os.unlink(out)
        return data

    def capacity(self):
        return self.hv.domain("web").blockInfo("vda")[0]

    def files(self):
        return {os.path.basename(path) for path in glob.glob(self.hv.path("pools/lab/*"))}

    # Snapshots made by a person.

    def snapshot(self, name, flags=0, xml=""):
        self.hv.domain("web").snapshotCreateXML(f"<domainsnapshot><name>{name}</name>{xml}</domainsnapshot>", flags)
        self.hv.conn.storagePoolLookupByName("lab").refresh()

    def snapshot_memory(self, name):
        path = self.hv.path("pools/lab", f"web.{name}.memory")
        self.snapshot(name, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE,
                      f"<memory snapshot='external' file='{path}'/><disks><disk name='vda' snapshot='external'/></disks>")

    def snapshots(self):
        """{name: parent}"""
        found = {}
        for snapshot in self.hv.domain("web").listAllSnapshots():
            found[snapshot.getName()] = ElementTree.fromstring(snapshot.getXMLDesc()).findtext("parent/name")
        return found

    def current(self):
        return self.hv.domain("web").snapshotCurrent().getName()
