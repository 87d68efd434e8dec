#!/usr/bin/python3
"""What people, other programs and bad luck do to machines, files and the host."""

import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
import yaml  # noqa: E402

DISK_ONLY = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY


class OddCase(lab.TestCase):
    tiny = True

    def specs(self, *documents):
        self.hv.write("all.yaml", *documents)
        return self.hv.path("specs")

    def settle(self, *documents, arguments=()):
        """Applies them; afterwards there is nothing to do."""
        specs = self.specs(*documents)
        result = self.hv.apply(*arguments, specs)
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])
        return result

    def object(self, plan, kind, name):
        return next(each for each in plan["objects"] if (each["kind"], each["name"]) == (kind, name))

    def paused(self, name="x", **spec):
        return self.hv.vm(name, powerState="paused", **spec)

    def stopped(self, name="x", **spec):
        return self.hv.vm(name, powerState="stopped", **spec)

    def definition(self, name="x"):
        return self.hv.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


class Snapshots(OddCase):
    """A snapshot made by hand is one level deeper, not another disk."""

    DISKS = {
        "blank": {"size": "16MiB"},
        "overlay": {"image": "base", "size": "64MiB"},
        "path": {"path": None},
        "path with format": {"path": None, "format": "raw"},
        "volume": {"volume": "own.raw"},
    }

    def disk(self, source, **more):
        disk = {"target": "vda", "pool": "lab", **source, **more}
        if "path" in disk:
            disk["path"] = self.hv.path("pools/lab/own.raw")
            del disk["pool"]
        return disk

    def prepare(self):
        self.settle(self.hv.pool(), self.hv.image())
        self.hv.conn.storagePoolLookupByName("lab").createXML(
            "<volume><name>own.raw</name><capacity unit='MiB'>16</capacity>"
            "<target><format type='raw'/></target></volume>")

    def snapshot(self, name):
        self.hv.domain("x").snapshotCreateXML(
            f"<domainsnapshot><name>{name}</name><disks><disk name='vda' snapshot='external'/></disks></domainsnapshot>",
            DISK_ONLY)

    def top(self):
        return self.definition().split("<source file='", 1)[1].split("'", 1)[0]

    def test_an_external_one_of_a_running_machine(self):
        for kind, source in self.DISKS.items():
            with self.subTest(kind):
                self.hv.clear()
                self.prepare()
                documents = self.hv.pool(), self.hv.image(), self.paused(disks=[self.disk(source)])
                self.settle(*documents)
                for name in ("first", "second"):
                    self.snapshot(name)
                    self.settle(*documents)
                    self.assertTrue(self.top().endswith("." + name), self.top())
                self.settle(self.hv.pool(), self.hv.image(), self.paused(disks=[self.disk(source, size="96MiB")]))
                self.assertEqual(self.hv.domain("x").blockInfo("vda")[0], 96 << 20)

    def test_an_external_one_and_stopped_since(self):
        self.prepare()
        disk = self.disk({"path": None})
        specs = self.specs(self.hv.pool(), self.paused(disks=[disk]))
        self.hv.apply(specs)
        self.snapshot("first")
        self.hv.domain("x").destroy()
        self.specs(self.hv.pool(), self.stopped(disks=[disk]))
        # No pool knows the new file yet: what it lies on, libvirt's snapshot tells.
        self.settle(self.hv.pool(), self.stopped(disks=[disk]))
        self.assertTrue(self.top().endswith(".first"), self.top())
        # Without that it can't be told, and isn't guessed.
        self.hv.domain("x").snapshotLookupByName("first").delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        plan = self.hv.reconcile("--dry-run", "-o", "json", specs).check(1).json()
        self.assertIn("pool-refresh", self.object(plan, "VirtualMachine", "x")["error"])
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.settle(self.hv.pool(), self.stopped(disks=[disk]))
        self.assertTrue(self.top().endswith(".first"), self.top())

    def test_another_disk_is_another_disk(self):
        self.prepare()
        disk = self.disk({"path": None})
        self.settle(self.hv.pool(), self.stopped(disks=[disk]))
        other = self.hv.path("pools/lab/other.raw")
        self.hv.conn.defineXML(self.definition().replace(disk["path"], other))
        self.hv.conn.storagePoolLookupByName("lab").createXML(
            "<volume><name>other.raw</name><capacity unit='MiB'>16</capacity>"
            "<target><format type='raw'/></target></volume>")
        self.settle(self.hv.pool(), self.stopped(disks=[disk]))
        self.assertEqual(self.top(), disk["path"])
        self.settle(self.hv.pool(), self.stopped(disks=[dict(disk, path=other)]))
        self.assertEqual(self.top(), other)




class Pending(OddCase):
    """What a running machine waits for is told until it has been started anew."""

    tiny = False  # it has to let go of devices

    def test_what_left_the_file_stays_pending(self):
        extra = {"rng": {"source": "/dev/urandom"}, "sound": {"model": "ich9"},
                 "features": {"acpi": True, "tcgCache": "32MiB", "vmport": False},
                 "cpu": {"count": 1, "max": 2, "topology": {"sockets": 2, "cores": 1, "threads": 1}},
                 "disks": [{"target": "sda", "device": "cdrom", "bus": "scsi"}],
                 "graphics": [{"type": "vnc", "keymap": "de"}], "inputs": [{"type": "tablet", "bus": "usb"}]}
        less = {"features": {"acpi": True, "tcgCache": "32MiB"}, "cpu": {"count": 1, "max": 2}, "graphics": [{"type": "vnc"}]}
        waits = {"rng", "sound", "features.vmport", "cpu.topology.sockets", "cpu.topology.cores", "cpu.topology.threads",
                 "disks[sda]", "graphics[vnc].keymap", "inputs[tablet]"}
        self.settle(self.paused(**extra))
        self.settle(self.paused(**less))
        for _ in range(2):
            plan = self.hv.plan(self.hv.path("specs"), status=0)
            self.assertEqual({field["path"] for field in self.object(plan, "VirtualMachine", "x")["fields"]}, waits)
            self.assertEqual(plan["summary"]["pending"], 1)
        status = self.hv.reconcile("status", "-o", "json", check=0).json()
        self.assertIn("sound", str(status))
        self.settle(self.stopped(**less))
        self.settle(self.paused(**less))
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["summary"]["pending"], 0)

    def test_they_are_what_a_restart_is_for(self):
        self.settle(self.paused(sound={"model": "ich9"}))
        self.settle(self.paused())
        self.settle(self.hv.vm("x"))
        self.hv.guest("x").wait_heartbeat()
        recorder = self.recorder()
        self.hv.apply("--allow", "restart", self.hv.path("specs"))
        self.assertEqual([e.event for e in recorder.stopped_events("x")].count("stopped"), 1)
        self.settle(self.hv.vm("x"), arguments=["--allow", "restart"])
        self.assertEqual([e.event for e in recorder.stopped_events("x")].count("stopped"), 1)
        self.assertNotIn("<sound", self.hv.domain("x").XMLDesc())

    def test_fewer_cpus_of_a_machine_that_is_off(self):
        """It becomes what it would have been made as; a maximum of a person's, or that other parts count on, stays."""
        flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM

        def maximum():
            return self.hv.domain("x").vcpusFlags(flags)
        self.settle(self.stopped(cpu={"count": 4}))
        self.settle(self.stopped(cpu={"count": 2}))
        self.assertEqual(maximum(), 2)
        self.settle(self.stopped(cpu={"count": 3, "topology": {"sockets": 1, "cores": 3, "threads": 1}}))
        self.settle(self.stopped(cpu={"count": 2}))
        self.assertEqual(maximum(), 3)
        self.hv.domain("x").setVcpusFlags(4, flags)
        self.settle(self.stopped(cpu={"count": 1}))
        self.assertEqual(maximum(), 4)

    def test_what_a_person_plugs_in_where_a_device_left_is_theirs(self):
        """Of one that couldn't leave yet, see test_faults."""
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}, {"target": "vdb", "size": "1MiB", "pool": "lab"}]
        self.settle(self.hv.pool(), self.hv.vm("x", disks=disks))
        self.hv.guest("x").wait_heartbeat()
        live = self.hv.domain("x").XMLDesc()
        self.hv.domain("x").suspend()
        self.hv.domain("x").resume()
        specs = self.specs(self.hv.pool(), self.hv.vm("x", disks=disks[:1]))
        self.hv.apply(specs)
        disk = live[live.rindex("<disk "):live.rindex("</disk>") + 7]
        self.assertIn("vdb", disk)
        self.hv.domain("x").attachDeviceFlags(disk, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])
        self.settle(self.hv.pool(), self.hv.vm("x", disks=disks[:1]))
        self.assertIn("x-vdb.qcow2", self.hv.domain("x").XMLDesc())


class Balloon(OddCase):
    """A guest gives memory back as far as it can and likes: it isn't told again and again."""

    def test_a_guest_that_does_not_follow(self):
        self.settle(self.hv.vm("x", memory={"size": "96MiB"}))
        self.settle(self.hv.vm("x", memory={"size": "64001KiB"}))
        self.assertEqual(self.hv.domain("x").info()[2], 96 << 10)
        plan = self.hv.plan("--allow", "restart", self.hv.path("specs"), status=0)
        self.assertIn("96MiB of memory and was told", str(self.object(plan, "VirtualMachine", "x")["notes"]))
        plan = self.hv.plan(self.specs(self.hv.vm("x", memory={"size": "48MiB"})), status=2)
        self.assertIn("set-memory", [action["kind"] for action in plan["actions"]])
        self.hv.domain("x").destroy()  # the note went with what ran
        self.settle(self.hv.vm("x", memory={"size": "64001KiB"}))
        self.assertNotIn("/balloon", self.hv.domain("x").XMLDesc())


class Clashes(OddCase):
    def error(self, *documents, name="x", kind="VirtualMachine"):
        """The error of a dry run; nothing comes of applying either."""
        specs = self.specs(*documents)
        result = self.hv.reconcile("--dry-run", "-o", "json", specs).check(1)
        before = sorted(domain.XMLDesc() for domain in self.hv.conn.listAllDomains())
        self.hv.apply(specs, status=1)
        self.assertEqual(sorted(domain.XMLDesc() for domain in self.hv.conn.listAllDomains()), before)
        return self.object(result.json(), kind, name)["error"]

    def test_renamed_by_hand(self):
        self.settle(self.stopped())
        self.hv.domain("x").rename("z")
        self.assertIn("virsh domrename z x", self.error(self.stopped()))
        self.hv.domain("z").rename("x")
        self.settle(self.stopped())

    def test_names_swapped_by_hand(self):
        both = self.stopped("x", title="X"), self.stopped("y", title="Y")
        self.settle(*both)
        for old, new in (("x", "z"), ("y", "x"), ("z", "y")):
            self.hv.domain(old).rename(new)
        self.settle(*both)
        self.assertIn("<title>X<", self.definition("x"))

    def test_a_network_that_nobody_has(self):
        vm = self.hv.vm("x", interfaces=[{"name": "eth0", "network": "nowhere"}])
        self.assertIn("declare a Network", self.error(vm))
        self.settle(self.stopped())
        self.assertIn("declare a Network", self.error(self.stopped(interfaces=vm["spec"]["interfaces"])))

    def test_a_network_that_is_stopped(self):
        network = lab.document("Network", "n", {"mode": "bridge", "bridge": "br0", "autostart": False, "state": "inactive"})
        interfaces = [{"name": "eth0", "network": "n"}]
        self.settle(network, self.stopped(interfaces=interfaces))
        self.assertIn("state: active", self.error(network, self.hv.vm("x", interfaces=interfaces)))

    def test_a_network_that_is_there_is_enough(self):
        """Whatever else is to be done to it: what is held or fails there keeps no machine off."""
        network = lab.document("Network", "n", {"mode": "bridge", "bridge": "br0", "autostart": False, "state": "active"})
        vm = {"interfaces": [{"name": "eth0", "network": "n", "model": "virtio"}]}
        self.settle(network, self.stopped(**vm))
        network["spec"]["autostart"] = True
        plan = self.hv.plan(self.specs(network, self.hv.vm("x", **vm)), status=2)
        start, = [each for each in plan["actions"] if each["kind"] == "domain-start"]
        of_network = {each["id"] for each in plan["actions"] if each["kind"].startswith("network")}
        self.assertTrue(of_network)
        self.assertFalse(of_network & set(start["after"]))

    def test_what_is_about_to_stop(self):
        """No machine that would start on it waits for that."""
        network = lab.document("Network", "n", {"mode": "bridge", "bridge": "br0", "autostart": False, "state": "active"})
        self.settle(network, self.hv.pool(state="active"))
        network["spec"]["state"] = "inactive"
        self.assertIn("its network n isn't to be started", self.error(network, self.hv.vm("x", interfaces=[{"name": "eth0", "network": "n"}])))
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}]
        self.assertIn("its pool lab isn't to be started", self.error(self.hv.pool(state="inactive"), self.hv.vm("x", disks=disks)))

    def test_started_after_what_it_needs(self):
        """The host came up without its pool: one run starts that, and then the machine."""
        self.hv.make_directory("pools/late")
        documents = [self.hv.pool("late", state="active"), self.hv.image(pool="late"),
                     self.hv.vm("x", disks=[{"target": "vda", "image": "base"}, {"target": "vdb", "size": "1MiB", "pool": "late"}])]
        self.settle(*documents)
        for _ in range(3):
            self.hv.domain("x").destroy()
            self.hv.conn.storagePoolLookupByName("late").destroy()
            plan = self.hv.plan(self.specs(*documents), status=2)
            start, = [each for each in plan["actions"] if each["kind"] == "domain-start"]
            self.assertIn("pool-start", [each["kind"] for each in plan["actions"] if each["id"] in start["after"]])
            self.settle(*documents)
            self.assertTrue(self.hv.domain("x").isActive())

    def test_a_directory_that_another_pool_has(self):
        self.hv.make_directory("pools/theirs")
        path = self.hv.path("pools/theirs")
        self.hv.conn.storagePoolDefineXML(f"<pool type='dir'><name>theirs</name><target><path>{path}</path></target></pool>")
        self.assertIn("is that of the pool theirs", self.error(self.hv.pool(target=path + "/"), name="lab", kind="StoragePool"))

    def test_a_volume_of_that_name_with_other_content(self):
        disks = [{"target": "vda", "size": "16MiB", "pool": "lab"}]
        self.settle(self.hv.pool())
        pool = self.hv.conn.storagePoolLookupByName("lab")
        for name, size, kind in (("x-vda.qcow2", 16, "raw"), ("y-vda.qcow2", 32, "qcow2")):
            pool.createXML(f"<volume><name>{name}</name><capacity unit='MiB'>{size}</capacity>"
                           f"<target><format type='{kind}'/></target></volume>")
        self.assertIn("format", self.error(self.hv.pool(), self.stopped(disks=disks)))
        self.assertIn("more than the declared size", self.error(self.hv.pool(), self.stopped("y", disks=disks), name="y"))

    def test_a_machine_taken_from_another_source(self):
        self.settle(self.stopped())
        path = self.hv.write("others/x.yaml", self.stopped(title="mine"))
        plan = self.hv.plan(os.path.dirname(path), status=2)
        self.assertIn(self.hv.path("specs"), self.object(plan, "VirtualMachine", "x")["notes"][0])
        os.remove(path)
        self.hv.write("others/y.yaml", self.stopped("y"))
        plan = self.hv.plan(os.path.dirname(path), status=2)
        self.assertEqual([each["name"] for each in plan["objects"]], ["y"], "orphans of another source are its matter")


    def test_a_source_that_moved(self):
        """Nobody but the administrator knows that the old place isn't applied any more."""
        old = self.specs(self.stopped(), self.stopped("gone"), self.stopped("stays"))
        self.hv.apply(old)
        new = os.path.dirname(self.hv.write(self.hv.path("elsewhere/all.yaml"), self.stopped(), self.stopped("stays")))
        for arguments in ((), ("--prune", "--prune-limit", "100")):
            plan = self.hv.plan(*arguments, new, status=0)
            self.assertIn(f"declared by another source, {old}, of which", self.object(plan, "VirtualMachine", "gone")["notes"][0])
            self.hv.apply(*arguments, new)
        moved = ("--formerly", old)
        plan = self.hv.plan(*moved, new, status=2)
        self.assertEqual([(each["kind"], each["object"]) for each in plan["actions"]], [("domain-record", "vm/stays"), ("domain-record", "vm/x")])
        self.assertIn(f"{old}: this run takes it over", self.object(plan, "VirtualMachine", "x")["notes"][0])
        self.assertIn("since this source was", self.object(plan, "VirtualMachine", "gone")["notes"][0])
        self.hv.apply(*moved, new)
        self.assertEqual(self.hv.plan(*moved, new, status=0)["summary"]["orphans"], 1)
        self.hv.apply(*moved, "--prune", "--prune-limit", "50", new)
        self.assertEqual(sorted(domain.name() for domain in self.hv.conn.listAllDomains()), ["stays", "x"])
        self.assertEqual(self.hv.plan(new, status=0)["summary"]["orphans"], 0)
        # A place that nothing remembers is a slip, or done long ago.
        self.assertNotIn("remembers", self.hv.reconcile("--dry-run", *moved, new, check=0).stderr)
        self.assertIn(f"no machine or network remembers '{old}/'", self.hv.reconcile("--dry-run", "--formerly", old + "/", new, check=0).stderr)
        # It is applied from there all the same: who has it now keeps it, until somebody says what is meant.
        plan = self.hv.plan(self.specs(self.stopped(title="old")), status=1)
        error = self.object(plan, "VirtualMachine", "x")["error"]
        self.assertIn(f"two sources declare it: this one, {old}, and {new}, which took it over from this one", error)
        self.assertEqual(plan["actions"], [])
        self.hv.apply(old, status=1)
        self.hv.apply("--formerly", new, old)
        self.hv.apply(old)
        self.assertIn(f"this one, {new}, and {old}", self.object(self.hv.plan(new, status=1), "VirtualMachine", "x")["error"])

    def test_two_sources_that_revert(self):
        """Each time to what the other one left: the present would be lost again and again."""
        machine = {"disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}], "snapshots": [{"name": "one"}]}
        old = self.specs(self.hv.pool(), self.stopped(**machine))
        self.hv.apply(old)
        new = os.path.dirname(self.hv.write(self.hv.path("elsewhere/all.yaml"), self.hv.pool(), self.stopped(**machine)))
        self.hv.apply("--formerly", old, new)
        plan = self.hv.plan(self.specs(self.hv.pool(), self.stopped(**machine, revert={"to": "one", "request": "again"})), status=1)
        self.assertIn("two sources declare it", self.object(plan, "VirtualMachine", "x")["error"])
        self.assertEqual(plan["actions"], [])


class HalfMade(OddCase):
    """Runs that broke off, at places that can be told from outside."""

    def test_a_pool_that_could_not_be_built(self):
        with open(self.hv.path("pools/file"), "w", encoding="utf-8") as file:
            file.write("no directory")
        pool = self.hv.pool(target=self.hv.path("pools/file/lab"))
        vm = self.stopped(disks=[{"target": "vda", "size": "1MiB", "pool": "lab"}])
        for _ in range(2):
            result = self.hv.apply(self.specs(pool, vm), status=1)
            self.assertIn("make the pool's directory: failed", result.stdout)
        os.remove(self.hv.path("pools/file"))
        self.hv.make_directory("pools/file")
        self.settle(pool, vm)
        self.assertTrue(self.hv.conn.storagePoolLookupByName("lab").autostart())

    def test_a_pool_that_is_stopped_by_hand_stays_so(self):
        self.settle(self.hv.pool())
        self.hv.conn.storagePoolLookupByName("lab").destroy()
        self.settle(self.hv.pool())
        self.settle(self.hv.pool(state="active"))
        self.assertTrue(self.hv.conn.storagePoolLookupByName("lab").isActive())


NASTY = """<a href="x">&amp; ' ]]> &lt;!-- --> %s $(id) \u00fc \u540d\u524d"""
RECORD = "<reconcile:vm.*?</reconcile:vm>"


class Texts(OddCase):
    def test_text_survives(self):
        spec = {"title": NASTY, "description": f"{NASTY}\n line 2\n\ttabbed\n\n", "disks": [
                    {"target": "sda", "device": "cdrom", "bus": "sata", "serial": "a b-c_d+e.f"}],
                "boot": {"kernel": self.hv.path("guest/kernel"), "cmdline": "root=x a=\"b c\" <&> 'q' ;"}}
        metadata = {"labels": {"a": NASTY, "b/c": "<"}, "annotations": {"k": NASTY + "\n2"}}
        self.settle(self.stopped(metadata=metadata, **spec))
        self.settle(self.stopped(title="plain"))
        self.settle(self.stopped(metadata=metadata, **spec))
        found = yaml.safe_load(self.hv.reconcile("import", "x", check=0).stdout)
        self.assertEqual(found["spec"]["title"], spec["title"])
        self.assertEqual(found["spec"]["boot"]["cmdline"], spec["boot"]["cmdline"])
        self.assertEqual(found["spec"]["description"].strip(), spec["description"].strip())

    def test_nothing_reaches_the_terminal(self):
        """Not from a file, and not from a domain of somebody else's."""
        path = self.specs('apiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata: {name: "a\\e[31mx"}\n'
                          'spec: {"\\e[2Jfoo": 1, title: "x\\e]0;y\\a", memory: {size: "\\e[1m2"}}\n')
        result = self.hv.reconcile("--dry-run", path, check=1)
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        self.assertEqual(result.stderr.count("error: "), 4)
        self.hv.define("odd \u202e name", start=False)
        self.settle(self.stopped())
        for command in (["status"], ["status", "-o", "markdown"], ["--dry-run", "-v", path]):
            result = self.hv.reconcile(*command)
            self.assertNotIn("\u202e", result.stdout + result.stderr)


class Records(OddCase):
    """Our element in the metadata, edited by hand."""

    def edit(self, function):
        before = self.definition()
        record = re.search(RECORD, before, re.S)[0]
        self.hv.conn.defineXML(before.replace(record, function(record)))
        return before

    def test_unreadable_is_not_absent(self):
        self.settle(self.stopped(), self.stopped("y"))
        for broken in (lambda r: r.replace('{"metadata"', "{{{"), lambda r: re.sub(">.*<", "><", r, flags=re.S),
                       lambda r: r.replace('"count":1', '"count":"many"'), lambda r: r.replace("reconcile:vm", "reconcile:thing")):
            before = self.edit(broken)
            specs = self.specs(self.stopped(title="new"), self.stopped("y", title="new"))
            result = self.hv.apply(specs, status=1)
            self.assertIn("metadata.adopt", result.stdout)
            self.assertIn("<title>new<", self.definition("y"), "the others go on")
            status = self.hv.reconcile("status", check=1).stdout
            self.assertRegex(status, "x +unreadable")
            self.hv.apply("--prune", self.specs(self.stopped("y")), status=0)
            self.hv.conn.defineXML(before)
            self.settle(self.stopped(), self.stopped("y"))

    def test_removed_means_not_ours(self):
        self.settle(self.stopped())
        self.edit(lambda record: "")
        self.assertIn("adopt", self.hv.apply(self.specs(self.stopped(title="new")), status=1).stdout)
        self.settle(self.stopped(title="new", metadata={"adopt": True}))

    def test_another_content(self):
        self.settle(self.stopped())
        self.edit(lambda record: record.replace("128MiB", "256MiB"))
        self.settle(self.stopped())
        self.assertIn("128MiB", re.search(RECORD, self.definition(), re.S)[0])
        self.edit(lambda record: record.replace('"count":1', '"count":1,"newer":2'))
        self.settle(self.stopped())


class StateDirectory(OddCase):
    """Without a journal nothing is done; a dry run needs none."""

    def refused(self, directory, *words):
        specs = self.specs(self.stopped())
        self.hv.reconcile("--dry-run", "--state-dir", directory, specs, check=2)
        result = self.hv.apply("--state-dir", directory, specs, status=1)
        self.assertEqual(self.hv.conn.listAllDomains(), [])
        for word in words:
            self.assertIn(word, result.stderr)

    def test_that_cannot_be_used(self):
        file = self.hv.path("state/file")
        with open(file, "wb"):
            pass
        self.refused(file, file, "Not a directory")
        os.makedirs(self.hv.path("state/d/journal.db"))
        self.refused(self.hv.path("state/d"), "journal.db")
        full = self.hv.small_disk("full", "64k")
        with open(f"{full}/filler", "wb") as filler:
            filler.write(b"x" * 65536)
        self.refused(full, "full")

    def test_a_journal_that_is_not_one(self):
        for number, content in enumerate((b"", b"no database " * 999, b"SQLite format 3\0" + b"\xff" * 5000)):
            directory = self.hv.path(f"state/{number}")
            os.makedirs(directory)
            with open(f"{directory}/journal.db", "wb") as file:
                file.write(content)
            result = self.hv.apply("--state-dir", directory, self.specs(self.stopped(title=f"title {number}")))
            self.assertEqual(any("corrupt" in name for name in os.listdir(directory)), bool(content), result)
            self.assertIn("applied", self.hv.reconcile("history", "--state-dir", directory, check=0).stdout)


class Runs(OddCase):
    def machines(self, count):
        return [self.paused(f"x{i}", boot=None, disks=[{"target": "vda", "image": "base", "pool": "lab",
                                                        "provision": "copy" if i % 2 else "overlay"}]) for i in range(count)]

    def test_two_at_once(self):
        specs = self.specs(self.hv.pool(), self.hv.image(), *self.machines(2))
        runs = [self.hv.start_reconcile(specs) for _ in range(3)]
        outcomes = [(*run.communicate(), run.returncode) for run in runs]
        self.assertEqual(sorted(status for _, _, status in outcomes), [0, 1, 1])
        self.assertTrue(all("in use by process" in errors for _, errors, status in outcomes if status))
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])

    def test_killed_again_and_again(self):
        documents = self.hv.pool(), self.hv.image(), *self.machines(4)
        specs = self.specs(*documents)
        for delay in (0.1, 0.3, 0.5, 0.8, 1.2):
            run = self.hv.start_reconcile(specs)
            time.sleep(delay)
            run.kill()
            run.communicate()
        self.settle(*documents)
        files = os.listdir(self.hv.path("pools/lab"))
        self.assertEqual(len(files), 5, files)

    def test_a_daemon_that_came_back_between_plan_and_apply(self):
        self.settle(self.paused())
        plan = self.hv.path("state/plan.json")
        self.hv.reconcile("--dry-run", "--plan-out", plan, self.specs(self.paused(title="new")), check=2)
        self.hv.restart_daemon()
        self.hv.apply("--plan", plan)
        self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])

    def test_a_plan_into_a_pipe(self):
        """What stands there already is written to, not replaced: think of /dev/stdout."""
        pipe = self.hv.path("state/pipe")
        os.mkfifo(pipe)
        run = self.hv.start_reconcile("--dry-run", "-q", "--plan-out", pipe, self.specs(self.stopped()))
        with open(pipe, encoding="utf-8") as file:
            plan = json.load(file)
        run.communicate()
        self.assertEqual((run.returncode, plan["formatVersion"]), (2, 1))
        self.assertTrue(os.path.exists(pipe) and not os.path.isfile(pipe))

    def test_three_hundred_machines(self):
        documents = [self.stopped(f"x{i:03}", title=f"number {i}") for i in range(300)]
        self.settle(*documents)
        self.specs(documents[0])
        specs = self.hv.path("specs")
        self.assertIn("prune-limit", self.hv.apply("--prune", specs, status=3).stderr)
        self.hv.apply("--prune", "--prune-limit", "100", specs)
        self.assertEqual(len(self.hv.conn.listAllDomains()), 1)

    def test_profile_changes_reach_the_machines(self):
        def documents(**profile):
            vm = lab.document("VirtualMachine", "x", {"profile": "p", "type": "qemu", "memory": {"size": "128MiB"}, "powerState": "stopped"})
            return lab.document("Profile", "p", profile), vm

        self.settle(*documents(title="one", cpu={"count": 1, "max": 4}, autostart=True, rng={"source": "/dev/urandom"}))
        self.assertIn("<rng", self.definition())
        self.settle(*documents(title="two", cpu={"count": 2, "max": 4}))
        self.assertIn("<title>two<", self.definition())
        self.assertNotIn("<rng", self.definition())
        self.assertFalse(self.hv.domain("x").autostart())


class Media(OddCase):
    def test_insert_swap_eject(self):
        for name in ("a.iso", "b.iso"):
            with open(self.hv.path("pools", name), "wb") as file:
                file.truncate(1 << 20)
            self.hv.give(self.hv.path("pools", name))
        drive = {"target": "sda", "device": "cdrom", "bus": "scsi"}
        for make in (self.stopped, self.paused):
            for medium in ("a.iso", "b.iso", None, "a.iso"):
                path = {"path": self.hv.path("pools", medium)} if medium else {}
                self.settle(make(disks=[drive | path]))
                found = re.findall("<source file='[^']*/([ab].iso)'", self.hv.domain("x").XMLDesc())
                self.assertEqual(found, [medium] if medium else [])
        self.hv.domain("x").updateDeviceFlags("<disk type='file' device='cdrom'><target dev='sda' bus='scsi'/></disk>",
                                              libvirt.VIR_DOMAIN_AFFECT_LIVE)
        plan = self.hv.plan(self.hv.path("specs"), status=2)
        self.assertEqual([each["kind"] for each in plan["actions"]], ["change-media"])
        self.settle(self.paused(disks=[drive | path]))


class Volumes(OddCase):
    def test_of_each_kind_grown(self):
        def volume(name, **spec):
            return lab.document("Volume", name, {"pool": "lab", **spec})

        pool = self.hv.pool(), self.hv.image()
        for blank, overlay, copy in (("16777001B", "64MiB", "64MiB"), ("33000001B", "128000001B", "96000001B")):
            self.settle(*pool, volume("b.qcow2", size=blank), volume("r.raw", size=blank, format="raw"),
                        volume("o.qcow2", image="base", size=overlay), volume("c.qcow2", image="base", size=copy, provision="copy"))
        specs = self.specs(*pool, volume("b.qcow2", size="16MiB"), volume("r.raw", size="32MiB", format="qcow2"))
        plan = self.hv.reconcile("--dry-run", "-o", "json", specs, check=1).json()
        self.assertIn("never shrunk", self.object(plan, "Volume", "b.qcow2")["error"])
        self.assertIn("keeps its format", self.object(plan, "Volume", "r.raw")["error"])

    def test_in_another_pool_it_would_be_another(self):
        def documents(where, **stated):
            return (self.hv.pool(), self.hv.pool("fast"), lab.document("Volume", "data", {"pool": where, "size": "8MiB"}),
                    self.stopped(disks=[{"target": "vdb", "volume": "data", **stated}]))

        default = self.hv.pool("default")
        self.settle(*documents("default"), default)  # the disk doesn't state its pool
        specs = self.specs(*documents("fast", pool="fast"), default)
        plan = self.hv.reconcile("--dry-run", "-o", "json", specs, check=1).json()
        self.assertIn("a volume isn't moved between pools", self.object(plan, "Volume", "data")["error"])
        self.assertEqual(plan["actions"], [])
        self.hv.apply(specs, status=1)
        self.assertEqual(os.listdir(self.hv.path("pools/fast")), [])
        self.assertIn(self.hv.path("pools/default/data"), self.hv.domain("x").XMLDesc())
        self.settle(*documents("default", pool="default"), default)

    def test_how_a_disk_is_made_is_told_too_late(self):
        def documents(**stated):
            return (self.hv.pool(), self.hv.image(), self.hv.pool("default"), self.stopped(disks=[{"target": "vdb", "size": "64MiB", **stated}]))

        self.settle(*documents())
        self.assertIn("disk vdb stays what it is: image comes too late for it (a disk keeps the image",
                      self.settle(*documents(image="base", pool="default")).stdout)
        self.assertEqual(os.listdir(self.hv.path("pools/default")), ["x-vdb.qcow2"])
        self.settle(*documents())
        result = self.settle(*documents(filesystem="ext4"))
        self.assertIn("disk vdb stays what it is: filesystem comes too late", result.stdout)
        self.assertNotIn("pool comes", result.stdout)

    def test_a_disk_file_that_is_gone(self):
        disks = [{"target": "vda", "size": "16MiB", "pool": "lab"}]
        self.settle(self.hv.pool(), self.stopped(disks=disks))
        os.remove(self.hv.path("pools/lab/x-vda.qcow2"))
        for vm in (self.stopped(disks=disks), self.hv.vm("x", disks=disks)):
            result = self.hv.apply(self.specs(self.hv.pool(), vm), status=1)
            self.assertIn(self.hv.path("pools/lab/x-vda.qcow2"), result.stdout)
        self.assertEqual(os.listdir(self.hv.path("pools/lab")), [], "nothing blank in its place")

    def test_a_pools_directory_that_is_gone(self):
        """As of a file system that isn't mounted: an empty one in its place would get what belongs there."""
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}]
        self.settle(self.hv.pool(state="active"), self.stopped(disks=disks))
        directory = self.hv.path("pools/lab")
        self.hv.conn.storagePoolLookupByName("lab").destroy()
        os.rename(directory, directory + "-away")
        result = self.hv.apply(self.specs(self.hv.pool(state="active"), self.stopped(disks=disks), self.stopped("new", disks=disks)), status=1)
        self.assertIn(f"'{directory}': No such file or directory", result.stdout)
        self.assertFalse(os.path.exists(directory))
        os.rename(directory + "-away", directory)
        self.settle(self.hv.pool(state="active"), self.stopped(disks=disks), self.stopped("new", disks=disks))

    def test_a_base_that_is_gone(self):
        """Its Image brings it back, in the same run that needs it."""
        disks = [{"target": "vda", "image": "base", "pool": "lab"}]
        self.settle(self.hv.pool(), self.hv.image(), self.hv.vm("x", disks=disks), self.stopped("y", disks=disks))
        (base,) = [name for name in os.listdir(self.hv.path("pools/lab")) if name.startswith("sha256-")]
        os.remove(self.hv.path("pools/lab", base))
        specs = self.specs(self.hv.pool(), self.hv.image(), self.hv.vm("x", disks=disks), self.hv.vm("y", disks=disks))
        result = self.hv.apply(specs, status=1)
        self.assertIn("keep the machine running until an Image", result.stdout)
        self.assertTrue(self.hv.domain("y").isActive())
        self.hv.plan(specs, status=0)

    def test_a_pipe_where_a_disk_was(self):
        """Whoever opens one waits for the other end."""
        self.settle(self.hv.pool(), self.stopped(disks=[{"target": "vda", "size": "1MiB", "pool": "lab"}]))
        path = self.hv.path("pools/lab/x-vda.qcow2")
        os.remove(path)
        os.mkfifo(path)
        for _ in range(2):
            result = self.hv.reconcile("--dry-run", self.hv.path("specs"), timeout=60).check(1)
            self.assertRegex(result.stdout, "is a FIFO|is neither a file nor")
            self.hv.conn.storagePoolLookupByName("lab").refresh()

    def test_a_disk_file_that_is_gone_while_the_machine_runs(self):
        """As long as it runs, nothing is lost: it isn't stopped, not even for who wants that, and can be written out again."""
        disks = [{"target": target, "size": "16MiB", "pool": "lab"} for target in ("vda", "vdb")]
        running = self.specs(self.hv.pool(), self.hv.vm("x", disks=disks))
        self.hv.apply(running)
        path = self.hv.path("pools/lab/x-vda.qcow2")
        os.remove(path)
        saved = self.hv.path("observation.json")
        with open(saved, "w", encoding="utf-8") as file:
            file.write(self.hv.reconcile("observe", check=0).stdout)
        for pool_knows in (True, False):
            errors = {self.object(self.hv.reconcile("--dry-run", "-o", "json", *arguments, running).check(1).json(), "VirtualMachine", "x")["error"]
                      for arguments in ((), *([("--against", saved)] if pool_knows else []))}
            self.assertEqual(len(errors), 1)
            self.hv.conn.storagePoolLookupByName("lab").refresh()
        (error,) = errors
        self.assertIn(f"{path} is gone", error)
        status = self.hv.reconcile("status", "-o", "json", "x").json()["domains"][0]
        self.assertEqual(status["driftUnknown"], error)
        with lab.EventRecorder(self.hv.uri) as recorder:
            for vm in (self.stopped(disks=disks), self.hv.vm("y", powerState="stopped")):
                result = self.hv.reconcile("--prune", "--prune-limit", "100", "--allow", "restart,data-loss", self.specs(self.hv.pool(), vm))
                self.assertIn(f"{path} is gone", result.stdout)
            recorder.settle()
            self.assertEqual(recorder.stopped_events("x"), [])
        command = error.split("'")[1].split()
        subprocess.run(["virsh", "-c", self.hv.uri, *command[1:]], env=self.hv.env, check=True, stdout=subprocess.DEVNULL)
        self.assertTrue(os.path.exists(path))
        self.settle(self.hv.pool(), self.hv.vm("x", disks=disks), self.hv.vm("y", powerState="stopped"))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
