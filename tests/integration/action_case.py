"""What the tests of single actions share: act_one (tests/tools) against a hypervisor."""

import contextlib
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import libvirt  # noqa: E402
import lab  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("RECONCILE_BUILD") or os.path.join(REPOSITORY, "build/asan")
ACT_ONE = os.path.join(BUILD, "tests/act_one")
MIB = 1 << 20
NAMESPACE = "https://reconcile.dev/xmlns/1"


class Outcome:
    def __init__(self, process):
        try:
            self.__dict__.update(json.loads(process.stdout))
        except json.JSONDecodeError as error:
            raise AssertionError(f"act_one: {process.returncode}\n{process.stdout}\n{process.stderr}") from error
        self.stderr = process.stderr
        assert process.returncode in (0, 1), str(self)

    def __str__(self):
        return f"{self.__dict__}"


class ActionCase(lab.TestCase):
    def act(self, action, name, code=None, kind="VirtualMachine", spec=None, metadata=None, saying=None,
            cancel_at=None, data_loss=False, **args):
        """Carries out one action, which must succeed, or fail with `code` and a message
        that has `saying` in it."""
        outcome = Outcome(self.finish(self.start_act(action, name, kind, spec, metadata, cancel_at, data_loss, **args)))
        self.check(outcome, code, saying)
        return outcome

    def check(self, outcome, code=None, saying=None):
        self.assertEqual(outcome.code, code, str(outcome))
        if saying:
            self.assertIn(saying, outcome.message)

    def start_act(self, action, name, kind="VirtualMachine", spec=None, metadata=None, cancel_at=None, data_loss=False, **args):
        request = {"action": action, "kind": kind, "name": name, "cancelAt": cancel_at or 0, "dataLoss": data_loss,
                   "args": {key.rstrip("_"): value for key, value in args.items() if value is not None}}
        if spec is not None:
            request.update(spec=spec, metadata=metadata or {})
        path = self.hv.path("state", "action.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(request, file)
        return subprocess.Popen([ACT_ONE, self.hv.uri, path], env=self.hv.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    @contextlib.contextmanager
    def at(self, place, command):
        """Actions in it run the command where they pass the place (state/fault.h)."""
        faults = {"RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": command}
        self.hv.env.update(faults)
        try:
            yield
        finally:
            for name in faults:
                del self.hv.env[name]

    def finish(self, process, timeout=120):
        process.stdout, process.stderr, _ = *process.communicate(timeout=timeout), None
        return process

    # Storage.

    def pool_spec(self, name="lab", **more):
        return {"type": "dir", "target": self.hv.path("pools", name), **more}

    def make_pool(self, name="lab", **more):
        for action in ("pool-define", "pool-build", "pool-start"):
            self.act(action, name, kind="StoragePool", spec=self.pool_spec(name, **more))
        return self.hv.conn.storagePoolLookupByName(name)

    def make_volume(self, volume, size=8 * MIB, pool="lab", fmt="qcow2", **more):
        self.act("volume-create", "web", pool=pool, volume=volume, format=fmt, bytes=size, **more)
        return self.hv.path("pools", pool, volume)

    def volume_names(self, pool="lab"):
        pool = self.hv.conn.storagePoolLookupByName(pool)
        pool.refresh()
        return sorted(pool.listVolumes())

    # Machines.

    def vm_spec(self, name, *words, **more):
        return self.hv.vm(name, *words, **more)["spec"]

    def make_vm(self, name, *words, start=False, metadata=None, **more):
        """Defined, perhaps started and ready: the domain, its spec."""
        spec = self.vm_spec(name, *words, **more)
        self.act("domain-define", name, spec=spec, metadata=metadata)
        domain = self.hv.domain(name)
        if start:
            self.act("domain-start", name, spec=spec)
            self.hv.guest(name).wait_heartbeat()
        return domain, spec


class LiveCase(ActionCase):
    def live(self, domain):
        return ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))

    def redefine(self, spec, **more):
        """As a plan does before each live change."""
        spec = {**spec, **more}
        self.act("domain-redefine", "web", spec=spec)
        return spec


def image_info(path):
    out = subprocess.run(["qemu-img", "info", "-U", "--output=json", path], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def main():
    if not os.access(ACT_ONE, os.X_OK):
        lab.skip_all(f"{ACT_ONE} is not built: cmake --preset asan && cmake --build --preset asan")
    lab.main()
