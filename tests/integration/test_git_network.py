#!/usr/bin/python3
"""Git repositories over ssh and http(s) on loopback, and servers that are not as they should be."""

import os
import subprocess
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import git_lab  # noqa: E402
import lab  # noqa: E402
from git_lab import vm  # noqa: E402

TOKEN = "tok-3nQx"


class Ssh(git_lab.TestCase):
    def setUp(self):
        super().setUp()
        self.server = git_lab.SshServer(self.path("ssh"))
        self.addCleanup(self.server.stop)

    def source(self, **source):
        return super().source(**{"url": self.server.url(self.repository.path), "sshKey": self.server.path("client"),
                                 "sshKnownHosts": self.server.path("known"), **source})

    def test_clone_and_update(self):
        self.repository.git("tag", "-a", "-m", "tag", "v1")
        self.assertEqual(self.good()["commit"], self.first)
        self.repository.write("vms/db.yaml", vm("db"))
        tip = self.repository.commit()
        reply = self.good()
        self.assertEqual((reply["commit"], reply["objects"]), (tip, ["vm/db at vms/db.yaml:1:1", "vm/web at vms/web.yaml:1:1"]))
        self.assertEqual(self.good(ref="v1")["commit"], self.first)
        self.good("update-here", "read")
        self.assert_nothing_runs()

    def test_as_scp_has_it_and_odd_paths(self):
        odd = git_lab.Repository(self.path("it's $HOME; a%20b \"x\""))
        odd.write("a.yaml", vm("a"))
        odd.commit()
        self.good(url=self.server.url(odd.path.replace("%", "%25").replace(" ", "%20").replace('"', "%22").replace("$", "%24")))

    def test_an_unknown_host_key(self):
        message = self.bad(sshKnownHosts=self.write("empty", ""))
        self.assertIn("the host key of 127.0.0.1 isn't known", message)
        self.assertIn("add it to " + self.path("empty"), message)
        self.assertEqual(os.path.getsize(self.path("empty")), 0)

    def test_a_wrong_host_key(self):
        known = self.server.write_known_hosts("wrong", "stranger.pub")
        self.assertIn("somebody may be between", self.bad(sshKnownHosts=known))

    def test_a_key_that_is_not_accepted(self):
        self.assertIn("accepts none of our keys", self.bad(sshKey=self.server.path("stranger")))

    def test_no_key(self):
        self.assertIn("accepts none of our keys", self.bad(sshKey=self.path("nothing")))

    def test_a_key_with_a_passphrase(self):
        self.server.keygen("secret")
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "hunter2", "-f", self.server.path("secret")], check=True,
                       stdout=subprocess.DEVNULL)
        with open(self.server.path("secret.pub"), encoding="utf-8") as key, open(self.server.path("authorized"), "a", encoding="utf-8") as file:
            file.write(key.read())
        self.assertIn("a key without a passphrase", self.bad(sshKey=self.server.path("secret")))

    def test_a_key_of_the_agent(self):
        socket_path = self.path("agent")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.DEVNULL)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.terminate)
        while not os.path.exists(socket_path):
            time.sleep(0.01)
        env = {"SSH_AUTH_SOCK": socket_path}
        self.assertIn("accepts none of our keys", self.probe(sshKey=None, env=env)["error"])
        subprocess.run(["ssh-add", "-q", self.server.path("client")], check=True, env={**os.environ, **env})
        self.assertEqual(self.good(sshKey=None, env=env)["commit"], self.first)

    def test_a_key_that_others_can_read(self):
        os.chmod(self.server.path("client"), 0o644)
        self.assertIn("chmod 600", self.bad())

    def test_no_such_repository(self):
        self.assertIn("does not appear to be a git repository", self.bad(url=self.server.url("/nowhere")))

    def test_files_with_odd_names(self):
        for name in ("a b", "100%", "ü"):
            with self.subTest(name):
                for key, file in (("sshKey", "client"), ("sshKnownHosts", "known")):
                    os.link(self.server.path(file), self.path(f"{name}-{file}"))
                self.good(sshKey=self.path(f"{name}-client"), sshKnownHosts=self.path(f"{name}-known"))

    def test_nobody_listens_any_more(self):
        self.good()
        self.server.stop()
        self.assertIn("Connection refused", self.bad())
        self.good("read", revision=self.first)

    def test_cut_off(self):
        """The server is gone in the middle of a clone; then it is back."""
        with open(self.path("vms.git", "large"), "wb") as file:
            file.write(os.urandom(12_000_000))
        tip = self.repository.commit("large")
        probe = self.start_probe("update")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(name.startswith("pack_") for _, _, names in os.walk(self.path("mirrors")) for name in names):
            time.sleep(0.01)
        children = subprocess.run(["pgrep", "-P", str(self.server.process.pid)], stdout=subprocess.PIPE, check=False, text=True).stdout.split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        reply = self.reply(probe, probe.communicate(timeout=60))
        self.assertTrue("can't be fetched" in reply.get("error", "") or reply.get("commit") == tip, reply)
        self.assertEqual(self.good("update", "read")["commit"], tip)

    def test_killed_in_a_clone(self):
        """Whoever asked is killed: the process that fetches ends, and ssh with it; the next clone is whole."""
        with open(self.path("vms.git", "large"), "wb") as file:
            file.write(os.urandom(12_000_000))
        tip = self.repository.commit("large")
        probe = self.start_probe("update")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(name.startswith("pack_") for _, _, names in os.walk(self.path("mirrors")) for name in names):
            time.sleep(0.01)
        probe.kill()
        probe.communicate()
        self.assert_nothing_runs()
        self.assertEqual(self.good()["commit"], tip)
        (folder,) = os.listdir(self.path("mirrors"))
        self.assertEqual(sorted(os.listdir(self.path("mirrors", folder))), ["lock", "repository.git"])


class Http(git_lab.TestCase):
    def serve(self, **options):
        server = git_lab.HttpServer(self.dir, **options)
        self.addCleanup(server.stop)
        return server

    def test_clone_and_update(self):
        server = self.serve()
        url = server.url("/vms.git/.git")
        self.assertEqual(self.good(url=url)["commit"], self.first)
        self.repository.write("vms/db.yaml", vm("db"))
        tip = self.repository.commit()
        self.assertEqual(self.good(url=url)["commit"], tip)
        self.assertEqual(self.good("update-here", "read", url=url)["commit"], tip)

    def test_tls_with_a_private_authority(self):
        server = self.serve(tls=self.path("tls"))
        url = server.url("/vms.git/.git")
        self.assertEqual(self.good(url=url, caFile=server.ca)["commit"], self.first)
        message = self.bad(url=url)
        self.assertIn("the certificate of localhost isn't trusted", message)
        self.assertIn("give the CA file", message)
        self.assertIn("the CA file", self.bad(url=url, caFile=self.path("nothing")))
        other = git_lab.make_certificates(self.path("other"), "localhost")
        self.assertIn("isn't trusted", self.bad(url=url, caFile=other))

    def test_a_certificate_for_another_name(self):
        server = self.serve(tls=self.path("tls"), name="elsewhere")
        self.assertIn("isn't for this name", self.bad(url=server.url("/vms.git/.git"), caFile=server.ca))

    def test_a_token(self):
        server = self.serve(tls=self.path("tls"), token=TOKEN, user="ci")
        source = {"url": server.url("/vms.git/.git"), "caFile": server.ca, "user": "ci"}
        self.good(tokenFile=self.write("token", TOKEN + "\n"), **source)
        named = {**source, "user": None, "url": source["url"].replace("://", "://ci@")}
        reply = self.good(tokenFile=self.path("token"), **named)
        self.assertEqual(reply["identity"], source["url"])
        wrong = "wrong-5kLp"
        for reply, words in ((self.probe(**source), "give a user and a token file"),
                             (self.probe(tokenFile=self.write("wrong", wrong), **source), "it refuses the token"),
                             (self.probe(tokenFile=self.path("nothing"), **source), "the token file can't be read"),
                             (self.probe(tokenFile=self.write("empty", "\n"), **source), "holds no token"),
                             (self.probe(tokenFile=self.write("two", "a\nb\n"), **source), "holds no token")):
            with self.subTest(words):
                self.assertIn(words, reply["error"])
                self.assertNotIn(wrong, str(reply))
        self.assertNotIn(TOKEN, str([os.listdir(path) for path, _, _ in os.walk(self.path("mirrors"))]))
        found = subprocess.run(["grep", "-rl", TOKEN, self.path("mirrors")], stdout=subprocess.PIPE, check=False).stdout
        self.assertEqual(found, b"")

    def test_a_token_does_not_follow_a_redirection(self):
        thief = self.serve(token=TOKEN)
        server = self.serve(tls=self.path("tls"))
        server.redirect = thief.url()[:-1]
        message = self.bad(url=server.url("/vms.git/.git"), caFile=server.ca, tokenFile=self.write("token", TOKEN))
        self.assertIn("give the address that it leads to", message)
        self.assertEqual(thief.requests, [])

    def test_a_redirection(self):
        server, old = self.serve(), self.serve()
        old.redirect = server.url()[:-1]
        self.good(url=old.url("/vms.git/.git"))

    def test_no_such_repository(self):
        self.assertIn("404: there is no such repository", self.bad(url=self.serve().url("/nowhere")))

    def test_not_a_git_server(self):
        server = self.serve()
        server.root = "/nowhere"
        self.bad(url=server.url("/"))


class Hanging(git_lab.TestCase):
    """Servers that accept and fall silent, at each stage that there is."""

    def assert_given_up(self, **source):
        self.good()  # a good mirror of another repository is none of its business
        message = self.bad("update", silence=1, **source)
        self.assertIn("the server has said nothing for 1 s", message)
        self.assert_nothing_runs()

    def server(self, *arguments, **options):
        server = git_lab.SilentServer(*arguments, **options)
        self.addCleanup(server.stop)
        return server

    def test_http(self):
        self.assert_given_up(url=f"http://localhost:{self.server().port}/x")

    def test_http_in_the_middle(self):
        words = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 1000\r\n\r\n001e# serv"
        self.assert_given_up(url=f"http://localhost:{self.server(words, reads=True).port}/x")

    def test_tls(self):
        self.assert_given_up(url=f"https://localhost:{self.server().port}/x")

    def test_ssh(self):
        self.assert_given_up(url=f"ssh://git@127.0.0.1:{self.server().port}/x")

    def test_ssh_after_its_greeting(self):
        self.assert_given_up(url=f"ssh://git@127.0.0.1:{self.server(b'SSH-2.0-OpenSSH_9.2p1' + bytes([13, 10])).port}/x")

    def test_nobody_accepts(self):
        """The backlog is full: connecting itself hangs."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            waiting = []
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
                waiting.append(client)
            self.assert_given_up(url=f"http://localhost:{port}/x")
            for client in waiting:
                client.close()

    def test_cancelled(self):
        server = self.server()
        probe = self.start_probe("update", url=f"http://localhost:{server.port}/x")
        self.assertTrue(server.on_connect.wait(30))
        probe.send_signal(signal.SIGTERM)
        reply = self.reply(probe, probe.communicate(timeout=30))
        self.assertIn("cancelled while fetching", reply["error"])
        self.assert_nothing_runs()

    def test_the_command_line_is_interrupted(self):
        server = self.server()
        process = subprocess.Popen([lab.binary(), "--dry-run", "-c", "test:///default", f"http://localhost:{server.port}/x"],
                                   env=self.environment(XDG_STATE_HOME=self.path("state")), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        self.assertTrue(server.on_connect.wait(30))
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"cancelled while fetching", stderr)
        self.assert_nothing_runs()


if __name__ == "__main__":
    lab.need_binary()
    git_lab.need_tools()
    lab.main()
