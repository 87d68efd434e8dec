#!/usr/bin/python3
"""Machines that move between two hosts, each with a libvirtd, storage and network of its own."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_case import MoveCase, POOL  # noqa: E402


class Live(MoveCase):
    def test_without_shared_storage(self):
        """One disk is an overlay, one raw."""
        self.started()
        self.assertEqual(self.guest(self.hv).do("write", "vda", 5, "over"), "0")
        content = self.sums(self.hv)
        uuid = self.hv.domain("web").UUIDString()
        self.write(self.machine("lab-b"))
        plan = self.plan(status=2)
        self.assertEqual({action["impact"] for action in plan["actions"]}, {"none", "live"})
        guest = self.hv.guest("web")
        with guest.keeps_beating() as watch:
            self.apply()
        lab.figure(f"live with storage: largest gap of the heartbeat {watch.largest_gap():.2f} s")
        self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-b"], [], ["web-vda.qcow2", "web-vdb.raw"]])
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.assert_overlay(self.other)
        domain = self.other.domain("web")
        self.assertEqual([domain.UUIDString(), domain.isActive(), domain.isPersistent()], [uuid, 1, 1])
        self.assertEqual([self.sums(self.other), guest.starts()], [content, 1])
        # And back, by the agent of the host that it is on.
        self.write(self.machine("lab-a", migration={"synchronousWrites": True}))
        with self.heard(self.other) as told:
            self.apply("--host", "lab-b")
        modes = [each.get("copy-mode") for each in told.said("blockdev-mirror")]
        self.assertEqual([modes, self.where(), self.files(self.other)], [["write-blocking"] * 2, ["lab-a"], []])
        self.assert_overlay(self.hv)
        self.assertEqual([self.sums(self.hv), guest.starts()], [content, 1])
        self.assertEqual(self.hv.run("stat", "-c", "%s", f"{POOL}/web-vdb.raw").strip(), str(16 << 20))
        # As a guest that begins anew reads the raw disk: nothing of it is remembered.
        self.hv.domain("web").reset()
        guest = self.guest(self.hv)
        guest.wait(lambda g: g.starts() == 2, "another start")
        self.assertEqual(guest.do("sum", "vdb"), content[1])

    def machine(self, host, *arguments, **spec):
        disks = [{"target": "vda", "image": "base", "pool": "moving"}, {"target": "vdb", "size": "16MiB", "format": "raw", "pool": "moving"}]
        return super().machine(host, *arguments, **{"disks": disks, **spec})

    def sums(self, host):
        """Of both disks; the guest would take long to read the first one. Paused, QEMU has written all it has."""
        domain = host.domain("web")
        domain.suspend()
        try:
            first = host.run("sh", "-c", f"cd {POOL} && qemu-img convert -U -O raw web-vda.qcow2 disk && sha256sum <disk && rm disk")
        finally:
            domain.resume()
        return first, self.guest(host).do("sum", "vdb")

    def assert_overlay(self, host):
        """Its first disk still lies on the base, and holds only what differs."""
        info = json.loads(host.run("qemu-img", "info", "-U", "--output=json", f"{POOL}/web-vda.qcow2"))
        self.assertRegex(info["full-backing-filename"], f"^{POOL}/sha256-[0-9a-f]*.qcow2$")
        self.assertLess(info["actual-size"], 3 << 20)

    def test_refused_before_anything_moves(self):
        self.started()
        for name, spec, reason in [
                ("name", None, "isn't ours"),
                ("file", None, "already"),
                ("pool", None, "pool moving")]:
            with self.subTest(name):
                self.write(self.machine("lab-b"))
                if name == "name":
                    self.other.define("web")
                elif name == "file":
                    pool = self.other.conn.storagePoolLookupByName("moving")
                    pool.createXML("<volume><name>web-vdb.raw</name><capacity>1024</capacity></volume>")
                else:
                    self.other.conn.storagePoolLookupByName("moving").destroy()
                    self.pool["spec"].update(state="inactive", hosts=["lab-b"])
                    self.write(self.machine("lab-b"))
                document = self.apply(status=1)
                self.assertIn(reason, self.error_of(document))
                self.assertTrue(self.hv.domain("web").isActive())
                if name == "name":
                    self.other.domain("web").undefine()
                elif name == "file":
                    self.other.conn.storagePoolLookupByName("moving").storageVolLookupByName("web-vdb.raw").delete()

class Snapshots(MoveCase):
    """Machines that have some: they come along where the machine is off, with the files of every branch."""

    def at(self, host, *snapshots, **more):
        if snapshots:
            more["snapshots"] = [each if isinstance(each, dict) else {"name": each} for each in snapshots]
        disks = [{"target": "vda", "image": "base", "pool": "moving"}, {"target": "vdb", "size": "16MiB", "pool": "moving"}]
        self.write(self.machine(host, **{"powerState": "stopped", "serials": None, "disks": disks, **more}))

    def fill(self, name, seed):
        """Something that only this layer has."""
        self.hv.run("qemu-io", "-f", "qcow2", "-c", f"write -P {seed} {seed}M 64k", f"{POOL}/{name}")

    def sums(self, host):
        return host.run("sh", "-c", f"cd {POOL} && sha256sum web*").splitlines()

    def notes(self, host):
        """What libvirt there knows of the snapshots."""
        return sorted((each.getName(), each.isCurrent(), each.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE))
                      for each in host.domain("web").listAllSnapshots())

    def branches(self):
        """On lab-a: two snapshots, gone back to the first one, and what went before kept; and one that a person made."""
        self.at("lab-a", "one", "two")
        self.apply()
        for seed, name in enumerate(("web-vdb.one.qcow2", "web-vdb.two.qcow2"), 1):
            self.fill(name, seed)
        self.at("lab-a", "one", "two", revert={"to": "one", "request": "r1"})
        self.apply()
        self.fill("web-vdb.r1.qcow2", 3)
        self.hv.domain("web").snapshotCreateXML("<domainsnapshot><name>by-hand</name></domainsnapshot>")  # within the top layers

    def test_every_branch_comes_along(self):
        self.branches()
        sums, notes = self.sums(self.hv), self.notes(self.hv)
        self.assertEqual([len(notes), len(sums)], [4, 8 + 2])
        want = {"revert": {"to": "one", "request": "r1"}}
        self.at("lab-b", "one", "two", **want)
        self.apply()
        self.assertEqual(self.where(), ["lab-b"])
        self.assertEqual([self.sums(self.other), self.notes(self.other), self.files(self.hv)], [sums, notes, []])
        self.assertEqual(self.plan(status=0)["actions"], [])
        # It can go back there, and one that is declared no more is merged there.
        self.other.domain("web").snapshotLookupByName("by-hand").delete()
        self.at("lab-b", "two", revert={"to": "two", "request": "r2"})
        self.apply()
        self.assertEqual(self.plan(status=0)["actions"], [])
        holds = ["-c", "read -P 1 1M 64k", "-c", "read -P 0 2M 64k", "-c", "read -P 0 3M 64k"]
        self.other.run("qemu-io", "-f", "qcow2", *holds, f"{POOL}/web-vdb.r2.qcow2")  # fails where it isn't so
    def test_what_comes_first(self):
        """What is to be done where it is, before it moves, is done by the same run."""
        self.at("lab-a")
        self.apply()
        self.at("lab-b", "before", cpu={"count": 2})
        document = self.apply()
        self.assertIn("it shall be on lab-b: it is moved when the snapshots that are declared are taken", self.notes_of(document))
        self.assertEqual([self.where(), [name for name, _, _ in self.notes(self.other)]], [["lab-b"], ["before"]])
        self.assertIn("<vcpu placement='static'>1<", self.notes(self.other)[0][2])
        self.assertIn("<vcpu placement='static'>2<", self.other.domain("web").XMLDesc())
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.at("lab-a", cpu={"count": 2})
        self.assertIn("it is moved when its snapshots are removed", self.notes_of(self.apply()))
        self.assertEqual([self.where(), self.files(self.other), self.files(self.hv), self.notes(self.hv)],
                         [["lab-a"], [], ["web-vda.qcow2", "web-vdb.qcow2"], []])
        # … and what comes after it, where it is then.
        self.at("lab-b", cpu={"count": 2}, title="new")
        document = self.apply()
        self.assertIn("done when it has moved, in the same run: title", self.notes_of(document))
        self.assertEqual([each["host"] for each in document["objects"] if each["name"] == "web"], ["lab-a", "lab-b"])
        self.assertEqual(self.plan(status=0)["actions"], [])

    def notes_of(self, document):
        return str([each.get("notes") for each in document["objects"] if each["name"] == "web"])


class Cold(MoveCase):
    def test_stopped_machine(self):
        self.write(self.machine("lab-a", powerState="stopped"))
        self.apply()
        self.write(self.machine("lab-b", powerState="stopped"))
        self.apply()
        self.assert_moved()
        self.assertFalse(self.other.domain("web").isActive())

    def test_asked_for_while_it_runs(self):
        content = self.started()
        self.write(self.machine("lab-b", migration={"mode": "cold"}))
        self.apply()
        self.assert_moved()
        guest = self.guest(self.other)
        guest.wait(lambda g: g.starts() == 2, "second start")
        self.assertEqual(guest.do("sum", "vdb"), content)

    def test_fails_to_start_there(self):
        """Its console's directory is missing there: it runs here again."""
        self.hv.run("mkdir", "-p", "/var/lib/libvirt/consoles")
        serials = [{"port": 0, "type": "file", "path": "/var/lib/libvirt/consoles/web", "append": True}]
        self.write(self.machine("lab-a", serials=serials))
        self.apply()
        self.write(self.machine("lab-b", serials=serials, migration={"mode": "cold"}))
        self.apply(status=1)
        self.assertEqual(self.where(), ["lab-a"])
        self.assertTrue(self.hv.domain("web").isActive())
        self.assertEqual(self.files(self.hv), ["web-vda.qcow2", "web-vdb.qcow2"])
        # Mended, it goes.
        self.other.run("mkdir", "-p", "/var/lib/libvirt/consoles")
        self.apply()
        self.assert_moved()


class Killed(MoveCase):
    """In the middle of a cold move."""

    def test_the_other_host_falls_silent(self):
        """It may run there: the old copy isn't started as long as nobody can tell."""
        self.started()
        self.write(self.machine("lab-b", migration={"mode": "cold"}))
        self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": "move: started there"})
        self.assertEqual(self.where(), ["lab-a", "lab-b"])
        self.assertEqual([self.hv.domain("web").isActive(), self.other.domain("web").isActive()], [0, 1])
        uri = self.host_specs["lab-b"]["uri"]
        self.host_specs["lab-b"]["uri"] = "qemu+unix:///system?socket=/nonexistent"
        for host in ("lab-b", "lab-a"):  # also when the file takes it back
            self.write(self.machine(host, migration={"mode": "cold"}))
            self.assertIn("may run there", self.error_of(self.apply(status=1)))
            self.assertFalse(self.hv.domain("web").isActive())
        self.host_specs["lab-b"]["uri"] = uri
        self.write(self.machine("lab-b", migration={"mode": "cold"}))
        self.apply()
        self.assert_moved()
        self.assertTrue(self.other.domain("web").isActive())

    def test_before_anything_is_there(self):
        content = self.started()
        self.write(self.machine("lab-b", migration={"mode": "cold"}))
        for place in ("move: volume copied", "move: noted where it goes", "move: defined there", "move: undefined here"):
            self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": place})
        self.apply()
        self.assert_moved()
        guest = self.guest(self.other)
        guest.wait(lambda g: g.starts() == 2, "second start")
        self.assertEqual(guest.do("sum", "vdb"), content)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
