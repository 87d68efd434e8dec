#!/usr/bin/python3
"""Disks that are formatted when they are made, that forget what was written, and that may be lost."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

GIB = 1 << 30


class KindsCase(lab.TestCase):
    def source(self):
        return self.hv.path("specs")

    def volume(self, name):
        return self.hv.path("pools", "lab", name)

    def files(self):
        return sorted(os.listdir(self.hv.path("pools", "lab")))

    def machine(self, *disks, name="web", **spec):
        spec.setdefault("powerState", "stopped")
        self.hv.write(f"{name}.yaml", self.hv.vm(name, "control", serials=self.hv.control_port(name),
                                                 disks=[{"pool": "lab", **disk} for disk in disks], **spec))

    def setUp(self):
        self.hv.write("pool.yaml", self.hv.pool())

    def in_sync(self):
        plan = self.hv.plan(self.source(), status=0)
        self.assertEqual(plan["actions"], [])
        return plan

    def apply(self, *options):
        self.hv.apply(*options, self.source())
        return self.in_sync()

    def raw(self, name):
        """The volume's content as a raw file; its path."""
        path = self.hv.path("state", "raw")
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", self.volume(name), path], check=True)
        return path


def blkid(path):
    out = subprocess.run(["/sbin/blkid", "-p", "-o", "export", path], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    return dict(line.split("=", 1) for line in out.splitlines())


class Formatted(KindsCase):
    def test_each_in_each_format(self):
        disks = [(f"vd{letter}", filesystem, fmt) for letter, (filesystem, fmt) in
                 zip("abcdef", ((f, x) for f in ("ext4", "vfat", "swap") for x in ("raw", "qcow2")))]
        self.machine(*({"target": t, "size": "40MiB", "filesystem": f, "label": f"{t}-L", "format": x} for t, f, x in disks))
        self.apply()
        self.assertEqual(self.files(), sorted(f"web-{t}.{x}" for t, _, x in disks))
        for target, filesystem, fmt in disks:
            with self.subTest(filesystem=filesystem, format=fmt):
                path = self.raw(f"web-{target}.{fmt}")
                self.assertEqual(os.stat(path).st_size, 40 << 20)
                found = blkid(path)
                self.assertEqual((found["TYPE"], found["LABEL"]), (filesystem, f"{target}-L"))
                if filesystem == "ext4":
                    subprocess.run(["/sbin/e2fsck", "-f", "-n", path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if filesystem == "vfat":
                    subprocess.run(["/sbin/fsck.vfat", "-n", path], check=True, stdout=subprocess.DEVNULL)

    def test_large_ones_stay_small(self):
        self.machine({"target": "vda", "size": "1TiB", "filesystem": "ext4"}, {"target": "vdb", "size": "4TiB", "filesystem": "swap", "format": "raw"})
        self.apply("--allow", "overcommit")
        for name in self.files():
            self.assertLess(os.stat(self.volume(name)).st_blocks * 512, 256 << 20, name)

    def test_guest_swaps_on_it(self):
        self.machine({"target": "vda", "size": "16MiB", "filesystem": "swap"}, powerState="running")
        self.apply()
        guest = self.hv.guest("web")
        guest.wait_heartbeat()
        self.assertEqual(guest.do("run", "swapoff /dev/vda; swapon /dev/vda"), "0")

    def test_existing_volume_is_never_formatted(self):
        self.hv.apply(self.source())
        with open(self.volume("web-vda.raw.filling"), "wb") as file:
            file.write(b"precious" * 64)
        self.machine({"target": "vda", "size": "16MiB", "filesystem": "ext4", "format": "raw"})
        result = self.hv.reconcile(self.source(), check=3)
        self.assertIn("web-vda.raw.filling in storage pool lab already; it is left alone", result.stdout + result.stderr)
        self.assertEqual(self.files(), ["web-vda.raw.filling"])

    def test_without_the_tool(self):
        self.machine({"target": "vda", "size": "16MiB", "filesystem": "ext4"})
        self.hv.apply(self.hv.path("specs", "pool.yaml"))
        os.symlink("/bin/false", self.hv.path("home", "mkfs.ext4"))
        env = {**self.hv.env, "PATH": self.hv.path("home") + ":" + self.hv.env["PATH"]}
        self.hv.reconcile(self.source(), env=env, check=1)
        self.assertEqual(self.files(), [])
        self.apply()


class Plugged(KindsCase):
    def test_into_a_machine_that_runs(self):
        """Whole disks are there from the first moment on."""
        self.hv.write("pool.yaml", self.hv.pool(), self.hv.image())
        self.machine(powerState="running")
        self.apply()
        guest = self.hv.guest("web")
        guest.wait_heartbeat()
        recorder = self.recorder()
        self.machine({"target": "vda", "image": "base", "provision": "copy", "size": "96MiB"},
                     {"target": "vdb", "size": "24MiB", "filesystem": "ext4", "label": "data"},
                     {"target": "vdc", "size": "16MiB", "filesystem": "swap", "format": "raw"},
                     {"target": "vdd", "size": "8MiB", "ephemeral": True}, powerState="running")
        self.apply()
        self.assertEqual(recorder.stopped_events("web"), [])
        sizes = [int(guest.do("run", f"exit $(($(cat /sys/block/{disk}/size) / 2048))")) for disk in ("vda", "vdb", "vdc", "vdd")]
        self.assertEqual(sizes, [96, 24, 16, 8])
        self.assertEqual(guest.do("run", "swapon /dev/vdc"), "0")
        self.assertEqual(guest.do("run", "dd if=/dev/vdb bs=1 skip=1144 count=4 | grep -q data"), "0")  # where ext4 has its label
        base = next(name for name in self.files() if name.startswith("sha256-"))
        subprocess.run(["qemu-img", "compare", "-q", "-U", self.volume(base), self.volume("web-vda.qcow2")], check=True)
        self.assertNotIn("backing file", subprocess.run(["qemu-img", "info", "-U", self.volume("web-vda.qcow2")], check=True,
                                                        stdout=subprocess.PIPE, encoding="utf-8").stdout)


class Stateless(KindsCase):
    def setUp(self):
        super().setUp()
        self.machine({"target": "vda", "size": "8MiB", "stateless": True},
                     {"target": "vdb", "size": "8MiB", "stateless": True, "format": "raw"},
                     {"target": "vdc", "size": "8MiB"}, powerState="running")
        self.apply()
        self.guest = self.hv.guest("web")

    def sums(self):
        return [self.guest.do("sum", disk) for disk in ("vda", "vdb", "vdc")]

    def test_forgets_at_the_stop(self):
        self.guest.wait_heartbeat()
        blank = self.sums()
        for disk in ("vda", "vdb", "vdc"):
            self.guest.do("write", disk, 1, "seed")
        written = self.sums()
        self.assertTrue(all(b != w for b, w in zip(blank, written)))
        self.assertEqual(len(self.files()), 5)
        self.in_sync()
        result = self.hv.reconcile("status", "-o", "json", check=0).json()
        self.assertEqual(result["domains"][0]["drift"], [])
        domain = self.hv.domain("web")
        domain.destroy()
        self.assertEqual(self.files(), ["web-vda.qcow2", "web-vdb.raw", "web-vdc.qcow2"])
        self.apply()
        self.guest.wait_heartbeat()
        self.assertEqual(self.sums(), [blank[0], blank[1], written[2]])

    def test_starts_after_a_sudden_death(self):
        with open(self.hv.path("run/libvirt/qemu/run/web.pid"), encoding="ascii") as file:
            pid = int(file.read())
        self.hv.kill_daemon()
        os.kill(pid, 9)
        self.hv.restart_daemon()
        self.assertIn("web-vda.qcow2.TRANSIENT-web", self.files())
        while self.hv.domain("web").isActive():
            time.sleep(0.1)
        result = self.hv.apply(self.source())
        self.assertIn("web-vda.qcow2.TRANSIENT-web", result.stdout)
        self.in_sync()

    def test_foreign_file_in_the_way(self):
        self.hv.domain("web").destroy()
        path = self.volume("web-vda.qcow2.TRANSIENT-web")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"], check=True)
        self.hv.give(path)
        result = self.hv.reconcile(self.source(), check=3)
        self.assertIn("isn't an overlay of it: move it away", result.stdout + result.stderr)
        self.assertIn("web-vda.qcow2.TRANSIENT-web", self.files())

    def test_grows_only_when_stopped(self):
        def grown(power):
            self.machine({"target": "vda", "size": "16MiB", "stateless": True},
                         {"target": "vdb", "size": "8MiB", "stateless": True, "format": "raw"}, {"target": "vdc", "size": "8MiB"}, powerState=power)
        grown("running")
        plan = self.hv.reconcile("--dry-run", self.source())
        self.assertIn("stateless and can't grow while the machine runs", plan.stdout + plan.stderr)
        self.hv.domain("web").destroy()
        grown("stopped")
        self.apply()
        info = subprocess.run(["qemu-img", "info", self.volume("web-vda.qcow2")], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        self.assertIn("16 MiB", info)


class Ephemeral(KindsCase):
    def test_goes_with_the_machine(self):
        self.machine({"target": "vda", "size": "8MiB"}, {"target": "vdb", "size": "8MiB", "ephemeral": True})
        self.apply()
        os.remove(self.hv.path("specs", "web.yaml"))
        self.hv.apply("--prune", self.source())
        self.assertEqual(self.files(), ["web-vda.qcow2"])

    def test_is_left_out_of_snapshots(self):
        self.machine({"target": "vda", "size": "8MiB"}, {"target": "vdb", "size": "8MiB", "ephemeral": True, "filesystem": "swap"})
        self.apply()
        self.machine({"target": "vda", "size": "8MiB"}, {"target": "vdb", "size": "8MiB", "ephemeral": True, "filesystem": "swap"},
                     snapshots=[{"name": "before"}])
        self.assertIn("snapshot-take", [action["kind"] for action in self.hv.plan(self.source())["actions"]])
        self.apply()
        self.assertEqual(self.files(), ["web-vda.before.qcow2", "web-vda.qcow2", "web-vdb.qcow2"])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
