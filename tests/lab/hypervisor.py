"""A private libvirt session daemon with real QEMU guests, for one test.

It lives in a directory of its own with its own XDG directories, runs as an
ordinary user (as `nobody` where the test runs as root) and is ended with all
its guests when the test ends, however that ends (see guard.py).
"""

import contextlib
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import libvirt

import events
import reaper
from guard import unmount_below
from product import Product

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(REPOSITORY, "build")

# libvirt prints errors itself otherwise; the tests see them as exceptions.
libvirt.registerErrorHandler(lambda context, error: None, None)

# QEMU reads what libvirt says byte by byte, and without this libvirt asks it for each of 350 properties of the CPU when a
# machine starts. With it, for all at once, as of older QEMUs: 0.08 rather than 0.29 s of the processor.
CPU_AT_ONCE = 'capability_filters = ["cpu-unavailable-features"]\n'

# No log daemon, no network ports shared with other tests' guests.
QEMU_CONF = """\
stdio_handler = "file"
remote_display_port_min = {port}
remote_display_port_max = {last_port}
""" + CPU_AT_ONCE

UNDEFINE = (libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
            libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)


GUEST_FILES = ("kernel", "initrd", "initrd-agent", "tiny", "tiny-deaf", "tiny-disk", "base.qcow2", "base.raw")


def guest_files():
    """Builds the guest where that is needed; the directory that holds it."""
    directory = os.environ.get("LAB_GUEST") or os.path.join(BUILD, "guest")
    subprocess.run([os.path.join(HERE, "guest"), directory], check=True)
    return directory


class Hypervisor(Product):
    """Use as a context manager, or call stop().

    uri        to connect with, from this process too
    conn       a connection (libvirt-python), with events running
    env        the environment for programs that belong to it
    directory  its own; with pools/, specs/, consoles/ and guest/ inside
    """

    uri_template = "qemu:///session?socket={socket}"

    def __init__(self):
        events.start_event_loop()
        reaper.start()
        self.conn = None
        self.daemon = None
        self.root = os.geteuid() == 0
        self.directory = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        self._guard = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "guard.py"), self.directory],
            stdin=subprocess.PIPE, start_new_session=True)
        try:
            self._prepare()
            self._start_daemon()
        except BaseException:
            self.stop()
            raise

    # Directories and environment.

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def make_directory(self, *parts):
        """Inside its directory, belonging to the daemon's user."""
        path = self.path(*parts)
        os.makedirs(path, exist_ok=True)
        self.give(path)
        return path

    def give(self, path):
        """Let the daemon's user own what this test made."""
        if self.root:
            user = pwd.getpwnam("nobody")
            os.chown(path, user.pw_uid, user.pw_gid)

    def small_disk(self, name, size):
        """pools/NAME as a file system of that size ("8M"); needs root."""
        if not self.root:
            raise unittest.SkipTest("mounting a small file system needs root")
        path = self.make_directory("pools", name)
        options = f"size={size},mode=777"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
        return path

    def _prepare(self):
        os.chmod(self.directory, 0o755)
        self.give(self.directory)
        for name in ("home", "run", "config", "cache", "data", "state",
                     "pools", "specs", "consoles", "guest", "config/libvirt", "cache/libvirt"):
            self.make_directory(name)
        os.chmod(self.path("run"), 0o700)
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": self.path("home"),
            "XDG_RUNTIME_DIR": self.path("run"),
            "XDG_CONFIG_HOME": self.path("config"),
            "XDG_CACHE_HOME": self.path("cache"),
            "XDG_DATA_HOME": self.path("data"),
            "XDG_STATE_HOME": self.path("state"),
            "RECONCILE_LAB": self.path(""),
        }
        # The socket's place, and with it the URI, is short enough for sun_path.
        self.socket = self.path("run", "libvirt", "libvirt-sock")
        self.uri = self.uri_template.format(socket=self.socket)
        self.env["LIBVIRT_DEFAULT_URI"] = self.uri
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "G_DEBUG", "G_SLICE"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        source = guest_files()
        for name in GUEST_FILES:
            self._take(os.path.join(source, name), self.path("guest", name))

    @staticmethod
    def _take(source, path):
        """The guest's files are 140 MiB, and nobody writes to them: one file for all hypervisors, where that can be."""
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)

    # The daemon.

    def _start_daemon(self):
        self._load_cache()
        self._configure()
        self._launch()
        self.connect()
        self.conn.getCapabilities()
        self._save_cache()

    def _configure(self):
        port = 5900 + os.getpid() % 500 * 100
        with open(self.path("config/libvirt/qemu.conf"), "w", encoding="utf-8") as file:
            file.write(QEMU_CONF.format(port=port, last_port=port + 99))

    def _launch(self):
        # A capabilities cache written on another core counts as another
        # host's, so the daemon always starts on the first one.
        options = {}
        if self.root:
            options = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid,
                       "extra_groups": [g for g in ("kvm",) if _group_exists(g)]}
        # After half an hour without clients and guests it ends by itself.
        self._launch_as(["taskset", "-c", "0", "libvirtd", "--timeout", "1800"], **options)

    def _launch_as(self, command, **options):
        # A daemon that reads where it is itself connects to itself, and can wait for itself for ever.
        env = {key: value for key, value in self.env.items() if key != "LIBVIRT_DEFAULT_URI"}
        with open(self.path("libvirtd.log"), "ab") as log:
            self.daemon = subprocess.Popen(
                command, env=env, cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, **options)

    def connect(self, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.conn = libvirt.open(self.uri)
                break
            except libvirt.libvirtError as error:
                if self.daemon.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"libvirtd does not answer: {error}\n{self.daemon_log()}") from error
            time.sleep(0.02)
        self._release_cores()
        return self.conn

    def _release_cores(self):
        """Guests inherit the daemon's cores: give all back."""
        cores = range(os.cpu_count())
        for thread in os.listdir(f"/proc/{self.daemon.pid}/task"):
            try:
                os.sched_setaffinity(int(thread), cores)
            except ProcessLookupError:
                pass

    def daemon_log(self):
        with open(self.path("libvirtd.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill_daemon(self):
        """SIGKILL to libvirtd alone; the guests run on."""
        self.daemon.kill()
        self.daemon.wait()

    def mend_daemon(self):
        """libvirtd 9.0 may die of a client that went while it could not see that (it takes the client's event callbacks
        away twice, "unexpected network event deregister failure"): started anew then."""
        try:
            self.daemon.wait(1)
        except subprocess.TimeoutExpired:
            return
        self.restart_daemon()

    @contextlib.contextmanager
    def hanging(self, name):
        """A machine's QEMU, stopped and going again."""
        with open(self.path(f"run/libvirt/qemu/run/{name}.pid"), encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def restart_daemon(self):
        """After kill_daemon(), or instead of it. `conn` is a new one then."""
        if self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(120)
        self._launch()
        return self.connect()

    def launch_daemon(self):
        """After kill_daemon(), where it isn't to be waited for: connect() does that."""
        self._launch()

    # QEMU's capabilities take seconds to find out: keep them between tests.

    CACHE = os.path.join(BUILD, "lab-cache")
    cache = "cache/libvirt/qemu"

    def _load_cache(self):
        if os.path.isdir(self.CACHE):
            shutil.copytree(self.CACHE, self.path(self.cache), dirs_exist_ok=True)
        for place, directories, files in os.walk(self.path("cache")):
            for name in directories + files:
                self.give(os.path.join(place, name))

    def _save_cache(self):
        now = self.path(self.cache)
        if _contents(now) == _contents(self.CACHE):
            return
        os.makedirs(BUILD, exist_ok=True)
        fresh = tempfile.mkdtemp(prefix="lab-cache.", dir=BUILD)
        shutil.copytree(now, fresh, dirs_exist_ok=True)
        os.chmod(fresh, 0o755)
        shutil.rmtree(self.CACHE, ignore_errors=True)
        try:
            os.rename(fresh, self.CACHE)
        except OSError:  # another test was faster
            shutil.rmtree(fresh)

    # The end.

    def clear(self):
        """Removes all domains, pools, networks, secrets and specifications."""
        if not self.conn.isAlive():
            self.connect()
        for domain in self.conn.listAllDomains():
            try:
                if domain.isActive():
                    domain.destroy()
                if domain.isPersistent():
                    domain.undefineFlags(UNDEFINE)
            except libvirt.libvirtError as error:  # a lock, which ends with its holder's connection
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
        for each in self.conn.listAllStoragePools() + self.conn.listAllNetworks():
            persistent = each.isPersistent()
            if each.isActive():
                each.destroy()
            if persistent:
                each.undefine()
        for secret in self.conn.listAllSecrets():
            secret.undefine()
        unmount_below(self.directory + "/pools")
        for name in ("pools", "specs", "consoles", "state"):
            shutil.rmtree(self.path(name))
            self.make_directory(name)

    def stop(self):
        """Ends all guests and the daemon and removes the directory."""
        if self.conn:
            try:
                self.conn.close()
            except libvirt.libvirtError:
                pass
            self.conn = None
        if self._guard:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        if self.daemon:
            self.daemon.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


def _group_exists(name):
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False


def _contents(directory):
    found = {}
    for place, _, files in os.walk(directory):
        for name in files:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.relpath(os.path.join(place, name), directory)] = file.read()
    return found
