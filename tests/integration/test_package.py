#!/usr/bin/python3
"""What is installed: the Debian package in a copy of this system, the units, the completion."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
from product import REPOSITORY, reconcile  # noqa: E402

BUILD = os.environ.get("RECONCILE_BUILD") or os.path.dirname(lab.binary())
PACKAGING = os.path.join(REPOSITORY, "packaging")
UNITS = "usr/lib/systemd/system"

# A bus and polkit of their own; each USER is asked for with a process of its own.
POLKIT = r"""
cat >/tmp/bus.conf <<X
<busconfig><type>system</type><listen>unix:path=/tmp/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
X
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/bus
dbus-daemon --config-file=/tmp/bus.conf --nofork 2>/dev/null & bus=$!
while [ ! -S /tmp/bus ]; do sleep 0.1; done
/usr/lib/polkit-1/polkitd --no-debug >/dev/null 2>&1 & polkit=$!
trap 'kill $polkit $bus; rm -f /tmp/bus /tmp/bus.conf' EXIT
for user in reconcile nobody; do
    setpriv --reuid $user --regid nogroup --clear-groups sleep 60 & process=$!
    until [ "$(stat -c %U /proc/$process)" = $user ]; do sleep 0.1; done
    for try in 1 2 3 4 5 6 7 8 9 10; do # until polkitd is on the bus, the answer is 127
        status=0; pkcheck --action-id org.libvirt.unix.manage --process $process >/dev/null 2>&1 || status=$?
        [ $status = 127 ] || break
        sleep 1
    done
    echo "$user $status"
    kill $process
done
"""


def run(*command, status=0, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    process = subprocess.run(command, check=False, **options)
    assert process.returncode == status, f"{command}: {process.returncode}\n{process.stdout}"
    return process.stdout


def make_package(directory, version):
    run("cpack", "-G", "DEB", "-B", directory, "-D", f"CPACK_PACKAGE_VERSION={version}", cwd=BUILD)
    return os.path.join(directory, f"reconcile_{version}_amd64.deb")


class System:
    """This system with a layer of its own over it, in a mount namespace that ends with us."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo; exec sleep infinity"],
                                       stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.top = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        self.outside(f"mount -t tmpfs tmpfs {self.top} && cd {self.top} && mkdir upper work root && "
                     f"mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root && "
                     f"mkdir -p root/proc root/tmp && mount -t proc proc root/proc && mount --bind /dev root/dev && rm -rf root/var/lib/reconcile root/etc/reconcile")

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()
        os.rmdir(self.top)

    def outside(self, script, **options):
        return run("nsenter", "-t", str(self.keeper.pid), "-m", "sh", "-euc", script, **options)

    def sh(self, script, **options):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}
        return self.outside(f'exec chroot {self.top}/root sh -euc "$1"'.replace('"$1"', "'" + script.replace("'", "'\\''") + "'"),
                            env=env, **options)

    def install(self, package):
        name = os.path.basename(package)
        self.outside(f"cp {package} {self.top}/root/tmp/{name}")
        out = self.sh(f"dpkg --no-triggers -i /tmp/{name}; rm /tmp/{name}")
        return out

    def changed(self):
        """All files that differ from the system below."""
        found = self.outside(f"cd {self.top}/upper && find . ! -type d -printf '%P\\n'")
        noise = re.compile(r"(var/lib/dpkg|var/cache|var/log|tmp|run|dev)/|var/lib/reconcile$|etc/\.pwd\.lock$|"
                           r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$")
        return {name for name in found.splitlines() if not noise.match(name)}


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
@unittest.skipUnless(shutil.which("dpkg") and shutil.which("cpack"), "dpkg or cpack isn't there")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run("cmake", "--build", BUILD, "--target", "reconcile", "completion")  # which cpack doesn't do
        cls.directory = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.packages = [make_package(os.path.join(cls.directory, version), version) for version in ("1.0.0", "1.1.0")]

    def setUp(self):
        self.system = System()
        self.addCleanup(self.system.close)

    def test_life_of_the_package(self):
        system = self.system
        old, new = self.packages
        before = system.changed()
        system.install(old)  # dependencies are checked: they are those of this system
        self.assertIn("1.0.0", system.sh("dpkg-query -W reconcile"))
        self.assertEqual(system.sh("stat -c '%a %U %G' /var/lib/reconcile").strip(), "700 reconcile reconcile")
        self.assertIn("/usr/sbin/nologin", system.sh("getent passwd reconcile"))
        self.assertRegex(system.sh("ASAN_OPTIONS=detect_leaks=0 reconcile --version"), r"^reconcile \d")
        self.assertIn(UNITS + "/reconcile.service", system.changed())
        self.assertIn("ExecStart=/usr/bin/reconcile serve\n", system.sh(f"cat /{UNITS}/reconcile.service"))
        self.assertEqual(system.sh("systemd-analyze verify --man=no reconcile.service reconcile-once.service reconcile-once.timer "
                                   "reconcile-once.path 2>&1 | grep reconcile || true"), "")

        system.sh("mkdir -p /run/reconcile /etc/reconcile/vms; chown reconcile /run/reconcile; cp /etc/reconcile/reconcile.yaml /etc/reconcile/kept; "
                  "echo 'apiVersion: reconcile/v1\nkind: Image\nmetadata: {name: a}\nspec: {source: /x}' >/etc/reconcile/vms/a.yaml; "
                  "echo 'source: {directory: /etc/reconcile/vms}\nconnection: test:///default' >/etc/reconcile/reconcile.yaml")
        environment = " ".join(re.findall(r"^Environment=(.*)", system.sh(f"cat /{UNITS}/reconcile.service"), re.MULTILINE))
        # Nothing is there to be kept, but as the service's user, and with its environment, all of it can be opened.
        system.sh(f"setpriv --reuid reconcile --regid reconcile --clear-groups env {environment} RUNTIME_DIRECTORY=/run/reconcile "
                  "ASAN_OPTIONS=detect_leaks=0 reconcile serve --once >/run/reconcile/said 2>&1 || true; test -s /var/lib/reconcile/journal.db; "
                  "grep -q 'image/a' /run/reconcile/said; rm -r /etc/reconcile/vms /run/reconcile/said; mv /etc/reconcile/kept /etc/reconcile/reconcile.yaml; "
                  "rm -r /var/lib/reconcile/*")

        if os.path.exists("/usr/lib/polkit-1/polkitd") and shutil.which("dbus-daemon"):
            self.assertEqual(system.sh(POLKIT).splitlines()[:2], ["reconcile 0", "nobody 2"], "polkit lets the service in, and it alone")

        system.sh("echo '# by the administrator' >>/etc/reconcile/reconcile.yaml; echo x >/var/lib/reconcile/journal.db")
        system.install(new)
        self.assertIn("1.1.0", system.sh("dpkg-query -W reconcile"))
        self.assertIn("# by the administrator", system.sh("cat /etc/reconcile/reconcile.yaml"))
        self.assertEqual(system.sh("cat /var/lib/reconcile/journal.db"), "x\n")

        system.sh("dpkg --remove reconcile")
        self.assertEqual(system.changed() - before, {"etc/reconcile/reconcile.yaml", "var/lib/reconcile/journal.db"})
        system.sh("dpkg --purge reconcile")
        self.assertEqual(system.changed() - before, set())
        system.sh("test ! -e /etc/reconcile -a ! -e /var/lib/reconcile; getent passwd reconcile")

        system.install(old)  # over the user that stayed
        self.assertEqual(system.sh("stat -c '%a %U' /var/lib/reconcile").strip(), "700 reconcile")
        system.sh("mkdir /etc/reconcile/vms; echo x >/etc/reconcile/vms/web.yaml; dpkg --purge reconcile")
        self.assertEqual(system.sh("cat /etc/reconcile/vms/web.yaml"), "x\n", "what others wrote stays")

    def test_what_it_depends_on(self):
        fields = run("dpkg-deb", "-f", self.packages[0], "Depends", "Section", "Architecture")
        for library in ("libvirt0", "libgit2-", "libyaml-0-2", "libsqlite3-0", "libjansson4", "libxml2", "libglib2.0-0", "systemd"):
            self.assertIn(library, fields)
        listed = run("dpkg-deb", "-c", self.packages[0])
        self.assertNotRegex(listed, r"\.\./|CMakeFiles|quickstart")
        for name in ("man1/reconcile.1", "man5/reconcile-spec.5", "man5/reconcile.yaml.5", "completions/reconcile", "_reconcile"):
            self.assertIn(name, listed)


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze isn't installed")
class Units(unittest.TestCase):
    REPORT = os.path.join(REPOSITORY, "docs/service-hardening.md")

    def unit(self, name):
        """The unit as it is installed, in a directory of its own."""
        directory = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        with open(os.path.join(PACKAGING, "systemd", name + ".in"), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(PACKAGING, "systemd/hardening.conf"), encoding="utf-8") as file:
            text = text.replace("@HARDENING@", file.read()).replace("@PROGRAM@", "/usr/bin/true")
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def security(self, name):
        return run("systemd-analyze", "security", "--offline=true", "--no-pager", self.unit(name), env={**os.environ, "LANG": "C.UTF-8"})

    def test_hardened(self):
        for name in ("reconcile.service", "reconcile-once.service"):
            exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", self.security(name)).group(1))
            self.assertLess(exposure, 1.5)

    def test_report_in_the_docs(self):
        report = "\n".join(line.rstrip() for line in self.security("reconcile.service").splitlines())
        version = run("systemd-analyze", "--version").split()[1]
        with open(self.REPORT, encoding="utf-8") as file:
            text = file.read()
        start, end = text.index("```\n") + 4, text.rindex("```")
        if os.environ.get("REGENERATE"):
            text = re.sub(r"systemd \d+", f"systemd {version}", text[:start]) + report.strip() + "\n" + text[end:]
            with open(self.REPORT, "w", encoding="utf-8") as file:
                file.write(text)
        elif f"systemd {version}" in text:  # others weigh otherwise
            self.assertEqual(text[start:end].strip(), report.strip(), "REGENERATE=1 writes it anew")

    def test_verify(self):
        out = run("systemd-analyze", "verify", "--man=no", self.unit("reconcile.service"), self.unit("reconcile-once.service"))
        self.assertNotIn("reconcile", out)


class Completion(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        os.symlink(lab.binary(), os.path.join(self.directory, "reconcile"))

    def complete(self, *words):
        """What bash offers at the end of these words."""
        script = ("source <(reconcile completion bash); "
                  'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _reconcile; printf "%s\\n" "${COMPREPLY[@]}"')
        env = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}"}
        out = run("bash", "-c", script, "bash", "reconcile", *words, env=env, cwd=REPOSITORY, stderr=subprocess.PIPE)
        return [line for line in out.splitlines() if line]

    def test_options_are_those_of_the_command(self):
        told = set(re.findall(r"(?<=\s)--[a-z-]+", "\n".join(line[:32] for line in reconcile("--help", check=0).stdout.splitlines())))
        offered = set(self.complete("--"))
        for command in self.commands():
            offered |= set(self.complete(command, "--"))
        self.assertEqual(offered, told)
        self.assertNotIn("--dry-run", self.complete("status", "--"))
        self.assertEqual(self.complete("--dry"), ["--dry-run"])

    def commands(self):
        return re.findall(r"^  reconcile ([a-z]+)", reconcile("--help", check=0).stdout, re.MULTILINE)

    def test_commands(self):
        self.assertLessEqual(set(self.commands()), set(self.complete("")))
        self.assertIn("explain", self.complete("exp"))
        self.assertNotIn("completion", self.complete("comp"))

    def test_values(self):
        self.assertEqual(self.complete("-o", ""), ["text", "json", "markdown"])
        self.assertEqual(self.complete("--output", "=", "m"), ["markdown"])
        self.assertEqual(self.complete("--output", "="), ["text", "json", "markdown"])
        self.assertEqual(self.complete("--allow", "restart,d"), ["restart,data-loss"])
        known = reconcile("--allow", "nonsense").stderr.split("known are ")[1].strip().split(", ")
        self.assertEqual(self.complete("--allow", ""), known)
        self.assertEqual(self.complete("--jobs", ""), [])
        self.assertIn("examples/web-server.yaml", self.complete("validate", "examples/web"))
        self.assertEqual(self.complete("--state-dir", "examples/rev"), ["examples/review"])

    def test_kinds_and_fields(self):
        self.assertEqual(self.complete("explain", "vm.disks.ta"), ["vm.disks.target"])
        self.assertLessEqual({"vm", "pool", "network", "image", "volume"}, set(self.complete("explain", "")))
        for path in self.complete("explain", "vm.cpu"):
            reconcile("explain", path, check=0)

    def test_names(self):
        with lab.Hypervisor() as hv:
            hv.define("web-1")
            hv.define("db-1")
            os.environ["LIBVIRT_DEFAULT_URI"] = hv.uri
            self.addCleanup(os.environ.pop, "LIBVIRT_DEFAULT_URI")
            self.assertEqual(self.complete("status", "w"), ["web-1"])

    @unittest.skipUnless(shutil.which("zsh"), "zsh isn't installed")
    def test_zsh(self):
        """It is parsed, and defines the function that compdef calls."""
        run("zsh", "-fc", "_arguments() { print -r -- $# }; source <(reconcile completion zsh)",
            env={**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}"})


class Configuration(unittest.TestCase):
    def test_example(self):
        """Each of the two sources of the example, with the rest of it taken in."""
        with open(os.path.join(PACKAGING, "reconcile.yaml"), encoding="utf-8") as file:
            lines = [line[1:] for line in file if re.match(r"#([a-z]|  )", line)]
        text = "".join(lines)
        first, second = text.index("source:"), text.index("source:", text.index("source:") + 1)
        after = text.index("connection:")
        for whole in (text[:second] + text[after:], text[:first] + text[second:]):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
                file.write(whole)
                file.flush()
                reconcile("validate", "--config", file.name, check=0)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
