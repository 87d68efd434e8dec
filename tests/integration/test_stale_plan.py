#!/usr/bin/python3
"""A saved plan is applied exactly, or, where anything has changed since, not at all."""

import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

LIVE_AND_CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
NETWORK = {"apiVersion": "reconcile/v1", "kind": "Network", "metadata": {"name": "lan"},
           "spec": {"mode": "isolated", "state": "inactive", "autostart": False, "bridge": "rltest0", "address": "192.0.2.1", "prefix": 24}}


def volume(size):
    return {"apiVersion": "reconcile/v1", "kind": "Volume", "metadata": {"name": "data.qcow2"},
            "spec": {"pool": "lab", "size": size}}


class StalePlan(lab.TestCase):
    def setUp(self):
        self.plan_file = self.hv.path("specs", "plan.json")
        self.specs = self.hv.make_directory("specs", "vms")
        self.write()
        self.hv.apply(self.specs)
        self.write_changes()

    def write_changes(self):
        self.write(title="another title", memory="96MiB", size="16MiB", more=[self.hv.vm("new", powerState="stopped")])

    def write(self, title="a title", memory="128MiB", size="8MiB", more=()):
        disk = {"target": "vda", "image": "base", "size": "80MiB"}
        self.hv.write("vms/all.yaml", self.hv.pool(), self.hv.image(), NETWORK, volume(size),
                      self.hv.vm("web", disks=[disk], memory={"size": memory, "max": "128MiB"}),
                      self.hv.vm("db", powerState="stopped", title=title), *more)

    def save_plan(self):
        self.hv.reconcile("--dry-run", "--plan-out", self.plan_file, self.specs, check=2)
        with open(self.plan_file, encoding="utf-8") as file:
            return json.load(file)

    def world(self):
        """All that the program could have changed, as text."""
        conn, said = self.hv.conn, []
        for domain in sorted(conn.listAllDomains(), key=lambda d: d.name()):
            said += [domain.name(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), str(domain.state()),
                     str(domain.autostart()), domain.XMLDesc() if domain.isActive() else ""]
        for network in sorted(conn.listAllNetworks(), key=lambda n: n.name()):
            said += [network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE), str(network.isActive()), str(network.autostart())]
        for pool in conn.listAllStoragePools():
            said += [pool.name(), pool.UUIDString(), str(pool.isActive()), str(pool.autostart())]
        directory = self.hv.path("pools", "lab")
        for name in sorted(os.listdir(directory)):
            with open(os.path.join(directory, name), "rb") as file:
                said += [name, "" if name.startswith("web-") else hashlib.sha256(file.read()).hexdigest()]
        return "\n".join(said)

    # What a person might do meanwhile.

    def memory_set(self):
        self.hv.domain("db").setMemoryFlags(65536, libvirt.VIR_DOMAIN_AFFECT_CONFIG)

    def live_memory_limit(self):
        self.hv.domain("web").setVcpusFlags(1, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        self.hv.domain("web").setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "by hand", None, None, LIVE_AND_CONFIG)

    def disk_attached(self):
        path = self.hv.path("pools", "extra.raw")
        with open(path, "wb") as file:
            file.truncate(1 << 20)
        self.hv.give(path)
        self.hv.domain("web").attachDeviceFlags(
            f"<disk type='file'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='vdx' bus='virtio'/></disk>",
            libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def snapshot_made(self):
        self.hv.domain("web").snapshotCreateXML(
            "<domainsnapshot><name>by-hand</name></domainsnapshot>",
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)

    def autostart_set(self):
        self.hv.domain("db").setAutostart(True)

    def paused(self):
        self.hv.domain("web").suspend()

    def destroyed(self):
        self.hv.domain("web").destroy()

    def network_edited(self):
        network = self.hv.conn.networkLookupByName("lan")
        xml = network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
        self.assertIn("192.0.2.1", xml)
        self.hv.conn.networkDefineXML(xml.replace("192.0.2.1", "192.0.2.2"))

    def network_autostarted(self):
        self.hv.conn.networkLookupByName("lan").setAutostart(True)

    def volume_grown(self):
        self.hv.conn.storagePoolLookupByName("lab").storageVolLookupByName("data.qcow2").resize(9 << 20)

    def volume_deleted(self):
        self.hv.conn.storagePoolLookupByName("lab").storageVolLookupByName("data.qcow2").delete()

    def name_taken(self):
        self.hv.define("new")

    def undefined(self):
        self.hv.domain("db").undefine()

    def pool_stopped(self):
        self.hv.conn.storagePoolLookupByName("lab").destroy()

    CHANGES = (memory_set, live_memory_limit, disk_attached, snapshot_made, autostart_set, paused, network_autostarted, network_edited,
               volume_grown, destroyed, volume_deleted, undefined, pool_stopped)

    def test_a_change_by_hand_makes_it_stale(self):
        """One change after the other; each time a new plan is made before."""
        for change in self.CHANGES:
            with self.subTest(change=change.__name__):
                self.refused_after(change)

    def test_name_taken_meanwhile(self):
        self.refused_after(StalePlan.name_taken)

    def refused_after(self, change):
        actions = self.save_plan_of_anything()["actions"]
        self.assertTrue(actions)
        change(self)
        before = self.world()
        with lab.EventRecorder(self.hv.uri) as recorder:
            recorder.settle()  # what the change by hand has caused
            recorder.clear()
            result = self.hv.reconcile("-o", "json", "--plan", self.plan_file)
            recorder.settle()
            self.assertEqual([event for event in recorder.events if event.kind != "balloon"], [])  # that one is the guest's
        self.assertEqual(self.world(), before)
        self.assertEqual(result.status, 3, str(result))
        self.assertIn("since the plan was made", result.stderr)
        self.assertEqual(result.json()["exitStatus"], 3)

    def save_plan_of_anything(self):
        """Also of a host where a change by hand is an error to some object."""
        result = self.hv.reconcile("--dry-run", "--plan-out", self.plan_file, self.specs)
        self.assertIn(result.status, (1, 2), str(result))
        with open(self.plan_file, encoding="utf-8") as file:
            return json.load(file)

    def test_it_is_applied_exactly(self):
        self.hv.guest("web").wait_heartbeat()  # its balloon works then
        plan = self.save_plan()
        self.write(title="written after the plan", memory="64MiB")
        run = self.hv.reconcile("-o", "json", "--plan", self.plan_file, check=0).json()
        self.assertEqual([r["id"] for r in run["results"]], [action["id"] for action in plan["actions"]])
        self.assertEqual({r["result"] for r in run["results"]}, {"done"})
        self.assertIn("<title>another title</title>", self.hv.domain("db").XMLDesc())
        self.assertIn(">98304</currentMemory>", self.hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.assertEqual(self.hv.domain("new").isActive(), 0)
        self.write_changes()
        self.assertEqual(self.hv.plan(self.specs, status=0)["actions"], [])

        before = self.world()
        self.assertIn("since the plan was made", self.hv.reconcile("--plan", self.plan_file, check=3).stderr)
        self.assertEqual(self.world(), before)

    def test_a_plan_holds_what_it_needs(self):
        """The files may be gone; a dry run of a saved plan changes nothing; nobody else can read it."""
        self.save_plan()
        self.assertEqual(os.stat(self.plan_file).st_mode & 0o777, 0o600)
        os.remove(os.path.join(self.specs, "all.yaml"))
        before = self.world()
        self.hv.reconcile("--dry-run", "--plan", self.plan_file, check=2)
        self.assertEqual(self.world(), before)
        self.hv.reconcile("--plan", self.plan_file, check=0)
        self.assertNotEqual(self.world(), before)

    def test_impact_is_still_guarded(self):
        """What needed --allow when it was planned needs it when it is applied."""
        self.hv.write("vms/all.yaml", self.hv.pool(), self.hv.image(), self.hv.vm("db", powerState="stopped"))
        self.hv.reconcile("--dry-run", "--prune", "--allow", "data-loss,restart", "--plan-out", self.plan_file, self.specs,
                          check=2)
        before = self.world()
        for allow in (), ("--allow", "restart"), ("--allow", "data-loss"):
            result = self.hv.reconcile("--plan", self.plan_file, *allow, check=3)
            self.assertIn("--allow", result.stderr)
            self.assertEqual(self.world(), before)
        self.hv.reconcile("--plan", self.plan_file, "--allow", "restart,data-loss", check=0)
        self.assertEqual([d.name() for d in self.hv.conn.listAllDomains()], ["db"])

    def test_damaged_and_foreign_plans(self):
        plan = self.save_plan()
        text = json.dumps(plan)

        def changed(**values):
            return json.dumps({**plan, **values})

        first = plan["actions"][0]
        cases = [
            (text[:len(text) // 2], 1, "plan.json:"), ("", 1, "plan.json:"), ("vms: [", 1, "plan.json:"),
            ("[]", 1, "this isn't a plan"), (changed(formatVersion=2), 1, "plan anew"),
            (changed(actions=None), 1, "must be lists"),
            (changed(actions=[{**first, "kind": "format-the-disk"}]), 1, "another version of reconcile, or damaged"),
            (changed(actions=[{**first, "object": "vm/other"}]), 1, "isn't in the plan"),
            (changed(actions=[{**first, "after": ["a999"]}]), 1, "isn't an action before it"),
            (changed(objects=[{**o, "fingerprint": None} for o in plan["objects"]]), 1, "has no fingerprint"),
            (changed(objects=[{**o, "fingerprint": "0" * 64} for o in plan["objects"]]), 3, "since the plan was made"),
            (changed(connection="qemu+ssh://elsewhere/system"), 3, "the plan is for qemu+ssh://elsewhere/system"),
            (changed(connection=None), 3, "the plan is for nowhere"),
        ]
        before = self.world()
        for content, status, message in cases:
            with self.subTest(message=message, content=content[:60]):
                with open(self.plan_file, "w", encoding="utf-8") as file:
                    file.write(content)
                result = self.hv.reconcile("--plan", self.plan_file, check=status)
                self.assertIn(message, result.stderr)
                self.assertEqual(self.world(), before)
        os.remove(self.plan_file)
        self.assertIn("plan.json", self.hv.reconcile("--plan", self.plan_file, check=1).stderr)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
