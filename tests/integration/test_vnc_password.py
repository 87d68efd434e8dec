#!/usr/bin/python3
"""The first password of a display: QEMU takes one only where it was started with one, so it waits for a start.
What the display asks for is seen by talking to it."""

import os
import socket
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
import libvirt  # noqa: E402

SECRET = "<secret ephemeral='no' private='no'><usage type='vtpm'><name>vnc-web</name></usage></secret>"
SECURE = libvirt.VIR_DOMAIN_XML_SECURE
NONE, VNC = 1, 2  # RFC 6143, section 7.1.2


class FirstPassword(lab.TestCase):
    def write(self, **graphics):
        hv = self.hv
        hv.write("web.yaml", hv.vm("web", graphics=[{"type": "vnc", "listen": "127.0.0.1", **graphics}],
                                   shutdown={"timeout": "1s", "retryInterval": "1s"}))
        return hv.path("specs")

    def password(self, flags=0):
        return ET.fromstring(self.hv.domain("web").XMLDesc(SECURE | flags)).find("devices/graphics").get("passwd")

    def security(self):
        """The kinds of authentication that the display offers."""
        port = int(ET.fromstring(self.hv.domain("web").XMLDesc()).find("devices/graphics").get("port"))
        with socket.create_connection(("127.0.0.1", port), timeout=20) as display, display.makefile("rb") as answer:
            answer.read(12)
            display.sendall(b"RFB 003.008\n")
            return list(answer.read(answer.read(1)[0]))

    def test_waits_for_a_start(self):
        hv = self.hv
        hv.conn.secretDefineXML(SECRET).setValue(b"s3cret")
        hv.apply(self.write())
        self.assertEqual(self.security(), [NONE])

        specs = self.write(passwordSecret="vnc-web")
        recorder = self.recorder()
        plan = hv.plan(specs, status=2)
        field, = [each for each in plan["objects"][0]["fields"] if "passwordSecret" in each["path"]]
        self.assertEqual(field["effect"], "next-start")
        result = hv.apply(specs)
        self.assertNotIn("s3cret", result.stdout + result.stderr)
        self.assertEqual((self.password(libvirt.VIR_DOMAIN_XML_INACTIVE), self.password()), ("s3cret", None))
        self.assertEqual(self.security(), [NONE])
        self.assertEqual(recorder.stopped_events("web"), [])
        self.assertEqual(hv.plan(specs, status=0)["actions"], [], "a second run has nothing to do")
        self.assertIn("passwordSecret", hv.reconcile("status", "web", check=0).stdout)

        self.assertIn("1 pending restart", hv.reconcile("--dry-run", specs, check=0).stdout)

        hv.domain("web").destroy()
        hv.apply(specs)
        self.assertEqual(self.password(), "s3cret")
        self.assertEqual(self.security(), [VNC])
        self.assertEqual(hv.plan(specs, status=0)["actions"], [])

    def test_refused_before_anything(self):
        """A secret that this host lacks is missed before a disk is made."""
        hv = self.hv
        specs = self.write(passwordSecret="vnc-wbe")
        hv.write("pool.yaml", hv.pool())
        hv.write("web.yaml", hv.vm("web", graphics=[{"type": "vnc", "listen": "127.0.0.1", "passwordSecret": "vnc-wbe"}],
                                   disks=[{"target": "vda", "size": "8MiB", "pool": "lab"}]))
        for arguments in (("--dry-run", "--preflight"), ()):
            result = hv.reconcile(*arguments, specs, check=1)
            self.assertIn("there is no libvirt secret with the usage name vnc-wbe", result.stdout + result.stderr)
        self.assertEqual(os.listdir(hv.path("pools", "lab")), [])

    def test_restart_where_it_is_allowed(self):
        hv = self.hv
        hv.conn.secretDefineXML(SECRET).setValue(b"s3cret")
        hv.apply(self.write())
        specs = self.write(passwordSecret="vnc-web")
        hv.apply(specs)
        hv.apply("--allow", "restart", specs)  # also when it was pending before
        self.assertEqual(self.password(), "s3cret")
        self.assertEqual(self.security(), [VNC])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
