#!/usr/bin/python3
"""Random sequences over one machine and one disk: declared changes (snapshots, going back, merging, growth, another format,
exports, power), what people do meanwhile (snapshots, block jobs), and kills of reconcile, of libvirtd and of both in the
middle. It always ends as declared, the disk holds what the guest wrote, and the pool's directory nothing that nobody knows.

SOAK_SEED (default: the time) and PROPERTY_STEPS (default: 60, as far as SOAK_MINUTES allow) say which and how many."""

import collections
import glob
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import faults  # noqa: E402
import lab  # noqa: E402
import libvirt  # noqa: E402

STEPS = int(os.environ.get("PROPERTY_STEPS", 60))
MIB = 1 << 20
PART = 16  # MiB that are compared: the disk as it was made; it may grow
MOST = 5   # layers that are made on top of the first
BLOCKS = 0.05  # of the interrupted runs, at most, after which a change is refused for that


# Why a change is refused after a kill, and made when the machine has settled without it: what the refusals say.
BLOCKED = {
    "pulled": "so that the next run can see to that",  # a machine that was started on a disk that lacks what was pulled
}


class Property(lab.TestCase):
    def setUp(self):
        self.budget = lab.Budget()
        self.random = self.budget.random
        self.snapshots = {}  # name → checksum of what it holds
        self.by_hand = []    # names, newest last
        self.size, self.power, self.revert = PART, "running", None
        self.chain, self.format, self.exports = {}, "qcow2", []
        self.number = 0
        self.said = []
        self.again = 0  # after a kill, the next run didn't do
        self.blocked = collections.Counter()
        self.left = set()

    def name(self, prefix):
        self.number += 1
        return f"{prefix}{self.number}"

    def declare(self):
        spec = {"disks": [{"target": "vda", "size": f"{self.size}MiB", "pool": "lab", "format": self.format}], "powerState": self.power,
                "exports": [{"name": name, "disk": "vda", "to": "lab"} for name in self.exports],
                "snapshots": [{"name": name} for name in self.snapshots], "serials": self.hv.control_port("web"),
                "shutdown": {"timeout": "20s"}}
        if self.chain:
            spec["chain"] = self.chain
        if self.revert:
            spec["revert"] = self.revert
        self.hv.write("all.yaml", self.hv.pool(), self.hv.vm("web", "control", **spec))

    def state(self):
        """What is declared, to go back to when a change is refused."""
        return dict(self.snapshots), self.size, self.power, self.revert, dict(self.chain), self.format, self.exports

    def restore(self, state):
        self.snapshots, self.size, self.power, self.revert, self.chain, self.format, self.exports = state

    # --- running the product, whole or killed ---

    def run_whole(self):
        return self.hv.reconcile("-o", "json", self.hv.path("specs"))

    def run_killed(self):
        """Killed at a place by chance, or libvirtd there; where there are fewer places, it ends by itself."""
        env = {**self.hv.env, "RECONCILE_FAULT_AT": str(self.random.randint(1, 30))}
        victim = self.random.choice(["reconcile", "reconcile", "libvirtd", "both"])
        if victim != "reconcile":
            env["RECONCILE_FAULT_COMMAND"] = f"kill -9 {self.hv.daemon.pid}" + ("; kill -9 $PPID" if victim == "both" else "")
        result = self.hv.reconcile("-o", "json", self.hv.path("specs"), env=env)
        if victim != "reconcile":
            self.hv.kill_daemon()
            self.hv.restart_daemon()
        return f"{victim} at {env['RECONCILE_FAULT_AT']}: {result.status}"

    def settle(self, before):
        """Until a dry run is empty; whether the change was made. One that is refused is taken back: then all must be as before it.
        Where that comes after a kill, the change is asked for again: refused anew, it isn't the kill's doing; else the kill
        was in its way, for a reason that is known."""
        self.declare()
        self.note_left()
        killed = self.random.random() < 0.5
        if killed:
            self.said.append("  killed " + self.run_killed())
        result = self.run_often(killed)
        if result.status != 0:
            wanted = self.state()
            self.take_back(before)
            if killed and self.accepts(wanted):
                self.name_reason(result)
                return True
            self.said.append("  refused")
            self.take_back(before)
        self.assertEqual(self.actions(), [], f"after {self.brief(result)}")
        return result.status == 0

    def run_often(self, killed):
        """What is over soon doesn't count as refused."""
        for number in range(4):
            result = self.run_whole()
            if result.status == 0:
                self.again += killed and number > 0
                return result
            self.said.append(f"  status {result.status}: {self.brief(result)} {result.stderr[-300:]}")
            failed = result
        return failed

    def take_back(self, before):
        self.restore(before)
        self.declare()
        self.run_whole().check(0)

    def accepts(self, wanted):
        self.restore(wanted)
        self.declare()
        result = self.run_whole()
        self.said.append(f"  once more, without a kill: {result.status}")
        if result.status == 0:
            self.assertEqual(self.actions(), [], f"after {self.brief(result)}")
        return result.status == 0

    def name_reason(self, result):
        told = str(self.brief(result)) + result.stderr
        reason = next((name for name, text in {**faults.SECOND_RUNS, **BLOCKED}.items() if text in told), None)
        self.assertIsNotNone(reason, f"a kill is in the way of what is done without one: {told}")
        self.blocked[reason] += 1

    def note_left(self):
        """Layers that a plan says nobody names any more, and that stay since the present is kept."""
        plan = self.hv.reconcile("--dry-run", "-o", "json", self.hv.path("specs")).json()
        self.left |= {note.split(",")[0] for each in plan["objects"] for note in each.get("notes", []) if "of a branch that was left before" in note}

    def brief(self, result):
        """What a run did, and what it couldn't do."""
        told = result.json()
        results = {each["id"]: f"{each['result']} {each['message'] or ''}" for each in told.get("results", [])}
        return [f"{each['description']}: {results.get(each['id'])}" for each in told["actions"]] + [
            f"{each['name']}: {each['error']}" for each in told["objects"] if each.get("error")]

    def actions(self):
        return [action["description"] for action in self.hv.plan(self.hv.path("specs"))["actions"]]

    # --- what the disk holds ---

    def checksum(self):
        if self.power == "running":
            return self.hv.guest("web").do("sum", "vda", 0, PART)
        return self.part(self.path())

    def part(self, path):
        """Of a file, whoever has it open."""
        raw = self.hv.path("state/whole")
        subprocess.run(["qemu-img", "convert", "-U", *(["-f", "raw"] if path.endswith(".raw") else []), "-O", "raw", path, raw], check=True)
        out = subprocess.run(f"head -c {PART * MIB} '{raw}' | md5sum", shell=True, check=True, stdout=subprocess.PIPE, encoding="ascii").stdout
        os.unlink(raw)
        return out.split()[0]

    def path(self):
        return self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).split("<source file='")[1].split("'")[0]

    def chain_of(self, path):
        out = subprocess.run(["qemu-img", "info", "-U", "--backing-chain", "--output=json", path], check=True, stdout=subprocess.PIPE).stdout
        return [each["filename"] for each in json.loads(out)]

    def leftovers(self):
        """Files that are no layer of the disk, a branch, a snapshot, a volume that is kept, nor an export."""
        status = self.hv.reconcile("status", "--disks", "-o", "json", check=0).json()["domains"]
        self.assertEqual([each["name"] for each in status], ["web"])
        known = {layer["path"] for disk in status[0]["disks"] for layer in disk["layers"]} | {layer["path"] for layer in status[0]["branches"]}
        record = self.hv.domain("web").metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "https://reconcile.dev/xmlns/1", libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        for disk in json.loads(ET.fromstring(record).text).get("facts", {}).get("disks", []):
            known |= set(self.chain_of(disk["retired"])) if "retired" in disk else set()
        known |= {self.hv.path("pools/lab", f"{name}.qcow2") for name in self.exports}
        return sorted(set(glob.glob(self.hv.path("pools/lab/*"))) - known - self.left)

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
        """What it holds isn't known here."""
        if self.by_hand and "handMade" not in self.chain:
            self.snapshots[self.by_hand.pop()] = None

    def step_adopt_safety(self):
        for snapshot in self.hv.domain("web").listAllSnapshots():
            if snapshot.getName().startswith("revert-"):
                self.snapshots[snapshot.getName()] = None

    def step_forget_all(self):
        self.snapshots = {}

    def step_delete_by_hand(self):
        """As far as libvirt can."""
        if self.by_hand:
            try:
                self.hv.domain("web").snapshotLookupByName(self.by_hand[-1]).delete()
                self.said.append("  deleted")
            except libvirt.libvirtError as error:
                self.said.append(f"  {error}")

    def step_job_by_hand(self):
        """So slow that runs meet it; it is ended by hand. Such a run may be refused; it leaves the job alone."""
        if self.power != "running" or len(self.snapshots) + len(self.by_hand) >= MOST:
            return
        self.step_write()
        self.step_write()
        self.step_by_hand()
        self.hv.domain("web").blockPull("vda", 4096, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)
        if self.random.random() < 0.5:
            self.said.append("  killed with a job " + self.run_killed())
        self.said.append(f"  with a job {self.run_whole().status}")
        domain = self.hv.domain("web")
        self.assertNotEqual(domain.blockJobInfo("vda"), {}, "somebody's block job was ended")
        domain.blockJobAbort("vda")

    def step_format(self):
        """While it is off and has no snapshots; else the way there."""
        if self.power == "running":
            self.power = "stopped"
        elif self.snapshots:
            self.snapshots = {}
        else:
            self.format = "raw" if self.format == "qcow2" else "qcow2"

    def step_export(self):
        for path in glob.glob(self.hv.path("pools/lab/export*.qcow2")):
            os.unlink(path)
        self.exports = [self.name("export")]

    def step_qemu_dies(self):
        if self.power == "running":
            self.hv.domain("web").destroy()

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
        made = self.settle(before)
        if self.reverting and made:
            self.expected = self.reverting
        left = {snapshot.getName() for snapshot in self.hv.domain("web").listAllSnapshots()}
        self.by_hand = [name for name in self.by_hand if name in left]
        self.assertEqual(set(self.snapshots) - left, set(), "declared snapshots")
        self.assertEqual(self.checksum(), self.expected)
        if self.exports and self.exports != before[-1]:
            self.assertEqual(self.part(self.hv.path("pools/lab", f"{self.exports[0]}.qcow2")), self.expected, "the export")
        self.assertEqual(self.leftovers(), [])

    def test_it_ends_as_declared(self):
        self.declare()
        self.hv.apply(self.hv.path("specs"))
        self.expected = self.checksum()
        steps = [self.step_write] * 4 + [self.step_snapshot] * 3 + [self.step_by_hand, self.step_format, self.step_power, self.step_revert] * 2 + [
            self.step_forget, self.step_forget, self.step_forget_all, self.step_merge_by_hand, self.step_adopt, self.step_adopt_safety,
            self.step_delete_by_hand, self.step_job_by_hand, self.step_commit, self.step_grow, self.step_export, self.step_qemu_dies]
        number = 0
        for number in self.budget.rounds(STEPS):
            step = self.random.choice(steps)
            self.said.append(f"{number} {step.__name__} {self.state()}")
            try:
                self.one(step)
            except BaseException:
                print(f"SOAK_SEED={lab.SEED} PROPERTY_STEPS={number + 1} {sys.argv[0]}\n" + "\n".join(self.said[-40:]), file=sys.stderr)
                raise
        killed = sum("killed" in line for line in self.said)
        lab.figure(f"seed {lab.SEED}: {number + 1} steps, {killed} of them interrupted, {self.said.count('  refused')} refused, "
                   f"{dict(self.blocked) or 0} for the kill, {self.again} second runs")
        self.assertLessEqual(self.blocked.total(), max(1, BLOCKS * killed), self.blocked)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
