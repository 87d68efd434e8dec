#!/usr/bin/python3
"""A day in the life of the service, in minutes: commits good and bad, people at work on the host, libvirtd
restarted and killed, the git server (http) out of reach, a full state directory, the service itself killed.

DAY_SECONDS (480) are its 24 hours; SOAK_SEED chooses what happens; it ends early as SOAK_MINUTES say. After each event: the service lives, no
machine is gone that was declared, and the host comes to be as the last good commit says."""

import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
from service_case import Service, TestCase, lab, libvirt, wait_for  # noqa: E402
import git_lab  # noqa: E402

DAY = float(os.environ.get("DAY_SECONDS", "480"))
NAMES = ["db", "web", "mail", "build", "cache"]
PATTERN = b"written by somebody\n" * 4096


class Day(TestCase):
    def setUp(self):
        self.budget = lab.Budget()
        self.random = self.budget.random
        self.repository = git_lab.Repository(self.hv.path("repository"))
        self.addCleanup(shutil.rmtree, self.hv.path("repository"), True)
        self.hour = 0
        self.declared = {}
        self.server = self.serve()
        self.addCleanup(lambda: self.server.stop())

    def serve(self, port=0):
        return git_lab.HttpServer(os.path.dirname(self.repository.path), port=port)

    def machine(self, name):
        run = self.random.random() < 0.4
        spec = {"powerState": "running" if run else "stopped", "title": f"hour {self.hour}",
                "shutdown": {"timeout": "3s", "retryInterval": "1s"}, "updatePolicy": {"restart": "allowed"},
                "memory": {"size": self.random.choice(["96MiB", "128MiB"]), "max": "128MiB"},
                "disks": [{"target": "vda", "pool": "lab", "size": "16MiB", "format": "raw"}]}
        return self.hv.vm(name, **spec)

    # What happens.

    def commit(self):
        """One or two machines are changed."""
        for name in self.random.sample(NAMES, 2):
            self.declared[name] = self.machine(name)
        self.write()

    def write(self):
        for name, machine in self.declared.items():
            self.repository.write(f"vms/{name}.yaml", lab.yaml.safe_dump(machine))
        self.repository.write("vms/pool.yaml", lab.yaml.safe_dump(self.hv.pool()))
        self.repository.commit(f"hour {self.hour}")

    def bad_commit(self):
        """Cut off, and mended in the next hour."""
        path = self.hv.path("repository/vms", self.random.choice(NAMES) + ".yaml")
        with open(path, "r+", encoding="utf-8") as file:
            file.truncate(60)
        self.repository.commit("a mistake")
        self.service.trigger()
        self.service.wait_state(lambda state: state["sourceError"])
        self.check_machines()
        self.write()

    def emptied(self):
        self.repository.remove("vms")
        self.repository.commit("everything is gone")
        self.service.trigger()
        self.service.wait_state(lambda state: state["sourceError"])
        self.check_machines()
        self.write()

    def drift(self):
        """A person stops, starts, renames, forgets."""
        domain = self.hv.domain(self.random.choice(NAMES))
        try:
            what = self.random.choice(["power", "title", "undefine"])
            if what == "power":
                domain.destroy() if domain.isActive() else domain.create()
            elif what == "title":
                domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "by hand", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            elif not domain.isActive():
                domain.undefine()
        except libvirt.libvirtError:
            pass  # the service was at it in the same moment

    def daemon_restarts(self):
        self.hv.restart_daemon()

    def daemon_dies(self):
        self.hv.kill_daemon()
        time.sleep(self.random.uniform(0, 2))
        self.hv.restart_daemon()

    def server_is_lost(self):
        self.server.stop()
        try:
            self.service.trigger()
            self.service.wait_state(lambda state: state["sourceError"])
            self.drift()
            self.check_machines()
        finally:
            self.server = self.serve(self.server.port)

    def disk_is_full(self):
        if not self.hv.root:
            return
        filler = os.path.join(self.state, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass
        self.drift()
        self.commit()
        self.service.trigger()
        time.sleep(2)
        self.assertIsNone(self.service.process.poll(), self.service.log())
        os.unlink(filler)

    def service_dies(self):
        self.commit()
        self.service.trigger()
        time.sleep(self.random.uniform(0, 1))
        self.service.kill()
        self.start()

    def reload(self):
        self.service.process.send_signal(signal.SIGHUP)

    # What is always so.

    def check_machines(self):
        found = {each.name() for each in self.hv.conn.listAllDomains()}
        self.assertGreaterEqual(found | set(self.undefined_by_hand()), set(self.declared), self.service.log()[-4000:])

    def undefined_by_hand(self):
        """They come back; meanwhile their disks tell that they were."""
        return [name for name in self.declared if os.path.exists(self.hv.path(f"pools/lab/{name}-vda.raw"))]

    def check_disks(self):
        with open(self.hv.path("pools/lab/db-vda.raw"), "rb") as file:
            self.assertEqual(file.read(len(PATTERN)), PATTERN)

    def in_sync(self):
        result = self.hv.reconcile("--dry-run", "-o", "json", "--config", self.service.config_path)
        return result.status == 0 and not result.json()["actions"]

    def converge(self, what):
        self.service.wait_state(lambda state: True)
        self.service.trigger()
        try:
            wait_for(self.in_sync, what, 120)
        except AssertionError:
            plan = self.hv.reconcile("--dry-run", "--config", self.service.config_path)
            raise AssertionError(f"hour {self.hour}, after {what}: {plan}\n{self.service.state()}\n{self.service.log()[-8000:]}") from None
        found = {each.name() for each in self.hv.conn.listAllDomains()}
        self.assertEqual(found, set(self.declared))
        self.check_disks()
        self.assertNotIn("Sanitizer", self.service.log())

    def start(self):
        self.service = Service(self.hv, source={"git": {"url": self.server.url("/repository/.git"), "path": "vms"}, "pollInterval": "2s"},
                               interval="1s", resync="20s", prune={"enabled": True, "limit": 50}, allow=["restart"], stateDir=self.state)

    def test_day(self):
        self.state = self.hv.small_disk("state", "6M") if self.hv.root else self.hv.make_directory("state", "service")
        for name in NAMES:
            self.declared[name] = self.machine(name)
        self.write()
        self.start()
        self.addCleanup(lambda: self.service.kill())
        wait_for(lambda: os.path.exists(self.hv.path("pools/lab/db-vda.raw")), self.service.log)
        wait_for(self.in_sync, self.service.log, 120)
        with open(self.hv.path("pools/lab/db-vda.raw"), "r+b") as file:
            file.write(PATTERN)
        events = [self.commit, self.commit, self.drift, self.drift, self.drift, self.bad_commit, self.emptied, self.daemon_restarts,
                  self.daemon_dies, self.server_is_lost, self.disk_is_full, self.service_dies, self.reload]
        begun, happened = time.monotonic(), 0
        for self.hour in self.budget.rounds(24):
            for event in self.random.sample(events, self.random.choice([1, 2, 2, 3])):
                print(f"{self.hour:02}:00 {event.__name__}", file=sys.stderr, flush=True)
                event()
                self.converge(event.__name__)
                happened += 1
            time.sleep(self.budget.left(max(0, begun + (self.hour + 1) * DAY / 24 - time.monotonic())))
        self.assertEqual(self.service.stop(), 0, self.service.log()[-4000:])
        lab.figure(f"seed {lab.SEED}: {happened} events in {self.hour + 1} hours")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
