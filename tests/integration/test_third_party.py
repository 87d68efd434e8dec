#!/usr/bin/python3
"""Machines that others defined: libvirt's own example XML, imported, adopted, changed."""

import difflib
import os
import re
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
import third_party  # noqa: E402
import yaml  # noqa: E402

DEFINITION = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
NEEDED = 800  # of some 1,180 here; how many depends on the emulators that are installed
RECORD = re.compile(r"\n *<reconcile:(\w+) [\s\S]*?</reconcile:\1>(?=\n)")
METADATA = re.compile(r"\n *<metadata>\s*</metadata>")
MEMORY = re.compile(r"[-+] *<(currentMemory|memory)( dumpCore='o[nf]+')? unit='KiB'>\d+</\1>$")
Loader, Dumper = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def renamed(text, number):
    """With a name and UUID of its own, and emulated: there may be no KVM here."""
    name = f"t{number:04}"
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    text = re.sub(r"<domain([^>]*)type=(['\"])kvm", r"<domain\1type=\2qemu", text, count=1)
    text = re.sub(r"<uuid>[^<]*</uuid>", f"<uuid>{identity}</uuid>", text, count=1)
    return name, re.sub(r"<name>[^<]*</name>", f"<name>{name}</name>", text, count=1)


def without_record(xml):
    return METADATA.sub("", RECORD.sub("", xml))


def changed_lines(before, after):
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def kib(text):
    number, unit = re.fullmatch(r"(\d+)(KiB|MiB|GiB|TiB)", text).groups()
    return int(number) << {"KiB": 0, "MiB": 10, "GiB": 20, "TiB": 30}[unit]


class ThirdParty(lab.TestCase):
    def test_import_adopt_and_change_the_memory(self):
        self.files = {}
        self.define_all(third_party.documents())
        specs = self.import_all()
        self.adopt(specs)
        self.change_memory(specs)

    def define_all(self, documents):
        """What the driver accepts, and is a fixed point of its own dump: some become one at
        the second definition, and what libvirt refuses to take back is nobody's."""
        for number, (path, text) in enumerate(documents):
            name, text = renamed(text, number)
            try:
                domain = self.hv.conn.defineXML(text)
            except libvirt.libvirtError:
                continue
            try:
                dump = domain.XMLDesc(DEFINITION)
                for _ in range(3):
                    dump, last = self.hv.conn.defineXML(dump).XMLDesc(DEFINITION), dump
                    if dump == last:
                        break
                self.assertEqual(dump, last, path)
                self.files[name] = path
            except libvirt.libvirtError:
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        self.assertGreater(len(self.files), NEEDED)
        print(f"{len(self.files)} of {len(documents)} are accepted here", file=sys.stderr)

    def definitions(self):
        return {name: self.hv.domain(name).XMLDesc(DEFINITION) for name in self.files}

    def import_all(self):
        result = self.hv.reconcile("import", check=0)
        self.assertEqual(result.stderr, "")
        with open(self.hv.path("specs", "all.yaml"), "w", encoding="utf-8") as file:
            file.write(result.stdout)
        return self.hv.path("specs")

    def adopt(self, specs):
        before = self.definitions()
        plan = self.hv.plan(specs, status=2)
        self.assertEqual({o["name"]: o["fields"] for o in plan["objects"]}, dict.fromkeys(self.files, []))
        self.assertEqual({action["kind"] for action in plan["actions"]}, {"domain-record"})
        self.assertEqual(plan["summary"]["adopt"], len(self.files))
        self.assertEqual(self.definitions(), before)  # a dry run
        self.hv.reconcile("-o", "json", specs, check=0)
        for name, xml in self.definitions().items():
            with self.subTest(file=self.files[name]):
                self.assertIn("<reconcile:vm ", xml)
                self.assertEqual(changed_lines(without_record(before[name]), without_record(xml)), [])
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])

    def change_memory(self, specs):
        """Of one machine less for now, of the next one more at all."""
        before = self.definitions()
        with open(os.path.join(specs, "all.yaml"), encoding="utf-8") as file:
            documents = list(yaml.load_all(file, Loader))
        changed = {}
        for number, document in enumerate(documents):
            memory, name = document["spec"].get("memory", {}), document["metadata"]["name"]
            if not {"size", "max"} <= set(memory):
                continue  # more than the files have words for
            if number % 2 and kib(memory["size"]) > 8192:
                memory["size"] = f"{kib(memory['size']) - 4096}KiB"
                changed[name] = {"memory.size"}
            else:
                memory["size"] = memory["max"] = f"{kib(memory['max']) + 16384}KiB"
                changed[name] = {"memory.size", "memory.max"}
        with open(os.path.join(specs, "all.yaml"), "w", encoding="utf-8") as file:
            yaml.dump_all(documents, file, Dumper=Dumper, sort_keys=False)

        plan = self.hv.reconcile("--dry-run", "-o", "json", specs).json()
        cells = {name for name in self.files if "<numa>" in before[name] and "memory.max" in changed.get(name, ())}
        self.assertGreater(len(changed) - len(cells), NEEDED // 2)  # the import has said the memory of most
        self.assertEqual({o["name"] for o in plan["objects"] if o.get("error")}, cells)
        self.assertTrue(all("NUMA cells" in o["error"] for o in plan["objects"] if o.get("error")))
        for item in plan["objects"]:
            self.assertLessEqual({field["path"] for field in item["fields"]}, changed.get(item["name"], set()))
        self.hv.reconcile("-o", "json", specs, check=1 if cells else 0)
        for name, xml in self.definitions().items():
            lines = changed_lines(without_record(before[name]), without_record(xml))
            with self.subTest(file=self.files[name]):
                self.assertEqual([line for line in lines if not MEMORY.match(line)], [])
                self.assertEqual(bool(lines), name in changed and name not in cells)
        after = self.hv.reconcile("--dry-run", "-o", "json", specs).json()
        self.assertEqual({action["object"] for action in after["actions"]}, set())
        self.assertEqual({o["name"] for o in after["objects"] if o["change"] != "none"}, cells)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
