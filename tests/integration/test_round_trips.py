#!/usr/bin/python3
"""How much a dry run asks of its hosts, and how often it must have an answer before it can ask on: neither grows with the machines
beyond what is to be read of each."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402
from product import document  # noqa: E402
from wire import Wire  # noqa: E402

FEW, MANY = 5, 50
TRIPS = 9       # to connect, for the lists, for what is in them twice, and to end; one more than that
OF_A_HOST = 20  # calls, with one pool, whatever is in it
ATTEMPTS = 4    # libvirt's client (9.0) forgets at times to send a call until another one is answered (act/long_call.h)


class RoundTrips(lab.TestCase):
    tiny = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.hypervisor()
        cls.addClassCleanup(cls.other.stop)

    def tearDown(self):
        self.other.clear()
        super().tearDown()

    def documents(self, hv, count, **placement):
        """The host's pool, and so many machines with a disk in it."""
        prefix = placement.get("host", "vm")
        more = {"placement": placement} if placement else {}
        pool = document("StoragePool", f"pool-{prefix}", {"type": "dir", "target": hv.path("pools/lab"), **({"hosts": [prefix]} if placement else {})})
        return [pool] + [document("VirtualMachine", f"{prefix}-{number}", {
            "type": "qemu", "powerState": "stopped", "memory": {"size": "64MiB"}, "interfaces": [{"name": "eth0", "user": True}],
            "disks": [{"target": "vda", "size": "1MiB", "pool": f"pool-{prefix}"}], **more}) for number in range(count)]

    def look_once(self, wire, *arguments, dry=True):
        env = {key: value for key, value in self.hv.env.items() if key != "LIBVIRT_DEFAULT_URI"}
        with self.hv.start_reconcile(*(["--dry-run"] if dry else []), *arguments, self.hv.path("specs"), env=env) as process:
            wire.follow(process)
            told = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, told)
        return wire.calls, wire.trips

    def look(self, *hosts, arguments=lambda uris: (), most=TRIPS, **options):
        """A run that finds nothing to do: how often each procedure was called, and the trips, not more than `most`."""
        for attempt in range(ATTEMPTS):
            with Wire(*hosts, local=most is None) as wire:
                calls, trips = self.look_once(wire, *arguments(wire.uris), **options)
            if most is None or trips <= most:
                return calls, trips
        self.fail(f"{trips} trips: {calls}")

    def look_at_one(self, **options):
        return self.look(self.hv, arguments=lambda uris: ("-c", uris[0]), **options)

    def test_one_host(self):
        local, far = {}, {}
        for count in (FEW, MANY):
            self.hv.write("all.yaml", *self.documents(self.hv, count))
            self.hv.apply(self.hv.path("specs"))
            local[count], far[count] = self.look_at_one(most=None), self.look_at_one()
        few, many = far[FEW], far[MANY]
        lab.figure(f"a dry run over a link: {few[1]} trips with {FEW} machines, {many[1]} with {MANY}; {many[0].total()} calls")
        # The definition of each, and the volume of each; of this host's own files, volumes are seen without asking.
        self.assertLessEqual(many[0].total(), OF_A_HOST + 2 * MANY, many)
        self.assertEqual(many[0].total() - few[0].total(), 2 * (MANY - FEW), (few, many))
        self.assertLessEqual(local[MANY][0].total(), OF_A_HOST + MANY + FEW, local)
        # And a run that applies the same asks the same.
        self.assertEqual(self.look_at_one(dry=False)[0], many[0])

    def test_machines_that_run(self):
        """Their definition, and how they run; states come with one call for all."""
        told = {}
        for count in (1, 3):
            self.hv.write("all.yaml", *[self.hv.vm(f"vm-{number}") for number in range(count)])
            self.hv.apply(self.hv.path("specs"))
            told[count] = self.look_at_one()
        self.assertEqual(told[3][0].total() - told[1][0].total(), 2 * 2, told)

    def test_fleet(self):
        """All hosts are waited for at once."""
        def write(*uris):
            self.hv.write("all.yaml", *[each for name, host, uri in zip(("kvm-1", "kvm-2"), (self.hv, self.other), uris)
                                        for each in (document("Host", name, {"uri": uri}), *self.documents(host, FEW, host=name))])

        def declared(uris):
            write(*uris)
            return ()
        write(self.hv.uri, self.other.uri)
        env = {key: value for key, value in self.hv.env.items() if key != "LIBVIRT_DEFAULT_URI"}
        self.hv.reconcile(self.hv.path("specs"), env=env, check=0)
        # One more, which tells whether a host that hangs will be noticed.
        one, both = (self.look(*hosts, arguments=declared, most=TRIPS + 1) for hosts in ((self.hv,), (self.hv, self.other)))
        self.assertEqual({procedure: 2 * times for procedure, times in one[0].items()}, both[0])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
