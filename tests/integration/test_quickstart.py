#!/usr/bin/python3
"""The newcomer's command does what it says, twice, and cleans up."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICKSTART = os.path.join(TOP, "examples", "quickstart")


class QuickstartTest(unittest.TestCase):
    def setUp(self):
        self.parent = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        os.chmod(self.parent, 0o755)
        self.directory = os.path.join(self.parent, "lab")
        self.env = {**os.environ, "QUICKSTART_LAB": self.directory, "RECONCILE": lab.binary()}
        self.addCleanup(shutil.rmtree, self.parent)
        self.addCleanup(self.quickstart, "--clean")

    def quickstart(self, *arguments):
        process = subprocess.run([QUICKSTART, *arguments], env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(process.returncode, 0, process.stdout)
        return process.stdout

    def test_it_can_be_run_again_and_cleaned_up(self):
        first = self.quickstart()
        for machine in ("web-1", "web-2", "db-1"):
            self.assertIn(f"--- {machine}\nready\n", first)
        again = self.quickstart()
        self.assertIn("it was done before", again)
        self.quickstart("--clean")
        self.assertEqual(os.listdir(self.parent), [])
        self.assertEqual(lab.processes_of(self.directory), [])

    def test_a_checkout_whose_path_has_blanks(self):
        """And what libvirt's settings and addresses take for something else. A program that only fails ends it where libvirt answers."""
        self.directory = self.env["QUICKSTART_LAB"] = os.path.join(self.parent, "l ä&b")
        process = subprocess.run([QUICKSTART], env={**self.env, "RECONCILE": "/bin/false"}, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertIn("== What would be done", process.stdout)
        beside = os.path.realpath(self.directory)
        self.assertNotIn(" ", beside)
        self.quickstart("--clean")
        self.assertEqual([os.listdir(self.parent), os.path.exists(beside)], [[], False])

    def test_a_directory_of_others_is_left_alone(self):
        os.mkdir(self.directory)
        for arguments in ((), ("--clean",)):
            process = subprocess.run([QUICKSTART, *arguments], env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(process.returncode, 1)
            self.assertIn("not made by the quickstart", process.stderr)
        os.rmdir(self.directory)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
