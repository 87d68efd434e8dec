"""Two hosts, each with a libvirtd, storage and network of its own, and the machine "web" that moves between them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402,F401
from moving import heard  # noqa: E402
from product import document  # noqa: E402

POOL = "/var/lib/libvirt/moving"  # private to each host
OTHER_HOST = os.path.join(os.environ.get("RECONCILE_BUILD", ""), "tests/other_host.so")


class MoveCase(lab.TestCase):
    """self.hv is lab-a and holds the specifications, self.other is lab-b."""

    preload = ""  # of both libvirtds

    @classmethod
    def setUpClass(cls):
        cls.hv, cls.other = lab.two_hosts(preload=cls.preload)
        cls.hv.tiny = cls.tiny
        cls.addClassCleanup(cls.hv.stop)
        cls.addClassCleanup(cls.other.stop)

    def setUp(self):
        self.env = {key: value for key, value in self.hv.env.items() if key != "LIBVIRT_DEFAULT_URI"}
        self.host_specs = {
            "lab-a": {"uri": self.hv.uri, "peerUri": "qemu+tcp://lab-a/system", "migrationUri": "tcp://10.77.0.1"},
            "lab-b": {"uri": self.other.uri, "peerUri": "qemu+tcp://lab-b/system", "migrationUri": "tcp://10.77.0.2"}}
        self.pool = document("StoragePool", "moving", {"type": "dir", "target": POOL})

    def tearDown(self):
        self.other.clear()
        super().tearDown()
        for host in (self.hv, self.other):
            host.run("sh", "-c", f"rm -rf {POOL}")

    def write(self, *documents):
        hosts = [document("Host", name, spec) for name, spec in self.host_specs.items()]
        self.hv.write("all.yaml", *hosts, self.pool, self.hv.image(pool="moving"), *documents)

    def guest(self, host):
        """The port that it obeys is a file of the host that it is on."""
        guest = self.hv.guest("web")
        guest.control = host.path("var/lib/libvirt/web.control")
        return guest

    def machine(self, host, cmdline=None, **spec):
        cmdline = cmdline if cmdline is not None else "" if self.hv.tiny else "control"
        ports = [{"port": 0, "type": "file", "path": self.hv.console_path("web"), "append": True},
                 {"port": 1, "type": "socket", "path": "/var/lib/libvirt/web.control", "socketMode": "bind"}]
        disks = [{"target": "vda", "image": "base", "pool": "moving"}, {"target": "vdb", "size": "16MiB", "pool": "moving"}]
        return self.hv.vm("web", cmdline, **{"serials": ports, "placement": {"host": host}, "disks": disks, **spec})

    def run_product(self, *arguments, status=0):
        return self.hv.reconcile("-o", "json", *arguments, self.hv.path("specs"), env=self.env, check=status)

    def apply(self, *arguments, status=0):
        return self.run_product(*arguments, status=status).json()

    def plan(self, status):
        return self.run_product("--dry-run", status=status).json()

    def error_of(self, document, name="web"):
        return next(each.get("error") or "" for each in document["objects"] if each["name"] == name)

    def says(self, host, what, value=""):
        """libvirt there says so from now on (tests/lab/other_host.c), where that is preloaded."""
        host.run("sh", "-c", f"echo {value} >/run/{what}")

    def says_no_more(self, host, what):
        host.run("rm", f"/run/{what}")

    heard = staticmethod(heard)

    def files(self, host):
        """But the base images."""
        return sorted(name for name in host.run("ls", POOL).split() if not name.startswith("sha256-"))

    def where(self):
        return [host.name for host in (self.hv, self.other) if any(d.name() == "web" for d in host.conn.listAllDomains())]

    def started(self, **spec):
        """Running on lab-a, with something on its second disk; its checksum."""
        self.write(self.machine("lab-a", **spec))
        self.apply()
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        self.assertEqual(guest.do("write", "vdb", 3, "before"), "0")
        return guest.do("sum", "vdb")

    def assert_moved(self):
        self.assertEqual(self.where(), ["lab-b"])
        self.assertEqual(self.files(self.hv), [])
        self.assertEqual(self.files(self.other), ["web-vda.qcow2", "web-vdb.qcow2"])
        self.assertEqual(self.plan(status=0)["actions"], [])
