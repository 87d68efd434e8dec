#!/usr/bin/python3
"""Images over HTTP and HTTPS, from servers on loopback: whole, resumed, and everything that can go wrong."""

import hashlib
import http.server
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab  # noqa: E402


TOKEN = "TheTokenThatNobodyMaySee"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.content as server.manner says; notes what was asked for."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        server.requests.append((self.path, self.headers.get("Range")))
        if self.path.startswith("/redirect"):
            return self.answer(302, b"", {"Location": server.target})
        if self.path not in ("/image", f"/image?key=a;b,c'd)&token={TOKEN}"):
            return self.answer(404, b"not here")
        content, status, headers = server.content, 200, {}
        if asked and server.ranges:
            start, end = int(asked[1]), int(asked[2] or len(content) - 1)
            status, headers = 206, {"Content-Range": f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}"}
            content = content[start:end + 1]
        return self.answer(status, content, headers)

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        whole = len(content)
        stop = self.server.stop_after if whole > 4096 else None
        try:
            for at in range(0, whole, 65536):
                if stop is not None and at >= stop:
                    self.close_connection = True
                    return
                self.wfile.write(content[at:at + 65536])
                if self.server.delay and whole > 4096:
                    time.sleep(self.server.delay)
        except OSError:
            self.close_connection = True

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, content, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.stop_after, self.delay, self.target = content, True, None, 0, ""
        self.requests = []
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path="/image"):
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        pass


class Fetch(lab.TestCase):
    tiny = True

    def setUp(self):
        with open(self.hv.path("guest/base.qcow2"), "rb") as file:
            self.content = file.read()
        self.digest = hashlib.sha256(self.content).hexdigest()
        self.server = self.serve()

    def serve(self, **options):
        server = Server(self.content, **options)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def write(self, url=None, sha256=None):
        hv = self.hv
        image = lab.document("Image", "base", {"pool": "lab", "url": url or self.server.url(), "sha256": sha256 or self.digest})
        hv.write("all.yaml", hv.pool(), image, hv.vm("web", powerState="stopped", disks=[{"target": "vda", "image": "base", "pool": "lab"}]))
        return hv.path("specs")

    def test_a_token_in_the_url_is_seen_nowhere(self):
        hv = self.hv
        specs = self.write(self.server.url(f"/image?key=a;b,c'd)&token={TOKEN}"))
        wrong = hv.path("wrong/all.yaml")
        os.makedirs(os.path.dirname(wrong), exist_ok=True)
        with open(os.path.join(specs, "all.yaml"), encoding="utf-8") as file, open(wrong, "w", encoding="utf-8") as copy:
            copy.write(file.read().replace("/image?", "/none?"))
        said = []
        for source, command in ((specs, "--dry-run"), (specs, "graph"), (wrong, "--dry-run"), (wrong, None), (specs, "--preflight"), (specs, None)):
            for form in ("text", "json", "markdown") if command != "graph" and (source, command) != (specs, None) else (None,):
                arguments = [command, "-v", *(("-o", form) if form else ()), source]
                said.append(hv.reconcile(*[each for each in arguments if each]))
        self.assert_imported()
        for arguments in (("history", "-v"), ("history", "-o", "json"), ("status", "web"), ("status", "-o", "json"), ("import",), ("observe",)):
            said.append(hv.reconcile(*arguments, check=0))
        for each in said:
            self.assertNotIn(TOKEN, f"{each.stdout}{each.stderr}", each)
        self.assertIn("/none?…", "".join(each.stdout + each.stderr for each in said))  # that it is there is said
        self.assertNotIn(TOKEN, hv.domain("web").XMLDesc())
        for place, _, files in os.walk(hv.path("state")):
            for name in files:
                with open(os.path.join(place, name), "rb") as file:
                    self.assertNotIn(TOKEN.encode(), file.read(), name)

    def cached(self):
        directory = self.hv.path("state/reconcile/images")
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def assert_imported(self):
        with open(self.hv.path(f"pools/lab/sha256-{self.digest}.qcow2"), "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), self.digest)
        self.assertEqual(self.cached(), [], "the pool has it: no copy is kept")

    def asked(self):
        """Ranges that were asked for since the last time."""
        ranges = [asked for _, asked in self.server.requests]
        self.server.requests.clear()
        return ranges

    def test_fetched_once(self):
        specs = self.write()
        plan = self.hv.plan(specs, status=2)
        self.assertEqual(self.asked(), ["bytes=0-103"], "a plan needs the header only")
        self.assertIn(f"fetch {self.server.url()}", " ".join(each["description"] for each in plan["actions"]))
        self.hv.apply(specs)
        self.assertEqual(self.asked(), ["bytes=0-103", None])
        self.assert_imported()
        self.assertEqual(self.hv.plan(specs, status=0)["actions"], [])
        self.assertEqual(self.asked(), [], "what is in the pool isn't asked for")

    def test_wrong_digest(self):
        result = self.hv.apply(self.write(sha256="0" * 64), status=1)
        self.assertIn(f"{self.server.url()} has the SHA-256 digest {self.digest} and not {'0' * 64}", result.stdout + result.stderr)
        self.assertEqual(self.cached(), [])
        self.assertEqual([name for name in os.listdir(self.hv.path("pools/lab")) if name != "web"], [])

    def test_broken_off_and_resumed(self):
        self.server.stop_after = 512 * 1024
        result = self.hv.apply(self.write(), status=1)
        self.assertIn("broke off after", result.stdout + result.stderr)
        self.assertIn("the next run goes on there", result.stdout + result.stderr)
        self.assertEqual(self.cached(), [f"sha256-{self.digest}.part"])
        have = os.path.getsize(self.hv.path("state/reconcile/images", self.cached()[0]))
        self.assertGreater(have, 0)
        self.server.stop_after = None
        self.asked()
        self.hv.apply(self.hv.path("specs"))
        self.assertEqual(self.asked()[1:], [f"bytes={have}-"])
        self.assert_imported()

    def leave_part(self, content):
        directory = self.hv.make_directory("state/reconcile/images")
        with open(os.path.join(directory, f"sha256-{self.digest}.part"), "wb") as file:
            file.write(content)

    def test_part_of_another_file(self):
        """What was there doesn't fit: all of it is fetched again, in the same run."""
        self.leave_part(b"x" * 100000)
        self.hv.apply(self.write())
        self.assertEqual(self.asked()[1:], ["bytes=100000-", None])
        self.assert_imported()

    def test_part_that_is_too_long(self):
        self.leave_part(self.content + b"more")
        self.hv.apply(self.write())
        self.assert_imported()

    def test_server_without_ranges(self):
        self.server.ranges = False
        self.leave_part(self.content[:100000])
        self.hv.apply(self.write())
        self.assert_imported()

    def refused(self, url, *messages, env=None):
        specs = self.write(url=url)
        result = self.hv.reconcile("--dry-run", specs, env=env or self.hv.env, check=1)
        for message in messages:
            self.assertIn(message, result.stdout + result.stderr)
        return result

    def test_not_found(self):
        self.refused(self.server.url("/other"), "the server answered 404")
        self.hv.apply(self.hv.path("specs"), status=1)

    def test_nobody_there(self):
        server = Server(b"")
        server.shutdown()
        server.server_close()
        self.refused(server.url(), server.url(), "onnect")

    def test_redirect(self):
        self.server.target = self.server.url()
        self.hv.apply(self.write(url=self.server.url("/redirect")))
        self.assert_imported()

    def test_redirect_in_a_circle(self):
        self.server.target = self.server.url("/redirect")
        self.refused(self.server.url("/redirect"), "redirects")

    def test_redirect_to_a_file(self):
        self.server.target = "file:///etc/passwd"
        self.refused(self.server.url("/redirect"), "not supported")

    def test_slow_server_and_interrupt(self):
        """Interrupted, it ends at once, and the next run goes on."""
        self.server.delay = 0.2
        process = self.hv.start_reconcile(self.write())
        part = self.hv.path("state/reconcile/images", f"sha256-{self.digest}.part")
        while not (os.path.exists(part) and os.path.getsize(part)):
            self.assertIsNone(process.poll(), "it ended too early")
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertLess(os.path.getsize(part), len(self.content))
        self.server.delay = 0
        self.asked()
        self.hv.apply(self.hv.path("specs"))
        self.assertRegex(self.asked()[1], r"bytes=[1-9]\d*-")
        self.assert_imported()

    def test_killed_while_fetching(self):
        specs = self.write()
        for place in ("fetch: begun", "fetch: half of it", "fetch: all of it", "fetch: verified", "image: verified"):
            with self.subTest(place):
                self.kill_at(place, specs)
                self.hv.apply(specs)
                self.assert_imported()
                self.hv.clear()
                specs = self.write()

    def kill_at(self, place, specs):
        """By the place's number in a run of its own."""
        log = self.hv.path("state/places")
        self.hv.reconcile("--jobs", "1", specs, env={**self.hv.env, "RECONCILE_FAULT_LOG": log}, check=0)
        with open(log, encoding="utf-8") as file:
            places = file.read().splitlines()
        self.assertIn(place, places, "the program is built without RECONCILE_FAULTS")
        self.hv.clear()
        self.write()
        result = self.hv.reconcile("--jobs", "1", specs, env={**self.hv.env, "RECONCILE_FAULT_AT": str(places.index(place) + 1)})
        self.assertEqual(result.status, -9)

    def test_kernel_and_initrd(self):
        """Fetched like images, and there before the machine starts; what is booted isn't collected."""
        hv, documents, paths = self.hv, [self.hv.pool()], {}
        for name in ("kernel", "initrd"):
            with open(hv.path("guest", name), "rb") as file:
                content = file.read()
            server = Server(content)
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
            digest = hashlib.sha256(content).hexdigest()
            paths[name] = hv.path(f"pools/lab/sha256-{digest}.raw")
            documents.append(lab.document("Image", name, {"pool": "lab", "url": server.url(), "sha256": digest, "format": "raw"}))
        machine = hv.vm("web")
        machine["spec"]["boot"].update(paths)
        hv.write("all.yaml", *documents, machine)
        hv.apply(hv.path("specs"))
        hv.guest("web").wait_text("ready")
        self.assertEqual(hv.plan(hv.path("specs"), status=0)["actions"], [])
        hv.write("all.yaml", documents[0], machine)  # no Image declares them any more
        plan = hv.plan("--prune-images", "1s", "--prune", hv.path("specs"), status=0)
        self.assertEqual(plan["actions"], [])
        hv.write("all.yaml", documents[0])
        time.sleep(1.1)
        plan = hv.plan("--prune-images", "1s", hv.path("specs"))
        self.assertEqual(plan["actions"], [], "a machine that is there boots them, whoever declares it")
        hv.domain("web").destroy()
        hv.domain("web").undefine()
        plan = hv.plan("--prune-images", "1s", hv.path("specs"), status=2)
        self.assertEqual([each["kind"] for each in plan["actions"]], ["volume-delete"] * 2)

    def certificate(self):
        path = self.hv.path("state/server.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", path + ".key", "-out", path + ".crt"], check=True, capture_output=True)
        with open(path, "wb") as file:
            for part in (".key", ".crt"):
                with open(path + part, "rb") as each:
                    file.write(each.read())
        return path

    def test_https(self):
        certificate = self.certificate()
        plain, self.server = self.server, self.serve(certificate=certificate)
        trusting = {**self.hv.env, "SSL_CERT_FILE": certificate + ".crt"}
        self.refused(self.server.url(), "certificate")
        self.server.target = plain.url()
        self.refused(self.server.url("/redirect"), "not supported", env=trusting)
        self.hv.reconcile(self.write(), env=trusting, check=0)
        self.assert_imported()

    def test_no_room(self):
        small = self.hv.small_disk("../state/reconcile", "256K")
        self.assertTrue(os.path.isdir(small))
        try:
            result = self.hv.apply(self.write(), status=3)
            self.assertIn("make room, or give another --state-dir", result.stdout + result.stderr)
        finally:
            subprocess.run(["umount", os.path.normpath(small)], check=True)


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
