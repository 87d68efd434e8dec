#!/usr/bin/python3
"""Actions that plug, unplug and update devices. The guest's heartbeat must go on through all of them."""

import xml.etree.ElementTree as ET

import action_case
from action_case import LiveCase, MIB
import lab
import libvirt

NIC = "52:54:00:00:00:01"
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE


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
        wanted = {**spec, "interfaces": self.nics()}
        self.act("domain-redefine", "web", spec=wanted)
        self.act("attach-device", "web", spec=wanted, list="interfaces", match=NIC)
        self.assertEqual(self.live(domain).find("devices/interface/mac").get("address"), NIC)

    def test_address_that_is_taken(self):
        """The definition gives the new disk an address that the running machine has given away."""
        self.make_pool()
        path = self.make_volume("disk", 8 * MIB, fmt="raw")
        domain, spec = self.make_vm("web", start=True, machine="pc")
        domain.attachDeviceFlags("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", LIVE)
        taken = self.live(domain).find("devices/rng/address").attrib
        spec = self.redefine(spec, disks=[{"target": "vdb", "path": path, "format": "raw"}])
        persistent = ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.assertEqual(persistent.find("devices/disk/address").attrib, taken)
        self.act("attach-device", "web", spec=spec, list="disks", match="vdb")
        self.assertNotEqual(self.live(domain).find("devices/disk/address").attrib, taken)

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
        self.act("detach-device", "web", spec=spec, list="interfaces", match=NIC, code="failed", saying="so the next start brings it")
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
        self.act("set-bandwidth", "web", spec=spec, match="52:54:00:00:00:99", code="libvirt", saying="cannot limit the bandwidth of interface 52:54:00:00:00:99")
        limited = {**spec, "interfaces": self.nics("one", inbound={"average": "1MiB/s"})}
        self.act("set-bandwidth", "web", spec=limited, match=NIC, code="refused", saying="made by another version: plan again")
        limits = {"inbound.average": 10 << 20, "inbound.peak": 20 << 20, "outbound.average": 1 << 20, "outbound.peak": 2 << 20, "outbound.burst": 1 << 20}
        outcome = action_case.Outcome(self.finish(self.start_act("set-bandwidth", "web", spec=spec, match=NIC, **limits)))
        if "(tc " in (outcome.message or ""):
            self.skipTest("this kernel can't limit traffic: " + outcome.message)
        self.check(outcome)
        now = domain.interfaceParameters(NIC, LIVE)
        self.assertEqual((now["outbound.average"], now["outbound.peak"], now["outbound.burst"]), (1024, 2048, 1024))
        self.assertEqual(now["inbound.peak"], 20 * 1024)
        self.act("set-bandwidth", "web", spec=spec, match=NIC)
        self.assertEqual(domain.interfaceParameters(NIC, LIVE)["outbound.average"], 0)


if __name__ == "__main__":
    action_case.main()
