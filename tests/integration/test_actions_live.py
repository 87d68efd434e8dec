#!/usr/bin/python3
"""Actions on running machines and their disks. The guest's heartbeat must go on through all of them."""

import subprocess
import xml.etree.ElementTree as ET

import action_case
from action_case import LiveCase, MIB
import libvirt

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE


class TuneTest(LiveCase):
    """One machine for all of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.spec = None

    def setUp(self):
        if not self.spec:
            type(self).spec = self.make_vm("web", start=True, cpu={"count": 1, "max": 3})[1]
        self.domain = self.hv.domain("web")

    def tearDown(self):
        """It runs on."""

    def test_vcpus(self):
        domain, spec = self.domain, self.spec
        guest = self.hv.guest("web")
        with guest.keeps_beating(max_gap=10):
            for _ in range(2):
                self.act("set-vcpus", "web", spec=spec, count=3)
            guest.wait_fact("cpus", 3)
            self.act("set-vcpus", "web", spec=spec, count=9, code="libvirt", saying="cannot set the virtual CPUs")
            outcome = action_case.Outcome(self.finish(self.start_act("set-vcpus", "web", spec=spec, count=2)))
        self.assertIn(outcome.code, (None, "failed", "libvirt"), str(outcome))
        self.assertEqual(outcome.ok, domain.vcpusFlags(libvirt.VIR_DOMAIN_VCPU_LIVE) == 2)

    def test_memory(self):
        domain, spec = self.domain, self.spec
        guest = self.hv.guest("web")
        before = int(guest.last("memory"))
        with guest.keeps_beating():
            for _ in range(2):
                self.act("set-memory", "web", spec=spec, bytes=96 * MIB)
            guest.wait_fact("memory", lambda kib: int(kib) <= before - 30000)
        self.assertEqual(domain.info()[2], 96 * 1024)
        self.act("set-memory", "web", spec=spec, bytes=1024 * MIB, code="libvirt", saying="cannot set the memory")

    def test_memory_statistics(self):
        domain, spec = self.domain, self.spec
        self.act("set-memory-stats", "web", spec=spec, period=5000)
        self.assertEqual(self.live(domain).find("devices/memballoon/stats").get("period"), "5")
        self.act("set-memory-stats", "web", spec=spec, period=0)
        self.assertIsNone(self.live(domain).find("devices/memballoon/stats"))

    def test_texts(self):
        domain, spec = self.domain, self.spec
        for kind in ("title", "description"):
            for _ in range(2):
                self.act("set-" + kind, "web", spec=spec, text="One <&> two")
                self.assertEqual(self.live(domain).findtext(kind), "One <&> two")
            self.act("set-" + kind, "web", spec=spec)
            self.assertIsNone(self.live(domain).find(kind))

    def test_lifecycle(self):
        domain, spec = self.domain, self.spec
        for event, element, action in (("onPoweroff", "on_poweroff", "restart"), ("onReboot", "on_reboot", "restart"),
                                       ("onCrash", "on_crash", "preserve"), ("onPoweroff", "on_poweroff", "destroy")):
            self.act("set-lifecycle", "web", spec=spec, event=event, action_=action)
            self.assertEqual(self.live(domain).findtext(element), action)
        self.act("set-lifecycle", "web", spec=spec, event="onReboot", action_="explode", code="failed")
        self.act("set-lifecycle", "web", spec=spec, event="onReboot", action_="rename-restart", code="libvirt")

    def test_pinning(self):
        domain, spec = self.domain, self.spec
        for _ in range(2):
            self.act("pin-vcpu", "web", spec=spec, vcpu=0, cpus="0")
            self.act("pin-emulator", "web", spec=spec, cpus="0")
        self.assertEqual(self.live(domain).find("cputune/vcpupin").get("cpuset"), "0")
        self.assertEqual(self.live(domain).find("cputune/emulatorpin").get("cpuset"), "0")
        self.act("pin-vcpu", "web", spec=spec, vcpu=0, cpus="all")
        self.act("pin-emulator", "web", spec=spec, cpus="all")
        self.assertTrue(all(domain.vcpuPinInfo(LIVE)[0]))
        self.act("pin-vcpu", "web", spec=spec, vcpu=0, cpus="4000", code="failed", saying="the host has no CPUs 4000")
        self.act("pin-vcpu", "web", spec=spec, vcpu=77, cpus="0", code="libvirt")

    def test_scheduler_needs_cgroups(self):
        spec = self.spec
        self.act("set-scheduler", "web", spec=spec, shares=512, code="libvirt", saying="cannot set the CPU scheduling")
        self.act("set-scheduler", "web", spec=spec)

    def test_stopped(self):
        _, spec = self.make_vm("off")
        self.act("set-memory", "off", spec=spec, bytes=MIB, code="stale", saying="isn't running")


class DiskTest(LiveCase):
    def setUp(self):
        self.make_pool()
        self.path = self.make_volume("disk", 8 * MIB)
        self.disks = [{"target": "vda", "path": self.path, "format": "qcow2"}]

    def test_grow(self):
        _, spec = self.make_vm("web", start=True, disks=self.disks)
        guest = self.hv.guest("web")
        with guest.keeps_beating():
            for _ in range(2):
                self.act("resize-disk", "web", spec=spec, target="vda", bytes=16 * MIB, from_=8 * MIB)
            guest.wait(lambda g: g.sizes().get("vda") == 16 * MIB, "16 MiB")
        self.act("resize-disk", "web", spec=spec, target="vda", bytes=8 * MIB, code="refused", saying="never")
        self.act("resize-disk", "web", spec=spec, target="vda", bytes=32 * MIB, from_=8 * MIB, code="stale", saying="as planned")
        self.act("resize-disk", "web", spec=spec, target="vdz", bytes=32 * MIB, code="libvirt")

    def test_base_is_not_grown(self):
        _, spec = self.make_vm("web", start=True, disks=self.disks)
        overlay = self.hv.path("pools/lab/overlay")
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", self.path, "-F", "qcow2", overlay, "8M"], check=True)
        self.hv.give(overlay)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.act("resize-disk", "web", spec=spec, target="vda", bytes=16 * MIB, code="refused", saying="volume overlay")

    def test_io_limits(self):
        domain, spec = self.make_vm("web", start=True, disks=self.disks)
        self.act("set-io-limits", "web", spec=spec, target="vda", read=5 * MIB, writeIops=100)
        tune = domain.blockIoTune("vda", LIVE)
        self.assertEqual((tune["read_bytes_sec"], tune["write_iops_sec"], tune["total_bytes_sec"]), (5 * MIB, 100, 0))
        self.act("set-io-limits", "web", spec=spec, target="vda", total=MIB)
        tune = domain.blockIoTune("vda", LIVE)
        self.assertEqual((tune["read_bytes_sec"], tune["write_iops_sec"], tune["total_bytes_sec"]), (0, 0, MIB))
        self.act("set-io-limits", "web", spec=spec, target="vda")
        self.assertEqual(domain.blockIoTune("vda", LIVE)["total_bytes_sec"], 0)

    def make_iso(self, label):
        path = self.hv.path("pools/lab", label + ".iso")
        with open(path, "wb") as file:
            file.truncate(64 * 2048)
            file.seek(32768)
            file.write(b"\x01CD001\x01\x00" + b" " * 32 + label.encode().ljust(32))
            file.seek(17 * 2048)
            file.write(b"\xffCD001\x01")
        self.hv.give(path)
        return path

    def test_media(self):
        one, two = self.make_iso("ONE"), self.make_iso("TWO")

        def drive(path):
            return {"disks": [{"target": "sda", "device": "cdrom", "bus": "sata", **({"path": path, "format": "raw"} if path else {})}]}
        domain, spec = self.make_vm("web", start=True, machine="q35", **drive(one))
        guest = self.hv.guest("web")
        medium = lambda: self.live(domain).find("devices/disk/source")  # noqa: E731
        with guest.keeps_beating():
            for path in (two, two, None, None, one):
                spec = self.redefine(spec, **drive(path))
                self.act("change-media", "web", spec=spec, target="sda", path=path)
                self.assertEqual(None if medium() is None else medium().get("file"), path)
        self.assertEqual(self.live(domain).find("devices/disk/driver").get("type"), "raw")
        self.act("change-media", "web", spec=spec, target="sda", path="/nowhere.iso", code="libvirt")
        self.assertEqual(medium().get("file"), one)
        self.act("change-media", "web", spec=spec, target="sdz", path=one, code="stale")

    def test_media_of_a_locked_drive(self):
        """A guest that reads has locked the tray, and no program in it listens for who wants it open."""
        one = self.make_iso("ONE")

        def drive(path):
            return {"disks": [{"target": "hdc", "device": "cdrom", "bus": "ide", **({"path": path, "format": "raw"} if path else {})}]}
        control = {"machine": "pc", "serials": self.hv.control_port("web")}
        domain, spec = self.make_vm("web", "control", start=True, **control, **drive(one))
        guest = self.hv.guest("web")
        guest.wait_fact("cd", "ONE")
        guest.do("run", "echo 1 >/proc/sys/dev/cdrom/lock; sleep 4 </dev/sr0 & sleep 0.2")
        spec = self.redefine(spec, **drive(None))
        self.act("change-media", "web", spec=spec, target="hdc")
        self.assertEqual([source.get("file") for source in self.live(domain).findall("devices/disk/source")], [None])

    def test_media_of_a_disk(self):
        _, spec = self.make_vm("web", start=True, disks=self.disks)
        self.act("change-media", "web", spec=spec, target="vda", path="/x", code="refused", saying="no drive")

if __name__ == "__main__":
    action_case.main()
