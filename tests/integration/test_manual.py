#!/usr/bin/python3
"""The manual page and --help say the same, both ways; the pages are clean groff, and their examples valid."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from product import REPOSITORY, reconcile  # noqa: E402

PAGE = os.path.join(REPOSITORY, "packaging/reconcile.1")


def page():
    with open(PAGE, encoding="utf-8") as file:
        return re.sub(r"\\f[BRIP]", "", file.read()).replace("\\-", "-").replace('"', "")


def section(name):
    return re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", page(), re.MULTILINE | re.DOTALL).group(1)


def headings(text):
    """The lines after .TP: what each entry is about."""
    return re.findall(r"^\.TP\n\.\w+ (.*)$", text, re.MULTILINE)


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.help = reconcile("--help", check=0).stdout

    def test_options(self):
        told = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", self.help, re.MULTILINE))
        written = {option for line in headings(section("OPTIONS")) for option in re.findall(r"--[a-z-]+", line)}
        self.assertEqual(told, written)
        letters = set(re.findall(r"^ +(-\w), --", self.help, re.MULTILINE))
        self.assertEqual(letters, {letter for line in headings(section("OPTIONS")) for letter in re.findall(r"^-\w\b", line)})

    def test_commands(self):
        told = set(re.findall(r"^  reconcile ([a-z]+)", self.help, re.MULTILINE))
        self.assertEqual(told, {line.split()[0] for line in headings(section("COMMANDS")) if line[0].islower()})
        self.assertEqual(told, set(re.findall(r"^\.B reconcile ([a-z]+)", section("SYNOPSIS"), re.MULTILINE)))

    def test_exit_status(self):
        self.assertEqual(headings(section("EXIT STATUS")), ["0", "1", "2", "3"])

    @unittest.skipUnless(shutil.which("groff"), "groff isn't installed")
    def test_groff_has_nothing_to_complain_of(self):
        for name in ("reconcile.1", "reconcile-spec.5", "reconcile.yaml.5"):
            result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", os.path.join(REPOSITORY, "packaging", name)],
                                    capture_output=True, text=True, check=True)
            self.assertEqual(result.stderr, "")
            self.assertGreater(len(result.stdout), 1000)

    def validate(self, text, *options):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            reconcile("validate", *options, file.name, check=0)

    def test_examples_in_yaml(self):
        """What a fenced block or an unfilled one shows is valid."""
        with open(os.path.join(REPOSITORY, "README.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```yaml\n(.*?)```", file.read(), re.DOTALL)
        self.assertTrue(blocks)
        for block in blocks:
            self.validate(block)
        found = 0
        for name in ("reconcile.1", "reconcile-spec.5", "reconcile.yaml.5"):
            with open(os.path.join(REPOSITORY, "packaging", name), encoding="utf-8") as file:
                blocks = re.findall(r"^\.nf\n(.*?)^\.fi", file.read(), re.MULTILINE | re.DOTALL)
            for block in blocks:
                found += 1
                self.validate(block.replace("\\-", "-"), *(["--config"] if name == "reconcile.yaml.5" else []))
        self.assertTrue(found)


if __name__ == "__main__":
    unittest.main()
