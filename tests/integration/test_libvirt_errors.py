#!/usr/bin/python3
"""libvirt keeps one last error per thread, and forgets it at the next call, also at one that
only asks for a name. So no argument of libvirt_fail() may be a call of libvirt."""

import glob
import os
import re
import unittest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CALL = re.compile(r"\bvir[A-Z]\w*\(")


def arguments(text, start):
    """From an opening parenthesis to its closing one, strings left out."""
    depth, at, found = 0, start, []
    while True:
        char = text[at]
        if char == '"':
            at = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, at).end()
            continue
        depth += (char == "(") - (char == ")")
        found.append(char)
        at += 1
        if depth == 0:
            return "".join(found)


class ErrorTest(unittest.TestCase):
    def test_no_call_loses_the_error(self):
        wrong = []
        for path in glob.glob(f"{REPOSITORY}/state/**/*.c", recursive=True) + glob.glob(f"{REPOSITORY}/reconciler/**/*.c", recursive=True):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for match in re.finditer(r"\blibvirt_fail(?=\()", text):
                if CALL.search(arguments(text, match.end())):
                    wrong.append(f"{os.path.relpath(path, REPOSITORY)}:{text.count(chr(10), 0, match.start()) + 1}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
