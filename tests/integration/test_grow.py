#!/usr/bin/python3
"""Disks that grow although their content lies in layers: all that was there is read as before, and a second run has nothing to do."""

import subprocess

import chain_case
from chain_case import MIB, lab

SMALL, LARGE = 8, 12


class Grow(chain_case.ChainCase):
    def machine(self, size, **spec):
        self.hv.write("storage.yaml", self.hv.pool())
        self.write(disks=[{"target": "vda", "pool": "lab", "size": f"{size}MiB"}], **spec)
        self.apply()

    def content(self):
        """What is read of a stopped machine's disk, and how large it is."""
        raw = self.hv.path("content.raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", self.defined(), raw], check=True)
        with open(raw, "rb") as file:
            return file.read()

    def put(self, seed):
        subprocess.run(["qemu-io", "-c", f"write -P {ord(seed)} 1M 2M", self.defined()], check=True, stdout=subprocess.DEVNULL)

    def grows(self, **spec):
        before = self.content()
        self.machine(LARGE, powerState="stopped", **spec)
        after = self.content()
        self.assertEqual((len(before), len(after)), (SMALL * MIB, LARGE * MIB))
        self.assertTrue(after == before + bytes((LARGE - SMALL) * MIB), "the content has changed")
        self.assert_settled()

    def test_stopped(self):
        """Upon a snapshot of ours and a person's layer."""
        self.machine(SMALL, powerState="stopped")
        self.put("a")
        ours = {"snapshots": [{"name": "ours"}]}
        self.machine(SMALL, powerState="stopped", **ours)
        self.layer("byhand", metadata=False)
        self.put("b")
        self.grows(**ours)
        self.assertEqual(self.names(), ["web-vda.byhand.qcow2", "web-vda.ours.qcow2", "web-vda.qcow2"])

    def test_stopped_with_a_snapshot_within(self):
        within = {"snapshots": [{"name": "within", "mode": "internal"}]}
        self.machine(SMALL, powerState="stopped")
        self.put("a")
        self.machine(SMALL, powerState="stopped", **within)
        self.put("b")
        self.grows(**within)

    def test_running(self):
        self.machine(SMALL)
        guest = self.hv.guest("web")
        guest.do("write", "vda", 2, "a")
        self.layer("byhand")
        guest.do("write", "vda", 3, "b")
        content, recorder = guest.do("sum", "vda", 0, SMALL), self.recorder()
        self.machine(LARGE)
        guest.wait(lambda guest: guest.sizes()["vda"] == LARGE * MIB, "the new size")
        self.assertEqual(guest.do("sum", "vda", 0, SMALL), content)
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assert_settled()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
