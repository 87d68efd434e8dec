#!/usr/bin/python3
"""Never two running copies: a machine that isn't seen isn't made or started elsewhere while it may be where nobody looks."""

import contextlib
import html
import json
import os
import re
import shutil

from fleet_case import FleetCase, lab

RECORD = r"<reconcile:vm.*?</reconcile:vm>"


class CopiesCase(FleetCase):
    def setUp(self):
        super().setUp()
        self.both = {"kvm-1": self.hv, "kvm-2": self.other}
        shutil.rmtree(self.hv.path("state/reconcile"), ignore_errors=True)  # the journal of another case

    def where(self, name="web"):
        return [host for host, hv in self.both.items() if name in self.names(hv)]

    def error(self, document, name="web"):
        return self.object(document, "VirtualMachine", name)["error"]

    def refused(self, *needles, where):
        """It is an error, and nothing is done."""
        error = self.error(self.apply(status=1))
        for needle in needles:
            self.assertIn(needle, error)
        self.assertEqual(self.where(), where)

    def edit(self, hv, function, name="web"):
        """Our record, by a person."""
        before = hv.domain(name).XMLDesc()
        record = re.search(RECORD, before, re.S)[0]
        hv.conn.defineXML(before.replace(record, function(record)))

    def edit_facts(self, hv, **facts):
        more = html.escape(json.dumps(facts)[1:-1])
        self.edit(hv, lambda record: re.sub(r'(&quot;|")home\1', lambda home: (more if home[1] != '"' else html.unescape(more)) + "," + home[0], record))


class Lost(CopiesCase):
    """A host that is taken out of the file may run what was put there."""

    def web(self, **placement):
        return self.machine("web", **placement or {"selector": {"disk": "fast"}})

    def test_its_machines_arent_made_elsewhere(self):
        self.write(self.web())
        self.apply()
        home, = self.where()
        rest, = set(self.both) - {home}
        spec = self.hosts.pop(home)
        self.write(self.web())
        self.refused(f"was put on {home}", spec["uri"], "fenced: true", where=[home])
        self.write(self.web(host=rest))
        self.refused(f"was put on {home}", where=[home])
        # The way out: the file says that this host is off. Then that may be forgotten.
        self.hosts[home] = {**spec, "fenced": True}
        self.write(self.web())
        self.apply()
        self.assertEqual(self.where(), ["kvm-1", "kvm-2"])
        del self.hosts[home]
        self.write(self.web())
        self.assertEqual(self.plan(status=0)["actions"], [])
        # The one comes back, and the other, which has the newer copy, is taken out.
        other = self.hosts.pop(rest)
        self.hosts[home] = spec
        machine = self.web(host=home)
        machine["spec"]["powerState"] = "running"
        self.write(machine)
        self.refused(f"may run on {rest}", "isn't started", where=["kvm-1", "kvm-2"])
        self.assertFalse(self.both[home].domain("web").isActive())
        # Both are there again, and the newer one counts: it was made as such.
        self.hosts[rest] = other
        self.write(self.web())
        self.assertEqual([action["kind"] for action in self.apply()["actions"]], ["domain-keep"])

    def test_another_name_for_it(self):
        self.write(self.web(selector={"zone": "b"}))
        self.apply()
        self.hosts["big"], self.labels["big"] = self.hosts.pop("kvm-2"), self.labels["kvm-2"]
        self.write(self.web(selector={"zone": "b"}))
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.other.domain("web").undefine()  # by hand: it isn't there, who was asked says
        self.write(self.web(host="kvm-1"))
        self.apply()
        self.assertEqual(self.where(), ["kvm-1"])

    def running(self, **placement):
        machine = self.machine("web", **placement)
        machine["spec"]["powerState"] = "running"
        return machine

    def assert_starts(self, **placement):
        """As after a crash or a reboot of its host."""
        self.write(self.running(**placement))
        kinds = [action["kind"] for action in self.plan(status=2)["actions"]]
        self.assertIn("domain-start", kinds)

    def test_its_host_is_called_and_reached_otherwise(self):
        self.write(self.machine("web", host="kvm-2"))
        self.apply()
        self.labels["big"], uri = self.labels["kvm-2"], self.hosts.pop("kvm-2")["uri"]
        self.hosts["big"] = {"uri": uri + "&keepalive_count=5"}
        changed = self.machine("web", host="big")
        changed["spec"]["title"] = "our record is written, with the host's new name"
        self.write(changed)
        self.apply()
        self.write(changed)
        self.assert_starts(host="big")

    def test_another_controller_took_it_from_there(self):
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        ours, theirs = self.hv.path("state/reconcile"), self.hv.path("state/theirs")
        os.rename(ours, theirs)
        self.write(self.machine("web", host="kvm-2"))
        self.apply()
        os.rename(ours, ours + ".other")
        os.rename(theirs, ours)
        self.addCleanup(shutil.rmtree, ours + ".other", ignore_errors=True)
        self.assertEqual(self.apply()["actions"], [])  # our look
        del self.hosts["kvm-1"]
        self.assert_starts(host="kvm-2")

    @contextlib.contextmanager
    def another_controller(self):
        """With a journal of its own."""
        ours, aside = self.hv.path("state/reconcile"), self.hv.path("state/ours")
        if os.path.exists(ours):
            os.rename(ours, aside)
        yield
        shutil.rmtree(ours)
        if os.path.exists(aside):
            os.rename(aside, ours)

    def test_another_controller_took_it_from_there_unseen(self):
        """It counts more than what we put where nobody can look any more."""
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        with self.another_controller():
            self.write(self.machine("web", host="kvm-2"))
            self.apply()
        self.assertNotIn("movedFrom", self.other.domain("web").XMLDesc())
        del self.hosts["kvm-1"]
        self.assert_starts(host="kvm-2")

    def test_another_controller_put_it_there(self):
        """We have only seen it."""
        with self.another_controller():
            self.write(self.machine("web", host="kvm-2"))
            self.apply()
        self.assertEqual(self.apply()["actions"], [])
        del self.hosts["kvm-2"]
        self.write(self.machine("web", host="kvm-1"))
        self.refused("was put on kvm-2", where=["kvm-2"])

    def kill_moving(self):
        """On its way from kvm-1 to kvm-2, where it is defined."""
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.write(self.machine("web", host="kvm-2"))
        self.hv.reconcile(self.hv.path("specs"), env={**self.env, "RECONCILE_FAULT_AT": "move: defined there"}, check=-9)
        self.assertEqual(self.where(), ["kvm-1", "kvm-2"])

    def test_a_move_that_was_interrupted_put_it_there(self):
        self.kill_moving()
        self.apply()
        self.assertEqual(self.where(), ["kvm-2"])
        del self.hosts["kvm-2"]
        self.write(self.machine("web", host="kvm-1"))
        self.refused("was put on kvm-2", where=["kvm-2"])

    def assert_stale(self):
        """The copy on kvm-2 isn't started while that on kvm-1, which is newer, can't be seen."""
        kvm_1 = self.hosts.pop("kvm-1")
        for hidden in ({}, {"kvm-1": {**kvm_1, "uri": "qemu:///session?socket=/nonexistent/libvirt-sock"}}):
            with self.subTest(hidden=list(hidden)):
                self.hosts = {**hidden, "kvm-2": {"uri": self.other.uri}}
                self.write(self.running(host="kvm-2"))
                self.refused("newer copy of it may run on kvm-1", "isn't started", where=["kvm-1", "kvm-2"])
                self.assertFalse(self.other.domain("web").isActive())

    def test_an_older_copy_came_from_there(self):
        self.write(self.machine("web", host="kvm-2"))
        self.apply()
        self.edit_facts(self.other, epoch=1, movedFrom="kvm-1")  # as of a move that wasn't finished, since kvm-1 was off
        self.hosts["kvm-2"]["fenced"] = True
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.assert_stale()

    def test_an_older_copy_is_of_a_move_that_was_given_up(self):
        self.kill_moving()
        self.hosts["kvm-2"]["fenced"] = True
        self.write(self.machine("web", host="kvm-1"))
        self.assertEqual([action["kind"] for action in self.apply()["actions"]], ["move-undo"])
        self.assert_stale()

    def test_where_it_couldnt_be_made(self):
        self.write(self.machine("web", host="kvm-2"))
        self.hv.reconcile(self.hv.path("specs"), check=None, env={**self.env, "RECONCILE_FAULT_AT": "domain: defined",
                          "RECONCILE_FAULT_COMMAND": f"virsh -c '{self.other.uri}' undefine web >&2"})
        self.assertEqual(self.where(), [])
        self.write()
        self.apply()  # a look at the host, which hasn't got it
        del self.hosts["kvm-2"]
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.assertEqual(self.where(), ["kvm-1"])

    def test_another_host_by_its_name(self):
        self.write(self.web(host="kvm-2"))
        self.apply()
        self.hosts = {"kvm-2": {"uri": self.hv.uri}}
        self.write(self.web(host="kvm-2"))
        self.refused("was put on kvm-2", f"its address is now {self.hv.uri}", "declare the old address under another name", where=["kvm-2"])
        # Which is a way out.
        self.hosts["old"], self.labels["old"] = {"uri": self.other.uri, "fenced": True}, {}
        self.write(self.web(host="kvm-2"))
        self.apply()
        self.assertEqual(self.where(), ["kvm-1", "kvm-2"])

    def test_a_machine_of_another_source(self):
        self.write(self.web(host="kvm-2"))
        self.apply()
        del self.hosts["kvm-2"]
        self.hv.write("../other/all.yaml", lab.document("Host", "kvm-1", self.hosts["kvm-1"], labels=self.labels["kvm-1"]), self.web())
        self.hv.reconcile(self.hv.path("other"), env=self.env, check=0)
        self.assertEqual(self.where(), ["kvm-1", "kvm-2"])
        # … which is no news of ours.
        self.hv.domain("web").undefine()
        self.write(self.web(host="kvm-1"))
        self.refused("was put on kvm-2", "fenced: true", where=["kvm-2"])


class Unread(CopiesCase):
    """What can't be read isn't absent, and who is of our making has our UUID."""

    def test_a_damaged_record(self):
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.edit(self.hv, lambda record: record.replace("{", "{{{", 1))
        for placement in ({"host": "kvm-2"}, {"selector": {"zone": "b"}}):
            self.write(self.machine("web", **placement))
            self.refused("is on kvm-1 too", "can't be read", where=["kvm-1"])

    def test_a_record_that_is_gone(self):
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.edit(self.hv, lambda record: "")
        self.write(self.machine("web", host="kvm-2"))
        self.refused("with its UUID is on kvm-1", where=["kvm-1"])
        # Somebody's machine that has its name alone is another one.
        self.hv.domain("web").undefine()
        self.hv.define("web")
        self.apply()
        self.assertEqual(self.where(), ["kvm-1", "kvm-2"])

    def test_what_is_taken_over_is_where_it_is(self):
        names = [f"m{i}" for i in range(6)]
        for name in names:
            self.hv.define(name)
        machines = [{**self.machine(name, selector={"disk": "fast"}), "metadata": {"name": name, "adopt": True}} for name in names]
        self.write(*machines)
        self.assertEqual({action["kind"] for action in self.apply()["actions"]} - {"domain-redefine"}, {"domain-record"})
        self.assertEqual((self.names(self.hv), self.names(self.other)), (names, []))
        self.hv.define("web")
        self.write({**self.machine("web", host="kvm-2"), "metadata": {"name": "web", "adopt": True}})
        self.refused("shall take over", "is on kvm-1", where=["kvm-1"])
        self.other.define("web")
        self.write({**self.machine("web", selector={"disk": "fast"}), "metadata": {"name": "web", "adopt": True}})
        self.refused("on kvm-1 and on kvm-2", where=["kvm-1", "kvm-2"])

    def adopt_named(self):
        self.write({**self.machine("web", host="kvm-2"), "metadata": {"name": "web", "adopt": True}})

    def test_a_strangers_namesake_stays_out_of_it(self):
        self.hv.define("web")
        self.other.define("web")
        self.adopt_named()
        before = self.hv.domain("web").XMLDesc()
        self.assertIn("domain-record", [action["kind"] for action in self.apply()["actions"]])
        self.assertIn("reconcile:vm", self.other.domain("web").XMLDesc())
        self.assertEqual(self.hv.domain("web").XMLDesc(), before)

    def test_the_same_machine_on_two_hosts(self):
        self.hv.define("web")
        self.other.conn.defineXML(self.hv.domain("web").XMLDesc())
        self.adopt_named()
        self.refused("of its name and UUID is on kvm-2 and on kvm-1", where=["kvm-1", "kvm-2"])


class Saved(CopiesCase):
    """A plan from a time when it was nowhere else."""

    def setUp(self):
        super().setUp()
        self.saved = self.hv.path("plan.json")

    def save(self, **placement):
        self.write(self.machine("web", **placement))
        self.plan("--plan-out", self.saved, status=2)

    def stale(self, needle, where, **env):
        result = self.hv.reconcile("--plan", self.saved, env={**self.env, **env}, check=3)
        self.assertIn(needle, result.stderr)
        self.assertEqual(self.where(), where)

    def test_made_elsewhere_since(self):
        self.save(host="kvm-2")
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.stale("web is on kvm-1 now", ["kvm-1"])

    def test_made_elsewhere_between_look_and_lock(self):
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        definition = self.hv.path("state/web.xml")
        with open(definition, "w", encoding="utf-8") as file:
            file.write(self.hv.domain("web").XMLDesc())
        self.hv.give(definition)
        self.hv.domain("web").undefine()
        self.save(host="kvm-2")
        self.stale("web is on kvm-1 now", ["kvm-1"], RECONCILE_FAULT_AT="fleet: to be locked",
                   RECONCILE_FAULT_COMMAND=f"virsh -c '{self.hv.uri}' define {definition} >&2")

    def test_made_on_a_host_that_it_doesnt_know(self):
        kvm_1 = self.hosts.pop("kvm-1")
        self.save(host="kvm-2")
        self.hosts["kvm-1"] = kvm_1
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.stale("web was put on kvm-1", ["kvm-1"])

    def test_started_though_it_was_made_on_a_host_that_it_doesnt_know(self):
        """The older copy is as it was; it was given up meanwhile, and is back."""
        kvm_2 = self.hosts.pop("kvm-2")
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        machine = self.machine("web", host="kvm-1")
        machine["spec"]["powerState"] = "running"
        self.write(machine)
        self.plan("--plan-out", self.saved, status=2)
        self.hosts["kvm-1"]["fenced"] = True
        self.hosts["kvm-2"] = kvm_2
        self.write(self.machine("web", host="kvm-2"))
        self.apply()
        self.stale("web was put on kvm-2", ["kvm-1", "kvm-2"])
        self.assertFalse(self.hv.domain("web").isActive())

    def test_one_that_was_given_up_is_back(self):
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.hosts["kvm-1"]["fenced"] = True
        self.save(host="kvm-2")
        self.stale("web is on kvm-1 now", ["kvm-1"])
        self.hv.kill_daemon()
        self.hv.reconcile("--plan", self.saved, env=self.env, check=0)
        self.hv.restart_daemon()
        self.assertEqual(self.where(), ["kvm-1", "kvm-2"])

    def test_started_where_one_that_was_given_up_is_back(self):
        """It makes nothing, and starts a copy that was seen alone."""
        self.write(self.machine("web", host="kvm-2"))
        self.apply()
        self.hosts["kvm-1"]["fenced"] = True
        machine = self.machine("web", host="kvm-2")
        machine["spec"]["powerState"] = "running"
        self.write(machine)
        self.plan("--plan-out", self.saved, status=2)
        self.hv.conn.defineXML(self.other.domain("web").XMLDesc())
        self.edit_facts(self.hv, epoch=3)
        self.stale("web is on kvm-1 now", ["kvm-1", "kvm-2"])
        self.assertFalse(self.other.domain("web").isActive())
        self.hv.kill_daemon()
        self.hv.reconcile("--plan", self.saved, env=self.env, check=0)
        self.hv.restart_daemon()
        self.assertTrue(self.other.domain("web").isActive())

    def test_applied_again_after_it_was_killed(self):
        self.hosts["kvm-1"]["fenced"] = True
        self.save(host="kvm-2")
        self.hv.reconcile("--plan", self.saved, env={**self.env, "RECONCILE_FAULT_AT": "run: begun in the journal"}, check=-9)
        self.assertEqual(self.where(), [])
        self.hv.reconcile("--plan", self.saved, env=self.env, check=0)
        self.assertEqual(self.where(), ["kvm-2"])


    def test_the_source_wants_it_elsewhere_by_now(self):
        self.save(host="kvm-2")
        self.write(self.machine("web", host="kvm-1"))
        self.stale("it doesn't place VirtualMachine web as the plan was made", [])
        self.write(self.machine("db", host="kvm-2"))
        self.stale("it doesn't declare VirtualMachine web any more", [])
        self.hosts["kvm-2"]["uri"] = self.hv.uri
        del self.hosts["kvm-1"]
        self.write(self.machine("web", host="kvm-2"))
        self.stale("it declares the host kvm-2 at another address", [])

    def test_what_else_the_source_says_by_now_is_not_its_matter(self):
        self.save(host="kvm-2")
        machine = self.machine("web", host="kvm-2")
        machine["spec"]["title"] = "later"
        self.write(machine)
        self.hv.reconcile("--plan", self.saved, env=self.env, check=0)
        self.assertNotIn("later", self.other.domain("web").XMLDesc())
        self.assertEqual(self.where(), ["kvm-2"])


class Further(CopiesCase):
    def test_it_may_have_gone_on(self):
        """It went to kvm-2, is there no more, and kvm-3 can't be asked."""
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.edit_facts(self.hv, movingTo="kvm-2", arriving=True)
        self.hosts["kvm-3"] = {"uri": "qemu:///session?socket=/nonexistent/libvirt-sock"}
        self.labels["kvm-3"] = {}
        machine = self.machine("web", host="kvm-1")
        machine["spec"]["powerState"] = "running"
        self.write(machine)
        self.refused("a newer copy of it was made on kvm-2", "may run on kvm-3", where=["kvm-1"])
        self.assertFalse(self.hv.domain("web").isActive())
        self.hosts["kvm-3"]["fenced"] = True
        self.write(machine)
        self.assertIn("domain-start", [action["kind"] for action in self.plan(status=2)["actions"]])

    def newer_copy_is_gone(self, was_seen):
        """It was made anew on kvm-2 while kvm-1 was given up, and that host has lost it since."""
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.hosts["kvm-1"]["fenced"] = True
        self.write(self.machine("web", host="kvm-2"))
        self.apply()
        del self.hosts["kvm-1"]["fenced"]
        if was_seen:
            self.write(self.machine("web", host="kvm-2"))
            self.apply()
        self.other.domain("web").undefine()
        machine = self.machine("web", host="kvm-1")
        machine["spec"]["powerState"] = "running"
        self.write(machine)
        for _ in range(2):
            self.refused("a newer copy of it was put on kvm-2 and isn't there any more", "fenced: true", where=["kvm-1"])
        self.assertFalse(self.hv.domain("web").isActive())
        self.hosts["kvm-2"]["fenced"] = True
        self.write(machine)
        self.assertIn("domain-start", [action["kind"] for action in self.plan(status=2)["actions"]])

    def test_the_newer_copy_is_gone(self):
        self.newer_copy_is_gone(was_seen=False)

    def test_the_newer_copy_is_gone_that_was_seen(self):
        self.newer_copy_is_gone(was_seen=True)

    def test_a_move_that_is_tried_again_counts_more(self):
        """Than the copy that may have gone on, from where it goes now, to a host that is given up."""
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.edit_facts(self.hv, movingTo="kvm-2", arriving=True)
        self.hosts["kvm-3"] = {"uri": "qemu:///session?socket=/nonexistent/libvirt-sock", "fenced": True}
        self.labels["kvm-3"] = {}
        self.write(self.machine("web", host="kvm-2"))
        self.assertEqual([action["kind"] for action in self.apply()["actions"]][0], "move-undo")
        self.assertEqual(self.where(), ["kvm-2"])
        epoch = re.search(r"epoch[^0-9]+([0-9]+)", self.other.domain("web").XMLDesc())
        self.assertGreater(int(epoch[1]), 10 ** 9)  # the time
        self.plan(status=0)


class Elsewhere(CopiesCase):
    """Another controller has read a newer commit, which adds a host, and moved the machine there: it is on no host that the files as they
    were read here know of."""

    def setUp(self):
        super().setUp()
        self.newer = self.hv.path("newer.yaml")
        self.write(self.machine("web", host="kvm-2"))
        os.rename(self.hv.path("specs/all.yaml"), self.newer)
        del self.hosts["kvm-2"]
        self.write(self.machine("web", host="kvm-1"))
        self.apply()
        self.hv.domain("web").undefine()
        other = f"env -u RECONCILE_FAULT_AT -u RECONCILE_FAULT_COMMAND XDG_STATE_HOME={self.hv.path('state/other')} {lab.binary()}"
        specs = self.hv.path("specs")
        self.moves = f"mv {self.newer} {specs}/all.yaml && {other} {specs} >&2"
        self.vanishes = f"mv {specs}/all.yaml {self.newer}"

    def faults(self, command):
        return {**self.env, "RECONCILE_FAULT_AT": "fleet: to be locked", "RECONCILE_FAULT_COMMAND": command}

    def test_who_is_behind_does_not_make_it_again(self):
        result = self.hv.reconcile(self.hv.path("specs"), env=self.faults(self.moves), check=3)
        self.assertIn("the source has changed since it was read, and may want web elsewhere", result.stderr)
        self.assertEqual(self.where(), ["kvm-2"])
        self.apply()
        self.assertEqual(self.where(), ["kvm-2"])

    def test_nor_where_nobody_can_tell(self):
        result = self.hv.reconcile(self.hv.path("specs"), "-o", "json", env=self.faults(self.vanishes), check=1)
        self.assertIn("isn't made before it is certain that the source doesn't want it elsewhere", self.error(result.json()))
        self.assertEqual(self.where(), [])
        os.rename(self.newer, self.hv.path("specs/all.yaml"))

    def test_nor_is_it_made_by_a_saved_plan(self):
        saved = self.hv.path("plan.json")
        self.plan("--plan-out", saved, status=2)
        for env in (self.faults(self.moves), self.env):
            result = self.hv.reconcile("--plan", saved, env=env, check=3)
            self.assertIn("it declares the host kvm-2, which the plan has not looked at", result.stderr)
            self.assertEqual(self.where(), ["kvm-2"])

    def test_nor_by_one_whose_source_is_gone(self):
        saved = self.hv.path("plan.json")
        self.plan("--plan-out", saved, status=2)
        result = self.hv.reconcile("--plan", saved, env=self.faults(self.vanishes), check=3)
        self.assertIn("isn't made before it is certain that the source doesn't want it elsewhere", result.stderr)
        self.assertEqual(self.where(), [])
        os.rename(self.newer, self.hv.path("specs/all.yaml"))

    def configuration(self, **source):
        config = self.hv.path("service.yaml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"source": {"directory": self.hv.path("specs"), **source}, "stateDir": self.hv.path("state/service"),
                       "policy": {"hosts": [self.hv.uri, self.other.uri]}}, file)
        return config

    def test_a_run_with_a_configuration_asks_its_source(self):
        config = self.configuration()
        result = self.hv.reconcile("--config", config, env=self.faults(self.moves), check=3)
        self.assertIn("the source has changed since it was read, and may want web elsewhere", result.stderr)
        self.assertEqual(self.where(), ["kvm-2"])
        self.other.domain("web").undefine()
        self.hv.reconcile("--config", config, env=self.env, check=0)
        self.assertEqual(self.where(), ["kvm-2"])

    def test_so_does_a_saved_plan_with_one(self):
        """Its source has a name that is no place."""
        config, saved = self.configuration(name="fleet"), self.hv.path("plan.json")
        self.hv.reconcile("--dry-run", "--config", config, "--plan-out", saved, env=self.env, check=2)
        result = self.hv.reconcile("--config", config, "--plan", saved, env=self.faults(self.vanishes), check=3)
        self.assertIn("isn't made before it is certain that the source doesn't want it elsewhere", result.stderr)
        os.rename(self.newer, self.hv.path("specs/all.yaml"))
        self.assertEqual(self.where(), [])
        self.write(self.machine("web", host="kvm-1"))
        self.hv.reconcile("--config", config, "--plan", saved, env=self.env, check=0)
        self.assertEqual(self.where(), ["kvm-1"])

    def test_nor_does_a_service(self):
        config = self.configuration()
        result = self.hv.reconcile("serve", "--once", "--config", config, env=self.faults(self.moves), check=3)
        self.assertIn("the source has changed since it was read, and may want web elsewhere", result.stderr)
        self.assertEqual(self.where(), ["kvm-2"])
        self.hv.reconcile("serve", "--once", "--config", config, env=self.env, check=0)
        self.assertEqual(self.where(), ["kvm-2"])


class Choice(CopiesCase):
    def test_the_same_whatever_the_order(self):
        machines = [self.machine(f"m{i}", selector={"disk": "fast"}) for i in range(6)]
        self.write(*machines)
        self.apply()
        first = {each["metadata"]["name"]: self.where(each["metadata"]["name"]) for each in machines}
        self.assertEqual({host for hosts in first.values() for host in hosts}, {"kvm-1", "kvm-2"})
        for hv in self.both.values():
            hv.clear()
        hosts = [lab.document("Host", name, self.hosts[name], labels=self.labels[name]) for name in ("kvm-2", "kvm-1")]
        self.hv.write("all.yaml", *reversed(machines[:3]))
        self.hv.write("a/hosts.yaml", hosts[0])
        self.hv.write("z.yaml", *machines[3:], hosts[1])
        self.apply()
        self.assertEqual({name: self.where(name) for name in first}, first)

    def test_no_room_where_it_is_placed(self):
        for limits, fits in (({"cpus": 2}, True), ({"cpus": 1}, False), ({"memory": "64MiB"}, True), ({"memory": "63MiB"}, False)):
            with self.subTest(limits):
                self.hosts["kvm-1"]["limits"] = limits
                machine = self.machine("web", host="kvm-1")
                machine["spec"]["cpu"] = {"count": 2}
                self.write(machine)
                if fits:
                    self.plan(status=2)
                else:
                    limit, = limits
                    self.assertRegex(self.error(self.plan(status=1)), f"its host kvm-1 .*limits.{limit}")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
