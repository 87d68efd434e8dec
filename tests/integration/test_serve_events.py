#!/usr/bin/python3
"""What the host tells: each kind of event is seen, has the service look, and is in the history."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import libvirt_qemu  # noqa: E402
from service_case import TestCase, lab, wait_for  # noqa: E402

EMPTY_NIC = "<interface type='user'><mac address='52:54:00:00:00:77'/><model type='virtio'/></interface>"


class Told:
    """What service.hv's journal has, as reconcile history tells it."""

    def __init__(self, service):
        self.service = service

    def events(self):
        arguments = ("history", "--events", "--config", self.service.config_path, "-o", "json")
        return self.service.hv.reconcile(*arguments, check=0).json()["events"]

    def wait(self, kind, detail="", object="vm/web"):
        def found():
            return [each for each in self.events()
                    if (each["object"], each["event"]) == (object, kind) and (each["detail"] or "").startswith(detail)]
        return wait_for(found, lambda: f"{object} {kind} {detail}: {self.events()}\n{self.service.log()}")[0]


class Events(TestCase):
    def machine(self):
        hv = self.hv
        disks = [{"target": "vda", "pool": "lab", "size": "16MiB", "format": "qcow2"},
                 {"target": "vdb", "path": os.path.join(self.small, "full.raw"), "format": "raw"}]
        return hv.agent_vm("web", "control", serials=hv.control_port("web"), disks=disks, title="declared",
                           interfaces=[{"name": "eth0", "user": True}], watchdog={"model": "ib700", "action": "none"},
                           devices={"extra": ["<panic model='isa'/>"]}, restartPolicy="always", memory={"size": "128MiB"})

    def test_each_kind(self):
        hv, virt = self.hv, lab.libvirt
        self.small = hv.small_disk("small", "8M")
        with open(os.path.join(self.small, "full.raw"), "wb") as file:
            file.truncate(16 << 20)
        hv.give(os.path.join(self.small, "full.raw"))
        hv.write("all.yaml", hv.pool(), self.machine())
        with self.service(interval="300ms") as service:
            told = Told(service)
            self.assertEqual(told.wait("watch", object=None)["detail"], "begun")
            told.wait("lifecycle", "started")
            told.wait("agent", "connected")
            told.wait("pool", "started", object="pool/lab")
            service.settle()
            guest, domain = hv.guest("web"), hv.domain("web")

            # What the machine tells of itself.
            guest.do("run", "ip link set eth0 up; ip addr add 10.0.2.77/24 dev eth0")
            facts = hv.reconcile("status", "web", "-o", "json", check=0).json()["domains"][0]
            self.assertIn(("10.0.2.77/24", "agent"), [(each["address"], each["source"]) for each in facts["addresses"]], facts["addresses"])
            self.assertRegex(facts["guest"]["os.kernel-release"], r"^\d+\.\d+")
            self.assertGreater(facts["statistics"]["cpu.time"], 0)
            self.assertEqual(facts["statistics"]["block.0.name"], "vda")
            text = hv.reconcile("status", "web", check=0).stdout
            self.assertRegex(text, r"(?m)^  addresses +eth0 10.0.2.77/24 \(agent\)$")
            self.assertRegex(text, r"(?m)^  CPU time +[0-9.]+ s$")
            self.assertRegex(text, r"(?m)^  disk traffic vda: ")

            # Drift: it is taken back, and the run's cause names the event.
            domain.setMetadata(virt.VIR_DOMAIN_METADATA_TITLE, "by hand", None, None, 3)
            told.wait("metadata")
            wait_for(lambda: domain.metadata(virt.VIR_DOMAIN_METADATA_TITLE, None, 1) == "declared", service.log)
            service.settle()
            runs = hv.reconcile("history", "--config", service.config_path, "-o", "json", check=0).json()["runs"]
            self.assertIn("vm/web: metadata", runs[0]["cause"])
            self.assertIn("vm/web: metadata", hv.reconcile("history", "--config", service.config_path, check=0).stdout)
            nic = domain.XMLDesc()
            nic = nic[nic.index("<interface"):nic.index("</interface>") + len("</interface>")]
            domain.detachDeviceFlags(nic, virt.VIR_DOMAIN_AFFECT_LIVE)
            told.wait("device-removed", "net0")
            told.wait("device-added", "net0")
            domain.setMemoryFlags(100 << 10, virt.VIR_DOMAIN_AFFECT_LIVE)
            told.wait("balloon")
            domain.setBlockIoTune("vda", {"total_bytes_sec": 1 << 30}, virt.VIR_DOMAIN_AFFECT_LIVE)
            told.wait("tunable")
            hv.conn.storagePoolLookupByName("lab").refresh()
            told.wait("pool-refresh", object="pool/lab")

            # News and trouble.
            domain.setBlockThreshold("vda", 1 << 20)
            guest.do("write", "vda", 3, "x")
            told.wait("block-threshold", "vda")
            domain.blockPull("vda")
            told.wait("block-job", "vda completed")
            self.poke(0x443, 15)  # the ib700: after 0 s
            told.wait("watchdog", "nothing is done")
            guest.do("run", "dd if=/dev/zero of=/dev/vdb bs=1M count=16 oflag=direct &", timeout=20)
            told.wait("io-error", os.path.join(self.small, "full.raw"))
            told.wait("lifecycle", "paused (I/O error)")
            service.wait_log("I/O error")

            # What ends a machine has it started again.
            with open(hv.path("run/libvirt/qemu/run/web.pid"), encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGKILL)
            told.wait("lifecycle", "stopped (the hypervisor failed)")
            self.wait_running("web")
            domain.reset()
            told.wait("reboot")
            service.settle()
            domain.managedSave()
            told.wait("job-completed")
            told.wait("lifecycle", "stopped (saved)")
            self.wait_running("web")
            service.settle()
            crashed = time.monotonic()
            self.poke(0x505, 1)  # pvpanic
            told.wait("lifecycle", "crashed")
            told.wait("lifecycle", "stopped (crashed)")
            self.wait_running("web")
            service.settle()

            # What status makes of it.
            status = hv.reconcile("status", "web", "--config", service.config_path, "-o", "json", check=0).json()["domains"][0]
            self.assertEqual(status["lastWatchdog"]["action"], "nothing is done")
            self.assertGreaterEqual(status["lastStarted"], status["lastStopped"])  # whole seconds
            self.assertLess(status["uptimeSeconds"], time.monotonic() - crashed + 1)
            text = hv.reconcile("status", "web", "--config", service.config_path, check=0).stdout
            self.assertRegex(text, r"(?m)^  stopped +2\S+ \S+Z, stopped \(crashed\)$")
            self.assertRegex(text, r"(?m)^  watchdog +2\S+ \S+Z, nothing is done$")
        domain.destroy()  # while nobody watches
        domain.create()
        with self.service() as service:
            service.settle()
            status = hv.reconcile("status", "web", "--config", service.config_path, "-o", "json", check=0).json()["domains"][0]
            self.assertIsNone(status["uptimeSeconds"], "it was started again since, and nobody saw it")

    def poke(self, port, value):
        """As the guest would: its kernel lets nobody write to I/O ports."""
        libvirt_qemu.qemuMonitorCommand(self.hv.domain("web"), f"o/b {port} {value}", libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)


class Drives(TestCase):
    def test_tray(self):
        """Opened and closed as a guest would."""
        hv = self.hv
        medium = hv.path("files", "medium.iso")
        os.makedirs(os.path.dirname(medium), exist_ok=True)
        with open(medium, "wb") as file:
            file.truncate(1 << 20)
        hv.give(medium)
        drive = {"target": "hdc", "bus": "ide", "device": "cdrom", "path": medium}
        hv.write("all.yaml", hv.vm("web", machine="pc", boot=None, disks=[drive]))
        with self.service() as service:
            told = Told(service)
            self.wait_running("web")
            service.settle()
            for command, word in (("blockdev-open-tray", "opened"), ("blockdev-close-tray", "closed")):
                libvirt_qemu.qemuMonitorCommand(hv.domain("web"), json.dumps({"execute": command, "arguments": {"id": "ide0-1-0"}}), 0)
                told.wait("tray", f"ide0-1-0 {word}")
            self.assertEqual(service.settle()["objects"], {})


class Networks(TestCase):
    hypervisor = lab.SystemHypervisor

    def test_life(self):
        hv = self.hv
        spec = {"mode": "nat", "bridge": "vbr-n", "address": "192.168.151.1", "prefix": 24, "state": "active"}
        hv.write("all.yaml", lab.document("Network", "n", spec))
        with self.service() as service:
            told = Told(service)
            told.wait("network", "started", object="network/n")
            service.settle()
            hv.conn.networkLookupByName("n").destroy()
            told.wait("network", "stopped", object="network/n")
            wait_for(lambda: hv.conn.networkLookupByName("n").isActive(), service.log)
            service.settle()
            hv.conn.networkLookupByName("n").destroy()
            hv.conn.networkLookupByName("n").undefine()
            told.wait("network", "undefined", object="network/n")
            wait_for(lambda: [each.isActive() for each in hv.conn.listAllNetworks()] == [1], service.log)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
