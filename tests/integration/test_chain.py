#!/usr/bin/python3
"""Disk chains of running and stopped machines are shortened as declared, and hold what they held."""

import os

from chain_case import ChainCase, lab


class Chain(ChainCase):
    def test_commit_running(self):
        self.make()
        content = self.stack("one", "two", metadata=False)
        guest, base = self.hv.guest("web"), self.digest(self.base())
        self.assertEqual(len(self.chain()), 4)
        self.write(chain={"maxDepth": 1, "onExceed": "commit", "bandwidth": "64MiB/s"})
        recorder = self.recorder()
        with guest.keeps_beating(max_gap=10):
            self.apply()
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertEqual(guest.do("sum", "vda"), content)
        self.assertEqual(self.names()[0], "web-vda.qcow2")
        self.assertEqual(self.live(), self.defined())
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.assert_settled()
        guest.do("write", "vda", 40, "after")
        self.assertEqual(self.digest(self.base()), base)

    def test_commit_stopped(self):
        self.make()
        self.stack("one", "two", metadata=False)
        self.off()
        before, base = self.seen(), self.digest(self.base())
        self.write(powerState="stopped", chain={"maxDepth": 1, "onExceed": "commit"})
        self.apply()
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.assertEqual(self.seen(), before)
        self.assertEqual(self.digest(self.base()), base)
        self.assert_settled()

    def test_deleted_with_all_layers(self):
        """Layers in the chain, and what a replaced disk was before, go with the machine; the base stays."""
        self.make(powerState="stopped")
        self.layer("one", metadata=False)
        self.write(powerState="stopped", chain={"maxDepth": 1, "onExceed": "flatten"})
        self.apply()
        self.layer("two", metadata=False)
        self.assertEqual(len(self.files()), 4)
        os.unlink(self.hv.path("specs/web.yaml"))
        self.apply("--prune", "--allow", "data-loss")
        self.assertEqual(self.files(), [])
        self.assertEqual(len(self.base_files()), 1)

    def test_flatten_running(self):
        self.make()
        content = self.stack("one", "two", metadata=False)
        guest = self.hv.guest("web")
        self.write(chain={"maxDepth": 1, "onExceed": "flatten"})
        with guest.keeps_beating(max_gap=10):
            self.apply()
        self.assertEqual(guest.do("sum", "vda"), content)
        self.assertEqual(self.names(), ["web-vda.two.qcow2"])
        self.assertEqual(self.files(), ["web-vda.two.qcow2"])
        self.assert_settled()

    def test_flatten_stopped(self):
        """The old volume stays until the machine has run on the new one."""
        self.make()
        content = self.stack("one", metadata=False)
        self.off()
        before = self.seen()
        self.write(powerState="stopped", chain={"maxDepth": 1, "onExceed": "flatten"})
        self.apply()
        self.assertEqual(self.names(), ["web-vda.flat-1.qcow2"])
        self.assertEqual(self.seen(), before)
        self.assertEqual(self.files(), ["web-vda.flat-1.qcow2", "web-vda.one.qcow2", "web-vda.qcow2"])
        self.assert_settled()
        self.write(chain={"maxDepth": 1, "onExceed": "flatten"})
        self.apply()
        self.hv.guest("web").wait(lambda guest: guest.starts() == 2, "a second start")
        self.assertEqual(self.hv.guest("web").do("sum", "vda"), content)
        self.assertEqual(self.files(), ["web-vda.flat-1.qcow2"])
        self.assert_settled()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
