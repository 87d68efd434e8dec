"""What a client asks of libvirt, counted: a relay between the two that reads the messages of libvirt's protocol.

Answers are held back until the client can do nothing more without one: until all that it asked is answered, and all of its
threads sleep. Then all are handed over at once, which is one round trip over a link on which everything takes long. So a trip
is a matter of what waits for what, and not of time.
"""

import collections
import os
import selectors
import socket
import struct
import threading

CALL, REPLY = 0, 1  # virNetMessageType; libvirt: src/rpc/virnetprotocol.x
HEAD = struct.Struct(">IIIiII")  # length, program, version, procedure, type, serial


class Stream:
    """One direction of a connection."""

    def __init__(self, source, take):
        self.source, self.take, self.left = source, take, b""

    def read(self):
        """FALSE: it has ended."""
        data = self.source.recv(1 << 16)
        self.left += data
        while len(self.left) >= HEAD.size and len(self.left) >= (size := HEAD.unpack_from(self.left)[0]):
            message, self.left = self.left[:size], self.left[size:]
            self.take(message)
        return bool(data)


class Wire:
    """uris: one for each host. calls: how often each procedure (src/remote/remote_protocol.x) was called. trips."""

    def __init__(self, *hosts, local=False):
        self.calls, self.trips = collections.Counter(), 0
        self.client, self.owed, self.held, self.over = None, 0, [], False
        self.selector, self.sockets, self.uris = selectors.DefaultSelector(), [], []
        for host in hosts:
            self.listen(host, local)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.over = True
        self.thread.join()
        self.selector.close()
        for each in self.sockets:
            each.close()

    def follow(self, process):
        """Whose calls these are."""
        self.client = process.pid

    def listen(self, host, local):
        """A place of the same length as the host's own socket, which is short enough."""
        path = host.path("run/libvirt/wire-socket")
        listener = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        if local and os.path.exists(path):
            os.unlink(path)
        listener.bind(path if local else ("127.0.0.1", 0))
        listener.listen()
        self.sockets.append(listener)
        self.uris.append(f"qemu:///session?socket={path}" if local else f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/session")
        self.selector.register(listener, selectors.EVENT_READ, lambda: self.accept(listener, host))

    def accept(self, listener, host):
        near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
        self.sockets += [near, far]
        far.connect(host.socket)

        def asked(message):
            kind, procedure = HEAD.unpack_from(message)[4], HEAD.unpack_from(message)[3]
            if kind == CALL:
                self.calls[procedure] += 1
                self.owed += 1
            try:
                far.sendall(message)
            except OSError:
                pass  # it has gone

        def answered(message):
            self.owed -= HEAD.unpack_from(message)[4] == REPLY
            self.held.append((near, message))
        for stream in (Stream(near, asked), Stream(far, answered)):
            self.selector.register(stream.source, selectors.EVENT_READ, lambda stream=stream: self.read(stream))

    def read(self, stream):
        try:
            goes_on = stream.read()
        except OSError:  # reset: it was closed with something unread
            goes_on = False
        if not goes_on:
            self.selector.unregister(stream.source)

    def run(self):
        before = None
        while not self.over:
            ready = self.selector.select(0.002)
            for key, _ in ready:
                key.data()
            now = self.state_of_client() if self.held and not self.owed and not ready else None
            if now and now == before:
                self.deliver()
            before = now

    def state_of_client(self):
        """How often each of its threads went to sleep; None: one of them is awake."""
        threads = {}
        try:
            for thread in os.listdir(f"/proc/{self.client}/task"):
                with open(f"/proc/{self.client}/task/{thread}/status", encoding="ascii", errors="replace") as file:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
                threads[thread] = (status["voluntary_ctxt_switches"], status["nonvoluntary_ctxt_switches"])
                if not status["State"].startswith("S"):
                    return None
        except (OSError, KeyError):
            return None
        return threads

    def deliver(self):
        self.trips += 1
        held, self.held = self.held, []
        for near, message in held:
            try:
                near.sendall(message)
            except OSError:
                pass  # it has gone
