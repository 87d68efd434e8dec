#!/usr/bin/python3
"""Machines that are shut down, copied and started on the other host: what travels, what doesn't, and that the source is
as it was when anything fails."""

from move_case import POOL, MoveCase, lab, libvirt

BASE = f"{POOL}/$(ls {POOL} | grep ^sha256- | grep -v incomplete)"


class Cold(MoveCase):
    def machine(self, host, cmdline="control", size="16MiB", **spec):
        disks = [{"target": "vda", "image": "base", "pool": "moving"},
                 {"target": "vdb", "size": size, "format": "raw", "pool": "moving"},
                 {"target": "vdc", "size": "8MiB", "pool": "moving"},
                 {"target": "hda", "device": "cdrom", "bus": "ide", "path": f"{POOL}/cd.iso"}]
        return super().machine(host, cmdline, **{"disks": disks, "migration": {"mode": "cold"}, **spec})

    def files(self, host):
        return sorted(name for name in super().files(host) if name != "cd.iso")

    def sums(self, guest):
        return [guest.do("sum", "vda"), guest.do("sum", "vdb", 0, 16), guest.do("sum", "vdc")]

    def kinds(self, plan):
        return [each["kind"] for each in plan["actions"]]

    def used(self, host, name):
        return int(host.run("du", "-k", f"{POOL}/{name}").split()[0])

    def medium(self):
        self.hv.run("mkdir", "-p", POOL)
        self.hv.run("sh", "-c", f"head -c 400000 /dev/urandom >{POOL}/cd.iso")

    def test_there_and_back(self):
        self.medium()
        boot = {"boot": self.hv.boot("control", cpus_stay=False)}
        self.write(self.machine("lab-a", **boot))
        self.apply()
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        for disk in ("vda", "vdb", "vdc"):
            self.assertEqual(guest.do("write", disk, 3, disk), "0")
        content = self.sums(guest)
        self.refuse_what_can_never_be(boot)
        # Larger on the way; base and medium aren't there yet.
        larger = {**boot, "cpu": {"count": 2}, "memory": {"size": "160MiB"}, "size": "32MiB"}
        self.write(self.machine("lab-b", **larger))
        plan = self.plan(status=2)
        before = plan["actions"][:self.kinds(plan).index("domain-shutdown")]
        brought = [action for action in before if action["kind"] in ("move-base", "move-file") and "toPool" in action["args"]]
        self.assertEqual({action["kind"] for action in brought}, {"move-base", "move-file"})
        for action in brought:
            self.assertEqual(action["args"]["bytes"], action["args"]["size"])
        # The kernel lies in no pool: compared, not copied.
        compared = [action for action in before if action["kind"] == "move-file" and action not in brought]
        self.assertEqual([len(compared), [action for action in compared if "bytes" in action["args"]]], [2, []])
        self.assertEqual({field["path"] for each in plan["objects"] if each["name"] == "web" for field in each["fields"]},
                         {"placement.host", "cpu.count", "cpu.max", "memory.size", "memory.max", "disks[vdb].size"})
        # Not from a base that was altered: what is read here would be something else there.
        self.alter_base(self.hv)
        self.assert_refused("its content has the SHA-256 digest", "lab-a")
        self.assertEqual([self.other.run("sh", "-c", f"ls {POOL} | grep -c ^sha256- || true").strip(), guest.starts()], ["0", 1])
        self.mend_base(self.hv)
        recorder = self.recorder()
        self.apply()
        recorder.wait_for(lambda events: [event.detail for event in events if (event.name, event.event) == ("web", "stopped")] == [libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN])
        self.assertEqual(self.where(), ["lab-b"])
        self.assertEqual([self.files(self.hv), self.files(self.other)], [[], ["web-vda.qcow2", "web-vdb.raw", "web-vdc.qcow2"]])
        guest = self.guest(self.other)
        guest.wait(lambda g: g.starts() == 2, "second start")
        self.assertEqual(self.sums(guest), content)
        self.assertIn("vdb=33554432", guest.last("disks"))
        self.assertEqual(guest.last("cpus"), "2")
        self.assertGreater(int(guest.last("memory")), 110000)
        self.assertLess(self.used(self.other, "web-vdb.raw"), 4000)  # what nobody wrote takes up nothing there
        self.assertEqual(self.plan(status=0)["actions"], [])
        # Back: all but the disks is there.
        self.write(self.machine("lab-a", **larger))
        plan = self.plan(status=2)
        self.assertEqual({action["args"]["bytes"] for action in plan["actions"]
                          if action["kind"] in ("move-base", "move-file") and "toPool" in action["args"]}, {"0"})
        # … but not what it was, here or there: the machine isn't even stopped.
        for host in (self.other, self.hv):
            self.alter_base(host)
            self.assert_refused("its content has the SHA-256 digest")
            self.mend_base(host)
        self.hv.run("sh", "-c", f"cp -p {POOL}/cd.iso {POOL}/../kept; printf x >>{POOL}/cd.iso")
        self.assert_refused("another content on lab-a")
        self.hv.run("sh", "-c", f"cp -p {POOL}/../kept {POOL}/cd.iso")
        self.assertEqual(guest.starts(), 2)
        self.apply()
        self.assertEqual([self.where(), self.files(self.other)], [["lab-a"], []])
        guest = self.guest(self.hv)
        guest.wait(lambda g: g.starts() == 3, "third start")
        self.assertEqual(self.sums(guest), content)
        self.assertEqual(self.plan(status=0)["actions"], [])

    def refuse_what_can_never_be(self, boot):
        """Neither here nor there: it isn't moved, nor stopped, to find that out."""
        machine, recorder = self.machine("lab-b", size="8MiB", **boot), self.recorder()
        for reason in ("disk vdb has 16MiB and can't become 8MiB: a disk is never shrunk", "disks[vdc].pool is moving and can't become default"):
            self.write(machine)
            for told in (self.plan(status=1), self.apply(status=1)):
                self.assertIn(reason, self.error_of(told))
                self.assertEqual([each for each in told["actions"] if each["object"].endswith("vm/web")], [])
            machine = self.machine("lab-b", **boot)
            machine["spec"]["disks"][2]["pool"] = "default"
        self.assertEqual([recorder.stopped_events("web"), self.where(), self.files(self.other)], [[], ["lab-a"], []])

    def alter_base(self, host):
        host.run("sh", "-c", f"chmod u+w {BASE}; cp -p {BASE} {POOL}/../kept; printf x | dd of={BASE} bs=1 seek=100000 conv=notrunc status=none")

    def mend_base(self, host):
        host.run("sh", "-c", f"cp -p {POOL}/../kept {BASE}")

    def assert_refused(self, reason, stays="lab-b"):
        document = self.apply(status=3)
        self.assertIn(reason, " ".join(each.get("message") or "" for each in document["results"]))
        self.assertEqual(self.where(), [stays])
        host, other = (self.other, self.hv) if stays == "lab-b" else (self.hv, self.other)
        self.assertEqual([host.domain("web").isActive(), self.files(other)], [1, []])

    def test_a_guest_that_does_not_stop(self):
        """It isn't powered off for a move."""
        self.medium()
        patience = {"shutdown": {"timeout": "2s", "retryInterval": "1s"}}
        self.write(self.machine("lab-a", "control ignorepower", **patience))
        self.apply()
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        self.write(self.machine("lab-b", "control ignorepower", **patience))
        with guest.keeps_beating(max_gap=20):
            self.apply(status=1)
        self.assertEqual([self.where(), self.files(self.other), guest.starts()], [["lab-a"], [], 1])

    def test_interrupted_copy(self):
        """What was half copied is never trusted."""
        self.medium()
        self.write(self.machine("lab-a", powerState="stopped", serials=None))
        self.apply()
        self.hv.run("sh", "-c", f"yes seed | head -c 5000000 | dd of={POOL}/web-vdb.raw bs=1M seek=4 conv=notrunc status=none")
        sums = f"cd {POOL} && sha256sum web-*"
        content = self.hv.run("sh", "-c", sums)
        self.write(self.machine("lab-b", powerState="stopped", serials=None))
        for place in ("move: volume made", "move-volume: acted", "domain-arrive: verified"):
            self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": place})
            self.other.run("sh", "-c", f"for file in $(ls -d {POOL}/web-*); do printf wrong | dd of=$file conv=notrunc,nocreat status=none; done; true")
        self.assertNotEqual(self.other.run("sh", "-c", sums), content)
        self.apply()
        self.assertEqual([self.where(), self.files(self.hv)], [["lab-b"], []])
        self.assertEqual(self.other.run("sh", "-c", sums), content)
        self.assertEqual(self.plan(status=0)["actions"], [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
