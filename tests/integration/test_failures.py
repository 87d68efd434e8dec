#!/usr/bin/python3
"""What goes wrong around a run: each failure has a clear error and an exit status, loses
nothing, stops nobody else, and the next run goes on."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

MIB = 1 << 20


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(MIB), b""):
            digest.update(block)
    return digest.hexdigest()


class FailureCase(lab.TestCase):
    """After each test: no base image has changed, and nothing half-made is left."""

    tiny = True

    def tearDown(self):
        try:
            self.check_pools()
        finally:
            super().tearDown()

    def check_pools(self):
        for place, _, files in os.walk(self.hv.path("pools")):
            for name in files:
                self.assertFalse(name.endswith(".incomplete"), os.path.join(place, name))
                if name.startswith("sha256-"):
                    self.assertEqual(digest_of(os.path.join(place, name)), name[7:71], name)

    def specs(self):
        return self.hv.path("specs")

    def storage(self, image=None):
        self.hv.write("storage.yaml", self.hv.pool(), image or self.hv.image())

    def machine(self, name, **spec):
        self.hv.write(f"{name}.yaml", self.hv.vm(name, **{"powerState": "stopped", **spec}))

    def run_failing(self, *arguments, status=1):
        result = self.hv.reconcile("-o", "json", *arguments, self.specs(), check=status)
        return result, result.json()

    def error_of(self, document, name):
        return next(item.get("error") or "" for item in document["objects"] if item["name"] == name)

    def results(self, document, *kinds):
        """{object: message} of the actions that ended so."""
        objects = {action["id"]: action["object"] for action in document["actions"]}
        return {objects[r["id"]]: r.get("message") for r in document["results"] if r["result"] in kinds}

    def failures(self, document):
        return self.results(document, "failed")

    def in_sync(self):
        self.hv.apply(self.specs())
        self.assertEqual(self.hv.plan(self.specs(), status=0)["actions"], [])

    def names(self):
        return sorted(domain.name() for domain in self.hv.conn.listAllDomains())

    def pool_files(self, name="lab"):
        return sorted(os.listdir(self.hv.path("pools", name)))

    def big_image(self, size=96):
        """An image whose import takes a while: no zeros in it."""
        path = self.hv.path("guest", "big.raw")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                for _ in range(size):
                    file.write(os.urandom(MIB))
        return path


class Permissions(FailureCase):
    def test_journal_cannot_be_written(self):
        """What can't be written down isn't begun; a dry run needs no journal."""
        self.machine("a")
        path = self.hv.path("state", "file")
        with open(path, "w", encoding="utf-8") as file:
            file.write("not a directory")
        result = self.hv.reconcile("--state-dir", path, self.specs(), check=1)
        self.assertIn(path, result.stderr)
        self.assertEqual(self.names(), [])
        self.hv.reconcile("--dry-run", "--state-dir", path, self.specs(), check=2)

    def test_two_runs_at_once(self):
        """The second one that acts is refused; a dry run isn't."""
        self.machine("deaf", powerState="running", cmdline="ignorepower", shutdown={"timeout": "60s"})
        self.hv.apply(self.specs())
        self.hv.guest("deaf").wait_heartbeat()
        self.machine("deaf", cmdline="ignorepower", shutdown={"timeout": "60s"})
        first = self.hv.start_reconcile(self.specs())
        self.addCleanup(first.kill)
        self.hv.guest("deaf").wait_text("power button: ignored")
        self.assertIn(f"in use by process {first.pid}", self.hv.reconcile(self.specs(), check=1).stderr)
        self.hv.plan(self.specs(), status=2)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)

    def test_pool_directory_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("a directory of another user needs root")
        self.storage()
        self.machine("a", disks=[{"target": "vda", "image": "base"}])
        self.machine("b")
        self.hv.apply(self.hv.write("pool/pool.yaml", self.hv.pool()))
        os.remove(self.hv.path("specs", "pool", "pool.yaml"))
        directory = self.hv.path("pools", "lab")
        os.chown(directory, 0, 0)
        os.chmod(directory, 0o755)
        _, document = self.run_failing()
        failed = self.failures(document)
        self.assertEqual(list(failed), ["image/base"])
        self.assertIn("Permission denied", failed["image/base"])
        self.assertEqual(list(self.results(document, "skipped")), ["vm/a"])
        self.assertEqual(self.names(), ["b"])
        self.assertEqual(self.pool_files(), [])
        self.hv.give(directory)
        self.in_sync()
        self.assertEqual(self.names(), ["a", "b"])

    def test_no_hypervisor(self):
        self.machine("a")
        uri = self.hv.uri_template.format(socket=self.hv.path("run", "nobody-listens"))
        for run in ((), ("--dry-run",)):
            result = self.hv.reconcile("-c", uri, *run, self.specs(), check=1)
            self.assertRegex(result.stderr, "nobody-listens.*: start libvirtd, or virtqemud")

    def test_no_permission_for_the_hypervisor(self):
        if os.geteuid() != 0:
            self.skipTest("being somebody else needs root")
        self.machine("a")
        os.chmod(self.hv.socket, 0o600)
        somebody = {"user": 12345, "group": 12345, "extra_groups": []}
        result = self.hv.reconcile("--dry-run", self.specs(), check=1, **somebody)
        self.assertRegex(result.stderr, "Permission denied.*: be root, or in the group")


class ReadOnly(FailureCase):
    hypervisor = lab.SystemHypervisor

    def test_read_only_connection(self):
        self.machine("a")
        uri = self.hv.uri + "-ro"
        self.hv.reconcile("-c", uri, "--dry-run", self.specs(), check=2)
        result = self.hv.reconcile("-c", uri, self.specs(), check=1)
        self.assertIn("read only", (result.stdout + result.stderr).replace("-", " "))
        self.assertEqual(self.names(), [])
        self.in_sync()


    def test_dry_run_asks_for_no_more(self):
        """Where only the socket for readers is left, a dry run is what it was, and an apply is none."""
        self.machine("a")
        command = [*self.hv.inside(), lab.binary(), "-c", "qemu:///system"]
        os.rename(self.hv.socket, self.hv.socket + ".away")
        for options, status in ((["--dry-run"], 2), (["status"], 0), ([], 1)):
            arguments = [*command, *options, *([] if "status" in options else [self.specs()])]
            result = subprocess.run(arguments, env=self.hv.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(result.returncode, status, result.stdout)
        os.rename(self.hv.socket + ".away", self.hv.socket)
        self.assertEqual(self.names(), [])


class FullPool(FailureCase):
    def setUp(self):
        self.image = self.hv.image()
        self.storage(self.image)
        self.machine("a", disks=[{"target": "vda", "image": "base"}])
        self.machine("b")

    def enlarge(self):
        subprocess.run(["mount", "-o", "remount,size=64M", self.hv.path("pools", "lab")], check=True)

    def test_refused_up_front(self):
        self.hv.small_disk("lab", "8M")
        self.hv.apply(self.hv.write("pool/pool.yaml", self.hv.pool()))
        os.remove(self.hv.path("specs", "pool", "pool.yaml"))
        with lab.EventRecorder(self.hv.uri) as recorder:
            for run in ((), ("--dry-run",)):
                result, _ = self.run_failing(*run, status=3)
                self.assertIn("pool lab has 8", result.stderr)
                self.assertIn("make room", result.stderr)
            recorder.settle()
            self.assertEqual(recorder.events, [])
        self.assertEqual((self.names(), self.pool_files()), ([], []))
        self.enlarge()
        self.in_sync()

    def test_insisted(self):
        self.hv.small_disk("lab", "8M")
        self.hv.apply(self.hv.write("pool/pool.yaml", self.hv.pool()))
        os.remove(self.hv.path("specs", "pool", "pool.yaml"))
        result, _ = self.run_failing("--allow", "overcommit")
        self.assertNotIn("make room", result.stderr)
        self.assertEqual(self.pool_files(), [])
        self.enlarge()
        self.in_sync()

    def test_full_in_the_middle(self):
        """The pool is made in the same run, so nobody could know."""
        self.hv.small_disk("lab", "8M")
        _, document = self.run_failing()
        failed = self.failures(document)
        self.assertEqual(list(failed), ["image/base"])
        self.assertIn("No space left", failed["image/base"])
        self.assertEqual((self.names(), self.pool_files()), (["b"], []))
        self.enlarge()
        self.in_sync()
        self.assertEqual(self.names(), ["a", "b"])


class Broken(FailureCase):
    """One broken object: the others go on, exit status 1, and nothing of it is begun."""

    def only_the_good_one(self, saying, name="bad", files=()):
        self.title = f"title {time.monotonic()}"
        self.machine("good", title=self.title)
        document = self.run_failing()[1]
        self.assertIn(saying, self.error_of(document, name))
        self.assertEqual([a["kind"] for a in document["actions"] if a["object"].endswith(f"/{name}")], [])
        self.assertEqual([d for d in self.names() if d == "bad"], [])
        title = self.hv.domain("good").metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None)
        self.assertEqual(title, self.title)
        self.assertEqual([f for f in self.pool_files() if not f.startswith("sha256-")], list(files))

    def test_images(self):
        guest = self.hv.path("guest")
        base = os.path.join(guest, "base.qcow2")
        self.storage()
        self.hv.apply(self.specs())
        self.machine("bad", disks=[{"target": "vda", "image": "wrong"}])
        overlay, cut, start, empty = (os.path.join(guest, f"{name}.qcow2") for name in ("overlay", "cut", "start", "empty"))
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay], check=True)
        for path, length in ((cut, os.path.getsize(base) // 2), (start, 60), (empty, 0)):
            shutil.copyfile(base, path)
            os.truncate(path, length)
        pointer, page = (os.path.join(guest, name) for name in ("pointer.img", "page.qcow2"))
        for path, text in ((pointer, "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"), (page, "<html>Not here</html>\n")):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        wrong = "0" * 64
        cases = [({"source": pointer}, "is a pointer of git-lfs: fetch the image itself (git lfs pull)"),
                 ({"source": page}, "isn't a qcow2 image, as its name says: get the right file, or give format"),
                 ({"source": os.path.join(guest, "missing.qcow2")}, "missing.qcow2 can't be opened: No such file"),
                 ({"source": base, "sha256": wrong}, f"and not {wrong}, as declared"),
                 ({"source": overlay}, "backing or data file of its own"),
                 ({"source": cut}, "is cut off or damaged"), ({"source": start}, "is cut off"), ({"source": empty}, "is empty"),
                 ({"source": os.path.join(guest, "kernel"), "format": "qcow2"}, "isn't a qcow2 image"),
                 ({"source": guest}, f"holds no wrong.qcow2"), ({"source": "/dev/zero"}, "isn't a regular file")]
        for spec, saying in cases:
            with self.subTest(saying=saying):
                self.hv.write("wrong.yaml", self.hv.image("wrong", **spec))
                self.only_the_good_one(saying, "wrong")
                self.only_the_good_one("Image wrong: ")
        self.hv.write("wrong.yaml", self.hv.image("wrong", source=base, sha256=digest_of(base)))
        self.in_sync()
        self.assertIn("bad", self.names())

    def test_image_replaced_while_it_waits(self):
        """The file isn't any more what was planned: not imported under the old name."""
        path = self.hv.path("guest", "own.raw")
        shutil.copyfile(self.hv.path("guest", "base.raw"), path)
        self.storage(self.hv.image("base", source=path))
        plan = self.hv.path("state", "plan.json")
        self.hv.reconcile("--dry-run", "--plan-out", plan, self.specs(), check=2)
        with open(path, "r+b") as file:
            file.seek(MIB)
            file.write(b"changed")
        result = self.hv.reconcile("-o", "json", "--plan", plan)
        self.assertIn(result.status, (1, 3), str(result))
        self.assertIn("digest", result.stdout)
        self.assertEqual(self.pool_files(), [])
        self.in_sync()

    def only_preflight_refuses(self, saying):
        """A dry run alone doesn't ask."""
        for options, status in ((["--preflight"], 1), ([], 2)):
            document = self.run_failing("--dry-run", *options, status=status)[1]
            (self.assertIn if status == 1 else self.assertNotIn)(saying, self.error_of(document, "bad"))
            self.assertNotIn("bad", self.names())

    def test_definition_that_the_hypervisor_refuses(self):
        """It is asked before anything of that machine is touched."""
        self.storage()
        self.hv.apply(self.specs())
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}]
        for spec, saying in (({"machine": "pc-i440fx-99.9"}, "hypervisor refuses the definition"),
                             ({"cpu": {"count": 1, "mode": "custom", "model": "no-such-cpu"}}, "hypervisor refuses the definition"),
                             ({"arch": "no-such-arch"}, "hypervisor refuses the definition"),
                             ({"devices": {"extra": ["<watchdog model='no-such-model'/>"]}}, "hypervisor refuses the definition"),
                             ({"devices": {"extra": ["<emulator>/bin/true</emulator>"]}}, "<emulator>")):
            with self.subTest(spec=spec):
                self.machine("bad", disks=disks, **spec)
                self.only_preflight_refuses(saying)
                self.only_the_good_one(saying)
        self.machine("bad", disks=disks)
        self.in_sync()

    def test_redefinition_that_the_hypervisor_refuses(self):
        self.machine("a")
        self.machine("good")
        self.hv.apply(self.specs())
        before = self.hv.domain("a").XMLDesc()
        self.machine("a", machine="pc-i440fx-99.9")
        self.machine("good", title="new")
        document = self.run_failing()[1]
        self.assertIn("pc-i440fx-99.9", self.error_of(document, "a"))
        self.assertEqual(self.hv.domain("a").XMLDesc(), before)
        self.assertIn("<title>new</title>", self.hv.domain("good").XMLDesc())

    def test_hostile_devices(self):
        """Errors of the file: nothing at all is done."""
        bomb = "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10 if i else 'lol'}'>" for i in range(12))
        for extra in ("<watchdog model='i6300esb'", "not xml", "<a/><b/>", "", "<hub type='&unknown;'/>", "<hub/>text",
                      f"<!DOCTYPE x [{bomb}]><hub type='&a11;'/>",
                      "<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><hub type='&f;'/>",
                      "<!DOCTYPE x SYSTEM 'http://192.0.2.1/x.dtd'><hub type='usb'/>"):
            with self.subTest(extra=extra[:40]):
                self.machine("bad", devices={"extra": [extra]})
                self.machine("good")
                result = self.hv.reconcile(self.specs(), check=1, timeout=60)  # the bomb would take longer, or all memory
                self.assertRegex(result.stderr, r"bad\.yaml:\d+:\d+: error: extra: expected ")
                self.assertNotIn("root:", result.stderr)
                self.assertEqual(self.names(), [])

    def test_names_that_are_taken(self):
        """By a machine, a pool and a network that somebody made by hand."""
        conn = self.hv.conn
        self.hv.define("bad")
        path = self.hv.make_directory("pools", "lab")
        conn.storagePoolDefineXML(f"<pool type='dir'><name>lab</name><target><path>{path}</path></target></pool>").create()
        conn.networkDefineXML("<network><name>lan</name><bridge name='rltest1'/></network>")
        before = [conn.storagePoolLookupByName("lab").XMLDesc(), conn.networkLookupByName("lan").XMLDesc(),
                  self.hv.domain("bad").XMLDesc()]
        self.storage()
        self.hv.write("lan.yaml", {"apiVersion": "reconcile/v1", "kind": "Network", "metadata": {"name": "lan"},
                                   "spec": {"mode": "isolated", "state": "inactive", "autostart": False}})
        self.machine("bad")
        self.machine("on-it", disks=[{"target": "vda", "image": "base"}])
        self.machine("good")
        document = self.run_failing()[1]
        for name in ("bad", "lab", "lan"):
            self.assertIn("isn't ours", self.error_of(document, name))
        self.assertIn("its pool lab", self.error_of(document, "base"))
        self.assertIn("its pool lab", self.error_of(document, "on-it"))
        self.assertEqual(self.names(), ["bad", "good"])
        self.assertEqual([conn.storagePoolLookupByName("lab").XMLDesc(), conn.networkLookupByName("lan").XMLDesc(),
                          self.hv.domain("bad").XMLDesc()], before)

    def test_shrinking(self):
        disk = {"target": "vda", "image": "base", "size": "96MiB"}
        self.storage()
        self.machine("a", disks=[disk])
        self.hv.apply(self.specs())
        before = digest_of(self.hv.path("pools", "lab", "a-vda.qcow2"))
        self.machine("a", title="new", disks=[{**disk, "size": "80MiB"}])
        self.machine("good")
        document = self.run_failing()[1]
        self.assertIn("a disk is never shrunk", self.error_of(document, "a"))
        self.assertNotIn("<title>new", self.hv.domain("a").XMLDesc())
        self.assertEqual(digest_of(self.hv.path("pools", "lab", "a-vda.qcow2")), before)
        self.assertEqual(self.names(), ["a", "good"])
        self.machine("small", disks=[{"target": "vda", "image": "base", "size": "16MiB"}])
        self.assertIn("64MiB", self.error_of(self.run_failing()[1], "small"))
        self.assertNotIn("small", self.names())

    def test_volume_in_use(self):
        """Two machines on one disk: the second doesn't start; what runs is neither grown
        beside its back nor replaced."""
        volume = {"apiVersion": "reconcile/v1", "kind": "Volume", "metadata": {"name": "data.qcow2"},
                  "spec": {"pool": "lab", "size": "8MiB"}}
        disks = [{"target": "vda", "volume": "data.qcow2", "pool": "lab"}]
        self.hv.write("storage.yaml", self.hv.pool(), volume)
        self.machine("first", powerState="running", disks=disks)
        self.hv.apply(self.specs())
        guest = self.hv.guest("first")
        guest.wait_heartbeat()
        with guest.keeps_beating():
            self.machine("second", powerState="running", disks=disks)
            _, document = self.run_failing()
            failed = self.failures(document)
            self.assertEqual(list(failed), ["vm/second"])
            self.assertIn("lock", failed["vm/second"])
            volume["spec"]["size"] = "16MiB"
            self.hv.write("storage.yaml", self.hv.pool(), volume)
            self.assertIn("in use by the running machine first", self.error_of(self.run_failing()[1], "data.qcow2"))


class Guests(FailureCase):
    def boot(self, name, **spec):
        self.machine(name, powerState="running", **spec)
        self.hv.apply(self.specs())
        self.hv.guest(name).wait_heartbeat()

    def test_ignores_shutdown(self):
        spec = {"cmdline": "ignorepower", "shutdown": {"timeout": "3s", "retryInterval": "1s"}}
        self.boot("deaf", **spec)
        recorder = self.recorder()
        self.machine("deaf", cmdline="ignorepower", shutdown={**spec["shutdown"], "force": False})
        _, document = self.run_failing()
        self.assertIn("did not shut down within 3 s; it was left running", self.failures(document)["vm/deaf"])
        self.assertTrue(self.hv.domain("deaf").isActive())
        self.assertEqual(recorder.stopped_events("deaf"), [])
        self.machine("deaf", **spec)
        started = time.monotonic()
        self.in_sync()
        self.assertGreater(time.monotonic() - started, 3)
        self.assertFalse(self.hv.domain("deaf").isActive())
        self.assertEqual(recorder.of("deaf")[-1].detail, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        self.assertGreater(self.hv.guest("deaf").text().count("power button: ignored"), 1)  # asked again

    def test_reboots_instead(self):
        """It comes up again: that isn't off."""
        self.boot("stubborn", cmdline="rebootpower", shutdown={"timeout": "6s", "retryInterval": "30s", "force": False})
        self.machine("stubborn", cmdline="rebootpower", shutdown={"timeout": "6s", "retryInterval": "30s", "force": False})
        _, document = self.run_failing()
        self.assertIn("did not shut down", self.failures(document)["vm/stubborn"])
        self.assertTrue(self.hv.domain("stubborn").isActive())
        self.machine("stubborn", cmdline="rebootpower", shutdown={"timeout": "2s"})
        self.in_sync()
        self.assertFalse(self.hv.domain("stubborn").isActive())

    def test_goes_away_by_itself(self):
        """Off when it was to be paused: said, and the next run brings it back."""
        self.boot("short", cmdline="exit=6")
        self.hv.guest("short").wait(lambda guest: not self.hv.domain("short").isActive(), "the end of short")
        self.assertEqual([a["kind"] for a in self.hv.plan(self.specs(), status=2)["actions"]], ["domain-start"])
        self.in_sync()


class Crashes(FailureCase):
    """SIGKILL to libvirtd or to the program, at moments that can be told from outside."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        hv = cls.hv
        hv.apply(hv.write("first.yaml", hv.pool(), hv.image(), hv.vm("steady", disks=[{"target": "vda", "image": "base"}])))
        hv.guest("steady").wait_heartbeat()
        cls.steady = hv.domain("steady").ID()
        cls.first = os.listdir(hv.path("pools", "lab"))

    def tearDown(self):
        """It runs on through all of them; the others go."""
        try:
            self.check_pools()
        finally:
            for domain in self.hv.conn.listAllDomains():
                if domain.name() != "steady":
                    if domain.isActive():
                        domain.destroy()
                    domain.undefine()
            for volume in self.hv.conn.storagePoolLookupByName("lab").listAllVolumes():
                if volume.name() not in self.first:
                    volume.delete()
            for name in os.listdir(self.specs()):
                if name != "first.yaml":
                    os.unlink(self.hv.path("specs", name))

    def start_import(self, *arguments):
        """Stops at a time when the image is being written."""
        self.hv.write("big.yaml", self.hv.image("big", source=self.big_image()),
                      self.hv.vm("a", powerState="stopped", disks=[{"target": "vda", "image": "big"}]))
        process = self.hv.start_reconcile(*arguments, self.specs())
        self.addCleanup(process.kill)
        self.wait(process, lambda name, size: name.endswith(".raw") and size > 8 * MIB)
        return process

    def wait(self, process, condition):
        directory = self.hv.path("pools", "lab")
        while True:
            self.assertIsNone(process.poll(), "it ended before that moment")
            for name in os.listdir(directory):
                try:
                    status = os.stat(os.path.join(directory, name))
                except FileNotFoundError:
                    continue
                if condition(name, status.st_blocks * 512):
                    return
            time.sleep(0.001)

    def half_made(self):
        return [name for name in self.pool_files() if name.endswith(".incomplete")]

    def goes_on(self):
        """The next run ends in the new state, and who ran runs."""
        self.in_sync()
        self.assertEqual(self.hv.domain("steady").ID(), self.steady)
        self.hv.guest("steady").wait_heartbeat()
        big = next(name for name in self.pool_files() if name.endswith(".raw"))
        self.assertEqual(big[7:71], digest_of(self.big_image()))
        self.assertIn(big, subprocess.run(["qemu-img", "info", self.hv.path("pools", "lab", "a-vda.qcow2")], check=True,
                                          capture_output=True, text=True).stdout)

    def test_libvirtd_is_killed_during_an_import(self):
        process = self.start_import()
        self.hv.kill_daemon()
        out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, out + errors)
        self.assertRegex(out, r"failed")
        self.hv.restart_daemon()
        self.assertEqual(self.names(), ["steady"])
        self.goes_on()

    def test_libvirtd_is_killed_while_a_guest_shuts_down(self):
        self.machine("deaf", powerState="running", cmdline="ignorepower", shutdown={"timeout": "60s"})
        self.hv.apply(self.specs())
        self.hv.guest("deaf").wait_heartbeat()
        self.machine("deaf", cmdline="ignorepower", shutdown={"timeout": "2s"})
        process = self.hv.start_reconcile(self.specs())
        self.addCleanup(process.kill)
        self.hv.guest("deaf").wait_text("power button: ignored")
        self.hv.kill_daemon()
        out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, out + errors)
        self.hv.restart_daemon()
        self.assertTrue(self.hv.domain("deaf").isActive())
        self.in_sync()
        self.assertFalse(self.hv.domain("deaf").isActive())
        self.assertEqual(self.hv.domain("steady").ID(), self.steady)

    def test_killed_during_an_import(self):
        process = self.start_import()
        process.kill()
        process.communicate()
        self.assertEqual(len(self.half_made()), 1)
        self.assertEqual(self.names(), ["steady"])
        plan = self.hv.plan(self.specs(), status=2)  # the half-made image is not taken for the image
        self.assertIn("image-import", [action["kind"] for action in plan["actions"]])
        self.goes_on()

    def test_interrupted_during_an_import(self):
        """SIGINT: what was half-made is removed, and what was done is said."""
        process = self.start_import()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, out + errors)
        self.assertRegex(out, r"cancelled")
        self.assertEqual(self.half_made(), [])
        self.assertEqual([name for name in self.pool_files() if name.endswith(".raw")], [])
        self.goes_on()

    def test_killed_between_volume_and_definition(self):
        self.hv.apply(self.hv.write("big.yaml", self.hv.image("big", source=self.big_image())))
        self.hv.write("big.yaml", self.hv.image("big", source=self.big_image()),
                      self.hv.vm("a", powerState="stopped", disks=[{"target": "vda", "image": "big"},
                                                                  {"target": "vdb", "size": "1MiB", "pool": "lab"}]))
        process = self.hv.start_reconcile(self.specs())
        self.addCleanup(process.kill)
        self.wait(process, lambda name, size: name in ("a-vda.qcow2", "a-vdb.qcow2"))
        process.kill()
        process.communicate()
        self.goes_on()

    def test_killed_during_a_shutdown(self):
        self.machine("deaf", powerState="running", cmdline="ignorepower", shutdown={"timeout": "60s"})
        self.hv.apply(self.specs())
        self.hv.guest("deaf").wait_heartbeat()
        self.machine("deaf", cmdline="ignorepower", shutdown={"timeout": "2s"})
        process = self.hv.start_reconcile(self.specs())
        self.hv.guest("deaf").wait_text("power button: ignored")
        process.kill()
        process.communicate()
        self.assertTrue(self.hv.domain("deaf").isActive())
        self.in_sync()
        self.assertFalse(self.hv.domain("deaf").isActive())

    def test_killed_at_any_moment(self):
        """Again and again, a little later each time, until a run comes through."""
        self.hv.write("big.yaml", self.hv.image("big", source=self.big_image()),
                      *[self.hv.vm(name, powerState="stopped",
                                   disks=[{"target": "vda", "image": "big"}, {"target": "vdb", "size": "1MiB", "pool": "lab"}])
                        for name in "abc"])
        kills, seconds = 0, 0.1
        while True:
            process = self.hv.start_reconcile(self.specs())
            try:
                process.communicate(timeout=seconds)
                self.assertEqual(process.returncode, 0)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                seconds *= 1.25
            marked = {name.removesuffix(".incomplete") for name in self.half_made()}
            for domain in self.hv.conn.listAllDomains():
                for name in marked:
                    self.assertNotIn(name, domain.XMLDesc())
        self.assertGreater(kills, 2)
        self.goes_on()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
