"""Ends guests' zombies at once.

libvirtd waits for a QEMU that it ends until the process is gone altogether. As QEMU is detached, that is up to the
host's first process; where that isn't an init system it may look only every other second. So the test takes its place.
"""

import ctypes
import glob
import os
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
_started = False


def start():
    """Once for the process."""
    global _started
    if not _started:
        _started = True
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        threading.Thread(target=_run, daemon=True).start()


def _run():
    while True:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # until there is a zombie, whose ever it is
        except ChildProcessError:  # no child at all
            pass
        for pid in _children():
            if _is_detached_zombie(pid):
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
        time.sleep(0.05)


def _children():
    for path in glob.glob("/proc/self/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                yield from map(int, file.read().split())
        except OSError:  # the thread has ended
            pass


def _is_detached_zombie(pid):
    """What the test started itself is waited for by who did: it is in the test's session, or leads its own. What
    libvirtd detached is in neither; but dnsmasq leads its own."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            name, fields = file.read().split("(", 1)[1].rsplit(")", 1)
    except OSError:
        return False
    state, _, _, session = fields.split()[:4]
    return state == "Z" and int(session) != os.getsid(0) and (int(session) != pid or name == "dnsmasq")
