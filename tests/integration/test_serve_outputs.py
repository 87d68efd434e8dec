#!/usr/bin/python3
"""What the service tells: metrics, notifications, systemd, and who may ask."""

import http.client
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service_case import Service, TestCase, lab, wait_for  # noqa: E402


def parse(text):
    """Prometheus' text format: {name with labels: value}. Every line must fit it."""
    values, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# "):
            typed.add(re.fullmatch(r"# (?:HELP|TYPE) (reconcile_\w+) .+", line)[1])
            continue
        match = re.fullmatch(r'(reconcile_\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.]+)', line)
        assert match, line
        assert match[1] in typed or re.sub(r"_(sum|count)$", "", match[1]) in typed, f"{line}: no type"
        values[match[1] + (match[2] or "")] = float(match[3])
    return values


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


SILENT = """\
import socket, sys, time
clients = [socket.socket(socket.AF_UNIX) for n in range(200)]
for client in clients:
    client.connect(sys.argv[1])
print("connected", flush=True)
while clients:
    time.sleep(0.2)
    for client in list(clients):
        try:
            client.send(b"x")
        except OSError:
            clients.remove(client)
print("all gone", flush=True)
"""


class Outputs(TestCase):
    def get(self, port, path="/metrics", method="GET"):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request(method, path)
        response = client.getresponse()
        return response.status, response.read().decode()

    def test_metrics(self):
        hv = self.hv
        port, textfile = free_port(), hv.path("state/metrics.prom")
        hv.write("all.yaml", hv.vm("web", powerState="stopped"), hv.vm("bad", disks=[{"target": "vda", "path": "/nowhere", "format": "raw"}]))
        with self.service(metrics={"listen": f"127.0.0.1:{port}", "textfile": textfile}) as service:
            service.wait_state(lambda state: "vm/bad" in state["waiting"])
            service.settle()
            status, text = self.get(port)
            self.assertEqual(status, 200)
            values = parse(text)
            self.assertEqual(values['reconcile_objects{kind="vm",state="in-sync"}'], 1)
            self.assertEqual(values['reconcile_objects{kind="vm",state="error"}'] + values['reconcile_objects{kind="vm",state="held"}'], 1)
            self.assertEqual(values['reconcile_actions_total{action="domain-define",result="done"}'], 2)
            self.assertGreater(values['reconcile_actions_total{action="domain-start",result="failed"}'], 0)
            self.assertGreater(values['reconcile_host_events_total{kind="lifecycle"}'], 0)
            self.assertEqual(values["reconcile_connected"], 1)
            self.assertEqual(values["reconcile_queue_actions"], 0)
            self.assertLess(abs(values["reconcile_last_pass_timestamp_seconds"] - time.time()), 600)
            self.assertEqual(self.get(port, "/else")[0], 404)
            self.assertEqual(self.get(port, "/metricsandmore")[0], 404)
            self.assertEqual(self.get(port, method="POST")[0], 405)
            with open(textfile, encoding="utf-8") as file:
                self.assertEqual(set(parse(file.read())) - set(values), set())
            with socket.create_connection(("127.0.0.1", port)) as rude:  # a head that never ends
                rude.sendall(b"GET /" + b"x" * 20000)
                self.assertEqual(self.get(port)[0], 200)
            service.reload(metrics={"textfile": "/nowhere/metrics.prom"})
            for _ in range(2):
                service.settle()
                service.trigger()
            service.settle()
            self.assertEqual(service.log().count("metrics can't be written"), 1, "it is said once")

    def test_notifications(self):
        hv = self.hv
        told, script = hv.path("state/told"), hv.path("tell")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\n[ "$1" = "a b;c" ] || exit 3\ncat >> {told}\necho >> {told}\n')
        os.chmod(script, 0o755)

        def events():
            if not os.path.exists(told):
                return []
            with open(told, encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.strip()]

        def event(name, thing):
            return [each for each in events() if each["event"] == name and thing in [o["object"] for o in each["objects"]]]

        hv.write("all.yaml", hv.vm("web"), hv.vm("large", powerState="stopped", cpu={"count": 4}))
        with self.service(notify={"command": [script, "a b;c"]}, policy={"maxCpus": 2}) as service:
            wait_for(lambda: event("applied", "vm/web") and event("refused", "vm/large"), lambda: f"{events()}\n{service.log()}")
            self.assertEqual(event("drift", "vm/web"), [])
            applied = event("applied", "vm/web")[0]
            self.assertEqual([action["result"] for action in applied["objects"][0]["actions"]], ["done", "done"])
            self.assertEqual(applied["source"], hv.path("specs"))
            service.settle()
            hv.domain("web").destroy()
            wait_for(lambda: event("drift", "vm/web"), service.log)
            hv.write("bad.yaml", hv.vm("bad", disks=[{"target": "vda", "path": "/nowhere", "format": "raw"}]))
            wait_for(lambda: event("failed", "vm/bad"), service.log)
            service.settle()
            self.assertEqual(len(event("refused", "vm/large")), 1, "told once")
            service.reload(notify={"command": ["/bin/sleep", "60"], "timeout": "100ms"}, policy={"maxCpus": 4})
            service.wait_log("a notification failed: it took too long")

    def test_systemd(self):
        hv = self.hv
        path = hv.path("run/notify")
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            os.chmod(path, 0o777)
            listener.settimeout(0.1)
            messages = []

            def told(text):
                try:
                    while True:
                        messages.append(listener.recv(4096).decode())
                except TimeoutError:
                    pass
                return any(text in message for message in messages)

            service = Service(hv, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
            try:
                wait_for(lambda: told("READY=1"), service.log)
                wait_for(lambda: told("STATUS="), service.log)
                wait_for(lambda: told("WATCHDOG=1"), service.log)
                self.assertTrue(any("1 objects, 0 errors" in message for message in messages), messages)
                messages.clear()
                service.reload()
                wait_for(lambda: told("RELOADING=1") and told("READY=1"), service.log)
                self.assertEqual(service.stop(), 0)
                wait_for(lambda: told("STOPPING=1"), service.log)
            finally:
                service.kill()

    @unittest.skipUnless(os.geteuid() == 0, "a journal of its own needs root")
    def test_journal(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        path, entries = hv.path("run/journal"), []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(0.1)

            def entry(**fields):
                try:
                    while True:
                        entries.append(dict(line.split("=", 1) for line in listener.recv(65536).decode().splitlines() if "=" in line))
                except TimeoutError:
                    pass
                return [each for each in entries if fields.items() <= each.items()]

            service = Service(hv, journal=path)
            try:
                wait_for(lambda: entry(RECONCILE_OBJECT="vm/web", RECONCILE_ACTION="domain-define", PRIORITY="6"),
                         lambda: f"{entries}\n{service.log()}")
                place = entry(RECONCILE_ACTION="domain-define")[0]["RECONCILE_PLACE"]
                self.assertTrue(place.startswith(hv.path("specs/all.yaml:")), place)
                self.assertEqual({each["SYSLOG_IDENTIFIER"] for each in entries}, {"reconcile"})
                self.assertEqual(service.stop(), 0)
                self.assertEqual(service.log(), "")
            finally:
                service.kill()

    def test_who_may_ask(self):
        hv = self.hv
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service() as service:
            service.wait_state(lambda state: state["passes"] > 0)
            path = hv.path("run/reconcile/control.sock")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666)
            if os.geteuid() != 0:
                self.skipTest("another user needs root")
            os.chmod(hv.path("run"), 0o755)
            result = hv.reconcile("status", "--config", service.config_path, "-o", "json", user="nobody", check=0).json()
            self.assertEqual(result["service"]["pid"], service.process.pid)
            refused = hv.reconcile("trigger", "--config", service.config_path, user="nobody", check=1)
            self.assertIn("only root and the service's own user", refused.stderr)

    def test_who_asks_nothing_keeps_nobody_out(self):
        """Others hold all the places that there are for them, a byte now and then: who may, has it work, and after a while they are gone."""
        hv = self.hv
        if os.geteuid() != 0:
            self.skipTest("another user needs root")
        hv.write("all.yaml", hv.vm("web", powerState="stopped"))
        with self.service() as service:
            service.wait_state(lambda state: state["passes"] > 0)
            os.chmod(hv.path("run"), 0o755)
            path = hv.path("run/reconcile/control.sock")
            with subprocess.Popen([sys.executable, "-c", SILENT, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, user="nobody") as silent:
                try:
                    self.assertEqual(silent.stdout.readline(), b"connected\n")
                    service.trigger()
                    self.assertEqual(silent.stdout.readline(), b"all gone\n")
                    refused = hv.reconcile("trigger", "--config", service.config_path, user="nobody", check=1)
                    self.assertIn("only root and the service's own user", refused.stderr)  # there is place again
                finally:
                    silent.kill()


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
