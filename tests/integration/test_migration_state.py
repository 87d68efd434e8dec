#!/usr/bin/python3
"""What a machine has beside its disks goes along, or the move is refused: UEFI variables, the state of its TPM, its kernel.
Nothing of it boots: what is looked at is files."""

import contextlib

from move_case import MoveCase, POOL, document, lab, libvirt

NVRAM = "/var/lib/libvirt/qemu/nvram"
VARIABLES = f"{NVRAM}/web_VARS.fd"
SWTPM = "/var/lib/libvirt/swtpm"
TEMPLATE = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
MARK = 540000  # a place in the variables' file that no firmware writes to


class State(MoveCase):
    settings = 'swtpm_user = "root"\nswtpm_group = "root"\n'

    @classmethod
    def setUpClass(cls):
        cls.hv, cls.other = lab.two_hosts(settings=cls.settings)
        cls.addClassCleanup(cls.hv.stop)
        cls.addClassCleanup(cls.other.stop)

    def tearDown(self):
        super().tearDown()
        for host in (self.hv, self.other):
            host.run("sh", "-c", f"rm -rf {NVRAM}/* {SWTPM}/*")

    def uefi(self, host, **spec):
        machine = self.machine(host, **{"boot": None, "features": None, "serials": None, "machine": "q35", "firmware": {"type": "uefi"},
                                        "disks": [{"target": "vda", "size": "1MiB", "pool": "moving"}], **spec})
        return machine

    def go(self, host, status=0, **spec):
        self.write(self.uefi(host, **spec))
        return self.apply(status=status)

    def mark_variables(self):
        """What libvirt makes of the template doesn't have this."""
        self.hv.run("sh", "-c", f"cp {TEMPLATE} {VARIABLES}; printf kept | dd of={VARIABLES} bs=1 seek={MARK} conv=notrunc status=none")

    def mark(self, host):
        return host.run("sh", "-c", f"dd if={VARIABLES} bs=1 skip={MARK} count=4 status=none")

    def kept(self, host, directory=NVRAM):
        return host.run("sh", "-c", f"ls {directory} 2>/dev/null || true").split()

    def message(self, document):
        return " ".join(each.get("message") or "" for each in document["results"])

    def assert_clean(self):
        plan = self.plan(status=0)
        self.assertEqual(plan["actions"], [])
        self.assertEqual([note for each in plan["objects"] for note in each.get("notes", []) if "pending" in note], [])
        for host in (self.hv, self.other):
            self.assertEqual([pool.name() for pool in host.conn.listAllStoragePools()], ["moving"])

    def test_while_it_runs(self):
        self.mark_variables()
        tpm = {"tpm": {"model": "crb", "version": "v2.0"}}
        self.go("lab-a", **tpm)
        self.assert_clean()
        uuid = self.hv.domain("web").UUIDString()
        self.assertEqual(self.kept(self.hv, SWTPM), [uuid])
        # Somebody's variables there are nobody's to overwrite.
        self.other.run("sh", "-c", f"printf theirs >{VARIABLES}")
        self.assertIn("already", self.message(self.go("lab-b", status=3, **tpm)))
        self.assertEqual([self.where(), self.other.run("cat", VARIABLES)], [["lab-a"], "theirs"])
        self.other.run("rm", VARIABLES)
        self.apply()
        self.assertEqual([self.where(), self.other.domain("web").isActive()], [["lab-b"], 1])
        self.assertEqual([self.kept(self.hv), self.kept(self.hv, SWTPM)], [[], []])
        self.assertEqual([self.kept(self.other), self.kept(self.other, SWTPM), self.mark(self.other)], [["web_VARS.fd"], [uuid], "kept"])
        self.assert_clean()
        # Cold, a TPM stays behind: then the machine stays too.
        document = self.go("lab-a", status=1, migration={"mode": "cold"}, **tpm)
        self.assertIn("TPM", self.error_of(document))
        self.assertEqual([self.where(), self.other.domain("web").isActive()], [["lab-b"], 1])

    def test_while_it_is_off(self):
        cold = {"migration": {"mode": "cold"}, "shutdown": {"timeout": "1s", "force": True}}
        self.go("lab-a", powerState="stopped")
        self.assertIn("start it, then move it", self.error_of(self.go("lab-b", status=1, powerState="stopped")))
        self.mark_variables()
        self.go("lab-a", **cold)
        # Interrupted while they are copied, and taken back: nothing is left there.
        self.write(self.uefi("lab-b", **cold))
        self.interrupt("move: volume copied", 2)
        self.assertEqual(self.kept(self.other), ["web_VARS.fd", "web_VARS.fd.incomplete"])
        self.go("lab-a", **cold)
        self.assertEqual([self.where(), self.kept(self.other), self.files(self.other)], [["lab-a"], [], []])
        self.assert_clean()
        self.write(self.uefi("lab-b", **cold))
        self.fail_there()
        self.assertEqual([self.where(), self.kept(self.other), self.files(self.other), self.mark(self.hv)], [["lab-a"], [], [], "kept"])
        # Interrupted again, and taken up.
        self.interrupt("move: volume copied", 2)
        self.apply()
        self.assertEqual([self.where(), self.other.domain("web").isActive()], [["lab-b"], 1])
        self.assertEqual([self.kept(self.hv), self.kept(self.other), self.mark(self.other)], [[], ["web_VARS.fd"], "kept"])
        # Back, stopped: the definition says where they are.
        self.go("lab-b", powerState="stopped", **cold)
        self.go("lab-a", powerState="stopped", **cold)
        self.assertEqual([self.where(), self.kept(self.hv), self.kept(self.other), self.mark(self.hv)], [["lab-a"], ["web_VARS.fd"], [], "kept"])
        self.assert_clean()

    def fail_there(self):
        """Its disk is gone when it is started there."""
        command = f"rm {self.other.directory}{POOL}/web-vda.qcow2"
        self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": "move: defined there", "RECONCILE_FAULT_COMMAND": command}, check=1)

    @contextlib.contextmanager
    def one_directory(self):
        """Both hosts have the variables in the same one."""
        self.hv.run("mount", "--bind", self.other.directory + NVRAM, NVRAM)
        try:
            yield
        finally:
            self.hv.run("umount", "--lazy", NVRAM)

    def test_variables_on_shared_storage(self):
        """Nobody copies them, and nobody deletes them: neither from where it came, nor where it can't be started."""
        cold = {"migration": {"mode": "cold"}, "shutdown": {"timeout": "1s", "force": True}}
        variables = document("StoragePool", "variables", {"type": "dir", "target": NVRAM})
        for name, there in (("lab-a", "lab-b"), ("lab-b", "lab-a")):
            self.host_specs[name]["sharedPools"] = [{"pool": "variables", "with": [there]}]
        with self.one_directory():
            self.mark_variables()
            self.write(variables, self.uefi("lab-a", **cold))
            self.apply()
            self.write(variables, self.uefi("lab-b", **cold))
            self.fail_there()
            self.assertEqual([self.where(), self.hv.domain("web").isActive(), self.mark(self.hv)], [["lab-a"], 1, "kept"])
            self.apply()
            self.assertEqual([self.where(), self.other.domain("web").isActive(), self.mark(self.other)], [["lab-b"], 1, "kept"])
            self.assertEqual(self.plan(status=0)["actions"], [])
            for host in ("lab-a", "lab-b"):  # and while it runs
                self.write(variables, self.uefi(host))
                self.apply()
                self.assertEqual([self.where(), self.mark(self.hv), self.kept(self.hv)], [[host], "kept", ["web_VARS.fd"]])
        # It isn't believed without a proof.
        self.write(variables, self.uefi("lab-a", **cold))
        self.assertIn("pool variables is declared to be shared", self.message(self.apply(status=3)))
        self.assertEqual([self.where(), self.other.domain("web").isActive(), self.mark(self.other)], [["lab-b"], 1, "kept"])

    def test_variables_on_storage_that_became_shared(self):
        """While they were on their way: what is here is what the machine has there."""
        cold = {"migration": {"mode": "cold"}, "shutdown": {"timeout": "1s", "force": True}}
        self.mark_variables()
        self.go("lab-a", **cold)
        self.write(self.uefi("lab-b", **cold))
        self.interrupt("move: started there", 1)
        with self.one_directory():
            self.other.run("touch", VARIABLES)  # by its firmware
            self.apply()
            self.assertEqual([self.where(), self.mark(self.other)], [["lab-b"], "kept"])
            self.assertEqual(self.plan(status=0)["actions"], [])

    def interrupt(self, place, count):
        """At that place when it is passed for that many times."""
        passed = self.hv.path("state/passed")
        command = f"echo >>{passed}; [ $(wc -l <{passed}) -lt {count} ] || kill -9 $PPID"
        self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command})
        self.hv.run("rm", "-f", passed)

    def test_a_kernel_and_initrd_in_no_pool(self):
        """They belong to the hosts: each must be there, with the same content."""
        directory = "/var/lib/libvirt/boot"
        for host in (self.hv, self.other):
            host.run("mkdir", "-p", directory)
        self.hv.run("sh", "-c", f"cd {directory} && printf one >kernel && printf one >initrd")
        spec = {"powerState": "stopped", "serials": None, "boot": {"kernel": f"{directory}/kernel", "initrd": f"{directory}/initrd"}, "disks": None}
        self.write(self.machine("lab-a", **spec))
        self.apply()
        self.write(self.machine("lab-b", **spec))
        for file in ("kernel", "initrd"):
            self.assertRegex(self.message(self.apply(status=3)), f"lab-b: there is no .*/{file}")
            self.other.run("sh", "-c", f"printf two >{directory}/{file}")
            self.assertRegex(self.message(self.apply(status=3)), f"/{file}.*another content on lab-b")
            self.assertEqual(self.where(), ["lab-a"])
            self.other.run("sh", "-c", f"printf one >{directory}/{file}")
        self.apply()
        self.assertEqual([self.where(), self.kept(self.hv, directory)], [["lab-b"], ["initrd", "kernel"]])
        self.assert_clean()

    def test_what_lies_in_a_pool(self):
        """Its kernel, a medium and a seed of cloud-init are taken along, while it runs."""
        self.hv.run("sh", "-c", f"mkdir -p {POOL}; cp {self.hv.path('guest/tiny-disk')} {POOL}/kernel; head -c 300000 /dev/urandom >{POOL}/cd.iso")
        seed = self.hv.image("seed", source=None, pool="moving", cloudInit={"instanceId": "web-1", "hostname": "web", "userData": "#cloud-config\n"})
        del seed["spec"]["source"]
        drives = [{"target": target, "bus": "ide", "device": "cdrom", **what} for target, what in (("hda", {"path": f"{POOL}/cd.iso"}), ("hdb", {"image": "seed"}))]
        spec = {"boot": {"kernel": f"{POOL}/kernel"}, "serials": None, "memory": {"size": "16MiB"}, "machine": "pc",
                "disks": [{"target": "vda", "size": "16MiB", "pool": "moving"}, *drives]}
        self.write(seed, self.machine("lab-a", **spec))
        self.apply()
        sums = f"cd {POOL} && sha256sum kernel cd.iso sha256-*"
        before = self.hv.run("sh", "-c", sums)
        self.write(seed, self.machine("lab-b", **spec))
        self.assertEqual({each["impact"] for each in self.plan(status=2)["actions"]}, {"none", "live"})
        self.apply()
        self.assertEqual([self.where(), self.other.domain("web").isActive(), self.other.run("sh", "-c", sums)], [["lab-b"], 1, before])
        self.assert_clean()
        # And its initrd, back again, while it is off; another one of that name is nobody's to overwrite.
        self.other.domain("web").destroy()
        self.other.run("sh", "-c", f"head -c 300000 /dev/urandom >{POOL}/initrd")
        spec.update(powerState="stopped", boot={**spec["boot"], "initrd": f"{POOL}/initrd"})
        self.write(seed, self.machine("lab-b", **spec))
        self.apply()
        self.hv.run("sh", "-c", f"printf theirs >{POOL}/initrd")
        self.write(seed, self.machine("lab-a", **spec))
        self.assertIn(f"{POOL}/initrd", self.message(self.apply(status=3)))
        self.assertEqual([self.where(), self.hv.run("cat", f"{POOL}/initrd")], [["lab-b"], "theirs"])
        self.hv.run("rm", f"{POOL}/initrd")
        self.apply()
        initrd = f"sha256sum {POOL}/initrd"
        self.assertEqual([self.where(), self.hv.run("sh", "-c", initrd)], [["lab-a"], self.other.run("sh", "-c", initrd)])


class Flattened(MoveCase):
    tiny = True

    def layered(self, *names):
        """Of the machine that is off: each layer of vdb holds something else."""
        domain = self.hv.domain("web")
        for number, name in enumerate(names, 1):
            path = f"{POOL}/web-vdb.{name}.qcow2"
            domain.snapshotCreateXML(f"<domainsnapshot><name>{name}</name><disks><disk name='vda' snapshot='no'/><disk name='vdb' snapshot='external'>"
                                     f"<source file='{path}'/></disk></disks></domainsnapshot>",
                                     libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)
            self.hv.run("qemu-io", "-c", f"write -q -P {number} {number}M 1M", path)
        self.hv.conn.storagePoolLookupByName("moving").refresh()

    def assert_whole(self, host, path):
        for number in (1, 2):
            self.assertNotIn("failed", host.run("qemu-io", "-r", "-c", f"read -q -P {number} {number}M 1M", path))

    def check_moves(self, dies):
        """In one run, after what was begun is over."""
        self.write(self.machine("lab-a", powerState="stopped"))
        self.apply()
        self.layered("x", "y")
        self.write(self.machine("lab-a"))
        self.apply()
        policy = {"chain": {"maxDepth": 1, "onExceed": "flatten"}}
        self.write(self.machine("lab-a", **policy))
        self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": "layers: merged"}, check=-9)
        if dies:
            self.hv.domain("web").destroy()
        self.write(self.machine("lab-b", powerState="stopped" if dies else "running", **policy))
        plan = self.plan(status=2)
        self.assertIn("it is moved when it is certain that the disk that was flattened holds all, in the same run", str(plan["objects"]))
        self.assertEqual({each["impact"] for each in plan["actions"]} - {"none", "live"}, set())
        self.apply()
        self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-b"], [], ["web-vda.qcow2", "web-vdb.y.qcow2"]])
        self.assertEqual(self.plan(status=0)["actions"], [])
        if not dies:
            self.other.domain("web").destroy()
        self.assert_whole(self.other, f"{POOL}/web-vdb.y.qcow2")

    def test_one_that_runs(self):
        self.check_moves(dies=False)

    def test_one_that_ended_before_it_was_sure(self):
        self.check_moves(dies=True)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
