"""What the test guest (guest-init) says on its serial console."""

import contextlib
import itertools
import os
import re
import socket
import threading
import time

HEARTBEAT = re.compile(r"^heartbeat (\d+) ([\d.]+)$")


class Guest:
    """Reads the file that the guest's serial port is written to."""

    def __init__(self, console):
        self.console = console
        self.control = console + ".control"

    _number = itertools.count(1)

    def do(self, verb, *arguments, timeout=120):
        """Has a guest made with the word "control" and control_port() do something, and returns its
        answer: do("write", "vdb", 3, "seed"), do("sum", "vdb"), do("run", "mount ...")."""
        number = f"{os.getpid()}-{next(self._number)}"
        line = " ".join(map(str, [number, verb, *arguments])) + "\n"
        prefix = f"answer {number} "
        self.wait_text("ready")
        with socket.socket(socket.AF_UNIX) as port:
            port.settimeout(timeout)
            port.connect(self.control)
            asked = 0

            def answered(guest):
                """What is said before the guest has opened the port is lost: it is said again, which does no harm."""
                nonlocal asked
                if time.monotonic() - asked > 10:
                    port.sendall(line.encode())
                    asked = time.monotonic()
                return [each for each in guest.lines() if each.startswith(prefix)]

            return self.wait(answered, repr(line), timeout)[0][len(prefix):]

    def change_memory(self, mebibytes):
        """From now on it writes so much memory again and again, as fast as it can; 0: no more."""
        self.do("run", "read -r pid </tmp/changing && kill $pid; rm -f /tmp/changing /tmp/changed")
        if mebibytes:
            self.do("run", f"dd if=/dev/urandom of=/tmp/some bs=1M count={mebibytes} && "
                           "{ while :; do dd if=/tmp/some of=/tmp/changed bs=1M conv=notrunc; done >/dev/null 2>&1 & echo $! >/tmp/changing; }")

    def text(self):
        try:
            with open(self.console, "rb") as file:
                return file.read().decode("utf-8", "replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def lines(self):
        """Complete lines only."""
        return self.text().split("\n")[:-1]

    def last(self, fact):
        """What was last said about "memory", "cpus", "disks", "nics", "cd"."""
        said = [line for line in self.lines() if line.startswith(fact + " ")]
        return said[-1][len(fact) + 1:] if said else None

    def sizes(self):
        """{"vda": bytes, ...}"""
        return {name: int(size) for name, size in self._pairs("disks")}

    def nics(self):
        """{"eth0": (mac, "up" or "down"), ...}"""
        return {name: tuple(value.split(",")) for name, value in self._pairs("nics")}

    def _pairs(self, fact):
        said = self.last(fact)
        return [] if said in (None, "none") else [item.split("=", 1) for item in said.split()]

    def starts(self):
        """How often it came up, as far as the file goes back."""
        return self.lines().count("ready")

    def heartbeats(self):
        """[(count, uptime), ...] since it last came up."""
        beats = []
        for line in self.lines():
            match = HEARTBEAT.match(line)
            if line == "ready":
                beats = []
            elif match:
                beats.append((int(match[1]), float(match[2])))
        return beats

    def wait(self, condition, what, timeout=120):
        """Until condition(self) is true; returns its value."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = condition(self)
            if value:
                return value
            time.sleep(0.05)
        tail = "\n".join(self.lines()[-15:]) or "(nothing)"
        raise AssertionError(f"{self.console}: {what} not seen within {timeout} s; the last lines:\n{tail}")

    def wait_text(self, text, timeout=120):
        return self.wait(lambda g: text in g.text(), repr(text), timeout)

    def wait_fact(self, fact, value, timeout=120):
        """Until it says e.g. ("cpus", "2"); value may be a predicate."""
        wanted = value if callable(value) else lambda said: said == str(value)

        def holds(guest):
            said = guest.last(fact)
            return said is not None and wanted(said)

        return self.wait(holds, f"{fact} {value}", timeout)

    def wait_heartbeat(self, more=1, timeout=120):
        """Until it has beaten `more` times from now on (or come up and beaten)."""
        start = (self.starts(), len(self.heartbeats()))

        def beaten(guest):
            came_up = guest.starts() > start[0]
            return len(guest.heartbeats()) - (0 if came_up else start[1]) >= more

        self.wait(beaten, f"{more} heartbeats", timeout)

    @contextlib.contextmanager
    def keeps_beating(self, max_gap=5.0):
        """The block must not stop the guest: its heartbeat goes on, with the
        same count, and no two beats are further apart than max_gap seconds by
        the clock on the wall."""
        self.wait_heartbeat()
        starts, first = self.starts(), self.heartbeats()[-1][0]
        with _Watch(self) as watch:
            yield watch
            self.wait_heartbeat(2, timeout=max_gap * 2 + 10)
        beats = [count for count, _ in self.heartbeats()]
        assert self.starts() == starts, f"{self.console}: the guest started anew"
        after = beats[beats.index(first):] if first in beats else []
        assert after == list(range(first, first + len(after))) and len(after) > 2, \
            f"{self.console}: heartbeats from {first} on are {after}"
        assert watch.largest_gap() <= max_gap, \
            f"{self.console}: no heartbeat for {watch.largest_gap():.1f} s (allowed: {max_gap})"


class _Watch:
    """Notes when the console grows, from another thread."""

    def __init__(self, guest):
        self._guest = guest
        self._end = threading.Event()
        self._times = [time.monotonic()]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        beats = len(self._guest.heartbeats())
        size = 0
        while not self._end.wait(0.05):
            try:
                now = os.stat(self._guest.console).st_size
            except FileNotFoundError:
                continue
            if now != size:
                size = now
                count = len(self._guest.heartbeats())
                if count != beats:
                    beats = count
                    self._times.append(time.monotonic())

    def largest_gap(self):
        return max((b - a for a, b in zip(self._times, self._times[1:])), default=0.0)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._end.set()
        self._thread.join()
        self._times.append(time.monotonic())
