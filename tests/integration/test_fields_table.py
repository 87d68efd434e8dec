#!/usr/bin/python3
"""The table of the field tests has an entry for each row of the product, and
none beside: a new row comes with a test of it."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab
from fields import FIELDS, Field, rows


class Table(unittest.TestCase):
    def setUp(self):
        self.rows = rows(json.loads(lab.reconcile("schema", check=0).stdout))

    def test_each_row_has_one_entry(self):
        entries = [entry.row for entry in FIELDS]
        self.assertEqual(len(entries), len(set(entries)), "a row has two entries")
        self.assertEqual(set(self.rows) - set(entries), set(), "rows without an entry")
        self.assertEqual(set(entries) - set(self.rows), set(), "entries without a row")

    def test_what_is_not_tried_says_why(self):
        for entry in FIELDS:
            reasons = [entry.stopped, entry.running] if isinstance(entry, Field) else [getattr(entry, "why", True)]
            for reason in reasons:
                self.assertTrue(reason is True or (isinstance(reason, str) and reason), entry.row)

    def test_pointers_lead_to_the_field(self):
        """A test that is said to try a field names it."""
        for entry in FIELDS:
            for file in re.findall(r"test_\w+\.py", getattr(entry, "why", None) or ""):
                with self.subTest(row=entry.row), open(os.path.join(os.path.dirname(os.path.abspath(__file__)), file), encoding="utf-8") as test:
                    self.assertRegex(test.read(), rf"\b{entry.row.rsplit('.', 1)[-1]}(\"\]?[:,]|=)")

    def test_effects_are_as_documented(self):
        """A change that reaches a running machine at once by the reference does
        so in the table, and one that waits for the next start waits."""
        for entry in FIELDS:
            if not isinstance(entry, Field) or not entry.paths & {entry.path}:
                continue  # what names an item: another name is another item
            said = self.rows[entry.row]["description"]
            words = {"live": "takes effect at once", "next-start": "takes effect at the next start",
                     "none": "changes nothing of a running machine", None: "a change is refused"}
            others = [word for word in words.values() if word != words[entry.effect]]
            depends = entry.row in ("disks[].format", "disks[].path")  # on the kind of the disk
            self.assertTrue(depends or not any(word in said for word in others), f"{entry.row}: {said}")


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
