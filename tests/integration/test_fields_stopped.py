#!/usr/bin/python3
"""Each field of the table changed alone on a machine that is stopped: the plan
names just this field, the second run is empty, and everything else in the XML
stays byte for byte; taken back, or out of the YAML, likewise.

FIELD=REGEX tries only some of the fields."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab
from field_rounds import FieldRounds, difference
from fields import FIELDS, Field


def wanted(root):
    return [field for field in FIELDS if isinstance(field, Field) and field.effect and field.stopped is True
            and field.root == root]


class Stopped(FieldRounds):
    def change(self, batch):
        """One round: a, b, a again, and out of the YAML."""
        self.write(batch, lambda field: field.a)
        self.apply()
        before = self.dump(batch)
        self.write(batch, lambda field: field.b)
        self.assert_plan(batch, self.plan(2))
        self.apply()
        self.assert_in_sync(self.plan(0))
        after = self.dump(batch)
        for name, field in batch:
            self.assert_only(field, before[name], after[name])
            self.assertEqual(before[name] != after[name], bool(field.xml),
                             f"{field}:\n{difference(before[name], after[name])}")
        back = [(name, field) for name, field in batch if not field.one_way]
        self.go_back(back, before)
        self.leave([(name, field) for name, field in back if field.removed and field.a is not None], before)

    def go_back(self, batch, before):
        if not batch:
            return
        self.write(batch, lambda field: field.a)
        self.apply()
        self.assert_same(batch, before)

    def leave(self, batch, before):
        if not batch:
            return
        self.write(batch, lambda field: None)
        self.apply()
        self.assert_in_sync(self.plan(0))
        after = self.dump(batch)
        self.assert_same([(name, field) for name, field in batch if field.removed == "stays" or not field.xml], before)
        for name, field in batch:
            if field.removed == "reset" and field.xml:
                self.assert_only(field, before[name], after[name])
                self.assertNotEqual(before[name], after[name], f"{field} is still there")

    def assert_same(self, batch, before):
        after = self.dump(batch)
        for name, field in batch:
            self.assertEqual(before[name], after[name], f"{field}:\n{difference(before[name], after[name])}")

    def test_each_field(self):
        self.try_all(wanted(root=False), self.change)


class Refused(FieldRounds):
    """What a machine keeps from its making, whether it runs or not."""
    machines = 1

    def is_idle(self, field):
        return True

    def refuse(self, batch):
        (name, field), = batch
        self.write(batch, lambda field: field.a)
        self.apply()
        before = self.hv.domain(name).XMLDesc()
        self.write(batch, lambda field: field.b)
        result = self.hv.reconcile("--dry-run", "-o", "json", self.hv.path("specs"), check=1)
        self.assertIn(field.why, self.object_of(result.json(), name)["error"])
        self.hv.reconcile(self.hv.path("specs"), check=1)
        self.assertEqual(self.hv.domain(name).XMLDesc(), before)

    def test_each_field(self):
        for self.power in ("stopped", "running"):
            for field in FIELDS:
                if isinstance(field, Field) and field.why:
                    with self.subTest(field=field.path, power=self.power):
                        self.forget()
                        self.try_all([field], self.refuse)

    def test_another_name(self):
        """Another name is another machine, and the first one is left alone."""
        self.hv.write("machines.yaml", self.hv.vm("old", powerState="stopped"))
        self.apply()
        self.hv.write("machines.yaml", self.hv.vm("new", powerState="stopped"))
        plan = self.plan(2)
        self.assertEqual([self.object_of(plan, name)["change"] for name in ("new", "old")], ["create", "orphan"])
        self.forget()


class StoppedSystem(Stopped):
    """Fields that an unprivileged libvirtd doesn't take."""
    hypervisor = lab.SystemHypervisor

    def test_each_field(self):
        self.try_all(wanted(root=True), self.change)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
