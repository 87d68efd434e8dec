#!/usr/bin/python3
"""The quickstart on a Debian 12 that has nothing but its minimal packages: a clean clone in a root file system made by
debootstrap, in mount and process namespaces of its own. With all the time (SOAK_MINUTES unset) also the unit tests
by tests/run.

BARE_MIRROR: where packages come from (http://deb.debian.org/debian)."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIRROR = os.environ.get("BARE_MIRROR", "http://deb.debian.org/debian")

# All mounts and processes go with it. No device but those that debootstrap makes, so no KVM.
INSIDE = """\
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
hostname bare
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
"""


class BareMachine(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a root file system of its own needs root")
        if not shutil.which("debootstrap"):
            self.skipTest("debootstrap is missing: apt-get install debootstrap")
        try:
            urllib.request.urlopen(f"{MIRROR}/dists/bookworm/Release", timeout=60).close()
        except OSError as error:
            self.skipTest(f"{MIRROR} doesn't answer: {error}")
        self.root = tempfile.mkdtemp(prefix="rl-bare-", dir="/var/tmp")
        os.chmod(self.root, 0o755)
        self.addCleanup(shutil.rmtree, self.root, True)
        self.timed("debootstrap", "debootstrap", "--variant=minbase", "bookworm", self.root, MIRROR)
        self.timed("clone", "git", "clone", "-q", "--no-hardlinks", TOP, self.root + "/root/reconcile")

    def timed(self, what, *command):
        begun = time.monotonic()
        process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 errors="replace", check=False)
        self.assertEqual(process.returncode, 0, f"{what}: {process.stdout[-8000:]}")
        lab.figure(f"{what}: {time.monotonic() - begun:.0f} s")
        return process.stdout

    def inside(self, what, *command):
        return self.timed(what, "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--uts", "--ipc",
                          "sh", "-c", INSIDE, "inside", self.root, *command)

    def test_quickstart(self):
        installed = self.inside("packages before", "dpkg-query", "-W", "-f", "${Package}\n").split()
        self.assertFalse({"git", "cmake", "gcc", "python3", "libvirt-clients"} & set(installed), installed)
        # In one call, as processes end with it: twice, the second time with nothing to do, then the end of it.
        out = self.inside("quickstart", "sh", "-ec", "cd /root/reconcile; ./examples/quickstart; echo AGAIN; ./examples/quickstart;"
                          "./examples/quickstart --clean; ls -A /var/tmp")
        first, again = out.split("AGAIN\n")
        for machine in ("web-1", "web-2", "db-1"):
            self.assertIn(f"--- {machine}\nready\n", first)
        self.assertIn("it was done before", again)
        self.assertRegex(again, r"quickstart: \S+ removed\n$")
        if lab.Budget().whole:
            out = self.inside("unit tests", "/root/reconcile/tests/run", "-R", "unit/")
            self.assertIn("\nall tests passed\n", out)


if __name__ == "__main__":
    lab.main()
