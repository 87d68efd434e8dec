#!/usr/bin/python3
"""The service where its own things fail: the state directory, the configuration, servers that hold a token."""

import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import Service, TestCase, lab, wait_for  # noqa: E402
import git_lab  # noqa: E402

USER, PASSWORD = "us3r-Kq81", "t0ken-Zx97"


class StateDirectory(TestCase):
    """Full or read-only: what can't be written down isn't begun, and all goes on when it can be."""

    def setUp(self):
        self.state = self.hv.small_disk("state", "1M")
        self.hv.write("all.yaml", self.machine("one"))

    def machine(self, title):
        return self.hv.vm("web", powerState="stopped", title=title)

    def title_is(self, title):
        return f"<title>{title}</title>" in self.hv.domain("web").XMLDesc()

    def fill(self):
        with open(os.path.join(self.state, "filler"), "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 12)):
                    pass
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.state, "filler"))

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.state], check=True)

    def refused(self, *words):
        """A single run says why, and changes nothing; one that only looks works."""
        specs = self.hv.path("specs")
        told = self.hv.reconcile("--state-dir", self.state, specs, check=1).stderr
        self.assertIn(self.state, told)
        for word in words:
            self.assertIn(word, told)
        self.hv.reconcile("--dry-run", "--state-dir", self.state, specs, check=2)

    def test_single_runs(self):
        self.fill()
        self.refused()
        self.assertEqual(self.hv.conn.listAllDomains(), [])
        self.free()
        self.remount("ro")
        self.refused("Read-only file system")
        self.assertEqual(self.hv.conn.listAllDomains(), [])
        service = Service(self.hv, stateDir=self.state)
        self.assertEqual(service.process.wait(60), 1)
        self.assertIn("Read-only file system", service.log())
        self.remount("rw")
        self.hv.reconcile("--state-dir", self.state, self.hv.path("specs"), check=0)
        self.fill()
        self.hv.write("all.yaml", self.machine("two"))
        told = self.hv.reconcile("--state-dir", self.state, self.hv.path("specs"), check=1).stderr
        self.assertRegex(told, "disk is full|No space left on device")
        self.assertTrue(self.title_is("one"))

    def test_the_service(self):
        with self.service(stateDir=self.state) as service:
            service.wait_log("define the machine: done")
            service.settle()
            self.fill()
            self.hv.write("all.yaml", self.machine("two"))
            service.wait_log("objects are declared", count=2)
            state = service.wait_state(lambda state: state["hostError"] or state["objects"])
            self.assertTrue(self.title_is("one"), "it acted, and couldn't write it down")
            self.assertIn("disk is full", str(state))
            self.free()
            wait_for(lambda: self.title_is("two"), service.log)
            service.wait_state(lambda state: not state["hostError"] and not state["objects"])


class StateDirectoryRemoved(TestCase):
    def test_under_a_service(self):
        """What it does from then on is written down again, and nobody else takes its place."""
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service() as service:
            service.settle()
            shutil.rmtree(hv.path("state/service"))
            hv.write("all.yaml", hv.vm("web", powerState="stopped", title="two"))
            wait_for(lambda: "<title>two" in hv.domain("web").XMLDesc(), service.log)
            service.settle()
            runs = hv.reconcile("history", "--state-dir", hv.path("state/service"), "-o", "json", check=0).json()["runs"]
            self.assertEqual([run["result"] for run in runs], ["applied"])
            self.assertIn("was removed", service.log())
            second = hv.reconcile("--state-dir", hv.path("state/service"), hv.path("specs"), check=1)
            self.assertIn(f"in use by process {service.process.pid}", second.stderr)


class Reload(TestCase):
    """SIGHUP: a configuration that is broken changes nothing, and a good one everything."""

    def test_broken_then_another_source(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        repository = git_lab.Repository(hv.path("repository"))
        self.addCleanup(shutil.rmtree, hv.path("repository"))
        repository.write("vms/db.yaml", lab.yaml.safe_dump(hv.vm("db", powerState="stopped")))
        repository.commit()
        names = lambda: sorted(each.name() for each in hv.conn.listAllDomains())  # noqa: E731
        with self.service() as service:
            wait_for(lambda: names() == ["web"], service.log)
            service.settle()
            for text, words in (("source: [", "service.yaml:"), ("source: {directory: /x}\nnonsense: 1\n", "nonsense"), (None, "can't be read")):
                with self.subTest(words):
                    before = service.log().count("the former one stays in force")
                    if text is None:
                        os.unlink(service.config_path)
                    else:
                        with open(service.config_path, "w", encoding="utf-8") as file:
                            file.write(text)
                    service.process.send_signal(1)
                    service.wait_log("the former one stays in force", count=before + 1)
                    self.assertIn(words, service.log())
                    hv.domain("web").undefine()  # it is in force
                    wait_for(lambda: names() == ["web"], service.log)
            # Another source: what the first one declared is nobody's to delete.
            service.reload(source={"git": {"url": repository.url, "path": "vms"}, "pollInterval": "1h"}, prune={"enabled": True, "limit": 100})
            wait_for(lambda: names() == ["db", "web"], service.log)
            service.settle()
            self.assertEqual(names(), ["db", "web"])
            hv.write("all.yaml", hv.vm("web", powerState="stopped", title="unheard"))  # isn't watched any more
            service.trigger()
            service.settle()
            self.assertNotIn("unheard", hv.domain("web").XMLDesc())
            service.reload()
            wait_for(lambda: "unheard" in hv.domain("web").XMLDesc(), service.log)


class NoRoom(TestCase):
    def test_what_is_refused_for_it_waits(self):
        """libvirt is asked to look at the pool again, and tells of that: no reason to plan again at once."""
        hv = self.hv
        small = hv.small_disk("small", "1M")
        with open(hv.path("guest/some.raw"), "wb") as file:
            file.write(os.urandom(3 << 20))
        target = hv.make_directory("pools/small/lab")  # empty: its room is what libvirt remembers
        hv.write("all.yaml", hv.pool(target=target), hv.image(source=hv.path("guest/some.raw")),
                 hv.vm("web", powerState="stopped", disks=[{"target": "vda", "pool": "lab", "image": "base"}]))
        hv.reconcile(hv.path("specs"))
        with self.service() as service:
            service.wait_log("make room")
            time.sleep(3)
            state = service.state()
            self.assertLess(state["passes"], 10, f"{state}\n{service.log()}")
            subprocess.run(["mount", "-o", "remount,size=16M", small], check=True)
            service.ask("trigger")
            wait_for(lambda: [each.name() for each in hv.conn.listAllDomains()] == ["web"], service.log)


class Tokens(TestCase):
    """A user in an address, and a password in a file, are told to nobody, whatever goes wrong."""

    def setUp(self):
        hv = self.hv
        self.directory = hv.make_directory("data", "git")
        self.addCleanup(shutil.rmtree, self.directory)
        self.repository = git_lab.Repository(os.path.join(self.directory, "vms.git"))
        self.repository.write("vms/web.yaml", lab.yaml.safe_dump(hv.vm("web", powerState="stopped")))
        self.repository.write("bad/bad.yaml", "kind: [")
        self.repository.commit()
        self.server = git_lab.HttpServer(self.directory, tls=os.path.join(self.directory, "tls"), token=PASSWORD, user=USER)
        self.addCleanup(self.server.stop)
        with open(os.path.join(self.directory, "token"), "w", encoding="utf-8") as file:
            file.write(PASSWORD)
        with open(os.path.join(self.directory, "wrong"), "w", encoding="utf-8") as file:
            file.write(PASSWORD[::-1])

    def source(self, path="/vms.git/.git", url=None, token="token", part="vms", **git):
        url = url or self.server.url(path).replace("://", f"://{USER}@")
        return {"git": {"url": url, "path": part, "caFile": self.server.ca, "tokenFile": os.path.join(self.directory, token), **git},
                "pollInterval": "1h"}

    def search(self, *texts):
        """Where one of them is told: in what is given, and in all that was written."""
        secrets = (USER, PASSWORD, PASSWORD[::-1])
        for text in texts:
            for secret in secrets:
                self.assertNotIn(secret, text)
        for place in ("state", "run"):
            for folder, _, names in os.walk(self.hv.path(place)):
                for name in names:
                    path = os.path.join(folder, name)
                    if not os.path.isfile(path):
                        continue
                    with open(path, "rb") as file:
                        content = file.read()
                    for secret in secrets:
                        self.assertNotIn(secret.encode(), content, path)

    def test_nobody_is_told(self):
        hv = self.hv
        told, script = hv.path("state/told"), hv.path("tell")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ncat >> {told}\n")
        os.chmod(script, 0o755)
        more = {"notify": {"command": [script]}, "metrics": {"textfile": hv.path("state/metrics.prom")}}
        closed = f"https://{USER}@localhost:{git_lab.free_port()}/vms.git"
        errors = [(self.source(url=closed), "localhost"), (self.source(token="wrong"), "refuses the token"),
                  (self.source(token="none"), "token file"), (self.source("/nowhere"), "404"), (self.source(ref="nope"), "no branch or tag nope"),
                  (self.source(part="bad"), "bad.yaml"), (self.source(part="nowhere"), "no directory or file nowhere")]
        with self.service(source=self.source(), **more) as service:
            service.wait_log("vm/web: define the machine: done")
            service.settle()
            for source, words in errors:
                service.reload(source=source, **more)
                state = service.wait_state(lambda state, words=words: words in (state["sourceError"] or ""))
                single = hv.reconcile("--dry-run", "--config", service.config_path, check=1)
                self.search(str(state), service.log(), single.stdout, single.stderr, str(hv.reconcile("status", "--config", service.config_path)))
            service.reload(source=self.source(), **more)
            state = service.wait_state(lambda state: not state["sourceError"])
            hv.domain("web").undefine()
            wait_for(lambda: service.log().count("vm/web: define the machine: done") == 2, service.log)
            service.settle()
            self.search(service.log(), str(service.state()), hv.domain("web").XMLDesc(),
                        str(hv.reconcile("history", "-v", "-o", "json", "--config", service.config_path, check=0)),
                        str(hv.reconcile("status", "web", "-o", "json", "--config", service.config_path, check=0)))
            with open(told, encoding="utf-8") as file:
                self.assertIn('"web"', file.read().replace("vm/web", '"web"'))
        # Where it can't be but refused.
        for url in (f"https://{USER}:{PASSWORD}@localhost/x", f"https://localhost/x?token={PASSWORD}"):
            result = hv.reconcile("--dry-run", url, check=1)
            self.search(result.stdout, result.stderr)
            with self.service(source=self.source(url=url)) as service:
                state = service.wait_state(lambda state: state["sourceError"])
                self.assertIn("holds a password", state["sourceError"])
                self.search(service.log(), str(state))


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    lab.main()
