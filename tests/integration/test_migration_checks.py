#!/usr/bin/python3
"""What stands in the way of a move is said by a dry run, before anything is touched: stopped machines, since none of it
needs one to run."""

import contextlib
import os

from move_case import OTHER_HOST, POOL, MoveCase, document, lab, libvirt


class Refused(MoveCase):
    tiny = True
    preload = OTHER_HOST

    def setUp(self):
        super().setUp()
        self.volumes = {}
        self.write(self.machine("lab-a"))
        self.apply()

    def machine(self, host, **spec):
        return super().machine(host, **{"powerState": "stopped", "serials": None, **spec})

    @contextlib.contextmanager
    def refused(self, reason, note=None, machine=None):
        """While this lasts, a move to lab-b is refused for that; afterwards it isn't."""
        with self.subTest(reason):
            yield
            self.write(machine or self.machine("lab-b"))
            for document_ in (self.plan(status=1), self.apply(status=1)):
                self.assertIn(reason, self.error_of(document_))
                self.assertEqual([each for each in document_["actions"] if each["object"].endswith("vm/web")], [])
            self.assertEqual(self.where()[:1], ["lab-a"])

    def assert_stale(self, reason, saved, status=3):
        """A plan of before doesn't move it, nor leaves anything."""
        files = self.files(self.hv)
        told = self.hv.reconcile("-o", "json", "--plan", saved, env=self.env, check=status).json()
        self.assertIn(reason, " ".join(each.get("message") or "" for each in told["results"]))
        self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-a"], files, []])

    def saved_plan(self):
        saved = self.hv.path("plan.json")
        self.run_product("--dry-run", "--plan-out", saved, status=2)
        return saved

    def notes_of(self, plan):
        return " ".join(next(each for each in plan["objects"] if each["name"] == "web")["notes"])

    def there(self, name):
        return self.other.conn.storagePoolLookupByName(name)

    def change(self, **spec):
        """Where it is."""
        self.write(self.machine("lab-a", **spec))
        self.apply()

    def test_without_a_definition(self):
        """As 'virsh migrate' leaves it without --persistent: it can't note where it goes."""
        self.change(powerState="running")
        domain = self.hv.domain("web")
        definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        machine = self.machine("lab-b")
        machine["spec"]["powerState"] = "running"
        domain.undefine()
        with self.refused("a transient machine of this name runs, which has no definition to manage", machine=machine):
            pass
        self.hv.conn.defineXML(definition)
        self.plan(status=2)

    def test_the_other_host(self):
        uri = self.host_specs["lab-b"]["uri"]
        with self.refused("can't be asked"):
            self.host_specs["lab-b"]["uri"] = "qemu+unix:///system?socket=/nonexistent"
        self.host_specs["lab-b"]["uri"] = uri
        with self.refused("isn't ours"):
            self.other.define("web")
        self.other.domain("web").undefine()
        with self.refused("with its UUID"):
            xml = self.hv.domain("web").XMLDesc().replace("<name>web</name>", "<name>twin</name>")
            self.other.conn.defineXML(xml)
        self.other.domain("twin").undefine()
        with self.refused("already"):
            volume = self.there("moving").createXML("<volume><name>web-vdb.qcow2</name><capacity>1024</capacity></volume>")
        volume.delete()
        with self.refused("pool moving can't be used"):
            self.pool["spec"].update(hosts=["lab-a"])
            self.there("moving").destroy()
        self.there("moving").undefine()
        with self.refused("the paths must be the same"):
            self.other.run("mkdir", "-p", POOL + "2")
            self.other.conn.storagePoolCreateXML(f"<pool type='dir'><name>moving</name><target><path>{POOL}2</path></target></pool>")
        self.there("moving").destroy()
        with self.refused("which has"):
            self.other.run("mkdir", "-p", POOL)
            self.other.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", POOL)
            self.other.conn.storagePoolCreateXML(f"<pool type='dir'><name>moving</name><target><path>{POOL}</path></target></pool>")
        self.there("moving").destroy()
        self.other.run("umount", POOL)
        self.pool["spec"].pop("hosts")
        # Nothing of it is left: it goes.
        self.write(self.machine("lab-a"))
        self.apply()
        self.write(self.machine("lab-b"))
        plan = self.plan(status=2)
        check = next(each for each in plan["actions"] if each["kind"] == "move-check")
        self.assertEqual(check["args"]["way"], "stopped")
        self.assertGreater(int(check["args"]["bytes"]), 0)
        self.assertIn("checked on lab-b", self.notes_of(plan))
        self.apply()
        self.assert_moved()

    def test_the_machine(self):
        domain = self.hv.domain("web")
        device = [{"address": "0000:00:02.0"}]
        with self.refused("devices of its host", machine=self.machine("lab-b", hostDevices={"pci": device})):
            self.change(hostDevices={"pci": device})
        self.change()
        self.hv.run("ip", "link", "add", "br7", "type", "bridge")
        wire = [{"name": "eth0", "bridge": "br7"}]
        with self.refused("br7 isn't on lab-b", machine=self.machine("lab-b", interfaces=wire)):
            self.change(interfaces=wire)
        self.other.run("ip", "link", "add", "br7", "type", "bridge")
        self.write(self.machine("lab-b", interfaces=wire))
        self.assertIn("its bridge or device br7 has no link on lab-b", self.notes_of(self.plan(status=2)))
        # One that may be meant so: nothing is refused for it. Up, and with a port that is:
        self.other.run("sh", "-c", "ip link add port7 type veth peer name end7; ip link set port7 master br7; for each in port7 end7 br7; do ip link set $each up; done; "
                       "until grep -q up /sys/class/net/br7/operstate; do sleep 0.1; done")
        self.assertNotIn("br7", self.notes_of(self.plan(status=2)))
        net = [{"name": "eth0", "network": "inner"}]
        network = document("Network", "inner", {"mode": "isolated", "hosts": ["lab-a"]})
        with self.refused("its network inner isn't on lab-b"):
            self.write(self.machine("lab-a", interfaces=net), network)
            self.apply()
        with self.refused("its network inner isn't started on lab-b", machine=self.machine("lab-b", interfaces=net)):
            self.other.conn.networkDefineXML("<network><name>inner</name></network>")
        self.change(interfaces=[])
        with self.refused("in no storage pool"):
            self.hv.run("mkdir", "-p", "/var/lib/libvirt/aside")
            self.hv.run("qemu-img", "create", "-q", "-f", "raw", "/var/lib/libvirt/aside/vdc", "1M")
            domain.attachDeviceFlags("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/aside/vdc'/>"
                                     "<target dev='vdc' bus='virtio'/></disk>", 2)
        domain.detachDeviceFlags("<disk type='file' device='disk'><source file='/var/lib/libvirt/aside/vdc'/><target dev='vdc' bus='virtio'/></disk>", 2)
        with self.refused(f"{POOL}/clone.qcow2 lies on {POOL}/web-vda.qcow2, which belongs to the machine"):
            domain.snapshotCreateXML("<domainsnapshot><name>by-hand</name></domainsnapshot>", 0)  # within the disks
            self.hv.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", f"{POOL}/web-vda.qcow2", f"{POOL}/clone.qcow2")
            self.hv.conn.storagePoolLookupByName("moving").refresh()
        domain.snapshotLookupByName("by-hand").delete()
        self.hv.conn.storageVolLookupByPath(f"{POOL}/clone.qcow2").delete()
        # A layer, and nothing that says so any more; where libvirt knows it: test_migration.
        with self.refused("its chain is deeper than an overlay on a base"):
            self.hv.run("sh", "-c", f"cd {POOL} && mv web-vda.qcow2 web-vda.below.qcow2 && qemu-img create -q -f qcow2 -F qcow2 "
                        f"-b {POOL}/web-vda.below.qcow2 web-vda.qcow2")
            self.hv.conn.storagePoolLookupByName("moving").refresh()

    def fill(self):
        """The pool on lab-b; libvirt doesn't know it."""
        self.other.run("sh", "-c", f"! dd if=/dev/zero of={POOL}/filler status=none 2>&1")

    def test_room_that_is_there(self):
        """libvirt remembers less, and what an interrupted copy takes goes before the next one begins."""
        self.hv.run("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 8M", f"{POOL}/web-vdb.qcow2")
        self.hv.conn.storagePoolLookupByName("moving").refresh()
        with self.small("28M"):
            self.fill()
            self.there("moving").refresh()
            self.other.run("rm", f"{POOL}/filler")
            self.write(self.machine("lab-b"))
            self.assertIn("which has 0 B", self.error_of(self.plan(status=1)))
            self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": "move: volume copied#3"})
            self.assertIn("web-vdb.qcow2.incomplete", self.files(self.other))
            self.there("moving").refresh()
            self.apply()
            self.assert_moved()

    @contextlib.contextmanager
    def small(self, size):
        """The pool on lab-b, with so much room."""
        self.other.run("mkdir", "-p", POOL)
        self.other.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", POOL)
        try:
            yield
        finally:
            self.other.run("umount", "-l", POOL)

    def test_what_comes_meanwhile(self):
        """Between plan and move: the machine isn't even stopped."""
        network = document("Network", "inner", {"mode": "isolated", "hosts": ["lab-a"]})
        self.pool["spec"].update(hosts=["lab-a"])
        spec = {"migration": {"mode": "cold"}, "interfaces": [{"name": "eth0", "network": "inner"}, {"name": "eth1", "bridge": "br8"}]}
        for host in (self.hv, self.other):
            host.run("ip", "link", "add", "br8", "type", "bridge")
        with self.small("64M"):
            self.come_and_go(network, spec)

    def come_and_go(self, network, spec):
        self.write(MoveCase.machine(self, "lab-a", **spec), network)
        self.apply()
        self.write(MoveCase.machine(self, "lab-b", **spec), network)
        inner = self.other.conn.networkDefineXML("<network><name>inner</name></network>")
        inner.create()
        saved, recorder, files = self.saved_plan(), self.recorder(), self.files(self.hv)
        twin = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace("<name>web</name>", "<name>twin</name>")
        for reason, come, go in [
                ("there is a machine of this name on lab-b", lambda: self.other.define("web"), lambda: self.other.domain("web").undefine()),
                ("lab-b has a machine twin with its UUID", lambda: self.other.conn.defineXML(twin), lambda: self.other.domain("twin").undefine()),
                (f"there is a file {POOL}/web-vda.qcow2 on lab-b already", lambda: self.other.run("touch", f"{POOL}/web-vda.qcow2"),
                 lambda: self.other.run("rm", f"{POOL}/web-vda.qcow2")),
                ("which has", self.fill, lambda: self.other.run("rm", f"{POOL}/filler")),
                ("its network inner isn't started on lab-b", inner.destroy, inner.create),
                ("its bridge or device br8 isn't on lab-b", lambda: self.other.run("ip", "link", "delete", "br8"),
                 lambda: self.other.run("ip", "link", "add", "br8", "type", "bridge")),
                ("lab-b has libvirt 8.10: at least 9.0 is needed", lambda: self.says(self.other, "libvirt-version", 8010000),
                 lambda: self.says_no_more(self.other, "libvirt-version"))]:
            with self.subTest(reason):
                come()
                try:
                    told = self.hv.reconcile("-o", "json", "--plan", saved, env=self.env, check=3).json()
                finally:
                    go()
                self.assertIn(reason, " ".join(each.get("message") or "" for each in told["results"]))
                self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-a"], files, []])
        self.assertEqual(recorder.stopped_events("web"), [])
        # Too late for that: it is shut down when the room goes, and started again.
        log = self.hv.path("state/filled")
        fault = {"RECONCILE_FAULT_AT": "move: volume made#2", "RECONCILE_FAULT_COMMAND": f"! {' '.join(self.other.inside())} dd if=/dev/zero of={POOL}/filler 2>{log}"}
        told = self.hv.reconcile("-o", "json", "--plan", saved, env={**self.env, **fault}, check=1).json()
        self.assertIn("arrived with another content than was sent", str([each["message"] for each in told["results"]]))
        self.other.run("rm", f"{POOL}/filler")
        self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-a"], files, []])
        self.assertTrue(self.hv.domain("web").isActive())
        self.apply()
        self.assert_moved()

    def test_sharing_that_is_untrue(self):
        """Each host has a pool of that name at that path, and neither sees the other's files: nothing is moved, or left."""
        for name, other in (("lab-a", "lab-b"), ("lab-b", "lab-a")):
            self.host_specs[name]["sharedPools"] = [{"pool": "moving", "with": [other]}]
        files = self.files(self.hv)
        self.write(self.machine("lab-b"))
        document_ = self.apply(status=3)
        check = next(each for each in document_["results"] if each["result"] == "refused")
        self.assertIn("pool moving is declared to be shared with lab-b, but a file that is written here isn't seen there", check["message"])
        self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-a"], files, []])
        with self.refused("pool moving can't be used on lab-b"):
            self.pool["spec"].update(hosts=["lab-a"])
            self.there("moving").destroy()
            self.there("moving").undefine()

    def test_a_lock_that_cannot_be_had(self):
        """libvirt can't keep apart who has a console: that is said, and nothing is left."""
        self.write(self.machine("lab-a", title="another"))
        locks = self.hv.path("run/lock")
        os.rename(locks, locks + ".away")
        with open(locks, "w", encoding="utf-8"):
            pass
        try:
            result = self.hv.reconcile(self.hv.path("specs"), check=1)
        finally:
            os.unlink(locks)
            os.rename(locks + ".away", locks)
        self.assertIn("cannot open the console of domain reconcile-lock on lab-a: Couldn't create lock file", result.stdout + result.stderr)
        self.assertNotIn("the same host", result.stdout + result.stderr)
        self.assertEqual([domain.name() for domain in self.hv.conn.listAllDomains()], ["web"])
        self.apply()

    def test_its_cpu(self):
        """Both hosts have one, so the other's is said to lack what this one has: to libvirt, and then to QEMU alone, which only the
        move asks."""
        if "type='kvm'" not in self.hv.conn.getCapabilities():
            self.skipTest("no KVM here, and an emulated CPU is the same everywhere")
        machine = self.machine("lab-b", type="kvm", features={"acpi": True}, cpu={"mode": "custom", "model": "kvm64"})
        self.hv.domain("web").undefine()
        self.change(**{key: machine["spec"][key] for key in ("type", "features", "cpu")})
        with self.refused("the CPU of lab-b lacks what the machine's CPU has: give it a cpu.model that both have", machine=machine):
            self.says(self.other, "cpu-lacks")
        self.says_no_more(self.other, "cpu-lacks")
        saved = self.saved_plan()
        for what in ("cpu-lacks", "qemu-cpu-lacks"):
            self.says(self.other, what)
            self.assert_stale("the CPU of lab-b lacks what the machine's CPU has", saved)
            self.says_no_more(self.other, what)

    def test_what_it_is_sent_by(self):
        """A libvirt or a QEMU that can't send it as its file says is known before anything is touched."""
        self.write(MoveCase.machine(self, "lab-a"))
        self.apply()
        recorder = self.recorder()
        for host in (self.hv, self.other):
            self.says(host, "libvirt-version", 9004000)
        for method, host, says in (("zlib", self.hv, "its host has libvirt 9.3"), ("zstd", self.other, "lab-b has libvirt 9.3")):
            machine = MoveCase.machine(self, "lab-b", migration={"parallel": 2, "compression": method})
            with self.refused(f"{says}, and migration.compression: {method} needs 9.4 on both hosts", machine=machine):
                self.says(host, "libvirt-version", 9003000)
            self.says(host, "libvirt-version", 9004000)
        machine = MoveCase.machine(self, "lab-b", migration={"parallel": 2, "zeroCopy": True})
        with self.refused("its host has QEMU 7.0, and migration.zeroCopy needs 7.1", machine=machine):
            self.says(self.hv, "qemu-version", 7000000)
        self.says_no_more(self.hv, "qemu-version")
        # What both can is planned; and one that can't any more when it is to go, refused as well.
        self.write(MoveCase.machine(self, "lab-b", migration={"parallel": 2, "compression": "zstd"}))
        saved = self.saved_plan()
        self.says(self.other, "libvirt-version", 9003000)
        self.assert_stale("migration.compression: zstd needs 9.4", saved)
        # A machine that is shut down for it has no memory to send.
        self.write(MoveCase.machine(self, "lab-b", migration={"mode": "cold", "parallel": 2, "compression": "zlib"}))
        self.plan(status=2)
        for host in (self.hv, self.other):
            self.says_no_more(host, "libvirt-version")
        self.assertEqual(recorder.stopped_events("web"), [])

    def test_without_its_machine_type(self):
        """Last of the class: looking at another QEMU takes libvirt seconds. A QEMU that lacks the type, and a libvirtd that says
        it is older; all else of them is as ever."""
        with self.refused("lab-b has libvirt 8.10: at least 9.0 is needed"):
            self.says(self.other, "libvirt-version", 8010000)
        self.says_no_more(self.other, "libvirt-version")
        saved = self.saved_plan()
        qemu, another = "/usr/bin/qemu-system-x86_64", self.other.path("another-qemu")
        with self.refused("lab-b has no machines of type pc-i440fx-7.2 (x86_64, qemu): its QEMU is another one"):
            self.other.run("sh", "-c", f"sed -b 's/pc-i440fx-7[.]2/pc-i440fx-9.9/g' {qemu} >{another} && chmod +x {another}")
            self.other.run("mount", "--bind", another, qemu)
            self.addCleanup(self.other.run, "umount", qemu)
            self.assertIn("pc-i440fx-9.9", self.other.conn.getCapabilities())
            self.assert_stale("lab-b has no machines of type pc-i440fx-7.2", saved)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
