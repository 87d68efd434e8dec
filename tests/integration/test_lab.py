#!/usr/bin/python3
"""The laboratory itself: what the other tests stand on."""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402


DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='{format}'/>
  <source file='{path}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""


class LabTest(lab.TestCase):
    def disk(self, target, size="8M"):
        path = self.hv.path("pools", target)
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", path, size], check=True)
        self.hv.give(path)
        return DISK.format(format="raw", path=path, target=target)

    def test_guest_says_what_it_sees(self):
        recorder = self.recorder()
        domain = self.hv.define("a", self.disk("vda"), self.disk("vdb"), start=True,
                                cmdline="pattern=vdb verify=vdb")
        guest = self.hv.guest("a")
        guest.wait_heartbeat(2)
        self.assertEqual(guest.sizes(), {"vda": 8 << 20, "vdb": 8 << 20})
        self.assertIn("pattern vdb lost", guest.text())
        self.assertIn("pattern vdb written", guest.text())
        with guest.keeps_beating():
            domain.blockResize("vda", 16 << 20, 1)
            domain.setMemory(100 << 10)
        self.assertEqual(guest.wait(lambda g: g.sizes()["vda"] == 16 << 20, "16 MiB"), True)
        recorder.settle()
        self.assertEqual(recorder.stopped_events("a"), [])

        domain.shutdown()
        recorder.wait_for(lambda seen: any(e.event == "stopped" for e in seen))
        self.assertIn("power button: powering off", guest.text())
        domain.create()
        guest.wait_text("pattern vdb ok")

    def test_guest_without_ears(self):
        domain = self.hv.define("deaf", cmdline="ignorepower", start=True)
        guest = self.hv.guest("deaf")
        guest.wait_heartbeat()
        with guest.keeps_beating():
            domain.shutdown()
            guest.wait_text("power button: ignored")
        self.assertTrue(domain.isActive())

    def test_base_image_boots(self):
        overlay = self.hv.path("pools", "overlay.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                        "-b", self.hv.path("guest/base.qcow2"), overlay], check=True)
        self.hv.give(overlay)
        xml = lab.DOMAIN_BY_DISK.format(
            name="disk", console=self.hv.console_path("disk"),
            devices=DISK.format(format="qcow2", path=overlay, target="vda"))
        self.hv.conn.defineXML(xml).create()
        self.hv.guest("disk").wait_heartbeat()

    def test_daemon_can_go_and_come(self):
        self.hv.define("a", start=True)
        guest = self.hv.guest("a")
        guest.wait_heartbeat()
        with guest.keeps_beating():
            self.hv.kill_daemon()
            self.hv.restart_daemon()
        self.assertTrue(self.hv.domain("a").isActive())


class GuardTest(unittest.TestCase):
    def test_nothing_survives_a_killed_test(self):
        program = ("import lab, sys; hv = lab.Hypervisor(); hv.define('a', start=True);"
                   "print(hv.directory, flush=True); sys.stdin.read()")
        child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "PYTHONPATH": os.path.dirname(lab.__file__)})
        directory = child.stdout.readline().strip()
        self.assertTrue(os.path.isdir(directory))
        child.kill()
        child.communicate()
        deadline = time.monotonic() + 15
        while os.path.exists(directory) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertFalse(os.path.exists(directory))
        self.assertEqual(lab.processes_of(directory), [])


if __name__ == "__main__":
    lab.main()
