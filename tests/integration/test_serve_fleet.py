#!/usr/bin/python3
"""The service over several hosts: each is listened to, and one that is gone or hangs stops its own machines only."""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import TestCase, lab, threads, wait_for  # noqa: E402


class Fleet(TestCase):
    """self.hv is kvm-1 and holds the specifications, self.other is kvm-2."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.hypervisor()
        cls.addClassCleanup(cls.other.stop)

    def setUp(self):
        self.homes = {"a": self.hv, "b": self.other}
        self.addCleanup(self.other.clear)

    def write(self, **more):
        """more: of b."""
        uris = {"kvm-1": self.hv.uri, "kvm-2": self.other.uri}
        hosts = [lab.document("Host", name, {"uri": uri}) for name, uri in uris.items()]
        spec = {"serials": None, "boot": None, "shutdown": {"timeout": "1s"}}
        self.hv.write("all.yaml", *hosts, self.hv.vm("a", **spec, placement={"host": "kvm-1"}),
                      self.hv.vm("b", **spec, placement={"host": "kvm-2"}, **more))

    def fleet_service(self, **config):
        # What isn't declared mustn't matter: there is no such connection.
        return self.service(policy={"hosts": [self.hv.uri, self.other.uri]}, connection="qemu:///session?socket=/nonexistent", **config)

    def runs(self, name):
        try:
            return bool(self.homes[name].domain(name).isActive())
        except lab.libvirt.libvirtError:
            return False

    def comes_back(self, service, name):
        begun = time.monotonic()
        self.homes[name].domain(name).destroy()
        wait_for(lambda: self.runs(name), service.log)
        return time.monotonic() - begun

    def test_each_is_listened_to(self):
        self.write()
        with self.fleet_service(resync="1d") as service:
            wait_for(lambda: self.runs("a") and self.runs("b"), service.log)
            state = service.settle()
            self.assertEqual({name: host["connected"] for name, host in state["hosts"].items()}, {"kvm-1": True, "kvm-2": True})
            took = self.comes_back(service, "b")
            lab.figure(f"destroyed by hand on the second of two hosts, running again after {took:.2f} s ({os.path.basename(os.path.dirname(lab.binary()))}, load {os.getloadavg()[0]:.0f})")
            self.comes_back(service, "a")
            passes = service.settle()["passes"]  # the locks that it takes wake nobody
            time.sleep(1)
            self.assertEqual(service.state()["passes"], passes)
            events = self.hv.reconcile("history", "--events", "--config", service.config_path, "-o", "json", check=0).json()["events"]
            self.assertIn((self.other.uri, "vm/b", "stopped (powered off)"), [(each["connection"], each["object"], each["detail"]) for each in events])
            self.assertNotIn("vm/reconcile-lock", [each["object"] for each in events])
            self.assertIn(self.other.uri, self.hv.reconcile("history", "--events", "--config", service.config_path, check=0).stdout)
            self.assertRegex(self.hv.reconcile("status", "--config", service.config_path, check=0).stdout, r"(?m)^  host +kvm-2$")
            runs = self.hv.reconcile("history", "--config", service.config_path, "-o", "json", check=0).json()["runs"]
            self.assertTrue(any("kvm-2/vm/b: lifecycle" in (run["cause"] or "") for run in runs), runs)

    def test_a_host_that_is_not_allowed_any_more(self):
        self.write()
        connection = {"connection": "qemu:///session?socket=/nonexistent"}
        with self.fleet_service() as service:
            wait_for(lambda: self.runs("a") and self.runs("b"), service.log)
            service.settle()
            service.reload(policy={"hosts": [self.hv.uri]}, **connection)
            service.wait_state(lambda state: "policy.hosts" in (state["hostError"] or ""))
            self.other.domain("b").destroy()
            service.wait_log("kvm-2/vm/b: lifecycle: stopped")
            time.sleep(1)
            self.assertFalse(self.runs("b"))
            service.reload(policy={"hosts": [self.hv.uri, self.other.uri]}, **connection)
            wait_for(lambda: self.runs("b"), service.log)
            service.wait_state(lambda state: not state["hostError"])

    def test_one_that_is_gone_and_one_that_hangs(self):
        self.write()
        with self.fleet_service(resync="1d") as service:
            wait_for(lambda: self.runs("a") and self.runs("b"), service.log)
            service.settle()
            self.other.kill_daemon()
            service.wait_state(lambda state: not state["hosts"]["kvm-2"]["connected"] and "host/kvm-2" in state["objects"])
            self.comes_back(service, "a")
            self.other.restart_daemon()
            service.wait_state(lambda state: state["hosts"]["kvm-2"]["connected"] and not state["objects"])
            service.wait_log("host/kvm-2: the error is over")
            self.comes_back(service, "b")  # it is listened to again
            service.settle()
            self.other.kill_daemon()
            self.other.restart_daemon()
            os.kill(self.other.daemon.pid, signal.SIGSTOP)  # it accepts connections
            try:
                service.wait_state(lambda state: not state["hosts"]["kvm-2"]["connected"] and state["hosts"]["kvm-2"]["noAnswerSince"])
                took = self.comes_back(service, "a")
                lab.figure(f"the same on the first one while the second hangs: {took:.2f} s")
                service.wait_state(lambda state: "no answer since" in state["objects"].get("host/kvm-2", {}).get("text", ""))
                self.assertEqual(len(re.findall("error host/kvm-2: cannot connect .*no answer since", service.log())), 1, service.log())
            finally:
                os.kill(self.other.daemon.pid, signal.SIGCONT)
            service.wait_state(lambda state: state["hosts"]["kvm-2"]["connected"] and not state["objects"])
            self.write(title="new")
            wait_for(lambda: "<title>new</title>" in self.other.domain("b").XMLDesc(), service.log)
            # A host that isn't declared any more is left alone, and one that is again is taken up.
            self.hv.write("all.yaml", lab.document("Host", "kvm-1", {"uri": self.hv.uri}),
                          self.hv.vm("a", serials=None, boot=None, placement={"host": "kvm-1"}))
            service.wait_state(lambda state: list(state["hosts"]) == ["kvm-1"] and not state["busy"])
            self.other.domain("b").destroy()
            service.settle()
            self.assertFalse(self.runs("b"))
            self.write(title="new")
            wait_for(lambda: self.runs("b"), service.log)

    def test_one_that_stops_to_answer_in_the_middle(self):
        """While several calls wait on its connection: the pass goes on without it."""
        self.write()
        self.hv.reconcile(self.hv.path("specs"), check=0)
        for n in range(20):
            self.other.define(f"more{n}")
        silent = {"RECONCILE_PATIENCE": "1", "RECONCILE_FAULT_AT": f"observe: connected: {self.other.uri}#1",
                  "RECONCILE_FAULT_COMMAND": f"kill -STOP {self.other.daemon.pid}"}
        try:
            with self.fleet_service(env=silent) as service:
                state = service.wait_state(lambda state: state["passes"] and not state["hosts"]["kvm-2"]["connected"] and "host/kvm-2" in state["objects"])
                self.assertRegex(state["objects"]["host/kvm-2"]["text"], "keepalive timeout|no answer since")
                service.wait_state(lambda state: "kvm-2/vm/b" in state["objects"])
                self.assertEqual([name for name in threads(service.process) if name in ("work", "observe")], [], "they wait on")
                self.comes_back(service, "a")
                os.kill(self.other.daemon.pid, signal.SIGCONT)
                service.wait_state(lambda state: state["hosts"]["kvm-2"]["connected"] and not state["objects"])
                self.comes_back(service, "b")
        finally:
            os.kill(self.other.daemon.pid, signal.SIGCONT)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
