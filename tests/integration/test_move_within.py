#!/usr/bin/python3
"""A live migration that is interrupted at its very end (all of it: tests/soak/test_move_within.py)."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from move_faults import POOL, brief  # noqa: E402
from move_within import Within  # noqa: E402


class Some(Within):
    def test_at_the_switch(self):
        """The source's libvirtd dies between QEMU's end of it and asking for it to run there: libvirt lets it stand still.
        The target's dies before it lets it run: its definition is left there."""
        self.begin("live_shared")
        for at, ran in ((("source", "source", "before finish call"), 0), (("target", "target", "before cont"), 1)):
            with self.subTest(at=at):
                told = self.interrupt_said(*at)
                self.assertTrue(told)
                self.assertEqual(self.assert_followed(told, at), ran)

    def test_lost_where_it_had_arrived(self):
        """Its libvirtd ended it there, long after it ran: that isn't "never ran", and what it wrote stays."""
        self.split("live_copy")
        self.lose_at_restart(self.other)
        before = self.listing(self.other, POOL)
        status, out = self.run_inside()
        self.assertEqual([status, self.copies()], [1, [("lab-a", libvirt.VIR_DOMAIN_PAUSED), ("lab-b", libvirt.VIR_DOMAIN_SHUTOFF)]], brief(status, out))
        self.assertEqual(self.listing(self.other, POOL), before)
        # The way out that it tells.
        self.assertIn("power off what stands still", brief(status, out))
        self.hv.domain("web").destroy()
        self.starts += 1
        self.assert_one_run()

    def look_without_source(self):
        """Runs that can't ask lab-a, where the older copy is. They note that the newer one runs, once."""
        self.hv.kill_daemon()
        before = self.other.domain("web").XMLDesc()
        self.run_inside("--dry-run")
        self.assertEqual(self.other.domain("web").XMLDesc(), before)
        status, out = self.run_inside()
        noted = self.other.domain("web").XMLDesc()
        self.assertIn("move-seen", [action["kind"] for action in json.loads(out[0])["actions"]], brief(status, out))
        status, out = self.run_inside()
        self.assertEqual([json.loads(out[0])["actions"], self.other.domain("web").XMLDesc()], [[], noted], brief(status, out))
        self.hv.restart_daemon()
        self.settle()

    def assert_refused(self, *needles, env=None):
        before = self.copies(), self.listing(self.hv, POOL), self.listing(self.other, POOL)
        status, out = self.run_inside(faults=env)
        after = self.copies(), self.listing(self.hv, POOL), self.listing(self.other, POOL)
        self.assertEqual([status, after], [1, before], brief(status, out))
        for needle in needles:
            self.assertIn(needle, brief(status, out))

    def another_controller(self):
        """Which has no journal yet."""
        return {"XDG_STATE_HOME": self.hv.path("state/another")}

    def test_it_ran_while_nobody_saw_the_other(self):
        """libvirt let both run, and the older one wasn't seen for long; then libvirtd ends the newer one as if that had never run."""
        self.begin("live_copy")
        self.assertTrue(self.interrupt_said("link", "target", "before finish reply"))
        self.settle()
        self.assertEqual(self.running(), ["lab-a", "lab-b"])
        self.look_without_source()
        self.lose_at_restart(self.other)
        self.assertEqual(self.copies(), [("lab-a", libvirt.VIR_DOMAIN_RUNNING), ("lab-b", libvirt.VIR_DOMAIN_SHUTOFF)])
        for env in (self.another_controller(), None):
            self.assert_refused("it runs on lab-a", "was seen to run on lab-b", "virsh undefine", env=env)
        # The way out that it tells.
        self.hv.domain("web").destroy()
        self.hv.domain("web").undefine()
        self.starts += 1
        self.assert_one_run()
        self.assertEqual(self.running(), ["lab-b"])

    def test_it_ran_and_was_undefined(self):
        """What stood still since it went doesn't run on by itself, from before all that."""
        self.split("live_copy")
        self.look_without_source()
        self.other.domain("web").destroy()
        self.other.domain("web").undefine()
        self.assertEqual(self.copies(), [("lab-a", libvirt.VIR_DOMAIN_PAUSED)])
        self.assert_refused("was seen to run on lab-b", "virsh destroy web")
        # The way out that it tells.
        self.hv.domain("web").destroy()
        self.assert_refused("was seen to run on lab-b", "virsh start web")
        self.hv.domain("web").create()
        self.starts += 1
        self.beats = 0  # what was written there went with a person's word
        self.assert_one_run()

    def test_memory_of_before(self):
        """The machine ran on the other host, on disks that both have, until that one was given up: what stands still here since it went
        isn't let run on."""
        self.split("live_shared")
        self.other.domain("web").destroy()
        self.on_disk(self.other)
        self.host_specs["lab-b"]["fenced"] = True
        self.write_at("lab-a")
        status, out = self.run_inside()
        self.assertEqual([status, self.running()], [0, ["lab-a"]], brief(status, out))
        guest = self.guest(self.hv)
        guest.wait_heartbeat()
        self.assertEqual(guest.starts(), self.starts + 1)
        self.assertEqual(self.on_disk(self.hv), self.content)
        self.assertEqual(self.run_inside("--dry-run")[0], 0)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
