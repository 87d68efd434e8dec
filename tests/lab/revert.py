"""A machine with a data disk, snapshots of it, and going back: for the tests of reverts."""

import glob
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import counting
import faults
import lab
import libvirt


class TestCase(lab.TestCase):
    """The machine "web" boots from files; vda is its only disk."""

    tiny = True

    def specs(self):
        return self.hv.path("specs")

    def declare(self, revert=None, size="4MiB", format="qcow2", more=(), apply=True, **spec):
        hv = self.hv
        self.last = dict(size=size, format=format, more=more, **spec)
        whole = {"disks": [{"target": "vda", "pool": "lab", "size": size, "format": format}, *more], "serials": hv.control_port("web"),
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
        """Which has come up since it was started last."""
        guest = self.hv.guest("web")
        guest.wait(lambda guest: len(guest.heartbeats()) >= 2, "two heartbeats")
        return guest

    def fill(self, seed, mib=2):
        self.guest().do("write", "vda", mib, seed)
        return self.sum()

    def sum(self):
        return self.guest().do("sum", "vda", 0, 4)

    def path(self):
        disk = ElementTree.fromstring(self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("devices/disk")
        return disk.find("source").get("file")

    def put(self, seed):
        subprocess.run(["qemu-io", *("-f raw".split() if self.path().endswith(".raw") else ()), "-c", f"write -P {ord(seed)} 1M 64k", self.path()], check=True, stdout=subprocess.DEVNULL)
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


class Stopped(faults.Scenario):
    """A stopped machine goes back again and again, to an external snapshot or one within the file."""

    alike = True
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    spec = {"powerState": "stopped"}
    safety = False
    runs = 0
    names = ["first"]

    def documents(self, hv, step):
        self.step = step
        asked = {"revert": {"to": self.to(), "request": f"r{step}", "safety": self.safety}} if step else {}
        return [hv.pool(), self.machine(hv, [{"target": "vda", "pool": "lab", "size": "4MiB"}], **self.spec, **asked)]

    def to(self):
        return "first"

    def machine(self, hv, disks, **spec):
        return hv.vm("web", disks=disks, **spec)

    def started(self, case):
        self.write(case, "a")
        self.wanted = self.content(case)
        self.snapshot(case)
        self.write(case, "b")

    def snapshot(self, case):
        TestCase.snapshot(case, "first", self.flags)

    def write(self, case, seed):
        TestCase.put(case, seed)

    def content(self, case):
        return TestCase.content(case, 4 << 20)

    def check(self, case):
        if not self.step:
            return
        case.assertEqual(case.hv.domain("web").isActive(), self.runs)
        case.assertTrue(self.content(case) == self.wanted, "the disk doesn't hold what the snapshot did")
        case.assertNotIn("reverting", TestCase.record(case))
        case.assertNotIn("leaving", TestCase.record(case))
        self.check_files(case)
        self.write(case, "b")

    def check_files(self, case):
        """Each belongs to a disk or a snapshot; with nothing kept, there are as many as after the first time."""
        domain = case.hv.reconcile("status", "--disks", "-o", "json", check=0).json()["domains"]
        case.assertEqual([each["name"] for each in domain], ["web"])
        layers = [layer for disk in domain[0]["disks"] for layer in disk["layers"]] + domain[0]["branches"]
        known = {layer["path"] for layer in layers} | {each["memoryPath"] for each in domain[0]["snapshots"]}
        case.assertEqual(set(glob.glob(case.hv.path("pools/lab/*"))) - known, set(), "left over")
        case.assertEqual([each["name"] for each in domain[0]["snapshots"] if each["current"]], [self.to()])
        if not self.safety:
            case.assertEqual([each["name"] for each in domain[0]["snapshots"]], self.names)


class Between(Stopped):
    """To the one and to the other of two snapshots: what was abandoned the last time was named by one of them."""

    alike = False
    names = ["first", "second"]

    def to(self):
        return self.names[self.step % 2]

    def started(self, case):
        contents = []
        for seed, name in zip("ab", self.names):
            self.write(case, seed)
            contents.append(self.content(case))
            TestCase.snapshot(case, name, self.flags)
        self.write(case, "c")
        self.contents = contents

    @property
    def wanted(self):
        return self.contents[self.step % 2]


class KeepingThePresent(Stopped):
    """With a snapshot of the present each time, which holds the present."""

    safety = True

    def check_files(self, case):
        super().check_files(case)
        names = {each.getName() for each in case.hv.domain("web").listAllSnapshots()}
        case.assertIn(f"revert-r{self.step}", names)


class WithMore(Stopped):
    """What else differs is done by the same run, when it has looked again: the title, and a snapshot for another one."""

    def documents(self, hv, step):
        self.spec = {**Stopped.spec, "title": f"step {step}", "snapshots": [{"name": f"own{step}"}] if step else []}
        return super().documents(hv, step)

    def check_files(self, case):
        domain = case.hv.domain("web")
        case.assertEqual(domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None), f"step {self.step}")
        case.assertEqual({each.getName() for each in domain.listAllSnapshots()}, {"first", f"own{self.step}"})
        case.assertEqual(len(TestCase.files(case)), 3)  # the disk, its layer, and that of its own snapshot


class Within(Stopped):
    """A snapshot within the disk's file."""

    flags = 0


class Running(Stopped):
    """A machine whose power nobody declares runs again when it ran."""

    spec = {"powerState": None}
    runs = 1
    starts = 0

    def machine(self, hv, disks, **spec):
        return counting.machine(hv, "web", disks, **spec)

    def started(self, case):
        case.hv.domain("web").create()
        self.starts = counting.came_up(case.hv, "web")
        super().started(case)

    def write(self, case, seed):
        counting.write(case.hv, "web", "vda", 1, ord(seed))

    def content(self, case):
        return counting.content(case.hv, "web")

    def check(self, case):
        super().check(case)
        if self.step:
            self.check_guest(case)

    def check_guest(self, case):
        starts = counting.came_up(case.hv, "web")
        case.assertGreater(starts, self.starts, "the machine wasn't started again")
        self.starts = starts


class Resumed(Running):
    """With the memory: the guest goes on where it was."""

    def snapshot(self, case):
        TestCase.snapshot_memory(case, "first")

    def check_guest(self, case):
        guest = case.hv.guest("web")
        case.assertEqual(guest.starts(), 1, "the guest started anew")
        guest.wait_heartbeat()
