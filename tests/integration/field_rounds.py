"""Tries fields of FIELDS in rounds: one field of each of several machines at a
time, so that a round takes as many runs of the program as a single field would."""

import concurrent.futures
import contextlib
import difflib
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt

import fields
import lab

TAG = re.compile(r"<(/?)([\w:.-]+)(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?(/?)>")
METADATA = re.compile(r"\n  <metadata>.*?</metadata>", re.S)


PLAIN = object()


def destroy(domain):
    with contextlib.suppress(libvirt.libvirtError):  # it isn't running
        domain.destroy()


def without_metadata(xml):
    return METADATA.sub("", xml)


def lines_with_elements(xml):
    """Each line, and the names of the elements that it belongs to."""
    open_elements, lines = [], []
    for line in xml.split("\n"):
        inside = set(open_elements)
        for end, name, alone in TAG.findall(line):
            inside.add(name)
            if end:
                open_elements.pop()
            elif not alone:
                open_elements.append(name)
        # Everything is inside the root element: only its own line counts as its.
        if not re.match(r"</?domain\b", line):
            inside.discard("domain")
        lines.append((line, inside))
    return lines


def changed_outside(before, after, allowed):
    """The lines that differ and belong to none of the allowed elements."""
    old, new = lines_with_elements(before), lines_with_elements(after)
    texts = [line for line, _ in old], [line for line, _ in new]
    outside = []
    for kind, i, j, k, l in difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if kind != "equal":
            outside += [f"-{line}" for line, inside in old[i:j] if not inside & allowed]
            outside += [f"+{line}" for line, inside in new[k:l] if not inside & allowed]
    return outside


def devices(xml):
    """The devices of a machine, each as its lines."""
    blocks = []
    for line in xml[xml.index("  <devices>\n") + len("  <devices>\n"):xml.index("\n  </devices>")].split("\n"):
        if re.match(r"    <[^/]", line):
            blocks.append(line)
        else:
            blocks[-1] += "\n" + line
    return blocks


def changed_devices(before, after):
    """How many devices aren't as they were, the ones that came and the ones that went for themselves."""
    went = came = 0
    for kind, i, j, k, l in difflib.SequenceMatcher(None, devices(before), devices(after), autojunk=False).get_opcodes():
        if kind != "equal":
            went, came = went + j - i, came + l - k
    return max(went, came)


def difference(before, after):
    return "\n".join(difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=1))


class FieldRounds(lab.TestCase):
    machines = 8
    guests = 3
    power = "stopped"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()

    @classmethod
    def prepare(cls):
        """What the values name: files, pools, images, volumes, secrets."""
        hv = cls.hv
        hv.make_directory("files")
        hv.names = [f"m{i}" for i in range(cls.machines)]
        for name in ("1.iso", "2.iso", "kernel"):
            cls.make_file(name, 1)
        for name in hv.names:
            for letter in "bcdz":
                cls.make_file(f"{name}-{letter}.raw", 16)
        for name in ("first", "second"):
            secret = hv.conn.secretDefineXML(f"<secret><usage type='ceph'><name>{name}</name></usage></secret>")
            secret.setValue(name.encode())
        volumes = [lab.document("Volume", f"{name}-{i}", {"pool": "lab", "size": "1MiB"})
                   for name in hv.names for i in (1, 2)]
        if cls.hypervisor is lab.SystemHypervisor:
            cls.prepare_network()
        hv.write("shared.yaml", hv.pool(), hv.pool("other"), hv.image("first"),
                 hv.image("second", source=hv.path("guest/base.raw")), *volumes, lab.document("Profile", "plain", {}))

    @classmethod
    def prepare_network(cls):
        for name in ("a", "b"):
            cls.hv.conn.networkDefineXML(
                f"<network><name>net-{name}</name><bridge name='virbr-{name}'/></network>").create()

        cls.hv.run("ip", "link", "add", "link-a", "type", "veth", "peer", "name", "link-b")
        for name in ("link-a", "link-b"):
            cls.hv.run("ip", "link", "set", name, "up")

    @classmethod
    def make_file(cls, name, mebibytes):
        path = cls.hv.path("files", name)
        with open(path, "wb") as file:
            file.truncate(mebibytes << 20)
        cls.hv.give(path)

    def tearDown(self):
        pass  # the machines stay for the next round

    # Machines.

    def is_idle(self, field):
        """Whether the machine needs no guest: its firmware finds nothing to boot and rests."""
        return False

    def document(self, name, field, value):
        """The machine with the field's value; PLAIN: without what the field needs."""
        document = fields.base(self.hv, name, field.variant)
        document["spec"]["powerState"] = self.power
        if self.is_idle(field):
            del document["spec"]["boot"]
        if value is not PLAIN:
            field.document(document, value)
        return fields.fill(document, dir=self.hv.directory, name=name)

    def write(self, batch, choose):
        """machines.yaml: each machine with its field's value."""
        self.hv.write("machines.yaml", *[self.document(name, field, choose(field)) for name, field in batch])

    def wait_up(self, name):
        """Until it has booted, and its balloon is where it was told to be."""
        domain = self.hv.domain(name)
        size = int(ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).findtext("currentMemory"))
        self.hv.guest(name).wait(lambda guest: "ready" in guest.lines() and 0 <= domain.info()[2] - size < 4, "the balloon in place")

    def plan(self, status):
        result = self.hv.reconcile("--dry-run", "-o", "json", self.hv.path("specs"))
        plan = result.json()
        told = [(each["name"], change) for each in plan.get("objects", ()) for change in each["fields"]]
        actions = [action["description"] for action in plan.get("actions", ())]
        self.assertEqual(result.status, status, f"{told} {actions} {plan.get('error')} {result.stderr}")
        return plan

    def apply(self):
        return self.hv.apply("-q", self.hv.path("specs"))

    def dump(self, batch, flags=libvirt.VIR_DOMAIN_XML_INACTIVE):
        return {name: without_metadata(self.hv.domain(name).XMLDesc(flags)) for name, _ in batch}

    def object_of(self, plan, name):
        return next(each for each in plan["objects"] if each["kind"] == "VirtualMachine" and each["name"] == name)

    def forget(self):
        """Takes all machines away, with the disks that were made for them."""
        domains = self.hv.conn.listAllDomains()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.map(destroy, domains)
        for domain in domains:
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
        for name in self.hv.names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.hv.console_path(name))
        for pool in self.hv.conn.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            pool.refresh()
            for volume in pool.listAllVolumes():
                if re.match(r"m\d+-v", volume.name()):
                    volume.delete()

    # Rounds.

    def try_all(self, wanted, attempt):
        """All fields that are wanted, in batches of machines alike; what fails in
        a batch is tried again alone, to tell which it is."""
        chosen = os.environ.get("FIELD")
        wanted = [field for field in wanted if not chosen or re.search(chosen, field.path)]
        if "<domain type='kvm'" not in self.hv.conn.getCapabilities():
            wanted = self.without("no KVM here", wanted, lambda field: field.kvm)
        for kind in sorted({(field.variant, self.is_idle(field)) for field in wanted}):
            todo = [field for field in wanted if (field.variant, self.is_idle(field)) == kind]
            size = self.machines if kind[1] or self.power == "stopped" else self.guests
            while todo:
                batch, todo = todo[:size], todo[size:]
                self.try_batch(batch, attempt)
            self.forget()

    def without(self, why, fields, needs):
        """Those that need nothing that isn't here; tests/run tells the others in its summary."""
        left_out = [field.path for field in fields if needs(field)]
        if left_out:
            print(f"\nskipped: {why}: {', '.join(left_out)}", flush=True)
        return [field for field in fields if not needs(field)]

    def try_batch(self, batch, attempt):
        try:
            attempt(list(zip(self.hv.names, batch)))
        except AssertionError as error:
            alone = 0
            for field in batch:
                with self.subTest(field=field.path):
                    self.forget()
                    attempt([(self.hv.names[0], field)])
                    alone += 1
            self.forget()
            if alone == len(batch):
                raise AssertionError(f"only together: {batch}") from error

    def assert_plan(self, batch, plan, only=lambda change: True):
        """The plan names exactly the field of each machine, and its effect."""
        for name, field in batch:
            found = self.object_of(plan, name)
            self.assertNotIn("error", found, f"{field}: {found}")
            changes = [change for change in found["fields"] if only(change)]
            self.assertEqual({change["path"] for change in changes}, field.paths, f"{field}: {changes}")
            self.assertEqual(found["change"], "update", f"{field}: {found}")

    def assert_only(self, field, before, after, plugged=()):
        """Nothing differs but the field's elements, and those of no more devices than the plan named."""
        changed = difference(before, after)
        self.assertEqual(changed_outside(before, after, field.xml | set(plugged)), [], f"{field} changed more than {field.xml}:\n{changed}")
        self.assertLessEqual(changed_devices(before, after), field.devices, f"{field} changed more devices:\n{changed}")

    def assert_in_sync(self, plan):
        self.assertEqual(plan["actions"], [])
