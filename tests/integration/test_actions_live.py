#!/usr/bin/python3
"""Actions on running machines. The guest's heartbeat must go on through all of them."""

import subprocess
import xml.etree.ElementTree as ET

import action_case
from action_case import MIB
import lab
import libvirt

NIC = "52:54:00:00:00:01"
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE


class LiveCase(action_case.ActionCase):
    def live(self, domain):
        return ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))

    def redefine(self, spec, **more):
        """As a plan does before each live change."""
        spec = {**spec, **more}
        self.act("domain-redefine", "web", spec=spec)
        return spec


class TuneTest(LiveCase):
    def test_vcpus(self):
        domain, spec = self.make_vm("web", start=True, cpu={"count": 1, "max": 3})
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
        domain, spec = self.make_vm("web", start=True)
        guest = self.hv.guest("web")
        before = int(guest.last("memory"))
        with guest.keeps_beating():
            for _ in range(2):
                self.act("set-memory", "web", spec=spec, bytes=96 * MIB)
            guest.wait_fact("memory", lambda kib: int(kib) <= before - 30000)
        self.assertEqual(domain.info()[2], 96 * 1024)
        self.act("set-memory", "web", spec=spec, bytes=1024 * MIB, code="libvirt", saying="cannot set the memory")

    def test_memory_statistics(self):
        domain, spec = self.make_vm("web", start=True)
        self.act("set-memory-stats", "web", spec=spec, period=5000)
        self.assertEqual(self.live(domain).find("devices/memballoon/stats").get("period"), "5")
        self.act("set-memory-stats", "web", spec=spec, period=0)
        self.assertIsNone(self.live(domain).find("devices/memballoon/stats"))

    def test_texts(self):
        domain, spec = self.make_vm("web", start=True)
        for kind in ("title", "description"):
            for _ in range(2):
                self.act("set-" + kind, "web", spec=spec, text="One <&> two")
                self.assertEqual(self.live(domain).findtext(kind), "One <&> two")
            self.act("set-" + kind, "web", spec=spec)
            self.assertIsNone(self.live(domain).find(kind))

    def test_lifecycle(self):
        domain, spec = self.make_vm("web", start=True)
        for event, element, action in (("onPoweroff", "on_poweroff", "restart"), ("onReboot", "on_reboot", "restart"),
                                       ("onCrash", "on_crash", "preserve"), ("onPoweroff", "on_poweroff", "destroy")):
            self.act("set-lifecycle", "web", spec=spec, event=event, action_=action)
            self.assertEqual(self.live(domain).findtext(element), action)
        self.act("set-lifecycle", "web", spec=spec, event="onReboot", action_="explode", code="failed")
        self.act("set-lifecycle", "web", spec=spec, event="onReboot", action_="rename-restart", code="libvirt")

    def test_pinning(self):
        domain, spec = self.make_vm("web", start=True)
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
        _, spec = self.make_vm("web", start=True)
        self.act("set-scheduler", "web", spec=spec, shares=512, code="libvirt", saying="cannot set the CPU scheduling")
        self.act("set-scheduler", "web", spec=spec)

    def test_stopped(self):
        _, spec = self.make_vm("web")
        self.act("set-memory", "web", spec=spec, bytes=MIB, code="stale", saying="isn't running")


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

    def test_media_of_a_disk(self):
        _, spec = self.make_vm("web", start=True, disks=self.disks)
        self.act("change-media", "web", spec=spec, target="vda", path="/x", code="refused", saying="no drive")


class DeviceTest(LiveCase):
    def nics(self, **more):
        return [{"name": "eth0", "mac": NIC, "user": True, "model": "virtio", **more}]

    def test_disk(self):
        self.make_pool()
        path = self.make_volume("disk", 8 * MIB, fmt="raw")
        domain, spec = self.make_vm("web", start=True, machine="pc")
        guest = self.hv.guest("web")
        both = {**spec, "disks": [{"target": "vdb", "path": path, "format": "raw", "serial": "DATA"}]}
        with guest.keeps_beating():
            self.act("domain-redefine", "web", spec=both)
            for _ in range(2):
                self.act("attach-device", "web", spec=both, list="disks", match="vdb")
            guest.wait(lambda g: list(g.sizes().values()) == [8 * MIB], "the disk")
            persistent = ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("devices/disk/address")
            self.assertEqual(self.live(domain).find("devices/disk/address").attrib, persistent.attrib)
            self.act("domain-redefine", "web", spec=spec)
            for _ in range(2):
                self.act("detach-device", "web", spec=spec, list="disks", match="vdb")
            guest.wait_fact("disks", "none")
        self.assertIsNone(self.live(domain).find("devices/disk"))

    def test_interface(self):
        domain, spec = self.make_vm("web", start=True, machine="q35", interfaces=[])
        guest = self.hv.guest("web")
        wanted = {**spec, "interfaces": self.nics()}
        self.act("domain-redefine", "web", spec=wanted)
        self.act("attach-device", "web", spec=wanted, list="interfaces", match=NIC)
        self.assertEqual(self.live(domain).find("devices/interface/mac").get("address"), NIC)

    def test_link(self):
        domain, spec = self.make_vm("web", start=True, interfaces=self.nics())
        guest = self.hv.guest("web")
        guest.wait(lambda g: g.nics().get("eth0") == (NIC, "up"), "link up")
        link = lambda: self.live(domain).find("devices/interface/link")  # noqa: E731
        with guest.keeps_beating():
            spec = self.redefine(spec, interfaces=self.nics(link="down"))
            for _ in range(2):
                self.act("update-device", "web", spec=spec, list="interfaces", match=NIC)
            self.assertEqual(link().get("state"), "down")
            guest.wait(lambda g: g.nics().get("eth0") == (NIC, "down"), "link down")
            # Left out of the file again: back to the default.
            spec = self.redefine(spec, interfaces=self.nics())
            self.act("update-device", "web", spec=spec, list="interfaces", match=NIC)
            guest.wait(lambda g: g.nics().get("eth0") == (NIC, "up"), "link up")

    def test_replug(self):
        domain, spec = self.make_vm("web", start=True, machine="pc", interfaces=self.nics())
        guest = self.hv.guest("web")
        with guest.keeps_beating():
            spec = self.redefine(spec, interfaces=self.nics(model="e1000"))
            self.act("replug-device", "web", spec=spec, list="interfaces", match=NIC)
        self.assertEqual(self.live(domain).find("devices/interface/model").get("type"), "e1000")
        self.assertNotIn("eth0", guest.nics(), "the guest has no driver for it")

    def test_deaf_guest(self):
        """A guest that can't answer keeps the device, and that is said."""
        domain, spec = self.make_vm("web", machine="pc", interfaces=self.nics())
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        self.act("detach-device", "web", spec=spec, list="interfaces", match=NIC, code="failed", saying="did not release")
        self.assertIsNotNone(self.live(domain).find("devices/interface"))

    def test_what_cannot_be_unplugged(self):
        self.make_pool()
        path = self.make_volume("disk", 8 * MIB)
        _, spec = self.make_vm("web", start=True, machine="q35",
                               disks=[{"target": "sda", "bus": "sata", "path": path, "format": "qcow2"}])
        self.act("detach-device", "web", spec=spec, list="disks", match="sda", code="libvirt", saying="cannot detach")
        spec["disks"].append({"target": "sdb", "bus": "sata", "path": path, "format": "qcow2"})
        self.act("attach-device", "web", spec=spec, list="disks", match="sdb", code="libvirt", saying="cannot attach")
        self.act("attach-device", "web", spec=spec, list="nonsense", match="x", code="failed")

    def test_password(self):
        secret = self.hv.conn.secretDefineXML(
            "<secret ephemeral='no' private='no'><usage type='vtpm'><name>vnc-web</name></usage></secret>")
        secret.setValue(b"one")
        domain, spec = self.make_vm("web", start=True, graphics=[
            {"type": "vnc", "listen": "127.0.0.1", "passwordSecret": "vnc-web"}])
        passwd = lambda: self.live(domain).find("devices/graphics").get("passwd")  # noqa: E731
        self.assertEqual(passwd(), "one")
        secret.setValue(b"two")
        spec = self.redefine(spec)
        outcome = self.act("update-device", "web", spec=spec, list="graphics", match="vnc")
        self.assertEqual(passwd(), "two")
        self.assertNotIn("two", f"{outcome}")


class SystemTest(LiveCase):
    """Networks and bandwidth need a privileged daemon."""

    hypervisor = lab.SystemHypervisor

    def network(self, name, octet):
        net = self.hv.conn.networkDefineXML(
            f"<network><name>{name}</name><bridge name='br{octet}'/><ip address='10.9.{octet}.1' netmask='255.255.255.0'/></network>")
        net.create()

    def nics(self, network, **more):
        return [{"name": "eth0", "mac": NIC, "network": network, "model": "virtio", **more}]

    def test_interface(self):
        self.network("one", 1)
        self.network("two", 2)
        domain, spec = self.make_vm("web", start=True, interfaces=self.nics("one"))
        guest = self.hv.guest("web")
        with guest.keeps_beating():
            spec = self.redefine(spec, interfaces=self.nics("two"))
            for _ in range(2):
                self.act("update-device", "web", spec=spec, list="interfaces", match=NIC)
            self.assertEqual(self.live(domain).find("devices/interface/source").get("network"), "two")
            self.assertEqual(self.live(domain).find("devices/interface/source").get("bridge"), "br2")
            self.redefine(spec, interfaces=[])
            self.act("detach-device", "web", spec=spec, list="interfaces", match=NIC)
            guest.wait_fact("nics", "none")

    def test_bandwidth(self):
        self.network("one", 1)
        domain, spec = self.make_vm("web", start=True, interfaces=self.nics("one"))
        self.act("set-bandwidth", "web", spec=spec, match=NIC)
        self.act("set-bandwidth", "web", spec=spec, match="52:54:00:00:00:99", code="failed", saying="no interface")
        limits = {"inbound": {"average": "10MiB/s", "peak": "20MiB/s"},
                  "outbound": {"average": "1MiB/s", "peak": "2MiB/s", "burst": "1MiB"}}
        spec = self.redefine(spec, interfaces=self.nics("one", **limits))
        outcome = action_case.Outcome(self.finish(self.start_act("set-bandwidth", "web", spec=spec, match=NIC)))
        if "(tc " in (outcome.message or ""):
            self.skipTest("this kernel can't limit traffic: " + outcome.message)
        self.check(outcome)
        now = domain.interfaceParameters(NIC, LIVE)
        self.assertEqual((now["outbound.average"], now["outbound.peak"], now["outbound.burst"]), (1024, 2048, 1024))
        self.assertEqual(now["inbound.peak"], 20 * 1024)
        spec = self.redefine(spec, interfaces=self.nics("one"))
        self.act("set-bandwidth", "web", spec=spec, match=NIC)
        self.assertEqual(domain.interfaceParameters(NIC, LIVE)["outbound.average"], 0)


if __name__ == "__main__":
    action_case.main()
