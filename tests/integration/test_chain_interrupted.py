#!/usr/bin/python3
"""Block jobs that are limited, stopped, killed and taken up again; and what others read meanwhile."""

import re

from chain_case import ChainCase, lab, libvirt
from terminal import Terminal


class Neighbours(ChainCase):
    def test_two_machines_on_one_base(self):
        """What is done to one changes nothing of what the other reads."""
        self.make()
        self.write("other")
        self.apply()
        guest, other = self.hv.guest("web"), self.hv.guest("other")
        other.do("write", "vda", 40, "other")
        theirs, base = other.do("sum", "vda"), self.digest(self.base())
        mine = self.stack("one", metadata=False)
        self.write(chain={"maxDepth": 1, "onExceed": "commit"})
        with other.keeps_beating(max_gap=10):
            self.apply()
        self.assertEqual((guest.do("sum", "vda"), other.do("sum", "vda"), self.digest(self.base())), (mine, theirs, base))
        self.layer("two", metadata=False)
        self.write(chain={"maxDepth": 1, "onExceed": "flatten"})
        self.apply()
        self.assertEqual((guest.do("sum", "vda"), other.do("sum", "vda"), self.digest(self.base())), (mine, theirs, base))
        self.assertEqual(len(self.chain("web")), 1)
        self.assertEqual(len(self.chain("other")), 2)
        self.assert_settled()


class Interrupted(ChainCase):
    def start_on_terminal(self):
        return Terminal(self, lambda **out: self.hv.start_reconcile(self.hv.path("specs"), env={**self.hv.env, "TERM": "xterm"}, **out))

    def test_limit_stop_and_go_on(self):
        """The limit is in the job; stopped by SIGTERM the job is aborted and the chain as it was; the next run ends it."""
        disks = [{"target": "vda", "pool": "lab", "size": "16MiB"}]
        self.make(disks=disks)
        guest, domain = self.hv.guest("web"), self.hv.domain("web")
        for way in ("commit", "flatten"):
            with self.subTest(way):
                if way == "commit":
                    self.layer(way, metadata=False)
                for mib in range(8):
                    guest.do("write", "vda", mib, way)
                if way == "flatten":
                    self.layer(way, metadata=False)
                content, before = guest.do("sum", "vda"), self.chain()
                self.write(disks=disks, chain={"maxDepth": 1, "onExceed": way, "bandwidth": "100KiB/s"})
                terminal = self.start_on_terminal()
                guest.wait(lambda _: domain.blockJobInfo("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES), "a block job")
                info = domain.blockJobInfo("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)
                self.assertEqual(info["bandwidth"], 102400)
                doing = {"commit": "merging", "flatten": "flattening"}[way]
                guest.wait(lambda _: re.search(rf"\b[1-9]\d?%, \S+ \S+ of \S+ \S+, {doing}", terminal.read()), "progress")
                terminal.process.terminate()
                guest.wait(lambda _: terminal.has_ended(), "its end")
                self.assertNotEqual(terminal.process.returncode, 0, terminal.read())
                self.assertEqual(domain.blockJobInfo("vda"), {})
                self.assertEqual(self.chain(), before)
                self.write(disks=disks, chain={"maxDepth": 1, "onExceed": way})
                self.apply()
                self.assertEqual(guest.do("sum", "vda"), content)
                self.assertEqual(self.files(), self.names())
                self.assert_settled()

    def test_job_is_taken_up(self):
        """Killed, it leaves a job in QEMU: the next run takes it up, with the limit of today; or ends it, when nobody wants
        it any more."""
        disks = [{"target": "vda", "pool": "lab", "size": "16MiB"}]
        self.make(disks=disks)
        guest, domain = self.hv.guest("web"), self.hv.domain("web")
        self.layer("one", metadata=False)
        for mib in range(8):
            guest.do("write", "vda", mib, "data")
        content = guest.do("sum", "vda")
        for unwanted in (True, False):
            self.write(disks=disks, chain={"maxDepth": 1, "onExceed": "commit", "bandwidth": "100KiB/s"})
            process = self.hv.start_reconcile(self.hv.path("specs"))
            guest.wait(lambda _: domain.blockJobInfo("vda"), "a block job")
            process.kill()
            process.communicate()
            self.assertNotEqual(domain.blockJobInfo("vda"), {})
            if unwanted:
                self.write(disks=disks)
                self.apply()
                self.assertEqual(domain.blockJobInfo("vda"), {})
                self.assertEqual(len(self.chain()), 2)
                self.assert_settled()
        self.write(disks=disks, chain={"maxDepth": 1, "onExceed": "commit"})
        self.apply()
        self.assertEqual(guest.do("sum", "vda"), content)
        self.assertEqual(self.files(), ["web-vda.qcow2"])
        self.assert_settled()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
