"""Live moves that are interrupted within libvirt's own call: where one of the two libvirtds stands right before or after
something that it says to a QEMU or to the other one (tests/lab/stop_at.c), and while QEMU sends disks or memory."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import lab
import libvirt
from move_faults import Faults, brief

# Changes nothing, and isn't said by libvirtd for the move alone.
ASKED = re.compile("query-|qom-|device-list|balloon")
# libvirt's own: where the source doesn't hear whether it runs on the target, it lets it run on (qemu_migration.c leaves that to locks of
# the disks); where it doesn't come to ask, it lets it stand still.
BOTH_RUN = {("target", "target", "after cont"), ("target", "target", "before finish reply"), ("link", "source", "after finish call"),
            ("link", "target", "before cont"), ("link", "target", "after cont"), ("link", "target", "before finish reply")}
NONE_RUNS = {("source", "source", "before finish call"), ("source", "source", "after finish call"), ("source", "target", "before cont")}
# Where the source's libvirtd dies while disks are copied, it leaves QEMU with what it copied them through, of which it knows nothing any more:
# until a person takes that out, or the machine is restarted, libvirt can't begin to copy them again.
LEFT = "Duplicate nodes with node-name='migration-"
SLOW = {"migration": {"bandwidth": "1MiB/s"}}


class Within(Faults):
    taken_out = 0  # how often a person had to

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for host in (cls.hv, cls.other):
            host.preload = os.path.join(os.environ["RECONCILE_BUILD"], "tests/stop_at.so")
            host.restart_daemon()

    def moments(self):
        """(who, "before NAME" or "after NAME") of all that is said in moves there and back."""
        found = []
        for _ in range(2):
            hosts = self.leave_for()
            touch = "; ".join(f"touch {host.path('run/said')}" for host in hosts.values())
            status, out = self.run_inside(faults={"RECONCILE_FAULT_AT": "migrate: prepared", "RECONCILE_FAULT_COMMAND": touch})
            self.assertEqual(status, 0, brief(status, out))
            for who, host in hosts.items():
                with open(host.path("run/said"), encoding="utf-8") as file:
                    names = [name for name in file.read().splitlines() if not ASKED.match(name)]
                os.unlink(host.path("run/said"))
                found += [(who, f"{when} {name}") for name in dict.fromkeys(names) for when in ("before", "after")
                          if (who, f"{when} {name}") not in found]
        return found

    def leave_for(self):
        """The other host is where it shall be from now on."""
        source = self.at_home()
        self.write_at(self.away())
        self.forget_base(self.at_home())
        return {"source": source, "target": self.at_home()}

    def kill(self, kill, process, hosts):
        if kill == "reconcile":
            process.kill()
        elif kill == "link":
            self.other.run("ip", "link", "set", "cable", "down")
        else:
            hosts[kill].kill_daemon()

    def interrupt_said(self, kill, who, moment):
        """What that run said, and how it went. None: it doesn't pass that."""
        hosts = self.leave_for()
        speaker = hosts[who]
        process = self.start({"RECONCILE_FAULT_AT": "migrate: prepared", "RECONCILE_FAULT_COMMAND": f"echo '{moment}' >{speaker.path('run/stop-at')}"})
        with self.ended(process):
            passed = self.wait(process, lambda: os.path.exists(speaker.path("run/stopped")) and self.stands_still(speaker.daemon.pid))
            if passed:
                self.kill(kill, process, hosts)
            for path in ("run/stop-at", "run/stopped"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(speaker.path(path))
            if speaker.daemon.poll() is None:
                speaker.daemon.send_signal(signal.SIGCONT)
            out = process.communicate(timeout=300)
        return self.told(kill, process, out, f"{moment} of {who}") if passed else None

    def split(self, way):
        """The source's libvirtd dies before it hears that the machine runs on lab-b: it leaves the one here paused."""
        self.begin(way)
        self.assertTrue(self.interrupt_said("source", "target", "before finish reply"))
        self.settle()
        self.assertEqual(self.copies(), [("lab-a", libvirt.VIR_DOMAIN_PAUSED), ("lab-b", libvirt.VIR_DOMAIN_RUNNING)])
        self.hv.guest("web").wait_heartbeat()
        self.assertEqual(self.on_disk(self.other), self.content)

    def lose_at_restart(self, host):
        """A libvirtd that comes up, and whose QEMU dies while it is asked how it is: libvirt ends the machine, as it does after all that
        goes wrong from then on."""
        with open(host.path("run/libvirt/qemu/web.pid"), encoding="ascii") as file:
            pid = int(file.read())
        host.kill_daemon()
        with open(host.path("run/stop-at"), "w", encoding="ascii") as file:
            file.write("before query-block\n")
        host.launch_daemon()
        self.wait_until(lambda: os.path.exists(host.path("run/stopped")) and self.stands_still(host.daemon.pid))
        os.unlink(host.path("run/stopped"))
        os.kill(pid, signal.SIGKILL)
        host.daemon.send_signal(signal.SIGCONT)
        host.connect()
        self.wait_until(lambda: host.domain("web").state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DAEMON])

    def interrupt_sending(self, kill, what):
        """The same, while QEMU sends the disks or the memory."""
        self.more = SLOW
        hosts = self.leave_for()
        self.more = {}
        process = self.start({})
        with self.ended(process):
            passed = self.wait(process, lambda: self.sends(hosts["source"], what))
            if passed:
                self.kill(kill, process, hosts)
            out = process.communicate(timeout=300)
        return self.told(kill, process, out, f"{what} sent") if passed else None

    @contextlib.contextmanager
    def ended(self, process):
        try:
            yield
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def told(self, kill, process, out, where):
        self.restore(kill)
        return f"after {kill} at {where}: {brief(process.returncode, out)}"

    def wait(self, process, condition):
        deadline = time.monotonic() + 120
        while not condition():
            if process.poll() is not None:
                return False
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return True

    def wait_until(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    @staticmethod
    def stands_still(pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(") ")[2][0] == "T"

    @staticmethod
    def sends(host, what):
        try:
            job = host.domain("web").jobStats()
        except libvirt.libvirtError:
            return False
        if what == "disks":
            return job.get("memory_iteration", 0) == 0 and 0 < job.get("disk_processed", 0) < job.get("disk_total", 0)
        return job.get("memory_iteration", 0) == 1 and 0 < job.get("memory_processed", 0) < job.get("memory_total", 0)

    # What follows.

    def stand(self):
        """Of each copy its host, state and reason."""
        found = []
        for host in self.hosts.values():
            for domain in host.conn.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):  # it may go at this moment
                    if domain.name() == "web":
                        found.append((host.name, *domain.state()))
        return found

    def assert_followed(self, told, at):
        """One run ends it. at: kill, who and moment; how many ran before that run."""
        self.settle()
        stand = self.stand()
        told += f"\nstanding {stand}"
        ran = [host for host, state, _ in stand if state == libvirt.VIR_DOMAIN_RUNNING]
        if at not in BOTH_RUN:
            self.assertLessEqual(len(ran), 1, told)
        if at not in NONE_RUNS:
            self.assertGreaterEqual(len(ran), 1, told)
        if len(ran) == 2 and self.copied:
            self.assert_older_kept(told)
        elif at[0] == "source" and self.copied:
            self.assert_one_run(self.without_nodes(told))
        else:
            self.assert_one_run(told)
        return len(ran)

    def without_nodes(self, told):
        """One run may say that QEMU has them: the machine runs on then where it is, and a person takes them out."""
        status, out = self.run_inside()
        told += f"\nthen {brief(status, out)}"
        if status == 0:
            return told
        self.assertRegex(told, LEFT + "|domain has active block job", told)
        source = self.hosts[self.away()]
        self.assertEqual(self.copies(), [(source.name, libvirt.VIR_DOMAIN_RUNNING)], told)
        for job in self.ask_qemu(source, "query-block-jobs"):
            self.ask_qemu(source, "block-job-cancel", device=job["device"], force=True)
        deadline = time.monotonic() + 60
        while self.ask_qemu(source, "query-block-jobs"):
            self.assertLess(time.monotonic(), deadline, f"a block job doesn't end: {told}")
            time.sleep(0.1)
        for node in (f"migration-{disk}-{what}" for disk in self.copied for what in ("format", "storage")):
            self.ask_qemu(source, "blockdev-del", **{"node-name": node})
        self.taken_out += 1
        return told

    def ask_qemu(self, host, what, **arguments):
        """None: it refuses."""
        command = json.dumps({"execute": what, "arguments": arguments})
        said = subprocess.run(["virsh", "-c", host.uri, "qemu-monitor-command", "web", command], stdout=subprocess.PIPE, check=True).stdout
        return json.loads(said).get("return")
