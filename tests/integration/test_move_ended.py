#!/usr/bin/python3
"""Moves that are told to end, by SIGTERM: the machine runs, once, and the next run moves it. What status tells of moves meanwhile, and
moves by the service."""

import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_case import MoveCase  # noqa: E402
from move_faults import Faults, POOL, brief  # noqa: E402
from service_case import Held, Passed, Service, wait_for  # noqa: E402
from terminal import Terminal  # noqa: E402


def shown(case, *arguments, inside=()):
    """What `reconcile status --source` tells of the machine: for each host that has it."""
    command = [*inside, lab.binary(), "status", "--source", case.hv.path("specs"), "-o", "json", *arguments]
    told = json.loads(subprocess.run(command, env=case.env, stdout=subprocess.PIPE, check=True).stdout)
    return {host["host"]: domain for host in told["hosts"] for domain in host["domains"] if domain["name"] == "web"}


class Ended(Faults):
    written = {**Faults.written, "vdb": "write -P 90 3M 8M"}  # 8 s at 1 MiB/s

    def begun(self, place, command="true"):
        """A move; and whether it has passed a place."""
        self.write_at(self.away())
        passed = Passed(self)
        return self.go({"RECONCILE_FAULT_LOG": passed.log, "RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command}), passed

    def go(self, faults):
        process = self.start(faults)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def ended(self, process):
        """By SIGTERM; what it said."""
        out = process.communicate(timeout=60)
        self.assertNotIn(process.returncode, (0, 2, -15), out)
        return brief(process.returncode, out)

    def assert_moves(self, told):
        """By the next run."""
        self.settle()
        self.assertLessEqual(len(self.running()), 1, told)
        self.assert_one_run(told)

    def test_it_goes_off_later(self):
        """The guest was asked to shut down, and nobody waits for that any more: it runs again, where it belongs."""
        self.begin("cold_unsaid")
        source = self.hv
        process, passed = self.begun("shutdown: to be asked for", f"virsh -c '{source.uri}' suspend web")
        wait_for(lambda: passed("shutdown: asked for"), "it is asked")
        process.terminate()
        told = self.ended(process)
        domain = source.domain("web")
        self.assertEqual(domain.isActive(), 1, told)
        domain.resume()
        domain.shutdown()  # QEMU that stands still takes no notice of the power button
        wait_for(lambda: not domain.isActive(), told)
        self.assert_moves(told)

    def test_between_two_actions(self):
        """What was shut down is started again, at once."""
        self.begin("cold_unsaid")
        process, passed = self.begun("domain-shutdown: acted", "kill -TERM $PPID; sleep 0.5")  # the program's own process
        told = self.ended(process)
        self.assertTrue(passed("move: started here again"), told)
        self.assertEqual([self.running(), self.listing(self.other, POOL)], [["lab-a"], []], told)
        self.assertIn("not begun; the machine was started again where it was", told)
        self.assert_moves(told)

    def on_terminal(self):
        command = [*self.hv.inside(), lab.binary(), self.hv.path("specs")]
        terminal = Terminal(self, lambda **out: subprocess.Popen(command, env={**self.env, "TERM": "xterm"}, stdin=subprocess.DEVNULL, **out))
        self.addCleanup(lambda: terminal.process.poll() is None and terminal.process.kill())
        return terminal

    def slowly(self):
        self.more = {"migration": {"bandwidth": "1MiB/s"}}
        self.write_at("lab-b")

    def test_while_it_is_sent(self):
        """Live: it runs on where it is, and nothing is left on the other host."""
        self.begin("live_copy")
        domain = self.hv.domain("web")
        self.slowly()
        terminal = self.on_terminal()
        wait_for(lambda: "disks, " in terminal.read() or terminal.has_ended(), "progress")
        self.assertRegex(terminal.read(), r"\b\d+%, \S+ \S+ of \S+ \S+, disks, ")
        told = self.told()
        self.assertRegex(told["lab-a"]["stateText"], "^running, migration out [0-9]+%, moving to lab-b$")
        self.assertEqual([told["lab-a"][key] for key in ("movingTo", "arriving", "movedFrom")], ["lab-b", True, None])
        self.assertRegex(told["lab-b"]["stateText"], r"^paused \(migration.*\).*, arriving from lab-a$")
        self.assertEqual(told["lab-b"]["movedFrom"], "lab-a")
        terminal.process.terminate()
        wait_for(terminal.has_ended, "its end")
        said = terminal.read()
        self.assertEqual(terminal.process.returncode, 1, said)
        self.settle()
        self.assertEqual([self.copies(), self.listing(self.other, POOL), domain.autostart(), self.guest(self.hv).starts()],
                         [[("lab-a", libvirt.VIR_DOMAIN_RUNNING)], [], 1, self.starts], said)
        self.assertEqual(self.told()["lab-a"]["stateText"], "running, moving to lab-b", said)
        self.more = {}
        self.write_at("lab-b")
        self.assert_moves(said)
        self.assertEqual({host: each["stateText"] for host, each in self.told().items()}, {"lab-b": "running"})

    def test_what_a_terminal_shows(self):
        """Of memory; too little of it to be told to end in the middle."""
        self.begin("live_shared")
        self.slowly()
        terminal = self.on_terminal()
        wait_for(terminal.has_ended, "its end")
        self.assertEqual(terminal.process.returncode, 0, terminal.read())
        self.assertRegex(terminal.read(), r"\b\d+%, \S+ \S+ of \S+ \S+, memory, \S+ \S+/s, \S+ \S+ remaining, iteration \d+")

    def told(self):
        """By status on lab-a, which alone reaches both."""
        return shown(self, inside=self.hv.inside())


class Served(MoveCase):
    """By the service."""

    tiny = True

    def configuration(self):
        hosts = [uri for spec in self.host_specs.values() for uri in spec.values()]
        return {"connection": "qemu:///session?socket=/nonexistent", "policy": {"hosts": hosts}}

    def service(self, faults=None, **config):
        service = Service(self.hv, env={**self.env, **(faults or {})}, **self.configuration(), **config)
        self.addCleanup(lambda: service.process.poll() is None and service.kill())
        return service

    def machine(self, host, **spec):
        return super().machine(host, shutdown={"timeout": "30s", "retryInterval": "1s"}, **spec)

    def begun(self, service, what):
        """How often."""
        return len(re.findall(rf"(?m)lab-./vm/web: {what}.* \.\.\.$", service.log()))

    def wait_there(self, service, host):
        wait_for(lambda: self.where() == [host] and service.state() and not service.state()["busy"], service.log)
        service.settle()
        self.assertEqual(self.where(), [host], service.log())

    def test_there_and_back(self):
        cold = {"migration": {"mode": "cold"}}
        self.write(self.machine("lab-a"))
        service = self.service()
        wait_for(lambda: self.where() == ["lab-a"], service.log)
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        service.settle()
        # While it runs, and stopped: once each, though what that does is told as events.
        self.write(self.machine("lab-b"))
        self.wait_there(service, "lab-b")
        self.assertEqual([guest.starts(), self.begun(service, "migrate to lab-b")], [1, 1], service.log())
        self.write(self.machine("lab-a", **cold))
        self.wait_there(service, "lab-a")
        guest.wait(lambda g: g.starts() == 2, "second start")
        self.assertEqual([self.begun(service, what) for what in ("shut down", "migrate to", "start it on lab-a")], [1, 1, 1], service.log())
        self.assertEqual(service.stop(), 0)
        # Stopped in the middle, it starts the machine again where it was, and the next one ends what was begun.
        self.write(self.machine("lab-b", **cold))
        held = Held(self, "move: volume made")
        service = self.service(held.faults)
        held.wait()
        told = shown(self, "--config", service.config_path)["lab-a"]
        self.assertEqual([told["stateText"], told["movingTo"], told["arriving"]], ["stopped, moving to lab-b", "lab-b", False])
        self.assertRegex(told["step"]["description"], "^copy disk vda .* to lab-b$")
        text = self.hv.reconcile("status", "--source", self.hv.path("specs"), "--config", service.config_path, "web", env=self.env).stdout
        self.assertRegex(text, r"moving to +lab-b\n +just now +[-0-9]+ [:0-9]+Z, copy disk vda .* to lab-b")
        service.process.terminate()
        held.release()
        self.assertEqual(service.stop(), 0)
        self.assertEqual([self.where(), self.hv.domain("web").isActive()], [["lab-a"], 1], service.log())
        guest.wait(lambda g: g.starts() == 3, "third start")
        service = self.service()
        self.wait_there(service, "lab-b")
        guest.wait(lambda g: g.starts() == 4, "fourth start")
        self.assertEqual([service.stop(), self.files(self.hv)], [0, []])
        self.assertEqual(self.plan(status=0)["actions"], [])

    def test_it_waits_for_its_window(self):
        """As a whole: nothing of it is done in each pass until then."""
        self.write(self.machine("lab-a"))
        hour = time.gmtime(time.time() + 7200).tm_hour
        window = {"name": "later", "from": f"{hour:02}:00", "to": f"{hour:02}:59", "timezone": "UTC", "impacts": ["restart", "live"]}
        service = self.service(windows=[window])
        self.wait_there(service, "lab-a")
        self.guest(self.hv).wait_heartbeat()
        before = self.hv.domain("web").XMLDesc()
        self.write(self.machine("lab-b"))
        waits = service.wait_state(lambda state: "lab-a/vm/web" in state["objects"])["objects"]["lab-a/vm/web"]
        self.assertIn("waits for window later until", waits["text"])
        service.trigger()
        service.settle()
        self.assertEqual([waits["state"], self.begun(service, "check that"), self.hv.domain("web").XMLDesc()], ["window", 0, before], service.log())
        service.reload(**self.configuration())
        self.wait_there(service, "lab-b")
        self.assertEqual(service.stop(), 0)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
