#!/usr/bin/python3
"""Killed at any moment, it goes on next time: SIGKILL of reconcile, and of libvirtd, spread
over the whole length of an apply that creates, changes, attaches, grows and removes.

KILL_ROUNDS (60) kills of each. After each: the next run ends well, a further dry run has
nothing to do, no marker of a half-made volume is left, no base has changed, and the machines'
disks hold what was written to them before."""

import glob
import hashlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

ROUNDS = int(os.environ.get("KILL_ROUNDS", "60"))
PATTERN = b"written before the kill\n" * 4096


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Kill(lab.TestCase):
    def documents(self, step):
        """A sequence of states that differ in many ways; step picks one."""
        hv = self.hv
        disks = [{"target": "vda", "image": "base", "pool": "lab", "size": f"{128 + 16 * step}MiB"},
                 {"target": "vdb", "pool": "lab", "size": "16MiB", "format": "raw"}]
        if step % 2:
            disks.append({"target": "vdc", "pool": "lab", "size": "8MiB"})
        result = [hv.pool(), hv.image(),
                  hv.vm("web", boot=None, disks=disks, memory={"size": f"{96 + 16 * (step % 3)}MiB", "max": "256MiB"},
                        title=f"step {step}"),
                  hv.vm("kept", powerState="stopped", description=f"step {step}",
                        disks=[{"target": "vda", "image": "base", "pool": "lab", "provision": "copy"}])]
        if step % 3 == 0:
            result.append(hv.vm("passing", powerState="stopped", disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}]))
        return result

    def write_step(self, step):
        self.hv.write("all.yaml", *self.documents(step))

    def options(self):
        return ["--prune", "--prune-limit", "50", "--allow", "restart,data-loss", self.hv.path("specs")]

    def base_digests(self):
        return {path: digest(path) for path in glob.glob(self.hv.path("pools/lab/sha256-*.qcow2"))}

    def length(self, step):
        """How long an apply of this step takes, unkilled."""
        self.write_step(step)
        start = time.monotonic()
        self.hv.apply(*self.options())
        return time.monotonic() - start

    def check_converged(self, step, bases):
        result = self.hv.reconcile(*self.options())
        if result.status != 0:  # what was under way at the kill may still end
            time.sleep(3)
            result = self.hv.reconcile(*self.options())
        self.assertEqual(result.status, 0, str(result))
        plan = self.hv.plan(*self.options(), status=0)
        self.assertEqual(plan["actions"], [])
        self.assertEqual(glob.glob(self.hv.path("pools/lab/*.incomplete")), [])
        for path, found in self.base_digests().items():
            self.assertEqual(bases.setdefault(path, found), found, f"{path} changed at step {step}")
        for path in glob.glob(self.hv.path("pools/lab/sha256-*.qcow2")):
            subprocess.run(["qemu-img", "check", "-q", path], check=True)
        with open(self.hv.path("pools/lab/web-vdb.raw"), "rb") as file:
            self.assertEqual(file.read(len(PATTERN)), PATTERN, f"the disk's content is lost at step {step}")

    def prepare(self):
        self.length(0)
        self.hv.guest("web").wait_heartbeat()  # unplugging and ballooning need the guest
        longest = self.length(1)
        with open(self.hv.path("pools/lab/web-vdb.raw"), "r+b") as file:
            file.write(PATTERN)
        return longest

    def rounds(self, kill):
        budget = lab.Budget()
        longest, bases = self.prepare(), {}
        step = 1
        for _ in budget.rounds(ROUNDS):
            step += 1
            self.write_step(step)
            process = self.hv.start_reconcile(*self.options())
            time.sleep(budget.random.uniform(0, longest * 1.2))
            kill(process)
            process.communicate()
            self.check_converged(step, bases)
        lab.figure(f"{self._testMethodName}: {step - 1} kills{budget.told()}")

    def test_kill_reconcile(self):
        self.rounds(lambda process: process.send_signal(signal.SIGKILL))

    def test_kill_while_creating(self):
        """From nothing, with the import of the image."""
        budget, bases, kills = lab.Budget(), {}, 0
        for _ in budget.rounds(ROUNDS // 3):
            kills += 1
            self.write_step(0)
            process = self.hv.start_reconcile(*self.options())
            time.sleep(budget.random.uniform(0, 1.5))
            process.kill()
            process.communicate()
            self.hv.apply(*self.options())
            self.assertEqual(self.hv.plan(*self.options(), status=0)["actions"], [])
            for path, found in self.base_digests().items():
                self.assertEqual(bases.setdefault(path, found), found)
            self.clear_all()
        lab.figure(f"{self._testMethodName}: {kills} kills{budget.told()}")

    def clear_all(self):
        self.hv.clear()
        for path in glob.glob(self.hv.path("pools/lab/*")):
            os.unlink(path)

    def test_kill_libvirtd(self):
        def kill(process):
            self.hv.kill_daemon()
            process.wait(60)
            self.hv.restart_daemon()
        self.rounds(kill)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
