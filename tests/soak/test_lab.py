#!/usr/bin/python3
"""The laboratory itself: what the other tests stand on."""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402


DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='{format}'/>
  <source file='{path}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""

CDROM = """
<disk type='file' device='cdrom'>
  <driver name='qemu' type='raw'/>{source}
  <target dev='hdc' bus='ide'/>
  <readonly/>
</disk>"""

USER_INTERFACE = """
<interface type='user'>
  <mac address='52:54:00:00:00:01'/>
  <model type='virtio'/>
  <link state='up'/>
</interface>"""


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

    def disc(self, label):
        """No file system, only what is looked at: its label's place."""
        path = self.hv.path("pools", label)
        with open(path, "wb") as file:
            file.write(bytes(32768) + b"\1CD001\1\0" + bytes(32) + label.encode().ljust(32) + bytes(1 << 15))
        self.hv.give(path)
        return path

    def test_guest_sees_discs(self):
        drive = CDROM.format(source="")
        domain = self.hv.define("a", drive, start=True)
        guest = self.hv.guest("a")
        guest.wait_fact("cd", "empty")
        with guest.keeps_beating():
            domain.updateDeviceFlags(CDROM.format(source=f"<source file='{self.disc('SEED')}'/>"))
            guest.wait_fact("cd", "SEED")
            domain.updateDeviceFlags(drive, libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE)
            guest.wait_fact("cd", "empty")

    def test_guest_sees_what_is_plugged(self):
        domain = self.hv.define("a", start=True, cpus=1, max_cpus=2)
        guest = self.hv.guest("a")
        guest.wait_fact("disks", "none")
        disk = self.disk("vda")
        with guest.keeps_beating():
            domain.setVcpus(2)
            domain.attachDevice(disk)
            domain.attachDevice(USER_INTERFACE)
            guest.wait_fact("cpus", 2)
            guest.wait_fact("nics", lambda said: said.startswith("eth0=52:54:00:00:00:01,up"))
            guest.wait(lambda g: "vda" in g.sizes(), "vda")
            domain.updateDeviceFlags(USER_INTERFACE.replace("'up'", "'down'"))
            guest.wait_fact("nics", lambda said: said.endswith(",down"))
            domain.detachDevice(disk)
            guest.wait_fact("disks", "none")

    def test_small_disk_fills_up(self):
        path = self.hv.small_disk("small", "1M")
        with self.assertRaises(OSError), open(os.path.join(path, "file"), "wb") as file:
            file.write(bytes(2 << 20))

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


NETWORK = """
<network>
  <name>n</name>
  <forward mode='nat'/>
  <ip address='192.168.150.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.150.100' end='192.168.150.199'/></dhcp>
  </ip>
</network>"""

INTERFACE = """
<interface type='network'>
  <source network='n'/>
  <model type='virtio'/>
</interface>"""


class SystemTest(lab.TestCase):
    hypervisor = lab.SystemHypervisor

    def test_guest_gets_an_address(self):
        self.hv.conn.networkDefineXML(NETWORK).create()
        self.hv.define("a", INTERFACE, cmdline="dhcp", start=True)
        self.hv.guest("a").wait_text("address eth0 192.168.150.1")
        bridges = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertNotIn("virbr", bridges.stdout, "the bridge is on the machine itself")


class TwoHostsTest(unittest.TestCase):
    def test_guest_moves_to_the_other_host(self):
        first, second = lab.two_hosts()
        self.addCleanup(first.stop)
        self.addCleanup(second.stop)
        for name in ("kernel", "initrd"):
            self.assertTrue(os.path.exists(second.path("guest", name)))
        domain = first.define("a", start=True)
        guest = first.guest("a")
        guest.wait_heartbeat()
        with guest.keeps_beating(max_gap=10):
            domain.migrateToURI3("qemu+tcp://lab-b/system", {}, libvirt.VIR_MIGRATE_LIVE |
                                 libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_PERSIST_DEST)
        self.assertTrue(second.domain("a").isActive())


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
