#!/usr/bin/python3
"""Changes with a live effect reach a guest that works: it sees them, its
heartbeat goes on, and the machine never stops."""

import copy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt

import lab
from fields import put

MIB = 1 << 20


def volume_descriptor(label):
    """As much of an ISO 9660 disc as the guest looks at."""
    disc = bytearray(1 << 20)
    disc[32768:32774] = b"\x01CD001"
    disc[32808:32840] = label.encode().ljust(32)
    return bytes(disc)


class Changes(lab.TestCase):
    @classmethod
    def devices(cls):
        return {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        hv = cls.hv
        hv.make_directory("files")
        for label in ("FIRST", "SECOND"):
            cls.make_file(label, volume_descriptor(label))
        cls.make_file("more.raw", bytes(8 * MIB))
        cls.applied = hv.vm(
            "web", machine="pc", cpu={"count": 1, "max": 3}, memory={"size": "128MiB", "max": "192MiB"}, **cls.devices())
        hv.write("pool.yaml", hv.pool())
        hv.write("web.yaml", cls.applied)
        hv.apply(hv.path("specs"))
        cls.guest = hv.guest("web")
        cls.guest.wait_text("ready")
        cls.guest.wait_fact("memory", lambda kib: int(kib) < 128 * 1024)
        # The balloon may still be on its way to 128 MiB on a busy machine.
        cls.guest.wait(lambda guest: not hv.plan(hv.path("specs"))["actions"], "a balloon at rest")

    @classmethod
    def make_file(cls, name, content):
        path = cls.hv.path("files", name)
        with open(path, "wb") as file:
            file.write(content)
        cls.hv.give(path)

    def write(self):
        self.hv.write("web.yaml", self.machine)

    def apply(self):
        self.hv.apply(self.hv.path("specs"))
        type(self).applied = copy.deepcopy(self.machine)

    def setUp(self):
        self.events = self.recorder()
        self.machine = copy.deepcopy(self.applied)

    def tearDown(self):
        """It runs on."""

    def change(self, to, seen=lambda: None):
        """Sets values by path, applies and checks all that is promised. seen: waits
        until the guest sees it."""
        for path, value in to.items():
            put(self.machine["spec"], path, value)
        self.write()
        source = self.hv.path("specs")
        plan = self.hv.plan(source, status=2)
        vm = next(each for each in plan["objects"] if each["kind"] == "VirtualMachine")
        self.assertEqual({change["path"] for change in vm["fields"]}, set(to))
        self.assertEqual({change["effect"] for change in vm["fields"]}, {"live"})
        self.assertLessEqual({action["impact"] for action in plan["actions"]}, {"none", "live"})
        with self.guest.keeps_beating():
            self.apply()
            seen()
        again = self.hv.plan(source, status=0)
        self.assertEqual(again["actions"], [])
        self.assertEqual([change for each in again["objects"] for change in each["fields"]], [])
        self.events.settle()
        self.assertEqual(self.events.stopped_events(), [])
        self.assertEqual(self.hv.domain("web").isActive(), 1)


class Processors(Changes):
    """Of a machine that has hardly any device: QEMU 7.2 crashes when an emulated CPU is plugged beside many."""

    def test_virtual_cpus(self):
        self.change({"cpu.count": 2}, seen=lambda: self.guest.wait_fact("cpus", 2))
        self.change({"cpu.count": 3}, seen=lambda: self.guest.wait_fact("cpus", 3))


class LiveChanges(Changes):
    @classmethod
    def devices(cls):
        return {"disks": [{"target": "vda", "pool": "lab", "size": "32MiB"},
                          {"target": "hdc", "bus": "ide", "device": "cdrom", "path": cls.hv.path("files/FIRST")}],
                "interfaces": [{"name": "eth0", "user": True}]}

    def test_memory(self):
        before = int(self.guest.last("memory"))
        self.change({"memory.size": "160MiB"},
                    seen=lambda: self.guest.wait_fact("memory", lambda kib: int(kib) >= before + 30000))
        self.change({"memory.size": "128MiB"},
                    seen=lambda: self.guest.wait_fact("memory", lambda kib: int(kib) <= before + 1000))

    def test_disk_grows(self):
        self.change({"disks[vda].size": "48MiB"},
                    seen=lambda: self.guest.wait(lambda guest: guest.sizes().get("vda") == 48 * MIB, "a disk of 48 MiB"))

    def test_disk_comes_and_goes(self):
        more = {"path": self.hv.path("files/more.raw"), "format": "raw"}
        self.change({"disks[vdb]": more},
                    seen=lambda: self.guest.wait(lambda guest: guest.sizes().get("vdb") == 8 * MIB, "the disk"))
        self.change({"disks[vdb]": None},
                    seen=lambda: self.guest.wait(lambda guest: "vdb" not in guest.sizes(), "the disk gone"))
        blank = {"pool": "lab", "size": "16MiB"}
        self.change({"disks[vdc]": blank},
                    seen=lambda: self.guest.wait(lambda guest: 16 * MIB in guest.sizes().values(), "the new disk"))

    def test_what_it_boots_from_stays_until_it_is_off(self):
        self.machine["spec"]["disks"] = self.machine["spec"]["disks"][1:]
        self.write()
        try:
            plan = self.hv.plan(self.hv.path("specs"), status=2)
            vm = next(each for each in plan["objects"] if each["kind"] == "VirtualMachine")
            self.assertEqual([(each["path"], each["effect"]) for each in vm["fields"]], [("disks[vda]", "next-start")])
            self.assertNotIn("detach-device", [action["kind"] for action in plan["actions"]])
            # Nor does its file come as another disk meanwhile.
            moved = {"target": "vdb", "path": self.hv.path("pools/lab/web-vda.qcow2"), "format": "qcow2"}
            self.machine["spec"]["disks"].insert(0, moved)
            self.write()
            for _ in range(2):
                self.hv.apply(self.hv.path("specs"))
                plan = self.hv.plan(self.hv.path("specs"), status=0)
                vm = next(each for each in plan["objects"] if each["kind"] == "VirtualMachine")
                self.assertEqual({each["path"]: each["effect"] for each in vm["fields"]}, {"disks[vda]": "next-start", "disks[vdb]": "next-start"})
                self.assertEqual(plan["actions"], [])
        finally:
            self.machine = copy.deepcopy(self.applied)
            self.write()
            self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])

    def test_interface_comes_and_goes(self):
        mac = "52:54:00:aa:bb:cc"

        def states(guest):
            return dict(guest.nics().values())
        self.change({"interfaces[eth1]": {"user": True, "mac": mac}},
                    seen=lambda: self.guest.wait(lambda guest: states(guest).get(mac) == "up", "the interface"))
        self.change({"interfaces[eth1].link": "down"},
                    seen=lambda: self.guest.wait(lambda guest: states(guest).get(mac) == "down", "the link down"))
        self.change({"interfaces[eth1].link": "up"},
                    seen=lambda: self.guest.wait(lambda guest: states(guest).get(mac) == "up", "the link up"))
        self.change({"interfaces[eth1]": None},
                    seen=lambda: self.guest.wait(lambda guest: mac not in states(guest), "the interface gone"))

    def test_medium(self):
        self.change({"disks[hdc].path": self.hv.path("files/SECOND")},
                    seen=lambda: self.guest.wait_fact("cd", "SECOND"))
        self.change({"disks[hdc].path": None}, seen=lambda: self.guest.wait_fact("cd", "empty"))
        self.change({"disks[hdc].path": self.hv.path("files/FIRST")},
                    seen=lambda: self.guest.wait_fact("cd", "FIRST"))

    def test_io_limits(self):
        def limits():
            return self.hv.domain("web").blockIoTune("vda", libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.change({"disks[vda].ioLimits.read": "10MiB/s", "disks[vda].ioLimits.writeIops": 500})
        self.assertEqual((limits()["read_bytes_sec"], limits()["write_iops_sec"]), (10 * MIB, 500))
        # What the file never managed is somebody's.
        for state in (libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG):
            self.hv.domain("web").setBlockIoTune("vda", {"read_bytes_sec": 10 * MIB, "write_bytes_sec": 7 * MIB}, state)
        self.change({"disks[vda].ioLimits.read": "20MiB/s"})
        self.assertEqual((limits()["read_bytes_sec"], limits()["write_bytes_sec"]), (20 * MIB, 7 * MIB))
        self.change({"disks[vda].ioLimits.read": None})
        self.assertEqual((limits()["read_bytes_sec"], limits()["write_iops_sec"]), (0, 500))

    def test_texts(self):
        self.change({"title": "Web server", "description": "Serves the shop"})
        domain = self.hv.domain("web")
        self.assertEqual(domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None, libvirt.VIR_DOMAIN_AFFECT_LIVE),
                         "Web server")

    def test_several_at_once(self):
        self.change({"title": "Several", "memory.size": "140MiB", "disks[vda].ioLimits.write": "9MiB/s"},
                    seen=lambda: self.guest.wait_heartbeat(2))
        self.change({"title": None, "memory.size": "128MiB", "disks[vda].ioLimits.write": None})

    def test_nothing_restarts_unasked(self):
        """A change that waits for the next start leaves the guest at work."""
        put(self.machine["spec"], "boot.menu", True)
        self.write()
        source = self.hv.path("specs")
        plan = self.hv.plan(source, status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["domain-redefine"])
        with self.guest.keeps_beating():
            self.apply()
        self.assertEqual(self.events.stopped_events(), [])
        self.assertEqual(self.hv.plan(source, status=0)["summary"]["pending"], 1)
        put(self.machine["spec"], "boot.menu", None)
        self.write()
        self.apply()
        self.assertEqual(self.hv.plan(source, status=0)["summary"]["pending"], 0)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
