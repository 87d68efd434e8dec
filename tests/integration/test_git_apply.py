#!/usr/bin/python3
"""A git repository as the source of real machines: what each record, plan and log line names, and
that nothing is deleted for lack of reading."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import git_lab  # noqa: E402
import lab  # noqa: E402
import yaml  # noqa: E402


class Apply(lab.TestCase):
    def setUp(self):
        self.repository = git_lab.Repository(self.hv.path("vms.git"))
        self.addCleanup(shutil.rmtree, self.repository.path)
        self.declare("web", "db")
        self.first = self.repository.commit("first")
        self.source = self.repository.url + "#main:vms"

    def declare(self, *names, **spec):
        for name in names:
            self.repository.write(f"vms/{name}.yaml", yaml.safe_dump(self.hv.vm(name, powerState="stopped", **spec)))

    def record(self, name):
        return self.hv.reconcile("status", "-o", "json", name, check=None).json()["domains"][0]["owner"]

    def test_from_commit_to_machine(self):
        hv = self.hv
        plan = hv.plan(self.source, status=2)
        self.assertEqual(plan["source"], {"url": self.source, "revision": self.first})
        self.assertEqual({entry["name"]: entry["place"] for entry in plan["objects"]}, {"web": "vms/web.yaml:1", "db": "vms/db.yaml:1"})
        hv.apply(self.source)
        self.assertEqual(hv.plan(self.source, status=0)["actions"], [])
        self.assertEqual(self.record("web"), {"source": self.source, "revision": self.first, "place": "vms/web.yaml:1"})
        text = hv.reconcile("status", "web").stdout
        self.assertIn(f"{self.source} at {self.first}", text)
        self.assertIn("vms/web.yaml:1", text)
        (run,) = hv.reconcile("history", "-o", "json", check=0).json()["runs"]
        self.assertEqual((run["source"], run["revision"]), (self.source, self.first))

    def test_a_commit_that_changes_nothing_here(self):
        hv = self.hv
        hv.apply(self.source)
        self.repository.write("README", "words")
        self.repository.write("vms/web.yaml", "# words\n" + yaml.safe_dump(self.hv.vm("web", powerState="stopped")))
        self.repository.commit("words")
        self.assertEqual(hv.plan(self.source, status=0)["actions"], [])
        self.assertEqual(self.record("web")["revision"], self.first)
        self.declare("db", description="changed")
        second = self.repository.commit("change one")
        hv.apply(self.source)
        self.assertEqual((self.record("db")["revision"], self.record("web")["revision"]), (second, self.first))

    def test_rewritten_history_is_reported(self):
        self.hv.apply(self.source)
        self.repository.git("checkout", "-q", "--orphan", "new")
        self.repository.commit("unrelated")
        self.repository.git("branch", "-M", "new", "main")
        result = self.hv.reconcile("--dry-run", self.source, check=0)
        self.assertIn("the history was rewritten, or goes back", result.stderr)

    def test_rewritten_history_deletes_nothing(self):
        """Until a commit follows from it, however often it is applied."""
        self.hv.apply(self.source)
        self.repository.git("checkout", "-q", "--orphan", "new")
        self.declare("web", description="changed")
        self.repository.remove("vms/db.yaml")
        self.repository.commit("unrelated")
        self.repository.git("branch", "-M", "new", "main")
        for words in ("the history was rewritten, or goes back", "until a commit follows from it"):
            self.assertIn(words, self.hv.reconcile("--prune", self.source, check=0).stderr)
            self.assertEqual(sorted(domain.name() for domain in self.hv.conn.listAllDomains()), ["db", "web"])
        self.declare("web", description="changed again")
        self.repository.commit("it follows")
        self.hv.reconcile("--prune", "--prune-limit", "100", self.source, check=0)
        self.assertEqual([domain.name() for domain in self.hv.conn.listAllDomains()], ["web"])

    def assert_nothing_is_deleted(self, words):
        before = {name: self.record(name) for name in ("web", "db")}
        result = self.hv.reconcile("--prune", self.source)
        self.assertEqual(result.status, 1, result)
        self.assertIn(words, result.stderr)
        self.assertEqual({name: self.record(name) for name in ("web", "db")}, before)

    def test_nothing_is_deleted_for_lack_of_reading(self):
        self.hv.apply(self.source)
        self.repository.git("rm", "-q", "-r", ".")
        self.repository.commit("emptied")
        self.assert_nothing_is_deleted("has no directory or file vms")
        self.repository.write("vms/README", "")
        self.repository.commit("emptied")
        self.assert_nothing_is_deleted("nothing declared")
        self.repository.write("vms/web.yaml", "")
        self.repository.commit("truncated")
        self.assert_nothing_is_deleted("vms/web.yaml: error: is empty")
        self.repository.write("vms/web.yaml", "apiVersion: reconcile/v1\nkind: Virt")
        self.repository.commit("truncated")
        self.assert_nothing_is_deleted("vms/web.yaml:1:1")
        self.repository.git("checkout", "-q", "--detach")
        self.repository.git("branch", "-D", "main")
        self.assert_nothing_is_deleted("no branch or tag main (any more)")
        os.rename(self.repository.path, self.repository.path + ".away")
        try:
            self.assert_nothing_is_deleted("there is no such directory")
        finally:
            os.rename(self.repository.path + ".away", self.repository.path)

    def test_a_machine_that_left_is_an_orphan(self):
        self.hv.apply(self.source)
        self.repository.remove("vms/db.yaml")
        self.repository.commit("without db")
        plan = self.hv.plan(self.source)
        self.assertEqual({entry["name"]: entry["change"] for entry in plan["objects"]}["db"], "orphan")

    def test_a_saved_plan_names_its_commit(self):
        path = self.hv.path("plan.json")
        self.hv.reconcile("--dry-run", "--plan-out", path, self.source, check=2)
        self.repository.commit("later")
        self.hv.reconcile("--plan", path, check=0)
        self.assertEqual(self.record("web")["revision"], self.first)


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    lab.main()
