#!/usr/bin/python3
"""Actions on power, with guests that listen and guests that don't."""

import os
import signal
import threading
import time

import action_case
import libvirt

RUNNING, PAUSED, OFF = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_SHUTOFF


class PowerTest(action_case.ActionCase):
    tiny = True

    def state(self, domain):
        return domain.state()[0]

    def test_start(self):
        domain, _ = self.make_vm("web")
        self.act("domain-start", "web")
        self.assertEqual(self.state(domain), RUNNING)
        number = self.hv.domain("web").ID()
        self.act("domain-start", "web")
        self.assertEqual(self.hv.domain("web").ID(), number)
        self.act("domain-start", "web", paused="true", code="stale", saying="running already")

    def test_start_paused(self):
        domain, _ = self.make_vm("web")
        self.act("domain-start", "web", paused="true")
        self.assertEqual(self.state(domain), PAUSED)
        self.act("domain-start", "web", paused="true")
        self.act("domain-start", "web", code="stale", saying="paused")
        self.assertNotIn("ready", self.hv.guest("web").text())

    def test_start_without_base(self):
        self.make_pool()
        base = self.make_volume("base")
        path = self.make_volume("disk", backingPath=base, backingFormat="qcow2")
        domain, _ = self.make_vm("web", disks=[{"target": "vda", "path": path, "format": "qcow2"}])
        os.unlink(base)
        self.act("domain-start", "web", code="libvirt", saying=base)
        self.assertEqual(self.state(domain), OFF)

    def test_pause_and_resume(self):
        domain, _ = self.make_vm("web", start=True)
        recorder = self.recorder()
        for _ in range(2):
            self.act("domain-pause", "web")
            self.assertEqual(self.state(domain), PAUSED)
        for _ in range(2):
            self.act("domain-resume", "web")
            self.assertEqual(self.state(domain), RUNNING)
        self.hv.guest("web").wait_heartbeat()
        recorder.settle()
        self.assertEqual(recorder.names_of("web"), ["suspended", "resumed"])
        domain.destroy()
        for action in ("domain-pause", "domain-resume", "domain-hibernate"):
            self.act(action, "web", code="stale", saying="isn't running")

    # Shutting down.

    def test_shutdown(self):
        domain, _ = self.make_vm("web", start=True)
        recorder = self.recorder()
        outcome = self.act("domain-shutdown", "web", timeout=30000, retryInterval=1000)
        self.assertEqual(self.state(domain), OFF)
        self.assertIn("powering off", self.hv.guest("web").text())
        self.assertIn("waiting for the guest to shut down", outcome.progress[0][2])
        recorder.wait_for(lambda seen: any(e.event == "stopped" for e in seen))
        self.assertEqual(recorder.of("web")[-1].detail, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
        self.assertEqual(self.act("domain-shutdown", "web").progress, [])

    def test_guest_that_does_not_listen(self):
        domain, _ = self.make_vm("deaf", start=True, cmdline="ignorepower")
        outcome = self.act("domain-shutdown", "deaf", timeout=3000, retryInterval=1000, force="false",
                           code="failed", saying="did not shut down within 3 s")
        self.assertEqual(self.state(domain), RUNNING)
        self.assertGreaterEqual(self.hv.guest("deaf").text().count("power button: ignored"), 2, str(outcome))
        outcome = self.act("domain-shutdown", "deaf", timeout=1500, retryInterval=1000)
        self.assertEqual(self.state(domain), OFF)
        self.assertIn("powering off", outcome.progress[-1][2])

    def test_agent_channel_without_agent(self):
        domain, _ = self.make_vm("web", start=True, guestAgent=True)
        self.act("domain-shutdown", "web", timeout=30000)
        self.assertEqual(self.state(domain), OFF)

    def test_paused_guest_cannot_react(self):
        domain, _ = self.make_vm("web", start=True)
        domain.suspend()
        self.act("domain-shutdown", "web", force="false", code="failed", saying="paused")
        self.assertEqual(self.state(domain), PAUSED)
        outcome = self.act("domain-shutdown", "web", timeout=60000)
        self.assertEqual(self.state(domain), OFF)
        self.assertIn("paused", outcome.progress[0][2])

    def test_comes_up_again(self):
        domain, _ = self.make_vm("web", start=True)
        self.recorder()  # events run
        done = threading.Event()

        def start_again(conn, dom, event, detail, opaque):
            if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and not done.is_set():
                done.set()
        number = self.hv.conn.domainEventRegisterAny(domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, start_again, None)
        self.addCleanup(self.hv.conn.domainEventDeregisterAny, number)
        process = self.start_act("domain-shutdown", "web", timeout=60000)
        # Stopped for a moment, so that it can't see the machine off.
        self.hv.guest("web").wait_text("powering off")
        process.send_signal(signal.SIGSTOP)
        done.wait(20)
        domain.create()
        process.send_signal(signal.SIGCONT)
        outcome = action_case.Outcome(self.finish(process))
        self.check(outcome, "failed", "started it again")
        self.assertEqual(self.state(domain), RUNNING)

    def test_cancelled(self):
        domain, _ = self.make_vm("deaf", start=True, cmdline="ignorepower")
        process = self.start_act("domain-shutdown", "deaf", timeout=60000)
        self.hv.guest("deaf").wait_text("power button: ignored")
        process.send_signal(signal.SIGINT)
        self.check(action_case.Outcome(self.finish(process)), "cancelled")
        self.assertEqual(self.state(domain), RUNNING)

    # Hibernating.

    def test_hibernate_and_restore(self):
        domain, _ = self.make_vm("web", start=True)
        guest = self.hv.guest("web")
        for _ in range(2):
            self.act("domain-hibernate", "web")
            self.assertTrue(domain.hasManagedSaveImage())
            self.assertFalse(domain.isActive())
        count = guest.heartbeats()[-1][0]
        self.act("domain-start", "web")
        guest.wait_heartbeat()
        self.assertGreater(guest.heartbeats()[-1][0], count)
        self.assertFalse(domain.hasManagedSaveImage())

    def test_restored_of_a_paused_one(self):
        domain, _ = self.make_vm("web", start=True)
        domain.suspend()
        self.act("domain-hibernate", "web")
        self.act("domain-start", "web")
        self.assertEqual(self.state(domain), RUNNING)
        self.act("domain-hibernate", "web")
        self.act("domain-start", "web", paused="true")
        self.assertEqual(self.state(domain), PAUSED)

    def test_discard(self):
        domain, _ = self.make_vm("web", start=True)
        self.act("domain-hibernate", "web")
        for _ in range(2):
            self.act("domain-discard-save", "web")
            self.assertFalse(domain.hasManagedSaveImage())

    def test_hibernate_cancelled(self):
        domain, _ = self.make_vm("web", start=True, memory={"size": "512MiB"})
        process = self.start_act("domain-hibernate", "web")
        time.sleep(0.25)
        process.send_signal(signal.SIGINT)
        outcome = action_case.Outcome(self.finish(process))
        if outcome.code is None:
            self.skipTest("saved before it could be cancelled")
        self.check(outcome, "cancelled")
        self.assertEqual(self.state(domain), RUNNING)
        self.assertFalse(domain.hasManagedSaveImage())
        self.hv.guest("web").wait_heartbeat()


if __name__ == "__main__":
    action_case.main()
