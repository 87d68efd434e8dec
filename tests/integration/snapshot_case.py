"""What the tests of declared snapshots share: one machine, its file, and what libvirt and the files say."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import lab  # noqa: E402

NAMESPACE = "https://reconcile.dev/xmlns/1"
INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


def brief(result):
    """What went wrong, without the whole plan."""
    told = result.json()
    return json.dumps([told.get("error"), [each["error"] for each in told["objects"] if each.get("error")],
                       [each for each in told.get("results") or [] if each["result"] != "done"]], indent=1) + result.stderr


class SnapshotCase(lab.TestCase):
    """One machine, web, with a disk vda in pool lab."""

    tiny = True

    def setUp(self):
        self.options = {"disks": [{"target": "vda", "pool": "lab", "size": "8MiB"}]}

    def declare(self, *names, **more):
        """Writes the file. names: of snapshots, or dictionaries."""
        self.options.update(more)
        snapshots = [name if isinstance(name, dict) else {"name": name} for name in names]
        spec = {**self.options, **({"snapshots": snapshots} if snapshots else {})}
        self.hv.write("all.yaml", self.hv.pool(), self.hv.vm("web", "control", serials=self.hv.control_port("web"), **spec))

    def apply(self, *names, status=0, **more):
        """Declares, applies, and a second run has nothing to do. The result of the first."""
        self.declare(*names, **more)
        result = self.hv.reconcile("-o", "json", self.hv.path("specs"))
        self.assertEqual(result.status, status, brief(result))
        if status == 0:
            again = self.hv.reconcile("--dry-run", "-o", "json", self.hv.path("specs"))
            self.assertEqual(again.status, 0, brief(again) + json.dumps(again.json()["actions"]))
            again = again.json()
            self.assertEqual((again["actions"], self.notes(again)), ([], []), json.dumps(result.json().get("results")))
        return result.json()

    def notes(self, plan):
        return [note for each in plan["objects"] for note in each.get("notes", [])]

    def results(self, result):
        return {each["id"]: each for each in result["results"]}

    @property
    def domain(self):
        return self.hv.domain("web")

    @property
    def guest(self):
        return self.hv.guest("web")

    def path(self, name):
        return self.hv.path("pools/lab", name)

    def facts(self):
        text = self.domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        return {fact["name"]: fact for fact in json.loads(ET.fromstring(text).text).get("facts", {}).get("snapshots", [])}

    def sources(self, flags=0):
        root = ET.fromstring(self.domain.XMLDesc(flags))
        return {disk.find("target").get("dev"): os.path.basename(disk.find("source").get("file")) for disk in root.findall("devices/disk")}

    def chain(self, name):
        """Names of a file's chain, the top first, as the files themselves say."""
        text = subprocess.run(["qemu-img", "info", "-U", "--backing-chain", "--output=json", self.path(name)], check=True,
                              stdout=subprocess.PIPE).stdout
        return [os.path.basename(each["filename"]) for each in json.loads(text)]

    def content(self, name, fmt="qcow2"):
        """SHA-256 of what a guest would read from the file (which no guest writes to at the moment)."""
        raw = self.hv.path("state/content.raw")
        subprocess.run(["qemu-img", "convert", "-U", "-f", fmt, "-O", "raw", self.path(name), raw], check=True)
        return subprocess.run(["md5sum", raw], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.split()[0]

    def snapshots(self):
        return sorted(each.getName() for each in self.domain.listAllSnapshots())

    def files(self):
        return sorted(name for name in os.listdir(self.hv.path("pools/lab")))
