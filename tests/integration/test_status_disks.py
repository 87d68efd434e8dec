#!/usr/bin/python3
"""status --disks and graph: the layers of each disk, who else uses them, and the order of a plan, on real chains."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

DISK_ONLY = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY


def parse(dot):
    """Nodes {number: (attributes, label)} and edges of what graph writes; any other line is an error."""
    nodes, edges = {}, []
    for line in dot.splitlines():
        node = re.fullmatch(r'\s*(n\d+) \[(.*), label="((?:[^"\\]|\\.)*)"\];', line)
        edge = re.fullmatch(r'\s*(n\d+) -> (n\d+)(?: \[((?:[a-z]+=(?:[a-z]+|"[^"]*")(?:, )?)*)\])?;', line)
        if node:
            nodes[node[1]] = (node[2], node[3])
        elif edge:
            edges.append((edge[1], edge[2], edge[3] or ""))
        elif not re.fullmatch(r'digraph reconcile \{|\s*subgraph cluster_plan \{|\s*\}|\s*\w+( \[fontname)?="?[\w-]+"?\]?;', line):
            raise AssertionError(f"not DOT: {line!r}")
    for one, other, _ in edges:
        assert one in nodes and other in nodes, (one, other)
    return nodes, edges


class Disks(lab.TestCase):
    def specs(self):
        return self.hv.path("specs")

    def apply(self, *documents):
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image(), *documents)
        self.hv.apply(self.specs())

    def disks(self, *names):
        document = self.hv.reconcile("status", "--disks", "-o", "json", *names, check=0).json()
        self.document = document
        return {domain["name"]: domain for domain in document["domains"]}

    def text(self, *names, check=0):
        return self.hv.reconcile("status", "--disks", *names, check=check).stdout

    def graph(self, *arguments, check=0):
        dot = self.hv.reconcile("graph", *arguments, check=check).stdout
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg"], input=dot, text=True, stdout=subprocess.DEVNULL, check=True)
        return parse(dot)

    def stopped(self, name, *disks):
        return self.hv.vm(name, powerState="stopped", disks=[{"target": "vda", "image": "base", "size": "80MiB"}, *disks])

    def snapshot(self, vm, name, flags=DISK_ONLY, xml=""):
        return self.hv.domain(vm).snapshotCreateXML(f"<domainsnapshot><name>{name}</name>{xml}</domainsnapshot>", flags)

    def test_two_machines_on_one_base(self):
        self.apply(self.stopped("one"), self.stopped("two", {"target": "vdb", "pool": "lab", "size": "8MiB"}))
        disk = self.disks()["one"]["disks"][0]
        self.assertIsNone(self.document["doubt"])
        self.assertEqual([layer["capacity"] for layer in disk["layers"]], [80 << 20, 64 << 20])
        self.assertTrue(disk["complete"])
        base = disk["layers"][1]
        self.assertIn(base["sha256"], base["path"])
        used = {(user["use"], user["domain"], user["disk"], user["depth"]) for user in base["users"] if user["domain"]}
        self.assertEqual(used, {("definition", "one", "vda", 1), ("definition", "two", "vda", 1)})
        self.assertEqual({os.path.basename(user["path"]) for user in base["users"] if user["path"]}, {"one-vda.qcow2", "two-vda.qcow2"})
        text = self.text("one")
        self.assertRegex(text, r"(?m)^one \(stopped\)\n└─ vda\n   └─ /.*/one-vda\.qcow2: qcow2, 80\.0 MiB, allocated .*, pool lab\n"
                               r"      └─ /.*/sha256-\w+\.qcow2: qcow2, 64\.0 MiB, .*, base image\n {9}also used by two \(vda\)$")
        self.assertNotIn("two (stopped)", text)
        nodes, edges = self.graph()
        bases = [number for number, (attributes, _) in nodes.items() if "lightgrey" in attributes]
        self.assertEqual(len(bases), 1)
        self.assertEqual(len([edge for edge in edges if edge[1] == bases[0]]), 2)

    def test_snapshots_running_and_a_job(self):
        self.apply(self.hv.vm("web", disks=[{"target": "vda", "image": "base"}, {"target": "vdb", "pool": "lab", "size": "8MiB"}]))
        self.snapshot("web", "first")
        self.snapshot("web", "second")
        web = self.disks()["web"]
        layers = web["disks"][0]["layers"]
        self.assertEqual([os.path.basename(layer["path"]).split("-")[0] for layer in layers], ["web", "web", "web", "sha256"])
        held = {user["snapshot"] for user in layers[1]["users"] if user["use"] == "snapshot" and user["depth"] == 0}
        self.assertEqual(held, {"second"})
        held = {user["snapshot"]: user["depth"] for user in layers[2]["users"] if user["use"] == "snapshot"}
        self.assertEqual(held, {"first": 0, "second": 1})
        self.assertEqual([(each["name"], each["parent"], each["current"]) for each in web["snapshots"]],
                         [("first", None, False), ("second", "first", True)])
        text = self.text()
        self.assertIn("also used by snapshot second\n", text)
        self.assertIn("snapshot second: external, after first, current", text)
        nodes, _ = self.graph()
        self.assertIn("second\\ncurrent", [label for _, label in nodes.values()])
        domain = self.hv.domain("web")
        copy = self.hv.path("pools/lab/copy.qcow2")
        domain.blockCopy("vdb", f"<disk type='file'><source file='{copy}'/><driver type='qcow2'/></disk>", {},
                         libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB)
        job = self.disks()["web"]["disks"][1]["job"]
        self.assertEqual((job["kind"], job["path"]), ("copy", copy))
        self.assertIn(f"block job: copy into {copy}", self.text())
        domain.blockJobAbort("vdb")

    def test_snapshots_within_the_file(self):
        self.apply(self.stopped("web"))
        self.snapshot("web", "inside", 0)
        self.assertIn("snapshots within the file: inside\n", self.text())
        self.assertEqual(self.disks()["web"]["snapshots"][0]["disks"][0]["internal"], True)

    def test_layers_that_cant_be_read(self):
        """A layer outside of pools, one that isn't there, a pool that is stopped."""
        self.apply(self.stopped("web"), self.stopped("gone"))
        outside = self.hv.path("outside.qcow2")
        self.snapshot("web", "deep", xml=f"<disks><disk name='vda' snapshot='external'><source file='{outside}'/></disk></disks>")
        web = self.disks()["web"]
        self.assertFalse(web["disks"][0]["complete"])
        self.assertEqual([layer["known"] for layer in web["disks"][0]["layers"]], [False])
        self.assertIn(outside, self.document["doubt"])
        self.assertIn(f"{outside}: not known to libvirt", self.text("web"))
        self.assertIn("There may be more that uses these files: ", self.text("web"))
        self.hv.domain("web").create()
        web = self.disks()["web"]
        self.assertEqual([layer["pool"] for layer in web["disks"][0]["layers"]], [None, "lab", "lab"])
        self.assertTrue(web["disks"][0]["complete"])
        self.assertIn(f"{outside}: qcow2, ", self.text("web"))
        gone = self.hv.path("pools/lab/gone-vda.qcow2")
        os.chmod(gone, 0)
        self.assertIn("gone: can't be read: disk vda: volume gone-vda.qcow2 of pool lab", self.text("gone", check=1))
        os.unlink(gone)
        self.assertIn(f"{gone}: not known to libvirt", self.text("gone"))
        self.hv.conn.storagePoolLookupByName("lab").destroy()
        self.disks("web")
        self.assertIn("pool lab isn't started", self.document["doubt"])

    def test_hostile_names(self):
        name = 'a"b\\l<i>&amp;{|}'
        self.hv.define("plain")
        self.hv.domain("plain").rename(name)
        nodes, _ = self.graph()
        self.assertIn(r'a\"b\\l<i>&amp;amp;{|}\nstopped', [label for _, label in nodes.values()])
        self.assertIn(name, self.text())

    def test_graph_of_a_plan(self):
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image(), self.stopped("web"))
        nodes, edges = self.graph(self.specs())
        actions = {label.split("  ")[0]: number for number, (_, label) in nodes.items() if re.match(r"a\d+  ", label)}
        plan = self.hv.plan(self.specs(), status=2)
        self.assertEqual(set(actions), {action["id"] for action in plan["actions"]})
        wanted = {(actions[before], actions[action["id"]]) for action in plan["actions"] for before in action["after"]}
        self.assertEqual({(one, other) for one, other, _ in edges}, wanted)
        self.assertEqual(self.hv.conn.listAllDomains(), [])
        self.hv.write("hosts.yaml", lab.document("Host", "here", {"uri": self.hv.uri}))
        self.graph(self.specs())
        self.assertIn("No such file or directory", self.hv.reconcile("graph", "nothing.yaml", check=1).stderr)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
