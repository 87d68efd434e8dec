#!/usr/bin/python3
"""The command line: help and manual, exit statuses, one JSON document whatever happens."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/reconcile.1")

GOOD = """\
apiVersion: reconcile/v1
kind: VirtualMachine
metadata: {name: web-1}
spec: {memory: {size: 1GiB}}
"""

BAD = """\
apiVersion: reconcile/v1
kind: VirtualMachine
metadata: {name: db-1}
spec:
  memory: {sise: 1GiB}
  cpu: {count: many}
"""


def section(text, name):
    return re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", text, re.M | re.S).group(1)


class Help(unittest.TestCase):
    def setUp(self):
        self.help = lab.reconcile("--help", check=0).stdout
        with open(MANUAL, encoding="utf-8") as file:
            self.manual = file.read()

    def test_options_are_those_of_the_manual(self):
        tags = "\n".join(re.findall(r"^\.TP\n(.*)$", section(self.manual, "OPTIONS"), re.M)).replace("\\-", "-")
        shown = self.help.split("Options:\n")[1].split("\nExit status")[0]
        shown = "\n".join(line[:28] for line in shown.splitlines())
        for option in (r"--[a-z-]+", r"(?<![-\w])-[a-z]\b"):
            self.assertEqual(sorted(re.findall(option, tags)), sorted(re.findall(option, shown)))

    def test_commands_are_those_of_the_manual(self):
        shown = re.findall(r"^  reconcile ([a-z]+)", self.help, re.M)
        synopsis = re.findall(r"reconcile ([a-z]+)", section(self.manual, "SYNOPSIS"))
        described = re.findall(r"^\.TP\n\.BR? ([a-z]+)", section(self.manual, "COMMANDS"), re.M)
        self.assertEqual(shown, synopsis)
        self.assertEqual(shown, described)
        self.assertIn("validate", shown)

    def test_manual_has_no_mistakes(self):
        if subprocess.run(["which", "groff"], stdout=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no groff")
        result = subprocess.run(["groff", "-man", "-ww", "-Tutf8", MANUAL], capture_output=True, text=True, check=True)
        self.assertEqual(result.stderr, "")

    def test_each_command_has_help(self):
        for command in re.findall(r"^  reconcile ([a-z]+)", self.help, re.M):
            self.assertEqual(lab.reconcile(command, "--help", check=0).stdout, self.help)
        self.assertRegex(lab.reconcile("--version", check=0).stdout, r"^reconcile \d+\.\d+\.\d+\n$")


class Usage(unittest.TestCase):
    WRONG = [
        (["--bogus"], "Unknown option --bogus"),
        (["status", "--prune"], "--prune isn't an option of status"),
        (["validate", "--connect", "test:///default"], "--connect isn't an option of validate"),
        (["explain", "-o", "text"], "--output isn't an option of explain"),
        (["statsu"], "did you mean status?"),
        (["a.yaml", "b.yaml"], 'unexpected argument "b.yaml"'),
        (["schema", "vm"], 'unexpected argument "vm"'),
        (["-o", "yaml"], "text, json or markdown"),
        (["--color", "sometimes"], "auto, always or never"),
        (["--allow", "restart,everything"], "everything: unknown class"),
        (["--prune-limit", "0"], "must be from 1 to 100"),
        (["--prune-limit", "101"], "must be from 1 to 100"),
        (["--prune-limit", "many"], "Cannot parse integer"),
        (["--jobs", "-1"], "must be from 1 to 64"),
        (["-q", "-v"], "exclude each other"),
        (["--plan", "p.json", "specs"], "--plan applies a saved plan"),
        (["serve", "--config", "no-such-file"], "the configuration can't be read"),
        (["serve", "specs"], "unexpected argument"),
    ]

    def test_wrong_usage_is_an_error(self):
        with tempfile.TemporaryDirectory() as empty:
            for arguments, message in self.WRONG:
                with self.subTest(arguments=arguments):
                    result = lab.reconcile(*arguments, cwd=empty, check=1)
                    self.assertTrue(result.stderr.startswith("reconcile: "), result.stderr)
                    self.assertIn(message, result.stderr)
                    self.assertEqual(result.stdout, "")

    def test_json_is_one_document_also_on_errors(self):
        with tempfile.TemporaryDirectory() as empty:
            for arguments in (["--bogus", "-o", "json"], ["-ojson", "--dry-run", "nowhere/at/all"],
                              ["status", "--output=json", "-c", "nonsense:///x"], ["validate", "-o", "json", empty],
                              ["--dry-run", "-o", "json", "-c", "nonsense:///x", empty],
                              ["-o", "json", "--plan", "missing.json", "-c", "test:///default"]):
                with self.subTest(arguments=arguments):
                    result = lab.reconcile(*arguments, cwd=empty, check=1)
                    document = result.json()
                    self.assertEqual(document["formatVersion"], 1)
                    self.assertIn(document["error"], result.stderr)
                    self.assertEqual(document["exitStatus"], 1)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            process = subprocess.run([lab.binary(), "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(process.returncode, 1)
        self.assertIn("standard output can't be written", process.stderr)

    def test_reference_and_schema(self):
        self.assertIn("VirtualMachine", lab.reconcile("explain", check=0).stdout)
        self.assertIn("virDomainSetMemoryFlags", lab.reconcile("explain", "memory.size", check=0).stdout)
        self.assertIn("did you mean", lab.reconcile("explain", "memory.sise", check=1).stderr)
        self.assertIn("properties", json.dumps(json.loads(lab.reconcile("schema", check=0).stdout)))


class Validate(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(text)

    def validate(self, *arguments, check):
        return lab.reconcile("validate", *arguments, cwd=self.directory, check=check)

    def test_good(self):
        self.write("web.yaml", GOOD)
        self.assertEqual(self.validate(check=0).stdout, "Valid: 1 object in ..\n")
        self.assertIn("vm/web-1  web.yaml:1", self.validate("-v", ".", check=0).stdout)
        document = self.validate("-o", "json", "web.yaml", check=0).json()
        self.assertEqual([(o["kind"], o["name"]) for o in document["objects"]], [("VirtualMachine", "web-1")])

    def test_all_errors_of_all_files_with_places(self):
        self.write("web.yaml", GOOD)
        self.write("db.yaml", BAD)
        self.write("other.yaml", "a: [1, 2\n")
        result = self.validate(check=1)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r'(?m)^db\.yaml:5:12: error: unknown key "sise".*did you mean "size"\?$')
        self.assertRegex(result.stderr, r"(?m)^db\.yaml:6:16: error: .*many")
        self.assertRegex(result.stderr, r"(?m)^other\.yaml:\d+:\d+: error: ")
        self.assertRegex(result.stderr, r"(?m)^3 errors$")
        document = self.validate("-o", "json", check=1).json()
        self.assertEqual([(d["file"], d["line"], d["severity"]) for d in document["diagnostics"]][:2],
                         [("db.yaml", 5, "error"), ("db.yaml", 6, "error")])

    def test_declared_twice_names_both_places(self):
        self.write("a.yaml", GOOD)
        self.write("b.yaml", GOOD)
        stderr = self.validate(check=1).stderr
        self.assertIn("a.yaml:", stderr)
        self.assertIn("b.yaml:", stderr)

    def test_nothing_declared(self):
        self.assertIn("nothing declared", self.validate(check=1).stderr)

    def test_hostile_text_stays_text(self):
        self.write("a\033[2Jb.yaml", "k\x1b[31m: \"\\e]0;x\\a\"\n---\n" + GOOD.replace("web-1", '"\\e[2Jx\\u202e"'))
        result = self.validate(check=1)
        self.assertNotIn("\033", result.stderr)
        self.assertNotIn("\u202e", result.stderr)


class Run(lab.TestCase):
    """Exit statuses and output of real runs."""

    tiny = True

    def specs(self):
        return self.hv.path("specs")

    def test_exit_statuses(self):
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped"))
        dry = self.hv.reconcile("--dry-run", self.specs(), check=2)
        self.assertIn("+ vm/a  create", dry.stdout)
        self.assertTrue(dry.stdout.endswith("; nothing is changed by a dry run.\n"), dry.stdout)
        applied = self.hv.reconcile(self.specs(), check=0)
        self.assertIn("vm/a: define the machine: done", applied.stdout)
        self.assertRegex(applied.stdout, r"\nApplied: \d+ done\.\n$")
        again = self.hv.reconcile("--dry-run", self.specs(), check=0)
        self.assertEqual(again.stdout, "In sync: nothing to do (1 object).\n")
        self.assertEqual(self.hv.reconcile("-q", self.specs(), check=0).stdout, "In sync: nothing to do (1 object).\n")
        self.hv.write("b.yaml", "a: [")
        self.assertIn("b.yaml:3:", self.hv.reconcile("--dry-run", self.specs(), check=1).stderr)

    def test_names_that_begin_with_a_dash(self):
        self.hv.define("-a")
        self.hv.define("b")
        for names in (["--", "-a"], ["b", "--", "-a"]):
            shown = self.hv.reconcile("status", "-o", "json", *names, check=0).json()["domains"]
            self.assertEqual({each["name"] for each in shown}, set(names) - {"--"})

    def test_stale_plan_is_refused(self):
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped"))
        self.hv.apply(self.specs())
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped", title="new"))
        self.hv.reconcile("--dry-run", "--plan-out", self.hv.path("plan.json"), self.specs(), check=2)
        self.hv.domain("a").setMetadata(1, "by hand", None, None, 2)
        result = self.hv.reconcile("-o", "json", "--plan", self.hv.path("plan.json"), check=3)
        document = result.json()
        self.assertEqual(document["exitStatus"], 3)
        self.assertIn(document["error"], result.stderr)
        self.assertIn("<title>by hand</title>", self.hv.domain("a").XMLDesc(2))

    def test_json_of_a_run(self):
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped"))
        plan = self.hv.plan(self.specs(), status=2)
        self.assertEqual(set(plan) & {"results", "error"}, set())
        self.assertEqual([(o["kind"], o["name"], o["change"]) for o in plan["objects"]],
                         [("VirtualMachine", "a", "create")])
        self.assertEqual(plan["summary"]["create"], 1)
        self.assertEqual(plan["connection"], self.hv.uri)
        self.assertEqual(plan["source"], {"path": self.specs(), "revision": None})
        run = self.hv.reconcile("-o", "json", self.specs(), check=0).json()
        self.assertEqual([r["id"] for r in run["results"]], [a["id"] for a in run["actions"]])
        self.assertEqual({r["result"] for r in run["results"]}, {"done"})
        self.assertEqual(run["exitStatus"], 0)

    def test_markdown(self):
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped", title="a | `b` <c>"))
        text = self.hv.reconcile("--dry-run", "-o", "markdown", self.specs(), check=2).stdout
        self.assertIn("<details><summary><code>vm/a</code> create", text)
        self.assertNotIn("<c>", text)

    def order(self, path, action=""):
        """When actions were begun and ended, as the journal has it."""
        with open(path, encoding="utf-8") as file:
            found = re.findall(rf"(?m)^(?!run:){action}.*: (begun|ended) in the journal$", file.read())
        os.unlink(path)
        return found

    def test_objects_side_by_side_but_for_one_job(self):
        deaf = [{"cmdline": "ignorepower", "shutdown": {"timeout": "2s", "force": True}, "powerState": state} for state in ("running", "stopped")]
        log = self.hv.path("state/places")
        env = {**self.hv.env, "RECONCILE_FAULT_LOG": log}
        self.hv.write("a.yaml", self.hv.vm("a", **deaf[0]), self.hv.vm("b", **deaf[0]))
        self.hv.reconcile("--jobs", "1", self.specs(), env=env, check=0)
        order = self.order(log)
        self.assertEqual(order, ["begun", "ended"] * (len(order) // 2))
        self.assertGreater(len(order), 7)
        for name in "ab":
            self.hv.guest(name).wait_heartbeat()
        self.hv.write("a.yaml", self.hv.vm("a", **deaf[1]), self.hv.vm("b", **deaf[1]))
        self.hv.reconcile(self.specs(), env=env, check=0)
        self.assertEqual(self.order(log, "domain-shutdown"), ["begun", "begun", "ended", "ended"])

    def test_interrupted_once_it_ends_with_a_summary(self):
        """Nothing new is begun."""
        self.hv.write("a.yaml", self.hv.vm("deaf", cmdline="ignorepower", shutdown={"timeout": "60s"}))
        self.hv.apply(self.specs())
        self.hv.guest("deaf").wait_heartbeat()
        self.hv.write("a.yaml", self.hv.vm("deaf", cmdline="ignorepower", shutdown={"timeout": "60s"}, powerState="stopped"),
                      self.hv.vm("later", powerState="stopped"))
        process = self.hv.start_reconcile("--jobs", "1", self.specs())
        self.addCleanup(process.kill)
        line = ""
        while not line.startswith("vm/deaf: shut down"):  # it is under way
            line = process.stdout.readline()
            self.assertTrue(line)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        self.assertRegex(rest, r"(?s)cancelled  vm/later: define the machine\n    not begun\n.*2 cancelled", errors)
        self.assertEqual(process.returncode, 1)
        self.assertEqual([(each.name(), each.isActive()) for each in self.hv.conn.listAllDomains()], [("deaf", 1)])

    def terminal(self, *arguments, **environment):
        """Standard output of a run on a terminal."""
        master, slave = pty.openpty()
        env = {**self.hv.env, "TERM": "xterm", **environment}
        process = subprocess.Popen([lab.binary(), *arguments], env=env, stdin=subprocess.DEVNULL, stdout=slave,
                                   stderr=subprocess.PIPE)
        os.close(slave)
        text = b""
        while select.select([master], [], [], 60)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side was closed
                break
            if not piece:
                break
            text += piece
        os.close(master)
        process.communicate()
        return text.decode()

    def test_colour_is_for_terminals(self):
        self.hv.write("a.yaml", self.hv.vm("a", powerState="stopped"))
        self.assertIn("\033[32m", self.terminal("--dry-run", self.specs()))
        self.assertNotIn("\033", self.terminal("--dry-run", self.specs(), NO_COLOR="1"))
        self.assertNotIn("\033", self.terminal("--dry-run", self.specs(), TERM="dumb"))
        self.assertNotIn("\033", self.terminal("--dry-run", "--color", "never", self.specs()))
        self.assertNotIn("\033", self.hv.reconcile("--dry-run", self.specs(), check=2).stdout)
        self.assertIn("\033[32m", self.hv.reconcile("--dry-run", "--color=always", self.specs(), check=2).stdout)
        progress = self.terminal(self.specs())
        self.assertIn("\033[1A\033[2K", progress)
        self.assertIn("Applied:", progress)


if __name__ == "__main__":
    lab.main()
