"""The laboratory of the integration tests: real libvirt, real guests.

    import lab

    class Create(lab.TestCase):
        def test_second_run_is_empty(self):
            self.hv.write("web.yaml", self.hv.vm("web"))
            self.hv.apply(self.hv.path("specs"))
            self.hv.guest("web").wait_heartbeat()
            self.assertEqual(self.hv.plan(self.hv.path("specs"), status=0)["actions"], [])

    if __name__ == "__main__":
        lab.main()

A test file starts with `sys.path` set to this directory (see the tests), runs
alone with python3, and exits with 77 when it is skipped as a whole.
"""

import os
import sys
import unittest

try:
    import libvirt  # noqa: F401
    import yaml  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}: run scripts/install-packages test")
    sys.exit(77)

from budget import SEED, Budget, begin_file  # noqa: F401
from events import Event, EventRecorder  # noqa: F401
from guest import Guest  # noqa: F401
from guard import processes_of  # noqa: F401
from hypervisor import Hypervisor, guest_files  # noqa: F401
from product import DOMAIN_BY_DISK, Product, Result, binary, document, reconcile  # noqa: F401
from system import SystemHypervisor, joined_hosts, share, two_hosts  # noqa: F401


class TestCase(unittest.TestCase):
    """One hypervisor for all tests of the class, as self.hv; between tests
    its domains, pools, networks and specifications are removed."""

    hypervisor = Hypervisor
    # For machines of which no more is asked than to run, beat and react to the power button: Linux takes two seconds of
    # the processor to start, this one takes next to none.
    tiny = False

    @classmethod
    def setUpClass(cls):
        cls.hv = cls.hypervisor()
        cls.hv.tiny = cls.tiny
        cls.addClassCleanup(cls.hv.stop)

    def tearDown(self):
        self.hv.clear()

    def pool_file(self, name, pool="lab"):
        """The file of a volume."""
        return self.hv.path("pools", pool, name)

    def recorder(self):
        """An EventRecorder that ends with the test."""
        recorder = EventRecorder(self.hv.uri)
        self.addCleanup(recorder.close)
        return recorder


def figure(text):
    """A line that the summary of tests/run --soak shows."""
    print(f"\nfigure: {text}", file=sys.stderr, flush=True)


def skip_all(reason):
    """Skip the whole file: says why, exits with 77."""
    print(f"skipped: {reason}")
    sys.exit(77)


def need_binary():
    if not os.access(binary(), os.X_OK):
        skip_all(f"{binary()} is not built: cmake --preset asan && cmake --build --preset asan")


class _Program(unittest.TestProgram):
    def runTests(self):
        begin_file(self.test.countTestCases())
        super().runTests()


def main():
    """Runs the file's tests. Exit status: 0, 1, or 77 when all are skipped."""
    program = _Program(module="__main__", exit=False, verbosity=2)
    result = program.result
    for case, reason in result.skipped:
        print(f"skipped: {case.id().removeprefix('__main__.')}: {reason}")
    if not result.wasSuccessful() or any(os.geteuid() == 0 and "root" in reason for _, reason in result.skipped):
        sys.exit(1)
    if result.testsRun and len(result.skipped) >= result.testsRun:
        skip_all(result.skipped[0][1])
    sys.exit(0)
