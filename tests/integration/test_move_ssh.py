#!/usr/bin/python3
"""Hosts that are reached by ssh, which is what most people write, with a real sshd on each. What goes wrong there is said with what to
do about it and stops nobody else, and nobody is asked for anything, though there is a terminal."""

import contextlib
import os
import pwd
import subprocess

import yaml

from git_lab import sshd
from move_case import MoveCase, document, lab
from service_case import wait_for

ROOT = pwd.getpwuid(0).pw_dir  # ssh takes its user's files from there, whatever HOME is
ADDRESSES = {"lab-a": "10.77.0.1", "lab-b": "10.77.0.2"}
CONFIGURATION = """\
HostKey {keys}/host
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile {keys}/authorized
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin yes
"""


class Ssh(MoveCase):
    tiny = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = cls.hv.make_directory("keys")
        for name in ("client", "stranger", "host"):
            passphrase = "secret" if name == "stranger" else ""
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", cls.key(name)], check=True)
        with open(cls.key("config"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(keys=cls.keys))
        os.link(cls.key("client.pub"), cls.key("authorized"))
        cls.servers = {}
        for host in (cls.hv, cls.other):
            cls.make_home(host)
            cls.serve(host)

    @classmethod
    def key(cls, name):
        return os.path.join(cls.keys, name)

    @classmethod
    def make_home(cls, host):
        """Of root: its key, and the hosts that it knows. Besides, a host that it doesn't know, and one that has another key now."""
        home = host.make_directory("root/.ssh")
        known = {"lab-a": "host", "lab-b": "host", "changed": "stranger"}
        with open(f"{home}/known_hosts", "w", encoding="utf-8") as file:
            for name, key in known.items():
                with open(cls.key(f"{key}.pub"), encoding="utf-8") as public:
                    file.write(f"{name} {public.read()}")
        os.link(cls.key("client"), f"{home}/id_ed25519")
        host.run("sh", "-c", f"mount --bind {host.path('root')} {ROOT}; mkdir -p /run/sshd; echo 10.77.0.2 unknown changed >>/etc/hosts")

    @classmethod
    def serve(cls, host):
        address = ADDRESSES[host.name]
        command = [*host.inside(), sshd(), "-D", "-e", "-o", f"ListenAddress={address}", "-f", cls.key("config")]
        with open(host.path("sshd.log"), "ab") as log:
            server = cls.servers[host.name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cls.addClassCleanup(cls.end, server)
        wait_for(lambda: f"{address}:22" in host.run("ss", "-Hltn"), "sshd listens")

    @staticmethod
    def end(server):
        server.kill()
        server.wait()

    def setUp(self):
        super().setUp()
        for name, spec in self.host_specs.items():
            spec.update(uri=f"qemu+ssh://root@{name}/system")
            del spec["peerUri"]  # the same

    def inside(self, *arguments, status=0, **env):
        """On lab-a, which alone is in their network; with a terminal, on which nothing is said."""
        terminal, stdin = os.openpty()
        command = [*self.hv.inside(), "setsid", "--ctty", lab.binary(), *arguments]
        try:
            process = subprocess.run(command, env={**self.env, **env}, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                                     check=False, timeout=300)
            os.set_blocking(terminal, False)
            with contextlib.suppress(BlockingIOError):
                self.fail(f"on the terminal: {os.read(terminal, 1000)}")
        finally:
            os.close(stdin)
            os.close(terminal)
        return lab.Result(command, process).check(status)

    def run_product(self, *arguments, status=0, **env):
        return self.inside("-o", "json", *arguments, self.hv.path("specs"), status=status, **env)

    def host_error(self, result, name):
        return next((each["error"] for each in result["objects"] if each["kind"] == "Host" and each["name"] == name), "")


class Moves(Ssh):
    def test_there_and_back(self):
        """With its image, which is sent from here; while it runs, from daemon to daemon by ssh too, and stopped."""
        self.write(self.machine("lab-a"))
        self.assertEqual({each["connection"] for each in self.plan(status=2)["hosts"]}, {spec["uri"] for spec in self.host_specs.values()})
        self.apply()
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        self.write(self.machine("lab-b"))
        with guest.keeps_beating():
            document_ = self.apply()
        self.assertIn("domain-migrate", [each["kind"] for each in document_["actions"]])
        self.assert_moved()
        self.write(self.machine("lab-a", migration={"mode": "cold"}, shutdown={"timeout": "60s", "retryInterval": "1s"}))
        self.apply()
        self.assertEqual([self.where(), self.files(self.other)], [["lab-a"], []])
        self.assertEqual(self.plan(status=0)["actions"], [])
        # One host without others, as virsh has it.
        self.assertRegex(self.inside("status", "-c", self.host_specs["lab-a"]["uri"]).stdout, "web +running")
        self.assertEqual(self.inside("status", "-c", "qemu+ssh://root@lab-a/system?no_tty=0", "-o", "json").json()["connection"],
                         "qemu+ssh://root@lab-a/system?no_tty=0")

    def test_daemons_that_cannot_reach_each_other(self):
        """What can is this program."""
        self.write(self.machine("lab-a"))
        self.apply()
        self.host_specs["lab-b"]["peerUri"] = "qemu+ssh://root@unknown/system"
        self.write(self.machine("lab-b"))
        message = next(each["message"] for each in self.apply(status=1)["results"] if each["result"] == "failed")
        for part in ("Host key verification failed", "the daemon on lab-a that connects to lab-b, by its peerUri", "'ssh root@unknown' once by hand"):
            self.assertIn(part, message)
        self.assertEqual([self.where(), self.files(self.other), self.hv.domain("web").isActive()], [["lab-a"], [], 1])


class Trouble(Ssh):
    def silent(self):
        """A port of lab-b that takes connections and says nothing."""
        listen = "import socket, time; server = socket.create_server(('10.77.0.2', 2223)); time.sleep(3600)"
        process = subprocess.Popen([*self.other.inside(), "/usr/bin/python3", "-c", listen])
        self.addCleanup(self.end, process)
        wait_for(lambda: ":2223" in self.other.run("ss", "-Hltn"), "it listens")
        return "qemu+ssh://root@lab-b:2223/system"

    def stopped(self, title):
        """One machine on each host."""
        return [document("VirtualMachine", name, {"type": "qemu", "powerState": "stopped", "memory": {"size": "64MiB"}, "title": title,
                                                  "placement": {"host": host}}) for name, host in (("here", "lab-a"), ("there", "lab-b"))]

    def titles(self):
        return [host.domain(name).metadata(lab.libvirt.VIR_DOMAIN_METADATA_TITLE, None) for host, name in ((self.hv, "here"), (self.other, "there"))]

    def test_who_cannot_be_logged_in_to(self):
        wrong = {
            "unknown": ("qemu+ssh://root@unknown/system", "Host key verification failed.*'ssh root@unknown' once by hand"),
            "changed": ("qemu+ssh://root@changed/system", "recv data: Host key verification failed.*isn't the one that is known"),
            "no-key": (f"qemu+ssh://root@lab-b/system?keyfile={self.key('stranger')}", "Permission denied.*'ssh -o BatchMode=yes root@lab-b'.*ssh-copy-id"),
            "refused": ("qemu+ssh://root@lab-b:2222/system", "Connection refused.*'ssh -o BatchMode=yes -p 2222 root@lab-b' logs in"),
            "nowhere": ("qemu+ssh://root@nosuch.invalid/system", "Could not resolve hostname nosuch.invalid"),
            "no-nc": ("qemu+ssh://root@lab-b/system?socket=/nonexistent", "nc: not found.*socket="),
            "no-shell": ("qemu+ssh://nobody@lab-b/system", "something else than libvirt answers"),
        }
        self.pool["spec"]["hosts"] = ["lab-a"]
        self.write(*self.stopped("old"))
        self.apply()
        self.host_specs.update({name: {"uri": uri} for name, (uri, _) in wrong.items()}, silent={"uri": self.silent()})
        self.write(*self.stopped("new"))
        done = self.run_product(status=1, RECONCILE_PATIENCE="10").json()
        for name, (uri, said) in {**wrong, "silent": (self.host_specs["silent"]["uri"], "no answer since"), "lab-a": ("", "^$"), "lab-b": ("", "^$")}.items():
            self.assertRegex(self.host_error(done, name), said)
            self.assertIn(uri, self.host_error(done, name))
        self.assertEqual(self.titles(), ["new", "new"])
        # The service has no terminal, and needs none.
        del self.host_specs["silent"]
        self.write(*self.stopped("newer"))
        config = self.hv.path("reconcile.yaml")
        with open(config, "w", encoding="utf-8") as file:
            yaml.safe_dump({"source": {"directory": self.hv.path("specs")}, "stateDir": self.hv.path("state/service"),
                            "policy": {"hosts": [uri for spec in self.host_specs.values() for uri in spec.values()]}}, file)
        log = self.inside("serve", "--once", "--config", config, status=1).stderr
        for uri, said in wrong.values():
            self.assertRegex(log, said)
        self.assertEqual(self.titles(), ["newer", "newer"])

    def test_sshd_is_gone_in_the_middle(self):
        self.write(*self.stopped("old"))
        self.apply()
        self.write(*self.stopped("new"))
        server = self.servers["lab-b"].pid
        done = self.run_product(status=1, RECONCILE_FAULT_AT="fleet: to be locked", RECONCILE_FAULT_COMMAND=f"kill -9 {server} $(ps -o pid= --ppid {server})").json()
        self.serve(self.other)
        self.assertRegex(self.host_error(done, "lab-b"), "Connection refused|closed by remote host|Broken pipe")  # whether that was seen before it was used
        self.assertEqual(self.titles(), ["new", "old"])
        self.apply()
        self.assertEqual(self.titles(), ["new", "new"])

    def test_no_libvirt_there(self):
        """And it is back."""
        self.other.kill_daemon()
        told = self.inside("status", "-c", "qemu+ssh://root@lab-b/system", status=1).stderr
        self.other.restart_daemon()
        self.assertRegex(told, "virt-ssh-helper: cannot connect.*'ssh root@lab-b' logs in, and finds no libvirt there")
        self.inside("status", "-c", "qemu+ssh://root@lab-b/system")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
