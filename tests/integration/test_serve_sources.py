#!/usr/bin/python3
"""What the service makes of its source: a directory in all its states, a git repository, and neither."""

import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import TestCase, lab, wait_for  # noqa: E402
import git_lab  # noqa: E402


class Directory(TestCase):
    def names(self):
        return sorted(each.name() for each in self.hv.conn.listAllDomains())

    def wait_names(self, service, *names):
        wait_for(lambda: self.names() == sorted(names), lambda: f"{self.names()}\n{service.log()}")

    def machine(self, name):
        return self.hv.vm(name, powerState="stopped")

    def test_files_come_change_and_go(self):
        hv = self.hv
        hv.write("a.yaml", self.machine("a"))
        with self.service(prune={"enabled": True, "limit": 50}) as service:
            self.wait_names(service, "a")
            hv.write("b.yaml", self.machine("b"))
            self.wait_names(service, "a", "b")
            hv.write("inner/c.yaml", self.machine("c"))
            self.wait_names(service, "a", "b", "c")
            os.rename(hv.path("specs/inner/c.yaml"), hv.path("specs/moved.yaml"))
            os.unlink(hv.path("specs/b.yaml"))
            self.wait_names(service, "a", "c")
            # An editor's way: a new file takes the place of the old one.
            hv.write("new.txt", hv.vm("a", powerState="stopped", title="edited"))
            os.rename(hv.path("specs/new.txt"), hv.path("specs/a.yaml"))
            wait_for(lambda: "<title>edited" in hv.domain("a").XMLDesc(), service.log)
            self.assertEqual(service.settle()["sourceError"], None)

    def test_nothing_is_deleted_for_lack_of_reading(self):
        hv = self.hv
        specs = hv.path("specs")
        machines = [self.machine(f"m{n}") for n in range(3)]
        names = ["m0", "m1", "m2"]
        hv.write("all.yaml", *machines)
        with open(hv.path("specs/all.yaml"), encoding="utf-8") as file:
            good = file.read()

        def write(text):
            with open(hv.path("specs/all.yaml"), "w", encoding="utf-8") as file:
                file.write(text)

        def failed(part, change):
            passes = service.settle()["passes"]
            before = service.log().count("the source can't be applied")
            change()
            wait_for(lambda: service.log().count("the source can't be applied") > before, service.log)
            service.wait_state(lambda state: state["sourceError"] and part in state["sourceError"])
            self.assertEqual(service.settle()["passes"], passes)
            self.assertEqual(self.names(), names)
            write(good)
            service.wait_state(lambda state: not state["sourceError"])

        with self.service(prune={"enabled": True, "limit": 100}) as service:
            self.wait_names(service, *names)
            service.wait_state(lambda state: state["passes"] > 1)  # the one that its own actions' events lead to
            failed("is empty", lambda: write(""))
            failed("all.yaml", lambda: write(good[:len(good) * 2 // 3 - 7] + "\n  bad: [\n"))
            failed("nothing declared", lambda: os.unlink(hv.path("specs/all.yaml")))
            failed("nothing declared", lambda: write("# nothing\n"))

            def move_away():
                os.rename(specs, specs + ".away")
            before = service.log().count("the source can't be applied")
            move_away()
            wait_for(lambda: service.log().count("the source can't be applied") > before, service.log)
            os.mkdir(specs)  # as an unmounted file system leaves it
            time.sleep(0.5)
            self.assertEqual(self.names(), names)
            os.rmdir(specs)
            os.rename(specs + ".away", specs)
            service.wait_state(lambda state: not state["sourceError"])
            self.assertEqual(self.names(), names)

    def test_a_half_written_file_is_waited_for(self):
        hv = self.hv
        hv.write("all.yaml", self.machine("m0"), self.machine("m1"))
        with open(hv.path("specs/all.yaml"), encoding="utf-8") as file:
            text = file.read()
        with self.service(prune={"enabled": True, "limit": 100}) as service:
            self.wait_names(service, "m0", "m1")
            passes = service.settle()["passes"]
            with open(hv.path("specs/all.yaml"), "w", encoding="utf-8") as file:
                file.write(text[:text.index("---\n", 10)])  # valid as it is: one machine less
                file.flush()
                time.sleep(1)
                service.trigger()
                time.sleep(0.5)
                self.assertEqual(self.names(), ["m0", "m1"])
                file.write(text[text.index("---\n", 10):])
            service.wait_state(lambda state: state["passes"] > passes)
            service.settle()
            self.assertEqual(self.names(), ["m0", "m1"])

    def test_a_swapped_link_and_a_name_of_its_own(self):
        hv = self.hv
        for release, title in (("1", "first"), ("2", "second")):
            os.makedirs(hv.path("releases", release))
            hv.write(f"../releases/{release}/a.yaml", hv.vm("a", powerState="stopped", title=title))
        os.symlink(hv.path("releases/1"), hv.path("current"))
        self.addCleanup(shutil.rmtree, hv.path("releases"))
        self.addCleanup(os.unlink, hv.path("current"))
        with self.service(source={"directory": hv.path("current"), "settle": "50ms", "name": "releases"},
                          prune={"enabled": True}) as service:
            wait_for(lambda: "a" in self.names() and "<title>first" in hv.domain("a").XMLDesc(), service.log)
            os.symlink(hv.path("releases/2"), hv.path("next"))
            os.rename(hv.path("next"), hv.path("current"))
            wait_for(lambda: "<title>second" in hv.domain("a").XMLDesc(), service.log)
            self.assertNotIn("takes it over", service.log())
            self.assertEqual(hv.reconcile("status", "-o", "json", check=0).json()["domains"][0]["owner"]["source"], "releases")


class Git(TestCase):
    def setUp(self):
        self.repository = git_lab.Repository(self.hv.path("repository"))
        self.addCleanup(shutil.rmtree, self.hv.path("repository"))

    def commit(self, *machines, options=()):
        self.repository.remove("vms") if os.path.exists(self.hv.path("repository/vms")) else None
        for machine in machines:
            self.repository.write(f"vms/{machine['metadata']['name']}.yaml", lab.yaml.safe_dump(machine))
        return self.repository.commit("change", *options)

    def config(self, **git):
        return {"git": {"url": self.repository.url, "ref": "main", "path": "vms", **git}, "pollInterval": "1h"}

    def machine(self, name, **spec):
        return self.hv.vm(name, powerState="stopped", **spec)

    def test_from_commit_to_action(self):
        hv = self.hv
        first = self.commit(self.machine("a"))
        with self.service(source=self.config()) as service:
            service.wait_state(lambda state: state["revision"] == first and state["passes"] > 1)
            service.settle()
            second = self.commit(self.machine("a"), self.machine("b"))
            started = time.monotonic()
            service.ask("trigger")
            service.wait_log("vm/b: define the machine ...")
            lab.figure(f"from commit to the first action {time.monotonic() - started:.2f} s ({os.path.basename(os.path.dirname(lab.binary()))}, load {os.getloadavg()[0]:.0f})")
            service.wait_log(f"vm/b: define the machine: done", timeout=20)
            self.assertIn(f"[{second[:12]}]", service.log())
            service.settle()
            owner = next(each["owner"] for each in hv.reconcile("status", "-o", "json", check=0).json()["domains"] if each["name"] == "b")
            self.assertEqual(owner["revision"], second)
            runs = hv.reconcile("history", "--state-dir", hv.path("state/service"), "-o", "json", check=0).json()["runs"]
            self.assertEqual(runs[0]["revision"], second)

            # A revision is applied whole or not at all.
            self.repository.write("vms/broken.yaml", "kind: [")
            broken = self.repository.commit()
            service.ask("trigger")
            state = service.wait_state(lambda state: state["sourceError"])
            self.assertEqual(state["revision"], second)
            self.assertIn("broken.yaml", state["sourceError"])
            self.assertIn(f"[{broken[:12]}]", service.log())

            # The server is lost: what is in force goes on.
            os.rename(hv.path("repository"), hv.path("elsewhere"))
            service.ask("trigger")
            service.wait_state(lambda state: state["sourceError"] and "broken.yaml" not in state["sourceError"])
            hv.domain("b").undefine()
            wait_for(lambda: "b" in [each.name() for each in hv.conn.listAllDomains()], service.log)
            os.rename(hv.path("elsewhere"), hv.path("repository"))
            os.unlink(hv.path("repository/vms/broken.yaml"))
            last = self.repository.commit()
            service.ask("trigger")
            service.wait_state(lambda state: state["revision"] == last and not state["sourceError"])

    def test_an_unrelated_history_deletes_nothing(self):
        """Not even what one run might delete; the next commit that follows from it may."""
        hv = self.hv
        self.commit(*[self.machine(f"m{n}") for n in range(4)])
        with self.service(source=self.config(), prune={"enabled": True, "limit": 30}) as service:
            wait_for(lambda: len(hv.conn.listAllDomains()) == 4, service.log)
            service.settle()
            self.repository.git("checkout", "-q", "--orphan", "other")
            unrelated = self.commit(*[self.machine(f"m{n}") for n in range(3)])
            self.repository.git("branch", "-M", "other", "main")
            service.ask("trigger")
            service.wait_state(lambda state: state["revision"] == unrelated)
            service.settle()
            service.ask("trigger")  # it is read again, and is still the same
            service.settle()
            service.reload(source=self.config(), prune={"enabled": True, "limit": 100})
            service.settle()
            self.assertEqual(len(hv.conn.listAllDomains()), 4)
        with self.service(source=self.config(), prune={"enabled": True, "limit": 30}) as service:
            service.wait_state(lambda state: state["revision"] == unrelated and state["passes"] >= 1)
            service.settle()
            self.assertEqual(len(hv.conn.listAllDomains()), 4)
            follows = self.commit(*[self.machine(f"m{n}", title="new") for n in range(3)])
            service.ask("trigger")
            wait_for(lambda: len(hv.conn.listAllDomains()) == 3, service.log)
            self.repository.git("checkout", "-q", "--orphan", "third")
            self.commit(*[self.machine(f"m{n}") for n in range(4)])
            self.repository.git("branch", "-M", "third", "main")
            service.ask("trigger")
            wait_for(lambda: len(hv.conn.listAllDomains()) == 4, service.log)
            self.repository.git("reset", "-q", "--hard", follows)  # and back
            service.ask("trigger")
            service.wait_state(lambda state: state["revision"] == follows)
            service.settle()
        with self.service(source=self.config(), prune={"enabled": True, "limit": 100}) as service:
            service.wait_state(lambda state: state["revision"] == follows and state["passes"] >= 1)
            service.settle()
            self.assertEqual(len(hv.conn.listAllDomains()), 4)

    def test_no_commit_deletes_beyond_the_budget(self):
        hv = self.hv
        self.commit(*[self.machine(f"m{n}") for n in range(4)])
        with self.service(source=self.config(), prune={"enabled": True, "limit": 30}) as service:
            wait_for(lambda: len(hv.conn.listAllDomains()) == 4, service.log)
            service.settle()
            self.commit(self.machine("m0"))
            service.ask("trigger")
            service.wait_log("this run would delete 3 of the 4 machines")
            self.assertEqual(len(hv.conn.listAllDomains()), 4)

    def test_only_signed_commits(self):
        hv = self.hv
        key, signers = hv.path("signer"), hv.path("allowed_signers")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with open(key + ".pub", encoding="utf-8") as public, open(signers, "w", encoding="utf-8") as file:
            file.write("ann@example.org " + public.read())
        for setting in (("gpg.format", "ssh"), ("user.signingkey", key)):
            self.repository.git("config", *setting)
        first = self.commit(self.machine("a"), options=("-S",))
        source = self.config(signatures={"require": "all", "allowedSigners": signers})
        with self.service(source=source) as service:
            service.wait_state(lambda state: state["revision"] == first and state["passes"] > 1)
            service.settle()
            self.assertIn("which commit was checked last isn't known", service.log())
        # While nobody looked: an unsigned commit, and a signed one on top of it.
        self.commit(self.machine("a"), self.machine("b"), options=("--no-gpg-sign",))
        self.commit(self.machine("a"), self.machine("b"), self.machine("c"), options=("-S",))
        with self.service(source=source) as service:
            service.wait_state(lambda state: state["sourceError"])
            self.assertEqual([each.name() for each in hv.conn.listAllDomains()], ["a"])
            single = hv.reconcile("--dry-run", "--config", service.config_path, check=1)
            self.assertIn("sign", single.stderr)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
