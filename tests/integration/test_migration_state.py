#!/usr/bin/python3
"""What a machine has beside its disks goes along, or the move is refused: UEFI variables, the state of its TPM, its kernel.
Nothing of it boots: what is looked at is files."""

from move_case import MoveCase, POOL, lab

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
        # Interrupted again, and taken up.
        self.write(self.uefi("lab-b", **cold))
        self.interrupt("move: volume copied", 2)
        self.apply()
        self.assertEqual([self.where(), self.other.domain("web").isActive()], [["lab-b"], 1])
        self.assertEqual([self.kept(self.hv), self.kept(self.other), self.mark(self.other)], [[], ["web_VARS.fd"], "kept"])
        # Back, stopped: the definition says where they are.
        self.go("lab-b", powerState="stopped", **cold)
        self.go("lab-a", powerState="stopped", **cold)
        self.assertEqual([self.where(), self.kept(self.hv), self.kept(self.other), self.mark(self.hv)], [["lab-a"], ["web_VARS.fd"], [], "kept"])
        self.assert_clean()

    def interrupt(self, place, count):
        """At that place when it is passed for that many times."""
        passed = self.hv.path("state/passed")
        command = f"echo >>{passed}; [ $(wc -l <{passed}) -lt {count} ] || kill -9 $PPID"
        self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command})
        self.hv.run("rm", "-f", passed)

    def test_a_kernel_in_no_pool(self):
        kernel = "/var/lib/libvirt/boot/kernel"
        for host in (self.hv, self.other):
            host.run("mkdir", "-p", "/var/lib/libvirt/boot")
        self.hv.run("sh", "-c", f"printf one >{kernel}")
        spec = {"powerState": "stopped", "serials": None, "boot": {"kernel": kernel}, "disks": None}
        self.write(self.machine("lab-a", **spec))
        self.apply()
        self.write(self.machine("lab-b", **spec))
        self.assertRegex(self.message(self.apply(status=3)), "lab-b: there is no .*/kernel")
        self.other.run("sh", "-c", f"printf two >{kernel}")
        self.assertIn("another content on lab-b", self.message(self.apply(status=3)))
        self.assertEqual(self.where(), ["lab-a"])
        self.other.run("sh", "-c", f"printf one >{kernel}")
        self.apply()
        self.assertEqual([self.where(), self.kept(self.hv, "/var/lib/libvirt/boot")], [["lab-b"], ["kernel"]])
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


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
