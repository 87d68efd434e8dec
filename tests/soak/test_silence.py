#!/usr/bin/python3
"""A daemon that hangs for minutes while nothing happens: the service notices, says since when, and goes on with
one clean pass. (What has to be quick: tests/integration/test_serve_hang.py.)"""

import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
from service_case import TestCase, lab  # noqa: E402


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


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
