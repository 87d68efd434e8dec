#!/usr/bin/python3
"""A few of the places where a move may be interrupted (all: tests/soak/test_move_faults.py), and what becomes of a move
that the file takes back."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import Faults, POOL, brief  # noqa: E402


class Some(Faults):
    def test_tried_again(self):
        """Killed after the machine was stopped: the next run starts it where it arrives, and has nothing left to do."""
        self.begin("cold_running")
        self.assertTrue(self.interrupt("reconcile", "domain-shutdown: acted"))
        # Where the run goes on, and can't move it any more, it runs where it was.
        self.write_at(self.away())
        source, target = self.hosts[self.away()], self.at_home()
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "domain-shutdown: acted",
                                              "RECONCILE_FAULT_COMMAND": f"kill -9 {target.daemon.pid}"})
        target.restart_daemon()
        self.assertEqual([status, self.running()], [1, [source.name]], brief(status, out))
        # … also where it can't be started there: nothing half copied is left.
        self.addCleanup(target.run, "rmdir", "/var/lib/libvirt/web.control")
        self.hv.guest("web").wait_heartbeat()
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "move: noted where it goes", "RECONCILE_FAULT_COMMAND": "mkdir -p " +
                                              target.path("var/lib/libvirt/web.control")})
        self.assertEqual([status, self.running(), self.listing(target, POOL)], [1, [source.name], []], brief(status, out))
        self.assertEqual([source.domain("web").autostart(), target.conn.listAllDomains()], [1, []])

    def test_it_does_not_start_with_its_host(self):
        """While a copy of it may run elsewhere, from before that is so."""
        self.begin("live_shared")
        source = self.at_home()
        self.write_at(self.away())
        self.killed("migrate: prepared")
        self.settle()
        self.assertEqual(source.domain("web").autostart(), 0)
        # It stays where it is, since that host is given up.
        there = self.home
        self.host_specs[there]["fenced"] = True
        self.write_at(source.name)
        status, out = self.run_inside()
        self.assertEqual([status, source.domain("web").autostart()], [0, 1], brief(status, out))
        self.assertEqual(self.run_inside("--dry-run")[0], 0)
        del self.host_specs[there]["fenced"]
        self.write_at(there)
        self.converge("killed")

    def test_the_file_has_the_host_no_more(self):
        """That it was on its way to: a copy that may be there is older than what it is from now on."""
        self.begin("live_shared")
        self.write_at("lab-b")
        self.killed("migrate: prepared")
        there, shared = self.host_specs.pop("lab-b"), self.host_specs["lab-a"].pop("sharedPools")
        self.write_at("lab-a")
        status, out = self.run_inside()
        web = self.hv.domain("web")
        epochs = re.findall("epoch[^0-9]+([0-9]{9,})", web.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))  # the time
        self.assertEqual([status, web.autostart(), len(epochs)], [0, 1, 1], brief(status, out))
        self.assertEqual(self.run_inside("--dry-run")[0], 0)
        self.host_specs.update({"lab-b": there, "lab-a": {**self.host_specs["lab-a"], "sharedPools": shared}})
        self.write_at("lab-b")
        self.converge("killed")

    def test_taken_back_from_a_host_that_was_given_up(self):
        """What comes back there is older, and nothing of the machine goes for it (one that runs there: soak/move_faults)."""
        self.begin("cold_stopped")
        self.write_at("lab-b")
        self.killed("move: defined there")
        self.host_specs["lab-b"]["fenced"] = True
        self.write_at("lab-a")
        status, out = self.run_inside()
        self.assertEqual(status, 0, brief(status, out))
        del self.host_specs["lab-b"]["fenced"]
        self.write_at("lab-a")
        status, out = self.run_inside()
        self.assertEqual([status, self.listing(self.hv, POOL)], [0, self.own], brief(status, out))
        self.assertIn("an older copy of it, which is off, is kept on lab-b", brief(status, out))
        self.assert_nothing_goes_with_it()

    def test_back_in_vain(self):
        """It isn't shut down again and again for a host where it would rather be, and can't be started."""
        self.begin("cold_running")
        back = {"placement": {"selector": {"zone": "x"}, "failBack": True}}
        self.write_at("lab-b", **back)  # the first choice of one with this name
        control = self.other.path("var/lib/libvirt/web.control")
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "move: noted where it goes", "RECONCILE_FAULT_COMMAND": f"mkdir -p {control}"})
        self.assertEqual([status, self.running()], [1, ["lab-a"]], brief(status, out))
        self.hv.guest("web").wait_heartbeat()
        starts = self.guest(self.hv).starts()
        status, out = self.run_inside()
        self.assertEqual([status, self.running(), self.guest(self.hv).starts()], [0, ["lab-a"], starts], brief(status, out))
        self.assertIn("it stays on lab-a: it was shut down to go back to lab-b, which failed", out[0])
        self.other.run("rmdir", control)
        self.env["RECONCILE_NOW"] = str(int(time.time()) + 25 * 3600)
        self.assert_one_run()

    def test_out_of_reach(self):
        """While several threads wait for the other host's answer."""
        self.begin("cold_stopped")
        self.assertTrue(self.interrupt("link", "fleet: locked"))

    def test_taken_back(self):
        self.begin("cold_stopped")
        self.write_at("lab-b")
        self.killed("move-volume: acted")
        half = ["web-vda.qcow2", "web-vda.qcow2.incomplete"]
        self.assertEqual(self.listing(self.other, POOL), half)
        self.write_at("lab-a")
        # Somebody uses what was half copied.
        user = self.other.conn.defineXML(f"""<domain type='qemu'><name>user</name><memory>1024</memory><os><type>hvm</type></os><devices>
            <disk type='file'><source file='{POOL}/web-vda.qcow2'/><target dev='vda'/></disk></devices></domain>""")
        self.refused("it is used by disk vda of the definition of domain user")
        self.write_at("lab-b")  # nor is it copied anew
        self.refused("it is used by disk vda of the definition of domain user")
        self.write_at("lab-a")
        user.undefine()
        # It can't be told whether somebody does.
        pool = self.other.conn.storagePoolDefineXML(f"<pool type='dir'><name>off</name><target><path>{POOL}-off</path></target></pool>")
        self.refused("it can't be told whether something uses it")
        pool.undefine()
        self.assertEqual(self.listing(self.other, POOL), half)
        self.converge("taken back")
        # When all but what it left is over: that goes first.
        self.write_at("lab-b")
        self.killed("move: undefined here")
        self.write_at("lab-a")
        status, out = self.run_inside()
        self.assertEqual(status, 0, brief(status, out))
        self.converge("moved back")
        # Its copy is elsewhere already: one run ends that, and brings it back.
        self.write_at("lab-b")
        self.killed("move: defined there")
        self.assertEqual(len(self.copies()), 2)
        self.write_at("lab-a")
        self.assert_one_run()

    def test_it_runs_again_where_it_can_go_on(self):
        """Shut down to be moved, and its new home is out of reach: it runs where it was meanwhile."""
        self.begin("cold_running")
        self.write_at("lab-b")
        self.killed("domain-shutdown: acted")
        self.assertEqual(self.copies(), [("lab-a", libvirt.VIR_DOMAIN_SHUTOFF)])
        uri = self.host_specs["lab-b"]["uri"]
        self.host_specs["lab-b"]["uri"] = "qemu+unix:///system?socket=/nonexistent"
        self.write_at("lab-b")
        status, out = self.run_inside()
        self.assertEqual([status, self.copies()], [1, [("lab-a", libvirt.VIR_DOMAIN_RUNNING)]], brief(status, out))
        self.assertIn("was shut down to be moved to lab-b, and runs on lab-a again", brief(status, out))
        status, out = self.run_inside()
        self.assertIn("it shall move to lab-b, which can't be asked", brief(status, out))
        self.host_specs["lab-b"]["uri"] = uri
        self.write_at("lab-b")
        self.converge("killed")

    def test_pruned_while_it_is_copied(self):
        """What was half copied goes with it, and nothing else."""
        self.begin("cold_stopped")
        self.write_at("lab-b")
        self.killed("move-volume: acted")
        uri = self.host_specs["lab-b"]["uri"]
        self.host_specs["lab-b"]["uri"] = "qemu+unix:///system?socket=/nonexistent"
        self.write()
        status, out = self.run_inside("--prune")
        self.assertEqual([status, self.copies()], [1, [("lab-a", libvirt.VIR_DOMAIN_SHUTOFF)]], brief(status, out))
        self.assertIn("kept: a move to lab-b was interrupted", brief(status, out))
        self.host_specs["lab-b"]["uri"] = uri
        self.write()
        status, out = self.run_inside("--prune")
        self.assertEqual([status, self.copies(), self.listing(self.hv, POOL), self.listing(self.other, POOL)], [0, [], self.own, []], brief(status, out))

    def arrived_without_source(self):
        """It runs on lab-b, and lab-a, which has the older copy, is out of reach; the address that it had."""
        self.begin("cold_running")
        self.write_at("lab-b")
        self.killed("move: started there")
        self.guest(self.other).wait_heartbeat()
        uri = self.host_specs["lab-a"]["uri"]
        self.host_specs["lab-a"]["uri"] = "qemu+unix:///system?socket=/nonexistent"
        return uri

    def test_pruned_where_it_arrived(self):
        """While the host that it came from is out of reach, whose older copy goes later: that leaves the newer disks alone."""
        uri = self.arrived_without_source()
        self.write()
        status, out = self.run_inside("--prune", "--allow", "restart")
        self.assertEqual([status, self.copies()], [1, [("lab-a", libvirt.VIR_DOMAIN_SHUTOFF)]], brief(status, out))
        self.host_specs["lab-a"]["uri"] = uri
        self.write()
        status, out = self.run_inside("--prune")
        self.assertEqual([status, self.copies(), self.listing(self.hv, POOL), self.listing(self.other, POOL)], [0, [], self.own, self.own], brief(status, out))

    def test_undefined_where_it_arrived(self):
        """By a person, while the host that it came from is out of reach: what is off there isn't started from before that."""
        uri = self.arrived_without_source()
        self.write_at("lab-b")
        self.assertEqual(self.run_inside()[0], 1)
        self.other.domain("web").destroy()
        self.other.domain("web").undefine()
        self.host_specs["lab-a"]["uri"] = uri
        self.write_at("lab-b")
        disks = self.listing(self.other, POOL)
        self.refused("which was seen to run on lab-b, is there no more: it isn't started from before that", status=1)
        self.assertEqual([self.copies(), self.listing(self.other, POOL)], [[("lab-a", libvirt.VIR_DOMAIN_SHUTOFF)], disks])
        # The way out that it tells.
        self.hv.domain("web").create()
        status, out = self.run_inside()
        self.assertEqual([status, self.copies()], [0, [("lab-b", libvirt.VIR_DOMAIN_RUNNING)]], brief(status, out))

    def test_written_after_it_was_copied(self):
        """Somebody starts the copy that was left, and ends it again: what it wrote is in no other."""
        self.begin("cold_stopped")
        self.write_at("lab-b")
        self.killed("move: defined there")
        self.hv.domain("web").create()
        self.guest(self.hv).wait_heartbeat()
        self.hv.domain("web").destroy()
        self.refused(f"{POOL}/web-vdb.qcow2 stays: it was written after it had been copied")
        self.assertEqual([self.listing(self.hv, POOL), self.hv.domain("web").isActive()], [self.own, 0])
        self.hv.domain("web").undefine()
        self.refused(f"{POOL}/web-vdb.qcow2 stays: it was written after it had been copied")
        self.hv.run("rm", f"{POOL}/web-vdb.qcow2")
        self.assert_one_run()

    def test_copied_anew_where_it_was_written(self):
        """In one run: its first disk is written while the second one is copied."""
        self.begin("cold_stopped")
        self.write_at("lab-b")
        written = f"qemu-io -c 'write -P 1 0 64k' {self.hv.directory}{POOL}/web-vda.qcow2"
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "move: volume copied#3", "RECONCILE_FAULT_COMMAND": written})
        self.assertEqual([status, self.listing(self.other, POOL)], [3, []], brief(status, out))
        self.assertIn("web-vda.qcow2 stays: it was written after it had been copied", out[0])

    def test_both_have_the_same_storage_now(self):
        """What a move left is no longer what lies there."""
        self.begin("cold_stopped")
        self.write_at("lab-b")
        self.killed("move: undefined here")
        self.hv.run("mount", "--bind", self.other.directory + POOL, POOL)
        try:
            status, out = self.run_inside()
            self.assertEqual([status, self.listing(self.other, POOL)], [0, self.own], brief(status, out))
            self.assertEqual(self.run_inside("--dry-run")[0], 0)
        finally:
            self.hv.run("umount", POOL)

    def test_finished_where_the_source_is_given_up(self):
        """What it has there is whole, and it starts with that host."""
        self.begin("cold_stopped")
        self.write_at("lab-b")
        self.killed("move: undefined here")
        self.host_specs["lab-a"]["fenced"] = True
        self.write_at("lab-b")
        status, out = self.run_inside()
        self.assertEqual([status, self.listing(self.other, POOL), self.other.domain("web").autostart()], [0, self.own, 1], brief(status, out))
        self.assertEqual(self.run_inside("--dry-run")[0], 0)
        del self.host_specs["lab-a"]["fenced"]
        self.write_at("lab-b")
        self.assert_one_run()

    def test_checkpoints_come_along(self):
        """Those of a backup program. What they need is within the disks."""
        for way in ("cold_running", "live_copy"):
            self.begin(way)
            for name in ("first", "second"):
                self.hv.domain("web").checkpointCreateXML(f"<domaincheckpoint><name>{name}</name></domaincheckpoint>")
            self.write_at("lab-b")
            status, out = self.run_inside()
            web = self.other.domain("web")
            known = sorted(each.getName() for each in web.listAllCheckpoints())
            self.assertEqual([status, known, self.hv.run("ls", "/var/lib/libvirt/qemu/checkpoint")], [0, ["first", "second"], ""], brief(status, out))
            web.checkpointCreateXML("<domaincheckpoint><name>third</name></domaincheckpoint>")
            for name in ("second", "first", "third"):
                web.checkpointLookupByName(name).delete()
            self.tearDown()

    def test_its_snapshots_changed_where_it_was(self):
        """Before libvirt where it arrived was told of them: each is said to the person whose work it is."""
        self.begin("snapshots_stopped")
        self.write_at("lab-b")
        self.killed("move: snapshot told there#1")
        web = self.hv.domain("web")
        two = web.snapshotLookupByName("two")
        text, current = two.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE), two.isCurrent()
        late = web.snapshotCreateXML(text.replace("<name>two<", "<name>late<"), libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
        self.refused("snapshot late was made on lab-a since its disks were copied from there, and isn't here", status=1)
        late.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        two.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        self.refused("snapshot two was removed on lab-a since its disks were copied from there", status=1)
        web.snapshotCreateXML(text, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if current else 0))
        self.assert_one_run()

    def test_its_snapshots_are_lost_with_the_host_that_knew_them(self):
        """They are given up only where that is permitted; their files stay."""
        self.begin("snapshots_stopped")
        self.write_at("lab-b")
        self.killed("move: snapshot told there#1")
        self.host_specs["lab-a"]["fenced"] = True
        self.write_at("lab-b")
        self.refused("and lab-a is fenced: tell libvirt here of them", status=1)
        for arguments in (("--allow", "data-loss"), ("--dry-run",)):
            status, out = self.run_inside(*arguments)
            self.assertEqual([status, self.listing(self.other, POOL)], [0, self.own], brief(status, out))

    def refused(self, reason, status=3):
        found, out = self.run_inside()
        self.assertEqual(found, status, brief(found, out))
        self.assertIn(reason, brief(found, out))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
