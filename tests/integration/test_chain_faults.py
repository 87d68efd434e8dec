#!/usr/bin/python3
"""A few of the places of tests/soak/test_faults_chain.py."""

import hashlib
import os
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
        """Another QEMU knows of nothing: it isn't taken for the one that pulled."""
        files = self.half_flattened()
        self.hv.domain("web").create()
        self.assertIn("shut it down", str(self.refused()))
        self.assertEqual(self.files(), files)
        self.hv.domain("web").destroy()
        self.converge("a start before the flush")

    def test_pulled_and_given_up(self):
        """The machine goes, its disk stays: whole."""
        self.half_flattened()
        self.hv.write("all.yaml", self.hv.pool())
        disk = self.defined()
        result = self.hv.reconcile("--prune", self.hv.path("specs"))
        self.assertEqual((result.status, self.hv.conn.listAllDomains()), (0, []), result)
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
