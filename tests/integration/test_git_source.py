#!/usr/bin/python3
"""Git repositories as a source: which commit a name leads to, and what is read of its tree; no network."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import git_lab  # noqa: E402
import lab  # noqa: E402
from git_lab import vm  # noqa: E402


class Refs(git_lab.TestCase):
    def test_head_branch_tag_and_commit(self):
        repository = self.repository
        repository.git("tag", "light")
        repository.git("tag", "-a", "-m", "annotated", "heavy")
        repository.git("checkout", "-q", "-b", "side/branch")
        repository.write("vms/side.yaml", vm("side"))
        side = repository.commit()
        repository.git("checkout", "-q", "main")
        repository.write("vms/db.yaml", vm("db"))
        tip = repository.commit()
        for ref, commit in ((None, tip), ("main", tip), ("refs/heads/main", tip), ("light", self.first), ("heavy", self.first),
                            ("refs/tags/heavy", self.first), ("side/branch", side), (self.first, self.first), (side, side)):
            with self.subTest(ref):
                reply = self.good(ref=ref)
                self.assertEqual(reply["commit"], commit)
                objects = {self.first: ["vm/web"], tip: ["vm/db", "vm/web"], side: ["vm/side", "vm/web"]}[commit]
                self.assertEqual([o.split(" at ")[0] for o in reply["objects"]], objects)

    def test_a_branch_that_is_also_a_tag_is_refused(self):
        self.repository.git("tag", "main")
        self.assertIn("refs/heads/main or refs/tags/main", self.bad(ref="main"))
        self.good(ref="refs/heads/main")

    def test_a_branch_named_like_a_commit_does_not_count(self):
        other = self.repository.commit("other")
        self.repository.git("update-ref", f"refs/heads/{self.first}", other)
        self.assertEqual(self.good(ref=self.first)["commit"], self.first)

    def test_what_is_not_there(self):
        self.repository.git("tag", "blob", self.repository.git("hash-object", "-w", "vms/web.yaml"))
        for ref, words in (("nope", "no branch or tag nope"), (self.first[:12], "all 40 digits"), ("0" * 39 + "1", "leads to commit"),
                           ("blob", "is no commit")):
            with self.subTest(ref):
                self.assertIn(words, self.bad(ref=ref))

    def test_a_detached_head(self):
        self.repository.git("checkout", "-q", "--detach")
        tip = self.repository.commit("only HEAD leads here")
        self.assertEqual(self.good()["commit"], tip)

    def test_other_refs_by_their_whole_name(self):
        self.repository.git("update-ref", "refs/pull/1/head", self.first)
        self.repository.commit("on")
        self.assertEqual(self.good(ref="refs/pull/1/head")["commit"], self.first)

    def test_a_commit_that_stays_known(self):
        """One that was fetched can be had again when the branch has left it."""
        lost = self.repository.commit("lost")
        self.good()
        self.repository.git("reset", "-q", "--hard", self.first)
        self.assertEqual(self.good(ref=lost)["commit"], lost)

    def test_nothing_leaks(self):
        """An update in the probe's own process, where the sanitizer looks."""
        self.repository.git("tag", "-a", "-m", "tag", "v1")
        for ref in ("main", "v1", None):
            self.good("update-here", "read", ref=ref)
        self.bad("update-here", ref="nope")
        self.good("update-here", "verify", "read", lastApplied=self.first)

    def test_updates_follow(self):
        self.good()
        for name in ("b", "c"):
            self.repository.write(f"vms/{name}.yaml", vm(name))
            tip = self.repository.commit()
            reply = self.good()
            self.assertEqual((reply["commit"], len(reply["objects"])), (tip, ord(name) - ord("a") + 1))

    def test_a_branch_in_the_way_of_another(self):
        self.repository.git("branch", "a")
        self.good(ref="a")
        self.repository.git("branch", "-D", "a")
        self.repository.git("branch", "a/b")
        self.good(ref="a/b")
        self.assertIn("no branch or tag a ", self.bad(ref="a"))

    def test_a_deleted_branch_is_an_error_and_its_commit_stays(self):
        self.repository.git("branch", "prod")
        self.good(ref="prod")
        self.repository.git("branch", "-D", "prod")
        self.repository.commit("on")
        self.assertIn("no branch or tag prod (any more)", self.bad(ref="prod"))
        self.good("read", ref="prod", revision=self.first)

    def test_force_push_is_followed_and_reported(self):
        self.good()
        self.repository.git("checkout", "-q", "--orphan", "new")
        self.repository.write("vms/db.yaml", vm("db"))
        tip = self.repository.commit("unrelated")
        self.repository.git("branch", "-M", "new", "main")
        reply = self.good(lastApplied=self.first)
        self.assertEqual(reply["commit"], tip)
        self.assertIn("the history was rewritten, or goes back", reply["diagnostics"][0])
        self.assertEqual(self.good(lastApplied=tip)["diagnostics"], [])
        after = self.repository.commit("on")
        self.assertEqual(self.good(lastApplied=tip)["diagnostics"], [])
        self.assertEqual(self.good(lastApplied="1" * 40)["commit"], after)

    def test_an_empty_repository(self):
        empty = git_lab.Repository(self.path("empty"))
        self.assertIn("has no commits", self.bad(url=empty.url))

    def test_addresses_that_are_refused(self):
        for url, words in (("https://user:secret@localhost/x", "holds a password"), ("https://localhost/x?token=secret", "holds a password"),
                           ("git://localhost/x", "use https"), ("ext::sh -c touch", "use https"), ("ssh://-oProxyCommand=x/y", "names no host"),
                           ("-x@host:y", "write it as"), ("http://example.org/x", "use https, or ask for signatures"),
                           ("file://elsewhere/x", "names no host"), ("", "no git repository"), ("ssh://host", "names no path")):
            with self.subTest(url):
                message = self.bad(url=url)
                self.assertIn(words, message)
                self.assertNotIn("secret", message)
        self.assertFalse(os.path.exists(self.path("mirrors")))
        for ref in ("-x", "a b", "a..b", "x:y", "", "a\nb"):
            self.assertIn("can't be a branch", self.bad(ref=ref))
        for path in ("/vms", "../vms", "vms/", "", "./vms", "a//b"):
            self.assertIn("isn't a path inside a repository", self.bad(path=path))
        self.assertIn("a token isn't sent unencrypted", self.bad(url="http://example.org/x", tokenFile="/x", signatures="all", keyring="/x"))


class Trees(git_lab.TestCase):
    """The same rules as for a directory: each of these is read both ways."""

    def both(self, path=None):
        """Status and messages of the directory and of its commit; they are the same but for the place."""
        top = self.repository.path
        self.repository.commit()
        results = []
        for source in (os.path.join(top, path or ""), self.repository.url + (f"#main:{path}" if path else "")):
            result = lab.reconcile("validate", "-v", source, env={**os.environ, "XDG_STATE_HOME": self.path("state")})
            text = re.sub(r"^Valid: .*$|^reconcile: .*: (?=nothing )", "", result.stdout + result.stderr, flags=re.MULTILINE)
            results.append((result.status, text.replace(top + "/", "")))
        self.assertEqual(*results)
        return results[0]

    def assert_error(self, words, path=None):
        status, text = self.both(path)
        self.assertEqual(status, 1, text)
        self.assertIn(words, text)

    def assert_names(self, *names, path=None):
        status, text = self.both(path)
        self.assertEqual(status, 0, text)
        self.assertEqual(re.findall(r"^vm/(\S+)", text, re.MULTILINE), list(names))

    def test_which_files_count(self):
        for name in ("b.yml", "deep/er/c.yaml", ".hidden.yaml", ".dir/d.yaml", "e.yaml~", "#f.yaml", "g.yaml.orig", "h.json", "yaml"):
            self.repository.write(name, vm(os.path.basename(name)[0].replace(".", "x").replace("#", "x")))
        self.assert_names("b", "c", "web")

    def test_a_part_of_the_repository(self):
        self.repository.write("other/broken.yaml", "no: [yaml")
        self.repository.write("vms/deep/db.yaml", vm("db"))
        self.assert_names("db", "web", path="vms")
        self.assert_names("db", path="vms/deep")
        self.assert_names("db", path="vms/deep/db.yaml")
        self.repository.link("vms", "prod")
        self.repository.link("../deep/db.yaml", "vms/deep/again.yaml")
        self.assert_names("db", "web", path="prod")
        self.assert_names("db", path="prod/deep")

    def test_an_empty_file(self):
        self.repository.write("vms/empty.yaml", " \n")
        self.assert_error("empty.yaml: error: is empty")

    def test_nothing_declared(self):
        self.repository.remove("vms")
        self.repository.write("README", "gone")
        self.assert_error("nothing declared")
        self.repository.write("vms/profile.yaml", "apiVersion: reconcile/v1\nkind: Profile\nmetadata: {name: p}\nspec: {}\n")
        self.assert_error("nothing declared")

    def test_one_bad_file_and_one_twice(self):
        self.repository.write("vms/bad.yaml", "kind: [\n")
        self.repository.write("vms/again.yaml", vm("web"))
        status, text = self.both()
        self.assertEqual(status, 1)
        self.assertIn("bad.yaml:2:1", text)
        self.assertIn('"web" is declared twice', text)

    def test_a_file_that_is_too_large(self):
        self.repository.write("vms/large.yaml", b"#" * (4 * 1024 * 1024 + 1))
        self.assert_error("large.yaml: error: is larger than 4194304 bytes")

    def test_a_directory_named_like_a_file(self):
        self.repository.write("vms/x.yaml/y", "")
        self.assert_error("x.yaml: error: is a directory, and its name is that of a file")

    def test_odd_names(self):
        for number, name in enumerate((b"a b.yaml", b"new\nline.yaml", b"\xff\xfe.yaml", "ü.yaml".encode(), b"-x.yaml", b"\\\\.yaml", b"%s%n.yaml",
                                       b"\x1b[31m.yaml")):
            self.repository.write(b"vms/" + name, vm(f"m{number}"))
        self.assert_names(*(f"m{n}" for n in range(8)), "web")
        self.repository.write(b"vms/\xff\xfe.yaml", "broken: [")
        self.assert_error(".yaml:2:1: error")

    def test_links_inside(self):
        self.repository.write("..data/a.yaml", vm("a"))
        self.repository.link("..data/a.yaml", "a.yaml")
        self.repository.link("a.yaml", "b.yaml")
        self.repository.link("vms", "again")
        self.repository.link("../vms", "vms/loop")
        self.repository.link("nowhere", "notes")
        self.repository.link("again/../vms/web.yaml", "c.yaml")
        self.assert_names("a", "web")

    def test_links_that_lead_nowhere_or_in_circles(self):
        self.repository.link("nowhere.yaml", "x.yaml")
        self.repository.link("loop", "loop")
        status, text = self.both_ends()
        self.assertIn("x.yaml: error: can't be read", text)
        self.repository.remove("x.yaml")
        self.repository.link("circle.yaml", "circle.yaml")
        status, text = self.both_ends()
        self.assertIn("circle.yaml: error: can't be read", text)
        self.assertEqual(status, 1)

    def both_ends(self):
        """As both(), where the words may differ: those of the git source."""
        self.repository.commit()
        here = lab.reconcile("validate", self.repository.path)
        there = lab.reconcile("validate", self.repository.url, env={**os.environ, "XDG_STATE_HOME": self.path("state")})
        self.assertEqual(here.status, there.status)
        return there.status, there.stderr

    def test_links_that_lead_out(self):
        self.repository.write("other/o.yaml", vm("other"))
        self.repository.write("other/README", "")
        self.repository.link("../other/README", "vms/README")
        self.assert_names("web", path="vms")
        for target in ("../other", "../other/o.yaml"):
            with self.subTest(target):
                self.repository.link(target, "vms/x.yaml" if target.endswith("yaml") else "vms/x")
                self.assert_error("is a link that leads out of the source directory", path="vms")
                self.repository.remove("vms/x.yaml" if target.endswith("yaml") else "vms/x")
        for target in ("/etc", "/etc/passwd", "../../../../../../../etc"):
            with self.subTest(target):
                self.repository.link(target, "vms/x")
                self.repository.commit()
                message = self.bad()
                self.assertIn("vms/x: error: is a link that leads out of the source directory", message)
                self.repository.remove("vms/x")

    def test_submodules(self):
        other = git_lab.Repository(self.path("other"))
        other.write("b.yaml", vm("b"))
        other.commit()
        self.repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", other.path, "sub")
        self.repository.commit()
        reply = self.good()
        self.assertEqual(reply["objects"], ["vm/web at vms/web.yaml:1:1"])
        self.assertEqual(reply["diagnostics"], ["sub: warning: is a submodule: what it holds isn't read"])
        self.assertIn("no directory or file sub", self.bad(path="sub"))
        self.repository.git("mv", "sub", "sub.yaml")
        self.repository.commit()
        self.assertIn("sub.yaml: error: is a directory", self.bad())

    def test_relative_paths_have_no_folder(self):
        self.repository.write("vms/image.yaml", "apiVersion: reconcile/v1\nkind: Image\nmetadata: {name: base}\nspec:\n  source: images/base.qcow2\n")
        self.repository.commit()
        message = self.bad()
        self.assertIn('vms/image.yaml:5:11: error: source: "images/base.qcow2" is relative', message)
        self.assertIn("give an absolute path of the host", message)
        self.repository.write("vms/image.yaml", "apiVersion: reconcile/v1\nkind: Image\nmetadata: {name: base}\nspec:\n  source: /srv/base.qcow2\n")
        self.repository.commit()
        self.good()

    def test_a_tree_that_pretends_to_be_billions_of_files(self):
        git = self.repository.git
        inner = git("hash-object", "-t", "tree", "-w", "--stdin", input=b"")
        for _ in range(5):  # wide rather than deep: each directory is looked up from the top
            inner = git("mktree", input="".join(f"040000 tree {inner}\td{i:02}\n" for i in range(100)).encode())
        git("update-ref", "refs/heads/main", git("commit-tree", "-m", "bomb", inner))
        self.assertIn("more than 200000 files", self.bad())

    def test_trees_that_are_too_deep(self):
        self.repository.write("/".join(["d"] * 80) + "/a.yaml", vm("a"))
        self.assert_error("nested deeper than 64")


class CommandLine(git_lab.TestCase):
    def validate(self, source, status=0, **options):
        env = {**os.environ, "XDG_STATE_HOME": self.path("state")}
        return lab.reconcile("validate", "-v", source, env=env, cwd=self.dir, check=status, **options)

    def test_ways_to_name_it(self):
        self.repository.git("tag", "v1")
        bare = self.path("bare.git")
        self.repository.git("clone", "-q", "--bare", self.repository.path, bare)
        for source in (bare, "bare.git", "./bare.git#v1", f"file://{bare}#main:vms", "bare.git#HEAD:vms/", f"{bare}#main:vms/web.yaml",
                       f"bare.git#{self.first}"):
            with self.subTest(source):
                self.assertIn("vms/web.yaml:1:1", self.validate(source).stdout)
        for source, words in (("bare.git#", "nothing is named after #"), ("bare.git#:vms", "nothing is named after #"),
                              ("bare.git#main:/vms", "isn't a path inside"), ("https://u:secret@example.org/x", "holds a password"),
                              ("nothere.git", "there is no such directory")):
            with self.subTest(source):
                stderr = self.validate(source, 1).stderr
                self.assertIn(words, stderr)
                self.assertNotIn("secret", stderr)

    def test_the_identity_is_the_same_from_everywhere(self):
        bare = self.path("bare.git")
        self.repository.git("clone", "-q", "--bare", self.repository.path, bare)
        env = {**os.environ, "XDG_STATE_HOME": self.path("state")}
        identities = {lab.reconcile("validate", "-o", "json", source, env=env, cwd=folder, check=0).json()["source"]
                      for source, folder in (("bare.git#main:vms", self.dir), ("../bare.git#main:vms/", self.repository.path),
                                             (bare + "#main:vms", "/"))}
        self.assertEqual(identities, {bare + "#main:vms"})

    def test_without_a_place_for_the_mirror(self):
        """A temporary one is made, and removed."""
        open(self.path("state"), "w", encoding="utf-8").close()
        os.mkdir(self.path("tmp"))
        env = {**os.environ, "XDG_STATE_HOME": self.path("state"), "TMPDIR": self.path("tmp")}
        lab.reconcile("validate", self.repository.url, env=env, check=0)
        self.assertEqual(os.listdir(self.path("tmp")), [])

    def test_the_users_own_git_configuration_is_not_read(self):
        os.mkdir(self.path("home"))
        with open(self.path("home/.gitconfig"), "w", encoding="utf-8") as file:
            file.write('[url "file:///nowhere"]\n\tinsteadOf = file://\n[garbage')
        env = {**os.environ, "XDG_STATE_HOME": self.path("state"), "HOME": self.path("home")}
        lab.reconcile("validate", self.repository.url, env=env, check=0)

    def test_a_repository_of_somebody_else(self):
        if os.getuid() != 0:
            self.skipTest("needs root to give files away")
        subprocess.run(["chown", "-R", "nobody", self.repository.path], check=True)
        self.validate(self.repository.url)


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    lab.main()
