#!/usr/bin/python3
"""Machines on one base: whatever is done to one changes neither the base nor what the others read, running or stopped."""

import os
import subprocess

from chain_case import ChainCase, lab, libvirt

SPACE = "16MiB"


class OneBase(ChainCase):
    """web is worked on. runs and rests have an overlay of their own on the same base, and are looked at after each step."""

    def setUp(self):
        self.original = self.hv.path("images/base.qcow2")
        self.image()
        on_base = {"image": "base", "pool": "lab"}
        self.disks = {target: {"target": target, **on_base} for target in ("vda", "vdb", "vdc", "vdd")}
        self.spec = {"powerState": "running", "shutdown": {"timeout": "20s", "retryInterval": "1s"}}
        for name, power in (("runs", "running"), ("rests", "stopped")):
            self.write(name, disks=[{"target": "vda", **on_base}], powerState=power)
        self.done = []

    def image(self, seed=0x11, **spec):
        """The declared image's file, of another content for another seed."""
        os.makedirs(os.path.dirname(self.original), exist_ok=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.original, "8M"], check=True)
        subprocess.run(["qemu-io", "-c", f"write -q -P {seed} 0 5M", "-c", "write -q -P 0x22 6M 64k", self.original], check=True)
        self.hv.write("storage.yaml", self.hv.pool(), self.hv.image(source=self.original, **spec))

    def read(self):
        """What the others read, and the bytes of the base."""
        return {"runs": self.hv.guest("runs").do("sum", "vda"), "rests": self.seen("rests"), "base": self.digest(self.used)}

    def step(self, what, *kinds, options=(), **spec):
        """Declares web so, applies; it did so, and what the others read is what it was."""
        self.spec.update(spec)
        self.write("web", disks=list(self.disks.values()), **self.spec)
        result = self.hv.reconcile("-o", "json", *options, self.hv.path("specs"))
        self.assertEqual(result.status, 0, f"{what}: {result}")
        self.assertLessEqual(set(kinds), {action["kind"] for action in result.json()["actions"]}, what)
        self.unharmed(what)

    def unharmed(self, what):
        self.assertEqual(self.read(), self.expected, what)
        self.done.append(what)

    def grow(self, target, size):
        self.disks[target]["size"] = size

    def scribble(self, seed, target="vda"):
        self.assertEqual(self.hv.guest("web").do("write", target, 2, seed), "0")

    def scribble_off(self, seed):
        subprocess.run(["qemu-io", "-c", f"write -q -P {seed} 3M 1M", self.defined()], check=True, stdout=subprocess.DEVNULL)

    def export(self, *exports):
        return [{"name": name, "disk": "vda", "to": "lab", **how} for name, how in exports]

    def test_nothing_done_to_one_reaches_another(self):
        self.write("web", disks=list(self.disks.values()), **self.spec)
        self.apply()
        (self.used,) = (self.hv.path("pools/lab", name) for name in self.base_files())
        guest = self.hv.guest("runs")
        guest.do("write", "vda", 4, "its own")
        self.starts = guest.starts()
        self.expected = self.read()
        for target in self.disks:
            self.scribble("first", target)
        self.unharmed("written to")
        self.while_it_runs()
        self.while_it_is_off()
        self.images_and_deletion()
        self.assertEqual(guest.starts(), self.starts)
        self.assertEqual(self.digest(self.used), self.used.split("sha256-")[1].split(".")[0])

    def while_it_runs(self):
        self.grow("vda", "12MiB")
        self.step("grown, snapshots", "resize-disk", "snapshot-take", snapshots=[{"name": "one"}, {"name": "two", "memory": True}])
        self.scribble("second")
        self.grow("vda", SPACE)
        self.step("grown on a snapshot, exported", "resize-disk", "disk-export", exports=self.export(("plain", {}), ("small", {"compress": "gzip"})))
        self.step("merged", "snapshot-remove", snapshots=[{"name": "two", "memory": True}])
        self.step("gone back", "domain-revert", revert={"to": "two", "request": "r1", "safety": False})
        self.scribble("third")
        self.disks["vde"] = {"target": "vde", "image": "base", "pool": "lab"}
        self.step("merged again, plugged", "snapshot-remove", "attach-device", snapshots=None, revert=None)
        self.layer("hand", metadata=False)
        self.scribble("fourth")
        self.disks.pop("vde")
        self.step("committed, unplugged", "layer-commit", "detach-device", chain={"maxDepth": 1, "onExceed": "commit"})
        self.layer("hand", target="vdb", metadata=False)
        self.scribble("fifth", "vdb")
        self.step("flattened", "disk-flatten", chain={"maxDepth": 1, "onExceed": "flatten"})

    def while_it_is_off(self):
        self.step("stopped", "domain-shutdown", powerState="stopped")
        self.grow("vdc", "12MiB")
        self.step("grown, a snapshot within the file", "volume-grow", "snapshot-take", snapshots=[{"name": "in", "mode": "internal"}])
        self.scribble_off(5)
        self.step("gone back within the file", "domain-revert", revert={"to": "in", "request": "r2", "safety": False})
        self.step("taken out of the file, a layer", "snapshot-remove", "snapshot-take", snapshots=[{"name": "out", "disks": ["vda"]}], revert=None)
        self.scribble_off(6)
        self.step("gone back", "domain-revert", revert={"to": "out", "request": "r3", "safety": False})
        self.step("merged, exported", "snapshot-remove", "disk-export", snapshots=None, revert=None,
                  exports=self.export(("off", {"format": "raw"}), ("tiny", {"compress": "zstd"})))
        self.layer("off", metadata=False)
        self.scribble_off(7)
        self.step("committed", "layer-commit", chain={"maxDepth": 1, "onExceed": "commit"})
        self.layer("off", target="vdc", metadata=False)
        self.disks["vdd"].update(provision="copy", format="raw")
        self.step("flattened, converted", "disk-flatten", "disk-convert", chain={"maxDepth": 1, "onExceed": "flatten"})

    def images_and_deletion(self):
        """A disk that forgets, a newer image, images that nobody uses, and the end of it all."""
        self.disks["vda"]["stateless"] = True
        starts = self.hv.guest("web").starts()
        self.step("forgetful", "domain-redefine", "domain-start", powerState="running")
        self.hv.guest("web").wait(lambda guest: guest.starts() > starts, "another start")
        self.scribble("sixth")
        self.unharmed("written in vain")
        self.image(seed=0x33, useLatest=True)
        self.disks["vdf"] = {"target": "vdf", "image": "base", "pool": "lab"}
        self.step("forgotten, a newer image", "domain-shutdown", "image-import", "volume-create", powerState="stopped")
        self.image(seed=0x44, useLatest=True)
        self.disks["vdg"] = {"target": "vdg", "image": "base", "pool": "lab", "provision": "copy"}
        self.step("copied from the newest", "image-import", "volume-copy")
        os.remove(self.hv.path("specs/web.yaml"))
        result = self.hv.reconcile("-o", "json", "--prune", "--prune-limit", "100", "--allow", "data-loss", self.hv.path("specs"), check=0)
        self.assertIn("domain-undefine", {action["kind"] for action in result.json()["actions"]})
        self.unharmed("deleted")
        self.assertEqual(len(self.base_files()), 3)
        self.apply("--prune-images", "0s")
        self.unharmed("unused images gone")
        self.assertEqual(len(self.base_files()), 2)  # theirs, and the declared one


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
