"""Killing reconcile, or libvirtd, at each numbered place that a run passes (state/fault.h).

    class Snapshots(faults.Scenario):
        def documents(self, hv, step): ...   # states that differ; the plan of step leads there
    class Test(faults.TestCase):
        def test_all(self):
            self.everywhere(Snapshots(), self.kill_reconcile)
"""

import collections
import glob
import hashlib
import itertools
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import counting
import lab

# The executor passes these at each action: nothing has been done in between.
COMMON = (": begun in the journal", ": verified", ": ended in the journal")
# Why the run after a kill may need another one: what it says then. Each is counted, and MOST of all kills have one.
SECOND_RUNS = {
    "restarted": "can't save its memory",  # libvirtd died while it told QEMU of the layers: only another QEMU helps
    # What the killed one began goes on, and is over soon.
    "at work": "libvirt is still at work on",
    "written": "somebody writes to",
    "open": "wait until that has ended",
    "pool busy": "has asynchronous jobs running",
    "allocated": "is still being allocated",
    "unplugged": "already in the process of unplug",
    "shutting down": "is shutting-down: wait until that is over",
}
MOST = 0.05
SEED = "written-before-the-kill"
RAW = b"written by the host before the kill\n" * 4096


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Scenario:
    """A sequence of states; the plan from one to the next is what is interrupted."""

    options = ["--prune", "--prune-limit", "100", "--allow", "restart,data-loss", "--jobs", "1"]
    fresh = False  # each time from an empty host
    alike = False  # all steps pass the same places

    def documents(self, hv, step):
        raise NotImplementedError

    def started(self, case):
        """Once after the first state is reached: content is written here."""

    def prepare(self, case, step):
        """Before each step is declared: what its run shall find, beyond the state before."""

    def check(self, case):
        """After each convergence: content is looked at here."""


class Create(Scenario):
    """From nothing: an image imported, an overlay, a copy, blank disks, a volume, a network, a start."""

    fresh = True

    def documents(self, hv, step):
        network = {"mode": "isolated", "state": "inactive", "autostart": False, "bridge": "rlfault0", "address": "192.0.2.1", "prefix": 24}
        return [hv.pool(), hv.image(), lab.document("Network", "lan", network),
                lab.document("Volume", "data.qcow2", {"pool": "lab", "size": "8MiB"}),
                hv.vm("web", autostart=True, disks=[
                    {"target": "vda", "image": "base", "pool": "lab", "size": "96MiB"},
                    {"target": "vdb", "pool": "lab", "size": "8MiB", "format": "raw"},
                    {"target": "vdc", "pool": "lab", "image": "base", "provision": "copy", "size": "96MiB"}])]

    def check(self, case):
        case.assertEqual(case.hv.domain("web").isActive(), 1)
        for name in ("web-vda.qcow2", "web-vdc.qcow2"):
            subprocess.run(["qemu-img", "check", "-q", "-U", case.hv.path("pools/lab", name)], check=True)


class Change(Scenario):
    """Running and stopped machines changed: disks grown, plugged and unplugged, snapshots taken and removed, definitions,
    memory; one stopped and started; one deleted with its disks, and made again."""

    def documents(self, hv, step):
        disks = [{"target": "vda", "image": "base", "pool": "lab", "size": f"{128 + 8 * step}MiB"},
                 {"target": "vdb", "pool": "lab", "size": "8MiB", "format": "raw"}]
        self.taken = [{"name": "odd"}] if step % 2 else []
        if step % 2:
            disks.append({"target": "vdc", "pool": "lab", "size": "8MiB"})
        result = [hv.pool(), hv.image(),
                  hv.vm("web", "control", serials=hv.control_port("web"), disks=disks, title=f"step {step}", snapshots=self.taken,
                        memory={"size": "128MiB" if step % 2 else "112MiB", "max": "128MiB"}),
                  hv.vm("kept", powerState="stopped", description=f"step {step}",
                        disks=[{"target": "vda", "pool": "lab", "size": f"{8 + step}MiB", "format": "raw"}]),
                  hv.vm("cycled", powerState="running" if step % 2 else "stopped", shutdown={"timeout": "3s", "retryInterval": "1s"})]
        if step % 2 == 0:
            result.append(hv.vm("passing", powerState="stopped", disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}]))
        return result

    def started(self, case):
        guest = case.hv.guest("web")
        case.assertEqual(guest.do("write", "vdb", 1, SEED), "0")
        case.assertEqual(guest.do("write", "vda", 100, SEED), "0")
        self.sums = {disk: guest.do("sum", disk, at, 1) for disk, at in (("vdb", 1), ("vda", 100))}
        self.starts = guest.starts()
        with open(case.hv.path("pools/lab/kept-vda.raw"), "r+b") as file:
            file.write(RAW)

    def check(self, case):
        guest = case.hv.guest("web")
        case.assertEqual({disk: guest.do("sum", disk, at, 1) for disk, at in (("vdb", 1), ("vda", 100))}, self.sums)
        case.assertEqual(guest.starts(), self.starts, "the machine was restarted")
        layers = ["web-vda.odd.qcow2", "web-vdb.odd.qcow2"] if self.taken else []
        case.assertEqual(sorted(each for each in os.listdir(case.hv.path("pools/lab")) if ".odd." in each), layers)
        case.assertEqual([each.get("dev") for each in ET.fromstring(case.hv.domain("web").XMLDesc()).findall("devices/disk/target")],
                         ["vda", "vdb", "vdc"] if self.taken else ["vda", "vdb"])
        with open(case.hv.path("pools/lab/kept-vda.raw"), "rb") as file:
            case.assertEqual(file.read(len(RAW)), RAW)


class Snapshots(Scenario):
    """Snapshots of a running and of a stopped machine, taken on one way and removed on the other."""

    def documents(self, hv, step):
        taken = [{"name": "one"}, {"name": "two", "memory": True}] if step % 2 else []
        self.taking = bool(taken)
        return [hv.pool(),
                counting.machine(hv, "web", [{"target": "vda", "pool": "lab", "size": "8MiB"},
                                             {"target": "vdb", "pool": "lab", "size": "8MiB", "format": "raw"}], snapshots=taken),
                hv.vm("off", powerState="stopped", snapshots=taken, disks=[{"target": "vda", "pool": "lab", "size": "8MiB", "format": "raw"}])]

    def started(self, case):
        self.starts = counting.came_up(case.hv, "web")
        for value, disk in enumerate(("vda", "vdb"), 7):
            counting.write(case.hv, "web", disk, 1, value)
        self.sums = self.read(case)
        with open(case.hv.path("pools/lab/off-vda.raw"), "r+b") as file:
            file.write(RAW)

    def read(self, case):
        return {disk: counting.digest(case.hv, "web", disk) for disk in ("vda", "vdb")}

    def check(self, case):
        guest = case.hv.guest("web")
        case.assertEqual(self.read(case), self.sums)
        guest.wait_heartbeat()
        case.assertEqual(guest.starts(), self.starts, "the machine was restarted")
        for name in ("web", "off"):
            taken = sorted(each.getName() for each in case.hv.domain(name).listAllSnapshots())
            case.assertIn(taken, ([], ["one", "two"]))
        files = sorted(os.listdir(case.hv.path("pools/lab")))
        layers = {name for name in files if ".one." in name or ".two." in name}
        case.assertEqual(len(layers), 7 if taken else 0, files)
        with open(case.hv.path("pools/lab/off-vda.raw"), "rb") as file:
            case.assertEqual(file.read(len(RAW)), RAW)


class TestCase(lab.TestCase):
    tiny = True
    budget = None  # for a sweep of less than all places

    def setUp(self):
        super().setUp()
        self.second_runs = collections.Counter()

    def kill_reconcile(self, number):
        """TRUE: the place was passed. The process ends there."""
        process = self.start({"RECONCILE_FAULT_AT": str(number)})
        out = process.communicate()
        self.assertIn(process.returncode, (0, -9), out)
        return process.returncode == -9

    def kill_libvirtd(self, number):
        """libvirtd ends there, and reconcile goes on with what is left."""
        return self.kill_by(number, f"kill -9 {self.hv.daemon.pid}")

    def kill_within(self, number):
        """libvirtd ends a moment after that place: in the middle of what it is asked for there."""
        delay = self.budget.random.uniform(0, 0.06)
        return self.kill_by(number, f"{{ sleep {delay:.3f}; kill -9 {self.hv.daemon.pid}; }} >/dev/null 2>&1 &")

    def kill_by(self, number, command):
        log = self.hv.path("state/places")
        process = self.start({"RECONCILE_FAULT_AT": str(number), "RECONCILE_FAULT_LOG": log, "RECONCILE_FAULT_COMMAND": command})
        out = process.communicate()
        self.assertIn(process.returncode, (0, 1, 3), out)
        with open(log, encoding="utf-8") as file:
            passed = len(file.readlines())
        os.unlink(log)
        if passed >= number:
            self.hv.daemon.wait()
            self.hv.restart_daemon()
        return passed >= number

    def start(self, faults):
        return self.hv.start_reconcile(*self.scenario.options, self.hv.path("specs"), env={**self.hv.env, **faults})

    def write(self, step):
        self.scenario.prepare(self, step)
        self.hv.write("all.yaml", *self.scenario.documents(self.hv, step))

    def apply(self):
        return self.hv.reconcile(*self.scenario.options, self.hv.path("specs"))

    def apply_again(self, where, failed):
        """The next run after a kill didn't do. That is rightful for a reason that is known to pass, and for no other; each is counted."""
        reason = next((name for name, text in SECOND_RUNS.items() if text in failed.stdout), None)
        self.assertIsNotNone(reason, f"after {where}, the next run: {failed}")
        self.second_runs[reason] += 1
        if reason == "restarted":
            domain = self.hv.domain("web")
            domain.destroy()
            domain.create()
            self.scenario.starts = counting.came_up(self.hv, "web")
        else:
            time.sleep(3)
        return self.apply()

    def converge(self, where):
        """One more run ends well, another dry run has nothing to do, and nothing half-made is left."""
        result = self.apply()
        if result.status != 0:
            result = self.apply_again(where, result)
        self.assertEqual(result.status, 0, f"after {where}: {result}")
        plan = self.hv.plan(*self.scenario.options, self.hv.path("specs"))
        self.assertEqual([action["description"] for action in plan["actions"]], [], f"after {where}: {result}")
        self.assertEqual(glob.glob(self.hv.path("pools/lab/*.incomplete")), [], where)
        known = [volume.name() for volume in self.hv.conn.storagePoolLookupByName("lab").listAllVolumes()]
        self.assertEqual(sorted(os.listdir(self.hv.path("pools/lab"))), sorted(known), f"what libvirt knows of the pool, {where}")
        for path in glob.glob(self.hv.path("pools/lab/sha256-*")):
            self.assertEqual(os.path.basename(path).split("-")[1].split(".")[0], digest(path), f"{path}, {where}")
        try:
            self.scenario.check(self)
        except AssertionError as error:
            raise AssertionError(f"after {where}: {error}") from error

    def places(self, step):
        """Names of all places that the plan of this step passes, by running it."""
        self.write(step)
        log = self.hv.path("state/names")
        process = self.start({"RECONCILE_FAULT_LOG": log})
        out = process.communicate()
        self.assertEqual(process.returncode, 0, out)
        with open(log, encoding="utf-8") as file:
            names = file.read().splitlines()
        os.unlink(log)
        self.assertNotEqual(names, [], "the program is built without RECONCILE_FAULTS")
        return names

    def clear_host(self):
        self.hv.clear()

    def begin(self, scenario):
        self.scenario = scenario
        names = self.places(0)
        scenario.started(self)
        self.converge("the first run")
        if scenario.fresh:
            return names
        names = self.places(1)
        self.converge("the second run")
        return names

    def at(self, step, number, kill, name):
        """One interruption, and what follows. FALSE: this step passes no such place."""
        if self.scenario.fresh:
            self.clear_host()
        self.write(step)
        reached = kill(number)
        self.converge(f"{kill.__name__} at {number} ({name})")
        return reached

    def order(self, names):
        """Numbers of places as the budget draws them: first those that say most."""
        common = [number for number, name in enumerate(names, 1) if name.endswith(COMMON)]
        own = [number for number in range(1, len(names) + 1) if number not in common]
        return [*self.budget.shuffled(own), *self.budget.shuffled(common)]

    def everywhere(self, scenario, kill):
        """At all places, or those that the budget has time for. Where steps lead there and back, at those of both, by turns."""
        ways, step = [self.begin(scenario)], 2
        if not scenario.fresh:  # the first time may pass others than every later one
            back = self.places(step)
            self.converge("the way back")
            ways = [back, self.places(step + 1)]
            self.converge("the way there again")
            step += 2
        whole, killed = not self.budget or self.budget.whole, set()
        for numbers in itertools.count(1) if whole else self.budget.side_by_side(map(self.order, ways)):
            reached = False
            for way, names in enumerate(ways):
                number = numbers if whole else numbers[way]
                if self.at(step, number, kill, names[number - 1] if number <= len(names) else "?"):
                    reached = True
                    killed.add((way, number))
                step += 1
            if whole and not reached:
                break
        if whole:
            self.assertGreaterEqual(len(killed), sum(map(len, ways)))
        return len(killed), sum(map(len, ways))

    def at_places(self, scenario, kill, wanted=lambda number, names: True):
        """Where all steps are alike: interrupted at each place that is wanted, as far as the budget has time."""
        self.begin(scenario)
        names = self.places(2)
        self.converge("the third run")
        numbers = [number for number in range(1, len(names) + 1) if wanted(number, names)]
        killed = 0
        order = [number for number in self.order(names) if number in numbers] if self.budget else numbers
        for step, number in enumerate(self.budget.as_far(order) if self.budget else numbers, 3):
            self.assertTrue(self.at(step, number, kill, names[number - 1]), names[number - 1])
            killed += 1
        return killed, len(numbers)

    def through_all(self, scenarios, kill):
        """One that fails doesn't keep the others from being tried. FAULTS_ONLY=Create,Change: only those."""
        only = os.environ.get("FAULTS_ONLY")
        scenarios = [each for each in scenarios if not only or each.__name__ in only.split(",")]
        self.budget = lab.Budget(len(scenarios))
        for scenario in scenarios:
            with self.subTest(scenario.__name__):
                self.budget.begin()
                start, before = time.monotonic(), self.second_runs.copy()
                sweep = self.at_places if scenario.alike else self.everywhere
                killed, of = sweep(scenario(), kill)
                more = self.second_runs - before
                lab.figure(f"{scenario.__name__}: {kill.__name__} at {killed} of {of} places, {time.monotonic() - start:.0f} s, "
                           f"second runs: {dict(more) or 0}{self.budget.told()}")
                self.assertLessEqual(more.total(), max(1, MOST * killed), more)
            self.clear_host()
