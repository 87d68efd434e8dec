"""A running machine whose guest is tiny-disk, which counts in the first sector of its disk: what is on its disks is written
through its QEMU and read from its files, so that no Linux has to boot for it."""

import hashlib
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import libvirt_qemu

SECTOR = 512
BACKEND = "/machine/peripheral/{}/virtio-backend"


def machine(hv, name, disks, **spec):
    """A document. The first disk is the one that the guest counts on."""
    disks = [{**disks[0], "bootIndex": 1}, *disks[1:]]
    whole = {"disks": disks, "boot": {"kernel": hv.path("guest/tiny-disk")}, "memory": {"size": "16MiB"},
             "shutdown": {"timeout": "20s", "retryInterval": "500ms"}}
    return hv.vm(name, **{**whole, **spec})


def write(hv, name, target, mib, value):
    """64 KiB of a value, as the guest would: by its disk, which a block job watches and a snapshot switches."""
    through_qemu(hv, name, target, f"write -q -P {value} {mib}M 64k", "flush")
    assert content(hv, name, target)[mib << 20] == value, f"nothing was written to {target}"


def through_qemu(hv, name, target, *commands):
    """Commands of qemu-io, which says in QEMU's log how they went."""
    backend = BACKEND.format(_disk(hv, name, target).find("alias").get("name"))
    for command in commands:
        said = libvirt_qemu.qemuMonitorCommand(hv.domain(name), f'qemu-io -d {backend} "{command}"',
                                               libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
        assert not said.strip(), said


def monitor(hv, name, command, **arguments):
    said = json.loads(libvirt_qemu.qemuMonitorCommand(hv.domain(name), json.dumps({"execute": command, "arguments": arguments}), 0))
    assert "return" in said, said
    return said["return"]


def told_of_layer(hv, name, node, path, only_read=False):
    """QEMU knows a layer, and libvirt doesn't know that."""
    monitor(hv, name, "blockdev-add", driver="qcow2", backing=None,
            **{"node-name": node, "read-only": only_read, "file": {"driver": "file", "filename": path}})


def on_layer(hv, name, node, path, target="vda"):
    """QEMU goes over to a layer, and libvirt doesn't know it: as when libvirtd dies at that moment."""
    told_of_layer(hv, name, node, path)
    disk = _disk(hv, name, target).find("source").get("file")
    nodes = monitor(hv, name, "query-named-block-nodes")
    beneath = next(each["node-name"] for each in nodes if each["drv"] == "qcow2" and each["file"] == disk)
    monitor(hv, name, "blockdev-snapshot", node=beneath, overlay=node)


def opened(hv, name, target):
    """The file that the guest's disk is, as QEMU says."""
    alias = _disk(hv, name, target).find("alias").get("name")
    return next(each["inserted"]["file"] for each in monitor(hv, name, "query-block") if alias in each.get("qdev", ""))


def content(hv, name, target="vda", most=None):
    """What a disk holds beyond the guest's count. A machine that runs is paused for a moment: then QEMU has written all it has."""
    domain = hv.domain(name)
    raw = hv.path(f"state/{name}-{target}.raw")
    running = domain.state()[0] == 1
    if running:
        domain.suspend()
    try:
        disk = _disk(hv, name, target)
        if domain.isActive():
            assert opened(hv, name, target) == disk.find("source").get("file"), "QEMU has another file open than libvirt knows"
        subprocess.run(["qemu-img", "convert", "-U", "-f", disk.find("driver").get("type"), "-O", "raw", disk.find("source").get("file"), raw],
                       check=True)
    finally:
        if running:
            domain.resume()
    data = beyond(raw, most)
    os.unlink(raw)
    return data


def beyond(raw, most=None):
    """The content of a raw image, without the count."""
    with open(raw, "rb") as file:
        data = file.read(most)
    return bytes(SECTOR) + data[SECTOR:]


def digest(hv, name, target="vda"):
    return hashlib.sha256(content(hv, name, target)).hexdigest()


def digest_of(raw):
    return hashlib.sha256(beyond(raw)).hexdigest()


def came_up(hv, name):
    """Until the guest beats that was started last; how often it has been started."""
    guest = hv.guest(name)
    guest.wait(lambda each: each.heartbeats(), "a heartbeat")
    return guest.starts()


def _disk(hv, name, target):
    root = ElementTree.fromstring(hv.domain(name).XMLDesc())
    return next(disk for disk in root.findall("devices/disk") if disk.find("target").get("dev") == target)
