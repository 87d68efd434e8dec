#!/usr/bin/python3
"""Actions on definitions: define, redefine, record, autostart, undefine."""

import os
import re
import xml.etree.ElementTree as ET

import action_case
from action_case import NAMESPACE
import libvirt

SECRET = "<secret ephemeral='no' private='no'><usage type='vtpm'><name>{name}</name></usage></secret>"


def record(domain, flags=libvirt.VIR_DOMAIN_AFFECT_CONFIG):
    try:
        return domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, flags)
    except libvirt.libvirtError:
        return None


class DefineTest(action_case.ActionCase):
    def config_file(self, name):
        return self.hv.path("config/libvirt/qemu", name + ".xml")

    def test_define(self):
        domain, spec = self.make_vm("web", metadata={"labels": {"tier": "front"}})
        self.assertTrue(domain.isPersistent())
        self.assertFalse(domain.isActive())
        self.assertIn("front", record(domain))
        before = os.stat(self.config_file("web"))
        self.act("domain-define", "web", spec=spec, metadata={"labels": {"tier": "front"}})
        self.assertEqual(os.stat(self.config_file("web")).st_ino, before.st_ino, "defined anew without need")
        self.act("domain-define", "web", spec={**spec, "memory": {"size": "64MiB"}}, code="refused", saying="another definition")

    def test_somebody_elses(self):
        theirs = self.hv.define("web")
        before = theirs.XMLDesc()
        spec = self.vm_spec("web")
        self.act("domain-define", "web", spec=spec, code="refused", saying="isn't ours")
        for action in ("domain-redefine", "domain-record", "domain-start", "domain-shutdown", "domain-undefine"):
            self.act(action, "web", spec=spec, code="refused", saying="isn't ours")
        self.assertEqual(theirs.XMLDesc(), before)
        self.assertFalse(theirs.isActive())

    def test_adopt(self):
        theirs = self.hv.define("web", start=True)
        before = theirs.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.act("domain-record", "web", spec=self.vm_spec("web"), metadata={"adopt": True})
        self.assertIsNotNone(record(theirs))
        self.assertIsNone(record(theirs, libvirt.VIR_DOMAIN_AFFECT_LIVE), "the live record is what it was started with")
        after = theirs.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.assertEqual(re.sub(r"\s*<metadata>.*</metadata>", "", after, flags=re.S), before)
        inode = os.stat(self.config_file("web")).st_ino
        self.act("domain-record", "web", spec=self.vm_spec("web"), metadata={"adopt": True})
        self.assertEqual(os.stat(self.config_file("web")).st_ino, inode)

    def test_redefine(self):
        domain, spec = self.make_vm("web")
        bigger = {**spec, "memory": {"size": "192MiB", "max": "192MiB"}, "title": "Shop"}
        self.act("domain-redefine", "web", spec=bigger)
        self.assertEqual(domain.maxMemory(), 192 * 1024)
        self.assertIn("Shop", domain.XMLDesc())
        self.assertIn("192MiB", record(domain))
        inode = os.stat(self.config_file("web")).st_ino
        self.act("domain-redefine", "web", spec=bigger)
        self.assertEqual(os.stat(self.config_file("web")).st_ino, inode)
        without = {key: value for key, value in bigger.items() if key != "title"}
        self.act("domain-redefine", "web", spec=without)
        self.assertNotIn("Shop", domain.XMLDesc())

    def test_redefine_leaves_the_rest(self):
        """What a person added stays."""
        domain, spec = self.make_vm("web")
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        text = text.replace("</devices>", "<rng model='virtio'><backend model='random'>/dev/random</backend></rng></devices>")
        self.hv.conn.defineXML(text)
        before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.act("domain-redefine", "web", spec={**spec, "description": "new"})
        after = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)

        def rest(text):
            root = ET.fromstring(text)
            for name in ("metadata", "description"):
                for child in root.findall(name):
                    root.remove(child)
            return ET.canonicalize(ET.tostring(root), strip_text=True)
        self.assertEqual(rest(after), rest(before))

    def test_redefine_of_a_running_one(self):
        domain, spec = self.make_vm("web", start=True)
        recorder = self.recorder()
        self.act("domain-redefine", "web", spec={**spec, "memory": {"size": "96MiB", "max": "192MiB"}})
        self.assertEqual(domain.info()[1], 128 * 1024)
        self.assertIn("<memory unit='KiB'>196608", domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.assertIn("192MiB", record(domain))
        self.assertNotIn("192MiB", record(domain, libvirt.VIR_DOMAIN_AFFECT_LIVE))
        recorder.settle()
        self.assertEqual(recorder.stopped_events(), [])

    def test_refused_by_libvirt(self):
        outcome = self.act("domain-define", "web", code="libvirt", saying="cannot define domain web",
                           spec=self.vm_spec("web", arch="sparkle"))
        self.assertIn("sparkle", outcome.message)
        self.assertEqual(self.hv.conn.listAllDomains(), [])

    def test_gone(self):
        self.act("domain-redefine", "web", spec=self.vm_spec("web"), code="stale", saying="no domain web")

    # Secrets.

    def secret(self, name, value=b"s3cret"):
        secret = self.hv.conn.secretDefineXML(SECRET.format(name=name))
        secret.setValue(value)
        return secret

    def password(self, domain, flags=libvirt.VIR_DOMAIN_XML_INACTIVE):
        text = domain.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_SECURE)
        return ET.fromstring(text).find("devices/graphics").get("passwd")

    def graphics(self, **more):
        return [{"type": "vnc", "listen": "127.0.0.1", **more}]

    def test_password(self):
        secret = self.secret("vnc-web")
        domain, spec = self.make_vm("web", graphics=self.graphics(passwordSecret="vnc-web"))
        self.assertEqual(self.password(domain), "s3cret")
        self.assertNotIn("s3cret", domain.XMLDesc())
        self.assertNotIn("s3cret", record(domain))
        inode = os.stat(self.config_file("web")).st_ino
        self.act("domain-redefine", "web", spec=spec)
        self.assertEqual(os.stat(self.config_file("web")).st_ino, inode)
        secret.setValue(b"other")
        self.act("domain-redefine", "web", spec=spec)
        self.assertEqual(self.password(domain), "other")
        self.act("domain-redefine", "web", spec={**spec, "description": "x"})
        self.assertEqual(self.password(domain), "other")
        self.act("domain-redefine", "web", spec={**spec, "graphics": self.graphics()})
        self.assertIsNone(self.password(domain))

    def test_password_by_uuid(self):
        secret = self.secret("any")
        domain, _ = self.make_vm("web", graphics=self.graphics(passwordSecret=secret.UUIDString()))
        self.assertEqual(self.password(domain), "s3cret")

    def test_password_of_a_person_stays(self):
        domain, spec = self.make_vm("web", graphics=self.graphics())
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace("<graphics type='vnc'", "<graphics type='vnc' passwd='mine'")
        self.hv.conn.defineXML(text)
        self.act("domain-redefine", "web", spec={**spec, "description": "x"})
        self.assertEqual(self.password(domain), "mine")

    def test_bad_secrets(self):
        spec = self.vm_spec("web", graphics=self.graphics(passwordSecret="vnc-web"))
        self.act("domain-define", "web", spec=spec, code="failed", saying="no libvirt secret")
        secret = self.secret("vnc-web", b"line\n")
        self.act("domain-define", "web", spec=spec, code="failed", saying="newline")
        secret.setValue(b"\xff\xfe")
        self.act("domain-define", "web", spec=spec, code="failed", saying="isn't text")
        self.assertEqual(self.hv.conn.listAllDomains(), [])

    # Autostart and the end.

    def test_autostart(self):
        domain, spec = self.make_vm("web")
        for value in (1, 1, 0, 0):
            self.act("domain-autostart", "web", spec=spec, value="true" if value else "false")
            self.assertEqual(domain.autostart(), value)

    def test_undefine(self):
        domain, _ = self.make_vm("web", start=True)
        domain.managedSave()
        for more in ({}, {"saved": "true"}, {"data_loss": True}):  # it goes where the plan says so
            self.act("domain-undefine", "web", code="libvirt", saying="managed save image", **more)
        self.assertTrue(domain.hasManagedSaveImage())
        self.act("domain-undefine", "web", saved="true", data_loss=True)
        self.act("domain-undefine", "web")
        self.assertEqual(self.hv.conn.listAllDomains(), [])

    def test_undefine_with_nvram(self):
        for data, data_loss in ((None, True), ("true", False), ("true", True)):  # it goes where the plan says that data do
            domain, _ = self.make_vm("web", machine="q35", firmware={"type": "uefi"}, boot=None)
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            nvram = re.search("<nvram[^>]*>([^<]*)</nvram>", domain.XMLDesc())[1]
            domain.destroy()
            self.assertTrue(os.path.exists(nvram))
            self.act("domain-undefine", "web", data=data, data_loss=data_loss)
            self.assertEqual(self.hv.conn.listAllDomains(), [])
            self.assertEqual(os.path.exists(nvram), not (data and data_loss))

    def test_undefine_with_snapshots(self):
        self.make_pool()
        path = self.make_volume("disk")
        domain, _ = self.make_vm("web", disks=[{"target": "vda", "path": path, "format": "qcow2"}])
        domain.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>")
        self.act("domain-undefine", "web", code="stale", saying="the snapshot one of domain web was made since this was planned")
        self.act("domain-undefine", "web", snapshots="one")
        self.assertEqual(self.hv.conn.listAllDomains(), [])

    def test_undefine_is_refused(self):
        domain, spec = self.make_vm("web", start=True)
        self.act("domain-undefine", "web", code="refused", saying="is running")
        domain.destroy()
        self.act("domain-redefine", "web", spec={**spec, "deletionProtection": True})
        self.act("domain-undefine", "web", code="refused", saying="deletionProtection")
        self.act("domain-redefine", "web", spec=spec)
        self.act("domain-undefine", "web")


if __name__ == "__main__":
    action_case.main()
