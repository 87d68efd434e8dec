#!/usr/bin/python3
"""The examples for merge requests: the YAML is read, and the commands that it holds are run."""

import http.server
import os
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import yaml  # noqa: E402
from product import REPOSITORY  # noqa: E402

REVIEW = os.path.join(REPOSITORY, "examples/review")
INSTALLED = "/usr/share/doc/reconcile/examples/review/"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def jobs_of(name):
    return yaml.safe_load(read(os.path.join(REVIEW, name)))


class Notes(http.server.BaseHTTPRequestHandler):
    """GitLab's, as far as the example uses it."""
    got = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append((self.path, self.headers["PRIVATE-TOKEN"], urllib.parse.parse_qs(body)["body"][0]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Review(lab.TestCase):
    def setUp(self):
        hv = self.hv
        self.checkout, self.bin = hv.path("checkout"), hv.make_directory("bin")
        self.addCleanup(shutil.rmtree, self.checkout)
        self.vms = os.path.join(self.checkout, "vms")
        os.makedirs(self.vms)  # git wants it to be ours
        self.tool("reconcile", f'exec {shlex.quote(lab.binary())} "$@"')
        self.tool("gh", f'cp "$7" {shlex.quote(hv.path("state/comment.md"))}; echo "$@" >{shlex.quote(hv.path("state/gh"))}')
        self.env = {**hv.env, "PATH": f"{self.bin}:{hv.env['PATH']}", "GIT_CONFIG_GLOBAL": "/dev/null",
                    "PULL_REQUEST": "https://example.org/pull/7"}
        self.put("web.yaml", hv.pool(), hv.vm("web", powerState="stopped", title="one"))
        hv.apply(self.vms)
        self.observation = hv.path("state/host.json")
        with open(self.observation, "w", encoding="utf-8") as file:
            file.write(hv.reconcile("observe", check=0).stdout)

    def tool(self, name, script):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(path, 0o755)

    def put(self, name, *documents):
        source = self.hv.write("copy.yaml", *documents)
        shutil.copyfile(source, os.path.join(self.vms, name))

    def change(self, **spec):
        self.put("web.yaml", self.hv.pool(), self.hv.vm("web", powerState="stopped", **spec))

    def run_script(self, script, **env):
        script = script.replace(INSTALLED, REVIEW + "/")
        return subprocess.run(["bash", "-eu", "-c", script], cwd=self.checkout, env={**self.env, **env}, capture_output=True, text=True)

    def plans(self, plan):
        """The three ways, with what the plan's script makes of each."""
        self.change(title="two")
        nowhere = {"LIBVIRT_DEFAULT_URI": "qemu:///nowhere"}
        for env in ({"RECONCILE_AGAINST": self.observation, **nowhere}, {"RECONCILE_CONNECT": self.hv.uri, **nowhere}):
            result = self.run_script(plan, **env)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("1 to update", read(os.path.join(self.checkout, "plan.md")))
        result = self.run_script(plan, **nowhere)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Valid: 2 objects", read(os.path.join(self.checkout, "plan.md")))
        self.change(titel="two")
        self.assertEqual(self.run_script(plan, RECONCILE_AGAINST=self.observation).returncode, 1)
        comment = read(os.path.join(self.checkout, "plan.md"))
        self.assertIn("did you mean", comment)
        self.assertTrue(comment.startswith("<!-- reconcile -->\n"))

    def test_github(self):
        whole = jobs_of("github.yml")
        self.assertEqual(whole["permissions"], {"contents": "read", "pull-requests": "write"})
        self.assertIn("pull_request", whole[True])  # YAML 1.1 reads the key `on` so
        self.assertNotIn("pull_request_target", whole[True])
        steps = {step["name"]: step["run"] for step in whole["jobs"]["plan"]["steps"] if "run" in step}
        self.assertEqual(self.run_script(steps["validate"]).returncode, 0)
        self.plans(steps["plan"])
        self.assertEqual(self.run_script(steps["validate"]).returncode, 1)
        self.assertEqual(self.run_script(steps["comment"]).returncode, 0)
        self.assertEqual(read(self.hv.path("state/comment.md")), read(os.path.join(self.checkout, "plan.md")))
        self.assertNotIn("${{", "".join(steps.values()), "what others wrote would be put into a script")

    def test_gitlab(self):
        whole = jobs_of("gitlab.yml")
        self.assertEqual(self.run_script("\n".join(whole["reconcile-validate"]["script"])).returncode, 0)
        self.plans("\n".join(whole["reconcile-plan"]["script"]))
        server = http.server.HTTPServer(("127.0.0.1", 0), Notes)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        self.assertTrue(shutil.which("curl"), "curl isn't installed")
        result = self.run_script("\n".join(whole["reconcile-plan"]["after_script"]), RECONCILE_TOKEN="t", CI_PROJECT_ID="3",
                                 CI_API_V4_URL=f"http://127.0.0.1:{server.server_port}/api/v4", CI_MERGE_REQUEST_IID="9")
        self.assertEqual(result.returncode, 0, result.stderr)
        thread.join()
        plan = read(os.path.join(self.checkout, "plan.md"))
        self.assertEqual(Notes.got, [("/api/v4/projects/3/merge_requests/9/notes", "t", plan)])

    def git(self, *arguments, status=0):
        process = subprocess.run(["git", *arguments], cwd=self.checkout, env=self.env, capture_output=True, text=True)
        self.assertEqual(process.returncode == 0, status == 0, process.stderr)
        return process

    def test_pre_commit(self):
        self.git("init", "-q")
        for key, value in {"user.name": "a", "user.email": "a@example.org", "reconcile.source": "vms"}.items():
            self.git("config", key, value)
        hook = os.path.join(self.checkout, ".git/hooks/pre-commit")
        os.symlink(os.path.join(REVIEW, "pre-commit"), hook)
        self.git("add", ".")
        self.git("commit", "-qm", "good")
        self.change(titel="typing error")
        self.git("commit", "--allow-empty", "-qm", "what is staged counts")
        self.git("add", ".")
        process = self.git("commit", "-qm", "bad", status=1)
        self.assertIn("vms/web.yaml:", process.stderr)
        self.assertIn("did you mean", process.stderr)

    def test_pre_commit_framework(self):
        hook, = yaml.safe_load(read(os.path.join(REPOSITORY, ".pre-commit-hooks.yaml")))
        self.assertEqual((hook["language"], hook["pass_filenames"]), ("system", False))
        self.assertEqual(self.run_script(hook["entry"]).returncode, 0)
        self.change(titel="typing error")
        self.assertEqual(self.run_script(hook["entry"]).returncode, 1)

    def test_scripts_are_programs(self):
        for name in ("plan-comment", "pre-commit"):
            self.assertTrue(os.stat(os.path.join(REVIEW, name)).st_mode & stat.S_IXUSR)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
