#!/usr/bin/python3
"""Three hosts: one is emptied for maintenance, within the limits of the others; and each host's own agent in turn."""

import re

from move_case import POOL, MoveCase, document, lab

MEMORY = {"one": 64, "two": 64, "web": 128}


class Three(MoveCase):
    @classmethod
    def setUpClass(cls):
        cls.hv, cls.other, cls.third = lab.joined_hosts(3)
        cls.hv.tiny = True
        for host in (cls.hv, cls.other, cls.third):
            cls.addClassCleanup(host.stop)

    def setUp(self):
        super().setUp()
        self.host_specs["lab-c"] = {"uri": self.third.uri, "peerUri": "qemu+tcp://lab-c/system", "migrationUri": "tcp://10.77.0.3"}
        for spec in self.host_specs.values():
            spec["maintenance"] = False

    def tearDown(self):
        self.third.clear()
        self.third.run("sh", "-c", f"rm -rf {POOL}")
        super().tearDown()

    def write(self, *documents):
        hosts = [document("Host", name, spec, labels={"zone": "x"}) for name, spec in self.host_specs.items()]
        self.hv.write("all.yaml", *hosts, self.pool, self.hv.image(pool="moving"), *documents)

    def stopped(self, name, placement, **spec):
        return document("VirtualMachine", name, {
            "type": "qemu", "powerState": "stopped", "memory": {"size": "64MiB"}, "placement": placement,
            "disks": [{"target": "vda", "size": "1MiB", "pool": "moving"}], **spec})

    def where(self):
        return {domain.name(): host.name for host in (self.hv, self.other, self.third) for domain in host.conn.listAllDomains()}

    def maintain(self, *names):
        for name, spec in self.host_specs.items():
            spec["maintenance"] = name in names

    def load(self, host):
        return sum(MEMORY.get(name, 64) for name, on in self.where().items() if on == host)


class Drain(Three):
    def test_maintenance(self):
        chosen = {"selector": {"zone": "x"}}
        machines = [self.machine("lab-a", placement=chosen, powerState="running"), self.stopped("one", chosen), self.stopped("two", chosen),
                    self.stopped("named", {"host": "lab-a"}), self.stopped("device", chosen, hostDevices={"pci": [{"address": "0000:00:02.0"}]})]
        self.maintain("lab-b", "lab-c")
        self.write(*machines)
        self.apply()
        self.assertEqual(set(self.where().values()), {"lab-a"})
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        # The others are back, and nothing moves by itself.
        self.maintain()
        self.write(*machines)
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.maintain("lab-a")
        self.host_specs["lab-b"]["limits"] = {"memory": "150MiB", "cpus": 1}
        self.write(*machines)
        plan = self.plan(status=1)
        self.assertIn("placed there by name", self.error_of(plan, "named"))
        self.assertIn("devices of its host", self.error_of(plan, "device"))
        self.assertEqual({action["impact"] for action in plan["actions"]}, {"none", "live"})
        with guest.keeps_beating():
            self.apply(status=1)
        where = self.where()
        self.assertEqual([where["named"], where["device"]], ["lab-a", "lab-a"])
        moved = {name: where[name] for name in ("web", "one", "two")}
        self.assertLessEqual(set(moved.values()), {"lab-b", "lab-c"})
        self.assertLessEqual(sum(host == "lab-b" for host in moved.values()), 1)  # more CPUs it doesn't take
        self.assertLessEqual(self.load("lab-b"), 150)
        self.assertEqual(self.plan(status=1)["actions"], [])
        # It ends, and nothing moves back.
        self.maintain()
        self.write(*machines)
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.assertEqual(self.where(), where)
        # Nobody has room: nothing is done, and each host's reason is said.
        self.maintain(where["web"])
        for spec in self.host_specs.values():
            spec["limits"] = {"memory": "64MiB"}
        self.write(*machines)
        error = self.error_of(self.apply(status=1), "web")
        for part in (f"can't leave {where['web']}", "is in maintenance", "limits.memory"):
            self.assertIn(part, error)
        self.assertEqual(self.where(), where)


    def test_snapshot_policies(self):
        """A machine with snapshots by the clock goes where it may be shut down, and with them; else it is said what helps."""
        chosen = {"selector": {"zone": "x"}}
        policy = {"snapshotPolicy": {"every": "1h", "keep": 2}}
        web = {"placement": chosen, "powerState": "running", "serials": None, "shutdown": {"timeout": "30s"}, **policy}
        self.maintain("lab-b", "lab-c")
        self.at(0, self.machine("lab-a", **web), self.stopped("off", chosen, **policy))
        self.assertEqual(set(self.where().values()), {"lab-a"})
        first = {name: [each.getName() for each in self.hv.domain(name).listAllSnapshots()] for name in ("web", "off")}
        self.assertEqual([len(names) for names in first.values()], [1, 1])
        # Another one is due when its host is emptied.
        self.maintain("lab-a")
        document_ = self.at(2, self.machine("lab-a", **web), self.stopped("off", chosen, **policy), status=1)
        error = self.error_of(document_)
        for part in ("give migration.mode: cold, or allow restarts", f"leave {first['web'][0]} and snapshotPolicy out of the file"):
            self.assertIn(part, error)
        self.assertEqual(self.where()["web"], "lab-a")
        self.assertNotEqual(self.where()["off"], "lab-a")
        live = self.at(2, self.machine("lab-a", **{**web, "migration": {"mode": "live"}}), self.stopped("off", chosen, **policy), status=1)
        for part in ("migration.mode is live", "give migration.mode: cold", f"leave {first['web'][0]} and snapshotPolicy out of the file"):
            self.assertIn(part, self.error_of(live))
        # Live is impossible, and a restart is allowed: shut down gracefully, and started there.
        recorder = lab.EventRecorder(self.hv.uri)
        self.addCleanup(recorder.close)
        self.at(2, self.machine("lab-a", **{**web, "updatePolicy": {"restart": "allowed"}}), self.stopped("off", chosen, **policy))
        recorder.settle()
        ended = [each.detail for each in recorder.of("web") if each.event == "stopped"]
        self.assertEqual(ended, [lab.libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN])
        where = self.where()
        self.assertNotIn("lab-a", where.values())
        # There the clock goes on, and what is too old is removed.
        for hours in (2, 4, 6):
            self.at(hours, self.machine("lab-a", **web), self.stopped("off", chosen, **policy))
        hosts = {host.name: host for host in (self.hv, self.other, self.third)}
        for name, host in where.items():
            kept = [each.getName() for each in hosts[host].domain(name).listAllSnapshots()]
            self.assertEqual(len(kept), 2, kept)
            self.assertNotIn(first[name][0], kept)
        self.assertEqual(self.where(), where)
        self.assertEqual(self.files(self.hv), [])

    def at(self, hours, *machines, status=0):
        self.write(*machines)
        env = {**self.env, "RECONCILE_NOW": str(1768000000 + hours * 3600)}
        return self.hv.reconcile("-o", "json", self.hv.path("specs"), env=env, check=status).json()


class FailBack(Three):
    def test_refused_there(self):
        """Then it stays and is kept as its file says, which is no error, and goes back as soon as it can."""
        hosts = {host.name: host for host in (self.hv, self.other, self.third)}

        def one(**spec):
            self.write(self.stopped("one", {"selector": {"zone": "x"}, "failBack": True}, **spec))
        one()
        self.apply()
        chosen = self.where()["one"]
        self.maintain(chosen)
        one()
        self.apply()
        away = self.where()["one"]
        self.assertNotEqual(away, chosen)
        self.maintain()
        hosts[chosen].define("one")
        one(title="new")
        document_ = self.apply()
        notes = " ".join(next(each for each in document_["objects"] if each["name"] == "one")["notes"])
        self.assertIn(f"it stays on {away}, since {chosen}, where it would go back to, refuses it: {chosen} has a machine of this name that isn't ours", notes)
        self.assertIn("<title>new</title>", hosts[away].domain("one").XMLDesc())
        hosts[chosen].domain("one").undefine()
        # What another part of the plan would have to bring.
        self.pool["spec"]["hosts"] = [name for name in hosts if name != chosen]
        pool = hosts[chosen].conn.storagePoolLookupByName("moving")
        pool.destroy()
        one(title="new")
        plan = self.plan(status=0)
        self.assertEqual(plan["actions"], [])
        self.assertIn("pool moving can't be used", " ".join(next(each for each in plan["objects"] if each["name"] == "one")["notes"]))
        self.pool["spec"].pop("hosts")
        pool.create()
        one(title="new")
        self.apply()
        self.assertEqual(self.where(), {"one": chosen})
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_to_the_first_choice(self):
        """When that host takes machines again; one that would have to be stopped for it stays."""
        names = ["one", "three", "two"]

        def write(*running, back=True):
            placement = {"selector": {"zone": "x"}, **({"failBack": True} if back else {})}
            runs = {"powerState": "running", "snapshots": [{"name": "s"}]}
            at_once = {"timeout": "1s", "retryInterval": "1s", "force": True}  # there is no guest in it
            self.write(*[self.stopped(name, placement, shutdown=at_once, **(runs if name in running else {})) for name in names])
        write()
        self.apply()
        chosen = self.where()
        self.maintain(chosen["one"])
        write()
        self.apply()
        write("one")
        self.apply()
        away = self.where()
        self.assertNotEqual(away["one"], chosen["one"])
        self.assertEqual({name: away[name] for name in names if chosen[name] != chosen["one"]},
                         {name: chosen[name] for name in names if chosen[name] != chosen["one"]})
        self.maintain()
        write("one", back=False)
        self.apply()
        self.assertEqual([self.where(), self.plan(status=0)["actions"]], [away, []])
        write("one")
        self.apply()
        self.assertEqual([self.where()["one"], self.plan(status=0)["actions"]], [away["one"], []])
        write()
        self.apply()  # off, and without its snapshot
        self.apply()
        self.assertEqual(self.where(), chosen)
        self.assertEqual(self.plan(status=0)["actions"], [])


class Elsewhere(Three):
    """lab-b's peerUri leads to lab-c."""

    def test_it_stays(self):
        """All checks went to lab-b: what would arrive on lab-c nobody looks for there."""
        self.host_specs["lab-b"] = {"uri": self.other.uri, "peerUri": "qemu+tcp://lab-c/system"}
        web = {"disks": None, "memory": {"size": "64MiB"}, "migration": {"bandwidth": "1MiB/s"}}
        self.write(self.machine("lab-a", **web))
        self.apply()
        self.guest(self.hv).wait_heartbeat()
        self.write(self.machine("lab-b", **web))
        for _ in range(2):
            failed, = [each for each in self.apply(status=1)["results"] if each["result"] == "failed"]
            self.assertIn("libvirtd on lab-a reaches another host than lab-b by qemu+tcp://lab-c/system", failed["message"])
            self.assertEqual(self.where(), {"web": "lab-a"})
            self.assertEqual(self.hv.domain("web").state()[0], lab.libvirt.VIR_DOMAIN_RUNNING)


    def test_it_is_missed(self):
        """So quickly that nobody saw it go: it isn't made a second time."""
        self.host_specs.pop("lab-c")
        self.host_specs["lab-b"] = {"uri": self.other.uri, "peerUri": "qemu+tcp://lab-c/system"}
        web = {"disks": None, "memory": {"size": "64MiB"}}
        self.write(self.machine("lab-a", **web))
        self.apply()
        self.guest(self.hv).wait_heartbeat()
        self.write(self.machine("lab-b", **web))
        arrived = f"timeout 60 sh -c 'until virsh -c {self.third.uri} domstate web | grep -q running; do sleep 0.1; done' >/dev/null 2>&1"
        slow = {**self.env, "RECONCILE_FAULT_AT": "migrate: under way", "RECONCILE_FAULT_COMMAND": arrived}
        result = self.hv.reconcile("-o", "json", self.hv.path("specs"), env=slow, check=1)
        self.assertIn("but the machine isn't on lab-b as it should be", result.stdout)
        for _ in range(2):
            self.assertIn("a migration of it to lab-b broke off, and it is on no host", self.error_of(self.apply(status=1)))
            self.assertEqual(self.where(), {"web": "lab-c"})
        self.host_specs["lab-x"] = self.host_specs.pop("lab-b")
        self.write(self.machine("lab-x", **web))
        self.assertIn("a migration of it to lab-x broke off", self.error_of(self.apply(status=1)))
        self.host_specs["lab-b"] = self.host_specs.pop("lab-x")
        self.third.domain("web").destroy()
        self.host_specs["lab-b"]["fenced"] = True
        self.write(self.machine("lab-a", **web))
        self.apply()
        del self.host_specs["lab-b"]["fenced"]
        self.write(self.machine("lab-a", **web))
        self.assertEqual(self.plan(status=0)["actions"], [])


class Together(Three):
    def begun(self):
        """The last run's machines in the order in which work on one began after that on another."""
        runs = self.hv.reconcile("history", "-o", "json", env=self.env, check=0).json()["runs"]
        actions = max(runs, key=lambda run: run["id"])["actions"]
        names = [each["object"].split("/")[-1] for each in actions if "vm/" in each["object"]]
        return [name for name, before in zip(names, [None, *names]) if name != before]

    def test_one_after_the_other(self):
        self.host_specs.pop("lab-c")
        self.host_specs["lab-b"]["limits"] = {"migrations": 1}
        names = ["one", "three", "two"]
        self.write(*[self.stopped(name, {"host": "lab-a"}) for name in names])
        self.run_product("--jobs", "1")
        self.assertEqual(self.begun(), names)
        self.write(*[self.stopped(name, {"host": "lab-b"}) for name in names])
        plan = self.hv.path("state", "plan")
        self.run_product("--dry-run", "--plan-out", plan, status=2)
        self.hv.reconcile("--plan", plan, env=self.env, check=0)  # a saved plan keeps to it too
        self.assertEqual(self.where(), {name: "lab-b" for name in names})
        self.assertEqual(self.begun(), names)

    def test_who_they_are(self):
        """UUID and MAC addresses, given or derived, are the same wherever a machine is."""
        uuid, mac = "5d2f6a3e-0c1b-4a57-9d0e-1f2a3b4c5d6e", "52:54:00:12:34:56"
        cards = [{"name": "eth0", "user": True, "mac": mac}, {"name": "eth1", "user": True}]

        def seen(at, host):
            self.write(self.stopped("one", {"host": at}, uuid=uuid, interfaces=cards), self.stopped("two", {"host": at}, interfaces=cards[1:]))
            self.apply()
            found = [host.domain(name) for name in ("one", "two")]
            return [(each.UUIDString(), re.findall("mac address='([^']*)'", each.XMLDesc())) for each in found]

        before = seen("lab-a", self.hv)
        self.assertEqual([before[0][0], before[0][1][0], len(before[0][1])], [uuid, mac, 2])
        self.assertEqual(seen("lab-b", self.other), before)

    def test_what_the_plan_makes_there(self):
        """A pool and a network that the new host gets in the same run; and one base that comes from two hosts."""
        network = document("Network", "inner", {"mode": "isolated", "hosts": ["lab-a", "lab-b"]})
        self.pool["spec"]["hosts"] = ["lab-a", "lab-b"]
        disks = {"memory": {"size": "64MiB"}, "disks": [{"target": "vda", "image": "base", "pool": "moving"}],
                 "interfaces": [{"name": "eth0", "network": "inner"}]}
        self.write(network, self.stopped("one", {"host": "lab-a"}, **disks), self.stopped("two", {"host": "lab-b"}, **disks))
        self.apply()
        moved = [self.stopped(name, {"host": "lab-c"}, **disks) for name in ("one", "two")]
        self.write(network, *moved)
        for name in ("one", "two"):
            self.assertIn("inner isn't on lab-c", self.error_of(self.plan(status=1), name))
        network["spec"].pop("hosts")
        self.write(network, *moved)
        self.assertIn("pool moving can't be used on lab-c", self.error_of(self.plan(status=1), "one"))
        self.pool["spec"].pop("hosts")
        self.write(network, *moved)
        self.assertIn("run for lab-c first", self.error_of(self.run_product("--dry-run", "--host", "lab-a", status=1).json(), "one"))
        plan = self.hv.path("state", "plan")
        actions = self.run_product("--dry-run", "--plan-out", plan, status=2).json()["actions"]
        bases = [action for action in actions if action["kind"] == "move-base"]
        self.assertIn(bases[0]["id"], bases[1]["after"])
        self.hv.reconcile("--plan", plan, env=self.env, check=0)
        self.assertEqual(self.where(), {"one": "lab-c", "two": "lab-c"})
        self.assertEqual([self.files(host) for host in (self.hv, self.other, self.third)], [[], [], ["one-vda.qcow2", "two-vda.qcow2"]])
        self.assertEqual(self.plan(status=0)["actions"], [])


class Agents(Three):
    def agent(self, host, *arguments, status=0):
        env = {**self.env, "XDG_STATE_HOME": self.hv.make_directory("state", host)}
        return self.hv.reconcile("-o", "json", "--host", host, *arguments, self.hv.path("specs"), env=env, check=status).json()

    def test_each_does_its_own_part(self):
        """One that moves is its old host's work; the others neither make it a second time nor delete anything."""
        self.host_specs.pop("lab-c")
        self.write(self.stopped("one", {"host": "lab-a"}), self.stopped("two", {"host": "lab-b"}))
        for host in ("lab-b", "lab-a"):
            self.agent(host)
        self.assertEqual(self.where(), {"one": "lab-a", "two": "lab-b"})
        self.write(self.stopped("one", {"host": "lab-b"}), self.stopped("two", {"host": "lab-b"}, title="new"))
        self.assertEqual({action["object"] for action in self.agent("lab-b", "--prune")["actions"]}, {"lab-b/vm/two"})
        self.assertEqual(self.where(), {"one": "lab-a", "two": "lab-b"})
        self.assertEqual({action["object"] for action in self.agent("lab-a", "--prune")["actions"]}, {"lab-a/vm/one"})
        self.assertEqual(self.where(), {"one": "lab-b", "two": "lab-b"})
        self.assertEqual([self.files(self.hv), self.files(self.other)], [[], ["one-vda.qcow2", "two-vda.qcow2"]])
        for host in ("lab-a", "lab-b"):
            self.assertEqual(self.agent(host, "--dry-run")["actions"], [])

    def test_who_tells_of_what_nobody_can_do(self):
        """That of the host that it is on; where it is on none, all."""
        self.host_specs.pop("lab-c")
        self.write(self.stopped("one", {"host": "lab-b"}))
        self.agent("lab-b")
        self.hv.conn.defineXML(self.other.domain("one").XMLDesc())
        error, = (each["error"] for each in self.agent("lab-a", status=1)["objects"] if each["name"] == "one")
        self.assertIn("it is on lab-a and on lab-b: look which of them is the right one", error)
        self.hv.domain("one").undefine()
        self.other.domain("one").undefine()
        self.write(self.stopped("one", {"selector": {"zone": "nowhere"}}))
        for host in ("lab-a", "lab-b"):
            error, = (each["error"] for each in self.agent(host, "--dry-run", status=1)["objects"] if each["name"] == "one")
            self.assertIn("no host fits its placement", error)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
