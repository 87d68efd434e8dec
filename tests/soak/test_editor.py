#!/usr/bin/python3
"""The JSON Schema in an editor: yaml-language-server, from npm's registry, finds the schema by the examples' modelines, has
nothing to say of them, and complains of bad files where it should. Needs node and npm, which nothing else here does."""

import glob
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = "yaml-language-server@1.15.0"
MODELINE = f"# yaml-language-server: $schema={TOP}/schema/reconcile.schema.json\n"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Server:
    """Speaks the language server protocol on its standard input and output."""

    def __init__(self, program):
        self.process = subprocess.Popen(["node", program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.told = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.send(id=1, method="initialize", params={"processId": None, "rootUri": None, "capabilities": {"workspace": {"configuration": True}}})
        self.send(method="initialized", params={})

    def send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def listen(self):
        while True:
            length = 0
            while line := self.process.stdout.readline().strip():
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            if not length:
                return
            message = json.loads(self.process.stdout.read(length))
            if message.get("method") == "workspace/configuration":
                settings = {"validate": True, "schemaStore": {"enable": False}}
                self.send(id=message["id"], result=[settings if item.get("section") == "yaml" else {} for item in message["params"]["items"]])
            elif "id" in message and "method" in message:
                self.send(id=message["id"], result=None)
            elif message.get("method") == "textDocument/publishDiagnostics":
                self.told.put([(each["range"]["start"]["line"] + 1, each["message"]) for each in message["params"]["diagnostics"]])

    def judge(self, path, text):
        """What is wrong with it: (line, message)."""
        self.send(method="textDocument/didOpen", params={"textDocument": {"uri": f"file://{path}", "languageId": "yaml", "version": 1, "text": text}})
        return self.told.get(timeout=60)

    def stop(self):
        self.process.kill()
        self.process.communicate()


@unittest.skipUnless(shutil.which("npm"), "no npm here")
class Editor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        modules = os.path.join(os.environ.get("RECONCILE_BUILD", os.path.join(TOP, "build")), "editor")
        os.makedirs(modules, exist_ok=True)
        if subprocess.run(["npm", "install", "--silent", "--prefix", modules, PACKAGE], check=False).returncode != 0:
            raise unittest.SkipTest(f"npm has no {PACKAGE} for us")
        cls.server = Server(os.path.join(modules, "node_modules/.bin/yaml-language-server"))
        cls.addClassCleanup(cls.server.stop)

    def test_examples(self):
        paths = [path for path in glob.glob(f"{TOP}/examples/**/*.yaml", recursive=True) if "yaml-language-server" in read(path)]
        self.assertGreater(len(paths), 8)
        for path in paths:
            with self.subTest(path):
                self.assertEqual(self.server.judge(path, read(path)), [])

    def test_bad_files(self):
        for name in ("unknown-keys", "types", "machine", "disks", "snapshots"):
            with self.subTest(name):
                path = f"{TOP}/tests/golden/bad/{name}.yaml"
                expected = {int(line.split(":")[1]) for line in read(path.replace(".yaml", ".expected")).splitlines() if ": error: " in line}
                told = self.server.judge(path, MODELINE + read(path))
                self.assertNotEqual(told, [])
                if name in ("unknown-keys", "types"):  # a rule of several fields is told of where their object begins
                    self.assertLessEqual({line - 1 for line, _ in told}, expected, told)


if __name__ == "__main__":
    lab.main()
