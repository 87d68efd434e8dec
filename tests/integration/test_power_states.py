#!/usr/bin/python3
"""Every power state to every other, applied once; then there is nothing to do."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from service_case import Passed, wait_for  # noqa: E402

STATES = ("stopped", "running", "paused", "hibernated")


class PowerStates(lab.TestCase):
    tiny = True

    def settle(self, *arguments, **spec):
        self.hv.write("all.yaml", self.hv.vm("x", shutdown={"timeout": "30s", "retryInterval": "1s"}, **spec))
        specs = self.hv.path("specs")
        result = self.hv.apply(*arguments, specs)
        self.assertEqual(self.hv.plan(*arguments, specs, status=0)["actions"], [])
        return result

    def found(self):
        domain = self.hv.domain("x")
        if domain.isActive():
            return "paused" if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED else "running"
        return "hibernated" if domain.hasManagedSaveImage() else "stopped"

    def reach(self, state):
        """By other means than the program's."""
        domain = self.hv.domain("x")
        if domain.isActive():
            domain.destroy()
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()
        if state in ("paused", "hibernated"):
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        if state == "hibernated":
            domain.managedSave()
        if state == "running":
            domain.create()
            self.hv.guest("x").wait_heartbeat()

    def test_each_to_each(self):
        self.settle(powerState="stopped")
        for before in STATES:
            for after in STATES:
                with self.subTest(f"{before} to {after}"):
                    self.reach(before)
                    self.settle(powerState=after)
                    kept = (before, after) in {("hibernated", "stopped"), ("stopped", "hibernated")}
                    self.assertEqual(self.found(), before if kept else after)
        self.reach("hibernated")
        self.settle("--allow", "data-loss", powerState="stopped")
        self.assertEqual(self.found(), "stopped")

    def test_without_a_power_state_it_is_left_alone(self):
        self.settle(powerState="stopped")
        for state in STATES:
            with self.subTest(state):
                self.reach(state)
                self.settle(powerState=None, title=f"now {state}")
                self.assertEqual(self.found(), state)

    def test_start_paused(self):
        self.settle(powerState="running", startPaused=True)
        self.assertEqual(self.found(), "paused")
        self.hv.domain("x").resume()
        self.settle(powerState="running", startPaused=True)
        self.assertEqual(self.found(), "running")
        self.hv.domain("x").destroy()
        self.settle(powerState="running", startPaused=True)
        self.assertEqual(self.found(), "paused")
        self.settle(powerState="running")
        self.assertEqual(self.found(), "running")

    def starts(self):
        plan = self.hv.plan(self.hv.path("specs"))
        return [action["kind"] for action in plan["actions"]] == ["domain-start"]

    def shut_down(self):
        self.hv.guest("x").wait_heartbeat()
        with self.recorder() as recorder:
            self.hv.domain("x").shutdown()
            recorder.wait_for(lambda events: any(each.event == "stopped" for each in events))

    def test_who_stopped_is_started_again_as_its_policy_says(self):
        for policy, after_shutdown, after_force in (("always", True, True), ("onFailure", False, True), ("never", False, False)):
            with self.subTest(policy):
                self.settle(powerState="stopped", restartPolicy=policy)
                self.settle(powerState="running", restartPolicy=policy)  # what the file newly asks for is done
                self.shut_down()
                self.assertEqual(self.starts(), after_shutdown)
                self.hv.domain("x").create()
                self.hv.domain("x").destroy()
                self.assertEqual(self.starts(), after_force)
                note = self.hv.plan(self.hv.path("specs"))["objects"][0].get("notes")
                self.assertEqual(bool(note), not after_force)

    def test_interrupted_restart_goes_on_whatever_the_policy(self):
        """Killed between stopping and starting: it isn't taken for one that its user stopped."""
        for number, power in enumerate(("running", None)):
            with self.subTest(power):
                stated = {"powerState": power, "restartPolicy": "never", "updatePolicy": {"restart": "allowed"}}
                self.settle(powerState="running", restartPolicy="never", title=f"round {number}")
                self.hv.guest("x").wait_heartbeat()
                self.hv.write("all.yaml", self.hv.vm("x", shutdown={"timeout": "30s", "retryInterval": "1s"},
                                                     **stated, cpu={"count": 1, "max": 3 + number}))
                self.hv.reconcile(self.hv.path("specs"), env={**self.hv.env, "RECONCILE_FAULT_AT": "shutdown: off"})
                self.assertFalse(self.hv.domain("x").isActive())
                self.hv.apply(self.hv.path("specs"))
                self.assertTrue(self.hv.domain("x").isActive())
                self.hv.plan(self.hv.path("specs"), status=0)

    def restarting(self, cpus=3, **shutdown):
        """A machine that is to be restarted, and without powerState wouldn't be started."""
        self.settle(powerState="running", restartPolicy="never", title=f"{cpus}")
        self.hv.guest("x").wait_heartbeat()
        self.hv.write("all.yaml", self.hv.vm("x", shutdown={"timeout": "60s", "retryInterval": "60s", **shutdown}, title=f"{cpus}", restartPolicy="never",
                                             powerState=None, updatePolicy={"restart": "allowed"}, cpu={"count": 1, "max": cpus}))

    def begin(self, place, command):
        """A run, and whether it has passed a place."""
        passed = Passed(self)
        faults = {"RECONCILE_FAULT_LOG": passed.log, "RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command}
        return self.hv.start_reconcile(self.hv.path("specs"), env={**self.hv.env, **faults}), passed

    def goes_off(self):
        """After the run that asked for it has ended: QEMU that stands still takes no notice of the power button."""
        domain = self.hv.domain("x")
        self.assertEqual(self.found(), "paused")
        with self.recorder() as recorder:
            domain.resume()
            domain.shutdown()
            recorder.wait_for(lambda events: any(each.event == "stopped" for each in events))

    def assert_runs_again(self):
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.found(), "running")
        self.hv.plan(self.hv.path("specs"), status=0)

    def test_a_restart_that_is_told_to_end(self):
        """By SIGTERM: what was asked to shut down goes off later."""
        suspend = f"virsh -c '{self.hv.uri}' suspend x"
        self.restarting()
        process, passed = self.begin("shutdown: to be asked for", suspend)
        wait_for(lambda: passed("shutdown: asked for"), "it is asked")
        process.terminate()
        process.communicate()
        self.assertNotEqual(process.returncode, 0)
        self.goes_off()
        self.assert_runs_again()
        # The same when its time is over.
        self.restarting(4, timeout="1s", force=False)
        process, _ = self.begin("shutdown: to be asked for", suspend)
        self.assertIn("it was left running", "".join(process.communicate()))
        self.goes_off()
        self.assert_runs_again()
        # Not where the file says meanwhile that it shall stay off.
        self.restarting(5, timeout="1s", force=False)
        process, _ = self.begin("shutdown: to be asked for", suspend)
        process.communicate()
        self.goes_off()
        self.settle(powerState="stopped")
        self.settle(powerState=None)
        self.assertEqual(self.found(), "stopped")

    def test_a_restart_that_is_told_to_end_when_it_is_off(self):
        """What the run took it gives back."""
        self.restarting()
        process, passed = self.begin("domain-shutdown: acted", "kill -TERM $PPID; sleep 0.5")
        said = "".join(process.communicate())
        self.assertTrue(passed("domain: started"), said)
        self.assertEqual(self.found(), "running")
        self.hv.plan(self.hv.path("specs"), status=0)

    def test_autostart(self):
        for value in (True, False, True):
            self.settle(powerState="stopped", autostart=value)
            self.assertEqual(bool(self.hv.domain("x").autostart()), value)
        self.settle(powerState="stopped")
        self.assertFalse(self.hv.domain("x").autostart())

    def test_changes_of_a_hibernated_machine_wait_for_it(self):
        self.settle(powerState="running")
        self.hv.guest("x").wait_heartbeat()
        self.settle(powerState="hibernated")
        self.settle(powerState="hibernated", cpu={"count": 2})
        self.settle(powerState="running", cpu={"count": 2})
        self.assertEqual(self.hv.guest("x").starts(), 1)
        self.assertEqual(self.hv.plan(self.hv.path("specs"))["summary"]["pending"], 1)

    def test_what_comes_back_is_restarted_in_the_same_run(self):
        """Where it may be: a second run has nothing to do, and the first one's plan says so."""
        for count, state in ((2, "hibernated"), (3, "paused")):
            with self.subTest(state):
                more = {"updatePolicy": {"restart": "allowed"}}
                self.settle(powerState="running", **more)
                self.hv.guest("x").wait_heartbeat()
                self.settle(powerState=state, **more)
                self.hv.write("all.yaml", self.hv.vm("x", powerState="running", cpu={"count": count}, **more))
                plan = self.hv.plan(self.hv.path("specs"), status=2)
                self.assertIn("it is restarted when it runs again, in the same run", str(plan["objects"]))
                self.settle(powerState="running", cpu={"count": count}, **more)
                self.assertEqual(self.hv.plan(self.hv.path("specs"))["summary"]["pending"], 0)
                self.assertEqual(self.hv.domain("x").maxVcpus(), count)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
