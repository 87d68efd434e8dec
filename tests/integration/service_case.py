"""A service under test: reconcile serve with a configuration of its own, and what it says."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402
import yaml  # noqa: E402

lab.libvirt, lab.yaml = libvirt, yaml  # for the tests


def wait_for(condition, what, timeout=120):
    """The first true value of condition(), asked often; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what()} (within {timeout} s)" if callable(what) else f"{what} (within {timeout} s)")


class Passed:
    """Whether a process has passed a place (state/fault.h) that is told this log."""

    def __init__(self, case):
        self.log = case.hv.path(f"passed-{time.monotonic_ns()}")
        with open(self.log, "x", encoding="utf-8"):
            case.addCleanup(os.unlink, self.log)

    def __call__(self, name):
        with open(self.log, encoding="utf-8") as file:
            return name in file.read().splitlines()


class Held:
    """Keeps a process at a place (state/fault.h) until it is released: `faults` is for its environment."""

    def __init__(self, case, place):
        self.at, self.go = (case.hv.path(f"{name}-{time.monotonic_ns()}") for name in ("at", "go"))
        os.mkfifo(self.at)
        os.mkfifo(self.go)
        self.faults = {"RECONCILE_FAULT_AT": place, "RECONCILE_FAULT_COMMAND": f"echo >{self.at}; cat {self.go}"}
        case.addCleanup(lambda: [os.unlink(each) for each in (self.at, self.go)])

    def wait(self):
        """Until it is there."""
        with open(self.at, encoding="utf-8") as file:
            file.read()

    def release(self):
        with open(self.go, "w", encoding="utf-8"):
            pass


def threads(process):
    """Their names."""
    names = []
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{process.pid}/task/{task}/comm", encoding="ascii") as file:
            names.append(file.read().strip())
    return names


JOURNAL = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
touch /run/systemd/journal/socket
mount --bind "$0" /run/systemd/journal/socket
exec "$@"
"""


class Service:
    """One `reconcile serve`. Keywords are keys of the configuration. journal: a datagram socket that it
    shall find where systemd's journal is (needs root)."""

    def __init__(self, hv, *arguments, env=None, journal=None, **config):
        self.hv = hv
        self.config_path = hv.path("service.yaml")
        self.log_path = hv.path(f"service-{time.monotonic_ns()}.log")
        self.configure(**config)
        command = [lab.binary(), "serve", "-v", "--config", self.config_path, *arguments]
        with open(self.log_path, "wb") as log:
            if journal:
                status = os.fstat(log.fileno())
                env = {**(env or {}), "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
                command = ["unshare", "-m", "sh", "-c", JOURNAL, journal, *command]
            self.process = subprocess.Popen(command, env={**hv.env, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def configure(self, **config):
        whole = {"source": {"directory": self.hv.path("specs"), "settle": "50ms", "pollInterval": "60s"},
                 "connection": self.hv.uri, "stateDir": self.hv.path("state/service"), **config}
        with open(self.config_path, "w", encoding="utf-8") as file:
            yaml.safe_dump(whole, file)

    def reload(self, **config):
        self.configure(**config)
        before = self.log().count("the configuration was read again")
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count("the configuration was read again") > before, self.log)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, text, timeout=120, count=1):
        wait_for(lambda: self.log().count(text) >= count, lambda: f"'{text}' isn't in the log:\n{self.log()}", timeout)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.hv.path("run/reconcile/control.sock"))
            client.sendall(json.dumps({"command": command}).encode() + b"\n")
            with client.makefile() as reply:
                return json.load(reply)

    def state(self):
        try:
            return self.ask("status")
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def wait_state(self, condition, timeout=120):
        """The state for which condition(state) holds."""
        seen = [None]

        def check():
            assert self.process.poll() is None, f"the service has ended:\n{self.log()}"
            seen[0] = self.state()
            return seen[0] and condition(seen[0]) and seen[0]
        return wait_for(check, lambda: f"{seen[0]}\n{self.log()}", timeout)

    def trigger(self):
        return self.hv.reconcile("trigger", "--config", self.config_path, check=0)

    def settle(self):
        """Until nothing more is done, and for a moment nothing follows."""
        quiet = 0
        while quiet < 4:
            state = self.wait_state(lambda state: state["passes"] > 0 and not state["busy"])
            time.sleep(0.1)
            again = self.state()
            quiet = quiet + 1 if not again["busy"] and again["passes"] == state["passes"] else 0
        return again

    def stop(self, within=60):
        """SIGTERM; the exit status. A sanitizer's finding is one too."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(within)
        assert "Sanitizer" not in self.log() and "CRITICAL" not in self.log(), self.log()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()


class TestCase(lab.TestCase):
    tiny = True

    @contextlib.contextmanager
    def service(self, *arguments, **config):
        service = Service(self.hv, *arguments, **config)
        try:
            yield service
            if service.process.poll() is None:
                self.assertEqual(service.stop(), 0, service.log())
            elif service.process.returncode != -signal.SIGKILL:
                self.assertEqual(service.stop(), 0, service.log())
        except BaseException:
            print(service.log(), file=sys.stderr)
            raise
        finally:
            if service.process.poll() is None:
                service.kill()

    def is_running(self, name):
        try:
            return bool(self.hv.domain(name).isActive())
        except lab.libvirt.libvirtError:
            return False

    def wait_running(self, name, timeout=120):
        wait_for(lambda: self.is_running(name), f"{name} doesn't run", timeout)
