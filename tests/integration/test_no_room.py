#!/usr/bin/python3
"""A pool without room: what writes into it is refused before anything is begun, also where libvirt's own figure is from
better days; where the room goes in the middle, machines run on, nothing half-made stays, and the next run gets there."""

import os
import subprocess

from chain_case import MIB, ChainCase, lab

ROOM = 64
DISK = {"target": "vda", "pool": "lab", "size": "4MiB"}
MERGE, FLATTEN = ({"maxDepth": 1, "onExceed": way} for way in ("commit", "flatten"))


class NoRoom(ChainCase):
    """Each operation on a machine that is off has one of its own, m0, m1 …; `runs` runs all the time."""

    def setUp(self):
        self.small = self.hv.small_disk("small", f"{ROOM}M")
        self.directory = self.hv.make_directory("pools/small/lab")
        with open(self.hv.path("guest/some.raw"), "wb") as file:
            file.write(os.urandom(3 * MIB))
        self.hv.write("storage.yaml", self.hv.pool(target=self.directory), self.hv.image(source=self.hv.path("guest/some.raw")))

    def declare(self, name, disk=None, **spec):
        runs = name == "runs"
        power = {} if runs else {"powerState": "stopped", "serials": None}
        more = [{"target": "vdb", "pool": "lab", "image": "base", "size": "3MiB"}] if runs else []  # random bytes
        self.write(name, disks=[{**DISK, **(disk or {})}, *more], **{**power, **spec})

    # Room.

    def fill(self, leave=0):
        """By somebody else: libvirt doesn't know it."""
        free = os.statvfs(self.small)
        subprocess.run(["dd", "if=/dev/zero", f"of={self.small}/filler", "bs=4096", f"count={free.f_bfree - leave // 4096}", "status=none"], check=True)

    def make_room(self):
        os.unlink(os.path.join(self.small, "filler"))

    def filled_at(self, place):
        """The environment of a run whose pool is filled when it has come so far."""
        log = self.hv.path("state/filled")
        return {**self.hv.env, "RECONCILE_FAULT_AT": place,
                "RECONCILE_FAULT_COMMAND": f"dd if=/dev/zero of={self.small}/filler bs=4096 2>{log}; test -s {log}"}

    # Content.

    def put(self, name, seed, at):
        path = self.defined(name)
        subprocess.run(["qemu-io", "-f", path.rsplit(".", 1)[1], "-c", f"write -q -P {seed} {at}M 1M", path], check=True, stdout=subprocess.DEVNULL)

    def read(self, name):
        return self.hv.guest(name).do("sum", "vda") if name == "runs" else self.seen(name)

    def files(self):
        return sorted(os.listdir(self.directory))

    def add_layer(self, name, layer):
        self.layer(layer, name, metadata=False, path=os.path.join(self.directory, f"{name}-vda.{layer}.qcow2"))

    def refused_runs(self):
        """An apply; of the first operation a dry run too, and a plan that was saved when there was room."""
        plan = self.hv.path("state/plan.json")
        first = not os.path.exists(plan)
        if first:
            self.hv.reconcile("--dry-run", "--plan-out", plan, self.hv.path("specs"), check=2)
        self.fill(leave=64 << 10)
        return [[self.hv.path("specs")]] + ([["--dry-run", self.hv.path("specs")], ["--plan", plan]] if first else [])

    # One operation: refused; then begun and out of room; then done.

    def through(self, what, name, kind, place, **change):
        with self.subTest(what):
            exists = name in [each.name() for each in self.hv.conn.listAllDomains()]
            before = (self.files(), exists and (self.read(name), self.defined(name)))
            self.declare(name, **change)
            for run in self.refused_runs():
                result = self.hv.reconcile(*run)
                self.assertEqual((result.status, "make room" in result.stderr), (3, True), str(result))
            self.make_room()
            self.assertEqual((self.files(), exists and (self.read(name), self.defined(name))), before)

            result = self.hv.reconcile("-o", "json", self.hv.path("specs"), env=self.filled_at(place))
            self.assertEqual(result.status, 1, str(result))
            failed = [each for each in result.json()["results"] if each["result"] == "failed"]
            self.assertEqual([each["id"] for each in failed], [each["id"] for each in result.json()["actions"] if each["kind"] == kind][:1], str(result))
            self.hv.guest("runs").wait_heartbeat()
            self.make_room()
            self.assertEqual([each for each in self.files() if each.endswith((".incomplete", ".plain"))], [])
            if exists:
                self.assertEqual(self.read(name), before[1][0])

            self.apply()
            if exists:
                self.assertEqual(self.read(name), before[1][0])

    def test_image(self):
        """A small one: libvirt takes it, loses it, and calls that well."""
        small = self.hv.path("guest/small.raw")
        with open(small, "wb") as file:
            file.write(os.urandom(200_000))
        self.apply()
        self.hv.write("small.yaml", self.hv.image("small", source=small))
        before = self.files()
        result = self.hv.reconcile(self.hv.path("specs"), env=self.filled_at("image: volume made"))
        self.assertEqual(result.status, 1, str(result))
        self.make_room()
        self.assertEqual(self.files(), before)
        self.apply()
        self.assertIn(f"sha256-{self.digest(small)}.raw", self.files())
        for name in self.files():
            self.assertEqual(name, f"sha256-{self.digest(os.path.join(self.directory, name))}.raw")

    def test_each_operation(self):
        machines = ["m0", "m1", "m2", "m3", "m4"]
        for name in (*machines, "runs"):
            self.declare(name)
        self.apply()
        guest = self.hv.guest("runs")
        for name in machines:
            self.put(name, 1, 0)
        guest.do("write", "vda", 0, "first")
        for name in ("m1", "m2"):
            self.add_layer(name, "x")
            self.put(name, 2, 1)
            self.put(name, 3, 2)
        self.through("copy", "new", "volume-copy", "volume-copy: begun in the journal", disk={"image": "base", "provision": "copy"})
        self.through("formatted", "made", "volume-format", "volume-format: begun in the journal", disk={"filesystem": "ext4", "format": "raw"})
        self.through("convert", "m0", "disk-convert", "replace: noted", disk={"format": "raw"})
        self.through("flatten", "m1", "disk-flatten", "replace: noted", chain=FLATTEN)
        self.through("merge", "m2", "layer-commit", "layers: noted", chain=MERGE)
        self.through("export", "m3", "disk-export", "export: marked", exports=[{"name": "plain", "disk": "vda", "to": "lab"}])
        self.through("compressed", "m4", "disk-export", "compress: compressed", exports=[{"name": "small", "disk": "vda", "to": "lab", "compress": "zstd"}])
        for seed, way in (("second", MERGE), ("third", FLATTEN)):
            self.add_layer("runs", seed)
            for at in (1, 2):
                guest.do("write", "vda", at, seed)
            self.through(f"{way['onExceed']} live", "runs", "layer-commit" if way is MERGE else "disk-flatten", "layers: noted", chain=way)
        export = {"name": "live", "disk": "vda", "to": "lab"}
        self.through("export live", "runs", "disk-export", "export: marked", exports=[export])
        small = {"name": "random", "disk": "vdb", "to": "lab", "compress": "zstd"}
        defined = self.defined("runs"), self.defined("runs", "vdb")
        for place in ("export: marked", "upload: half sent"):  # what is compressed finds no room, and the image that it becomes
            self.through(f"compressed live, {place}", "runs", "disk-export", place, exports=[export, {**small, "name": f"random-{place[:6]}"}])
        self.assertEqual((self.defined("runs"), self.defined("runs", "vdb")), defined)
        self.assertEqual(guest.starts(), 1)
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_growing_takes_nothing(self):
        """Of what runs and what is off, also of a volume that was made with all of its room: that is promised, and said."""
        for name in ("off", "runs"):
            self.declare(name, {"format": "raw"})
        self.apply()
        whole = os.path.join(self.directory, "off-vda.raw")
        subprocess.run(["fallocate", "-l", "4MiB", whole], check=True)
        self.fill(leave=64 << 10)
        for name in ("off", "runs"):
            self.declare(name, {"format": "raw", "size": "96MiB"})
        self.assertIn("pool lab will be over-committed", self.notes(self.plan(status=2), "off"))
        self.apply()
        self.assertEqual(self.plan(status=0)["actions"], [])
        self.assertEqual((os.stat(whole).st_size, os.stat(whole).st_blocks * 512), (96 * MIB, 4 * MIB))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
