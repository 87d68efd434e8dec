#!/usr/bin/python3
"""Networks of a privileged hypervisor: DHCP without a restart, what waits for one, what people
do to networks, and machines that move between them."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402


def network(name="n", **spec):
    return lab.document("Network", name, {"mode": "nat", "bridge": f"vbr-{name}", "address": "192.168.150.1", "prefix": 24, **spec})


def host(number, **more):
    return {"mac": f"52:54:00:00:00:{number:02x}", "ip": f"192.168.150.{number}", **more}


class Networks(lab.TestCase):
    hypervisor = lab.SystemHypervisor

    def settle(self, *documents):
        """Applies them, returns what that did; afterwards there is nothing to do."""
        self.hv.write("all.yaml", *documents)
        specs = self.hv.path("specs")
        plan = self.hv.plan(specs)
        self.hv.apply(specs)
        again = self.hv.plan(specs, status=0)
        self.assertEqual(again["actions"], [])
        self.last = again
        return [action["kind"] for action in plan["actions"]]

    def xml(self, flags=0, name="n"):
        return self.hv.conn.networkLookupByName(name).XMLDesc(flags)

    def handed_out(self):
        """What dnsmasq reads: {mac: (ip, name)}, and the same in both XMLs."""
        hosts = {}
        for flags in (0, libvirt.VIR_NETWORK_XML_INACTIVE):
            found = {re.search("mac='([^']*)", text)[1]: re.search("ip='([^']*)", text)[1]
                     for text in re.findall("<host [^>]*>", self.xml(flags))}
            self.assertEqual(found, hosts or found)
            hosts = found
        return hosts

    def dhcp(self, hosts=(), ranges=((100, 120),)):
        return {"hosts": list(hosts), "ranges": [{"start": f"192.168.150.{a}", "end": f"192.168.150.{b}"} for a, b in ranges]}

    def test_autostart_left_out_again(self):
        """It stays as it is, and the plan promises nothing else."""
        for autostart in (True, False):
            self.settle(network(autostart=autostart))
            self.hv.write("all.yaml", network())
            plan = self.hv.plan(self.hv.path("specs"))
            self.assertEqual([change["path"] for each in plan["objects"] for change in each["fields"]], [])
            self.settle(network())
            self.assertEqual(self.hv.conn.networkLookupByName("n").autostart(), autostart)

    def test_dhcp_changes_without_a_restart(self):
        recorder = self.recorder()
        self.settle(network(dhcp=self.dhcp()))
        for hosts in ([host(10, name="a")], [host(10, name="a"), host(11)], [host(10, name="b"), host(11)],
                      [dict(host(10), ip="192.168.150.20"), host(11)], [host(11)], []):
            self.settle(network(dhcp=self.dhcp(hosts)))
            self.assertEqual(self.handed_out(), {each["mac"]: each["ip"] for each in hosts})
        for ranges in (((100, 130),), ((50, 60), (100, 130)), ((50, 60),)):
            self.settle(network(dhcp=self.dhcp(ranges=ranges)))
            found = re.findall(r"start='192.168.150.(\d+)' end='192.168.150.(\d+)'", self.xml())
            self.assertEqual({(int(a), int(b)) for a, b in found}, set(ranges))
        recorder.settle()
        self.assertEqual([each for each in recorder.events if each.kind == "network" and each.event == "stopped"], [])

    def test_another_address_takes_its_ranges_along(self):
        """They are no ranges of the network as it runs: it keeps those that it has until then."""
        self.settle(network(dhcp=self.dhcp(), state="active"))
        moved = network(address="192.168.151.1", state="active", dhcp={"ranges": [{"start": "192.168.151.50", "end": "192.168.151.60"}]})
        self.assertEqual(self.settle(moved), ["network-define"])
        self.assertIn("start='192.168.150.100'", self.xml())
        self.assertIn("start='192.168.151.50'", self.xml(libvirt.VIR_NETWORK_XML_INACTIVE))
        self.hv.conn.networkLookupByName("n").destroy()
        self.settle(moved)
        self.assertIn("start='192.168.151.50'", self.xml())

    def test_a_mode_waits_for_a_start_by_hand(self):
        vm = self.hv.vm("x", powerState="paused", interfaces=[{"name": "eth0", "network": "n"}])
        self.settle(network(state="active"), vm)
        self.assertEqual(self.settle(network(mode="isolated", state="active"), vm), ["network-define"])
        self.assertEqual(self.last["summary"]["pending"], 1)
        self.assertIn("<forward", self.xml())
        self.assertNotIn("<forward", self.xml(libvirt.VIR_NETWORK_XML_INACTIVE))
        self.hv.conn.networkLookupByName("n").destroy()
        self.assertEqual(self.settle(network(mode="isolated", state="active"), vm), ["network-start"])
        self.assertEqual(self.last["summary"]["pending"], 0)

    def test_routed(self):
        self.settle(network(mode="route", state="active", dhcp=self.dhcp([host(10)])))
        self.assertRegex(self.xml(), "<forward( dev='[^']*')? mode='route'")
        self.assertEqual(list(self.handed_out()), [host(10)["mac"]])
        self.settle(network(mode="route", state="active", dhcp=self.dhcp([host(11)])))
        self.assertEqual(list(self.handed_out()), [host(11)["mac"]])

    def test_destroyed_undefined_and_edited_by_hand(self):
        self.settle(network(state="active"))
        self.hv.conn.networkLookupByName("n").destroy()
        self.assertEqual(self.settle(network(state="active")), ["network-start"])
        self.hv.conn.networkLookupByName("n").undefine()
        self.hv.write("all.yaml", network(state="active"))
        self.assertIn("net-destroy", self.hv.apply(self.hv.path("specs"), status=1).stdout)
        self.hv.conn.networkLookupByName("n").destroy()
        self.settle(network(state="active"))
        self.hv.conn.networkDefineXML(self.xml(libvirt.VIR_NETWORK_XML_INACTIVE).replace("150.1'", "150.2'"))
        self.settle(network(state="active"))
        self.assertIn("'192.168.150.1'", self.xml(libvirt.VIR_NETWORK_XML_INACTIVE))

    def test_one_that_could_not_start_is_started_by_the_next_run(self):
        self.hv.run("ip", "link", "add", "vbr-n", "type", "bridge")
        self.hv.write("all.yaml", network())
        for _ in range(2):
            self.assertIn("start the network: failed", self.hv.apply(self.hv.path("specs"), status=1).stdout)
        self.hv.run("ip", "link", "delete", "vbr-n")
        self.settle(network())
        found = self.hv.conn.networkLookupByName("n")
        self.assertTrue(found.isActive() and found.autostart())

    def test_of_somebody_else(self):
        self.hv.conn.networkDefineXML("<network><name>n</name><bridge name='vbr-n'/><ip address='192.168.150.1' prefix='24'/></network>")
        uuid = self.hv.conn.networkLookupByName("n").UUIDString()
        self.hv.write("all.yaml", network())
        self.assertIn("adopt", self.hv.apply(self.hv.path("specs"), status=1).stdout)
        document = network()
        document["metadata"]["adopt"] = True
        self.settle(document)
        self.assertEqual(self.hv.conn.networkLookupByName("n").UUIDString(), uuid)

    def test_not_restarted_onto_one_that_is_down(self):
        """The machine would stay off."""
        vm = {"interfaces": [{"name": "eth0", "network": "n"}], "shutdown": {"timeout": "1s", "retryInterval": "1s"}}
        self.settle(network(autostart=False), self.hv.vm("x", **vm))
        vm["cpu"] = {"count": 2}
        self.settle(network(autostart=False), self.hv.vm("x", **vm))
        self.hv.conn.networkLookupByName("n").destroy()
        self.hv.write("all.yaml", network(autostart=False), self.hv.vm("x", **vm))
        result = self.hv.reconcile("--allow", "restart", self.hv.path("specs"), check=0)
        self.assertIn("it isn't restarted, since it couldn't start again: interface eth0: its network n isn't started", result.stdout)
        self.assertTrue(self.hv.domain("x").isActive())

    def test_a_running_machine_moves(self):
        """By an update where libvirt can, else by plugging anew; it runs on."""
        other = network("m", mode="isolated", address="192.168.151.1")
        self.hv.run("ip", "link", "add", "br9", "type", "bridge")
        self.addCleanup(self.hv.run, "ip", "link", "delete", "br9")

        def move(**interface):
            return self.settle(network(), other, self.hv.vm("x", interfaces=[{"name": "eth0", **interface}]))

        move(user=True)
        guest = self.hv.guest("x")
        guest.wait_heartbeat()
        recorder = self.recorder()
        self.assertIn("replug-device", move(network="n"))
        self.assertIn("update-device", move(network="m"))
        self.assertIn("update-device", move(bridge="br9"))
        self.assertIn("vnet", self.hv.run("ip", "link", "show", "master", "br9"))
        self.assertIn("replug-device", move(user=True))
        self.assertIn("replug-device", move(bridge="br9"))
        self.assertIn("update-device", move(network="n", link="down"))
        self.assertIn("replug-device", move(network="n", model="e1000"))
        move(network="n", mtu=1400)
        self.assertIn("detach-device", self.settle(network(), other, self.hv.vm("x", interfaces=[])))
        guest.wait_heartbeat(2)
        self.assertEqual(recorder.stopped_events("x"), [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
