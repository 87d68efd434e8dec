"""A private libvirt system daemon (privileged) on a host of its own.

The host is a set of namespaces: network, mounts and name. So bridges, dnsmasq
and firewall rules, /etc/libvirt, /var/lib/libvirt and /run are its own, and
several such hosts can be joined by a cable (join) to migrate between them.
"""

import os
import shutil
import subprocess
import time
import unittest
import uuid

import guard
from hypervisor import BUILD, CPU_AT_ONCE, Hypervisor

LIBVIRTD_CONF = """\
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{uuid}"
"""

QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = [{controllers}]
hugetlbfs_mount = "{hugepages}"
stdio_handler = "file"
""" + CPU_AT_ONCE

# Runs inside the new namespaces: private places, then wait for the end.
# /sys has to show the new network namespace's interfaces, and of the control
# groups an own one as if it were the root: two labs may have machines of one name.
SETUP = """\
set -eu
cd "$1"
mkdir -p run/lock
mount --bind run /run
for place in etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do
    mount --bind "$place" "/$place"
done
mount --bind etc/hosts /etc/hosts
mount -t hugetlbfs hugetlbfs hugepages || true
if [ -n "$3" ]; then mkdir cpu; mount --bind "$3" cpu; fi
mount -t sysfs sysfs /sys
if [ -n "$3" ]; then
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/cpu
    mount --move cpu /sys/fs/cgroup/cpu
fi
hostname "$2"
ip link set lo up
readlink /proc/self/ns/net >namespace.new
mv namespace.new namespace
exec sleep infinity
"""


class SystemHypervisor(Hypervisor):
    """Like Hypervisor, but privileged. Raises SkipTest, with the reason,
    where that can't be."""

    uri_template = "qemu+unix:///system?socket={socket}"
    CACHE = os.path.join(BUILD, "lab-cache-system")
    cache = "var/cache/libvirt/qemu"

    def __init__(self, name="lab-a", hosts=(), settings="", preload=""):
        """name: the host's; hosts: (address, name) pairs for its /etc/hosts;
        settings: further lines of libvirtd.conf and qemu.conf alike; preload: a library, for the daemon whenever it is launched."""
        if os.geteuid() != 0:
            raise unittest.SkipTest("a privileged libvirtd in namespaces of its own needs root")
        for place in ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"):
            if not os.path.isdir(place):
                raise unittest.SkipTest(f"{place} is missing: run scripts/install-packages test")
        self.name = name
        self.hosts = [("127.0.0.1", "localhost"), ("127.0.1.1", name), *hosts]
        self.settings = settings
        self.preload = preload
        self.keeper = None
        super().__init__()

    def give(self, path):
        """Everything belongs to root here."""

    def _prepare(self):
        super()._prepare()
        for place in ("etc/libvirt", "var/lib/libvirt", "var/log/libvirt", "var/cache/libvirt", "hugepages", "run/lock"):
            self.make_directory(place)
        self.cpu_group = self._make_cpu_group()
        if os.path.isdir("/etc/libvirt/nwfilter"):
            shutil.copytree("/etc/libvirt/nwfilter", self.path("etc/libvirt/nwfilter"))
        with open(self.path("etc/hosts"), "w", encoding="utf-8") as file:
            # The last entry of a name counts least: real addresses go first.
            for address, name in reversed(self.hosts):
                file.write(f"{address} {name}\n")
        self._unshare()

    def _make_cpu_group(self):
        """A control group for this host's guests, "" where there is none; the
        guard removes it."""
        group = guard.cpu_group_of(self.directory)
        try:
            os.mkdir(group)
            return group if os.path.exists(os.path.join(group, "cpu.shares")) else ""
        except OSError:
            return ""

    def _unshare(self):
        self.keeper = subprocess.Popen(
            ["unshare", "-n", "-m", "-u", "--propagation", "private",
             "sh", "-c", SETUP, "setup", self.directory, self.name, self.cpu_group],
            env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while not os.path.exists(self.path("namespace")):
            if self.keeper.poll() is not None:
                raise unittest.SkipTest(f"no namespaces here: {self.keeper.stderr.read().strip()}")
            time.sleep(0.01)

    def _configure(self):
        with open(self.path("etc/libvirt/libvirtd.conf"), "w", encoding="utf-8") as file:
            file.write(LIBVIRTD_CONF.format(uuid=uuid.uuid4()) + self.settings)
        with open(self.path("etc/libvirt/qemu.conf"), "w", encoding="utf-8") as file:
            file.write(QEMU_CONF.format(controllers='"cpu"' if self.cpu_group else "", hugepages=self.path("hugepages")) + self.settings)

    def _launch(self):
        self._launch_as([*self.inside(), "env", "LD_PRELOAD=" + self.preload, "taskset", "-c", "0", "libvirtd", "--listen", "--timeout", "1800"])

    def inside(self):
        """The start of a command line that shall run on this host."""
        return ["nsenter", "-t", str(self.keeper.pid), "-n", "-m", "-u"]

    def run(self, *command):
        """A command on this host; its standard output."""
        return subprocess.run([*self.inside(), *command], check=True, env=self.env,
                              stdout=subprocess.PIPE, text=True).stdout

    def stop(self):
        super().stop()
        if self.keeper:
            self.keeper.wait()
            self.keeper.stderr.close()
            self.keeper = None


def joined_hosts(count, settings="", preload=""):
    """So many hosts on one cable, 10.77.0.1 and so on, that know each other as lab-a, lab-b …: the cable is a
    bridge on the first."""
    names = [f"lab-{letter}" for letter in "abcdefgh"[:count]]
    addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
    known = [(address, name) for name, address in addresses.items()]
    hosts = []
    try:
        for name in names:
            hosts.append(SystemHypervisor(name, known, settings, preload))
        _join(hosts, addresses)
    except BaseException:
        for host in hosts:
            host.stop()
        raise
    return tuple(hosts)


def two_hosts(settings="", preload=""):
    return joined_hosts(2, settings, preload)


def _join(hosts, addresses):
    first, *others = hosts
    first.run("ip", "link", "add", "cable", "type", "bridge")
    for number, host in enumerate(others):
        first.run("ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", "cable", "netns", str(host.keeper.pid))
        first.run("ip", "link", "set", f"port{number}", "master", "cable", "up")
    for host in hosts:
        host.run("ip", "address", "add", addresses[host.name] + "/24", "dev", "cable")
        host.run("ip", "link", "set", "cable", "up")


def share(hosts, place):
    """A directory that all of them see at `place`, on a file system that libvirt knows to be shared: FUSE
    by the name of GlusterFS, which keeps nothing back, so that all see what one has written."""
    source = hosts[0].path("shared")
    os.makedirs(source, exist_ok=True)
    for host in hosts:
        host.run("mkdir", "-p", place)
        host.run("bindfs", "-o", "subtype=glusterfs,direct_io,attr_timeout=0,entry_timeout=0", source, place)
