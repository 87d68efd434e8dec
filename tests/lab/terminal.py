"""A terminal that a program under test writes to."""

import fcntl
import os
import pty
import struct
import termios


class Terminal:
    """start(stdout, stderr) begins the program: `process`. To be read often, or the writer waits."""

    def __init__(self, case, start):
        self.text = b""
        self.master, slave = pty.openpty()
        case.addCleanup(os.close, self.master)
        os.set_blocking(self.master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
        try:
            self.process = start(stdout=slave, stderr=slave)
        finally:
            os.close(slave)

    def read(self):
        """What was written so far."""
        try:
            self.text += os.read(self.master, 1 << 16)
        except OSError:  # nothing new, or nobody writes any more
            pass
        return self.text.decode()

    def has_ended(self):
        self.read()
        return self.process.poll() is not None
