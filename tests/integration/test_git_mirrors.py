#!/usr/bin/python3
"""Mirrors of git repositories: damaged, half-made, used by several, full."""

import fcntl
import glob
import json
import os
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import git_lab  # noqa: E402
import lab  # noqa: E402
from git_lab import vm  # noqa: E402


class Mirrors(git_lab.TestCase):
    def test_one_for_each_repository(self):
        other = git_lab.Repository(self.path("other"))
        other.write("b.yaml", vm("b"))
        other.commit()
        self.good()
        self.good(url=other.url)
        self.good(ref="main", path="vms")
        self.assertEqual(len(os.listdir(self.path("mirrors"))), 2)

    def damage_and_update(self, damage):
        self.repository.git("tag", "-a", "-m", "tag", "v1")
        self.repository.write("vms/more.yaml", vm("more"))
        tip = self.repository.commit()
        self.good()
        damage(self.mirror())
        reply = self.good()
        self.assertEqual((reply["commit"], len(reply["objects"])), (tip, 2))
        self.assertEqual(sorted(os.listdir(os.path.dirname(self.mirror()))), ["lock", "repository.git"])
        subprocess.run(["git", "fsck", "--full", "--strict"], cwd=self.mirror(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def test_a_truncated_pack(self):
        def damage(mirror):
            for pack in glob.glob(mirror + "/objects/pack/*.pack"):
                os.chmod(pack, 0o600)
                os.truncate(pack, os.path.getsize(pack) // 2)
        self.damage_and_update(damage)

    def test_a_garbled_pack(self):
        def damage(mirror):
            (pack,) = glob.glob(mirror + "/objects/pack/*.pack")
            os.chmod(pack, 0o600)
            with open(pack, "r+b") as file:
                file.seek(12)
                file.write(b"garbage" * (os.path.getsize(pack) // 7))
        self.damage_and_update(damage)

    def test_a_pack_that_is_gone(self):
        self.damage_and_update(lambda mirror: [os.unlink(name) for name in glob.glob(mirror + "/objects/pack/*")])

    def test_a_garbled_index(self):
        def damage(mirror):
            (index,) = glob.glob(mirror + "/objects/pack/*.idx")
            os.chmod(index, 0o600)
            with open(index, "wb") as file:
                file.write(b"garbage")
        self.damage_and_update(damage)

    def test_garbage_refs(self):
        def damage(mirror):
            for name in ("refs/heads/main", "packed-refs", "HEAD"):
                with open(os.path.join(mirror, name), "w", encoding="utf-8") as file:
                    file.write("garbage\n")
        self.damage_and_update(damage)

    def test_a_lock_that_was_left_on_a_ref(self):
        def damage(mirror):
            self.repository.git("tag", "later")
            open(os.path.join(mirror, "refs/tags/later.lock"), "w", encoding="utf-8").close()
            open(os.path.join(mirror, "packed-refs.lock"), "w", encoding="utf-8").close()
        self.damage_and_update(damage)

    def test_no_repository_at_all(self):
        self.damage_and_update(shutil.rmtree)

        def make_a_file(mirror):
            shutil.rmtree(mirror)
            open(mirror, "w", encoding="utf-8").close()
        self.good()
        make_a_file(self.mirror())
        self.good()

    def test_a_garbled_configuration(self):
        def damage(mirror):
            with open(os.path.join(mirror, "config"), "w", encoding="utf-8") as file:
                file.write("[garbage")
        self.damage_and_update(damage)

    def test_a_mirror_stays_when_it_can_not_be_made_anew(self):
        self.good()
        mirror = self.mirror()
        with open(os.path.join(mirror, "HEAD"), "w", encoding="utf-8") as file:
            file.write("garbage")
        os.rename(self.repository.path, self.path("away"))
        self.assertIn("can't be fetched", self.bad("update"))
        self.assertTrue(glob.glob(mirror + "/objects/pack/*.pack"))
        os.rename(self.path("away"), self.repository.path)
        self.good()

    def test_what_is_corrupt_at_the_other_end_is_an_error(self):
        self.good()
        tip = self.repository.commit("on")
        name = os.path.join(self.repository.path, ".git/objects", tip[:2], tip[2:])
        os.unlink(name)
        self.bad("update")
        self.good("read", revision=self.first)

    def test_packs_are_united(self):
        """Each update brings one; what no branch leads to any more is kept."""
        self.repository.git("tag", "-a", "-m", "tag", "v1")
        lost = self.repository.commit("lost")
        self.good()
        self.repository.git("reset", "-q", "--hard", self.first)
        for number in range(51):
            tip = self.repository.commit(str(number))
            self.good("update-here")
        packs = glob.glob(self.mirror() + "/objects/pack/*.pack")
        self.assertLess(len(packs), 5)
        self.assertEqual(self.good()["commit"], tip)
        self.good("read", revision=lost)
        subprocess.run(["git", "fsck", "--full"], cwd=self.mirror(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def test_what_an_interrupted_update_left_is_removed(self):
        self.good()
        left = self.mirror() + "/objects/pack/pack_git2_abc"
        open(left, "w", encoding="utf-8").close()
        self.good()
        self.assertFalse(os.path.exists(left))

    def test_a_full_disk(self):
        if subprocess.run(["unshare", "-m", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            self.skipTest("needs to mount a small file system")
        self.repository.write("large", os.urandom(3_000_000))
        tip = self.repository.commit()
        os.mkdir(self.path("mirrors"))
        script = f"mount -t tmpfs -o size=1m none {self.path('mirrors')} && exec {git_lab.PROBE} update"
        process = subprocess.run(["unshare", "-m", "sh", "-c", script], input=json.dumps(self.source()).encode(), stdout=subprocess.PIPE,
                                 check=False)
        self.assertRegex(json.loads(process.stdout)["error"], "space|ended by")
        self.assertEqual(self.good()["commit"], tip)

    def test_killed_at_each_place(self):
        """Of the process that fetches; whoever waits for it says so, and the next update is good."""
        log = self.path("passed")
        self.good()
        self.damage()
        self.good(env={"RECONCILE_FAULT_LOG": log})
        if not os.path.exists(log):
            self.skipTest("built without RECONCILE_FAULTS")
        with open(log, encoding="utf-8") as file:
            places = len(file.readlines())
        self.assertGreaterEqual(places, 3)
        for place in range(1, places + 1):
            with self.subTest(place):
                self.damage()
                self.assertIn("ended by signal 9", self.bad(env={"RECONCILE_FAULT_AT": str(place)}))
                self.good()
                self.assertEqual(sorted(os.listdir(os.path.dirname(self.mirror()))), ["lock", "repository.git"])

    def damage(self):
        os.unlink(self.mirror() + "/HEAD")

    def test_two_at_once(self):
        probes = [self.start_probe() for _ in range(4)]
        replies = [self.reply(probe, probe.communicate(timeout=60)) for probe in probes]
        self.assertEqual([reply.get("commit") for reply in replies], [self.first] * 4, replies)

    def test_another_that_never_ends_is_named(self):
        self.good()
        lock = os.path.join(os.path.dirname(self.mirror()), "lock")
        holder = subprocess.Popen([sys.executable, "-c", f"""
import fcntl, struct, time
file = open({lock!r}, "r+b")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print(flush=True)
time.sleep(60)
"""], stdout=subprocess.PIPE)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        holder.stdout.readline()
        message = self.bad("update", silence=1)
        self.assertIn("is in use by process", message)

    def test_it_ends_with_who_started_it(self):
        self.good()
        lock = os.path.join(os.path.dirname(self.mirror()), "lock")
        with open(lock, "r+b") as file:
            fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            probe = self.start_probe("update")
            children = self.children_of(probe.pid)
            probe.send_signal(signal.SIGKILL)
            probe.communicate()
            self.assert_gone(children)

    def children_of(self, pid):
        for _ in range(400):
            found = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, check=False, text=True).stdout.split()
            if found:
                return [int(child) for child in found]
            signal.sigtimedwait([], 0.025)
        raise AssertionError("no child")

    def assert_gone(self, pids):
        for _ in range(400):
            if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
                return
            signal.sigtimedwait([], 0.025)
        self.fail(f"still there: {pids}")


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    lab.main()
