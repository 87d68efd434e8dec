#!/usr/bin/python3
"""A file of a pool that two hosts share is deleted only when nothing on either of them uses it."""

import os
import shutil
import subprocess

from fleet_case import FleetCase, lab


class SharedUsers(FleetCase):
    """The machine is on kvm-2, on an overlay in a pool of its own; its base is in a pool that both hosts have."""

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.hv.path("state/reconcile"), ignore_errors=True)
        self.hosts["kvm-2"]["sharedPools"] = [{"pool": "images", "with": ["kvm-1"]}]  # who says so is enough
        self.images = self.hv.path("pools/images")
        self.pools = [self.pool(self.hv, "images"), self.pool(self.other, "local", hosts=["kvm-2"])]
        self.guest = self.machine("web", host="kvm-2")
        self.guest["spec"]["disks"] = [{"target": "vda", "image": "base", "pool": "local"}]
        self.write(*self.pools, self.hv.image(pool="images"), self.guest)
        self.apply()
        self.look_again()
        self.base, = os.listdir(self.images)

    def look_again(self):
        """libvirt on kvm-1 knows what kvm-2 has brought."""
        self.hv.conn.storagePoolLookupByName("images").refresh()

    def prune(self, *arguments, status=0):
        plan = self.apply("--prune-images", "0s", *arguments, status=status)
        self.assertEqual(plan["actions"], [])
        self.assertEqual(os.listdir(self.images), [self.base])
        return plan

    def note(self, plan):
        return next(each for each in plan["objects"] if each["kind"] == "Image")["notes"][0]

    def test_one_that_the_other_host_has_a_use_for(self):
        self.prune()
        self.write(*self.pools, self.hv.image(pool="images"))  # declared for kvm-2's sake alone, and used by an orphan
        self.prune()
        self.write(*self.pools)
        self.prune()
        self.hosts["kvm-2"]["uri"] = "qemu:///session?socket=/nonexistent/libvirt-sock"
        self.write(*self.pools)
        self.assertIn("host kvm-2 has its pool too, and can't be asked", self.note(self.prune(status=1)))

    def test_one_that_is_declared_for_another_host(self):
        """Nothing is made from it yet."""
        domain = self.other.domain("web")
        domain.undefine()
        for pool in self.other.conn.listAllStoragePools():
            if pool.name() == "local":
                for volume in pool.listAllVolumes():
                    volume.delete()
        self.guest["metadata"]["annotations"] = {"reconcile.dev/suspend": "true"}
        self.write(*self.pools, self.hv.image(pool="images"), self.guest)
        plan = self.plan("--prune-images", "0s", status=2)
        self.assertNotIn("volume-delete", [action["kind"] for action in plan["actions"]])
        self.assertIn("Image base is for other hosts", self.note(plan))

    def test_one_that_came_into_use_since_the_plan(self):
        self.write(*self.pools)
        self.apply("--prune", "--prune-limit", "100", "--allow", "data-loss")
        self.look_again()
        saved = self.hv.path("plan.json")
        actions = self.plan("--prune-images", "0s", "--plan-out", saved, status=2)["actions"]
        self.assertEqual([action["kind"] for action in actions], ["volume-delete"] * len(actions))
        overlay = self.other.path("pools/local/by-hand.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", os.path.join(self.images, self.base), "-F", "qcow2", overlay], check=True)
        self.other.conn.storagePoolLookupByName("local").refresh()
        result = self.hv.reconcile("-o", "json", "--plan", saved, env=self.env, check=3).json()
        messages = [each["message"] for each in result["results"] if each["result"] == "refused"]
        self.assertEqual(len(messages), len(actions), result["results"])
        self.assertTrue(all("used by volume by-hand.qcow2 of storage pool local" in each for each in messages), messages)
        self.assertIn("on host kvm-2", " ".join(messages))
        self.assertEqual(os.listdir(self.images), [self.base])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
