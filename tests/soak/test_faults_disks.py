#!/usr/bin/python3
"""Reconcile, and libvirtd, killed at each numbered place of runs that format, convert and export disks: the next run
ends in the wanted state, with the content that there was, and the pool's directory holds nothing else."""

import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from chain_case import ChainCase, lab  # noqa: E402
import counting  # noqa: E402
import faults  # noqa: E402

DISK = {"target": "vda", "pool": "lab", "size": "8MiB"}


class Kinds(faults.Scenario):
    """From nothing: formatted disks in both formats, and exports of them."""

    fresh = True

    def documents(self, hv, step):
        disks = [{"target": "vda", "pool": "lab", "size": "16MiB", "filesystem": "ext4", "label": "data"},
                 {"target": "vdb", "pool": "lab", "size": "8MiB", "filesystem": "swap", "format": "raw"}]
        exports = [{"name": "one", "disk": "vda", "to": "lab"}, {"name": "two", "disk": "vdb", "to": "lab", "format": "raw"}]
        return [hv.pool(), hv.vm("web", powerState="stopped", disks=disks, exports=exports)]

    def check(self, case):
        pool = case.hv.path("pools/lab")
        case.assertEqual(case.files(), ["one.qcow2", "two.raw", "web-vda.qcow2", "web-vdb.raw"])
        for one, other in (("web-vda.qcow2", "one.qcow2"), ("web-vdb.raw", "two.raw")):
            subprocess.run(["qemu-img", "compare", "-q", os.path.join(pool, one), os.path.join(pool, other)], check=True)
        raw = case.hv.path("state/raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", os.path.join(pool, "web-vda.qcow2"), raw], check=True)
        subprocess.run(["/sbin/e2fsck", "-f", "-n", raw], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def write_pattern(case, step):
    """Something else each time, on a machine that is off."""
    path = case.defined()
    command = ["qemu-io", "-f", path.rsplit(".", 1)[1], "-c", f"write -q -P {1 + step % 250} {step % 60 * 65536} 131072", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Convert(faults.Scenario):
    """A stopped machine's disk becomes qcow2 and raw by turns; it runs in between, so that the old volume goes. As
    qcow2 it has another layer, made by hand."""

    content, old = None, ()

    def documents(self, hv, step):
        disk = {**DISK, "format": "qcow2" if step % 2 else "raw"}
        return [hv.pool(), counting.machine(hv, "web", [disk], powerState=None)]

    def prepare(self, case, step):
        if step == 0:
            return
        if step > 1:
            case.hv.domain("web").create()
            case.assertEqual(case.apply().status, 0)
            case.off()
            case.assertEqual(case.files(), case.names(), "the old volume goes when the machine runs")
        if step % 2 == 0:
            case.layer(f"x{step}", metadata=False)
        write_pattern(case, step)
        self.content, self.old, self.format = case.seen(), case.names(), "qcow2" if step % 2 else "raw"

    def check(self, case):
        if not self.content:
            return
        case.assertEqual(case.seen(), self.content)
        case.assertEqual([name.rsplit(".", 1)[1] for name in case.names()], [self.format])
        case.assertEqual(case.files(), sorted(case.names() + self.old))
        case.assertEqual(case.record()["disks"], [{"target": "vda", "retired": case.hv.path("pools/lab", self.old[0])}])
        case.assertEqual([each.name() for each in case.hv.conn.listAllDomains()], ["web"])


class ExportStopped(faults.Scenario):
    """Each step asks for another image of the disk."""

    alike = True
    power = "stopped"
    wanted = None

    def machine(self, hv, exports):
        return counting.machine(hv, "web", [DISK], powerState=self.power, exports=exports)

    def documents(self, hv, step):
        return [hv.pool(), self.machine(hv, [{"name": f"e{step}", "disk": "vda", "to": "lab", **self.form(step)}] if step else None)]

    def form(self, step):
        return {"format": "qcow2" if step % 2 else "raw"}

    def prepare(self, case, step):
        if step == 0:
            return
        if self.wanted:
            case.hv.conn.storageVolLookupByPath(case.hv.path("pools/lab", self.wanted)).delete()
        self.wanted = f"e{step}.{self.form(step)['format']}"
        self.write(case, step)
        self.definition = self.without_record(case)

    def write(self, case, step):
        write_pattern(case, step)

    def read(self, case):
        return case.seen()

    def digest(self, raw):
        with open(raw, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def without_record(self, case):
        before, _, after = case.hv.domain("web").XMLDesc(2).partition("<metadata>")
        return before + after.partition("</metadata>")[2]

    def check(self, case):
        if not self.wanted:
            return
        case.assertEqual(case.files(), [self.wanted, *self.disks()])
        path, raw = case.hv.path("pools/lab", self.wanted), case.hv.path("state/exported.raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", path, raw], check=True)  # takes QEMU's lock: nobody writes to it
        case.assertEqual(self.digest(raw), self.read(case))
        case.assertNotIn("backing", subprocess.run(["qemu-img", "info", path], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout)
        case.assertEqual(self.without_record(case), self.definition)
        case.assertEqual([each.name() for each in case.hv.conn.listAllDomains()], ["web"])

    def disks(self):
        return ["web-vda.qcow2"]


class CompressedStopped(ExportStopped):
    """Written plain, compressed where reconcile runs, and sent back; nothing of it stays in the state directory."""

    def form(self, step):
        return {"format": "qcow2", "compress": "zstd" if step % 2 else "gzip"}

    def check(self, case):
        super().check(case)
        case.assertEqual([name for name in os.listdir(case.hv.path("state/reconcile")) if name != "lock" and not name.startswith("journal.db")], [])
        if self.wanted:
            info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", case.hv.path("pools/lab", self.wanted)],
                                             check=True, stdout=subprocess.PIPE).stdout)
            method = self.form(int(self.wanted[1:-len(".qcow2")]))["compress"]
            case.assertEqual(info["format-specific"]["data"]["compression-type"], {"gzip": "zlib"}.get(method, method))


class ExportRunning(ExportStopped):
    """By a backup job of a guest that is never stopped."""

    power = "running"

    def started(self, case):
        self.starts = counting.came_up(case.hv, "web")

    def write(self, case, step):
        counting.write(case.hv, "web", "vda", 1 + step % 7, step % 250)

    def read(self, case):
        guest = case.hv.guest("web")
        guest.wait_heartbeat()
        case.assertEqual(guest.starts(), self.starts, "the machine was restarted")
        return counting.digest(case.hv, "web")

    def digest(self, raw):
        return counting.digest_of(raw)


class CompressedRunning(ExportRunning, CompressedStopped):
    """By a backup job first."""


class ExportQuiesced(ExportRunning):
    """The guest's file system is frozen for the moment, and writes again afterwards."""

    def machine(self, hv, exports):
        disks = [DISK, {"target": "vdb", "pool": "lab", "size": "16MiB", "filesystem": "ext4"}]
        return hv.agent_vm("web", "control", serials=hv.control_port("web"), powerState=self.power, disks=disks, exports=exports)

    def started(self, case):
        super().started(case)
        self.guest = case.hv.guest("web")
        self.guest.do("run", "until mount | grep -q /mnt; do sleep 0.1; done")

    def write(self, case, step):
        case.assertEqual(self.guest.do("write", "vda", step % 8, f"step{step}"), "0")
        deadline = time.monotonic() + 60
        while "state='connected'" not in case.hv.domain("web").XMLDesc():
            case.assertLess(time.monotonic(), deadline, "the agent's channel doesn't connect")
            time.sleep(0.1)

    def read(self, case):
        case.assertEqual(self.guest.do("run", "echo after >/mnt/after && sync", timeout=20), "0")
        return super().read(case)

    def disks(self):
        return ["web-vda.qcow2", "web-vdb.qcow2"]


SCENARIOS = (Kinds, Convert, ExportStopped, CompressedStopped, ExportRunning, CompressedRunning, ExportQuiesced)


class Everywhere(faults.TestCase, ChainCase):
    def test_reconcile(self):
        self.through_all(SCENARIOS, self.kill_reconcile)

    def test_libvirtd(self):
        self.through_all(SCENARIOS, self.kill_libvirtd)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
