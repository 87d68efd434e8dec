"""Two hosts of one fleet, each with a libvirtd of its own, and what a source says of them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import document  # noqa: E402

lab.libvirt, lab.document = libvirt, document  # for the tests


class FleetCase(lab.TestCase):
    """self.hv is kvm-1 and holds the specifications; self.other is kvm-2."""

    tiny = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.hypervisor()
        cls.other.tiny = cls.tiny
        cls.addClassCleanup(cls.other.stop)

    def setUp(self):
        self.hosts = {"kvm-1": {"uri": self.hv.uri}, "kvm-2": {"uri": self.other.uri}}
        self.labels = {"kvm-1": {"zone": "a", "disk": "fast"}, "kvm-2": {"zone": "b", "disk": "fast"}}
        # No default: the hosts are those that the source declares.
        self.env = {key: value for key, value in self.hv.env.items() if key != "LIBVIRT_DEFAULT_URI"}

    def tearDown(self):
        self.other.clear()
        super().tearDown()

    def write(self, *documents):
        hosts = [document("Host", name, spec, labels=self.labels[name]) for name, spec in self.hosts.items()]
        self.hv.write("all.yaml", *hosts, *documents)

    def run_product(self, *arguments, status=0):
        return self.hv.reconcile("-o", "json", *arguments, self.hv.path("specs"), env=self.env, check=status)

    def apply(self, *arguments, status=0):
        return self.run_product(*arguments, status=status).json()

    def plan(self, *arguments, status):
        return self.run_product("--dry-run", *arguments, status=status).json()

    def pool(self, hv, name, **spec):
        return document("StoragePool", name, {"type": "dir", "target": hv.path("pools", name), **spec})

    def machine(self, name, **placement):
        """Stopped, with a disk, so that both session daemons can have it."""
        return document("VirtualMachine", name, {"type": "qemu", "powerState": "stopped", "memory": {"size": "64MiB"},
                                                 "placement": placement})

    def names(self, hv):
        return sorted(domain.name() for domain in hv.conn.listAllDomains())

    def object(self, plan, kind, name):
        return next(each for each in plan["objects"] if each["kind"] == kind and each["name"] == name)
