#!/usr/bin/python3
"""The service keeps a host as its source says: what has it act, and what doesn't."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import TestCase, lab, wait_for  # noqa: E402


class Serve(TestCase):
    def test_events_resync_and_restarts_of_libvirtd(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web"), hv.vm("still", powerState="stopped", shutdown={"timeout": "3s", "retryInterval": "1s"}))
        with self.service() as service:
            self.wait_running("web")
            state = service.settle()
            self.assertEqual(state["objects"], {})
            self.assertTrue(state["connected"])

            hv.domain("web").destroy()
            started = time.monotonic()
            service.wait_log("vm/web: start: done", count=2)
            lab.figure(f"destroyed by hand, running again after {time.monotonic() - started:.2f} s ({os.path.basename(os.path.dirname(lab.binary()))}, load {os.getloadavg()[0]:.0f})")
            service.settle()

            hv.domain("still").setMetadata(lab.libvirt.VIR_DOMAIN_METADATA_TITLE, "by hand", None, None,
                                           lab.libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            hv.domain("still").create()
            wait_for(lambda: not self.is_running("still"), service.log)

            service.settle()  # what the service does itself ends in quiet
            passes = service.state()["passes"]
            time.sleep(1.5)
            self.assertEqual(service.state()["passes"], passes)

            hv.kill_daemon()
            service.wait_state(lambda state: not state["connected"])
            hv.restart_daemon()
            service.wait_state(lambda state: state["connected"] and not state["hostError"])
            hv.domain("web").destroy()
            service.wait_log("vm/web: start: done", count=3)

    def test_a_bad_object_waits_and_others_go_on(self):
        hv = self.hv
        disk = [{"target": "vda", "path": hv.path("no-such-file"), "format": "raw"}]
        hv.write("bad.yaml", hv.vm("bad", disks=disk))
        hv.write("good.yaml", hv.vm("good", powerState="stopped"))
        with self.service() as service:
            service.wait_state(lambda state: "vm/bad" in state["objects"] and "vm/bad" in state["waiting"])
            wait_for(lambda: self.exists("good"), service.log)
            hv.domain("good").undefine()  # drift of the other one is mended while this one waits
            wait_for(lambda: self.exists("good"), service.log)
            state = service.wait_state(lambda state: state["waiting"].get("vm/bad", {}).get("failures", 0) >= 2)
            self.assertEqual(list(state["waiting"]), ["vm/bad"])
            self.assertEqual(service.log().count("error vm/bad"), service.log().count("failed:"), "an error is told once")
            hv.write("bad.yaml", hv.vm("bad"))  # a new declaration is tried at once
            self.wait_running("bad")
            service.wait_state(lambda state: not state["objects"] and not state["waiting"])

    def exists(self, name):
        return name in [each.name() for each in self.hv.conn.listAllDomains()]

    def test_who_fights_with_it_is_left_alone_after_a_while(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", boot=None))  # no system: whoever stops it is this test
        with self.service() as service:
            for n in range(1, 5):
                wait_for(lambda: service.log().count("vm/web: start: done") >= n or (service.state() or {}).get("waiting"), service.log)
                if service.log().count("vm/web: start: done") >= n:
                    hv.domain("web").destroy()
            state = service.wait_state(lambda state: "vm/web" in state["waiting"] and "vm/web" in state["objects"])
            self.assertIn("again and again", state["objects"]["vm/web"]["text"])

    def test_it_ends_in_time_and_goes_on_later(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", "ignorepower"))
        with self.service() as service:
            self.wait_running("web")
            hv.guest("web").wait_heartbeat()
            hv.write("all.yaml", hv.vm("web", "ignorepower", powerState="stopped", shutdown={"timeout": "600s", "force": False}))
            service.wait_log("shut down, waiting up to 600 s without powering off ...")
            started = time.monotonic()
            self.assertEqual(service.stop(), 0)
            print(f"stopped after {time.monotonic() - started:.2f} s", file=sys.stderr)
            self.assertTrue(self.is_running("web"))
        with self.service() as service:
            service.wait_log("shut down, waiting up to 600 s without powering off ...")
            service.kill()
        hv.write("all.yaml", hv.vm("web", "ignorepower", powerState="stopped", shutdown={"timeout": "1s", "force": True}))
        with self.service() as service:
            service.wait_log("shut down, waiting up to 600 s without powering off: was interrupted")
            wait_for(lambda: not self.is_running("web"), service.log)
        runs = hv.reconcile("history", "--state-dir", hv.path("state/service"), "-o", "json", check=0).json()["runs"]
        self.assertIn("interrupted", [run["summary"] for run in runs])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
