"""What libvirt tells about domains, pools and networks while a test acts."""

import atexit
import collections
import threading
import time

import libvirt

Event = collections.namedtuple("Event", "time kind name event detail")

LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "pmsuspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}

# kind: (libvirt's event id, what to keep of the callback's arguments)
DOMAIN_EVENTS = {
    "reboot": (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, lambda *a: None),
    "device-added": (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, lambda alias: alias),
    "device-removed": (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, lambda alias: alias),
    "removal-failed": (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, lambda alias: alias),
    "balloon": (libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, lambda actual: actual),
    "tray": (libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, lambda alias, reason: (alias, reason)),
    "block-job": (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, lambda disk, kind, status: (disk, kind, status)),
    "metadata": (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, lambda kind, uri: uri),
}

_loop = None
_leaving = threading.Event()


def start_event_loop():
    """Once, and before the first connection is opened."""
    global _loop
    if _loop:
        return
    libvirt.virEventRegisterDefaultImpl()
    # A timer, so that the loop wakes up to see that the process ends.
    libvirt.virEventAddTimeout(200, lambda timer, opaque: None, None)

    def run():
        while not _leaving.is_set():
            libvirt.virEventRunDefaultImpl()

    def leave():
        _leaving.set()
        _loop.join(2)

    _loop = threading.Thread(target=run, name="libvirt-events", daemon=True)
    _loop.start()
    atexit.register(leave)


class EventRecorder:
    """Records on a connection of its own, from the constructor to close().

    `events` is the list of Event(time, kind, name, event, detail) so far; kind
    is "lifecycle", "pool", "network" or a key of DOMAIN_EVENTS.
    """

    def __init__(self, uri):
        start_event_loop()
        self.events = []
        self._news = threading.Condition()
        self._conn = libvirt.open(uri)
        self._conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            lambda conn, dom, event, detail, opaque:
                self._add("lifecycle", dom, LIFECYCLE.get(event, event), detail), None)
        for kind, (number, keep) in DOMAIN_EVENTS.items():
            self._conn.domainEventRegisterAny(None, number, self._callback(kind, keep), None)
        self._register_pools_and_networks()

    def _callback(self, kind, keep):
        # libvirt-python ends each callback's arguments with the opaque value.
        return lambda conn, dom, *rest: self._add(kind, dom, kind, keep(*rest[:-1]))

    def _register_pools_and_networks(self):
        def note(kind):
            return lambda conn, obj, event, detail, opaque: self._add(kind, obj, event, detail)
        registrations = (
            (self._conn.storagePoolEventRegisterAny, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, "pool"),
            (self._conn.networkEventRegisterAny, libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, "network"))
        for register, number, kind in registrations:
            try:
                register(None, number, note(kind), None)
            except libvirt.libvirtError:
                pass  # no such driver here

    def _add(self, kind, obj, event, detail):
        with self._news:
            self.events.append(Event(time.monotonic(), kind, obj.name(), event, detail))
            self._news.notify_all()

    def of(self, name, kind="lifecycle"):
        """The events of one object, in order."""
        return [e for e in list(self.events) if e.name == name and e.kind == kind]

    def names_of(self, name):
        """The domain's life in words: ["defined", "started", ...]."""
        return [e.event for e in self.of(name)]

    def stopped_events(self, name=None):
        """Every event that means: the guest did not run on."""
        ends = ("stopped", "crashed", "shutdown", "reboot")
        return [e for e in list(self.events)
                if e.event in ends and e.kind in ("lifecycle", "reboot") and name in (None, e.name)]

    def wait_for(self, condition, timeout=120):
        """Until condition(events) holds; AssertionError otherwise."""
        with self._news:
            if not self._news.wait_for(lambda: condition(self.events), timeout):
                raise AssertionError(f"no such event within {timeout} s; there were: {self.events}")

    def settle(self):
        """Let what has happened by now arrive."""
        self._conn.getLibVersion()
        time.sleep(0.3)

    def clear(self):
        with self._news:
            del self.events[:]

    def close(self):
        if self._conn:
            self._conn.close()
            self._conn = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
