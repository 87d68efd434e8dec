#!/usr/bin/python3
"""Machines that are shut down, copied and started on the other host: what travels, what doesn't, and that the source is
as it was when anything fails."""

from move_case import POOL, MoveCase, document, lab, libvirt

SHARED = "/var/lib/libvirt/shared"
BASE = f"{POOL}/$(ls {POOL} | grep ^sha256- | grep -v incomplete)"


class Cold(MoveCase):
    def machine(self, host, cmdline="control", size="16MiB", overlay="64MiB", ephemeral="8MiB", **spec):
        disks = [{"target": "vda", "image": "base", "size": overlay, "pool": "moving"},
                 {"target": "vdb", "size": size, "format": "raw", "pool": "moving"},
                 {"target": "vdc", "size": ephemeral, "ephemeral": True, "pool": "moving"},
                 {"target": "hda", "device": "cdrom", "bus": "ide", "path": f"{POOL}/cd.iso"}]
        return super().machine(host, cmdline, **{"disks": disks, "migration": {"mode": "cold"}, **spec})

    def files(self, host):
        return sorted(name for name in super().files(host) if name != "cd.iso")

    def sums(self, guest):
        return [guest.do("sum", "vda", 0, 64), guest.do("sum", "vdb", 0, 16), guest.do("sum", "vdc", 0, 8)]

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
        larger = {**boot, "cpu": {"count": 2}, "memory": {"size": "160MiB"}, "size": "32MiB", "overlay": "96MiB", "ephemeral": "24MiB"}
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
        self.assertEqual(self.fields(plan), {"placement.host": ("lab-a", "lab-b"), "cpu.count": ("1", "2"), "cpu.max": ("1", "2"),
                                             "memory.size": ("128MiB", "160MiB"), "memory.max": ("128MiB", "160MiB"), "disks[vda].size": ("64MiB", "96MiB"),
                                             "disks[vdb].size": ("16MiB", "32MiB"), "disks[vdc].size": ("8MiB", "24MiB")})
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
        self.assertEqual([guest.sizes()[disk] >> 20 for disk in ("vda", "vdb", "vdc")], [96, 32, 24])
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

    def fields(self, plan):
        return {field["path"]: (field["from"], field["to"]) for each in plan["objects"] if each["name"] == "web" for field in each["fields"]}

    def test_on_a_shared_pool(self):
        """A disk that stays where it is grows there, before the machine is stopped or sent: by a saved plan, too."""
        lab.share([self.hv, self.other], SHARED)
        for host, other in (("lab-a", "lab-b"), ("lab-b", "lab-a")):
            self.host_specs[host]["sharedPools"] = [{"pool": "shared", "with": [other]}]
        pool = document("StoragePool", "shared", {"type": "dir", "target": SHARED})

        def at(host, first, second, mode="cold", **spec):
            disks = [{"target": "vda", "size": first, "pool": "shared"}, {"target": "vdb", "size": second, "format": "raw", "pool": "shared"}]
            spec = {"boot": self.hv.boot("control", cpus_stay=False), "disks": disks, "migration": {"mode": mode}, **spec}
            self.write(super(Cold, self).machine(host, **spec), pool)
        at("lab-a", "16MiB", "8MiB")
        self.apply()
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        self.assertEqual([guest.do("write", disk, 3, disk) for disk in ("vda", "vdb")], ["0", "0"])
        content = [guest.do("sum", "vda", 0, 16), guest.do("sum", "vdb", 0, 8)]
        larger = {"cpu": {"count": 2}, "memory": {"size": "160MiB"}}
        at("lab-b", "32MiB", "24MiB", title="new", **larger)
        saved = self.hv.path("plan.json")
        plan = self.run_product("--dry-run", "--plan-out", saved, status=2).json()
        kinds = self.kinds(plan)
        self.assertEqual([kinds.count("resize-disk"), kinds.index("domain-shutdown") > max(n for n, kind in enumerate(kinds) if kind == "resize-disk")], [2, True])
        self.assertEqual(self.fields(plan), {"placement.host": ("lab-a", "lab-b"), "cpu.count": ("1", "2"), "cpu.max": ("1", "2"),
                                             "memory.size": ("128MiB", "160MiB"), "memory.max": ("128MiB", "160MiB"), "disks[vda].size": ("16MiB", "32MiB"),
                                             "disks[vdb].size": ("8MiB", "24MiB")})
        notes = str(next(each for each in plan["objects"] if each["name"] == "web")["notes"])
        self.assertIn("done when it has moved, in the same run: title", notes)
        self.assertIn("what follows in the same run else needs another plan", notes)
        self.hv.reconcile("--plan", saved, env=self.env)
        guest = self.guest(self.other)
        guest.wait(lambda g: (g.starts(), g.last("cpus"), g.sizes()) == (2, "2", {"vda": 32 << 20, "vdb": 24 << 20}), "second start, larger")
        self.assertEqual([guest.do("sum", "vda", 0, 16), guest.do("sum", "vdb", 0, 8)], content)
        self.assertEqual([self.kinds(self.plan(status=2)), self.where()], [["domain-redefine", "set-title"], ["lab-b"]])
        # While it runs, and off.
        at("lab-a", "48MiB", "24MiB", mode="live", title="new", **larger)
        self.assertEqual(self.kinds(self.apply()).count("resize-disk"), 1)
        self.assertEqual([self.where(), self.hv.domain("web").blockInfo("vda")[0], guest.starts()], [["lab-a"], 48 << 20, 2])
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.hv.domain("web").destroy()
        at("lab-b", "48MiB", "40MiB", title="new", powerState="stopped", **larger)
        self.assertEqual(self.kinds(self.apply()).count("volume-grow"), 1)
        self.assertEqual([self.where(), self.other.domain("web").blockInfo("vdb")[0], self.plan(status=0)["actions"]], [["lab-b"], 40 << 20, []])

    def test_a_disk_of_another_format(self):
        """The plan says that it is converted, which the same run does where it has arrived."""
        def at(host, file_format):
            disks = [{"target": "vda", "size": "16MiB", "format": file_format, "pool": "moving"}]
            self.write(super(Cold, self).machine(host, powerState="stopped", serials=None, disks=disks))
        at("lab-a", "raw")
        self.apply()
        self.hv.run("sh", "-c", f"yes seed | head -c 5000000 | dd of={POOL}/web-vda.raw bs=1M seek=4 conv=notrunc status=none")
        at("lab-b", "qcow2")
        plan = self.plan(status=2)
        self.assertIn("done when it has moved, in the same run: disks[vda].format", str(next(o for o in plan["objects"] if o["name"] == "web")["notes"]))
        self.apply()
        self.assertEqual([self.where(), self.files(self.hv), self.files(self.other)], [["lab-b"], [], ["web-vda.qcow2", "web-vda.raw"]])
        self.other.run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", f"{POOL}/web-vda.qcow2", f"{POOL}/web-vda.raw")
        self.assertEqual(self.plan(status=0)["actions"], [])

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
            document = self.apply(status=1)
        self.assertRegex(" ".join(each.get("message") or "" for each in document["results"]), r"left running: .*shutdown\.timeout.*shutdown\.force: true")
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
