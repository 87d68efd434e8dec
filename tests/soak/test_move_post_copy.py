#!/usr/bin/python3
"""A live migration that is interrupted in post-copy, when its memory is on both hosts and it runs on the target already:
reconcile, either libvirtd or the link goes away, and QEMU brings the rest over by itself; or QEMU's own stream breaks
off, and nobody but people can have it go on. Never do two copies run, and never is the guest started anew."""

import contextlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import QUICK, brief  # noqa: E402
from test_migration_live import LiveCase, SHARED  # noqa: E402

POLICY = {"bandwidth": "32MiB/s", "timeout": "1s", "maxDowntime": "20ms", "postCopy": True, "postCopyBandwidth": "2MiB/s"}


class PostCopy(LiveCase):
    @classmethod
    def setUpClass(cls):
        cls.hv, cls.other = lab.two_hosts(settings=QUICK)
        cls.hv.tiny = cls.tiny
        cls.addClassCleanup(cls.hv.stop)
        cls.addClassCleanup(cls.other.stop)
        lab.share([cls.hv, cls.other], SHARED)

    def begin(self, command):
        """On its way to lab-b, which it runs on when the command (of the shell) is run; what the run said."""
        self.started()
        self.guest(self.hv).change_memory(24)
        runs = f"until virsh -c '{self.other.uri}' domstate web 2>/dev/null | grep -q running; do sleep 0.1; done; "
        log = self.hv.path("passed")
        env = {**self.env, "RECONCILE_FAULT_AT": "migrate: in post-copy", "RECONCILE_FAULT_COMMAND": runs + command, "RECONCILE_FAULT_LOG": log}
        self.write(self.machine("lab-b", migration=POLICY))
        told = self.run_it(env)
        with open(log, encoding="utf-8") as file:
            self.assertIn("migrate: in post-copy\n", file.readlines(), told)
        os.unlink(log)
        return told

    def run_it(self, env=None):
        done = subprocess.run([lab.binary(), "-o", "json", self.hv.path("specs")], env=env or self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
        return done.returncode, brief(done.returncode, (done.stdout, done.stderr))

    def states(self):
        return [[domain.state() for domain in host.conn.listAllDomains() if domain.name() == "web"] for host in (self.hv, self.other)]

    def assert_ends(self):
        """QEMU brings the rest over, and one run then ends the move."""
        deadline = time.monotonic() + 120
        while any(domain.name() == "web" for domain in self.hv.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)):
            self.assertLess(time.monotonic(), deadline, self.states())
            status, told = self.run_it()
            self.assertIn(status, (0, 1), told)
            self.assertEqual(self.guest(self.hv).starts(), 1)
            if status == 1:
                self.assertIn("it is moving between", told)
        status, told = self.run_it()
        self.assertEqual([status, self.where()], [0, ["lab-b"]], told)
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.assertEqual(self.other.domain("web").state()[0], libvirt.VIR_DOMAIN_RUNNING)
        guest = self.guest(self.other)
        guest.wait_heartbeat()
        self.assertEqual(guest.starts(), 1)

    def test_reconcile(self):
        status, told = self.begin("kill -9 $PPID")
        self.assertEqual(status, -9, told)
        self.assert_ends()

    def test_told_to_end(self):
        """It can't be taken back: the run ends without it when its patience is over."""
        status, told = self.begin("kill -TERM $PPID")
        self.assertIn(status, (1, 128 + signal.SIGTERM), told)
        self.assertEqual(self.guest(self.hv).starts(), 1)
        self.assert_ends()

    def test_source(self):
        status, told = self.begin(f"kill -9 {self.hv.daemon.pid}")
        self.assertEqual([status, self.hv.daemon.wait(20)], [1, -9], told)
        self.hv.restart_daemon()
        self.assert_ends()

    def test_target(self):
        status, told = self.begin(f"kill -9 {self.other.daemon.pid}")
        self.assertEqual([status, self.other.daemon.wait(20)], [1, -9], told)
        self.other.restart_daemon()
        self.assert_ends()

    def test_link(self):
        status, told = self.begin(f"nsenter -t {self.other.keeper.pid} -n ip link set cable down")
        self.assertEqual(status, 1, told)
        self.other.run("ip", "link", "set", "cable", "up")
        self.assert_ends()

    def test_broken_off(self):
        """Each run says so, and what to do; when that is done, the next one ends the move."""
        # What it needs at each interrupt has come by then. An emulated CPU that lacks that holds up all of QEMU.
        status, told = self.begin(f"sleep 2; virsh -c '{self.hv.uri}' domjobabort web --postcopy")
        self.assertEqual(status, 1, told)
        self.assert_resumed(told)

    def test_target_stands_still(self):
        """Its QEMU doesn't answer when it breaks off: libvirt's call doesn't end, but the run does."""
        self.env["RECONCILE_PATIENCE"] = "1"
        qemu = f"$(cat {self.other.path('run/libvirt/qemu/web.pid')})"
        try:
            status, told = self.begin(f"sleep 2; kill -STOP {qemu}; virsh -c '{self.hv.uri}' domjobabort web --postcopy")
        finally:
            self.other.run("sh", "-c", f"kill -CONT {qemu}")
        self.assertEqual(status, 1, told)
        self.assertIn("it broke off in post-copy, and lab-b doesn't answer", told)
        deadline = time.monotonic() + 60
        while [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY] in self.states()[1]:  # libvirt there hears of it
            self.assertLess(time.monotonic(), deadline, told)
            time.sleep(0.1)
        self.assert_resumed(told)

    def assert_resumed(self, told):
        paused = [[libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED]]
        runs = [[libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED]]  # until it needs the rest
        self.assertEqual(self.states()[0], paused, told)
        self.assertIn(self.states()[1], (paused, runs), told)
        for _ in range(2):
            status, told = self.run_it()
            self.assertEqual([status, self.states()[0]], [1, paused], told)
            self.assertIn(self.states()[1], (paused, runs), told)
            self.assertIn("its migration from lab-a to lab-b broke off in post-copy", told)
        self.hv.run("sh", "-c", "timeout 60 " + told.split("on lab-a '")[1].split("'")[0].replace("virsh", f"virsh -c '{self.hv.uri}'"))
        self.assert_ends()

    def test_other_half_lost(self):
        """The target's QEMU dies with its part."""
        self.begin(f"virsh -c '{self.hv.uri}' domjobabort web --postcopy")
        self.other.domain("web").destroy()
        if "lab-b" in self.where():
            self.other.domain("web").undefine()
        for _ in range(2):
            status, told = self.run_it()
            self.assertEqual([status, self.where()], [1, ["lab-a"]], told)
            self.assertIn("can't go on", told)
        self.hv.restart_daemon()
        with contextlib.suppress(libvirt.libvirtError):  # libvirtd ends it by itself, or not
            self.hv.domain("web").destroy()
        status, told = self.run_it()
        self.assertEqual([status, len(self.where())], [0, 1], told)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
