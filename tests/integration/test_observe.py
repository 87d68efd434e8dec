#!/usr/bin/python3
"""Observation of a real host: facts, chains, fingerprints, and what can't be read."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

BUILD = os.environ.get("RECONCILE_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/asan")
TOOL = os.environ.get("OBSERVE_DUMP") or os.path.join(BUILD, "tests/observe_dump")

MIB = 1 << 20
DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='{format}'/>
  <source file='{path}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""
VOLUME_DISK = """
<disk type='volume' device='disk'>
  <driver name='qemu' type='qcow2'/>
  <source pool='{pool}' volume='{volume}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""
POOL = "<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>"
SNAPSHOT = "<domainsnapshot><name>{name}</name></domainsnapshot>"


class ObserveTest(lab.TestCase):
    def pool(self, name="p"):
        path = self.hv.make_directory("pools", name)
        pool = self.hv.conn.storagePoolDefineXML(POOL.format(name=name, path=path))
        pool.create()
        return pool

    def image(self, name, size="8M", backing=None, pool="p"):
        path = self.hv.path("pools", pool, name)
        options = ["-F", "qcow2", "-b", backing] if backing else []
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, size], check=True)
        self.hv.give(path)
        return path

    def dump(self, *options, uri=None, status=0):
        process = subprocess.run([TOOL, *options, uri or self.hv.uri], env=self.hv.env, timeout=60,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(process.returncode, status, process.stderr)
        return json.loads(process.stdout) if status == 0 else process.stderr

    def observe(self):
        """Everything, after checking that each domain alone yields the same."""
        seen = self.dump("--again")
        for name, domain in seen["domains"].items():
            self.assertEqual(domain, seen["again"][name], name)
            self.assertIsNone(domain["error"])
            self.assertEqual(len(domain["fingerprint"]), 64)
        return seen

    def domain(self, name="a"):
        return self.observe()["domains"][name]

    def test_empty_host(self):
        """Also with a pool of a moment that a run left."""
        self.hv.conn.storagePoolCreateXML(POOL.format(name="reconcile-aside", path=self.hv.make_directory("pools", "aside")))
        seen = self.observe()
        self.assertEqual((seen["domains"], seen["pools"], seen["networks"]), ({}, {}, {}))
        self.assertEqual(seen["hostname"], self.hv.conn.getHostname())
        self.assertEqual(seen["arch"], os.uname().machine)
        self.assertFalse(seen["privileged"])
        self.assertIsNone(seen["storageError"])

    def test_stopped_chain_and_flags(self):
        pool = self.pool()
        base = self.image("base")
        top = self.image("top", "16M", base)
        pool.refresh()
        domain = self.hv.define("a", DISK.format(format="qcow2", path=top, target="vda"),
                                VOLUME_DISK.format(pool="p", volume="base", target="vdb"))
        domain.setAutostart(1)
        domain.snapshotCreateXML(SNAPSHOT.format(name="s"))
        self.hv.define("b")
        seen = self.observe()
        a, b = seen["domains"]["a"], seen["domains"]["b"]
        self.assertEqual([a["power"], a["active"], a["autostart"], a["snapshots"]], ["stopped", False, True, 1])
        self.assertEqual([b["power"], b["active"], b["autostart"], b["snapshots"]], ["stopped", False, False, 0])
        self.assertEqual(a["uuid"], domain.UUIDString())
        disks = {disk["target"]: disk for disk in a["persistent"]["disks"]}
        self.assertEqual((disks["vda"]["size"], disks["vda"]["path"]), ("16MiB", top))
        self.assertEqual((disks["vdb"]["size"], disks["vdb"]["path"]), ("8MiB", base))
        self.assertEqual([layer["path"] for layer in a["disks"]["vda"]["chain"]], [top, base])
        self.assertEqual([layer["name"] for layer in a["disks"]["vdb"]["chain"]], ["base"])
        self.assertEqual(a["persistent"]["powerState"], "stopped")
        self.assertEqual(a["persistent"]["autostart"], True)
        self.assertEqual(b["persistent"]["autostart"], False)
        volumes = seen["pools"]["p"]["volumes"]
        self.assertEqual(sorted(volumes), ["base", "top"])
        self.assertEqual(volumes["top"]["backingPath"], base)
        self.assertEqual(seen["volumesByPath"], 2)
        self.assertEqual(list(self.dump("--names", "b")["domains"]), ["b"])

    def test_pool_states(self):
        self.pool("on").setAutostart(1)
        self.pool("off").destroy()
        pools = self.observe()["pools"]
        self.assertEqual(pools["on"]["spec"]["state"], "active")
        self.assertEqual(pools["on"]["spec"]["autostart"], True)
        self.assertEqual(pools["on"]["target"], self.hv.path("pools", "on"))
        self.assertGreater(pools["on"]["capacity"], 0)
        self.assertEqual(pools["off"]["spec"]["state"], "inactive")
        self.assertEqual(pools["off"]["spec"]["autostart"], False)

    def test_running(self):
        pool = self.pool()
        base = self.image("base")
        top = self.image("top", "16M", base)
        pool.refresh()
        domain = self.hv.define("a", DISK.format(format="qcow2", path=top, target="vda"), start=True)
        self.hv.guest("a").wait_heartbeat()
        running = self.domain()
        self.assertEqual((running["power"], running["live"]["powerState"]), ("running", "running"))
        self.assertEqual([layer["path"] for layer in running["disks"]["vda"]["chain"]], [top, base])
        self.assertEqual(running["live"]["disks"][0]["size"], "16MiB")
        self.assertEqual(running["persistent"]["disks"][0]["size"], "16MiB")

        # Moves by itself: no evidence of a change.
        domain.setMemory(100 << 10)
        self.hv.guest("a").wait(lambda guest: domain.info()[2] == 100 << 10, "the balloon in place")
        self.assertEqual(self.domain()["fingerprint"], running["fingerprint"])

        # The pool's own record of the size is as new as the running machine's.
        domain.blockResize("vda", 32 * MIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        grown = self.domain()
        self.assertEqual(grown["live"]["disks"][0]["size"], "32MiB")
        self.assertEqual(grown["persistent"]["disks"][0]["size"], "32MiB")
        self.assertNotEqual(grown["fingerprint"], running["fingerprint"])

        domain.suspend()
        self.assertEqual(self.domain()["power"], "paused")
        domain.resume()

        # A snapshot that the pool doesn't know: one level deeper.
        domain.snapshotCreateXML(SNAPSHOT.format(name="s"), libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        deeper = self.domain()
        self.assertEqual([layer["path"] for layer in deeper["disks"]["vda"]["chain"]],
                         [self.hv.path("pools/p/top.s"), top, base])
        self.assertEqual([layer["format"] for layer in deeper["disks"]["vda"]["chain"]], ["qcow2"] * 3)
        self.assertNotEqual(deeper["fingerprint"], grown["fingerprint"])
        self.assertEqual(deeper["snapshots"], 1)
        pool.refresh()
        self.assertEqual(self.domain()["live"]["disks"][0]["size"], "32MiB")

    def test_hibernated(self):
        domain = self.hv.define("a", start=True)
        stopped = self.hv.define("b")
        before = self.observe()["domains"]["b"]["fingerprint"]
        self.hv.guest("a").wait_heartbeat()
        domain.managedSave()
        seen = self.observe()["domains"]
        self.assertEqual(seen["a"]["persistent"]["powerState"], "hibernated")
        self.assertEqual([seen["a"]["managedSave"], seen["b"]["managedSave"]], [True, False])
        self.assertEqual(seen["b"]["fingerprint"], before)
        saved = seen["a"]["fingerprint"]
        domain.managedSaveRemove()
        self.assertNotEqual(self.domain()["fingerprint"], saved)
        stopped.undefine()

    def test_transient(self):
        xml = self.hv.define("a").XMLDesc()
        self.hv.domain("a").undefine()
        self.hv.define("b")
        self.hv.conn.createXML(xml)
        seen = self.observe()["domains"]
        self.assertEqual([seen["a"]["isPersistent"], seen["b"]["isPersistent"]], [False, True])
        self.hv.domain("a").destroy()

    def test_definition_changed_by_hand(self):
        domain = self.hv.define("a")
        before = self.domain()["fingerprint"]
        self.assertEqual(self.domain()["fingerprint"], before)
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "other", None, None, 0)
        self.assertNotEqual(self.domain()["fingerprint"], before)

    def test_volumes_that_are_gone_or_cannot_be_read(self):
        pool = self.pool()
        gone, closed, whole = self.image("gone"), self.image("closed"), self.image("whole")
        pool.refresh()
        self.hv.define("a", *(DISK.format(format="qcow2", path=path, target=target)
                              for path, target in ((gone, "vda"), (closed, "vdb"), (whole, "vdc"))))
        os.unlink(gone)
        os.chmod(closed, 0)
        seen = self.observe()
        volumes = seen["pools"]["p"]["volumes"]
        self.assertEqual(sorted(volumes), ["closed", "whole"])
        self.assertIn("volume closed of pool p: ", volumes["closed"]["error"])
        self.assertEqual(volumes["closed"]["path"], closed)
        self.assertIsNone(volumes["whole"]["error"])
        self.assertIsNone(seen["pools"]["p"]["error"])
        # Nothing of this machine is ours to manage, so it isn't an error of the machine.
        disks = seen["domains"]["a"]["persistent"]["disks"]
        self.assertEqual([disk.get("size") for disk in disks], [None, None, "8MiB"])

    def test_looping_backing_files(self):
        pool = self.pool()
        one = self.image("one")
        two = self.image("two", backing=one)
        subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", two, one], check=True)
        pool.refresh()
        self.hv.define("a", DISK.format(format="qcow2", path=two, target="vda"))
        self.assertEqual(len(self.domain()["disks"]["vda"]["chain"]), 2)

    def test_over_a_link(self):
        """Of a host far away more is asked at once, and nothing through files: it says the same."""
        pool = self.pool()
        self.pool("other").destroy()
        for number in range(40):
            path = self.image(f"v{number}", backing=self.hv.path("pools/p/v0") if number else None)
            self.hv.define(f"d{number}", DISK.format(format="qcow2", path=path, target="vdb"))
        pool.refresh()
        self.hv.domain("d1").snapshotCreateXML(SNAPSHOT.format(name="s"))
        self.hv.domain("d2").setAutostart(True)
        with subprocess.Popen([os.path.join(BUILD, "tests/relay"), "2000", self.hv.socket], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as relay:
            far = f"qemu+tcp://127.0.0.1:{int(relay.stdout.readline())}/session"
            seen = [self.dump("--calls", *events, uri=uri) for uri in (self.hv.uri, far) for events in ([], ["--events"])]
            relay.stdin.close()
        for each in seen:
            self.assertEqual([len(each["domains"]), len(each["pools"]["p"]["volumes"]), each["pools"]["other"]["active"]], [40, 40, False])
            for key in ("uri", "local"):
                each.pop(key, None)
        for each in seen[1:]:
            self.assertEqual(each, seen[0])

    def test_no_daemon(self):
        message = self.dump(uri="qemu:///session?socket=/nowhere/socket", status=1)
        self.assertIn("cannot connect to qemu:///session?socket=/nowhere/socket: ", message)
        self.assertEqual(message.count("\n"), 1, "libvirt printed something itself: " + message)

    def test_daemon_comes_back(self):
        for options in ([], ["--events"]):
            self.hv.clear()
            with self.subTest(options=options), subprocess.Popen(
                    [TOOL, "--lines", *options, self.hv.uri], env=self.hv.env, text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tool:
                def seen():
                    tool.stdin.write("\n")
                    tool.stdin.flush()
                    return json.loads(tool.stdout.readline())["domains"]
                self.assertEqual(seen(), {})
                self.hv.kill_daemon()
                self.hv.restart_daemon()
                self.hv.define("a")
                self.assertEqual(list(seen()), ["a"])
                tool.stdin.close()
                self.assertEqual(tool.wait(10), 0)

    def test_driver_without_storage(self):
        # The embedded driver has neither storage pools nor networks.
        root = self.hv.make_directory("embed")
        options = {"user": "nobody"} if self.hv.root else {}
        # At the end the driver's own threads are still ending, which the search for leaks doesn't survive.
        env = {**self.hv.env, "ASAN_OPTIONS": self.hv.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        process = subprocess.run(
            [TOOL, "--events", f"qemu:///embed?root={root}"], env=env, timeout=120, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        self.assertEqual(process.returncode, 0, process.stderr)
        seen = json.loads(process.stdout)
        self.assertTrue(seen["storageError"])
        self.assertTrue(seen["networksError"])
        self.assertEqual(seen["pools"], {})


if __name__ == "__main__":
    if not os.access(TOOL, os.X_OK):
        lab.skip_all(f"{TOOL} is not built")
    lab.main()
