#!/usr/bin/python3
"""Actions on networks, with a privileged daemon where they can be started."""

import xml.etree.ElementTree as ET

import action_case
import lab
import libvirt

NIC = "52:54:00:00:00:01"


class NetworkCase(action_case.ActionCase):
    def net_act(self, action, spec=None, **more):
        return self.act(action, "front", kind="Network", spec=spec, **more)

    def network(self):
        return self.hv.conn.networkLookupByName("front")

    def xml(self, flags=0):
        return ET.fromstring(self.network().XMLDesc(flags))


class DefineTest(NetworkCase):
    SPEC = {"mode": "bridge", "bridge": "br0"}

    def test_life(self):
        for _ in range(2):
            self.net_act("network-define", self.SPEC)
        self.assertEqual(self.xml().find("bridge").get("name"), "br0")
        text = self.network().XMLDesc()
        self.net_act("network-define", {**self.SPEC, "bridge": "br7"})
        self.assertEqual(self.xml().find("bridge").get("name"), "br7")
        self.net_act("network-define", self.SPEC)
        self.assertEqual(self.network().XMLDesc(), text)
        for _ in range(2):
            self.net_act("network-start", self.SPEC)
        self.assertTrue(self.network().isActive())
        for value in (1, 0):
            self.net_act("network-autostart", self.SPEC, value="true" if value else "false")
            self.assertEqual(self.network().autostart(), value)
        for _ in range(2):
            self.net_act("network-stop", self.SPEC)
        self.assertFalse(self.network().isActive())
        self.net_act("network-start", self.SPEC)
        for _ in range(2):
            self.net_act("network-undefine")
        self.assertEqual(self.hv.conn.listAllNetworks(), [])

    def test_somebody_elses(self):
        self.hv.conn.networkDefineXML("<network><name>front</name><forward mode='bridge'/><bridge name='br1'/></network>")
        before = self.network().XMLDesc()
        for action in ("network-define", "network-start", "network-stop", "network-update", "network-undefine"):
            self.net_act(action, self.SPEC, code="refused", saying="isn't ours")
        self.assertEqual(self.network().XMLDesc(), before)
        uuid = self.network().UUIDString()
        self.net_act("network-define", self.SPEC, metadata={"adopt": True})
        self.assertEqual((self.network().UUIDString(), self.xml().find("bridge").get("name")), (uuid, "br0"))
        self.net_act("network-start", self.SPEC)  # the record makes it ours

    def test_gone(self):
        self.net_act("network-start", self.SPEC, code="stale", saying="no network front")


class SystemTest(NetworkCase):
    hypervisor = lab.SystemHypervisor

    def spec(self, ranges=((100, 199),), hosts=(), **more):
        dhcp = {"ranges": [{"start": f"10.9.1.{a}", "end": f"10.9.1.{b}"} for a, b in ranges]}
        if hosts:
            dhcp["hosts"] = [{"mac": mac, "ip": f"10.9.1.{ip}", **({"name": name} if name else {})} for mac, ip, name in hosts]
        return {"mode": "isolated", "bridge": "br1", "address": "10.9.1.1", "prefix": 24, "dhcp": dhcp, **more}

    def dhcp(self, flags=0):
        found = self.xml(flags).find("ip/dhcp")
        found = [] if found is None else list(found)
        return sorted(tuple(each.attrib.values()) for each in found)

    def test_dhcp_is_updated_live(self):
        first = self.spec(hosts=[(NIC, 10, "one")])
        self.net_act("network-define", first)
        self.net_act("network-start", first)
        self.assertIn(("10.9.1.100", "10.9.1.199"), self.dhcp())
        recorder = self.recorder()
        # Somebody's own entry stays, whatever happens to ours.
        other = "52:54:00:00:00:77"
        self.network().update(libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, -1,
                              f"<host mac='{other}' ip='10.9.1.77'/>", libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE)
        steps = [
            self.spec(hosts=[(NIC, 11, "one"), ("52:54:00:00:00:02", 10, "two")]),
            self.spec(ranges=[(100, 150), (160, 170)], hosts=[("52:54:00:00:00:02", 10, "due")]),
            self.spec(ranges=[(160, 170)]),
        ]
        for spec in steps:
            for _ in range(2):
                self.net_act("network-update", spec)
            self.net_act("network-define", spec)
            theirs = (other, "10.9.1.77")
            self.assertIn(theirs, self.dhcp())
            self.assertEqual([e for e in self.dhcp() if e != theirs], self.dhcp(libvirt.VIR_NETWORK_XML_INACTIVE))
        recorder.settle()
        self.assertFalse([e for e in recorder.of("front", "network")
                          if e.event in (libvirt.VIR_NETWORK_EVENT_STOPPED, libvirt.VIR_NETWORK_EVENT_STARTED)])

    def test_guest_gets_its_address(self):
        spec = self.spec(hosts=[(NIC, 42, "web")])
        self.net_act("network-define", spec)
        self.net_act("network-start", spec)
        self.make_vm("web", start=True, cmdline="dhcp",
                     interfaces=[{"name": "eth0", "mac": NIC, "network": "front", "model": "virtio"}])
        self.hv.guest("web").wait_text("address eth0 10.9.1.42")
        for action in ("network-stop", "network-undefine"):
            self.net_act(action, spec, code="refused", saying="running machines")
        self.assertTrue(self.network().isActive())

    def test_inactive_needs_no_update(self):
        self.net_act("network-define", self.spec())
        self.net_act("network-update", self.spec(ranges=[(10, 20)]))
        self.assertEqual(self.dhcp(), [("10.9.1.100", "10.9.1.199")])

    def test_clash(self):
        self.hv.run("ip", "link", "add", "br1", "type", "bridge")
        self.addCleanup(self.hv.run, "ip", "link", "del", "br1")
        self.net_act("network-define", self.spec())
        self.net_act("network-start", self.spec(), code="libvirt", saying="cannot start network front")


if __name__ == "__main__":
    action_case.main()
