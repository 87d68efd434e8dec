#!/usr/bin/python3
"""Signed commits and tags, by SSH and OpenPGP keys: what is refused, and that the refusal names it."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import git_lab  # noqa: E402
import lab  # noqa: E402
from git_lab import vm  # noqa: E402


class Signed(git_lab.TestCase):
    """What both kinds of keys have in common: configure(key) makes git sign by it, allow() gives what trusts the first."""

    def setUp(self):
        super().setUp()
        self.make_keys()

    def sign(self, *arguments, key="ann", **options):
        self.configure(key)
        return self.repository.commit(*(arguments or ("signed",)), "-S", **options)

    def assert_refused(self, reply_words, **source):
        message = self.bad("update", "verify", "read", **{"signatures": "tip", **self.allow(), **source})
        self.assertIn(reply_words, message)

    def assert_accepted(self, **source):
        return self.good(**{"signatures": "tip", **self.allow(), **source})


class Rules:
    """The same for both kinds."""

    def test_a_signed_tip(self):
        tip = self.sign()
        self.assertEqual(self.assert_accepted()["commit"], tip)
        self.assert_accepted(signatures="all")

    def test_no_signature(self):
        tip = self.repository.commit("unsigned")
        self.assert_refused(f"commit {tip} isn't signed")
        self.assert_refused(f"commit {tip} isn't signed", signatures="all")

    def test_the_last_good_one_stays(self):
        good = self.sign()
        self.assert_accepted()
        self.repository.commit("unsigned")
        self.assert_refused("isn't signed", lastApplied=good)
        self.good("verify", "read", signatures="tip", revision=good, **self.allow())

    def test_somebody_who_is_not_allowed(self):
        tip = self.sign(key="eve")
        self.assert_refused(f"commit {tip} is refused")

    def test_a_signature_of_something_else(self):
        """A good signature, taken from one commit and put on another."""
        signed = self.sign()
        text = self.repository.git("cat-file", "commit", signed)
        forged = self.forge(text.replace("\n\nsigned", "\n\nforged"))
        self.assert_refused(f"commit {forged} is refused")

    def test_a_garbled_signature(self):
        text = self.repository.git("cat-file", "commit", self.sign())
        lines = text.split("\n")
        place = next(number for number, line in enumerate(lines) if line.startswith("gpgsig ")) + 3
        lines[place] = " " + "A" * (len(lines[place]) - 1)
        self.forge("\n".join(lines))
        self.assert_refused("is refused")

    def test_a_signature_that_is_none(self):
        text = self.repository.git("cat-file", "commit", self.repository.commit("x"))
        head, _, message = text.partition("\n\n")
        for signature, words in ((f"-----BEGIN {self.kind} SIGNATURE-----", "is refused"), ("-----BEGIN SIGNED MESSAGE-----\n x", "neither SSH's nor OpenPGP's"),
                                 ("-----BEGIN PGP MESSAGE-----\n x", "neither"), ("x", "neither")):
            with self.subTest(signature):
                self.forge(f"{head}\ngpgsig {signature}\n\n{message}")
                self.assert_refused(words)

    def forge(self, text):
        forged = self.repository.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", input=(text + "\n").encode())
        self.repository.git("reset", "-q", "--hard", forged)
        return forged

    def test_each_commit_since_the_last_applied(self):
        start = self.sign()
        self.assert_accepted(signatures="all", lastApplied=start)
        unsigned = self.repository.commit("unsigned")
        self.sign()
        self.assert_accepted(lastApplied=start)
        self.assert_refused(f"commit {unsigned} isn't signed", signatures="all", lastApplied=start)
        self.assert_accepted(signatures="all", lastApplied=unsigned)

    def test_a_merged_branch_counts(self):
        start = self.sign()
        self.repository.git("checkout", "-q", "-b", "side")
        self.repository.write("vms/side.yaml", vm("side"))
        unsigned = self.repository.commit("unsigned")
        self.repository.git("checkout", "-q", "main")
        self.sign()
        self.repository.git("merge", "-q", "-S", "-m", "merge", "side")
        self.assert_refused(f"commit {unsigned} isn't signed", signatures="all", lastApplied=start)

    def test_applied_before_signatures_were_asked_for(self):
        self.assert_refused("isn't signed", signatures="all", lastApplied=self.first)

    def test_rewritten_history(self):
        """Signed, but not what follows: an old commit, or another history."""
        old = self.sign("old")
        new = self.sign("new")
        self.assert_accepted(signatures="all", lastApplied=old)
        self.repository.git("reset", "-q", "--hard", old)
        self.assert_refused("doesn't follow from", signatures="all", lastApplied=new)
        self.assertIn("goes back", str(self.assert_accepted(lastApplied=new)["diagnostics"]))
        self.assert_accepted(signatures="all", lastApplied=new, ref=old)
        self.repository.git("checkout", "-q", "--orphan", "other")
        other = self.sign("other")
        self.repository.git("branch", "-M", "other", "main")
        self.assert_refused("doesn't follow from", signatures="all", lastApplied=new)
        self.assert_refused("doesn't follow from", signatures="all", lastApplied="1" * 40)
        self.assert_accepted(signatures="all", lastApplied=new, ref=other)

    def test_a_signed_tag_on_an_unsigned_commit(self):
        self.repository.commit("unsigned")
        self.configure("ann")
        self.repository.git("tag", "-s", "-m", "release", "v1")
        self.assert_accepted(ref="v1")
        self.assert_accepted(ref="refs/tags/v1")
        self.assert_refused("isn't signed", ref="main")
        self.configure("eve")
        self.repository.git("tag", "-s", "-m", "release", "v2")
        self.assert_refused("tag v2 is refused", ref="v2")

    def test_an_unsigned_tag_on_a_signed_commit(self):
        self.sign()
        self.repository.git("tag", "-a", "--no-sign", "-m", "release", "v1")
        self.assert_accepted(ref="v1")
        self.repository.git("tag", "light")
        self.assert_accepted(ref="light")

    def test_a_badly_signed_tag_on_a_signed_commit(self):
        self.sign()
        self.configure("eve")
        self.repository.git("tag", "-s", "-m", "release", "v1")
        self.assert_refused("tag v1 is refused", ref="v1")
        self.assert_refused("tag v1 is refused", ref="v1", signatures="all", lastApplied=self.first)

    def test_a_tag_under_another_name(self):
        self.configure("ann")
        self.repository.git("tag", "-s", "-m", "release", "v1")
        self.repository.commit("unsigned")
        self.repository.git("update-ref", "refs/tags/v2", self.repository.git("rev-parse", "v1"))
        self.assert_refused("a tag with another name", ref="v2")

    def test_a_signature_in_the_words_of_a_tag(self):
        """Text before a good signature is part of what is signed."""
        self.configure("ann")
        self.repository.git("tag", "-s", "-m", f"-----BEGIN {self.kind} SIGNATURE-----\nx", "v1")
        self.assert_accepted(ref="v1")

    def test_no_trust_is_configured(self):
        self.sign()
        other = {"keyring": None, "allowedSigners": None}
        self.assertIn("nobody's are known", self.bad(signatures="tip"))
        other["keyring" if self.kind == "SSH" else "allowedSigners"] = self.write("other", "")
        self.assertIn("and there is no", self.bad(signatures="tip", **other))

    def test_a_missing_file_of_trust(self):
        self.sign()
        (key,) = self.allow()
        self.assert_refused("is refused", **{key: self.path("nothing")})

    def test_without_the_program(self):
        self.sign()
        os.mkdir(self.path("bin"))
        message = self.probe("update", "verify", signatures="tip", env={"PATH": self.path("bin")}, **self.allow())["error"]
        self.assertIn("no such program is installed", message)


class SshSigned(Rules, Signed):
    kind = "SSH"

    def make_keys(self):
        for name in ("ann", "eve"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.path(name)], check=True)
        self.signers("signers", 'ann@example.org namespaces="git"')

    def signers(self, name, before, key="ann"):
        with open(self.path(key + ".pub"), encoding="utf-8") as file:
            return self.write(name, f"{before} {file.read()}")

    def allow(self):
        return {"allowedSigners": self.path("signers")}

    def configure(self, key):
        for name, value in (("gpg.format", "ssh"), ("user.signingKey", self.path(key + ".pub"))):
            self.repository.git("config", name, value)

    def test_a_key_that_is_not_valid_any_more(self):
        self.sign()
        self.assert_refused("is refused", allowedSigners=self.signers("old", 'ann@example.org valid-before="20200101"'))
        self.assert_refused("is refused", allowedSigners=self.signers("early", 'ann@example.org valid-after="20900101"'))
        self.assert_accepted(allowedSigners=self.signers("now", 'ann@example.org valid-after="20200101",valid-before="20900101"'))

    def test_a_key_for_another_purpose(self):
        self.sign()
        self.assert_refused("is refused", allowedSigners=self.signers("file", 'ann@example.org namespaces="file"'))

    def test_several_signers(self):
        self.sign()
        with open(self.path("eve.pub"), encoding="utf-8") as eve, open(self.path("ann.pub"), encoding="utf-8") as ann:
            both = self.write("both", f"# people\neve@example.org {eve.read()}ann@example.org,a@b {ann.read()}")
        self.assert_accepted(allowedSigners=both)
        self.sign(key="eve")
        self.assert_accepted(allowedSigners=both)

    def test_a_signature_for_another_purpose(self):
        """ssh-keygen signs files too: such a signature isn't one of a commit."""
        text = self.repository.git("cat-file", "commit", self.repository.commit("x")) + "\n"
        signature = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", self.path("ann"), "-n", "file"], input=text.encode(), check=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode().strip()
        head, _, message = text.rstrip("\n").partition("\n\n")
        self.forge(head + "\ngpgsig " + signature.replace("\n", "\n ") + "\n\n" + message)
        self.assert_refused("is refused", allowedSigners=self.signers("any", "ann@example.org"))


class PgpSigned(Rules, Signed):
    kind = "PGP"
    keys = None

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="rg-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.home, True)
        cls.addClassCleanup(subprocess.run, ["gpgconf", "--homedir", cls.home, "--kill", "all"], check=False)
        for name in ("ann", "eve", "late"):
            cls.gpg("--faked-system-time", "20190101T000000", "--quick-gen-key", f"{name}@example.org", "ed25519", "sign",
                    "20200101T000000" if name == "late" else "0")

    @classmethod
    def gpg(cls, *arguments, **options):
        return subprocess.run(["gpg", "--homedir", cls.home, "--batch", "--quiet", "--no-tty", "--passphrase", "", *arguments], check=True,
                              stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, **options).stdout

    def make_keys(self):
        self.keyring("keyring", "ann")

    def keyring(self, name, *keys):
        with open(self.path(name), "wb") as file:
            file.write(self.gpg("--export", *(key + "@example.org" for key in keys)))
        return self.path(name)

    def allow(self):
        return {"keyring": self.path("keyring")}

    def configure(self, key, *options):
        program = self.write("gpg", f'#!/bin/sh\nexec gpg --homedir {self.home} --batch --no-tty --passphrase "" {" ".join(options)} "$@"\n')
        os.chmod(program, 0o755)
        for name, value in (("gpg.format", "openpgp"), ("gpg.program", program), ("user.signingKey", f"{key}@example.org")):
            self.repository.git("config", name, value)

    def test_an_expired_key(self):
        self.configure("late", "--faked-system-time", "20190601T000000")
        tip = self.repository.commit("x", "-S")
        self.assert_refused(f"commit {tip} is refused: the OpenPGP key of its signature has expired", keyring=self.keyring("late", "late"))

    def test_an_expired_signature(self):
        self.configure("ann", "--faked-system-time", "20200601T000000", "--default-sig-expire", "1d")
        self.repository.commit("x", "-S")
        self.assert_refused("is refused: its OpenPGP signature has expired")

    def test_a_revoked_key(self):
        self.gpg("--quick-gen-key", "gone@example.org", "ed25519", "sign", "0")
        tip = self.sign(key="gone")
        self.assert_accepted(keyring=self.keyring("gone", "gone"))
        (fingerprint,) = [line.split(":")[9] for line in self.gpg("--with-colons", "--list-keys", "gone@example.org").decode().split("\n")
                          if line.startswith("fpr")]
        with open(os.path.join(self.home, "openpgp-revocs.d", fingerprint + ".rev"), encoding="utf-8") as file:
            certificate = file.read().replace(":-----BEGIN", "-----BEGIN")
        self.gpg("--import", input=certificate.encode())
        self.assert_refused(f"commit {tip} is refused: the OpenPGP key of its signature is revoked", keyring=self.keyring("gone", "gone"))

    def test_an_armored_keyring(self):
        self.sign()
        with open(self.path("armored"), "wb") as file:
            file.write(self.gpg("--armor", "--export", "ann@example.org"))
        self.assert_refused("gpg --dearmor", keyring=self.path("armored"))

    def test_a_keyring_as_gpg_keeps_it(self):
        self.sign()
        self.assert_accepted(keyring=os.path.join(self.home, "pubring.kbx"))


del Signed  # not to be run for itself


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    if not shutil.which("gpg") or not shutil.which("gpgv"):
        lab.skip_all("no gpg and gpgv: run scripts/install-packages test")
    unittest.TestCase.maxDiff = None
    lab.main()
