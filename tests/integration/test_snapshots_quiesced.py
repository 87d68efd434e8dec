#!/usr/bin/python3
"""Snapshots of a guest with a real agent: its ext4 is frozen for the moment, and clean in what the snapshot
holds; an agent that doesn't answer, and a snapshot that fails, leave nothing frozen."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab  # noqa: E402
from snapshot_case import SnapshotCase  # noqa: E402


class Quiesced(SnapshotCase):
    def setUp(self):
        self.hv.make_directory("pools", "lab")
        data = self.path("data.raw")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", data, "16M"], check=True, env=self.hv.env)
        self.hv.give(data)
        self.options = {"disks": [{"target": "vda", "pool": "lab", "size": "8MiB"}, {"target": "vdb", "path": data, "format": "raw"}]}

    def declare(self, *names, **more):
        self.options.update(more)
        snapshots = [name if isinstance(name, dict) else {"name": name} for name in names]
        spec = {**self.options, **({"snapshots": snapshots} if snapshots else {})}
        self.hv.write("all.yaml", self.hv.pool(), self.hv.agent_vm("web", "control", serials=self.hv.control_port("web"), **spec))

    def up(self):
        self.apply()
        self.guest.do("run", "until mount | grep -q /mnt; do sleep 0.1; done")
        self.wait_agent()

    def wait_agent(self):
        deadline = time.monotonic() + 120
        while "state='connected'" not in self.domain.XMLDesc():
            self.assertLess(time.monotonic(), deadline, "the agent's channel doesn't connect")
            time.sleep(0.1)

    def is_clean(self, name, fmt):
        """Whether the frozen layer's file system needs no recovery."""
        raw = self.hv.path("state/frozen.raw")
        subprocess.run(["qemu-img", "convert", "-U", "-f", fmt, "-O", "raw", self.path(name), raw], check=True)
        features = subprocess.run(["dumpe2fs", "-h", raw], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
                                  env=self.hv.env).stdout
        return "needs_recovery" not in features

    def written(self, name, fmt, text):
        with open(self.hv.path("state/frozen.raw"), "rb") as file:
            return text.encode() in file.read()

    def not_frozen(self):
        self.assertEqual(self.guest.do("run", "echo after >/mnt/after && sync", timeout=20), "0")

    def test_frozen_for_the_moment(self):
        self.up()
        self.guest.do("run", "echo before-the-snapshot >/mnt/file")  # in the guest's memory alone
        with self.guest.keeps_beating():
            result = self.apply({"name": "one", "quiesce": "required"})
        self.assertIn("quiesced", json.dumps(result["results"]))
        self.assertEqual(self.facts()["one"]["consistency"], "quiesced")
        self.assertTrue(self.is_clean("data.raw", "raw"))
        self.assertTrue(self.written("data.raw", "raw", "before-the-snapshot"))
        self.not_frozen()
        result = self.apply({"name": "one", "quiesce": "required"}, {"name": "two", "quiesce": "never"})
        self.assertEqual(self.facts()["two"]["consistency"], "crash")

    def test_export_is_frozen_for_its_moment(self):
        self.up()
        self.guest.do("run", "echo before-the-export >/mnt/file")  # in the guest's memory alone
        with self.guest.keeps_beating():
            result = self.apply(exports=[{"name": "export", "disk": "vdb", "to": "lab", "format": "raw"}])
        self.assertIn("export.raw is quiesced: the guest's file systems were frozen at its moment", json.dumps(result["results"]))
        self.assertTrue(self.is_clean("export.raw", "raw"))
        self.assertTrue(self.written("export.raw", "raw", "before-the-export"))
        self.not_frozen()

    def test_an_agent_that_does_not_answer(self):
        self.up()
        self.guest.do("run", "killall -STOP qemu-ga")
        result = self.apply("auto")
        self.assertEqual(self.facts()["auto"]["consistency"], "crash")
        self.assertIn("weren't frozen", json.dumps(result["results"]))
        self.declare("auto", {"name": "must", "quiesce": "required"})
        result = self.hv.reconcile(self.hv.path("specs"))
        self.assertNotEqual(result.status, 0)
        self.assertEqual(self.snapshots(), ["auto"])
        self.guest.do("run", "killall -CONT qemu-ga")
        self.not_frozen()
        self.apply("auto", {"name": "must", "quiesce": "required"})
        self.assertEqual(self.facts()["must"]["consistency"], "quiesced")
        self.not_frozen()

    def test_no_agent_any_more(self):
        self.up()
        self.guest.do("run", "killall qemu-ga")
        while "state='connected'" in self.domain.XMLDesc():
            time.sleep(0.1)
        self.declare({"name": "must", "quiesce": "required"})
        result = self.hv.reconcile(self.hv.path("specs"))
        self.assertNotEqual(result.status, 0)
        self.assertIn("no agent answers", result.stdout + result.stderr)
        self.assertEqual((self.snapshots(), self.facts()), ([], {}))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
