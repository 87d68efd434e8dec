"""What is seen of a machine on its way, whatever it was told: what libvirt tells both QEMUs and what they answer, and
what arrives at the target."""

import contextlib
import ctypes
import json
import os
import re
import socket
import struct
import threading

CLONE_NEWNET = 0x40000000
PORTS = range(49152, 49216)  # qemu.conf's: memory, and disks
SAID = re.compile(r"QEMU_MONITOR_SEND_MSG: .*? msg=(\{.*)")
ANSWERED = re.compile(r"QEMU_MONITOR_RECV_REPLY: .*? reply=(\{.*)")
ASKED = re.compile(r'params\["(.*?)"\]=\(\w+\)(.*)')


class Heard(list):
    """The lines with what was said to the QEMUs of a host; there when the block has ended."""

    def __init__(self):
        super().__init__()
        self.replies = []
        self.asked = {}  # of libvirtd, by calls with typed parameters: their values as text

    def read(self, log):
        with open(log, encoding="utf-8") as file:
            for line in file:
                if "QEMU_MONITOR_SEND_MSG" in line:
                    self.append(line)
                elif answer := ANSWERED.search(line):
                    self.replies.append(json.JSONDecoder().raw_decode(answer[1])[0].get("return"))
                elif parameter := ASKED.search(line):
                    self.asked[parameter[1]] = parameter[2]

    def said(self, command):
        """The arguments of each such command, in order."""
        messages = [json.JSONDecoder().raw_decode(SAID.search(line)[1])[0] for line in self if f'"execute":"{command}"' in line]
        return [message.get("arguments", {}) for message in messages]

    def each(self, command, argument):
        return [arguments.get(argument) for arguments in self.said(command)]

    def capabilities(self):
        """Those that were switched on, if only for a while."""
        return {each["capability"] for told in self.said("migrate-set-capabilities") for each in told["capabilities"] if each["state"]}

    def every(self, parameter):
        """What it was set to, one after the other."""
        return [told[parameter] for told in self.said("migrate-set-parameters") if parameter in told]

    def progress(self):
        """What QEMU answered on how far it is, each time it was asked."""
        return [reply for reply in self.replies if isinstance(reply, dict) and "ram" in reply]


@contextlib.contextmanager
def heard(host):
    log, told = host.path("monitor.log"), Heard()
    uri = f"libvirtd:///system?socket={host.path('run/libvirt/libvirt-admin-sock')}"

    def say(**settings):
        for name, value in settings.items():
            host.run("virt-admin", "-c", uri, f"daemon-log-{name}", value)
    say(filters="1:qemu.qemu_monitor 1:libvirt.domain 4:*", outputs=f"1:file:{log}")
    try:
        yield told
    finally:
        say(outputs="3:stderr", filters="")
    told.read(log)
    os.unlink(log)


class Meanwhile:
    """Looks again and again until the block ends."""

    def __init__(self):
        self.over = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self.thread.join()


def packets_of(host):
    """A socket that gets all that arrives on the host's cable."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(file):
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    with open(f"/proc/{threading.get_native_id()}/ns/net", "rb") as here, open(f"/proc/{host.keeper.pid}/ns/net", "rb") as there:
        enter(there)
        try:
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
            packets.bind(("cable", 0x0003))
        finally:
            enter(here)
    packets.setsockopt(socket.SOL_SOCKET, 33, 512 << 20)  # SO_RCVBUFFORCE: none may be lost
    return packets


class Cable(Meanwhile):
    """What arrives at a host's QEMUs: how each connection begins, by which address, and whether a word is among it."""

    def __init__(self, host, word=None):
        super().__init__()
        self.packets, self.word = packets_of(host), word
        self.begins, self.addresses, self.found = {}, set(), 0

    def look(self):
        self.packets.settimeout(0.1)
        while True:
            try:
                packet, (*_, kind, _, _) = self.packets.recvfrom(1 << 17)
            except TimeoutError:
                if self.over.is_set():
                    return
                continue
            if kind != socket.PACKET_OUTGOING:
                self.take(packet)

    def take(self, packet):
        if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
            return
        tcp = (packet[0] & 15) * 4
        source, port = struct.unpack("!HH", packet[tcp:tcp + 4])
        data = packet[tcp + (packet[tcp + 12] >> 4) * 4:struct.unpack("!H", packet[2:4])[0] or None]
        if port in PORTS and data:
            begin = self.begins.setdefault((source, port), bytearray())
            begin += data[:max(0, 256 - len(begin))]
            self.addresses.add(socket.inet_ntoa(packet[16:20]))
            self.found += self.word is not None and self.word in data

    def __exit__(self, *exception):
        super().__exit__(*exception)
        _, self.lost = struct.unpack("II", self.packets.getsockopt(263, 6, 8))  # SOL_PACKET, PACKET_STATISTICS
        self.packets.close()
