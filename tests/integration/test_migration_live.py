#!/usr/bin/python3
"""Live migration: how it ends when the guest changes more than can be sent, with shared storage, and
each way in which memory and disks can be sent. One guest goes back and forth."""

import os
import sys
import subprocess
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
from product import document  # noqa: E402
from test_migration import MoveCase  # noqa: E402

SHARED = "/var/lib/libvirt/shared"


class LiveCase(MoveCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab.share([cls.hv, cls.other], SHARED)

    def setUp(self):
        super().setUp()
        for host, other in (("lab-a", "lab-b"), ("lab-b", "lab-a")):
            self.host_specs[host]["sharedPools"] = [{"pool": "shared", "with": [other]}]
        self.shared = document("StoragePool", "shared", {"type": "dir", "target": SHARED})

    def write(self, *documents):
        super().write(self.shared, *documents)

    def machine(self, host, cmdline="control", **spec):
        disks = [{"target": target, "size": "16MiB", "pool": "shared"} for target in ("vda", "vdb")]
        return super().machine(host, cmdline, **{"disks": disks, **spec})

    def go(self, host, status=0, **spec):
        """There, as the migration policy has it; the result's document."""
        self.write(self.machine(host, **spec))
        return self.apply(status=status)

    def told(self, document):
        """What was said about the migration."""
        action = next(each["id"] for each in document["actions"] if each["kind"] == "domain-migrate")
        return next(each["message"] for each in document["results"] if each["id"] == action)


class Meanwhile:
    """Looks again and again until the block ends."""

    def __init__(self):
        self.over = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self.thread.join()


class Asked(Meanwhile):
    """What QEMU on a host is told meanwhile: capabilities that are on, and parameters."""

    def __init__(self, host):
        super().__init__()
        self.host, self.on, self.parameters = host, set(), {}

    def look(self):
        while not self.over.wait(0.05):
            for what in ("capabilities", "parameters"):
                told = subprocess.run(["virsh", "-c", self.host.uri, "qemu-monitor-command", "web", "--hmp", "info migrate_" + what],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
                for line in told.splitlines():
                    name, _, value = line.partition(": ")
                    if value == "on":
                        self.on.add(name)
                    elif what == "parameters" and self.under_way():
                        self.parameters[name] = value

    def under_way(self):
        try:
            return self.host.domain("web").jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE
        except libvirt.libvirtError:
            return False


class Shown(Meanwhile):
    """What `reconcile status` tells of the machine's job meanwhile."""

    def __init__(self, case):
        super().__init__()
        self.case, self.jobs = case, []

    def look(self):
        while not self.over.is_set():
            told = self.case.hv.reconcile("status", "web", "-o", "json", "--connect", self.case.hv.uri, env=self.case.env)
            self.jobs += [domain["job"] for domain in told.json().get("domains", [])]


class Ways(LiveCase):
    def test_each_way_of_sending(self):
        content = self.started()
        guest = self.guest(self.hv)
        guest.do("run", "dd if=/dev/urandom of=/tmp/some bs=1M count=16")
        here, there = "lab-a", "lab-b"
        slow = {"bandwidth": "24MiB/s"}
        for host, address in (("lab-a", "10.77.0.1"), ("lab-b", "10.77.0.2")):
            self.host_specs[host]["listenAddress"] = address
        for policy, on, parameters in [
                ({**slow, "autoConverge": True, "autoConvergeInitial": 30, "autoConvergeIncrement": 15, "compression": "xbzrle",
                  "compressionCache": "16MiB"}, {"auto-converge", "xbzrle"},
                 {"max-bandwidth": f"{24 << 20} bytes/second", "cpu-throttle-initial": "30", "cpu-throttle-increment": "15",
                  "xbzrle-cache-size": f"{16 << 20} bytes"}),
                ({**slow, "compression": "mt", "compressionLevel": 2, "compressionThreads": 3, "decompressionThreads": 2}, {"compress"},
                 {"compress-level": "2", "compress-threads": "3"}),
                ({**slow, "parallel": 3}, {"multifd"}, {"multifd-channels": "3"}),
                ({**slow, "postCopy": True, "postCopyBandwidth": "64MiB/s"}, {"postcopy-ram"}, {"max-postcopy-bandwidth": str(64 << 20)})]:
            with self.subTest(policy=policy):
                source = self.hv if here == "lab-a" else self.other
                target, address = (self.other, "10.77.0.2") if here == "lab-a" else (self.hv, "10.77.0.1")
                with Asked(source) as asked, guest.keeps_beating(max_gap=20) as watch, self.heard(target) as told:
                    document = self.go(there, migration=policy)
                lab.figure(f"live on shared storage, {', '.join(sorted(on))}: largest gap of the heartbeat {watch.largest_gap():.2f} s")
                self.assertEqual([line for line in told if '"migrate-incoming"' in line and f"tcp:{address}:" not in line], [])
                self.assertIn(f"tcp:{address}:", str(told))
                self.assertEqual([self.plan(status=0)["actions"], guest.starts()], [[], 1])
                self.assertEqual(self.where(), [there])
                self.assertRegex(self.told(document), "^paused for [0-9]+ ms$")
                self.assertLessEqual(on, asked.on)
                self.assertEqual({key: asked.parameters.get(key) for key in parameters}, parameters)
                here, there = there, here
        # What not every libvirt can, or is let do: it goes, or libvirt's reason is told.
        for policy, reason in (({"parallel": 2, "zeroCopy": True}, "cannot limit locked memory"), ({"parallel": 2, "compression": "zlib"}, "zlib"),
                               ({"parallel": 2, "compression": "zstd"}, "zstd")):
            document = self.go(there, status=None, migration={**slow, **policy})
            if document["exitStatus"] == 0:
                here, there = there, here
            else:
                self.assertIn(reason, self.error_of(document) or self.told(document))
            self.assertEqual([self.where(), guest.starts()], [[here], 1])
        for name in self.host_specs:
            self.host_specs[name]["transport"] = "tunnelled"
        self.go(there, migration=slow)
        self.assertEqual(self.where(), [there])
        here, there = there, here
        # Without certificates, TLS is refused by libvirt; the machine stays.
        for name in self.host_specs:
            self.host_specs[name]["transport"] = "tls"
        self.assertRegex(self.told(self.go(there, status=1, migration=slow)), "ca-cert.pem")
        self.assertEqual(self.where(), [here])
        # The disk, as a guest that begins anew reads it: see Ends.
        last = self.hv if here == "lab-a" else self.other
        self.assertEqual(guest.starts(), 1)
        last.domain("web").reset()
        guest = self.guest(last)
        guest.wait(lambda g: g.starts() == 2, "another start")
        self.assertEqual(guest.do("sum", "vdb"), content)


class Ends(LiveCase):
    """A guest that changes much. An emulated CPU can lose what it writes just when the page is sent (its thread is
    interrupted between finding the page and writing): so the guest begins anew after each move."""

    def changing(self, host):
        """The guest on that host, changing 24 MiB again and again: what is left after each round takes 0.7 s to send."""
        guest = self.guest(host)
        starts = guest.starts()
        host.domain("web").reset()
        guest.wait(lambda g: g.starts() > starts, "another start")
        guest.change_memory(24)
        return guest

    def test_each_end(self):
        self.started()
        guest = self.changing(self.hv)
        self.hv.domain("web").setAutostart(1)
        slow = {"bandwidth": "32MiB/s", "timeout": "1s", "maxDowntime": "20ms"}
        # Given up: it stays, and what was made for it there is gone.
        with guest.keeps_beating(max_gap=20), Shown(self) as shown:
            document = self.go("lab-b", status=1, migration=slow)
        jobs = [job for job in shown.jobs if job and job["iteration"] > 1]
        self.assertTrue(jobs, shown.jobs)
        self.assertEqual(jobs[0]["operation"], "migration out")
        self.assertGreater(min(jobs[0][key] for key in ("milliseconds", "total", "rate", "remaining")), 0)
        self.assertTrue(all(0 <= job["percent"] <= 100 and job["remaining"] <= job["total"] for job in jobs), jobs)
        self.assertGreater(max(job["dirtyRate"] for job in jobs), 0, jobs)
        self.assertRegex(self.told(document), r"changes its memory faster \([\d.]+ [KMG]iB/s\) than it can be sent")
        self.assertEqual([self.where(), self.files(self.other), self.hv.domain("web").autostart()], [["lab-a"], [], 1])
        # The next run tries again; a longer pause lets it end.
        document = self.go("lab-b", migration={**slow, "timeout": "10s", "maxDowntime": "4s"})
        self.assertRegex(self.told(document), "^paused for [0-9]+ ms$")
        self.assertEqual(self.where(), ["lab-b"])
        # In post-copy, where that is allowed.
        self.changing(self.other)
        document = self.go("lab-a", migration={**slow, "postCopy": True})
        self.assertRegex(self.told(document), "post-copy")
        self.assertEqual(self.where(), ["lab-a"])
        self.assertEqual(self.plan(status=0)["actions"], [])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
