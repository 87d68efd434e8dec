#!/usr/bin/python3
"""A few of the places of tests/soak/test_faults_chain.py."""

import hashlib
import os
import re
import subprocess

from chain_case import lab, libvirt
import chain_faults
import counting


class Some(chain_faults.TestCase):
    def sample(self, scenario, kill, *places):
        """Interrupted right after each of the named places was passed for the first time."""
        killed, _ = self.at_places(scenario(), kill, lambda number, names: names[number - 1] in places and
                                names.index(names[number - 1]) == number - 1)
        self.assertEqual(killed, len(places))

    def test_commit_stopped(self):
        self.sample(chain_faults.CommitStopped, self.kill_reconcile, "block job: ready", "layers: merged", "layers: definition")

    def test_commit_running(self):
        self.sample(chain_faults.CommitRunning, self.kill_libvirtd, "block job: started")

    def test_flatten_stopped(self):
        self.sample(chain_faults.FlattenStopped, self.kill_reconcile, "replace: made")

    def test_flattened_and_qemu_dies(self):
        """QEMU keeps to itself where it wrote what it pulled, until a guest asks for a flush; this one never does."""
        scenario = chain_faults.FlattenRunning()
        self.begin(scenario)
        self.write(2)
        content = counting.content(self.hv, "web")
        self.assertEqual(self.apply().status, 0)
        self.kill_qemu()
        self.assertEqual(counting.content(self.hv, "web"), content)

    def pulled(self, step):
        """A run that flattens a running machine's disk, killed right after the pull: the pool's files before."""
        self.write(step)
        self.scenario.content = counting.digest(self.hv, "web")
        files = self.files()
        process = self.start({"RECONCILE_FAULT_AT": "layers: merged"})
        process.communicate()
        self.assertEqual(process.returncode, -9)
        return files

    def half_flattened(self):
        """QEMU has died, and the disk's file names no backing file any more, and lacks what was copied into it. (Now and then it was written.)"""
        self.begin(chain_faults.FlattenRunning())
        for step in range(2, 8):
            files = self.pulled(step)
            self.kill_qemu()
            self.assertEqual(len(self.chain()), 1)
            if self.scenario.read(self) != self.scenario.content:
                return files
            self.converge("a pull that was written down")
        self.fail("QEMU wrote down each time what it had pulled")

    def test_pulled_and_qemu_dies(self):
        """Before it was flushed: what lacks is read from what lay beneath, which stays until then."""
        self.half_flattened()
        self.converge("QEMU's end before the flush")
        self.assertTrue(self.hv.domain("web").isActive())

    def test_pulled_and_started_by_somebody(self):
        """Another QEMU knows of nothing: it isn't taken for the one that pulled. Nor does a layer, taken by our file or by hand,
        say that the disk is whole. Where the machine is to be stopped, that is done first."""
        files = self.half_flattened()
        half = self.defined()
        self.hv.domain("web").create()
        wanted = self.scenario.documents(self.hv, 0)
        self.hv.write("all.yaml", self.hv.pool(), counting.machine(self.hv, "web", [chain_faults.DISK], snapshots=[{"name": "declared"}]))
        self.assertIn("shut it down", str(self.refused()))
        self.assertEqual((self.files(), self.hv.domain("web").listAllSnapshots()), (files, []))
        self.layer("hand", metadata=False)
        self.hv.write("all.yaml", *wanted)
        files = self.files()
        self.assertIn("shut the machine down", str(self.refused()))
        self.hv.domain("web").destroy()
        refusal = str(self.refused())
        self.assertEqual(self.files(), files)
        rebase = re.search(r"qemu-img rebase -u -b (\S+) -F (\S+) (\S+?)'", refusal)
        self.assertEqual(rebase[3], half)
        subprocess.run(["qemu-img", "rebase", "-u", "-b", rebase[1], "-F", rebase[2], rebase[3]], check=True)
        self.converge("a layer on half a disk")

    def test_pulled_and_to_be_stopped(self):
        """A machine that somebody started on half a disk is stopped where that is declared; then the disk is seen to."""
        self.half_flattened()
        self.hv.domain("web").create()
        self.hv.write("all.yaml", self.hv.pool(), counting.machine(self.hv, "web", [chain_faults.DISK], powerState="stopped"))
        self.assertEqual(self.apply().status, 0)
        self.assertEqual((self.hv.domain("web").isActive(), self.files()), (0, self.names()))
        self.assert_whole(self.defined())

    def test_pulled_and_covered_and_to_be_stopped(self):
        """The stop takes away who knew that a layer, put on by the QEMU that pulled, has flushed the disk."""
        self.begin(chain_faults.FlattenRunning())
        self.pulled(2)
        self.layer("hand", metadata=False)
        wanted = self.scenario.documents(self.hv, 0)
        self.hv.write("all.yaml", self.hv.pool(), counting.machine(self.hv, "web", [chain_faults.DISK], powerState="stopped"))
        self.assertEqual(self.apply().status, 0)
        self.assertEqual(self.hv.domain("web").isActive(), 0)
        self.hv.write("all.yaml", *wanted)
        self.assertEqual(self.apply().status, 0)
        self.assertEqual(counting.digest(self.hv, "web"), self.scenario.content)

    def test_pulled_and_replaced(self):
        """What lacks in one file isn't pulled into another that a person made the disk. Without what lay beneath, it isn't guessed."""
        files = self.half_flattened()
        half, domain, other = self.defined(), self.hv.domain("web"), self.hv.path("pools/lab/restored.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other, "8M"], check=True)
        self.hv.give(other)
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.hv.conn.defineXML(xml.replace(f"<source file='{half}'", f"<source file='{other}'"))
        result = self.apply()
        self.assertEqual((result.status, self.files()), (0, sorted([*files, os.path.basename(other)])), result)
        self.assertIn(f"was {half} when it was flattened", self.notes(self.hv.plan(self.hv.path("specs"))))
        self.assertEqual(counting.content(self.hv, "web"), bytes(8 << 20))
        domain.destroy()
        self.hv.conn.defineXML(xml)
        os.unlink(other)
        beneath = self.record()["disks"][0]["beneath"]
        os.rename(beneath, beneath + ".away")
        self.assertIn("is gone: bring it back", str(self.refused()))
        os.rename(beneath + ".away", beneath)
        self.converge("another disk for a while")

    def test_flush_noted_and_name_left(self):
        """A layer of an earlier flush that is still noted as leaving isn't taken for that of the next one."""
        self.begin(chain_faults.FlattenRunning())
        self.write(2)
        process = self.start({"RECONCILE_FAULT_AT": "layers: flush noted"})
        process.communicate()
        self.assertEqual(process.returncode, -9)
        for layer in ("lower", "upper"):  # with one, the flush's file, which is based on the disk too, would have it settled first
            self.layer(layer, metadata=False)
        self.scenario.content = counting.digest(self.hv, "web")
        process = self.start({"RECONCILE_FAULT_AT": "layers: flushed"})
        process.communicate()
        self.assertEqual(process.returncode, -9, "it isn't flushed")
        self.converge("a flush that was noted")

    def test_pulled_and_given_up(self):
        """The machine goes, its disk stays: whole."""
        self.half_flattened()
        self.hv.domain("web").create()  # by somebody: it is stopped first
        self.hv.write("all.yaml", self.hv.pool())
        disk = self.defined()
        result = self.hv.reconcile("--prune", "--allow", "restart", self.hv.path("specs"))
        self.assertEqual((result.status, self.hv.conn.listAllDomains()), (0, []), result)
        self.assert_whole(disk)

    def assert_whole(self, disk):
        raw = self.hv.path("kept.raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
        self.assertEqual(counting.digest_of(raw), self.scenario.content)

    def test_pulled_and_shut_down(self):
        """A QEMU that ends orderly writes all that it has: nothing lacks then, and nothing is refused."""
        self.begin(chain_faults.FlattenRunning())
        self.pulled(2)
        self.hv.domain("web").destroy()
        self.converge("the machine's end before the flush")

    def test_flush_is_taken_up(self):
        self.sample(chain_faults.FlattenRunning, self.kill_reconcile, "layers: merged", "layers: flushed")

    def test_flush_that_libvirt_missed(self):
        """libvirtd died when QEMU had gone over to the layer: what the guest wrote since is kept, and the machine isn't started without it."""
        self.begin(chain_faults.FlattenRunning())
        self.write(2)
        domain, files, path = self.hv.domain("web"), self.files(), self.hv.path("pools/lab/web-vda.+flush.qcow2")
        content = counting.content(self.hv, "web")
        with open(path, "w", encoding="utf-8") as file:
            file.write("somebody's")
        self.assertIn(path, str(self.refused()))
        self.assertEqual(self.digest(path), hashlib.sha256(b"somebody's").hexdigest())
        os.unlink(path)
        process = self.start({"RECONCILE_FAULT_AT": "layers: merged"})
        process.communicate()
        self.assertEqual(process.returncode, -9)
        disk = self.live()
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "qcow2", "-b", disk, path, "8M"], check=True)
        self.hv.give(path)
        counting.on_layer(self.hv, "web", "flush", path)
        self.assertIn("runs on", str(self.refused()))
        counting.through_qemu(self.hv, "web", "vda", "write -q -P 7 3M 64k", "flush")
        domain.destroy()
        self.hv.conn.storagePoolLookupByName("lab").refresh()
        written = self.digest(path)
        self.assertIn("holds something", str(self.refused()))
        self.assertEqual((domain.isActive(), self.digest(path), self.files()), (0, written, sorted([*files, os.path.basename(path)])))
        self.hv.conn.defineXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace(disk, path))
        self.scenario.content = hashlib.sha256(content[:3 << 20] + bytes([7]) * 65536 + content[(3 << 20) + 65536:]).hexdigest()
        self.converge("making the layer the disk")
        self.assertTrue(domain.isActive())

    def refused(self):
        result = self.apply()
        self.assertEqual(result.status, 3, result)
        return result

    def test_helper_that_outlives_libvirtd(self):
        """All is done but that: the next run ends it."""
        self.sample(chain_faults.FlattenStopped, self.kill_libvirtd, "replace: switched")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
