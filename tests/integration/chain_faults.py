"""Reconcile, and libvirtd, killed while layers are merged and disks flattened and replaced."""

import os
import signal
import subprocess

from chain_case import ChainCase, lab  # noqa: F401  (sets the path)
import counting
import faults

DISK = {"target": "vda", "pool": "lab", "size": "8MiB"}


class Scenario(faults.Scenario):
    """Each step begins with a machine that has layers on its disk, made by hand, and ends with one layer."""

    alike = True
    running = False
    policy = {"maxDepth": 1, "onExceed": "commit"}

    def documents(self, hv, step):
        return [hv.pool(), counting.machine(hv, "web", [DISK], chain=self.policy, powerState="running" if self.running else None)]

    def prepare(self, case, step):
        self.content = None
        if step == 0:
            return
        for layer in ("x", "y"):
            case.layer(f"{layer}{step}", metadata=False)
            self.fill(case, step, layer)
        self.content = self.read(case)

    def fill(self, case, step, layer):
        if self.running:
            counting.write(case.hv, "web", "vda", 1 + step % 5, 1 + (step * 2 + (layer == "y")) % 250)
        else:
            value = 1 + (step * 2 + (layer == "y")) % 250
            subprocess.run(["qemu-io", "-c", f"write -q -P {value} {(step % 60) * 65536} 131072", case.defined()], check=True,
                           stdout=subprocess.DEVNULL)

    def read(self, case):
        return counting.digest(case.hv, "web") if self.running else case.seen()

    def check(self, case):
        if self.content:
            case.assertEqual(self.read(case), self.content)
        chain = case.names()
        case.assertEqual(len(chain), 1)
        case.assertEqual(case.files(), self.expected(case, chain))
        case.assertEqual([each.name() for each in case.hv.conn.listAllDomains()], ["web"])
        case.assertEqual(case.record().get("disks", []), self.facts(case))

    def expected(self, case, chain):
        return chain

    def facts(self, case):
        return []


class CommitStopped(Scenario):
    pass


class CommitRunning(Scenario):
    running = True


class AroundSnapshots(Scenario):
    """Each step has another snapshot: what lies above and below it is merged by the same run, when it has looked again."""

    kept = None

    def documents(self, hv, step):
        self.kept = f"kept{step}"
        return [hv.pool(), counting.machine(hv, "web", [DISK], chain=self.policy, powerState=None, snapshots=[{"name": self.kept}])]

    def check(self, case):
        if self.content:
            case.assertEqual(self.read(case), self.content)
        case.assertEqual([each.getName() for each in case.hv.domain("web").listAllSnapshots()], [self.kept])
        case.assertEqual(case.names(), [f"web-vda.{self.kept}.qcow2", "web-vda.qcow2"])
        case.assertEqual(case.files(), sorted(case.names()))
        case.assertEqual([each.name() for each in case.hv.conn.listAllDomains()], ["web"])
        case.assertEqual(case.record().get("disks", []), [])


class FlattenRunning(Scenario):
    running = True
    policy = {"maxDepth": 1, "onExceed": "flatten"}


class PulledAgain(FlattenRunning):
    """Each step finds a machine whose QEMU died after a pull, before it wrote down all of it."""

    def prepare(self, case, step):
        super().prepare(case, step)
        if step == 0:
            return
        case.hv.write("all.yaml", *self.documents(case.hv, step))
        process = case.start({"RECONCILE_FAULT_AT": "layers: merged"})
        process.communicate()
        case.assertEqual(process.returncode, -9)
        case.kill_qemu()


class FlattenStopped(Scenario):
    """The new volume replaces the disk; the old one stays."""

    policy = {"maxDepth": 1, "onExceed": "flatten"}

    def prepare(self, case, step):
        if step > 1:  # what the last step has kept goes when the machine has run
            case.hv.domain("web").create()
            case.assertEqual(case.apply().status, 0)
            case.off()
        super().prepare(case, step)
        self.old = sorted(case.names()) if step else []

    def expected(self, case, chain):
        return sorted(chain + self.old)

    def facts(self, case):
        retired = [name for name in self.old if name.startswith("web-vda.y")]
        return [{"target": "vda", "retired": case.hv.path("pools/lab", retired[0])}] if retired else []


class Retire(FlattenStopped):
    """The machine runs on the new volume: the old one and what is beneath it goes."""

    def prepare(self, case, step):
        self.old = []
        if step == 0:
            super().prepare(case, step)
            return
        if case.hv.domain("web").isActive():
            case.off()
        Scenario.prepare(self, case, step)
        case.assertEqual(case.apply().status, 0)
        case.hv.domain("web").create()
        self.content = None

    def check(self, case):
        self.old = []
        super().check(case)


SCENARIOS = (CommitStopped, CommitRunning, FlattenStopped, FlattenRunning, PulledAgain, Retire, AroundSnapshots)


class TestCase(faults.TestCase, ChainCase):
    """Steps declare the same; what they find differs."""

    def kill_qemu(self):
        with open(self.hv.path("run/libvirt/qemu/run/web.pid"), encoding="utf-8") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        self.hv.guest("web").wait(lambda _: not self.hv.domain("web").isActive(), "the machine's end")
