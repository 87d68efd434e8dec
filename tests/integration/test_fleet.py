#!/usr/bin/python3
"""Several hosts from one source: each gets its part, one that can't be asked stops nobody else, and
no machine is ever made a second time."""

import json
import os
import re
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from fleet_case import FleetCase  # noqa: E402
from service_case import wait_for  # noqa: E402


class Parts(FleetCase):
    def test_each_gets_its_part(self):
        self.write(self.pool(self.hv, "one", hosts=["kvm-1"]), self.pool(self.other, "two", hosts=["kvm-2"]),
                   self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        plan = self.plan(status=2)
        self.assertEqual([each["name"] for each in plan["hosts"]], ["kvm-1", "kvm-2"])
        self.assertEqual({(each["host"], each["name"]) for each in plan["objects"]},
                         {("kvm-1", "one"), ("kvm-1", "a"), ("kvm-2", "two"), ("kvm-2", "b")})
        self.assertEqual(len({each["id"] for each in plan["actions"]}), len(plan["actions"]))
        self.apply()
        self.assertEqual(self.names(self.hv), ["a"])
        self.assertEqual(self.names(self.other), ["b"])
        self.assertEqual([pool.name() for pool in self.other.conn.listAllStoragePools()], ["two"])
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_hosts_work_side_by_side(self):
        """Neither host's action ends before the other's has acted."""
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        both = f"virsh -c '{self.hv.uri}' dominfo a && virsh -c '{self.other.uri}' dominfo b"
        self.env.update(RECONCILE_FAULT_AT="domain-define: acted#1", RECONCILE_FAULT_COMMAND=f"timeout 60 sh -c \"until {both}; do sleep 0.1; done\" >/dev/null 2>&1")
        self.apply()
        self.assertEqual([self.names(self.hv), self.names(self.other)], [["a"], ["b"]])

    def test_what_actions_bring_to_light_is_done_too(self):
        """A machine goes back to a snapshot, and what else differs follows in the same run; under the same lock."""
        def declare(**spec):
            machine = self.machine("b", host="kvm-2")
            machine["spec"].update(disks=[{"target": "vda", "pool": "two", "size": "4MiB"}], **spec)
            self.write(self.pool(self.other, "two", hosts=["kvm-2"]), self.machine("a", host="kvm-1"), machine)

        declare()
        self.apply()
        self.other.domain("b").snapshotCreateXML("<domainsnapshot><name>first</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.other.conn.storagePoolLookupByName("two").refresh()
        declare(title="back", revert={"to": "first", "request": "r1"})
        done = self.apply()
        self.assertEqual(len({each["id"] for each in done["actions"]}), len(done["actions"]))
        self.assertEqual([each["kind"] for each in done["actions"]], ["domain-revert", "revert-finish", "domain-redefine"])
        self.assertIn("<title>back</title>", self.other.domain("b").XMLDesc())
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_same_pool_everywhere_and_image_where_needed(self):
        # The same path on both: here it is one directory, which does for a plan.
        pool = self.pool(self.hv, "lab")
        disks = [{"target": "vda", "image": "base", "pool": "lab"}]
        machine = self.machine("a", host="kvm-2")
        machine["spec"]["disks"] = disks
        self.write(pool, self.hv.image(), machine)
        plan = self.plan(status=2)
        self.assertEqual({each["host"] for each in plan["objects"] if each["kind"] == "StoragePool"}, {"kvm-1", "kvm-2"})
        self.assertEqual({each["host"] for each in plan["objects"] if each["kind"] == "Image"}, {"kvm-2"})

    def test_only_one_host(self):
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        self.apply("--host", "kvm-2")
        self.assertEqual(self.names(self.hv), [])
        self.assertEqual(self.names(self.other), ["b"])
        self.assertEqual(self.plan("--host", "kvm-2", status=0)["actions"], [])
        self.plan("--host", "kvm-1", status=2)
        self.run_product("--host", "kvm-9", status=1)

    def test_saved_plan(self):
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        saved = self.hv.path("plan.json")
        self.plan("--plan-out", saved, status=2)
        self.hv.reconcile("--plan", saved, env=self.env, check=0)
        self.assertEqual([self.names(self.hv), self.names(self.other)], [["a"], ["b"]])
        # Once more: it was made from a world without them.
        self.hv.reconcile("--plan", saved, env=self.env, check=3)

    def test_saved_plan_without_some(self):
        """Who couldn't be asked when it was made, or is fenced, isn't needed to carry it out, nor asked then."""
        self.labels["kvm-3"] = {}
        for spec, status in (({"fenced": True}, 2), ({}, 1)):
            self.hosts["kvm-3"] = {"uri": "qemu:///session?socket=/nonexistent/libvirt-sock", **spec}
            machine = self.machine("a", host="kvm-1")
            machine["spec"]["title"] = str(status)
            self.write(machine)
            if not self.names(self.hv):
                self.hv.define("a")
                machine["metadata"]["adopt"] = True
                self.write(machine)
            saved = self.hv.path("plan.json")
            self.plan("--plan-out", saved, status=status)
            rules = self.hv.path("rules.yaml")
            with open(rules, "w", encoding="utf-8") as file:
                json.dump({"source": {"directory": self.hv.path("specs")}, "policy": {"maxCpus": 64, "hosts": [spec["uri"] for spec in self.hosts.values()]}}, file)
            self.hv.reconcile("--config", rules, "--plan", saved, env=self.env, check=0 if status == 2 else 1)
            self.assertIn(f"<title>{status}<", self.hv.domain("a").XMLDesc())

    def test_without_hosts_there_are_none(self):
        self.hv.write("all.yaml", self.machine("a"))
        result = self.hv.reconcile("--dry-run", "--host", "kvm-1", self.hv.path("specs"), check=1)
        self.assertIn("declares no hosts", result.stderr)

    def test_orphans_are_those_of_the_fleet(self):
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        self.apply()
        self.write(self.machine("a", host="kvm-1"))
        plan = self.plan(status=0)
        orphan = self.object(plan, "VirtualMachine", "b")
        self.assertEqual([orphan["host"], orphan["change"]], ["kvm-2", "orphan"])
        self.apply("--prune")
        self.assertEqual([self.names(self.hv), self.names(self.other)], [["a"], []])


class Selectors(FleetCase):
    def test_chosen_once_and_kept(self):
        machines = [self.machine(f"m{i}", selector={"disk": "fast"}) for i in range(8)]
        self.write(*machines)
        self.apply()
        where = {name: "kvm-1" for name in self.names(self.hv)} | {name: "kvm-2" for name in self.names(self.other)}
        self.assertEqual(len(where), 8)
        self.assertEqual(set(where.values()), {"kvm-1", "kvm-2"})  # both take their share
        self.assertEqual(self.plan(status=0)["actions"], [])
        # Another label is no reason to move.
        self.labels["kvm-1"]["more"] = "x"
        self.write(*machines)
        self.assertEqual(self.plan(status=0)["actions"], [])
        # The one that is asked for is, when its host has it no more.
        self.labels["kvm-1"].pop("disk")
        self.write(*machines)
        self.apply()
        self.assertEqual([self.names(self.hv), len(self.names(self.other))], [[], 8])
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_nobody_fits(self):
        self.write(self.machine("a", selector={"zone": "c"}), self.machine("b", selector={"zone": "b"}))
        saved = self.hv.path("plan.json")
        document = self.plan("--plan-out", saved, status=1)
        self.assertIn("no host", self.object(document, "VirtualMachine", "a")["error"])
        self.hv.reconcile("--plan", saved, env=self.env, check=1)  # what is planned besides
        self.assertEqual(self.names(self.other), ["b"])

    def test_maintenance_takes_none(self):
        self.hosts["kvm-1"]["maintenance"] = True
        self.write(*[self.machine(f"m{i}", selector={"disk": "fast"}) for i in range(4)])
        self.apply()
        self.assertEqual([len(self.names(self.hv)), len(self.names(self.other))], [0, 4])


class Silence(FleetCase):
    """One host can't be asked."""

    def silence(self, name="kvm-2"):
        self.hosts[name] = {"uri": f"qemu:///session?socket=/nonexistent/{name}"}

    def test_the_others_go_on(self):
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        self.apply()
        self.silence()
        self.write({**self.machine("a", host="kvm-1"), "spec": {**self.machine("a", host="kvm-1")["spec"], "title": "new"}},
                   self.machine("b", host="kvm-2"))
        document = self.apply(status=1)
        self.assertIn("/nonexistent", self.object(document, "Host", "kvm-2")["error"])
        self.assertIn("new", self.hv.domain("a").XMLDesc())
        self.assertEqual(self.names(self.other), ["b"])

    def test_one_that_is_lost_after_the_look(self):
        """Its lock can't be taken then, or nobody judges what is planned there."""
        for place, title, reason in (("fleet: to be locked", "new", "Connection (refused|reset)"),
                                     ("fleet: looked at under the lock", "newer", "was lost")):
            with self.subTest(place):
                old, new = self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2")
                self.write(old, new)
                self.apply()
                for each in (old, new):
                    each["spec"]["title"] = title
                self.write(old, new)
                at = {"RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": f"kill -9 {self.other.daemon.pid}"}
                document = self.hv.reconcile("-o", "json", self.hv.path("specs"), env={**self.env, **at}, check=1).json()
                self.other.mend_daemon()
                self.assertRegex(self.object(document, "Host", "kvm-2")["error"], reason)
                self.assertIn(f"<title>{title}<", self.hv.domain("a").XMLDesc())
                self.assertNotIn(f"<title>{title}<", self.other.domain("b").XMLDesc())
                self.apply()
                self.assertIn(f"<title>{title}<", self.other.domain("b").XMLDesc())
                self.assertEqual(self.plan(status=0)["actions"], [])

    def test_a_host_that_is_not_theirs(self):
        """The default connection is no matter where the source declares hosts."""
        self.write(self.machine("a", host="kvm-1"))
        path = self.hv.path("run/silent")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            self.hv.give(path)
            server.listen()  # and nobody answers, for as long as the test would wait
            self.env.update(LIBVIRT_DEFAULT_URI=f"qemu:///session?socket={path}", RECONCILE_PATIENCE="600")
            self.assertEqual(len(self.plan(status=2)["actions"]), 1)

    def test_status_shows_who_can_be_asked(self):
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        self.apply()

        def status(*arguments, code=0):
            return self.hv.reconcile("status", "--source", self.hv.path("specs"), *arguments, env=self.env, check=code)
        told = status("-o", "json").json()
        self.assertEqual([(host["host"], host["error"], [domain["name"] for domain in host["domains"]]) for host in told["hosts"]],
                         [("kvm-1", None, ["a"]), ("kvm-2", None, ["b"])])
        self.assertEqual({domain["job"] for host in told["hosts"] for domain in host["domains"]}, {None})
        self.assertEqual([host["host"] for host in status("--host", "kvm-2", "-o", "json").json()["hosts"]], ["kvm-2"])
        self.assertIn("a (stopped)", status("--disks", "a").stdout)
        self.assertIn("no domain \"c\"", status("c", code=1).stderr)
        status("--host", "kvm-9", code=1)
        self.silence()
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        text = status(code=1).stdout
        self.assertRegex(text, r"(?s)kvm-1:\n.*\ba\b.*kvm-2:\ncan't be asked: .*/nonexistent")
        broken = status("-o", "json", code=1).json()["hosts"]
        self.assertEqual([len(broken[0]["domains"]), "domains" in broken[1]], [1, False])

    def test_one_that_stops_to_answer_in_the_middle(self):
        """While several calls wait on its connection. All kinds of run at once, since each waits until the silence is noticed."""
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))
        self.apply()
        new = self.machine("a", host="kvm-1")
        new["spec"]["title"] = "new"
        self.write(new, self.machine("b", host="kvm-2"))
        for n in range(20):
            self.other.define(f"more{n}")
        specs, at, go = self.hv.path("specs"), self.hv.path("state/at"), self.hv.path("state/go")
        held = {"RECONCILE_PATIENCE": "1", "RECONCILE_FAULT_AT": f"observe: connected: {self.other.uri}",
                "RECONCILE_FAULT_COMMAND": f"echo >> {at}; while [ ! -e {go} ]; do sleep 0.05; done"}
        commands = (("status", "--source", specs, "-o", "json"), ("observe", "--source", specs), ("--dry-run", specs, "-o", "json"), (specs, "-o", "json"))
        runs = [self.hv.start_reconcile(*command, env={**self.env, **held}) for command in commands]
        wait_for(lambda: os.path.exists(at) and os.path.getsize(at) == len(runs), "they look")
        os.kill(self.other.daemon.pid, signal.SIGSTOP)
        try:
            with open(go, "w", encoding="utf-8"):
                pass
            begun = time.monotonic()
            told = [run.communicate(timeout=120) for run in runs]
            lab.figure(f"patience 1 s, four runs at a host that hangs in the middle of a look: {time.monotonic() - begun:.1f} s")
        finally:
            os.kill(self.other.daemon.pid, signal.SIGCONT)
        self.assertEqual([run.returncode for run in runs], [1] * len(runs), told)
        status, observed, planned, applied = [json.loads(out) for out, _ in told]
        silent = "keepalive timeout|no answer since"
        self.assertRegex(status["hosts"][1]["error"], silent)
        self.assertRegex(observed["hosts"]["kvm-2"]["error"], silent)
        for document in (planned, applied):
            self.assertRegex(self.object(document, "Host", "kvm-2")["error"], silent)
            self.assertEqual({(each["name"], bool(each.get("error"))) for each in document["objects"]}, {("a", False), ("b", True), ("kvm-2", True)}, document)
        self.assertIn("new", self.hv.domain("a").XMLDesc())
        self.apply()

    def observe(self, status=0):
        """A file, and what was said."""
        saved = self.hv.path("state/fleet.json")
        result = self.hv.reconcile("observe", "--source", self.hv.path("specs"), env=self.env, check=status)
        with open(saved, "w", encoding="utf-8") as file:
            file.write(result.stdout)
        return saved, result

    def test_against_a_saved_observation(self):
        def write(title):
            named = self.machine("a", host="kvm-1")
            named["spec"]["title"] = title
            self.write(named, self.machine("b", selector={"zone": "b"}))
        write("old")
        self.apply()
        saved, whole = self.observe()
        self.assertEqual(sorted(whole.json()["hosts"]), ["kvm-1", "kvm-2"])
        write("new")
        here, there = self.run_product("--dry-run", status=2), self.run_product("--dry-run", "--against", saved, status=2)
        self.assertEqual(here.stdout, there.stdout)
        self.assertIn("observed on several hosts", there.stderr)
        self.assertEqual(self.plan("--against", saved, "--host", "kvm-2", status=0)["actions"], [])
        reviewed = self.hv.path("state/plan.json")
        self.plan("--against", saved, "--plan-out", reviewed, status=2)
        self.silence("kvm-1")
        self.silence()
        write("new")
        self.assertEqual([each["kind"] for each in self.plan("--against", saved, status=2)["actions"]], ["domain-redefine"])  # nobody is asked
        self.hv.reconcile("--plan", reviewed, env=self.env, check=0)
        self.assertIn("new", self.hv.domain("a").XMLDesc())

        # What couldn't be observed, or isn't in the file, can't be asked: its machines aren't made elsewhere.
        self.hosts["kvm-1"] = {"uri": self.hv.uri}
        self.labels["kvm-1"]["zone"] = "b"
        write("new")
        saved, part = self.observe(status=1)
        self.assertIn("host kvm-2 can't be asked: ", part.stderr)
        self.assertIn("/nonexistent", part.json()["hosts"]["kvm-2"]["error"])
        told = json.dumps({**part.json(), "hosts": {"kvm-1": part.json()["hosts"]["kvm-1"]}})
        for why in ("/nonexistent", "has nothing of it"):
            plan = self.plan("--against", saved, status=1)
            self.assertIn(why, self.object(plan, "Host", "kvm-2")["error"])
            self.assertEqual([each["object"] for each in plan["actions"]], [])
            with open(saved, "w", encoding="utf-8") as file:
                file.write(told)

    def test_observations_of_the_other_sort(self):
        self.write()
        fleet, _ = self.observe()
        single = self.hv.path("state/single.json")
        with open(single, "w", encoding="utf-8") as file:
            file.write(self.hv.reconcile("observe", check=0).stdout)
        self.assertIn("is of a single one", self.run_product("--dry-run", "--against", single, status=1).stderr)
        self.hosts = {}
        self.write(self.pool(self.hv, "one"))
        self.assertIn("is of several hosts", self.run_product("--dry-run", "--against", fleet, status=1).stderr)

    def test_not_made_a_second_time(self):
        """Nor started."""
        self.write(self.machine("b", selector={"disk": "fast"}))
        self.apply()
        home, rest = ("kvm-2", self.hv) if self.names(self.other) else ("kvm-1", self.other)
        uri = self.hosts[home]["uri"]
        self.silence(home)
        self.write(self.machine("b", selector={"disk": "fast"}), self.machine("c", selector={"disk": "fast"}))
        document = self.apply(status=1)
        for name in ("b", "c"):  # c is new, but nobody can know that
            self.assertIn("fenced", self.object(document, "VirtualMachine", name)["error"])
        self.assertEqual(self.names(rest), [])
        self.hosts[home]["fenced"] = True
        self.write(self.machine("b", selector={"disk": "fast"}), self.machine("c", selector={"disk": "fast"}))
        self.apply()
        self.assertEqual(self.names(rest), ["b", "c"])
        # It comes back with its copy, which is older: as long as the newer one can't be seen, nothing that may start it is done.
        self.hosts[home] = {"uri": uri}
        newest = "kvm-1" if home == "kvm-2" else "kvm-2"
        older = (self.hv if home == "kvm-1" else self.other).domain("b")

        def refused(**spec):
            machine = self.machine("b", selector={"disk": "fast"})
            machine["spec"].update({"powerState": "running", **spec})
            self.write(machine)
            before = older.state()
            self.assertIn("a newer copy of it", self.object(self.apply(status=1), "VirtualMachine", "b")["error"])
            self.assertEqual(older.state(), before)

        there = dict(self.hosts[newest])
        self.silence(newest)
        refused()
        refused(placement={"host": home})  # we made it elsewhere since
        refused(powerState="paused")
        older.create()
        older.suspend()
        refused()
        older.resume()
        older.managedSave()
        refused()
        refused(revert={"to": "one", "request": "now"})
        older.managedSaveRemove()
        # Where both are seen, the older one is kept off for good: by its host, and where the file places it by name.
        older.setAutostart(1)
        self.hosts[newest] = there
        self.write(self.machine("b", selector={"disk": "fast"}), self.machine("c", selector={"disk": "fast"}))
        document = self.apply()
        self.assertEqual([action["kind"] for action in document["actions"]], ["domain-keep"])
        document = self.plan(status=0)
        self.assertIn(f"an older copy of it, which is off, is kept on {home}", str(self.object(document, "VirtualMachine", "b")["notes"]))
        self.assertEqual(older.autostart(), 0)
        self.silence(newest)
        refused()
        refused(placement={"host": home})
        self.assertEqual([each.isActive() for host in (self.hv, self.other) for each in host.conn.listAllDomains() if each.name() == "b"], [0, 0])

    def test_made_anew_after_the_clock_was_set_back(self):
        """The newer copy is still the newer one, though a host hides what it has to be newer than."""
        sides = {"kvm-1": self.hv, "kvm-2": self.other}
        machine = self.machine("a", selector={"disk": "fast"})

        def epoch(name):
            return int(re.findall(r'"epoch":(\d+)', sides[name].domain("a").XMLDesc().replace("&quot;", '"'))[0])

        def apply(now, fenced=None):
            self.hosts = {name: {"uri": hv.uri} for name, hv in sides.items()}
            if fenced:
                self.silence(fenced)
                self.hosts[fenced]["fenced"] = True
            self.write(machine)
            self.env["RECONCILE_NOW"] = str(now)
            return [action["kind"] for action in self.apply()["actions"]]

        apply(2000000000)
        first, second = ("kvm-1", "kvm-2") if self.names(self.hv) else ("kvm-2", "kvm-1")
        self.assertEqual(apply(2000000000, fenced=first), ["domain-define"])
        self.assertEqual(epoch(second), 2000000000)
        sides[first].domain("a").undefine()
        self.assertEqual(apply(1700000000, fenced=second), ["domain-define"])
        self.assertGreater(epoch(first), epoch(second))
        self.assertEqual(apply(1700000000), ["domain-keep"])
        # An older copy that counts again, since the newer one's host is given up.
        self.assertEqual(apply(1600000000, fenced=first), ["move-undo"])
        self.assertGreater(epoch(second), epoch(first))
        self.assertEqual(apply(1600000000), ["domain-keep"])
        self.assertIn(f"is kept on {first}", str(self.object(self.plan(status=0), "VirtualMachine", "a")["notes"]))

    def test_the_same_wherever_it_is_made(self):
        """Its UUID and addresses come from names, the fleet's too, so that they need no host to remember them."""
        machine = self.machine("a", host="kvm-1")
        machine["spec"]["interfaces"] = [{"name": "eth0", "bridge": "br0"}]
        self.write(machine)
        self.apply()
        of_no_fleet = self.identity(self.hv)
        for host in self.hosts.values():
            host["fleet"] = "east"
        self.write(machine)
        self.assertEqual([action["kind"] for action in self.apply()["actions"]], ["domain-record"])  # what there is keeps its own
        self.assertEqual((self.plan(status=0)["actions"], self.identity(self.hv)), ([], of_no_fleet))
        machine["spec"]["interfaces"][0]["model"] = "e1000"
        self.write(machine)
        self.apply()
        self.assertEqual((self.plan(status=0)["actions"], self.identity(self.hv)), ([], of_no_fleet))
        self.hv.clear()
        self.write(machine)
        self.apply()
        self.hosts["kvm-1"]["fenced"] = True
        machine["spec"]["placement"] = {"host": "kvm-2"}
        self.write(machine)
        self.apply()
        homes = [re.findall(r'"home":"(.*?)"', hv.domain("a").XMLDesc().replace("&quot;", '"')) for hv in (self.hv, self.other)]
        self.assertEqual(homes, [["kvm-1"], ["kvm-2"]])
        first, second = self.identity(self.hv), self.identity(self.other)
        self.assertEqual(first, second)
        self.assertEqual([a == b for a, b in zip(of_no_fleet, first)], [False, False], first)

    def identity(self, hv):
        """Its UUID, and its MAC."""
        domain = hv.domain("a")
        mac, = re.findall("<mac address='(.*?)'", domain.XMLDesc())
        return domain.UUIDString(), mac

    def test_on_two_hosts(self):
        self.write(self.machine("a", host="kvm-1"))
        self.apply()
        self.other.conn.defineXML(self.hv.domain("a").XMLDesc())
        document = self.apply(status=1)
        self.assertIn("kvm-1 and on kvm-2", self.object(document, "VirtualMachine", "a")["error"])


class TwoControllers(FleetCase):
    """Another user on another machine, says its state directory, has the same hosts."""

    def setUp(self):
        super().setUp()
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"))

    def hold(self, place="run: begun in the journal"):
        """A run that stops there until go() is called."""
        held, go = self.hv.path("state/held"), self.hv.path("state/go")
        command = f"touch {held}; while [ -e {held} -a ! -e {go} ]; do sleep 0.05; done"
        process = self.hv.start_reconcile("-o", "json", self.hv.path("specs"),
                                          env={**self.env, "RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not os.path.exists(held):
            self.assertIsNone(process.poll(), "it ended before it stopped there")
            time.sleep(0.02)
        return process

    def go(self):
        if os.path.isdir(self.hv.path("state")):
            with open(self.hv.path("state/go"), "w", encoding="utf-8"):
                pass

    def second(self, status, **options):
        """As another user."""
        state = self.other.make_directory("state/second")
        runtime = self.other.make_directory("state/runtime")
        env = {**self.env, "HOME": self.other.path("home"), "XDG_RUNTIME_DIR": runtime, "XDG_CONFIG_HOME": self.other.path("config")}
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        return self.hv.reconcile("-o", "json", "--state-dir", state, self.hv.path("specs"), env=env, check=status, **user, **options)

    def locks(self):
        return [domain.name() for host in (self.hv, self.other) for domain in host.conn.listAllDomains() if "lock" in domain.name()]

    def test_the_second_is_refused(self):
        first = self.hold()
        self.assertEqual(self.locks(), ["reconcile-lock", "reconcile-lock"])
        result = self.second(status=3)
        self.assertRegex(result.stderr, r"kvm-1 is being changed by .+@.+ \(process \d+\) since 20")
        self.assertEqual([self.names(self.hv), self.names(self.other)], [["reconcile-lock"]] * 2)
        # Who only looks isn't disturbed, and sees no machine.
        plan = self.plan(status=2)
        self.assertEqual({each["name"] for each in plan["objects"]}, {"a", "b"})
        self.assertNotIn("reconcile-lock", self.hv.reconcile("import", "-c", self.hv.uri).stdout)
        self.go()
        self.assertEqual(first.wait(), 0)
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_the_second_waits_and_looks_again(self):
        first = self.hold()
        threading.Timer(1, self.go).start()
        document = self.second(status=0).json()
        self.assertEqual(first.wait(), 0)
        self.assertEqual(document["plan"]["actions"] if "plan" in document else document["actions"], [])
        self.assertEqual([self.names(self.hv), self.names(self.other)], [["a"], ["b"]])

    def test_the_holder_is_killed(self):
        first = self.hold()
        first.kill()
        first.wait()
        self.second(status=0)
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_libvirtd_is_restarted_while_it_is_held(self):
        first = self.hold()
        self.hv.kill_daemon()
        self.hv.restart_daemon()
        self.assertEqual(self.locks().count("reconcile-lock"), 2)  # libvirt has forgotten that one of them ends with its client
        # What has lost the lock on a host does nothing more there.
        self.go()
        out, err = first.communicate()
        self.assertEqual(first.returncode, 1)
        self.assertIn("with it the lock", out + err)
        self.assertEqual(self.names(self.hv), ["reconcile-lock"])
        # The lock that is left is nobody's.
        self.second(status=0)
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_a_lock_that_was_left_goes_without_anything_to_do(self):
        self.apply()
        self.write(self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2"), self.machine("c", host="kvm-2"))
        first = self.hold("run: all acted")
        self.hv.kill_daemon()
        self.hv.restart_daemon()
        self.go()
        self.assertEqual(first.wait(), 0)
        self.assertIn("reconcile-lock", self.names(self.hv))
        self.assertEqual(self.apply()["actions"], [])
        deadline = time.monotonic() + 20
        while self.locks() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(self.locks(), [])

    def test_one_host_under_two_names(self):
        self.hosts["kvm-2"]["uri"] = self.hv.uri + "&mode=legacy"
        self.write(self.machine("a", host="kvm-1"))
        self.assertIn("the same host", self.run_product(status=3).stderr)
        self.hosts["kvm-2"]["uri"] = self.hv.uri
        self.write(self.machine("a", host="kvm-1"))
        for dry in ((), ("--dry-run",)):
            self.assertRegex(self.run_product(*dry, status=1).stderr,
                             r"(?s)\.yaml:\d+:\d+: error: the address .* is used twice.*\.yaml:\d+:\d+: note: first used by \"kvm-1\"")

    def test_somebody_has_the_name(self):
        self.other.conn.defineXML("<domain type='qemu'><name>reconcile-lock</name><memory>1024</memory><os><type>hvm</type></os></domain>")
        self.assertIn("rename it", self.run_product(status=3).stderr)


class Split(FleetCase):
    """A host is given up while its machine runs on."""

    def runs(self):
        return [host.name_in_fleet for host in (self.hv, self.other) for domain in host.conn.listAllDomains() if domain.isActive()]

    def test_the_older_one_is_stopped(self):
        self.hv.name_in_fleet, self.other.name_in_fleet = "kvm-1", "kvm-2"
        machine = self.hv.vm("web", serials=None, placement={"selector": {"disk": "fast"}}, shutdown={"timeout": "20s", "retryInterval": "1s"})
        self.write(machine)
        self.apply()
        home, rest = (self.hv, self.other) if self.names(self.hv) else (self.other, self.hv)
        older = home.domain("web").ID()
        home.kill_daemon()
        error = self.object(self.apply(status=1), "VirtualMachine", "web")["error"]
        self.assertIn(f"it may be on {home.name_in_fleet}", error)
        self.assertEqual(self.names(rest), [])
        # The file says that it is off. It isn't.
        self.hosts[home.name_in_fleet]["fenced"] = True
        self.write(machine)
        self.apply()
        home.restart_daemon()
        self.assertEqual(self.runs(), ["kvm-1", "kvm-2"])
        self.assertEqual(home.domain("web").ID(), older)
        newer = rest.domain("web").ID()
        del self.hosts[home.name_in_fleet]["fenced"]
        self.write(machine)
        events = lab.EventRecorder(rest.uri)
        self.addCleanup(events.close)
        plan = self.plan(status=2)
        self.assertEqual([(action["kind"], action["impact"]) for action in plan["actions"]], [("domain-yield", "restart")])
        self.apply()
        self.assertEqual(self.runs(), [rest.name_in_fleet])
        self.assertEqual(rest.domain("web").ID(), newer)
        self.assertEqual(events.stopped_events("web"), [])
        # What it wrote is kept until somebody has looked at it; started again, it is stopped again.
        self.assertEqual(self.plan(status=0)["actions"], [])
        home.domain("web").create()
        self.apply()
        self.assertEqual([self.runs(), home.domain("web").isActive()], [[rest.name_in_fleet], 0])
        # While only the older one runs, nobody chooses.
        rest.domain("web").destroy()
        home.domain("web").create()
        self.assertIn("kvm-1 and on kvm-2", self.object(self.apply(status=1), "VirtualMachine", "web")["error"])
        self.assertEqual(self.runs(), [home.name_in_fleet])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
