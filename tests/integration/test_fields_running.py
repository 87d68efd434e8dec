#!/usr/bin/python3
"""Each field of the table changed alone on a machine that runs: what has a live
effect reaches it at once, what waits for the next start leaves it as it is and
is shown as pending by name, and nothing of all this stops it.

FIELD=REGEX tries only some of the fields."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt

import lab
from field_rounds import PLAIN, FieldRounds, changed_devices, difference
from fields import FIELDS, Field


# What a guest answers to. The other live fields are QEMU's and libvirt's alone.
NEEDS_GUEST = re.compile(r"cpu\.count|memory\.size|disks\[vd[zg]\]|interfaces\[eth1\]|interfaces\[eth0\]\.(name|mac|model)")


def wanted(root):
    return [field for field in FIELDS if isinstance(field, Field) and field.effect and field.running is True
            and field.root == root]


def persistent(change):
    return change.get("persistent", False)


class Running(FieldRounds):
    power = "running"

    def setUp(self):
        self.events = self.recorder()

    def forget(self):
        """The machines are taken away between rounds only: until then none stopped."""
        self.events.settle()
        stopped = self.events.stopped_events()
        super().forget()
        self.events.settle()
        self.events.clear()
        self.assertEqual(stopped, [])

    def is_idle(self, field):
        plugged = any(path.startswith("disks[") and "." not in path for path in field.context)  # a guest lets it go
        heard = field.effect == "live" and (field.variant == "small" or NEEDS_GUEST.match(field.path))
        return not heard and not plugged and not field.path.startswith("boot.")

    def begin(self, batch):
        """Machines that were started without what the fields need are given it, and a."""
        if len(self.hv.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)) < len(batch):
            self.write(batch, lambda field: PLAIN)
            self.apply()
            plan = self.plan(0)  # what libvirt rounded at the start is no difference
            self.assertEqual([self.object_of(plan, name)["fields"] for name, _ in batch], [[]] * len(batch))
        self.write(batch, lambda field: field.a)
        self.apply()
        for name, field in batch:
            if not self.is_idle(field):
                self.wait_up(name)

    def change(self, batch):
        """One round: a, b and a again."""
        self.begin(batch)
        before, live = self.dump(batch), self.dump(batch, 0)
        self.write(batch, lambda field: field.b)
        plan = self.plan(2)
        self.assert_plan(batch, plan, persistent)
        self.assertLessEqual({action["impact"] for action in plan["actions"]}, {"none", "live", "next-start"})
        for name, field in batch:
            effects = {change["effect"] for change in self.object_of(plan, name)["fields"] if persistent(change)}
            self.assertLessEqual(effects, {field.effect}, field)
        self.apply()
        plan = self.plan(0)
        self.assert_in_sync(plan)
        self.assert_pending(batch, plan)
        self.assert_effects(batch, before, live)
        self.go_back([(name, field) for name, field in batch if not (field.one_way or field.guest)], before, live)

    def assert_pending(self, batch, plan):
        """What waits for the next start is said by plan and status, what doesn't isn't."""
        status = self.hv.reconcile("status", "-o", "json", check=0).json()
        for name, field in batch:
            told = {change["path"] for change in self.object_of(plan, name)["fields"] if change.get("pending")}
            found = next(each for each in status["domains"] if each["name"] == name)
            listed = {change["path"] for change in found["pending"]}
            for where, names in (("plan", told), ("status", listed)):
                # The whole item where the machine that runs has none.
                paths = {path for path in field.paths if any(path == each or path.startswith(each + ".") for each in names)}
                self.assertLessEqual(paths, field.pending if field.effect == "next-start" else set(),
                                     f"{field} is pending by the {where}")
                self.assertEqual(bool(paths), field.effect == "next-start" and bool(field.pending),
                                 f"{field} isn't pending by the {where}")

    def assert_effects(self, batch, before, live):
        after, live_after = self.dump(batch), self.dump(batch, 0)
        for name, field in batch:
            changed = difference(live[name], live_after[name])
            self.assert_only(field, before[name], after[name])
            # Of a device that was plugged anew, and of no other.
            anew = {"alias", "address", "target", "source"} if changed_devices(before[name], after[name]) else ()
            self.assert_only(field, live[name], live_after[name], anew)
            if field.effect != "live":
                self.assertEqual(live[name], live_after[name], f"{field} changed what runs:\n{changed}")
            elif field.xml:
                self.assertNotEqual(live[name], live_after[name], f"{field} did not reach what runs")

    def go_back(self, batch, before, live):
        if not batch:
            return
        self.write(batch, lambda field: field.a)
        self.apply()
        plan = self.plan(0)
        self.assert_in_sync(plan)
        after, live_after = self.dump(batch), self.dump(batch, 0)
        for name, field in batch:
            self.assertEqual(before[name], after[name], f"{field}:\n{difference(before[name], after[name])}")
            if field.effect == "live":
                left = {change["path"] for change in self.object_of(plan, name)["fields"]}
                self.assertEqual(left & field.paths, set(), field)
            else:
                self.assertEqual(live[name], live_after[name], field)

    def test_each_field(self):
        self.try_all(wanted(root=False), self.change)


class PowerState(FieldRounds):
    """The field that is about running or not."""
    machines = 1

    def test_power_state(self):
        field = next(field for field in FIELDS if field.row == "powerState")
        batch = [("m0", field)]
        self.write(batch, lambda field: "stopped")
        self.apply()
        before = self.dump(batch)
        for state in ("running", "paused", "running", "hibernated", "running", "stopped", "paused", "stopped"):
            with self.subTest(state=state):
                self.write(batch, lambda field: state)
                self.assert_plan(batch, self.plan(2))
                self.apply()
                if state == "running":
                    self.wait_up("m0")
                self.assert_in_sync(self.plan(0))
                status = self.hv.reconcile("status", "-o", "json", "m0", check=0).json()
                self.assertEqual(status["domains"][0]["state"], state)
                self.assertEqual(self.dump(batch), before)
        self.write(batch, lambda field: None)
        self.apply()
        self.assert_in_sync(self.plan(0))
        self.forget()


class RunningSystem(Running):
    """Fields that need networks of a privileged libvirtd."""
    hypervisor = lab.SystemHypervisor

    def test_each_field(self):
        try:
            self.hv.run("tc", "qdisc", "add", "dev", "link-a", "root", "sfq")
            shaping = True
        except (OSError, subprocess.CalledProcessError):
            shaping = False
        fields = self.without("no traffic shaping here", wanted(root=True), lambda field: field.shaping and not shaping)
        self.try_all(self.without("no control groups here", fields, lambda field: field.groups and not self.hv.cpu_group), self.change)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
