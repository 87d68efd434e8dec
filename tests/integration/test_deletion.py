#!/usr/bin/python3
"""What is deleted, and above all what isn't."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

EVERYTHING = ("--prune", "--prune-limit", "100", "--allow", "restart,data-loss")


class Deletion(lab.TestCase):
    tiny = True

    def specs(self):
        return self.hv.path("specs", "vms")

    def write(self, **machines):
        """vms/NAME.yaml of each, and the pool and image."""
        self.hv.write("vms/storage.yaml", self.hv.pool(), self.hv.image())
        for name, spec in machines.items():
            metadata = spec.pop("metadata", {})
            self.hv.write(f"vms/{name}.yaml", self.hv.vm(name, metadata=metadata, **{"powerState": "stopped", **spec}))

    def create(self, **machines):
        self.write(**machines)
        self.hv.apply(self.specs())

    def remove(self, *names):
        for name in names:
            os.remove(os.path.join(self.specs(), f"{name}.yaml"))

    def names(self):
        return sorted(domain.name() for domain in self.hv.conn.listAllDomains())

    def files(self):
        return sorted(name for name in os.listdir(self.hv.path("pools", "lab")) if not name.startswith("sha256-"))

    def find(self, plan, name):
        return next(item for item in plan["objects"] if item["name"] == name)


class Unreadable(Deletion):
    """A source that can't be read as a whole deletes nothing, whatever is allowed."""

    def setUp(self):
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}]
        self.create(a={"disks": disks}, b={"disks": disks}, c={})

    def deletes_nothing(self, saying, source=None, **options):
        with lab.EventRecorder(self.hv.uri) as recorder:
            for run in ((), ("--dry-run",)):
                result = self.hv.reconcile(*EVERYTHING, *run, source or self.specs(), **options)
                self.assertEqual(result.status, 1, str(result))
                self.assertIn(saying, result.stderr)
            recorder.settle()
            self.assertEqual(recorder.events, [])
        self.assertEqual(self.names(), ["a", "b", "c"])
        self.assertEqual(self.files(), ["a-vda.qcow2", "b-vda.qcow2"])

    def test_emptied_directory(self):
        self.remove("a", "b", "c", "storage")
        self.deletes_nothing("nothing declared")

    def test_only_hidden_and_foreign_files_are_left(self):
        self.remove("a", "b", "c", "storage")
        for name in (".a.yaml.swp", "#a.yaml#", "b.yaml~", "README.md"):
            with open(os.path.join(self.specs(), name), "w", encoding="utf-8") as file:
                file.write("nothing\n")
        self.deletes_nothing("nothing declared")

    def test_files_that_say_nothing(self):
        for name in ("a", "b", "c", "storage"):
            with open(os.path.join(self.specs(), f"{name}.yaml"), "w", encoding="utf-8") as file:
                file.write("---\n# all of it is commented out\n")
        self.deletes_nothing("")

    def test_removed_directory(self):
        shutil.rmtree(self.specs())
        self.deletes_nothing(self.specs())

    def test_one_file_cannot_be_read(self):
        """A directory, a dangling link, a FIFO, a loop: each in the place of a file."""
        path = os.path.join(self.specs(), "a.yaml")
        for make in (os.mkdir, os.mkfifo, lambda p: os.symlink("nowhere.yaml", p), lambda p: os.symlink("a.yaml", p),
                     lambda p: os.symlink("/etc/hostname", p)):
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.remove(path)
            make(path)
            self.deletes_nothing("a.yaml")

    def test_no_permission(self):
        """As another user, since root may read all."""
        if os.geteuid() != 0:
            os.chmod(os.path.join(self.specs(), "a.yaml"), 0)
            self.deletes_nothing("a.yaml: error: ")
            return
        for path in (self.specs(), os.path.join(self.specs(), "storage.yaml")):
            self.hv.give(path)
        for name in ("b", "c"):
            self.hv.give(os.path.join(self.specs(), f"{name}.yaml"))
        os.chmod(os.path.join(self.specs(), "a.yaml"), 0o600)  # root's
        program = self.hv.path("reconcile")  # where the other user can reach it
        shutil.copy2(lab.binary(), program)
        self.addCleanup(os.remove, program)
        journal = self.hv.make_directory("state", "theirs")
        process = subprocess.run([program, *EVERYTHING, "--state-dir", journal, self.specs()], env=self.hv.env, user="nobody", capture_output=True,
                                 text=True, check=False)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("a.yaml: error: ", process.stderr)
        self.assertIn("Permission denied", process.stderr)
        self.assertEqual(self.names(), ["a", "b", "c"])

    def test_half_written(self):
        """The end of a file is missing, at any place."""
        path = os.path.join(self.specs(), "a.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.remove("b")
        for cut in ("apiVers", "kind: Virt", "name: ", "spec:", "target: v"):
            with self.subTest(cut=cut):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text[:text.index(cut) + len(cut)])
                self.deletes_nothing("a.yaml:")

    def test_emptied_file(self):
        """As it is between an editor's truncating and writing it."""
        for content in ("", "\n", "  \n\n"):
            with open(os.path.join(self.specs(), "a.yaml"), "w", encoding="utf-8") as file:
                file.write(content)
            self.deletes_nothing("a.yaml: error: is empty")

    def test_not_yaml(self):
        for content in (b"\x00\x01\x02", b"\xff\xfe", b"<<<<<<< HEAD\n", b"a: [1, 2\n", b"- just\n- a list\n"):
            with self.subTest(content=content):
                with open(os.path.join(self.specs(), "a.yaml"), "wb") as file:
                    file.write(content)
                self.deletes_nothing("a.yaml:")


class Orphans(Deletion):
    def test_reported_and_kept_without_prune(self):
        self.create(a={}, b={}, c={}, d={})
        self.remove("a", "b", "c")
        plan = self.hv.plan(self.specs(), status=0)
        self.assertEqual(plan["actions"], [])
        self.assertEqual(plan["summary"]["orphans"], 3)
        self.assertEqual(self.find(plan, "a")["change"], "orphan")
        self.assertIn("--prune deletes it", self.find(plan, "a")["notes"][0])
        self.assertIn("vm/a", self.hv.reconcile(self.specs(), check=0).stdout)
        self.assertEqual(self.names(), ["a", "b", "c", "d"])

    def test_prune_keeps_disks_unless_told_otherwise(self):
        disks = [{"target": "vda", "image": "base"}, {"target": "vdb", "size": "1MiB", "pool": "lab"}]
        self.create(a={"disks": disks}, b={"disks": disks}, c={}, d={})
        self.remove("a")
        plan = self.hv.plan("--prune", self.specs(), status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["domain-undefine"])
        self.hv.apply("--prune", self.specs())
        self.assertEqual(self.names(), ["b", "c", "d"])
        self.assertEqual(self.files(), [f"{name}-{disk}.qcow2" for name in "ab" for disk in ("vda", "vdb")])
        self.remove("b")
        images = [name for name in os.listdir(self.hv.path("pools", "lab")) if name.startswith("sha256-")]
        self.hv.apply("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(self.names(), ["c", "d"])
        self.assertEqual(self.files(), ["a-vda.qcow2", "a-vdb.qcow2"])
        for name in images:  # the base stays
            self.assertTrue(os.path.exists(self.hv.path("pools", "lab", name)))

    def test_only_disks_made_for_it(self):
        """A disk that was named by its path or volume is somebody's, and one that was put into
        the place of ours is too."""
        path = self.hv.make_directory("pools", "lab") + "/data.raw"
        with open(path, "wb") as file:
            file.truncate(1 << 20)
        self.hv.give(path)
        self.create(a={"disks": [{"target": "vda", "path": path, "format": "raw"},
                                 {"target": "vdb", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        self.remove("a")
        self.hv.apply("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(self.files(), ["data.raw"])

    def test_a_file_that_was_put_in_place_of_our_disk(self):
        self.create(a={"disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        path = self.hv.path("pools", "lab", "precious.qcow2")
        os.rename(self.hv.path("pools", "lab", "a-vda.qcow2"), path)
        text = self.hv.domain("a").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.hv.conn.defineXML(text.replace("a-vda.qcow2", "precious.qcow2"))
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.remove("a")
        plan = self.hv.plan("--prune", "--allow", "data-loss", self.specs(), status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["domain-undefine"])
        self.hv.apply("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(self.files(), ["precious.qcow2"])

    def test_a_disk_in_use_elsewhere_is_kept(self):
        self.create(a={"disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        path = self.hv.path("pools", "lab", "a-vda.qcow2")
        self.hv.define("other", f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
                                "<target dev='vda' bus='virtio'/></disk>")
        self.remove("a")
        result = self.hv.reconcile("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(result.status, 3, str(result))
        self.assertIn("other", result.stdout)
        self.assertEqual(self.files(), ["a-vda.qcow2"])

    def test_a_disk_that_an_unknown_qemu_has_open_is_kept(self):
        """Of another daemon, or another host: only its lock tells."""
        self.create(a={"disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        path = self.hv.path("pools", "lab", "a-vda.qcow2")
        self.remove("a")
        for options in ((), ("-r",)):  # to write, or only to read
            with self.subTest(options=options), subprocess.Popen(["qemu-io", *options, "-f", "qcow2", path], stdin=subprocess.PIPE,
                                                                 stdout=subprocess.PIPE, text=True) as unknown:
                unknown.stdin.write("length\n")
                unknown.stdin.flush()
                unknown.stdout.readline()  # it has it
                result = self.hv.reconcile("--prune", "--allow", "data-loss", self.specs())
                unknown.stdin.close()
            self.assertEqual(result.status, 3, str(result))
            self.assertIn("has it open", result.stdout)
            self.assertEqual(self.files(), ["a-vda.qcow2"])
            self.create(a={"disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]})  # again on the disk that it left
            self.remove("a")
        self.hv.apply("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(self.files(), [])

    def test_protection(self):
        self.create(a={"deletionProtection": True}, b={"deletionProtection": False}, c={}, d={})
        self.remove("a", "b")
        plan = self.hv.plan(*EVERYTHING, self.specs(), status=2)
        self.assertEqual(self.find(plan, "a")["change"], "orphan")
        self.assertIn("deletionProtection", self.find(plan, "a")["notes"][0])
        self.hv.apply(*EVERYTHING, self.specs())
        self.assertEqual(self.names(), ["a", "c", "d"])

    def test_other_sources(self):
        """Two directories share a host; one doesn't prune the other's."""
        self.create(a={}, b={}, c={})
        self.hv.write("others/x.yaml", self.hv.vm("x", powerState="stopped"))
        others = self.hv.path("specs", "others")
        self.hv.apply(others)
        plan = self.hv.plan(*EVERYTHING, others, status=0)
        self.assertIn("another source", self.find(plan, "a")["notes"][0])
        self.hv.apply(*EVERYTHING, others)
        self.hv.apply(*EVERYTHING, self.specs())
        self.assertEqual(self.names(), ["a", "b", "c", "x"])

    def test_not_ours(self):
        """Never touched: not with prune, not when a file of its name comes and goes."""
        self.hv.define("hand")
        self.hv.define("hand-running", start=True)
        self.create(a={}, b={})
        before = {name: self.hv.domain(name).XMLDesc() for name in ("hand", "hand-running")}
        with lab.EventRecorder(self.hv.uri) as recorder:
            self.remove("a")
            self.hv.apply(*EVERYTHING, self.specs())
            self.write(hand={"title": "mine now"})
            result = self.hv.reconcile(*EVERYTHING, self.specs(), check=1)
            self.assertIn("isn't ours", result.stdout)
            self.remove("hand")
            self.hv.apply(*EVERYTHING, self.specs())
            recorder.settle()
            self.assertEqual(recorder.of("hand") + recorder.of("hand-running"), [])
        self.assertEqual(self.names(), ["b", "hand", "hand-running"])
        self.assertEqual({name: self.hv.domain(name).XMLDesc() for name in before}, before)

    def test_forgotten_record(self):
        """Who removes our record takes the machine out of our hands."""
        self.create(a={}, b={})
        self.hv.domain("a").setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, "reconcile",
                                        "https://reconcile.dev/xmlns/1", libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        self.remove("a")
        self.hv.apply(*EVERYTHING, self.specs())
        self.assertEqual(self.names(), ["a", "b"])

    def test_guard(self):
        machines = [f"m{number}" for number in range(7)]
        self.create(**{name: {} for name in machines})
        self.remove(*machines[:3])
        for run in ((), ("--dry-run",)):
            result = self.hv.reconcile("--prune", *run, self.specs(), check=3)
            self.assertIn("3 of the 7 machines", result.stderr)
            self.assertIn("--prune-limit", result.stderr)
        self.assertEqual(self.names(), machines)
        self.hv.reconcile("--prune", "--prune-limit", "42", self.specs(), check=3)
        self.hv.apply("--prune", "--prune-limit", "43", self.specs())
        self.assertEqual(self.names(), machines[3:])
        self.remove(machines[3])
        self.hv.apply("--prune", self.specs())  # a single one
        self.assertEqual(self.names(), machines[4:])

    def test_nothing_else_is_done_when_the_guard_refuses(self):
        self.create(a={}, b={}, c={}, d={"title": "old"})
        self.remove("a", "b", "c")
        self.write(d={"title": "new"}, e={})
        self.hv.reconcile("--prune", self.specs(), check=3)
        self.assertEqual(self.names(), ["a", "b", "c", "d"])
        self.assertIn("<title>old</title>", self.hv.domain("d").XMLDesc())

    def test_running_machine(self):
        self.create(a={"powerState": "running"}, b={}, c={}, d={})
        self.hv.guest("a").wait_heartbeat()
        self.remove("a")
        result = self.hv.reconcile("--prune", self.specs(), check=3)
        self.assertIn("--allow restart", result.stderr)
        self.assertTrue(self.hv.domain("a").isActive())
        recorder = self.recorder()
        self.hv.apply("--prune", "--allow", "restart", self.specs())
        self.assertEqual(self.names(), ["b", "c", "d"])
        self.assertIn("power button: powering off", self.hv.guest("a").text())
        recorder.settle()
        self.assertEqual([e for e in recorder.of("a") if e.event == "stopped"][0].detail,
                         libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)

    def test_saved_while_it_is_shut_down(self):
        """Its memory was never in the plan, and isn't discarded."""
        self.create(a={"powerState": "running"}, b={}, c={}, d={})
        self.hv.guest("a").wait_heartbeat()
        self.remove("a")
        result = self.hv.reconcile("--prune", "--allow", "restart", self.specs(), env={
            **self.hv.env, "RECONCILE_FAULT_AT": "shutdown: to be asked for",
            "RECONCILE_FAULT_COMMAND": f"virsh -q -c '{self.hv.uri}' managedsave a >/dev/null"})
        self.assertNotEqual(result.status, 0, str(result))
        self.assertTrue(self.hv.domain("a").hasManagedSaveImage(), str(result))
        self.hv.apply("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(self.names(), ["b", "c", "d"])

    def test_snapshots_of_a_person(self):
        """libvirt's notes of them are all that tells what their files are: that is data."""
        self.create(a={"disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        self.hv.domain("a").snapshotCreateXML("<domainsnapshot><name>by-hand</name></domainsnapshot>",
                                              libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.remove("a")
        result = self.hv.reconcile("--prune", self.specs(), check=3)
        self.assertIn("forget 1 snapshot that a person took", result.stderr)
        self.assertEqual(self.hv.domain("a").snapshotNum(), 1)
        self.hv.apply("--prune", "--allow", "data-loss", self.specs())
        self.assertEqual(self.names(), ["b", "c", "d"])

    def test_snapshots_that_came_since(self):
        """As many as the plan knew of, and others."""
        self.create(a={"powerState": "running", "disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}],
                       "snapshots": [{"name": "ours"}]}, b={}, c={}, d={})
        self.remove("a")
        virsh = f"virsh -c '{self.hv.uri}'"
        meanwhile = f"{virsh} snapshot-delete a ours --metadata && {virsh} snapshot-create-as a late --disk-only"
        env = {**self.hv.env, "RECONCILE_FAULT_AT": "domain-shutdown: acted", "RECONCILE_FAULT_COMMAND": f"({meanwhile}) >&2"}
        result = self.hv.reconcile("--prune", "--allow", "restart", self.specs(), env=env, check=3)
        self.assertIn("the snapshot late of domain a was made since this was planned", result.stdout + result.stderr)
        self.assertEqual(self.hv.domain("a").snapshotListNames(), ["late"])

    def test_checkpoints(self):
        """The same of those: the plan asks for them, of what is to go."""
        self.create(a={"powerState": "running", "disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        self.hv.domain("a").checkpointCreateXML("<domaincheckpoint><name>by-hand</name></domaincheckpoint>")
        self.remove("a")
        for dry in ("--dry-run",), ():
            result = self.hv.reconcile(*dry, "--prune", "--allow", "restart", self.specs(), check=3)
            self.assertIn("undefine the machine and forget 1 checkpoint of a backup", result.stderr)
            self.assertEqual([each.getName() for each in self.hv.domain("a").listAllCheckpoints()], ["by-hand"])
            self.assertTrue(self.hv.domain("a").isActive())
        self.hv.apply("--prune", "--allow", "data-loss,restart", self.specs())
        self.assertEqual(self.names(), ["b", "c", "d"])

    def test_snapshots_and_managed_save(self):
        self.create(a={"powerState": "running", "disks": [{"target": "vda", "size": "1MiB", "pool": "lab"}]}, b={}, c={}, d={})
        domain = self.hv.domain("a")
        domain.snapshotCreateXML("<domainsnapshot><name>by-hand</name></domainsnapshot>",
                                 libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        domain.managedSave()
        self.assertTrue(domain.hasManagedSaveImage() and domain.snapshotNum())
        self.remove("a")
        result = self.hv.reconcile("--prune", self.specs())
        self.assertEqual(result.status, 3, str(result))  # saved memory is data
        self.assertEqual(self.names(), ["a", "b", "c", "d"])
        self.hv.apply("--prune", "--allow", "data-loss,restart", self.specs())
        self.assertEqual(self.names(), ["b", "c", "d"])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
