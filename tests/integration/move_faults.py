"""What tests of interrupted moves share: ways of moving, ways of interrupting, and what must hold afterwards."""

import collections
import contextlib
import json
import os
import subprocess
import time
import xml.etree.ElementTree as ET

import lab
import libvirt
from faults import COMMON
from product import document
from move_case import MoveCase, POOL  # noqa: E402

SHARED = "/var/lib/libvirt/shared"
SNAPSHOTS = [{"name": "one", "disks": ["vdb"]}, {"name": "within", "mode": "internal"}, {"name": "two"}]
# The spec of the machine, and which of its disks are on storage that both hosts have.
BOTH, NONE, FIRST = {"vda", "vdb"}, set(), {"vda"}
WAYS = {
    "live_shared": ({}, BOTH),
    "live_copy": ({}, NONE),
    "live_mixed": ({}, FIRST),
    "cold_stopped": ({"powerState": "stopped"}, NONE),
    "cold_running": ({"migration": {"mode": "cold"}}, NONE),
    "cold_unsaid": ({"migration": {"mode": "cold"}, "powerState": None}, NONE),
    "cold_shared": ({"migration": {"mode": "cold"}}, BOTH),
    "cold_mixed": ({"migration": {"mode": "cold"}}, FIRST),
    "snapshots_stopped": ({"powerState": "stopped", "snapshots": SNAPSHOTS}, NONE),
    "snapshots_running": ({"migration": {"mode": "cold"}, "snapshots": SNAPSHOTS}, NONE),
    "snapshots_shared": ({"migration": {"mode": "cold"}, "snapshots": SNAPSHOTS}, BOTH),
}
KILLS = ["reconcile", "source", "target", "link"]
# Cut while memory is sent, the link may go right when QEMU has switched over: the source doesn't hear that the machine runs on the target,
# and libvirt lets it run on (move_within.py has that moment for certain).
BOTH_MAY_RUN = ("link", "migrate: memory is sent")


def brief(status, out):
    """Of a run's document what says how it went."""
    try:
        document = json.loads(out[0])
    except ValueError:
        return f"{status} {out}"
    lines = [f"{status} {out[1]}"]
    for each in document["objects"]:
        for text in [each.get("error"), *(each.get("notes") or [])] if each["change"] != "none" else []:
            lines += [f"    {each['kind']} {each['name']}: {text}"] if text else []
    results = {each["id"]: f"{each['result']} {each['message'] or ''}" for each in document.get("results", [])}
    lines += [f"    {action['description']}: {results.get(action['id'], '')}" for action in document["actions"]]
    return "\n".join(lines)


QUICK = "keepalive_interval = 1\nkeepalive_count = 3\n"


class Faults(MoveCase):
    settings = QUICK
    more = {}  # of the machine's spec
    written = {"vda": "write -P 91 512k 64k", "vdb": "write -P 90 3M 1M"}

    @classmethod
    def setUpClass(cls):
        cls.hv, cls.other = lab.two_hosts(settings=cls.settings)
        cls.addClassCleanup(cls.hv.stop)
        cls.addClassCleanup(cls.other.stop)
        cls.kernel = cls.hv.path("guest/tiny-disk")
        cls.hv.run("qemu-img", "create", "-q", "-f", "qcow2", cls.hv.path("guest/small"), "1M")
        lab.share([cls.hv, cls.other], SHARED)

    def setUp(self):
        super().setUp()
        self.env["RECONCILE_PATIENCE"] = "1"
        for name, there in (("lab-a", "lab-b"), ("lab-b", "lab-a")):
            self.host_specs[name]["sharedPools"] = [{"pool": "shared", "with": [there]}]
        self.host_specs["lab-b"]["uri"] = "qemu+tcp://lab-b/system"
        self.shared_pool = document("StoragePool", "shared", {"type": "dir", "target": SHARED})
        self.hosts = {"lab-a": self.hv, "lab-b": self.other}

    def tearDown(self):
        self.wait_unlocked()
        super().tearDown()
        self.hv.run("sh", "-c", f"rm -rf {SHARED}/*")

    # The program on lab-a.

    def start(self, faults, *arguments):
        command = [lab.binary(), "-o", "json", *arguments, self.hv.path("specs")]
        return subprocess.Popen([*self.hv.inside(), *command], env={**self.env, **faults}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    def run_inside(self, *arguments, faults=None, timeout=200):
        process = self.start(faults or {}, *arguments)
        try:
            out = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
        return process.returncode, out

    # The machine.

    def write_at(self, host, *others, **more):
        spec, shared = WAYS[self.way]
        pools = {disk: "shared" if disk in shared else "moving" for disk in BOTH}
        disks = [{"target": "vda", "image": "base", "pool": pools["vda"]}, {"target": "vdb", "size": "16MiB", "pool": pools["vdb"], "bootIndex": 1}]
        tiny = {"disks": disks, "boot": {"kernel": self.kernel}, "memory": {"size": "16MiB"}}
        machine = self.machine(host, **{**tiny, **spec, **self.more, **more})
        machine["spec"] = {key: value for key, value in machine["spec"].items() if value is not None}
        hosts = [document("Host", name, each, labels={"zone": "x"}) for name, each in self.host_specs.items()]
        self.hv.write("all.yaml", *hosts, self.pool, self.shared_pool, self.hv.image(pool=pools["vda"], source=self.hv.path("guest/small")),
                      machine, *others)
        self.home = host

    def at_home(self):
        return self.hosts[self.home]

    def away(self):
        return next(name for name in self.hosts if name != self.home)

    @property
    def live(self):
        return self.way.startswith("live")

    @property
    def copied(self):
        return sorted(set(self.tops) - WAYS[self.way][1])

    @property
    def runs(self):
        return WAYS[self.way][0].get("powerState", "running") != "stopped"

    def begin(self, way):
        """Made on lab-a, with something on its disk."""
        self.way = way
        self.beats = 0
        self.write_at("lab-a", powerState="stopped")
        self.assertEqual(self.run_inside()[0], 0)
        self.tops = {disk: self.path_of(disk, self.hv) for disk in ("vda", "vdb")}
        for disk, written in self.written.items():
            self.hv.run("qemu-io", "-c", written, self.tops[disk])
        self.write_at("lab-a")
        self.assertEqual(self.run_inside()[0], 0)
        if WAYS[way][0].get("powerState", "running") is None:
            self.hv.domain("web").create()
        if self.runs:
            self.guest(self.hv).wait_heartbeat()
        self.starts = self.guest(self.hv).starts()
        self.tops = {disk: self.path_of(disk, self.hv) for disk in self.tops}
        self.hv.domain("web").setAutostart(1)
        self.content = self.on_disk(self.hv)
        self.own, self.common, self.notes = self.listing(self.hv, POOL), self.listing(self.hv, SHARED), self.snapshots(self.hv)

    def path_of(self, target, host):
        disks = ET.fromstring(host.domain("web").XMLDesc(0)).findall("devices/disk")
        return next(disk.find("source").get("file") for disk in disks if disk.find("target").get("dev") == target)

    def snapshots(self, host):
        """All that libvirt there knows of them."""
        return sorted((each.getName(), each.isCurrent(), each.getXMLDesc(0)) for each in host.domain("web").listAllSnapshots())

    def disks(self, host):
        """What the guest has counted on the second, and what else they hold; of the first also what it lies on."""
        said = host.run("sh", "-c", f"""cd {host.directory} && qemu-img convert -U -O raw {self.tops["vdb"]} disk && od -An -tu2 -N2 disk &&
            tail -c +1048577 disk | sha256sum && qemu-img convert -U -O raw {self.tops["vda"]} disk && sha256sum <disk && rm disk &&
            qemu-img info -U --backing-chain {self.tops["vda"]} | sed -n 's/^image: //p'""").replace(" -", "").split()
        return int(said[0]), said[1:]

    def on_disk(self, host):
        """What the machine's disks hold, beyond what the guest counts: that never falls. One that runs is paused for a moment:
        then QEMU has written all it has."""
        domain = host.domain("web")
        running = domain.isActive()
        if running:
            domain.suspend()
        try:
            beats, content = self.disks(host)
        finally:
            if running:
                domain.resume()
        self.assertGreaterEqual(beats, self.beats, "what the guest had written is lost")
        self.beats = beats
        return content

    def places(self):
        """The places that each move passes ("NAME#2": when it is passed a second time), there or back, but what only the first
        one does."""
        log, places = self.hv.path("names"), []
        for first in (True, False, False):
            self.write_at(self.away())
            self.forget_base(self.at_home())
            status, out = self.run_inside(faults={"RECONCILE_FAULT_LOG": log})
            self.assertEqual(status, 0, out)
            self.wait_runs()
            names, met = self.passed(log), collections.Counter()
            for name in names if not first else []:
                met[name] += 1
                place = f"{name}#{met[name]}"
                if place not in places and not name.endswith(COMMON):
                    places.append(place)
        return places

    @staticmethod
    def passed(log):
        with open(log, encoding="utf-8") as file:
            names = file.read().splitlines()
        os.unlink(log)
        return names

    def forget_base(self, host):
        """So that each move copies it."""
        with contextlib.suppress(libvirt.libvirtError):  # no pool yet
            pool = host.conn.storagePoolLookupByName("moving")
            host.run("sh", "-c", f"rm -f {POOL}/sha256-*")
            pool.refresh()

    # Interrupting.

    def interrupt(self, kill, place):
        """One move that is interrupted there, and what follows. FALSE: it doesn't pass that place. What was interrupted is back
        before the next run, and that is the only one which is needed."""
        source = self.at_home()
        self.write_at(self.away())
        target = self.at_home()
        self.forget_base(target)
        log = self.hv.path("passed")
        command = {"source": f"kill -9 {source.daemon.pid}", "target": f"kill -9 {target.daemon.pid}",
                   "link": f"nsenter -t {self.other.keeper.pid} -n ip link set cable down"}.get(kill)
        faults = {"RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_LOG": log}
        if command:
            faults["RECONCILE_FAULT_COMMAND"] = command + " || true"
        status, out = self.run_inside(faults=faults)
        name, _, number = place.partition("#")
        passed = self.passed(log).count(name) >= int(number or 1)
        told = f"after {kill} at {place}: {brief(status, out)}"
        self.assert_interrupted(kill, passed, status, told)
        self.restore(kill)
        self.settle()
        self.assert_followed_one(self.running(), (kill, name), told)
        return passed

    def assert_followed_one(self, ran, at, told):
        both = self.live and len(ran) == 2 and at == BOTH_MAY_RUN
        if self.live and not both:
            self.assertEqual(len(ran), 1, told)
        self.assertLessEqual(len(ran), 1 + both, told)
        if both and self.copied:
            self.assert_older_kept(told)
        else:
            self.assert_one_run(told)

    def linked(self):
        return "LOWER_UP" in self.other.run("ip", "link", "show", "cable")

    def assert_interrupted(self, kill, passed, status, told):
        """It was there, and nowhere else, that what shall be killed was."""
        if kill == "reconcile":
            self.assertEqual(status, -9 if passed else 0, told)
            return
        self.assertIn(status, (0, 1, 3) if passed else (0,), told)
        if kill == "link":
            self.assertEqual(self.linked(), not passed, told)
            return
        daemon = {"source": self.hosts[self.away()], "target": self.at_home()}[kill].daemon
        if passed:
            self.assertEqual(daemon.wait(20), -9, told)
        self.assertEqual(daemon.poll() is not None, passed, told)

    def killed(self, place):
        """A run that is killed there."""
        status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": place})
        self.assertEqual(status, -9, brief(status, out))

    def restore(self, kill):
        host = {"source": self.hosts[self.away()], "target": self.at_home()}.get(kill)
        if host and host.daemon.poll() is not None:
            host.restart_daemon()
        if kill == "link":
            self.other.run("ip", "link", "set", "cable", "up")
            self.hv.run("bash", "-c", "until (echo >/dev/tcp/lab-b/16509) 2>/dev/null; do sleep 0.1; done")

    def wait_unlocked(self, told=""):
        """The lock of a run that has ended goes with its connection."""
        deadline = time.monotonic() + 20
        while any("reconcile-lock" in host.run("ls", "/run/libvirt/qemu") for host in self.hosts.values()):
            self.assertLess(time.monotonic(), deadline, f"a lock was left: {told}")
            time.sleep(0.1)

    def copies(self):
        """(host, state) of each copy that there is."""
        found = []
        for host in self.hosts.values():
            for domain in host.conn.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):  # it may go at this moment
                    if domain.name() == "reconcile-lock":
                        continue
                    found.append((host.name, domain.state()[0]))
        return found

    def running(self):
        return [host for host, state in self.copies() if state == libvirt.VIR_DOMAIN_RUNNING]

    def settle(self):
        """What libvirt goes on with by itself."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            busy = False
            for host in self.hosts.values():
                for domain in host.conn.listAllDomains():
                    with contextlib.suppress(libvirt.libvirtError):
                        busy |= domain.jobStats().get("type", 0) != libvirt.VIR_DOMAIN_JOB_NONE
            if not busy:
                return
            time.sleep(0.1)

    def run_until_quiet(self, told, watch=lambda told: None):
        """Runs until one ends well, and a dry run that has nothing to do; watch is called after each."""
        for _ in range(4):
            status, out = self.run_inside()
            told += f"\nthen {brief(status, out)}"
            watch(told)
            if status == 0:
                break
            time.sleep(1)
        self.assertEqual(status, 0, told)
        status, out = self.run_inside("--dry-run")
        self.assertEqual(status, 0, f"{told}\nthe second run: {brief(status, out)}")
        return told

    def converge(self, told):
        told = self.run_until_quiet(told, lambda told: self.assertLessEqual(len(self.running()), 1, told))
        self.wait_unlocked(told)
        self.check(told)

    def assert_one_run(self, told=""):
        """Nothing is left to a second one."""
        status, out = self.run_inside()
        told += f"\nthen {brief(status, out)}"
        self.assertEqual(status, 0, told)
        self.assertLessEqual(len(self.running()), 1, told)
        status, out = self.run_inside("--dry-run")
        self.assertEqual(status, 0, f"{told}\nthe second run: {brief(status, out)}")
        self.wait_unlocked(told)
        self.check(told)

    def assert_nothing_goes_with_it(self):
        """With a copy on lab-b that was kept: a person undefines it, and its disks stay."""
        self.other.domain("web").undefine()
        for arguments in ((), ("--dry-run",)):
            status, out = self.run_inside(*arguments)
            self.assertEqual([status, self.listing(self.other, POOL)], [0, self.own], brief(status, out))

    def check(self, told):
        host = self.at_home()
        states = [(host.name, libvirt.VIR_DOMAIN_RUNNING if self.runs else libvirt.VIR_DOMAIN_SHUTOFF)]
        self.assertEqual(self.copies(), states, told)
        self.assertEqual(host.domain("web").autostart(), 1, told)
        self.assertEqual(self.listing(self.hv, SHARED), self.common, told)
        self.assertEqual(self.listing(host, POOL), self.own, told)
        self.assertEqual(self.listing(self.hosts[self.away()], POOL), [], told)
        for each in self.hosts.values():
            listening = each.run("ss", "-Hltn").split("\n")
            self.assertEqual([line for line in listening if ":491" in line], [], told)
        self.assertEqual(self.on_disk(host), self.content, told)
        self.assertEqual(self.snapshots(host), self.notes, told)
        self.wait_runs()
        if self.live:
            self.assertEqual(self.guest(host).starts(), self.starts, f"it was started anew {told}")

    def listing(self, host, directory):
        """But base images that are whole: they hold what their name says."""
        said = host.run("sh", "-c", f"cd {directory} && ls && sha256sum sha256-* 2>&1; true").split("\n")
        whole = {name for digest, _, name in (line.partition("  ") for line in said) if digest and name.startswith(f"sha256-{digest}.")}
        return sorted(name for name in said if name and "  " not in name and ": " not in name and name not in whole)

    def wait_runs(self):
        if self.runs:
            self.hv.guest("web").wait_heartbeat()

    def assert_older_kept(self, told):
        """It ran on on its own disks, and what it wrote there people look at: it is stopped, and nothing of it goes. Where it wrote to
        one of the newer one's, it isn't even asked."""
        home, older = self.at_home(), self.hosts[self.away()]
        events = lab.EventRecorder(older.uri)
        self.addCleanup(events.close)
        for arguments in ((), ("--dry-run",)):
            status, out = self.run_inside(*arguments)
            told += f"\nthen {brief(status, out)}"
            self.assertEqual(status, 0, told)
        ended = libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED if WAYS[self.way][1] else libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN
        events.wait_for(lambda _: "stopped" in events.names_of("web"))
        self.assertEqual([each.detail for each in events.of("web") if each.event == "stopped"], [ended], told)
        self.assertIn(f"an older copy of it, which is off, is kept on {older.name}", out[0], told)
        self.assertEqual(sorted(self.copies()), sorted([(home.name, libvirt.VIR_DOMAIN_RUNNING), (older.name, libvirt.VIR_DOMAIN_SHUTOFF)]), told)
        self.assertEqual([self.listing(older, POOL), older.domain("web").autostart()], [self.own, 0], told)
        older.domain("web").undefine()
        older.run("sh", "-c", f"rm {POOL}/*")
        older.conn.storagePoolLookupByName("moving").refresh()
        self.assert_one_run(told)
