#!/usr/bin/python3
"""What only some may know is told to nobody: recognisable words wherever a secret may come in, searched for in all that
the service and single runs say, keep, hand to others and leave on the host. (The address of a git server, and its
failures: test_serve_trouble.py.)"""

import contextlib
import hashlib
import os
import shutil
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import Service, TestCase, lab, libvirt, wait_for  # noqa: E402
import git_lab  # noqa: E402
from test_fetch import Server, TOKEN  # noqa: E402

SECRETS = {"url": TOKEN, "git": "g1tT0ken-Vw31", "user": "us3rData-Vw32", "vendor": "vend0rData-Vw33", "network": "netw0rk-Vw34",
           "display": "dspl-V35", "hand": "hand-V36"}
LIBVIRT_SECRET = "<secret ephemeral='no' private='no'><usage type='vtpm'><name>vnc-shown</name></usage></secret>"
BY_HAND = f"<graphics type='vnc' listen='127.0.0.1' autoport='yes' passwd='{SECRETS['hand']}'/>"


class Processes(threading.Thread):
    """Command lines and environments of what runs for the test, seen from time to time: what names its directory in either."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory, self.seen, self.over = directory.encode(), set(), threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.01):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as line:
                    told = line.read() + b"\n" + environ.read()
                    if self.directory in told:
                        self.seen.add(told)

    def end(self):
        self.over.set()
        self.join()
        return b"\n".join(self.seen).decode(errors="replace")


class Secrets(TestCase):
    def setUp(self):
        hv = self.hv
        with open(hv.path("guest/base.qcow2"), "rb") as file:
            content = file.read()
        self.images = Server(content)
        self.addCleanup(self.images.server_close)
        self.addCleanup(self.images.shutdown)
        self.digest = hashlib.sha256(content).hexdigest()
        directory = hv.make_directory("data", "git")
        self.addCleanup(shutil.rmtree, directory)
        self.repository = git_lab.Repository(os.path.join(directory, "vms.git"))
        self.commit()
        self.server = git_lab.HttpServer(directory, tls=os.path.join(directory, "tls"), token=SECRETS["git"], user="ci")
        self.addCleanup(self.server.stop)
        self.token = os.path.join(directory, "token")
        with open(self.token, "w", encoding="utf-8") as file:
            file.write(SECRETS["git"] + "\n")
        hv.conn.secretDefineXML(LIBVIRT_SECRET).setValue(SECRETS["display"].encode())
        hv.define("adopted", BY_HAND)

    def commit(self, path="/image", secret="vnc-shown", digest=None):
        hv = self.hv
        base = lab.document("Image", "base", {"pool": "lab", "url": self.images.url(f"{path}?key=a;b,c'd)&token={TOKEN}"), "sha256": digest or self.digest})
        seed = lab.document("Image", "seed", {"pool": "lab", "cloudInit": {
            "instanceId": "web-1", "userData": f"#cloud-config\npassword: {SECRETS['user']}\n",
            "vendorData": f"#cloud-config\nchpasswd: {SECRETS['vendor']}\n", "networkConfig": f"version: 2\n# {SECRETS['network']}\n"}})
        web = hv.vm("web", machine="pc", powerState="stopped", disks=[{"target": "vda", "image": "base", "pool": "lab"},
                                                                     {"target": "hda", "bus": "ide", "device": "cdrom", "image": "seed"}])
        shown = hv.vm("shown", graphics=[{"type": "vnc", "listen": "127.0.0.1", "passwordSecret": secret}], updatePolicy={"restart": "allowed"})
        adopted = lab.document("VirtualMachine", "adopted", {"title": f"as of {path}"}, adopt=True)
        self.repository.write("vms/all.yaml", "---\n".join(lab.yaml.safe_dump(each) for each in (hv.pool(), base, seed, web, shown, adopted)))
        self.repository.commit()

    def assert_untold(self, what, text, *expected):
        """expected: words that show that it isn't empty."""
        for word in expected:
            self.assertIn(word, text, what)
        for name, secret in SECRETS.items():
            at = text.find(secret)
            self.assertEqual(at, -1, f"{name} in {what}: {text[max(at - 200, 0):at + 50]}")

    def files(self, *places):
        for place in places:
            for folder, _, names in os.walk(self.hv.path(place)):
                for path in (os.path.join(folder, name) for name in names):
                    if os.path.isfile(path) and not os.path.islink(path):
                        with open(path, "rb") as file:
                            yield path, file.read().decode(errors="replace")

    def single_runs(self, service, *more):
        """What single runs with the same configuration say; more: those that ask the host alone."""
        hv = self.hv
        commands = [("--dry-run", "-v", "-o", form) for form in ("text", "json", "markdown")] + [("history", "-v"), ("status", "-o", "json"), ("status", "shown")]
        for command in commands:
            self.assert_untold(command, str(hv.reconcile(*command, "--config", service.config_path)), "shown" if command[0] == "status" else "")
        for command in more:
            self.assert_untold(command, str(hv.reconcile(*command, check=0)))

    @contextlib.contextmanager
    def journal(self):
        """systemd's: the socket's path, and what came."""
        path, entries, over = self.hv.path("run/journal"), [], threading.Event()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(0.1)

            def read():
                while not over.is_set():
                    with contextlib.suppress(TimeoutError):
                        entries.append(listener.recv(65536).decode(errors="replace"))
            thread = threading.Thread(target=read)
            thread.start()
            try:
                yield path, entries
            finally:
                over.set()
                thread.join()

    def test_nobody_is_told(self):
        hv = self.hv
        told, script = hv.path("state/told"), hv.path("tell")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ncat >> {told}\nenv >> {told}\nsleep 0.2\n")
        os.chmod(script, 0o755)
        config = {"source": {"git": {"url": self.server.url("/vms.git/.git"), "path": "vms", "caFile": self.server.ca, "user": "ci",
                                     "tokenFile": self.token}, "pollInterval": "1h"},
                  "notify": {"command": [script]}, "metrics": {"textfile": hv.path("state/metrics.prom"), "listen": "unix:" + hv.path("run/metrics")},
                  "allow": ["restart"]}
        processes = Processes(hv.path(""))
        with self.journal() as (path, entries):
            service = Service(hv, journal=path, **config)
            try:
                service.wait_state(lambda state: state["passes"] and not state["busy"] and not state["objects"] and self.is_running("shown"))
                service.settle()
                self.assertIn(f"passwd='{SECRETS['display']}'", hv.domain("shown").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
                self.assertIn(f"passwd='{SECRETS['hand']}'", hv.domain("adopted").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
                self.single_runs(service, ("history", "--events"), ("status", "--disks"), ("observe",), ("graph",), ("import", "adopted"))
                self.commit(path="/none", secret="vnc-none", digest="0" * 64)  # what fails is told in other words
                service.ask("trigger")
                state = service.wait_state(lambda state: {"image/base", "vm/shown"} <= set(state["objects"]), 60)
                service.settle()
                self.assert_untold("the service's state", str(service.state()) + str(state), "/none?…")
                self.single_runs(service)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(hv.path("run/metrics"))
                    client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    with client.makefile(encoding="utf-8") as reply:
                        self.assert_untold("the metrics", reply.read(), "reconcile_actions_total")
                wait_for(lambda: os.path.exists(told), "nobody is told")
                self.assertEqual(service.stop(), 0)
            finally:
                service.kill()
        self.assert_untold("systemd's journal", "\n".join(entries), "RECONCILE_OBJECT=vm/shown", "RECONCILE_OBJECT=image/base")
        self.assert_untold("processes", processes.end(), "reconcile-git-fetch", "guest=shown", script)
        kept = dict(self.files("state", "run/reconcile", "cache/libvirt/qemu/log"))
        self.assertIn(told, kept)
        self.assertTrue(any(path.endswith("journal.db") for path in kept), list(kept))
        for path, text in kept.items():
            self.assert_untold(path, text)
        for domain in hv.conn.listAllDomains():
            self.assert_untold(f"{domain.name()}'s XML", domain.XMLDesc() + domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), domain.name())


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    if os.geteuid() != 0:
        lab.skip_all("a journal of its own needs root")
    lab.main()
