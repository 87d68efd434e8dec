#!/usr/bin/python3
"""A machine whose QEMU hangs, while libvirt's daemon is well: what is asked of it has no answer, ever. No run waits for
that without end, the other machines go on, and all is done when it goes on."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import TestCase, lab, wait_for  # noqa: E402
import libvirt  # noqa: E402

SOON = "1"  # given up after 12 s
NO_ANSWER = "doesn't answer libvirt"


class Stuck(TestCase):
    tiny = True

    def setUp(self):
        super().setUp()
        self.hv.env["RECONCILE_PATIENCE"] = SOON

    def test_what_is_done_to_it(self):
        hv = self.hv
        specs = os.path.dirname(hv.write("all.yaml", hv.vm("web"), hv.vm("db", powerState="stopped")))
        hv.apply(specs)
        hv.write("all.yaml", hv.vm("web", memory={"size": "96MiB"}), hv.vm("db"))
        with hv.hanging("web"):
            result = hv.reconcile(specs).check(1)
            self.assertIn("the daemon answers, but not what it was asked for", result.stderr)
            self.assertTrue(hv.domain("db").isActive())
            result = hv.reconcile(specs).check(1)
            self.assertIn(NO_ANSWER, result.stdout)
        hv.write("all.yaml", hv.vm("web"), hv.vm("db"))  # this guest has no balloon
        hv.apply(specs)
        hv.plan(specs, status=0)

    def test_what_is_asked_of_it(self):
        """Whether layers are being merged only its QEMU knows."""
        hv = self.hv
        disks = [{"target": "vda", "size": "1MiB", "pool": "lab"}]

        def write(title):
            hv.write("all.yaml", hv.pool(), hv.vm("web", disks=disks), hv.vm("db", title=title))
        write("old")
        hv.apply(hv.path("specs"))
        for name in ("one", "two"):
            path = hv.path(f"pools/lab/{name}.qcow2")
            hv.domain("web").snapshotCreateXML(f"<domainsnapshot><name>{name}</name><disks><disk name='vda' snapshot='external'>"
                                               f"<source file='{path}'/></disk></disks></domainsnapshot>", 16)
        with hv.hanging("web"):
            with self.service() as service:
                write("new")
                wait_for(lambda: "<title>new" in hv.domain("db").XMLDesc(), service.log)
                service.wait_log(NO_ANSWER)
            result = hv.reconcile("--dry-run", hv.path("specs")).check(1)
            self.assertRegex(result.stdout, f"vm/web  error(.*\n)*.*{NO_ANSWER}")
        hv.plan(hv.path("specs"), status=0)

    def test_a_start_that_libvirt_was_killed_in(self):
        """Before there was a QEMU: libvirt 9.0 says for ever that it starts it, and lets nobody do anything to it. What is said helps."""
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        hv.apply(hv.path("specs"))
        hv.domain("web").createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        path = hv.path("run/libvirt/qemu/run/web.xml")
        hv.kill_daemon()
        with open(path[:-4] + ".pid", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        os.remove(path[:-4] + ".pid")
        with open(path, encoding="utf-8") as file:
            text = re.sub("<domstatus [^>]*>", "<domstatus state='paused' reason='starting up' pid='0'>", file.read())
        text = re.sub("(?s)<vcpus>.*?</vcpus>", "<vcpus/>", re.sub("<job [^>]*/>", "", text))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("<libDir", "<job type='none' async='start' flags='0x0' asyncStarted='1700000000000'/><libDir", 1))
        hv.restart_daemon()
        if hv.domain("web").state() != [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP]:
            self.skipTest("this libvirt gives such a start up")
        hv.write("all.yaml", hv.vm("web"))
        self.assertIn("paused (starting up)", hv.reconcile("status", check=0).stdout)
        self.assertIn("delete the machine's file", hv.reconcile("--dry-run", hv.path("specs"), check=2).stdout)
        hv.kill_daemon()
        os.remove(path)
        hv.restart_daemon()
        hv.apply(hv.path("specs"))
        self.assertTrue(hv.domain("web").isActive())


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
