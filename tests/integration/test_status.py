#!/usr/bin/python3
"""What is there: status, import and history on real domains."""

import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
import yaml  # noqa: E402


class Status(lab.TestCase):
    tiny = True

    def specs(self):
        return self.hv.path("specs")

    def status(self, *names):
        domains = self.hv.reconcile("status", "-o", "json", *names, check=0).json()["domains"]
        return {domain["name"]: domain for domain in domains}

    def test_ours_and_others(self):
        self.hv.write("a.yaml", self.hv.vm("ours", powerState="stopped", cpu={"count": 1, "max": 2}))
        self.hv.apply(self.specs())
        self.hv.define("other", start=True)
        text = self.hv.reconcile("status", check=0).stdout.splitlines()
        self.assertRegex(text[0], r"^NAME +STATE +MANAGED BY +AUTOSTART +VCPUS +MEMORY +DISKS +PENDING RESTART +DRIFT$")
        self.assertRegex(text[1], r"^other +running +not ours +no +1 +128MiB +- +- +-$")
        self.assertRegex(text[2], rf"^ours +stopped +{self.specs()} +no +1/2 +128MiB +- +- +-$")
        self.assertEqual(self.status("ours")["ours"]["owner"]["source"], self.specs())
        self.assertEqual(list(self.status("ours")), ["ours"])
        self.assertIn('there is no domain "nobody"', self.hv.reconcile("status", "ours", "nobody", check=1).stderr)
        self.assertIn("| <code>ours</code> |", self.hv.reconcile("status", "-o", "markdown", check=0).stdout)

    def test_drift_and_pending(self):
        self.hv.write("a.yaml", self.hv.vm("a", title="declared"))
        self.hv.apply(self.specs())
        self.assertEqual(self.status()["a"]["drift"], [])
        self.assertEqual(self.status()["a"]["pending"], [])
        self.hv.domain("a").setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "by hand", None, None,
                                        libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        self.assertEqual(self.status()["a"]["drift"],
                         [{"path": "title", "actual": "by hand", "declared": "declared"}])
        self.hv.write("a.yaml", self.hv.vm("a", title="declared", cpu={"count": 1, "max": 3}))
        self.hv.apply(self.specs())
        status = self.status()["a"]
        self.assertEqual(status["drift"], [])
        self.assertEqual([change["path"] for change in status["pending"]], ["cpu.max"])
        self.assertRegex(self.hv.reconcile("status", check=0).stdout, r"(?m)^a +running .* cpu\.max +-$")
        self.assertIn("pending      cpu.max: is 1, declared 3", self.hv.reconcile("status", "a", check=0).stdout)
        self.hv.domain("a").destroy()
        self.assertIn("powerState", [change["path"] for change in self.status()["a"]["drift"]])

    def test_drift_beside_an_image(self):
        """Which content an Image had is in the name of its file: drift is told without the declaration."""
        seed = self.hv.image("seed", source=None, cloudInit={"instanceId": "a", "hostname": "a"})
        del seed["spec"]["source"]
        self.hv.write("a.yaml", self.hv.pool(), self.hv.image(), seed, self.hv.vm("a", powerState="stopped", title="declared", disks=[
            {"target": "sda", "bus": "sata", "device": "cdrom", "image": "seed"}, {"target": "vda", "image": "base"}]))
        self.hv.apply(self.specs())
        self.assertEqual(self.status()["a"]["drift"], [])
        domain = self.hv.domain("a")
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "by hand", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        [title] = self.status()["a"]["drift"]
        self.assertEqual(title, {"path": "title", "actual": "by hand", "declared": "declared"})
        text = domain.XMLDesc(0)
        medium = re.search(r"<source file='([^']*/sha256-[^']*)'", text).group(1)
        self.hv.conn.defineXML(text.replace(f"<source file='{medium}'/>", ""))
        drift = {change["path"]: (change["actual"], change["declared"]) for change in self.status()["a"]["drift"]}
        self.assertEqual(drift["disks[sda].path"], (None, "Image seed"))
        self.hv.conn.defineXML(re.sub(r"<disk [^>]*device='disk'.*?</disk>", "", text, flags=re.S))
        drift = {change["path"]: (change["actual"], change["declared"]) for change in self.status()["a"]["drift"]}
        self.assertEqual(set(drift), {"title", "disks[vda]"})

    def test_a_machine_that_hangs(self):
        """Its QEMU answers nobody: what libvirt knows of it is told."""
        hv = self.hv
        hv.define("web", start=True)
        [qemu] = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and self.is_qemu_of(pid, "web")]
        os.kill(qemu, signal.SIGSTOP)
        try:
            told = hv.reconcile("status", "web", env={**hv.env, "RECONCILE_PATIENCE": "3"}, check=0).stdout
        finally:
            os.kill(qemu, signal.SIGCONT)
        self.assertRegex(told, r"no answer for 3 s: its QEMU")
        self.assertRegex(told, r"state +running")

    def is_qemu_of(self, pid, name):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
            return f"guest={name},".encode() in line and self.hv.directory.encode() in line
        except OSError:
            return False

    def test_a_daemon_that_hangs(self):
        """While it is asked: commands that only read end too, and say who is silent."""
        hv = self.hv
        hv.define("web")
        stop = {"RECONCILE_PATIENCE": "1", "RECONCILE_FAULT_AT": "observe: connected: ", "RECONCILE_FAULT_COMMAND": f"kill -STOP {hv.daemon.pid}"}
        for arguments in (("status",), ("observe",), ("import", "web"), ("graph",)):
            try:
                result = hv.reconcile(*arguments, env={**hv.env, **stop}, check=1)
            finally:
                os.kill(hv.daemon.pid, signal.SIGCONT)
            self.assertRegex(result.stderr, rf"cannot connect to {re.escape(hv.uri)}: no answer since .*Z: the daemon hangs")

    def test_details_show_the_chain(self):
        self.hv.write("a.yaml", self.hv.pool(), self.hv.image(),
                      self.hv.vm("a", powerState="stopped", disks=[{"target": "vda", "image": "base", "size": "80MiB"}],
                                 interfaces=[{"name": "eth0", "user": True, "mac": "52:54:00:11:22:33"}],
                                 graphics=[{"type": "vnc", "listen": "127.0.0.1"}]))
        self.hv.apply(self.specs())
        text = self.hv.reconcile("status", "a", check=0).stdout
        self.assertIn(f"managed by   {self.specs()}", text)
        self.assertIn(f"declared at  {self.specs()}/a.yaml:", text)
        self.assertRegex(text, r"disks +vda\n .*/a-vda\.qcow2 \(qcow2, 80\.0 MiB, .*pool lab\)\n +on .*sha256-.*pool lab\)")
        self.assertIn("interfaces   52:54:00:11:22:33  user", text)
        self.assertIn("graphics     vnc", text)
        self.assertIn("snapshots    0", text)
        domain = self.status()["a"]
        self.assertEqual(domain["diskBytes"], 80 << 20)
        self.assertEqual(len(domain["disks"][0]["chain"]), 2)
        self.assertEqual(domain["drift"], [])

    def test_no_domains(self):
        self.assertEqual(self.hv.reconcile("status", check=0).stdout, "There are no domains.\n")
        self.assertEqual(self.hv.reconcile("history", check=0).stdout, "No runs yet.\n")

    def test_history(self):
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped"))
        self.hv.apply(self.specs())
        self.assertRegex(self.hv.reconcile("history", check=0).stdout, r"(?m)^1 +\d{4}-\d\d-\d\d \S+Z +applied +1 ")
        self.assertIn("vm/a", self.hv.reconcile("history", "-v", check=0).stdout)
        run = self.hv.reconcile("history", "-o", "json", check=0).json()["runs"][0]
        self.assertEqual((run["source"], run["exitStatus"], run["result"]), (self.specs(), 0, "applied"))
        self.assertEqual([(a["object"], a["result"]) for a in run["actions"]], [("vm/a", "done")])


DEVICES = """
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<disk type='network' device='disk'><driver name='qemu' type='raw'/>
  <source protocol='nbd'><host name='localhost' port='10809'/></source><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<interface type='user'><mac address='52:54:00:00:{number}:07'/><model type='e1000'/></interface>
<interface type='udp'><mac address='52:54:00:00:{number}:08'/>
  <source address='127.0.0.1' port='11115'><local address='127.0.0.1' port='11116'/></source></interface>
<interface type='user'><mac address='52:54:00:00:{number}:09'/></interface>
<serial type='tcp'><source mode='bind' host='127.0.0.1' service='2445'/><protocol type='raw'/><target port='1'/></serial>
<graphics type='vnc' autoport='yes' listen='127.0.0.1'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<video><model type='virtio' heads='2'/></video>
<watchdog model='i6300esb' action='poweroff'/>
"""


class Import(lab.TestCase):
    tiny = True

    def define(self, name, number="00", **options):
        disk = self.hv.path("pools", name)
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", disk, "8M"], check=True)
        self.hv.give(disk)
        return self.hv.define(name, DEVICES.format(disk=disk, number=number), **options)

    def adopt(self, text):
        self.hv.write("imported.yaml", text)
        specs = self.hv.path("specs")
        plan = self.hv.plan(specs, status=2)
        self.assertEqual([action["kind"] for action in plan["actions"]], ["domain-record"] * len(plan["objects"]))
        self.assertEqual([object["fields"] for object in plan["objects"]], [[]] * len(plan["objects"]))
        self.assertEqual(plan["summary"]["adopt"], len(plan["objects"]))
        return specs

    def test_adopting_changes_nothing_but_the_record(self):
        domain = self.define("old")
        self.define("second", number="01")
        before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        text = self.hv.reconcile("import", check=0).stdout
        specs = self.adopt(text)
        self.hv.apply(specs)
        after = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        start, end = after.index("  <metadata>"), after.index("</metadata>\n") + len("</metadata>\n")
        self.assertEqual(after[:start] + after[end:], before)
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])
        again = self.hv.reconcile("import", check=0)
        self.assertEqual(again.stdout, "")
        self.assertIn("old: skipped: it is managed already", again.stderr)

    def test_what_it_says(self):
        self.define("old")
        text = self.hv.reconcile("import", "old", check=0).stdout
        document = yaml.safe_load(text)
        self.assertEqual(document["metadata"], {"name": "old", "adopt": True})
        spec = document["spec"]
        self.assertEqual(spec["uuid"], self.hv.domain("old").UUIDString())
        self.assertEqual(spec["powerState"], "stopped")
        self.assertEqual([(i["name"], i["mac"]) for i in spec["interfaces"]],
                         [("net0", "52:54:00:00:00:07"), ("net2", "52:54:00:00:00:09")])
        self.assertEqual([disk["target"] for disk in spec["disks"]], ["vda", "sda"])
        self.assertNotIn("size", spec["disks"][0])
        self.assertIn("# disks[vdb] is left out", text)
        self.assertIn("# the interface with MAC 52:54:00:00:00:08 is left out", text)
        self.assertIn("# serials[1] is left out", text)

    def test_running_machine(self):
        self.hv.define("on", start=True)
        text = self.hv.reconcile("import", "on", check=0).stdout
        self.assertEqual(yaml.safe_load(text)["spec"]["powerState"], "running")
        specs = self.adopt(text)
        guest = self.hv.guest("on")
        guest.wait_heartbeat()
        with guest.keeps_beating():
            self.hv.apply(specs)
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])

    def test_what_cannot_be_imported_is_said(self):
        self.hv.define("has blank")
        self.hv.define("good")
        result = self.hv.reconcile("import", check=0)
        self.assertIn("has blank: not imported: its name can't be written in a file", result.stderr)
        self.assertEqual(yaml.safe_load(result.stdout)["metadata"]["name"], "good")
        self.hv.reconcile("import", "has blank", check=1)
        self.assertIn('there is no domain "nobody"', self.hv.reconcile("import", "nobody", check=1).stderr)


if __name__ == "__main__":
    lab.main()
