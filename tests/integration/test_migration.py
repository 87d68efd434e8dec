#!/usr/bin/python3
"""Machines that move between two hosts, each with a libvirtd, storage and network of its own."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import document  # noqa: E402

POOL = "/var/lib/libvirt/moving"  # private to each host


class MoveCase(lab.TestCase):
    """self.hv is lab-a and holds the specifications, self.other is lab-b."""

    @classmethod
    def setUpClass(cls):
        cls.hv, cls.other = lab.two_hosts()
        cls.addClassCleanup(cls.hv.stop)
        cls.addClassCleanup(cls.other.stop)

    def setUp(self):
        self.env = {key: value for key, value in self.hv.env.items() if key != "LIBVIRT_DEFAULT_URI"}
        self.host_specs = {
            "lab-a": {"uri": self.hv.uri, "peerUri": "qemu+tcp://lab-a/system", "migrationUri": "tcp://10.77.0.1"},
            "lab-b": {"uri": self.other.uri, "peerUri": "qemu+tcp://lab-b/system", "migrationUri": "tcp://10.77.0.2"}}
        self.pool = document("StoragePool", "moving", {"type": "dir", "target": POOL})

    def tearDown(self):
        self.other.clear()
        super().tearDown()
        for host in (self.hv, self.other):
            host.run("sh", "-c", f"rm -rf {POOL}")

    def write(self, *documents):
        hosts = [document("Host", name, spec) for name, spec in self.host_specs.items()]
        self.hv.write("all.yaml", *hosts, self.pool, self.hv.image(pool="moving"), *documents)

    def guest(self, host):
        """The port that it obeys is a file of the host that it is on."""
        guest = self.hv.guest("web")
        guest.control = host.path("var/lib/libvirt/web.control")
        return guest

    def machine(self, host, cmdline="control", **spec):
        ports = [{"port": 0, "type": "file", "path": self.hv.console_path("web"), "append": True},
                 {"port": 1, "type": "socket", "path": "/var/lib/libvirt/web.control", "socketMode": "bind"}]
        disks = [{"target": "vda", "image": "base", "pool": "moving"}, {"target": "vdb", "size": "16MiB", "pool": "moving"}]
        return self.hv.vm("web", cmdline, **{"serials": ports, "placement": {"host": host}, "disks": disks, **spec})

    def run_product(self, *arguments, status=0):
        return self.hv.reconcile("-o", "json", *arguments, self.hv.path("specs"), env=self.env, check=status)

    def apply(self, *arguments, status=0):
        return self.run_product(*arguments, status=status).json()

    def plan(self, status):
        return self.run_product("--dry-run", status=status).json()

    def error_of(self, document, name="web"):
        return next(each.get("error") or "" for each in document["objects"] if each["name"] == name)

    def files(self, host):
        """But the base images."""
        return sorted(name for name in host.run("ls", POOL).split() if not name.startswith("sha256-"))

    def where(self):
        return [host.name for host in (self.hv, self.other) if any(d.name() == "web" for d in host.conn.listAllDomains())]

    def started(self, **spec):
        """Running on lab-a, with something on its second disk; its checksum."""
        self.write(self.machine("lab-a", **spec))
        self.apply()
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        self.assertEqual(guest.do("write", "vdb", 3, "before"), "0")
        return guest.do("sum", "vdb")

    def assert_moved(self):
        self.assertEqual(self.where(), ["lab-b"])
        self.assertEqual(self.files(self.hv), [])
        self.assertEqual(self.files(self.other), ["web-vda.qcow2", "web-vdb.qcow2"])
        self.assertEqual(self.plan(status=0)["actions"], [])


class Live(MoveCase):
    def test_without_shared_storage(self):
        content = self.started()
        uuid = self.hv.domain("web").UUIDString()
        self.write(self.machine("lab-b"))
        plan = self.plan(status=2)
        self.assertEqual({action["impact"] for action in plan["actions"]}, {"none", "live"})
        guest = self.hv.guest("web")
        with guest.keeps_beating(max_gap=20) as watch:
            self.apply()
        print(f"largest gap of the heartbeat: {watch.largest_gap():.2f} s")
        self.assert_moved()
        domain = self.other.domain("web")
        self.assertEqual([domain.UUIDString(), domain.isActive(), domain.isPersistent()], [uuid, 1, 1])
        self.assertEqual(self.guest(self.other).do("sum", "vdb"), content)
        self.assertEqual(guest.starts(), 1)
        # And back.
        self.write(self.machine("lab-a"))
        self.apply()
        self.assertEqual([self.where(), self.files(self.other)], [["lab-a"], []])
        self.assertEqual(self.guest(self.hv).do("sum", "vdb"), content)
        self.assertEqual(guest.starts(), 1)

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
                    pool.createXML("<volume><name>web-vdb.qcow2</name><capacity>1024</capacity></volume>")
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
                    self.other.conn.storagePoolLookupByName("moving").storageVolLookupByName("web-vdb.qcow2").delete()

    def test_snapshots_stand_in_the_way(self):
        self.started()
        self.hv.domain("web").snapshotCreateXML("<domainsnapshot><name>by-hand</name></domainsnapshot>",
                                                libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.write(self.machine("lab-b"))
        self.assertIn("snapshots", self.error_of(self.apply(status=1)))
        self.assertEqual(self.where(), ["lab-a"])


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


class Drain(MoveCase):
    def test_maintenance(self):
        content = self.started()
        self.host_specs["lab-a"]["maintenance"] = True
        self.write(self.machine("lab-a"))
        self.apply()
        self.assert_moved()
        self.assertEqual(self.guest(self.other).do("sum", "vdb"), content)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
