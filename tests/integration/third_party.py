"""libvirt's own test data: domain XML that others wrote, as it comes with Debian's source
package. Downloaded and unpacked into build/third-party once; never part of the project."""

import fcntl
import glob
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(REPOSITORY, "build", "third-party")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")


def documents():
    """[(relative path, text), ...] of all XML files with a domain in them, in a stable order;
    SkipTest, with the reason, when they can't be had."""
    source = os.path.join(unpacked(), "tests")
    found = []
    for path in sorted(glob.glob(os.path.join(source, "**", "*.xml"), recursive=True)):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if _is_domain(text):
            found.append((os.path.relpath(path, source), text))
    return found


def _is_domain(text):
    try:
        return ElementTree.fromstring(text.encode()).tag == "domain"
    except ElementTree.ParseError:
        return False


def unpacked():
    """The directory that holds libvirt's tests/."""
    place = os.path.join(PLACE, "libvirt")
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(place):
            work = tempfile.mkdtemp(prefix="new.", dir=PLACE)
            try:
                _unpack(_download(work), os.path.join(work, "libvirt"))
                os.rename(os.path.join(work, "libvirt"), place)
            finally:
                shutil.rmtree(work)
    return place


def _codename():
    with open("/etc/os-release", encoding="utf-8") as file:
        words = dict(line.strip().split("=", 1) for line in file if "=" in line)
    if words.get("ID") != "debian":
        raise unittest.SkipTest("libvirt's test data comes from Debian's source package, and this isn't Debian")
    return words.get("VERSION_CODENAME", "bookworm")


def _download(work):
    """Source packages need lines of their own: in a state of apt's that is ours, not the system's."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(work, name))
    with open(os.path.join(work, "sources.list"), "w", encoding="utf-8") as file:
        file.write(f"deb-src [signed-by={KEYRING}] {MIRROR} {_codename()} main\n")
    apt = ["apt-get", "-q", "-o", f"Dir::State={work}/state", "-o", "Dir::State::status=/var/lib/dpkg/status",
           "-o", f"Dir::Cache={work}/cache", "-o", f"Dir::Etc::sourcelist={work}/sources.list",
           "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=2"]
    for command in (["update"], ["source", "--download-only", "--tar-only", "libvirt"]):
        process = subprocess.run([*apt, *command], cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, check=False)
        if process.returncode != 0:
            last = process.stdout.strip().splitlines()[-1:] or [""]
            raise unittest.SkipTest(f"libvirt's test data can't be downloaded: {last[0]}")
    archives = glob.glob(os.path.join(work, "libvirt_*.orig.tar.*[!c]"))
    if not archives:
        raise unittest.SkipTest("libvirt's test data can't be downloaded: apt-get source left no archive")
    return archives[0]


def _unpack(archive, target):
    """tests/*/*.xml, below target."""
    os.mkdir(target)
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.split("/", 1)[-1]
            if not (member.isfile() and name.startswith("tests/") and name.endswith(".xml")) or ".." in name:
                continue
            path = os.path.join(target, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                shutil.copyfileobj(tar.extractfile(member), file)
