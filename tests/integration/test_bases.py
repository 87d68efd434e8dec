#!/usr/bin/python3
"""Base images: read-only, held to their digest before anything relies on them, followed when
that is asked for, and collected when nothing uses them."""

import hashlib
import os
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

MIB = 1 << 20
DISK = {"target": "vda", "image": "base", "pool": "lab"}


class BaseCase(lab.TestCase):
    tiny = True

    def specs(self):
        return self.hv.path("specs")

    def bases(self, pool="lab"):
        return sorted(name for name in os.listdir(self.hv.path("pools", pool)) if name.startswith("sha256-"))

    def raw_image(self, name, content):
        """A small raw image file; returns its path."""
        path = self.hv.path("images", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content * (MIB // len(content)))
        return path

    def digest(self, path):
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def spoil(self, path):
        """Changes one byte in the middle, as somebody with more rights than sense would."""
        os.chmod(path, 0o644)
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0xFF]))

    def stopped(self, name, **spec):
        return self.hv.vm(name, powerState="stopped", disks=[dict(DISK)], **spec)

    def base_of_one_machine(self, **spec):
        image = self.hv.image(source=self.raw_image("base.raw", b"first!! "))
        self.hv.write("all.yaml", self.hv.pool(), image, self.stopped("web", **spec))
        self.hv.apply(self.specs())
        return self.pool_file(self.bases()[0])


class Change(BaseCase):
    def test_read_only(self):
        base = self.base_of_one_machine()
        self.assertEqual(stat.S_IMODE(os.stat(base).st_mode) & 0o222, 0)
        self.hv.plan(self.specs(), status=0)

    def test_start_is_refused(self):
        base = self.base_of_one_machine()
        self.spoil(base)
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image(source=self.hv.path("images/base.raw")),
                      self.hv.vm("web", disks=[dict(DISK)]), self.hv.vm("other"))
        result = self.hv.apply(self.specs(), status=3)
        self.assertIn("was changed after machines were built on it", result.stdout + result.stderr)
        self.assertIn(os.path.basename(base), result.stdout + result.stderr)
        self.assertFalse(self.hv.domain("web").isActive())
        self.assertTrue(self.hv.domain("other").isActive())
        # Put back, it starts.
        self.spoil(base)
        self.hv.apply(self.specs())
        self.assertTrue(self.hv.domain("web").isActive())
        self.hv.plan(self.specs(), status=0)

    def test_same_content_with_another_time(self):
        base = self.base_of_one_machine()
        os.utime(base)
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image(source=self.hv.path("images/base.raw")),
                      self.hv.vm("web", disks=[dict(DISK)]))
        self.hv.apply(self.specs())
        self.assertTrue(self.hv.domain("web").isActive())

    def test_without_a_journal(self):
        base = self.base_of_one_machine()
        self.spoil(base)
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image(source=self.hv.path("images/base.raw")),
                      self.hv.vm("web", disks=[dict(DISK)]))
        self.hv.reconcile("--state-dir", self.hv.path("new-state"), self.specs(), check=3)
        self.assertFalse(self.hv.domain("web").isActive())

    def test_growing_is_refused(self):
        base = self.base_of_one_machine()
        self.spoil(base)
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image(source=self.hv.path("images/base.raw")),
                      self.hv.vm("web", powerState="stopped", disks=[{**DISK, "size": "8MiB"}]))
        result = self.hv.apply(self.specs(), status=3)
        self.assertIn("was changed", result.stdout + result.stderr)
        self.spoil(base)
        self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)

    def test_running_machine_neither_grows_nor_restarts(self):
        image = self.hv.image(source=self.raw_image("base.raw", b"first!! "))
        policy = {"updatePolicy": {"restart": "allowed"}}
        self.hv.write("all.yaml", self.hv.pool(), image, self.hv.vm("web", disks=[dict(DISK)], **policy))
        self.hv.apply(self.specs())
        guest = self.hv.guest("web")
        guest.wait_heartbeat()
        self.spoil(self.pool_file(self.bases()[0]))
        recorder = self.recorder()
        self.hv.write("all.yaml", self.hv.pool(), image, self.hv.vm("web", disks=[{**DISK, "size": "8MiB"}], **policy))
        self.hv.apply(self.specs(), status=3)
        self.hv.write("all.yaml", self.hv.pool(), image,
                      self.hv.vm("web", disks=[{**DISK, "serial": "ABC"}], **policy))
        self.hv.apply(self.specs(), status=3)
        self.assertTrue(self.hv.domain("web").isActive())
        self.assertEqual(recorder.stopped_events("web"), [])


class Follow(BaseCase):
    def test_changed_source_is_not_followed_unasked(self):
        self.base_of_one_machine()
        first = self.bases()
        source = self.raw_image("base.raw", b"second! ")
        image = self.hv.image(source=source)
        self.hv.write("all.yaml", self.hv.pool(), image, self.stopped("web"))
        result = self.hv.apply(self.specs(), status=1)
        said = result.stdout + result.stderr
        self.assertIn("useLatest", said)
        self.assertIn("web[vda]", said)
        self.assertEqual(self.bases(), first)

    def test_use_latest(self):
        self.base_of_one_machine()
        (first,) = self.bases()
        self.raw_image("base.raw", b"second! ")
        newest = self.raw_image("other.raw", b"third!! ")
        os.utime(newest, (time.time() + 10,) * 2)
        image = self.hv.image(source=self.hv.path("images"), useLatest=True)
        self.hv.write("all.yaml", self.hv.pool(), image, self.stopped("web"), self.stopped("new"))
        plan = self.hv.plan(self.specs(), status=2)
        notes = [object for object in plan["objects"] if object["kind"] == "Image"][0]["notes"]
        self.assertIn("web[vda] (" + first[7:19], notes[0])
        self.hv.apply(self.specs())
        wanted = f"sha256-{self.digest(newest)}.raw"
        self.assertEqual(self.bases(), sorted([first, wanted]))
        volumes = self.hv.conn.storagePoolLookupByName("lab")
        self.assertIn(first, volumes.storageVolLookupByName("web-vda.qcow2").XMLDesc())
        self.assertIn(wanted, volumes.storageVolLookupByName("new-vda.qcow2").XMLDesc())
        self.hv.plan(self.specs(), status=0)


class Collect(BaseCase):
    """An unused base goes only when it is asked for, old and certainly unused."""

    def unused(self):
        """web on the first base; the second was imported for nobody."""
        self.base_of_one_machine()
        (self.used,) = self.bases()
        image = self.hv.image(source=self.raw_image("base.raw", b"second! "), useLatest=True)
        self.hv.write("all.yaml", self.hv.pool(), image, self.stopped("web"))
        self.hv.apply(self.specs())
        self.second = next(name for name in self.bases() if name != self.used)
        image = self.hv.image(source=self.raw_image("base.raw", b"third!! "), useLatest=True)
        self.hv.write("all.yaml", self.hv.pool(), image, self.stopped("web"))
        self.hv.apply(self.specs())
        self.assertEqual(len(self.bases()), 3)

    def test_only_the_unused(self):
        self.unused()
        self.hv.plan(self.specs(), status=0)  # not without being asked
        self.hv.plan("--prune-images", "1d", self.specs(), status=0)  # too young
        plan = self.hv.plan("--prune-images", "0s", self.specs(), status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["volume-delete"])
        self.hv.apply("--prune-images", "0s", self.specs())
        left = self.bases()
        self.assertNotIn(self.second, left)
        self.assertIn(self.used, left)
        self.assertEqual(len(left), 2)
        self.hv.plan("--prune-images", "0s", self.specs(), status=0)

    def test_another_pool_refers_to_it(self):
        self.unused()
        self.hv.write("more.yaml", self.hv.pool("more"))
        self.hv.apply(self.specs())
        overlay = self.hv.path("pools", "more", "by-hand.qcow2")
        os.system(f"qemu-img create -q -f qcow2 -b {self.pool_file(self.second)} -F raw {overlay}")
        self.hv.give(overlay)
        self.hv.conn.storagePoolLookupByName("more").refresh()
        self.hv.plan("--prune-images", "0s", self.specs(), status=0)
        # In a pool that nobody can look into, it might be referred to as well.
        os.remove(overlay)
        pool = self.hv.conn.storagePoolLookupByName("more")
        pool.refresh()
        pool.destroy()
        self.hv.write("more.yaml", {**self.hv.pool("more"), "spec": {**self.hv.pool("more")["spec"], "state": "inactive"}})
        plan = self.hv.plan("--prune-images", "0s", self.specs(), status=0)
        kept = next(object for object in plan["objects"] if object["name"] == self.second)
        self.assertIn("pool more isn't started", kept["notes"][0])

    def test_made_use_of_between_plan_and_act(self):
        self.unused()
        saved = self.hv.path("plan.json")
        self.hv.plan("--prune-images", "0s", "--plan-out", saved, self.specs(), status=2)
        overlay = self.pool_file("by-hand.qcow2")
        os.system(f"qemu-img create -q -f qcow2 -b {self.pool_file(self.second)} -F raw {overlay}")
        self.hv.give(overlay)
        result = self.hv.reconcile("--plan", saved, check=3)
        self.assertIn("by-hand.qcow2", result.stdout + result.stderr)
        self.assertIn(self.second, self.bases())


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
