"""Git for tests: repositories, and servers of them on loopback. Nothing of the user's own git or ssh
configuration is read."""

import base64
import http.server
import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import product

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org", "GIT_TERMINAL_PROMPT": "0",
}
BUILD = os.environ.get("RECONCILE_BUILD") or os.path.dirname(product.binary())
PROBE = os.path.join(BUILD, "tests", "git_probe")


def vm(name, spec="{}"):
    return f"apiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata: {{name: {name}}}\nspec: {spec}\n"


class Repository:
    """A repository with a work tree: what write() leaves there is in the next commit()."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path)
        self.git("init", "-q", "-b", "main")

    url = property(lambda self: "file://" + self.path)

    def git(self, *arguments, check=True, **options):
        process = subprocess.run(["git", *arguments], cwd=self.path, env={**os.environ, **ENVIRONMENT, **options.pop("env", {})},
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
        assert not check or process.returncode == 0, f"git {arguments}: {process.stdout!r}"
        return process.stdout.decode(errors="replace").strip()

    def write(self, name, text):
        path = os.path.join(os.fsencode(self.path), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(os.fsencode(text) if isinstance(text, str) else text)

    def link(self, target, name):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def remove(self, name):
        path = os.path.join(self.path, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def commit(self, message="change", *options):
        """Everything, as a commit; its id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, *options)
        return self.head()

    def head(self, name="HEAD"):
        return self.git("rev-parse", name + "^{commit}")


class TestCase(unittest.TestCase):
    """self.dir: a directory of the test; self.repository in it, with one machine in vms/web.yaml."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="rg-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir)
        self.repository = Repository(os.path.join(self.dir, "vms.git"))
        self.repository.write("vms/web.yaml", vm("web"))
        self.first = self.repository.commit("first")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def source(self, **source):
        return {"url": self.repository.url, "mirrorDir": self.path("mirrors"), **source}

    def probe(self, *steps, env=None, **source):
        """What git_probe says after these steps (default: update, verify, read)."""
        process = self.start_probe(*steps, env=env, **source)
        output = process.communicate(timeout=120)
        return self.reply(process, output)

    def start_probe(self, *steps, env=None, **source):
        process = subprocess.Popen([PROBE, *(steps or ("update", "verify", "read"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(**(env or {})))
        process.stdin.write(json.dumps(self.source(**source)).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def reply(self, process, output):
        self.assertIn(process.returncode, (0, 1), output)
        self.assertEqual(output[1].decode(errors="replace"), "")  # a sanitizer has nothing to say
        return json.loads(output[0])

    def good(self, *steps, **source):
        reply = self.probe(*steps, **source)
        self.assertNotIn("error", reply)
        return reply

    def bad(self, *steps, **source):
        """The error's message."""
        reply = self.probe(*steps, **source)
        self.assertIn("error", reply)
        self.assertNotIn("objects", reply)
        return reply["error"] + "\n" + "\n".join(reply.get("diagnostics", []))

    def mirror(self):
        """The one mirror's repository."""
        (name,) = os.listdir(self.path("mirrors"))
        return self.path("mirrors", name, "repository.git")

    def environment(self, **variables):
        """By TEST_DIRECTORY, what a test started is known."""
        return {**os.environ, "TEST_DIRECTORY": self.dir, **variables}

    def assert_nothing_runs(self):
        """Nothing is left of what was started with environment()."""
        for _ in range(200):
            left = [pid for pid in os.listdir("/proc") if pid.isdigit() and f"TEST_DIRECTORY={self.dir}".encode() in environment_of(pid)]
            if not left:
                return
            time.sleep(0.05)
        self.fail(f"still running: {left}")


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SshServer:
    """sshd for this user's git; keys are files in `directory`: client, host.pub …"""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        os.makedirs(directory)
        for name in ("client", "host", "stranger"):
            self.keygen(name)
        shutil.copy(self.path("client.pub"), self.path("authorized"))
        self.write_known_hosts("known", "host.pub")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        config = self.path("config")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\nPidFile none\nUsePAM no\n"
                       f"AuthorizedKeysFile {self.path('authorized')}\nStrictModes no\nPasswordAuthentication no\n"
                       "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n")
        self.process = subprocess.Popen([sshd(), "-D", "-E", self.path("log"), "-f", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def path(self, name):
        return os.path.join(self.directory, name)

    def keygen(self, name, *options):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.path(name), *options], check=True)

    def write_known_hosts(self, name, key):
        with open(self.path(key), encoding="utf-8") as file:
            line = f"[127.0.0.1]:{self.port} {file.read()}"
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(line)
        return self.path(name)

    def url(self, path):
        return f"ssh://{os.environ.get('USER') or user_name()}@127.0.0.1:{self.port}{path}"

    def stop(self):
        self.process.terminate()
        self.process.wait()


def user_name():
    return subprocess.check_output(["id", "-un"], text=True).strip()


def sshd():
    path = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        raise unittest.SkipTest("no sshd: run scripts/install-packages test")
    return path


def wait_for_port(port):
    for _ in range(400):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.025)
    raise AssertionError(f"nobody listens on port {port}")


class HttpHandler(http.server.BaseHTTPRequestHandler):
    """git http-backend, behind a token where the server has one."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def refuse(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self):
        server = self.server.owner
        body = self.read_body()
        path, _, query = self.path.partition("?")
        server.requests.append((self.path, self.headers.get("Authorization")))
        if server.redirect:
            self.refuse(302, Location=server.redirect + self.path)
            return
        if server.token:
            expected = "Basic " + base64.b64encode(f"{server.user}:{server.token}".encode()).decode()
            if self.headers.get("Authorization") != expected:
                self.refuse(401, WWW_Authenticate='Basic realm="git"')
                return
        environment = {**os.environ, **ENVIRONMENT, "GIT_PROJECT_ROOT": server.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                       "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                       "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1"}
        reply = subprocess.run(["git", "http-backend"], input=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                               check=False).stdout
        head, _, content = reply.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


class Threading(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # who hangs up is what some tests are about


class HttpServer:
    """Repositories below `root`, over http, or over https with a certificate of a private CA (self.ca)."""

    def __init__(self, root, tls=None, token=None, user="git", name="localhost", port=0):
        self.root, self.token, self.user, self.redirect, self.requests = root, token, user, None, []
        self.server = Threading(("127.0.0.1", port), HttpHandler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.scheme = "https" if tls else "http"
        if tls:
            self.ca = make_certificates(tls, name)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(os.path.join(tls, "server.crt"), os.path.join(tls, "server.key"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/"):
        return f"{self.scheme}://localhost:{self.port}{path}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def make_certificates(directory, name):
    """ca.crt, and server.crt for `name` made by it; the path of the former."""
    os.makedirs(directory)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    with open(os.path.join(directory, "extensions"), "w", encoding="utf-8") as file:
        file.write(f"subjectAltName=DNS:{name}\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.crt", "-days", "2",
            "-extfile", "extensions")
    return os.path.join(directory, "ca.crt")


class SilentServer:
    """Accepts, says `words`, and nothing more. on_connect is set when somebody came."""

    def __init__(self, words=b"", reads=False):
        self.words, self.reads = words, reads
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.on_connect = threading.Event()
        self.clients = []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        try:
            while True:
                client, _ = self.socket.accept()
                self.clients.append(client)
                if self.reads:
                    client.recv(4096)
                client.sendall(self.words)
                self.on_connect.set()
        except OSError:
            pass

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self.thread.join()
        self.socket.close()
        for client in self.clients:
            client.close()


def need_tools():
    """Skips the whole file where what it needs isn't there."""
    import lab
    if not os.access(PROBE, os.X_OK):
        lab.skip_all(f"{PROBE} is not built")
    for tool in ("git", "ssh-keygen", "openssl"):
        if not shutil.which(tool):
            lab.skip_all(f"no {tool}: run scripts/install-packages test")
