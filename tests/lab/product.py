"""Running `reconcile`, and writing what it reads."""

import json
import os
import subprocess

import yaml

from guest import Guest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

API_VERSION = "reconcile/v1"
# Where Linux isn't needed: the guest of each command line.
TINY = {"": "guest/tiny", "ignorepower": "guest/tiny-deaf"}
# On a busy machine an emulated timer comes so late that the kernel takes it for broken, and panics; its tests of its own
# ciphers are a third of what it does until init; and it needn't take the locks out of its code.
CMDLINE = "console=ttyS0 quiet no_timer_check cryptomgr.notests mitigations=off noreplace-smp"
# Where no CPU will be plugged: of interrupts a table tells as well as the firmware's program, which is run anew for each device
# (with three of them a tenth of a start); and the files of a thousand events that it could trace are a tenth (without them QEMU
# 7.2 crashes when a CPU comes).
CPUS_STAY = "acpi=noirq initcall_blacklist=tracer_init_tracefs,init_kprobe_trace"


def binary():
    """The program under test: $RECONCILE, or that of the asan preset."""
    return os.environ.get("RECONCILE") or os.path.join(REPOSITORY, "build/asan/reconcile")


class Result:
    """status, stdout, stderr of one run."""

    def __init__(self, arguments, process):
        self.arguments = arguments
        self.status = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr

    def json(self):
        return json.loads(self.stdout)

    def check(self, status=0):
        """self, or an AssertionError that shows everything."""
        assert self.status == status, f"exit status {self.status}, not {status}: {self}"
        return self

    def __str__(self):
        return f"{' '.join(self.arguments)}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def reconcile(*arguments, env=None, timeout=300, check=None, **options):
    """One run to its end. check: the exit status it must have."""
    command = [binary(), *map(str, arguments)]
    process = subprocess.run(command, env=env, timeout=timeout, stdin=options.pop("stdin", subprocess.DEVNULL),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             encoding="utf-8", errors="replace", check=False, **options)
    result = Result(command, process)
    return result if check is None else result.check(check)


class Product:
    """The product with a hypervisor: env, path() and conn are the latter's."""

    def reconcile(self, *arguments, **options):
        options.setdefault("env", self.env)
        return reconcile(*arguments, **options)

    def start_reconcile(self, *arguments, **options):
        """Without waiting for the end: the Popen."""
        options = {"env": self.env, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "encoding": "utf-8", **options}
        return subprocess.Popen([binary(), *map(str, arguments)], **options)

    def plan(self, *arguments, status=None):
        """The plan of a dry run, parsed. Exit status 0 and 2 are both fine
        unless `status` asks for one."""
        result = self.reconcile("--dry-run", "-o", "json", *arguments)
        if status is None:
            assert result.status in (0, 2), str(result)
        else:
            result.check(status)
        return result.json()

    def apply(self, *arguments, status=0):
        return self.reconcile(*arguments, check=status)

    # Specifications.

    def write(self, name, *documents):
        """specs/NAME with these documents (dictionaries, or text as it is).
        Returns its path; its directory is a SOURCE."""
        path = self.path("specs", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            for document in documents:
                text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
                file.write("---\n" + text)
        return path

    tiny = False  # see lab.TestCase

    def boot(self, cmdline="", cpus_stay=True, initrd="initrd"):
        """What direct kernel boot needs."""
        if self.tiny and cmdline in TINY:
            return {"kernel": self.path(TINY[cmdline])}
        words = [CMDLINE, *([CPUS_STAY] if cpus_stay else []), *([cmdline] if cmdline else [])]
        return {"kernel": self.path("guest/kernel"), "initrd": self.path("guest", initrd), "cmdline": " ".join(words)}

    def vm(self, name, cmdline="", metadata=None, **spec):
        """A document: the test guest by direct kernel boot, 128 MiB, TCG,
        its serial console in consoles/NAME. Keywords are keys of spec and
        replace the given ones; None removes one. To boot from a disk with an
        overlay of image(): boot=None, disks=[{"target": "vda", "image": "base"}].
        Where this hypervisor is `tiny`, and nothing is asked that only Linux does, it boots that guest."""
        cpu = spec.get("cpu") or {}
        whole = {
            "type": "qemu",
            "powerState": "running",
            "cpu": {"count": 1},
            "memory": {"size": "128MiB"},
            "boot": self.boot(cmdline, cpu.get("max") in (None, cpu.get("count"))),
            "features": {"acpi": True, "apic": True, "tcgCache": "32MiB"},
            "serials": [{"port": 0, "type": "file", "path": self.console_path(name), "append": True}],
        }
        whole.update(spec)
        spec = {key: value for key, value in whole.items() if value is not None}
        return document("VirtualMachine", name, spec, **(metadata or {}))

    def agent_vm(self, name, cmdline="", **spec):
        """The same with qemu-guest-agent running in it."""
        return self.vm(name, boot=self.boot(f"agent {cmdline}".strip(), initrd="initrd-agent"), guestAgent=True, **spec)

    def control_port(self, name):
        """Serial ports of a machine whose guest obeys Guest.do: serials=hv.control_port("web"), with the word
        "control" on its command line."""
        path = self.console_path(name)
        return [{"port": 0, "type": "file", "path": path, "append": True},
                {"port": 1, "type": "socket", "path": path + ".control", "socketMode": "bind"}]

    def pool(self, name="lab", **spec):
        """A document: a pool of type dir in pools/NAME."""
        path = self.path("pools", name)
        return document("StoragePool", name, {"type": "dir", "target": path, **spec})

    def image(self, name="base", pool="lab", **spec):
        """A document: the guest's bootable disk image."""
        return document("Image", name, {"pool": pool, "source": self.path("guest/base.qcow2"), **spec})

    # Guests.

    def console_path(self, name):
        return self.path("consoles", name)

    def guest(self, name):
        return Guest(self.console_path(name))

    def domain(self, name):
        return self.conn.lookupByName(name)

    def define(self, name, *devices, cmdline="", memory=128, cpus=1, max_cpus=None, start=False):
        """A domain of somebody else's making: the same guest as vm(), defined
        through libvirt. devices: further device XML."""
        domain = self.conn.defineXML(DOMAIN.format(
            name=name, memory=memory, cpus=cpus, max_cpus=max_cpus or cpus,
            boot="".join(f"<{key}>{value}</{key}>" for key, value in self.boot(cmdline, max_cpus in (None, cpus)).items()),
            console=self.console_path(name), devices="".join(devices)))
        if start:
            domain.create()
        return domain


def document(kind, name, spec, **metadata):
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu current='{cpus}'>{max_cpus}</vcpu>
  <os>
    <type arch='x86_64'>hvm</type>
    {boot}
  </os>
  <features><acpi/><apic/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <devices>
    <serial type='file'><source path='{console}' append='on'/><target port='0'/></serial>
    {devices}
  </devices>
</domain>
"""

# The same guest, booted from its first disk.
DOMAIN_BY_DISK = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <features><acpi/><apic/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <devices>
    <serial type='file'><source path='{console}' append='on'/><target port='0'/></serial>
    {devices}
  </devices>
</domain>
"""
