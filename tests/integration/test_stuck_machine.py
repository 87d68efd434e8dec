#!/usr/bin/python3
"""A machine whose QEMU hangs, while libvirt's daemon is well: what is asked of it has no answer, ever. No run waits for
that without end, the other machines go on, and all is done when it goes on."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import TestCase, lab, wait_for  # noqa: E402

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


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
