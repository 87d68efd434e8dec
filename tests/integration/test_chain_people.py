#!/usr/bin/python3
"""What people made of a chain is said and left alone, and what others rely on is never written to."""

import subprocess

from chain_case import ChainCase, lab, libvirt
from action_case import ActionCase


class People(ChainCase):
    def test_snapshot_is_left_and_said(self):
        """A snapshot by hand is drift of depth: never merged, never undone, not even where the chain is too deep."""
        self.make(disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}], powerState="stopped")
        layer = self.layer("byhand")
        before = self.chain()
        note = self.notes(self.assert_settled())
        for word in ("byhand", "web-vda.byhand.qcow2", "vda", "chain.handMade", "snapshots"):
            self.assertIn(word, note)
        for policy in ("commit", "flatten"):
            self.write(disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}], powerState="stopped",
                       chain={"maxDepth": 1, "onExceed": policy})
            self.apply()
            note = self.notes(self.assert_settled())
            self.assertIn("2 layers deep, and 1 are wanted at most: the snapshot byhand needs", note)
            self.assertEqual(self.chain(), before)
        self.assertEqual(self.chain()[0], layer)
        self.assertEqual(self.hv.domain("web").snapshotListNames(), ["byhand"])

    def test_layer_without_snapshot_is_said(self):
        disks = [{"target": "vda", "pool": "lab", "size": "8MiB"}]
        self.make(disks=disks, powerState="stopped")
        self.layer("byhand", metadata=False)
        note = self.notes(self.assert_settled())
        self.assertIn("web-vda.byhand.qcow2", note)
        self.assertIn("belongs to no snapshot", note)
        self.assertEqual(len(self.chain()), 2)

    def test_merge_what_people_made(self):
        """chain.handMade: merge; also while it runs."""
        disks = [{"target": "vda", "pool": "lab", "size": "8MiB"}]
        self.make(disks=disks)
        guest = self.hv.guest("web")
        for number, name in enumerate(("one", "two")):
            self.layer(name)
            guest.do("write", "vda", number, name)
        content = guest.do("sum", "vda")
        self.write(disks=disks, chain={"handMade": "merge"})
        self.apply()
        self.assertEqual(self.hv.domain("web").snapshotListNames(), [])
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.assertEqual(self.live(), self.defined())
        self.assertEqual(guest.do("sum", "vda"), content)
        self.assert_settled()

    def test_declared_it_is_kept(self):
        """Declared, a person's snapshot is ours; declared no more, it is merged away."""
        disks = [{"target": "vda", "pool": "lab", "size": "8MiB"}]
        self.make(disks=disks, powerState="stopped")
        self.layer("byhand")
        before = self.seen()
        self.write(disks=disks, powerState="stopped", snapshots=[{"name": "byhand"}], chain={"handMade": "merge"})
        self.apply()
        self.assertNotIn("person", self.notes(self.assert_settled()))
        self.assertEqual(len(self.chain()), 2)
        self.write(disks=disks, powerState="stopped")
        self.apply()
        self.assertEqual((self.files(), self.seen()), (["web-vda.qcow2"], before))
        self.assert_settled()

    def test_layers_around_a_snapshot(self):
        """What no snapshot needs is merged, below and above one that stays, and beneath one that the same run takes."""
        disks = [{"target": "vda", "pool": "lab", "size": "8MiB"}]
        self.make(disks=disks, powerState="stopped")
        self.layer("a", metadata=False)
        self.layer("kept")
        self.layer("c", metadata=False)
        self.layer("d", metadata=False)
        before = self.seen()
        self.write(disks=disks, powerState="stopped", chain={"maxDepth": 1, "onExceed": "commit"}, snapshots=[{"name": "ours"}])
        self.apply()
        self.assertEqual(self.names(), ["web-vda.ours.qcow2", "web-vda.kept.qcow2", "web-vda.qcow2"])
        self.assertEqual(self.files(), ["web-vda.kept.qcow2", "web-vda.ours.qcow2", "web-vda.qcow2"])
        self.assertEqual(self.seen(), before)
        self.assertIn("3 layers deep", self.notes(self.assert_settled()))
        # What the disk was when it was taken has been merged: it is removed all the same.
        self.write(disks=disks, powerState="stopped")
        self.apply()
        self.assertEqual(self.names(), ["web-vda.kept.qcow2", "web-vda.qcow2"])
        self.assertEqual((self.files(), self.seen()), (["web-vda.kept.qcow2", "web-vda.qcow2"], before))
        self.assert_settled()

    def test_job_by_hand(self):
        self.make(disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}])
        guest, domain = self.hv.guest("web"), self.hv.domain("web")
        for mib in range(6):
            guest.do("write", "vda", mib, "data")
        self.layer("one", metadata=False)
        self.layer("two", metadata=False)
        domain.blockPull("vda", 65536, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)
        self.write(disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}], chain={"maxDepth": 1, "onExceed": "commit"})
        self.apply()
        note = self.notes(self.assert_settled())
        self.assertIn("block job (pull)", note)
        self.assertEqual(domain.blockJobInfo("vda")["type"], libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL)
        domain.blockJobAbort("vda")
        self.apply()
        self.assert_settled()
        self.assertEqual(self.files(), ["web-vda.qcow2"])


class Helpers(ChainCase):
    def test_helper_is_nobodys_machine(self):
        """One that was left behind is ended; one that isn't ours stays."""
        self.make(disks=[{"target": "vda", "pool": "lab", "size": "8MiB"}], powerState="stopped")
        for mark, ours in (("<reconcile:helper xmlns:reconcile='https://reconcile.dev/xmlns/1' for='web'/>", True), ("", False)):
            helper = self.hv.conn.createXML(
                f"<domain type='qemu'><name>web-reconcile</name><metadata>{mark}</metadata><memory unit='MiB'>32</memory>"
                "<os><type>hvm</type></os><features><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features><devices/></domain>",
                libvirt.VIR_DOMAIN_START_PAUSED)
            self.assertEqual([each["kind"] for each in self.plan()["actions"]], ["disk-settle"] if ours else [])
            self.assertEqual("web-reconcile" in self.hv.reconcile("status", check=0).stdout, not ours)
            self.apply()
            self.assertEqual(sorted(each.name() for each in self.hv.conn.listAllDomains()), ["web"] if ours else ["web", "web-reconcile"])
        helper.destroy()


class Refused(ChainCase, ActionCase):
    """The action itself looks again, whatever the plan said."""

    def setUp(self):
        self.make(disks=[{"target": "vda", "pool": "lab", "image": "base", "size": "64MiB"}], powerState="stopped")
        self.lowest = self.defined()
        self.top = self.layer("one", metadata=False)
        self.before = self.chain()

    def commit(self, saying, code="refused", top=None, base=None):
        self.act("layer-commit", "web", code=code, saying=saying, target="vda", top=top or self.top, base=base or self.lowest)
        self.assertEqual(self.chain(), self.before)

    def test_refused(self):
        base = self.digest(self.base())
        self.commit("it is a base image", base=self.base())
        with self.subTest("a file that isn't in the chain"):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.hv.path("pools/lab/web-vda.other.qcow2"), "64M"], check=True)
            self.commit("isn't a layer of disk vda", code="stale", top=self.hv.path("pools/lab/web-vda.other.qcow2"))
        with self.subTest("the base is stopped another machine's disk"):
            other = self.hv.define("other", f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                                            f"<source file='{self.lowest}'/><target dev='vda' bus='virtio'/></disk>")
            self.commit("it is used by disk vda of the definition of domain other")
            other.undefine()
        with self.subTest("an overlay in another pool"):
            self.hv.make_directory("pools/second")
            pool = self.hv.conn.storagePoolDefineXML(
                f"<pool type='dir'><name>second</name><target><path>{self.hv.path('pools/second')}</path></target></pool>")
            pool.create()
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.lowest,
                            self.hv.path("pools/second/theirs.qcow2")], check=True)
            pool.refresh()
            self.commit("it is used by volume theirs.qcow2 of storage pool second")
            plan = self.plan()
            self.assertEqual(plan["actions"], [])
        with self.subTest("the same pool, stopped"):
            pool.destroy()
            self.commit("can't be told whether something else uses it: pool second isn't started")
            self.write(disks=[{"target": "vda", "pool": "lab", "image": "base", "size": "64MiB"}], powerState="stopped",
                       chain={"maxDepth": 1, "onExceed": "commit"})
            plan = self.plan()
            self.assertEqual([each["kind"] for each in plan["actions"]], ["domain-record"])
            self.assertIn("it can't be told whether something else uses its layers: pool second isn't started", self.notes(plan))
            pool.undefine()
            self.assertEqual([each["kind"] for each in self.plan()["actions"]], ["domain-record", "layer-commit"])
        with self.subTest("a snapshot needs what lies beneath"):
            self.top = self.layer("named")
            self.lowest, self.before = self.before[0], self.chain()
            self.commit("the snapshot named is what lies beneath it")
        self.assertEqual(self.digest(self.base()), base)

    def test_hibernated(self):
        """Saved memory knows the disk's layers."""
        self.hv.domain("web").create()
        self.hv.guest("web").wait_heartbeat()
        self.hv.domain("web").managedSave()
        self.commit("is hibernated")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
