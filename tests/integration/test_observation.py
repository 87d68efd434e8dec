#!/usr/bin/python3
"""A saved observation: a dry run against it is the same, byte for byte, as against the host."""

import copy
import glob
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import REPOSITORY  # noqa: E402

EXTERNAL = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
PASSWORD = "s3cret-x"
SECRET = "<secret ephemeral='no' private='no'><usage type='vtpm'><name>vnc-web</name></usage></secret>"
FORMATS = ("text", "json", "markdown")


def network(name, **spec):
    return lab.document("Network", name, {"mode": "isolated", "state": "inactive", "autostart": False, "bridge": "rlobs0",
                                          "address": "192.0.2.1", "prefix": 24, **spec})


class Observation(lab.TestCase):
    tiny = True
    maxDiff = None

    def documents(self):
        hv = self.hv
        overlay = {"target": "vda", "image": "base", "pool": "lab", "size": "80MiB"}
        return [hv.pool(), hv.pool("idle", state="inactive", autostart=False), hv.image(), network("lan"),
                lab.document("Volume", "data.qcow2", {"pool": "lab", "size": "8MiB"}),
                hv.vm("web", disks=[overlay, {"target": "vdb", "pool": "lab", "size": "8MiB"}],
                      graphics=[{"type": "vnc", "listen": "127.0.0.1", "passwordSecret": "vnc-web"}],
                      memory={"size": "128MiB", "max": "128MiB"}),
                hv.vm("off", powerState="stopped", disks=[overlay]), hv.vm("asleep", powerState="paused")]

    def changed(self):
        """Other values, an object more and one less, a machine to adopt."""
        documents = copy.deepcopy(self.documents())
        by_name = {each["metadata"]["name"]: each for each in documents}
        by_name["web"]["spec"].update(title="new", memory={"size": "96MiB", "max": "128MiB"}, cpu={"count": 2})
        by_name["web"]["spec"]["disks"][0]["size"] = "96MiB"
        by_name["off"]["spec"]["powerState"] = "running"
        by_name["lan"]["spec"]["state"] = "active"
        documents = [each for each in documents if each is not by_name["asleep"]]
        return documents + [self.hv.vm("foreign", metadata={"adopt": True}), self.hv.vm("more", powerState="stopped")]

    def prepare(self):
        """Also what was made behind our back: layers in no pool, a saved machine, a foreign one."""
        hv = self.hv
        hv.conn.secretDefineXML(SECRET).setValue(PASSWORD.encode())
        hv.write("all.yaml", *self.documents())
        hv.apply(hv.path("specs"))
        outside = hv.make_directory("outside")
        hv.domain("web").snapshotCreateXML(
            "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
            f"<source file='{outside}/layer.qcow2'/></disk><disk name='vdb' snapshot='no'/></disks></domainsnapshot>", EXTERNAL)
        path = os.path.join(outside, "own.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"], check=True)
        hv.give(path)
        hv.define("foreign", f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
                  "<target dev='vda' bus='virtio'/></disk>", start=True)
        hv.domain("foreign").managedSave()

        hv.guest("web").wait_heartbeat()  # the balloon is at rest then

    def observe(self):
        saved = self.hv.path("state", "host.json")
        text = self.hv.reconcile("observe", check=0).stdout
        with open(saved, "w", encoding="utf-8") as file:
            file.write(text)
        return saved, text

    def assert_same_plans(self, saved, *options):
        statuses = set()
        for form in FORMATS:
            arguments = ["--dry-run", "-v", "-o", form, *options, self.hv.path("specs")]
            here = self.hv.reconcile(*arguments)
            there = self.hv.reconcile("--against", saved, *arguments, env={**self.hv.env, "LIBVIRT_DEFAULT_URI": "qemu:///nowhere"})
            self.assertEqual(here.stdout, there.stdout, there.stderr)
            self.assertEqual(here.status, there.status)
            self.assertIn("the host itself wasn't looked at", there.stderr)
            statuses.add(there.status)
        return statuses

    def test_plans_are_the_same(self):
        self.prepare()
        saved, text = self.observe()
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn("passwd=", text)
        self.assertEqual(self.assert_same_plans(saved), {0})
        self.hv.write("all.yaml", *self.changed())
        self.assertEqual(self.assert_same_plans(saved), {2})
        self.assertEqual(self.assert_same_plans(saved, "--prune", "--prune-limit", "100", "--allow", "restart"), {2})
        self.assertEqual(self.assert_same_plans(saved, "--prune", "--prune-limit", "1"), {3})

    def test_examples_are_planned(self):
        """Each on a host that has nothing yet; what it takes for given is declared beside it."""
        hv = self.hv
        hv.define("legacy-1")
        saved, _ = self.observe()
        given = {"name: fast": hv.pool("fast"), "name: default": hv.pool("default"),
                 "kind: Network": lab.document("Network", "default", {"mode": "nat", "address": "192.0.2.1", "prefix": 24})}
        shutil.copytree(os.path.join(REPOSITORY, "examples"), hv.path("examples"))
        for image in ("images/debian-12.qcow2", "guest/base.qcow2"):
            os.mkdir(hv.path("examples", os.path.dirname(image)))
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", hv.path("examples", image), "64M"], check=True)
        examples = sorted(glob.glob(hv.path("examples/*.yaml"))) + [hv.path("examples/quickstart.d")]
        self.assertGreater(len(examples), 7)
        for path in examples:
            with self.subTest(os.path.basename(path)):
                folder = path
                if path.endswith(".yaml"):
                    folder = hv.path("examples/one")
                    shutil.rmtree(folder, ignore_errors=True)
                    os.mkdir(folder)
                    with open(path, encoding="utf-8") as file:
                        text = file.read()
                    with open(os.path.join(folder, "a.yaml"), "w", encoding="utf-8") as file:
                        file.write(text.replace(": images/", ": ../images/"))
                    hv.write(os.path.join(folder, "given.yaml"), *[each for mark, each in given.items() if mark not in text])
                plan = hv.reconcile("--dry-run", "-o", "json", "--against", saved, folder, check=2).json()
                self.assertEqual([each["error"] for each in plan["objects"] if each.get("error")], [])
                self.assertNotEqual(plan["actions"], [])

    def test_reviewed_plan_is_applied(self):
        hv = self.hv
        hv.write("all.yaml", hv.pool(), hv.vm("web", powerState="stopped"))
        hv.apply(hv.path("specs"))
        saved, _ = self.observe()
        hv.write("all.yaml", hv.pool(), hv.vm("web", powerState="stopped", title="reviewed"))
        plan = hv.path("state", "plan.json")
        hv.reconcile("--dry-run", "--against", saved, "--plan-out", plan, hv.path("specs"), check=2)
        hv.domain("web").setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "since", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        hv.apply("--plan", plan, status=3)
        hv.domain("web").setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, None, None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        hv.apply("--plan", plan)
        self.assertEqual(hv.domain("web").metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None), "reviewed")

    def test_unreadable_is_never_absent(self):
        """What the host couldn't tell is an error in the saved observation too."""
        hv = self.hv
        hv.write("all.yaml", hv.pool(), hv.vm("web", powerState="stopped"))
        hv.apply(hv.path("specs"))
        definition = hv.domain("web").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        start = definition.index("<reconcile:vm")
        broken = definition[:start] + definition[start:].replace("{", "(", 1)
        hv.conn.defineXML(broken)
        saved, _ = self.observe()
        self.assertEqual(self.assert_same_plans(saved), {1})

    def test_only_dry_runs(self):
        for options in ([], ["--dry-run", "--preflight"], ["--dry-run", "-c", "test:///default"], ["--plan", "x"]):
            result = self.hv.reconcile("--against", "host.json", *options, check=1)
            self.assertIn("--against plans without a hypervisor", result.stderr)

    def refused(self, content, message):
        saved = self.hv.path("state", "bad.json")
        with open(saved, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        self.hv.write("all.yaml", self.hv.pool())
        result = self.hv.reconcile("--dry-run", "--against", saved, self.hv.path("specs"), check=1)
        self.assertIn(message, result.stderr)
        self.assertIn(saved, result.stderr)

    def test_damaged_files(self):
        _, text = self.observe()
        good = json.loads(text)
        self.refused("", "not JSON")
        self.refused(text[:len(text) // 2], "not JSON")
        self.refused({"formatVersion": 1, "objects": []}, "isn't an observation")
        self.refused({**good, "formatVersion": 2, "program": "reconcile 9.0"}, "written by reconcile 9.0")
        self.refused({**good, "pools": None}, "pools is missing")
        self.refused({**good, "domains": [{"name": "a"}]}, "domains[0]: a has neither xml nor error")
        self.refused({**good, "domains": [{"name": "a", "xml": "<domain/>", "state": "x"}]}, "domains[0]: domain a: ")
        self.refused({**good, "host": {}}, "host: ")
        twice = {"name": "n", "uuid": "", "active": False, "persistent": True, "autostart": False, "xml": "<network/>"}
        self.refused({**good, "networks": [twice, twice]}, 'networks[1]: the name "n" is there twice')
        self.refused({**good, "hosts": []}, "hosts isn't an object")
        self.refused({"formatVersion": 1, "hosts": {"kvm-1": {**good, "pools": None}}}, "hosts.kvm-1: pools is missing")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
