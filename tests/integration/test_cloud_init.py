#!/usr/bin/python3
"""What cloud-init reads at a first start: made of the declaration, always the same, in a cdrom,
changed live, kept from everybody whom it doesn't concern."""

import hashlib
import json
import os
import stat
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

PASSWORD = "correct-horse-battery"
USER_DATA = f"#cloud-config\npassword: {PASSWORD}\n"
SECTOR = 2048


def files_of(path):
    """Names and contents in the root of a Joliet file system; its label."""
    with open(path, "rb") as file:
        medium = file.read()
    for sector in range(16, 32):
        descriptor = medium[sector * SECTOR:(sector + 1) * SECTOR]
        if descriptor[:6] == b"\x02CD001":
            break
    else:
        raise AssertionError("no Joliet")
    label = descriptor[40:72].decode("utf-16-be").strip()
    at, length = (struct.unpack("<I", descriptor[158 + offset:162 + offset])[0] for offset in (0, 8))
    found, directory = {}, medium[at * SECTOR:at * SECTOR + length]
    while directory and directory[0]:
        start, size = (struct.unpack("<I", directory[offset:offset + 4])[0] for offset in (2, 10))
        name = directory[33:33 + directory[32]].decode("utf-16-be", "replace").removesuffix(";1")
        if not directory[25] & 2:
            found[name] = medium[start * SECTOR:start * SECTOR + size].decode()
        directory = directory[directory[0]:]
    return label, found


class CloudInit(lab.TestCase):
    def specs(self):
        return self.hv.path("specs")

    def seeds(self):
        return [os.path.join(place, name) for place in [self.hv.path("pools/lab")]
                for name in sorted(os.listdir(place)) if name.startswith("sha256-")]

    def write(self, user_data=USER_DATA, vm=True, drive=True, **spec):
        seed = self.hv.image("seed", source=None, cloudInit={
            "instanceId": "web-1", "hostname": "web", "userData": user_data, "networkConfig": "version: 2\n"})
        del seed["spec"]["source"]
        cdrom = {"target": "hda", "bus": "ide", "device": "cdrom", **({"image": "seed"} if drive else {})}
        machine = [self.hv.vm("web", machine="pc", disks=[cdrom], **spec)] if vm else []
        self.hv.write("all.yaml", self.hv.pool(), seed, *machine)

    def everything_written(self):
        """All that the program and libvirt keep, but the medium itself and the source."""
        kept = []
        for place, _, names in os.walk(self.hv.directory):
            for name in names:
                path = os.path.join(place, name)
                if path not in self.seeds() and not path.startswith(self.specs()) and os.path.isfile(path) and \
                        not os.path.islink(path):
                    with open(path, "rb") as file:
                        kept.append((path, file.read()))
        return kept

    def test_a_machine_reads_it(self):
        self.write()
        self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)
        seed, = self.seeds()
        with open(seed, "rb") as file:
            self.assertIn(hashlib.sha256(file.read()).hexdigest(), seed)
        label, files = files_of(seed)
        self.assertEqual(label, "cidata")
        self.assertEqual(files.pop("user-data"), USER_DATA)
        self.assertEqual(json.loads(files.pop("meta-data")), {"instance-id": "web-1", "local-hostname": "web"})
        self.assertEqual(files, {"network-config": "version: 2\n"})
        self.assertEqual(stat.S_IMODE(os.stat(seed).st_mode) & 0o277, 0)
        guest = self.hv.guest("web")
        guest.wait_fact("cd", "cidata")

        # Another content is another medium, changed while it runs; the old one goes when that is asked for.
        recorder = self.recorder()
        self.write(user_data="#cloud-config\nruncmd: [date]\n")
        plan = self.hv.plan(self.specs(), status=2)
        self.assertLessEqual({action["impact"] for action in plan["actions"]}, {"none", "live"})
        with guest.keeps_beating():
            self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertEqual(len(self.seeds()), 2)
        self.hv.reconcile("--prune-images", "0s", self.specs())
        new, = self.seeds()
        self.assertNotEqual(new, seed)
        self.assertIn(new, self.hv.domain("web").XMLDesc(0))

        # Taken out of the drive.
        self.write(drive=False)
        self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)
        self.assertNotIn(new, self.hv.domain("web").XMLDesc(0))
        guest.wait_fact("cd", "empty")

    def test_the_same_everywhere(self):
        self.write(vm=False)
        self.hv.apply(self.specs())
        for zone in ("Pacific/Auckland", "America/New_York"):
            env = {**self.hv.env, "TZ": zone}
            self.hv.reconcile("--dry-run", self.specs(), env=env, check=0)

    def test_nobody_is_told(self):
        self.write(powerState="stopped")
        told = [self.hv.reconcile("--dry-run", "-v", "-o", output, self.specs(), check=2)
                for output in ("text", "json", "markdown")]
        saved = self.hv.path("plan.json")
        told.append(self.hv.reconcile("--dry-run", "--plan-out", saved, self.specs(), check=2))
        told.append(self.hv.reconcile("-v", self.specs()))
        told.append(self.hv.reconcile("import", "web"))
        told.append(self.hv.reconcile("history", "-v", check=None))
        for result in told:
            self.assertNotIn(PASSWORD, result.stdout + result.stderr)
        self.assertEqual([path for path, text in self.everything_written() if PASSWORD.encode() in text], [])
        self.assertEqual(len(self.seeds()), 1)
        # A value that is refused isn't shown, either.
        self.write(user_data=f"{PASSWORD}\x01")
        refused = self.hv.reconcile("validate", self.specs(), check=1)
        self.assertNotIn(PASSWORD, refused.stdout + refused.stderr)

    def test_saved_plan(self):
        self.write(powerState="stopped")
        saved = self.hv.path("plan.json")
        self.hv.reconcile("--dry-run", "--plan-out", saved, self.specs(), check=2)
        result = self.hv.reconcile("--plan", saved, check=3)
        self.assertIn("secrets are left out: apply from the source", result.stdout + result.stderr)
        self.assertEqual(os.listdir(self.hv.path("pools/lab")), [])
        self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)

    def test_it_outlives_its_machine(self):
        self.write(powerState="stopped")
        self.hv.apply(self.specs())
        self.write(vm=False)
        result = self.hv.reconcile("--prune", "--prune-limit", "100", "--allow", "data-loss", self.specs())
        self.assertNotIn("wasn't made for it", result.stdout)
        self.assertEqual(len(self.seeds()), 1)
        self.assertEqual(self.hv.conn.listAllDomains(), [])

    def test_changed_by_somebody(self):
        self.write(powerState="stopped")
        self.hv.apply(self.specs())
        seed, = self.seeds()
        os.chmod(seed, 0o600)
        with open(seed, "r+b") as file:
            file.seek(-SECTOR, os.SEEK_END)
            file.write(b"#!/bin/sh")
        self.write()
        result = self.hv.apply(self.specs(), status=3)
        self.assertIn("was changed after machines were built on it", result.stdout + result.stderr)
        self.assertFalse(self.hv.domain("web").isActive())

    def test_other_media(self):
        iso, qcow2 = self.hv.path("files/tools.iso"), self.hv.path("guest/base.qcow2")
        os.makedirs(os.path.dirname(iso), exist_ok=True)
        with open(iso, "wb") as file:
            file.write(b"tools..." * 8192)
        drive = {"target": "hda", "bus": "ide", "device": "cdrom", "image": "tools"}
        vm = self.hv.vm("web", machine="pc", powerState="stopped", disks=[drive])
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image("tools", source=iso), vm)
        self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)
        self.assertIn(self.seeds()[0], self.hv.domain("web").XMLDesc(0))
        self.hv.write("all.yaml", self.hv.pool(), self.hv.image("tools", source=qcow2), vm)
        plan = self.hv.plan(self.specs(), status=1)
        self.assertIn("a cdrom reads raw media", json.dumps(plan))
        # A file of the host instead.
        drive.pop("image")
        drive["path"] = iso
        self.hv.write("all.yaml", self.hv.pool(), self.hv.vm("web", machine="pc", powerState="stopped", disks=[drive]))
        self.hv.apply(self.specs())
        self.hv.plan(self.specs(), status=0)
        self.assertIn(iso, self.hv.domain("web").XMLDesc(0))


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
