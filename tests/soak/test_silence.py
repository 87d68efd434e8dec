#!/usr/bin/python3
"""A daemon that hangs for minutes while nothing happens: the service notices, says since when, and goes on with
one clean pass. (What has to be quick: tests/integration/test_serve_hang.py.)"""

import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
from service_case import TestCase, lab, libvirt, threads, wait_for  # noqa: E402
import chain_faults  # noqa: E402
from fleet_case import FleetCase  # noqa: E402


class Silence(TestCase):
    def threads(self, service):
        return len(os.listdir(f"/proc/{service.process.pid}/task"))

    def test_noticed_and_over(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service() as service:
            before = service.settle()
            os.kill(hv.daemon.pid, signal.SIGSTOP)
            try:
                begun = time.monotonic()
                service.wait_state(lambda state: state["noAnswerSince"], 90)
                print(f"noticed after {time.monotonic() - begun:.0f} s", file=sys.stderr)
                state = service.wait_state(lambda state: "no answer since" in (state["hostError"] or ""), 90)
                self.assertFalse(state["connected"])
                print(f"said after {time.monotonic() - begun:.0f} s: {state['hostError']}", file=sys.stderr)
                count = self.threads(service)
                time.sleep(60)
                self.assertLessEqual(self.threads(service), count, "threads pile up")
                self.assertEqual(service.log().count("no answer since"), 1, service.log())
            finally:
                os.kill(hv.daemon.pid, signal.SIGCONT)
            after = service.wait_state(lambda state: state["connected"] and not state["hostError"] and not state["noAnswerSince"], 10)
            self.assertEqual(service.settle()["passes"], after["passes"])
            self.assertEqual(after["lastApplied"], before["lastApplied"])
            service.wait_log("the hypervisor answers again")

    def test_in_each_pass(self):
        """While several calls wait, again and again: each pass ends, and nothing is left of it."""
        hv = self.hv
        for n in range(20):
            hv.define(f"more{n}")
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        hang = {"RECONCILE_PATIENCE": "1", "RECONCILE_FAULT_AT": f"observe: connected: {hv.uri}", "RECONCILE_FAULT_COMMAND": f"kill -STOP {hv.daemon.pid}"}
        counts = []
        try:
            with self.service(env=hang) as service:
                for n in range(6):
                    state = service.wait_state(lambda state, n=n: state["passes"] > n and not state["connected"] and state["noAnswerSince"])
                    names = threads(service.process)
                    self.assertEqual([name for name in names if name in ("work", "observe")], [])
                    counts.append(len(names))
                    self.assertRegex(str(state["hostError"]), "keepalive timeout|no answer since|was lost")
                    os.kill(hv.daemon.pid, signal.SIGCONT)
                self.assertLessEqual(counts[-1], counts[0] + 1, counts)
        finally:
            os.kill(hv.daemon.pid, signal.SIGCONT)
        hv.apply(hv.path("specs"))

    def test_a_single_run(self):
        specs = os.path.dirname(self.hv.write("all.yaml", self.hv.vm("web", powerState="stopped")))
        for arguments in ((), ("--dry-run",)):
            os.kill(self.hv.daemon.pid, signal.SIGSTOP)
            begun = time.monotonic()
            process = self.hv.start_reconcile(*arguments, specs)
            try:
                _, told = process.communicate(timeout=120)
            finally:
                os.kill(self.hv.daemon.pid, signal.SIGCONT)
            self.assertEqual(process.returncode, 1, told)
            self.assertIn("no answer since", told)
            lab.figure(f"a run at a silent daemon ended after {time.monotonic() - begun:.0f} s")
        # While it acts: the daemon answers the connection, and then nothing more.
        held, go = self.hv.path("state/held"), self.hv.path("state/go")
        command = f"touch {held}; while [ ! -e {go} ]; do sleep 0.05; done"
        process = self.hv.start_reconcile(specs,
                                          env={**self.hv.env, "RECONCILE_FAULT_AT": "run: begun in the journal", "RECONCILE_FAULT_COMMAND": command})
        wait_for(lambda: os.path.exists(held), "it doesn't act")
        os.kill(self.hv.daemon.pid, signal.SIGSTOP)
        try:
            with open(go, "w", encoding="utf-8"):
                pass
            _, told = process.communicate(timeout=120)
        finally:
            os.kill(self.hv.daemon.pid, signal.SIGCONT)
        self.assertEqual(process.returncode, 1, told)
        self.assertIn("no answer since", told)
        self.hv.apply(specs)


class Held(chain_faults.TestCase):
    def test_a_machine_that_libvirt_is_stuck_at(self):
        """Another call on it never ends: after libvirt's half a minute that is an error which says what helps."""
        scenario = chain_faults.CommitRunning()
        self.begin(scenario)
        self.write(2)
        with open(self.hv.path("run/libvirt/qemu/run/web.pid"), encoding="utf-8") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGSTOP)
        holder = subprocess.Popen(["virsh", "qemu-monitor-command", "web", "--hmp", "info status"], env=self.hv.env, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: self.hv.domain("web").controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, "the machine isn't held")
            begun = time.monotonic()
            result = self.hv.reconcile("--dry-run", self.hv.path("specs"))
            lab.figure(f"said after {time.monotonic() - begun:.0f} s")
            self.assertEqual(result.status, 1, result)
            self.assertRegex(result.stdout, "restart libvirtd|doesn't answer libvirt")
        finally:
            os.kill(pid, signal.SIGCONT)
            holder.wait()
        self.converge("a machine that was held")


class SilenceOfOne(TestCase):
    """Of two hosts one hangs."""

    def test_the_other_goes_on(self):
        hv, other = self.hv, self.hypervisor()
        self.addCleanup(other.stop)

        def write(title):
            hosts = [lab.document("Host", name, {"uri": host.uri}) for name, host in (("kvm-1", hv), ("kvm-2", other))]
            machines = [lab.document("VirtualMachine", name, {"type": "qemu", "powerState": "stopped", "memory": {"size": "64MiB"}, "title": title,
                                                              "placement": {"host": host}}) for name, host in (("a", "kvm-1"), ("b", "kvm-2"))]
            hv.write("all.yaml", *hosts, *machines)

        def title_is(host, name, title):
            try:
                return f"<title>{title}</title>" in host.domain(name).XMLDesc()
            except libvirt.libvirtError:
                return False

        write("one")
        with self.service(policy={"hosts": [hv.uri, other.uri]}, resync="1s", interval="200ms") as service:
            wait_for(lambda: title_is(hv, "a", "one") and title_is(other, "b", "one"), service.log)
            os.kill(other.daemon.pid, signal.SIGSTOP)
            try:
                service.wait_log("no answer since", 120)
                begun = time.monotonic()
                write("two")
                wait_for(lambda: title_is(hv, "a", "two"), service.log, 10)
                print(f"the other host's machine after {time.monotonic() - begun:.1f} s", file=sys.stderr)
                count, passes = len(os.listdir(f"/proc/{service.process.pid}/task")), service.state()["passes"]
                service.wait_state(lambda state: state["passes"] > passes + 5)
                self.assertLessEqual(len(os.listdir(f"/proc/{service.process.pid}/task")), count + 1, "threads pile up")
            finally:
                os.kill(other.daemon.pid, signal.SIGCONT)
            wait_for(lambda: title_is(other, "b", "two"), service.log, 30)


class SilenceWhileActing(FleetCase):
    def test_one_that_stops_to_answer_while_it_is_acted_on(self):
        """By several threads: the run ends, and what was for the other host is done."""
        names = [f"b{n}" for n in range(8)]
        self.write(self.machine("a", host="kvm-1"))
        self.apply()
        new = self.machine("a", host="kvm-1")
        new["spec"]["title"] = "new"
        self.write(new, *[self.machine(name, host="kvm-2") for name in names])
        silent = {"RECONCILE_PATIENCE": "1", "RECONCILE_FAULT_AT": "domain: defined#3", "RECONCILE_FAULT_COMMAND": f"kill -STOP {self.other.daemon.pid}"}
        begun = time.monotonic()
        try:
            result = self.hv.reconcile(self.hv.path("specs"), env={**self.env, **silent}, timeout=120)
        finally:
            os.kill(self.other.daemon.pid, signal.SIGCONT)
        lab.figure(f"patience 1 s, a run whose second host hangs while it acts: {time.monotonic() - begun:.1f} s")
        self.assertEqual(result.status, 1, str(result))
        self.assertRegex(str(result), "keepalive timeout|no answer since|was lost")
        self.assertIn("new", self.hv.domain("a").XMLDesc())
        self.apply()
        self.assertEqual(self.names(self.other), names)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
