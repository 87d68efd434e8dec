#!/usr/bin/python3
"""Random sequences over one machine and one disk: declared changes, snapshots made by hand, and kills of
reconcile and of libvirtd in the middle. It always ends as declared, and the disk holds what the guest wrote.

PROPERTY_SEED (default: the time) and PROPERTY_STEPS (default: 60) say which and how many."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

SEED = int(os.environ.get("PROPERTY_SEED", time.time()))
STEPS = int(os.environ.get("PROPERTY_STEPS", 60))
MIB = 1 << 20
PART = 16  # MiB that are compared: the disk as it was made; it may grow
MOST = 5   # layers that are made on top of the first


class Property(lab.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.snapshots = {}  # name → checksum of what it holds
        self.by_hand = []    # names, newest last
        self.size, self.power, self.revert = PART, "running", None
        self.chain = {}
        self.number = 0
        self.said = []

    def name(self, prefix):
        self.number += 1
        return f"{prefix}{self.number}"

    def declare(self):
        spec = {"disks": [{"target": "vda", "size": f"{self.size}MiB", "pool": "lab"}], "powerState": self.power,
                "snapshots": [{"name": name} for name in self.snapshots], "serials": self.hv.control_port("web"),
                "shutdown": {"timeout": "20s"}}
        if self.chain:
            spec["chain"] = self.chain
        if self.revert:
            spec["revert"] = self.revert
        self.hv.write("all.yaml", self.hv.pool(), self.hv.vm("web", "control", **spec))

    def state(self):
        """What is declared, to go back to when a change is refused."""
        return dict(self.snapshots), self.size, self.power, self.revert, dict(self.chain)

    def restore(self, state):
        self.snapshots, self.size, self.power, self.revert, self.chain = state

    # --- running the product, whole or killed ---

    def run_whole(self):
        return self.hv.reconcile("-o", "json", self.hv.path("specs"))

    def run_killed(self):
        """Killed at a place by chance, or libvirtd there; where there are fewer places, it ends by itself."""
        env = {**self.hv.env, "RECONCILE_FAULT_AT": str(self.random.randint(1, 30))}
        daemon = self.random.random() < 0.4
        if daemon:
            env["RECONCILE_FAULT_COMMAND"] = f"kill -9 {self.hv.daemon.pid}"
        result = self.hv.reconcile("-o", "json", self.hv.path("specs"), env=env)
        if daemon:
            self.hv.daemon.kill()
            self.hv.daemon.wait()
            self.hv.restart_daemon()
        return f"{'libvirtd' if daemon else 'reconcile'} at {env['RECONCILE_FAULT_AT']}: {result.status}"

    def settle(self, before):
        """Until a dry run is empty. A refused change is taken back: then all must be as before it."""
        self.declare()
        if self.random.random() < 0.5:
            self.said.append("  killed " + self.run_killed())
        for _ in range(4):
            result = self.run_whole()
            if result.status == 0:
                break
            self.said.append(f"  status {result.status}: {result.stdout[-1500:] if result.status == 1 else ''}{result.stderr[-300:]}")
        else:
            self.said.append("  refused")
            self.restore(before)
            self.declare()
            self.run_whole().check(0)
        plan = self.hv.plan(self.hv.path("specs"), status=0)
        self.assertEqual(plan["actions"], [])

    # --- what the disk holds ---

    def checksum(self):
        if self.power == "running":
            return self.hv.guest("web").do("sum", "vda", 0, PART)
        path = self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).split("<source file='")[1].split("'")[0]
        command = f"qemu-img convert -U -O raw '{path}' '{self.hv.path('whole')}' && head -c {PART * MIB} '{self.hv.path('whole')}' | sha256sum"
        return os.popen(command).read().split()[0]

    # --- steps: each changes what is declared or done, and what is expected ---

    def step_write(self):
        if self.power != "running":
            return
        place = self.random.randrange(PART)
        self.hv.guest("web").do("write", "vda", place, self.name("seed"))
        self.expected = self.checksum()

    def step_snapshot(self):
        if len(self.snapshots) + len(self.by_hand) < MOST:
            self.snapshots[self.name("declared")] = self.expected

    def step_forget(self):
        if self.snapshots:
            self.snapshots.pop(self.random.choice(sorted(self.snapshots)))

    def step_by_hand(self):
        if len(self.snapshots) + len(self.by_hand) >= MOST:
            return
        name = self.name("hand")
        self.hv.domain("web").snapshotCreateXML(f"<domainsnapshot><name>{name}</name></domainsnapshot>",
                                                libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        self.by_hand.append(name)

    def step_merge_by_hand(self):
        self.chain = {"handMade": "merge"} if not self.chain else {}

    def step_adopt(self):
        if self.by_hand and "handMade" not in self.chain:
            self.snapshots[self.by_hand.pop()] = None  # what it holds isn't known here

    def step_commit(self):
        self.chain = {"maxDepth": 2, "onExceed": self.random.choice(["commit", "flatten"])} if not self.chain else {}

    def step_grow(self):
        self.size += 8

    def step_power(self):
        self.power = "stopped" if self.power == "running" else "running"

    def step_revert(self):
        known = sorted(name for name, content in self.snapshots.items() if content)
        if known:
            to = self.random.choice(known)
            self.revert = {"to": to, "request": self.name("request"), "safety": self.random.random() < 0.5}
            self.reverting = self.snapshots[to]

    def one(self, step):
        before = self.state()
        self.reverting = None
        step()
        revert = self.revert
        self.settle(before)
        if self.reverting and self.revert is revert and "refused" not in self.said[-1]:
            self.expected = self.reverting
        left = {snapshot.getName() for snapshot in self.hv.domain("web").listAllSnapshots()}
        self.by_hand = [name for name in self.by_hand if name in left]
        self.assertEqual(set(self.snapshots) - left, set(), "declared snapshots")
        self.assertEqual(self.checksum(), self.expected)

    def leftovers(self):
        return [name for name in os.listdir(self.hv.path("pools/lab")) if name.endswith(".incomplete")]

    def test_it_ends_as_declared(self):
        self.declare()
        self.hv.apply(self.hv.path("specs"))
        self.expected = self.checksum()
        steps = [self.step_write] * 4 + [self.step_snapshot] * 3 + [
            self.step_forget, self.step_forget, self.step_by_hand, self.step_merge_by_hand, self.step_adopt, self.step_commit,
            self.step_grow, self.step_power, self.step_revert, self.step_revert]
        for number in range(STEPS):
            step = self.random.choice(steps)
            self.said.append(f"{number} {step.__name__} {self.state()}")
            try:
                self.one(step)
                self.assertEqual(self.leftovers(), [])
            except BaseException:
                print(f"PROPERTY_SEED={SEED}\n" + "\n".join(self.said[-40:]), file=sys.stderr)
                raise
        killed = sum("killed" in line for line in self.said)
        print(f"seed {SEED}: {STEPS} steps, {killed} of them interrupted, {sum('refused' in line for line in self.said)} refused", file=sys.stderr)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
