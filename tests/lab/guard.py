"""The end of a private hypervisor: whatever happens to the test.

Runs beside each test as a process of its own, `guard.py DIRECTORY`, and waits
for the end of its standard input, which is the end of the test (also by
SIGKILL) or its wish. Then it ends the processes that live in DIRECTORY, by
process id, and removes DIRECTORY. They are known by their environment or, where
DIRECTORY/namespace names one ("net:[...]"), by their network namespace.
"""

import os
import shutil
import signal
import subprocess
import sys
import time


def processes_of(directory):
    """Ids of the processes whose environment names DIRECTORY as their home."""
    marks = tuple(f"{name}={directory}/".encode()
                  for name in ("HOME", "XDG_RUNTIME_DIR", "RECONCILE_LAB"))
    namespace = namespace_of(directory)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                environment = file.read().split(b"\0")
            inside = namespace and os.readlink(f"/proc/{entry}/ns/net") == namespace
        except OSError:
            continue
        if inside or any(line.startswith(marks) for line in environment):
            found.append(int(entry))
    return found


def namespace_of(directory):
    try:
        with open(os.path.join(directory, "namespace"), encoding="utf-8") as file:
            namespace = file.read().strip()
    except OSError:
        return None
    # Never our own: that would be every process of the machine.
    return None if namespace == os.readlink("/proc/self/ns/net") else namespace


def end_processes(directory, patience=5.0):
    """Ask, wait, insist."""
    deadline = time.monotonic() + patience
    asked = set()
    while True:
        left = processes_of(directory)
        if not left:
            return
        late = time.monotonic() > deadline
        for pid in left:
            if late or pid not in asked:
                try:
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    pass
                asked.add(pid)
        time.sleep(0.05)


def unmount_below(directory):
    """A test may have left a tmpfs in its directory."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        points = [line.split()[1] for line in file]
    for point in sorted(points, reverse=True):
        if point.startswith(directory + "/"):
            subprocess.run(["umount", "-l", point], check=False)


def cpu_group_of(directory):
    """Where the control group is that a hypervisor in DIRECTORY may make for its guests."""
    return "/sys/fs/cgroup/cpu/" + os.path.basename(directory)


def remove_groups(directory):
    for place, _, _ in os.walk(cpu_group_of(directory), topdown=False):
        try:
            os.rmdir(place)
        except OSError:
            pass


def main():
    directory = sys.argv[1]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_processes(directory)
    unmount_below(directory)
    remove_groups(directory)
    if os.environ.get("KEEP_LAB"):
        print(f"lab kept: {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
