#!/usr/bin/python3
"""One file under two names: what others use by a link of it isn't deleted, merged or written to."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab

EVERYTHING = ("--prune", "--prune-limit", "100", "--allow", "restart,data-loss", "--prune-images", "0s")
DISK = "<disk type='file'><driver name='qemu' type='{}'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>"


class SameFile(lab.TestCase):
    tiny = True

    def link(self, to, name, hard=False):
        """Another name for a file, in a directory that no pool has."""
        path = os.path.join(tempfile.mkdtemp(dir=self.hv.path("consoles")), name)
        os.chmod(os.path.dirname(path), 0o755)
        (os.link if hard else os.symlink)(to, path)
        return path

    def overlay(self, base, name, fmt="qcow2"):
        path = self.pool_file(name)
        os.system(f"qemu-img create -q -f qcow2 -b {base} -F {fmt} {path}")
        self.hv.give(path)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        return path

    def write(self, *documents):
        self.hv.write("all.yaml", self.hv.pool(), *documents)

    def stopped(self, name, **disk):
        return self.hv.vm(name, powerState="stopped", disks=[{"target": "vda", **disk}])

    def blank(self, name):
        return self.stopped(name, size="1MiB", pool="lab")

    def notes(self, plan, name):
        return " ".join(next(each for each in plan["objects"] if each["name"] == name).get("notes", []))

    def specs(self):
        return self.hv.path("specs")

    def keeps(self, name, saying):
        """Whatever is allowed, the run refuses to delete the file."""
        result = self.hv.reconcile(*EVERYTHING, self.specs())
        self.assertTrue(os.path.exists(self.pool_file(name)), str(result))
        self.assertEqual(result.status, 3, str(result))
        self.assertIn(saying, result.stdout)

    def test_a_pruned_machines_disk_is_another_ones_by_a_link(self):
        for hard in (False, True):
            with self.subTest(hard=hard):
                name = f"gone{int(hard)}"
                self.write(self.blank(name), self.blank("stays"), self.blank("too"))
                self.hv.apply(self.specs())
                file = self.pool_file(f"{name}-vda.qcow2")
                self.hv.define(f"hand{int(hard)}", DISK.format("qcow2", self.link(file, f"other{int(hard)}.img", hard)))
                self.write(self.blank("stays"), self.blank("too"))
                self.keeps(f"{name}-vda.qcow2", f"hand{int(hard)}")

    def test_beneath_an_overlay_by_a_link(self):
        self.write(self.blank("gone"), self.blank("stays"), self.blank("too"))
        self.hv.apply(self.specs())
        self.overlay(self.link(self.pool_file("gone-vda.qcow2"), "base.img"), "by-hand.qcow2")
        self.write(self.blank("stays"), self.blank("too"))
        self.keeps("gone-vda.qcow2", "by-hand.qcow2")

    def test_an_unused_image_that_a_link_leads_to(self):
        image = self.hv.image()
        self.write(image, self.blank("a"))
        self.hv.apply(self.specs())
        (base,) = [name for name in os.listdir(self.pool_file("")) if name.startswith("sha256-")]
        self.write(self.blank("a"))
        self.overlay(self.link(self.pool_file(base), "base.img"), "by-hand.qcow2", base.rsplit(".", 1)[1])
        self.assertEqual(self.hv.plan(*EVERYTHING, self.specs(), status=0)["actions"], [])

    def test_it_does_not_grow_under_another_machine(self):
        """A running one of a person's has it by another name, and would not know."""
        self.write(self.blank("web"))
        self.hv.apply(self.specs())
        link = self.link(self.pool_file("web-vda.qcow2"), "other.img")
        self.hv.define("hand", DISK.format("qcow2", link), start=True)
        self.write(self.stopped("web", size="2MiB", pool="lab"))
        result = self.hv.reconcile(self.specs(), check=1)
        self.assertIn("the running machine hand uses it too", result.stdout)

    def test_declared_by_a_link(self):
        self.write(self.blank("web"))
        self.hv.apply(self.specs())
        file = self.pool_file("web-vda.qcow2")
        link = self.link(file, "other.img")
        self.hv.define("hand", DISK.format("qcow2", file))
        self.write(self.blank("web"), self.stopped("new", path=link, format="qcow2"))
        plan = self.hv.plan(self.specs())
        self.assertIn(f"{link} is also a disk of the machine", self.notes(plan, "new"))
        self.hv.conn.lookupByName("hand").undefine()
        plan = self.hv.plan(self.specs())
        self.assertIn(f"{link} is also a disk of the machine web", self.notes(plan, "new"))
        # Both are new: only the files tell.
        fresh = self.hv.path("consoles", "fresh.img")
        with open(fresh, "wb") as image:
            image.truncate(1 << 20)
        link = self.link(fresh, "other.img")
        self.write(self.stopped("a", path=fresh, format="raw"), self.stopped("b", path=link, format="raw"))
        plan = self.hv.plan(self.specs())
        self.assertRegex(self.notes(plan, "a") + self.notes(plan, "b"), "is also a disk of the machine [ab], which may write")

    def test_declared_beneath_another_machine(self):
        """Who writes to a base destroys what lies on it: also where nothing runs and QEMU's lock can't help."""
        self.write(self.blank("web"))
        self.hv.apply(self.specs())
        base = self.pool_file("web-vda.qcow2")
        self.hv.define("hand", DISK.format("qcow2", self.overlay(base, "by-hand.qcow2")))
        for path in (base, self.link(base, "base.img")):
            self.write(self.stopped("new", path=path, format="qcow2"))
            result = self.hv.reconcile(self.specs(), check=1)
            self.assertIn("disk vda of the machine hand is based on", result.stdout)
            self.assertNotIn("new", [domain.name() for domain in self.hv.conn.listAllDomains()])
        self.write(self.hv.vm("new", powerState="stopped", disks=[{"target": "vda", "path": base, "format": "qcow2", "readOnly": True}]))
        self.hv.apply(self.specs())


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
