#!/usr/bin/python3
"""A hypervisor's daemon that hangs: the service answers and ends meanwhile, a single run ends, and all goes on
when the daemon does. (How long it takes until the silence is noticed: tests/soak/test_silence.py.)"""

import contextlib
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import TestCase, lab, threads, wait_for  # noqa: E402

PROMPTLY = 20  # 4.5 s, on a machine that has other things to do


def used(process):
    """Seconds of CPU."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        return sum(int(each) for each in file.read().rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")


class Hang(TestCase):
    @contextlib.contextmanager
    def hanging(self):
        os.kill(self.hv.daemon.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.hv.daemon.pid, signal.SIGCONT)
            self.hv.mend_daemon()

    def test_while_it_connects(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.hanging():
            with self.service() as service:
                state = service.wait_state(lambda state: state["noAnswerSince"])
                self.assertTrue(state["busy"])
                self.assertEqual(service.stop(PROMPTLY), 0)
            with self.service() as service:
                service.wait_state(lambda state: state["noAnswerSince"])
                os.kill(hv.daemon.pid, signal.SIGCONT)
                state = service.wait_state(lambda state: state["passes"] and not state["busy"] and not state["noAnswerSince"])
                self.assertIsNone(state["hostError"])
                self.assertEqual([each.name() for each in hv.conn.listAllDomains()], ["web"])

    def test_it_is_gone_at_the_start(self):
        """The service waits for it, without pass after pass."""
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        hv.daemon.kill()
        hv.daemon.wait()
        try:
            with self.service() as service:
                service.wait_log("cannot connect")
                time.sleep(1)
                before = used(service.process)
                time.sleep(3)
                self.assertLess(used(service.process) - before, 1.5, "it is busy though nothing happens")
                hv.restart_daemon()
                service.wait_state(lambda state: state["passes"] and not state["busy"] and not state["hostError"])
                self.assertEqual([each.name() for each in hv.conn.listAllDomains()], ["web"])
        finally:
            if hv.daemon.poll() is not None:
                hv.restart_daemon()

    def test_in_a_pass_and_idle(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service(metrics={"listen": "unix:" + hv.path("run/metrics")}) as service:
            service.settle()
            passes = service.state()["passes"]
            with self.hanging():
                service.ask("trigger")
                service.wait_state(lambda state: state["passSince"])
                hv.write("all.yaml", hv.vm("web", powerState="stopped", title="new"))
                service.wait_log("objects are declared", count=2)  # it reads on
                self.assertEqual(service.state()["passes"], passes)
            wait_for(lambda: "<title>new</title>" in hv.domain("web").XMLDesc(), service.log)
            service.settle()
            self.assertEqual(service.log().count(" error "), 0, service.log())
            with self.hanging():  # nothing is under way
                self.assertEqual(service.stop(PROMPTLY), 0)
        with self.service() as service:
            service.settle()
            with self.hanging():
                service.ask("trigger")
                service.wait_state(lambda state: state["passSince"])
                self.assertEqual(service.stop(PROMPTLY), 0)

    def test_in_the_middle_of_an_action(self):
        """What was begun is written down, and the next run goes on from there."""
        hv = self.hv
        hv.write("all.yaml", hv.vm("web"))
        hang = {"RECONCILE_FAULT_AT": "domain: defined", "RECONCILE_FAULT_COMMAND": f"kill -STOP {hv.daemon.pid}"}
        try:
            with self.service(env=hang) as service:
                service.wait_log("vm/web: start ...")
                self.assertEqual(service.stop(PROMPTLY), 0)
                self.assertIn("is left to the next run", service.log())
        finally:
            os.kill(hv.daemon.pid, signal.SIGCONT)
            hv.mend_daemon()
        [run] = hv.reconcile("history", "-o", "json", "--state-dir", hv.path("state/service"), check=0).json()["runs"]
        self.assertIsNone(run["ended"])
        with self.service() as service:
            service.wait_log("was interrupted; the host is looked at")
            self.wait_running("web")

    def test_a_single_run(self):
        hv = self.hv
        specs = os.path.dirname(hv.write("all.yaml", hv.vm("web", powerState="stopped")))
        with self.hanging():
            process = hv.start_reconcile(specs)
            wait_for(lambda: "connect" in threads(process), "it doesn't connect")
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)  # the daemon hangs for as long as this waits
            self.assertEqual(process.returncode, 128 + signal.SIGINT, told)
            self.assertIn("doesn't end in time", told)
        hv.apply(specs)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
