#!/usr/bin/python3
"""A few of the places where taking and removing snapshots may be interrupted (all: tests/soak/test_faults.py)."""

import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from snapshot_case import INACTIVE, SnapshotCase, lab  # noqa: E402
import libvirt  # noqa: E402
import counting  # noqa: E402
import faults  # noqa: E402


class Some(faults.TestCase):
    def test_taking_and_removing(self):
        scenario = faults.Snapshots()
        names = self.begin(scenario)
        back = self.places(2)
        self.converge("the way back")
        for step, name, kill in ((3, "snapshot: taken", self.kill_reconcile), (4, "layers: merged", self.kill_reconcile),
                                 (5, "snapshot: begun", self.kill_libvirtd), (6, "snapshot: layer removed", self.kill_libvirtd)):
            number = (names if step % 2 else back).index(name) + 1
            self.at(step, number, kill, name)
        for step, place in ((7, "snapshot: recorded"), (9, "snapshot: taken")):  # the last one: no later one refreshes the pool
            last = max(number for number, name in enumerate(names, 1) if name == place)
            self.places(step - 1)
            self.assertTrue(self.at(step, last, self.kill_reconcile, place))


class NotLookedAt(lab.TestCase):
    def test_stopped_raw_disk(self):
        """Killed before the pool was looked at for the layer: what no pool knows isn't a disk of another format."""
        def write(**spec):
            self.hv.write("all.yaml", self.hv.pool(), self.hv.vm("off", powerState="stopped", **spec,
                                                                 disks=[{"target": "vda", "pool": "lab", "size": "8MiB", "format": "raw"}]))
        write()
        self.hv.apply(self.hv.path("specs"))
        write(snapshots=[{"name": "one"}])
        result = self.hv.reconcile(self.hv.path("specs"), env={**self.hv.env, "RECONCILE_FAULT_AT": "snapshot: taken"})
        self.assertEqual(result.status, -9, result)
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])
        self.assertEqual(sorted(os.listdir(self.hv.path("pools/lab"))), ["off-vda.one.qcow2", "off-vda.raw"])


class HalfMade(SnapshotCase):
    """libvirtd died while it took a snapshot, a moment before or after QEMU did it."""

    def die_at(self, place):
        process = self.hv.start_reconcile(self.hv.path("specs"), env={**self.hv.env, "RECONCILE_FAULT_AT": place})
        process.communicate()
        self.assertEqual(process.returncode, -9)

    def begin(self, *names):
        self.declare(*names)
        self.die_at("snapshot: begun")
        return self.path(f"web-vda.{names[-1]}.qcow2")

    def create(self, path, *arguments):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *arguments], check=True)
        self.hv.give(path)

    def overlay(self, path, target="vda"):
        """On the disk, which the machine writes to."""
        self.create(path, "-u", "-F", "qcow2", "-b", self.path(self.sources()[target]), path, "8M")
        self.hv.conn.storagePoolLookupByName("lab").refresh()

    def test_empty(self):
        """The file is empty, or says that it holds nothing."""
        self.apply(powerState="stopped")
        path = self.begin("empty")
        open(path, "wb").close()
        self.hv.give(path)
        self.apply("empty")
        self.apply()
        path = self.begin("nothing")
        self.create(path, path, "0")
        self.apply("nothing")
        self.assertEqual(self.sources(), {"vda": "web-vda.nothing.qcow2"})

    def test_begun_of_more_disks(self):
        """What was begun of a disk that the snapshot isn't wanted of any more is put away too, unless the machine is on it."""
        both = [self.path(f"web-{target}.one.qcow2") for target in ("vda", "vdb")]
        of_one = {"name": "one", "disks": ["vda"]}
        self.options["disks"].append({"target": "vdb", "pool": "lab", "size": "8MiB"})
        self.apply(powerState="stopped")
        self.begin("one")
        self.overlay(both[0])
        self.overlay(both[1], "vdb")
        self.apply(of_one)
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2", "vdb": "web-vdb.qcow2"})
        self.assertNotIn("web-vdb.one.qcow2", self.files())
        self.apply()
        self.begin("one")
        self.overlay(both[0])
        self.overlay(both[1], "vdb")
        for target, path in reversed(list(zip(("vda", "vdb"), both))):
            self.hv.conn.defineXML(self.domain.XMLDesc(INACTIVE).replace(self.path(f"web-{target}.qcow2"), path))
            self.assertIn("all disks that it was begun with", str(self.apply(of_one, status=3)["results"]))
        self.apply("one")
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2", "vdb": "web-vdb.one.qcow2"})

    def test_libvirt_goes_on(self):
        """The run that asked for the snapshot has gone, and libvirt is still at work: what is there is in the making."""
        name, path = "web-vda.one.qcow2", self.path("web-vda.one.qcow2")
        self.hv.env["RECONCILE_PATIENCE"] = "1"
        self.apply(powerState=None)
        self.domain.create()

        def refused(*wanted):
            self.declare(*wanted)
            result = self.hv.reconcile(self.hv.path("specs"))
            self.assertIn(name, self.files(), result.stdout + result.stderr)
            self.assertIn("still at work", result.check(3).stdout)
        self.overlay(self.begin("one"))
        self.domain.backupBegin(f"<domainbackup mode='pull'><server transport='unix' socket='{self.hv.path('run/backup')}'/></domainbackup>", None)
        refused("one")  # a job that isn't at QEMU
        self.domain.abortJob()
        self.guest.wait(lambda _: self.domain.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE, "the backup's end")
        with self.hv.hanging("web"):
            dump = libvirt.open(self.hv.uri).lookupByName("web").coreDump
            other = threading.Thread(target=dump, args=[self.hv.path("run/dump"), libvirt.VIR_DUMP_LIVE | libvirt.VIR_DUMP_MEMORY_ONLY])
            other.start()
            self.guest.wait(lambda _: self.domain.controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_JOB, "another's job")
            refused("one")
            refused()
        other.join()
        self.apply("one")
        self.apply()
        self.declare("one")
        with self.hv.hanging("web"):
            process = self.hv.start_reconcile(self.hv.path("specs"))
            self.guest.wait(lambda _: "one" in self.snapshots(), "libvirt at its work")
            process.kill()
            process.communicate()
            self.overlay(path)  # as QEMU would have made it
            refused("one")
            refused()
            os.unlink(path)
        self.guest.wait(lambda _: self.sources() == {"vda": name}, "the snapshot")
        self.apply("one")
        self.assertEqual(self.sources(), {"vda": name})

    def test_wanted_no_more(self):
        """Begun, and then the file is changed back: nothing of it is left, and its name is free."""
        self.apply(powerState="stopped")
        path, memory = self.begin("gone"), self.path("web.gone.memory")
        self.overlay(path)
        self.create(memory, memory, "1M")
        self.apply()
        self.assertEqual({"web-vda.gone.qcow2", "web.gone.memory"} & set(self.files()), {"web.gone.memory"})  # off, it made none
        self.overlay(self.begin("gone"))
        self.hv.conn.defineXML(self.domain.XMLDesc(INACTIVE).replace(self.path("web-vda.qcow2"), path))
        self.apply()
        self.assertEqual(self.sources(), {"vda": "web-vda.qcow2"})
        self.assertNotIn("web-vda.gone.qcow2", self.files())
        self.apply("gone")

    def test_a_file_of_the_name(self):
        """What a snapshot would be called may be anybody's: only what our record says was begun, and is a layer, is put away."""
        self.apply("one", powerState="stopped")
        theirs = [self.path("web-vda.gone.qcow2"), self.path("web.gone.memory")]
        for path in theirs:
            open(path, "wb").close()
            self.hv.give(path)
        self.declare("one", "gone", powerState="stopped")
        self.assertEqual(self.hv.reconcile(self.hv.path("specs")).status, 3)
        self.apply("one", powerState="stopped")
        os.unlink(theirs[1])
        os.rename(theirs[0], theirs[0] + ".aside")
        path = self.begin("one", "gone")
        with open(path, "w", encoding="utf-8") as file:
            file.write("precious")
        self.hv.give(path)
        self.declare("one", powerState="stopped")
        self.assertEqual(self.hv.reconcile(self.hv.path("specs")).status, 3)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")
        os.unlink(path)
        self.apply("one", powerState="stopped")
        self.assertIn("web-vda.gone.qcow2.aside", self.files())

    def test_a_job_that_libvirt_only_believes_in(self):
        """libvirtd died between its note of a merge and the merge: it refuses any other until the machine is another one."""
        self.apply("one", powerState=None)
        self.domain.create()
        self.declare(powerState=None)
        self.die_at("layers: noted")
        self.hv.kill_daemon()
        path = self.hv.path("run/libvirt/qemu/run/web.xml")
        with open(path, encoding="utf-8") as file:
            status = file.read()
        mirror = f"<mirror type='file' job='active-commit'><format type='qcow2'/><source file='{self.path('web-vda.qcow2')}'/></mirror>"
        with open(path, "w", encoding="utf-8") as file:
            file.write(status.replace("<target dev='vda'", mirror + "<target dev='vda'"))
        self.hv.restart_daemon()
        self.assertIn("start it again", str(self.apply(status=3, powerState=None)["results"]))
        self.domain.destroy()
        self.domain.create()
        self.apply(powerState=None)
        self.assertEqual(self.sources(), {"vda": "web-vda.qcow2"})

    def test_a_merge_that_libvirt_never_heard_of(self):
        """libvirtd died when QEMU had merged a layer, before it wrote that down: it believes in a chain that isn't."""
        self.apply("one", "two", powerState=None)
        self.domain.create()
        self.declare(powerState=None)
        self.die_at("layers: noted")
        path = self.hv.path("run/libvirt/qemu/run/web.xml")
        with open(path, encoding="utf-8") as file:
            status = file.read()
        self.domain.blockCommit("vda", self.path("web-vda.qcow2"), self.path("web-vda.one.qcow2"))
        self.guest.wait(lambda _: not self.domain.blockJobInfo("vda"), "the merge")
        self.hv.kill_daemon()
        with open(path, "w", encoding="utf-8") as file:
            file.write(status)
        self.hv.restart_daemon()
        self.assertIn("web-vda.one.qcow2", self.domain.XMLDesc())
        counting.told_of_layer(self.hv, "web", "kept", self.path("web-vda.one.qcow2"), only_read=True)  # nobody had it closed
        self.apply("two", powerState=None)
        self.assertEqual((self.sources(), "web-vda.one.qcow2" in self.files()), ({"vda": "web-vda.two.qcow2"}, False))
        self.apply(powerState=None)
        self.assertEqual(self.sources(), {"vda": "web-vda.qcow2"})
        self.assertEqual([name for name in self.files() if ".one." in name or ".two." in name], [])

    def test_before_the_switch(self):
        """The layer is whole, and QEMU, which runs on the disk, knows it or not."""
        self.apply(powerState=None)
        self.domain.create()
        self.overlay(self.begin("whole"))
        self.apply("whole")
        self.apply()
        path = self.begin("known")
        self.overlay(path)
        counting.told_of_layer(self.hv, "web", "known", path)
        memory = {"name": "known", "memory": True}
        self.assertIn("can't save its memory", str(self.apply(memory, status=3)["results"]))
        self.guest.wait_heartbeat()
        self.assertIn("web-vda.known.qcow2", self.files())
        self.apply("known")
        self.assertEqual(self.sources(), {"vda": "web-vda.known.qcow2"})

    def test_after_the_switch(self):
        """The machine runs on the layer, and libvirt thinks that it doesn't: what the guest wrote since is kept."""
        self.apply(powerState=None, memory={"size": "16MiB"})
        self.domain.create()
        path = self.begin("one")
        self.overlay(path)
        counting.on_layer(self.hv, "web", "one", path)
        self.assertIn("runs on", str(self.apply("one", status=3)["results"]))
        counting.through_qemu(self.hv, "web", "vda", "write -q -P 7 1M 64k", "flush")
        self.domain.destroy()
        self.assertIn("holds something", str(self.apply("one", status=3)["results"]))
        self.hv.conn.defineXML(self.domain.XMLDesc(INACTIVE).replace(self.path("web-vda.qcow2"), path))
        self.apply("one")
        self.assertEqual(self.sources(), {"vda": "web-vda.one.qcow2"})
        self.assertEqual(counting.content(self.hv, "web")[1 << 20], 7)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
