#!/usr/bin/python3
"""Who holds a fleet's lock and is cut off from the hosts loses it, and does nothing more when the link is back."""

import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import test_fleet  # noqa: E402
from fleet_case import FleetCase, lab  # noqa: E402
from service_case import wait_for  # noqa: E402


class CutOff(FleetCase):
    hold, go, second, locks = (getattr(test_fleet.TwoControllers, name) for name in ("hold", "go", "second", "locks"))

    def relay(self):
        """To both hosts; stopped, it is a cable that is down: nobody is told."""
        relay = subprocess.Popen([os.path.join(os.environ["RECONCILE_BUILD"], "tests/relay"), "0", self.hv.socket, self.other.socket], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(relay.communicate)
        self.addCleanup(relay.send_signal, signal.SIGCONT)
        return relay, [int(relay.stdout.readline()) for _ in range(2)]

    def declare(self, title):
        machines = [self.machine("a", host="kvm-1"), self.machine("b", host="kvm-2")]
        for machine in machines:
            machine["spec"]["title"] = title
        self.write(*machines)

    def test_the_second_goes_on_and_the_first_does_not(self):
        direct = self.hosts
        relay, ports = self.relay()
        self.hosts = {name: {"uri": f"qemu+tcp://127.0.0.1:{port}/session"} for name, port in zip(direct, ports)}
        self.declare("first")
        first = self.hold()
        self.hosts = direct
        self.declare("second")
        self.assertIn("is being changed by", self.second(status=3).stderr)
        relay.send_signal(signal.SIGSTOP)
        wait_for(lambda: not self.locks(), "libvirt ends the locks of who is silent", 180)
        self.second(status=0)
        relay.send_signal(signal.SIGCONT)
        self.go()
        out, err = first.communicate(timeout=120)
        self.assertEqual(first.returncode, 1, out + err)
        for hv, name in ((self.hv, "a"), (self.other, "b")):
            self.assertIn("<title>second</title>", hv.domain(name).XMLDesc())
        self.assertEqual(self.locks(), [])
        self.assertEqual(self.plan(status=0)["actions"], [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
