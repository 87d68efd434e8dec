#!/usr/bin/python3
"""Snapshots by the clock, which is injected; and without space."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from snapshot_case import SnapshotCase, brief, lab  # noqa: E402


class ByTheClock(SnapshotCase):
    def at(self, when):
        """Applies at that moment; a second run a minute later has nothing to do."""
        self.declare(snapshotPolicy={"every": "1h", "keep": 2, "prefix": "hourly"})
        for moment, status in ((when, 0), (when + 60, 0)):
            result = self.hv.reconcile("-o", "json", self.hv.path("specs"), env={**self.hv.env, "RECONCILE_NOW": str(moment)})
            self.assertEqual(result.status, status, brief(result))
        self.assertEqual(result.json()["actions"], [])
        return self.snapshots()

    def test_taken_and_removed(self):
        self.apply()
        self.guest.do("write", "vda", 1, "first")
        now, start = self.guest.do("sum", "vda"), 1768000000
        self.assertEqual(self.at(start), ["hourly-20260109T230640Z"])
        self.assertEqual(self.facts()["hourly-20260109T230640Z"]["origin"], "policy")
        self.at(start + 3600)
        recorder = self.recorder()
        with self.guest.keeps_beating(max_gap=15):
            self.assertEqual(self.at(start + 5 * 3600), ["hourly-20260110T000640Z", "hourly-20260110T040640Z"])  # missed ones once
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertEqual(len(self.chain("web-vda.hourly-20260110T040640Z.qcow2")), 3)
        self.assertEqual(self.at(start + 5 * 3600 - 120), ["hourly-20260110T000640Z", "hourly-20260110T040640Z"])  # the clock went back
        self.assertEqual(self.guest.do("sum", "vda"), now)
        policy = {"every": "1h", "keep": 2, "prefix": "hourly", "quiesce": "required"}
        self.declare(snapshotPolicy=policy)  # and the guest has no agent
        result = self.hv.reconcile(self.hv.path("specs"), check=3, env={**self.hv.env, "RECONCILE_NOW": str(start + 7 * 3600)})
        self.assertIn("agent", result.stdout + result.stderr)
        self.assertEqual(self.snapshots(), ["hourly-20260110T000640Z", "hourly-20260110T040640Z"])
        self.options.pop("snapshotPolicy")
        self.apply()
        self.assertEqual((self.snapshots(), self.files()), ([], ["web-vda.qcow2"]))
        self.assertEqual(self.guest.do("sum", "vda"), now)


    def test_taken_and_removed_while_off(self):
        self.apply(powerState="stopped")
        subprocess.run(["qemu-io", "-c", "write -q -P 7 0 64k", self.path("web-vda.qcow2")], check=True)
        content, start = self.content("web-vda.qcow2"), 1768000000
        for hours, expected in ((0, ["hourly-20260109T230640Z"]), (1, ["hourly-20260109T230640Z", "hourly-20260110T000640Z"]),
                                (2, ["hourly-20260110T000640Z", "hourly-20260110T010640Z"])):
            self.assertEqual(self.at(start + hours * 3600), expected)
            top = self.sources()["vda"]
            self.assertEqual((top, self.content(top)), (f"web-vda.{expected[-1]}.qcow2", content))
        self.assertEqual({fact["consistency"] for fact in self.facts().values()}, {"stopped"})
        self.options.pop("snapshotPolicy")
        self.apply()
        self.assertEqual((self.snapshots(), self.files(), self.content("web-vda.qcow2")), ([], ["web-vda.qcow2"], content))


class NoSpace(SnapshotCase):
    def test_memory_does_not_fit(self):
        """Refused up front, or, where the space went meanwhile, the machine runs on as it was."""
        self.hv.small_disk("lab", "40M")
        self.apply()
        self.guest.wait_heartbeat()
        self.declare({"name": "one", "memory": True})
        result = self.hv.reconcile(self.hv.path("specs"), check=3)
        self.assertIn("make room", result.stderr)
        self.guest.wait_heartbeat(2)
        self.assertEqual((self.snapshots(), self.facts(), self.files()), ([], {}, ["web-vda.qcow2"]))
        result = self.hv.reconcile("--allow", "overcommit", self.hv.path("specs"))
        self.assertEqual(result.status, 1, str(result))
        self.guest.wait_heartbeat(2)
        self.assertEqual((self.snapshots(), self.facts(), self.sources()), ([], {}, {"vda": "web-vda.qcow2"}))
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.apply("one")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
