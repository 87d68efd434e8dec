#!/usr/bin/python3
"""What the service may do, when, and who else may: policy, suspension, windows, budgets, locks."""

import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import Service, TestCase, lab, wait_for  # noqa: E402
import git_lab  # noqa: E402


class ServeRules(TestCase):
    def exists(self, name):
        return name in [each.name() for each in self.hv.conn.listAllDomains()]

    def test_policy_suspension_and_reload(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("small", powerState="stopped"), hv.vm("large", powerState="stopped", cpu={"count": 4}),
                 hv.vm("held", powerState="stopped", metadata={"annotations": {"reconcile.dev/suspend": "true"}}))
        with self.service(policy={"maxCpus": 2, "paths": [hv.path("")]}) as service:
            state = service.wait_state(lambda state: {"vm/large", "vm/held"} <= set(state["objects"]))
            self.assertIn("policy.maxCpus: 2", state["objects"]["vm/large"]["text"])
            self.assertEqual(state["objects"]["vm/held"]["state"], "suspended")
            wait_for(lambda: [d.name() for d in hv.conn.listAllDomains()] == ["small"], service.log)
            service.reload(policy={"maxCpus": 4}, suspend=True)
            state = service.wait_state(lambda state: state["suspended"] and state["objects"].get("vm/large", {}).get("state") == "suspended")
            self.assertFalse(self.exists("large"))
            with open(service.config_path, "a", encoding="utf-8") as file:
                file.write("nonsense: 1\n")
            service.process.send_signal(signal.SIGHUP)
            service.wait_log("the former one stays in force")
            service.reload(policy={"maxCpus": 4})
            wait_for(lambda: self.exists("large"), service.log)
            self.assertFalse(self.exists("held"))

    def test_what_a_reload_does_not_move(self):
        """Another state directory isn't locked, and another connection isn't open: both wait for a restart. A socket that can't be
        made leaves the former one."""
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        repository = git_lab.Repository(hv.path("repository"))
        self.addCleanup(shutil.rmtree, hv.path("repository"))
        repository.write("db.yaml", lab.yaml.safe_dump(hv.vm("db", powerState="stopped")))
        repository.commit()
        with self.service() as service:
            wait_for(lambda: self.exists("web"), service.log)
            os.mkdir(hv.path("in-the-way"))
            self.addCleanup(os.rmdir, hv.path("in-the-way"))
            service.reload(stateDir=hv.path("state/other"), socket=hv.path("in-the-way"), source={"git": {"url": repository.url}})
            wait_for(lambda: self.exists("db"), service.log)
            self.assertIn("changed by a restart of the service only", service.log())
            self.assertEqual(service.settle()["stateDir"], hv.path("state/service"))  # by the former socket
            self.assertFalse(os.path.exists(hv.path("state/other")))
            self.assertTrue(os.listdir(hv.path("state/service/mirrors")))

    def test_restarts_wait_for_their_window(self):
        hv = self.hv
        hour = time.gmtime(time.time() + 7200).tm_hour
        window = {"name": "later", "from": f"{hour:02}:00", "to": f"{hour:02}:59", "timezone": "UTC", "impacts": ["restart"]}
        hv.write("all.yaml", hv.vm("web", updatePolicy={"restart": "allowed"}))
        with self.service(windows=[window]) as service:
            self.wait_running("web")
            hv.guest("web").wait_heartbeat()
            hv.write("all.yaml", hv.vm("web", updatePolicy={"restart": "allowed"}, cpu={"count": 1, "max": 2}, title="new",
                                       shutdown={"timeout": "10s", "retryInterval": "1s"}))
            state = service.wait_state(lambda state: "vm/web" in state["objects"])
            self.assertEqual(state["objects"]["vm/web"]["state"], "window")
            self.assertIn("waits for window later until", state["objects"]["vm/web"]["text"])
            self.assertEqual(state["pendingRestart"], 1)
            self.assertIn("<title>new</title>", hv.domain("web").XMLDesc())  # what needs no window is done
            service.reload()  # no windows any more
            service.wait_log("vm/web: start again: done")
            service.wait_state(lambda state: not state["objects"])
            self.assertEqual(hv.domain("web").maxVcpus(), 2)

    def test_only_one_writes(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service() as service:
            service.wait_state(lambda state: state["passes"] > 0)
            second = Service(hv)
            self.assertEqual(second.process.wait(30), 1)
            self.assertIn(f"in use by process {service.process.pid}", second.log())
            single = hv.reconcile("--state-dir", hv.path("state/service"), hv.path("specs"), check=1)
            self.assertIn(f"in use by process {service.process.pid}", single.stderr)
            history = hv.reconcile("history", "--state-dir", hv.path("state/service"), "-o", "json", check=0).json()
            self.assertEqual(history["runs"][0]["result"], "applied")
            service.kill()
            with open(hv.path("state/service/journal.db"), "r+b") as file:
                file.write(b"nothing that is a database" * 40)
            os.unlink(hv.path("state/service/journal.db-wal"))
        with self.service() as service:
            service.wait_state(lambda state: state["passes"] > 0)
            self.assertIn("is corrupt", service.log())

    def test_runs_with_other_journals_keep_out_of_the_way(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", "ignorepower"))
        hv.apply(hv.path("specs"))
        hv.guest("web").wait_heartbeat()
        hv.write("all.yaml", hv.vm("web", "ignorepower", powerState="stopped", shutdown={"timeout": "600s", "force": False}))
        first = hv.start_reconcile("--state-dir", hv.path("state/one"), hv.path("specs"))
        try:
            wait_for(lambda: "shut down" in hv.reconcile("history", "-v", "--state-dir", hv.path("state/one")).stdout, "it doesn't begin")
            second = hv.reconcile("--state-dir", hv.path("state/two"), hv.path("specs"), check=1)
            self.assertIn(f"{hv.uri} is in use by process {first.pid}", second.stderr)
        finally:
            first.send_signal(signal.SIGTERM)
            first.communicate()

    def test_a_single_run_with_the_configuration(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("small", powerState="stopped"), hv.vm("large", powerState="stopped", cpu={"count": 4}))
        once = Service(hv, "--once", policy={"maxCpus": 2}, source={"directory": hv.path("specs"), "name": "ours"})
        self.assertEqual(once.process.wait(60), 1, once.log())
        hv.domain("small").undefine()
        result = hv.reconcile("--config", once.config_path, "-o", "json", check=1).json()
        objects = {each["name"]: each for each in result["objects"]}
        self.assertIn("policy.maxCpus", objects["large"]["error"])
        self.assertTrue(self.exists("small"))
        self.assertFalse(self.exists("large"))
        hv.apply("--config", once.config_path, hv.write("one.yaml", hv.vm("small", powerState="stopped")))

    def test_once_and_trigger(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        once = Service(hv, "--once")
        self.assertEqual(once.process.wait(60), 0, once.log())
        self.assertTrue(self.exists("web"))
        os.unlink(hv.path("specs/all.yaml"))
        once = Service(hv, "--once")
        self.assertEqual(once.process.wait(60), 1, once.log())
        self.assertIn("nothing declared", once.log())
        self.assertTrue(self.exists("web"))
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service() as service:
            passes = service.settle()["passes"]
            service.trigger()
            service.wait_state(lambda state: state["passes"] > passes)
            self.assertEqual(service.ask("dance"), {"error": "the commands are status and trigger"})
            status = hv.reconcile("status", "-o", "json", check=0).json()
            self.assertEqual(status["service"]["pid"], service.process.pid)
        self.assertIsNone(hv.reconcile("status", "-o", "json", check=0).json()["service"])

    def test_orphans_go_only_within_the_budget(self):
        hv = self.hv
        machines = [hv.vm(f"m{n}", powerState="stopped") for n in range(5)]
        hv.write("all.yaml", *machines)
        with self.service(prune={"enabled": True, "limit": 30}) as service:
            wait_for(lambda: len(hv.conn.listAllDomains()) == 5, service.log)
            hv.write("all.yaml", *machines[:2])
            service.wait_log("this run would delete 3 of the 5 machines")
            self.assertEqual(len(hv.conn.listAllDomains()), 5)
            hv.write("all.yaml", *machines[:4])
            wait_for(lambda: len(hv.conn.listAllDomains()) == 4, service.log)
            service.settle()
            hv.write("all.yaml", *machines[:3])  # one by one, it is as many
            service.wait_log("after 1 within the last 24 hours")
            service.settle()
            self.assertEqual(len(hv.conn.listAllDomains()), 4)
        with self.service(prune={"enabled": True, "limit": 60}) as service:  # a restart forgets nothing, the administrator may
            wait_for(lambda: len(hv.conn.listAllDomains()) == 3, service.log)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
