#!/usr/bin/python3
"""A live migration that is interrupted at its very end (all of it: tests/soak/test_move_within.py)."""

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
