#!/usr/bin/python3
"""Hosts that are reached by TLS only, and machines that are sent by TLS, with certificates of the test's own authority."""

import os
import re
import subprocess

from move_case import MoveCase, document, lab
from moving import Cable

PKI = "/var/lib/libvirt/pki"  # private to each host
CONFIGURATION = f"""
listen_tls = 1
listen_tcp = 0
auth_tls = "none"
ca_file = "{PKI}/cacert.pem"
cert_file = "{PKI}/clientcert.pem"
key_file = "{PKI}/clientkey.pem"
"""
# By the names that QEMU looks for; one certificate is the server's and the client's.
QEMU_NAMES = {"ca-cert.pem": "cacert.pem", "server-cert.pem": "clientcert.pem", "server-key.pem": "clientkey.pem",
              "client-cert.pem": "clientcert.pem", "client-key.pem": "clientkey.pem"}

WORD = b"before\n" * 8  # see MoveCase.started
# What is sent first; where a disk is sent, that asks for TLS before.
NBD_ASKS_FOR_TLS, TLS_HELLO = rb"(?:....IHAVEOPT\0{3}\x05\0{4})?", rb"\x16\x03"


class Authority:
    def __init__(self, directory):
        self.directory = directory
        self.openssl("req", "-x509", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority", "-days", "2",
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign", *self.new_key())

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def new_key(self):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]

    def issue(self, name, address):
        """NAME.crt and NAME.key, for a server and a client."""
        with open(os.path.join(self.directory, "extensions"), "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=DNS:{name},IP:{address}\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("req", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", f"/O=lab/CN={name}", *self.new_key())
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".crt",
                     "-days", "2", "-extfile", "extensions")


class Tls(MoveCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = cls.hv.make_directory("authority")
        authority = Authority(directory)
        for number, host in enumerate((cls.hv, cls.other), 1):
            authority.issue(host.name, f"10.77.0.{number}")
            host.run("mkdir", PKI)
            for name, file in (("ca.crt", "cacert.pem"), (host.name + ".crt", "clientcert.pem"), (host.name + ".key", "clientkey.pem")):
                host.run("cp", os.path.join(directory, name), f"{PKI}/{file}")
            for name, file in QEMU_NAMES.items():
                host.run("ln", "-s", file, f"{PKI}/{name}")
            host.run("sh", "-c", f"sed -i '/^listen_/d' /etc/libvirt/libvirtd.conf && echo '{CONFIGURATION}' >>/etc/libvirt/libvirtd.conf && "
                                 f"echo 'default_tls_x509_cert_dir = \"{PKI}\"' >>/etc/libvirt/qemu.conf")
            host.restart_daemon()

    def setUp(self):
        super().setUp()
        for name, address in (("lab-a", "10.77.0.1"), ("lab-b", "10.77.0.2")):
            uri = f"qemu+tls://{name}/system?pkipath={PKI}"
            self.host_specs[name] = {"uri": uri, "migrationUri": f"tcp://{address}", "transport": "tls"}

    def run_product(self, *arguments, status=0):
        """On lab-a, which alone is in their network."""
        command = [*self.hv.inside(), lab.binary(), "-o", "json", *arguments, self.hv.path("specs")]
        process = subprocess.run(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", check=False)
        return lab.Result(command, process).check(status)

    def write(self, *documents):
        hosts = [document("Host", name, spec) for name, spec in self.host_specs.items()]
        self.hv.write("all.yaml", *hosts, self.pool, *documents)

    def machine(self, host, cmdline="control", **spec):
        return super().machine(host, cmdline, disks=[{"target": target, "size": "16MiB", "pool": "moving"} for target in ("vda", "vdb")],
                               **spec)

    def go(self, to, status=0, **host):
        """There, with these settings of that host; what came of it."""
        self.host_specs[to].update(host)
        self.write(self.machine(to))
        return self.apply(status=status)["results"]

    def refused(self, to, **host):
        message = next(each["message"] for each in self.go(to, status=1, **host) if each["result"] == "failed")
        self.assertRegex(message, "ertificate")
        self.assertEqual([self.where(), self.files(self.hv)], [["lab-b"], []])

    def test_connection_and_memory_and_disks(self):
        content = self.started()
        # The guest's cache of the disk has it too.
        self.guest(self.hv).do("run", "dd if=/dev/vdb of=/tmp/seen bs=1M skip=3 count=1")
        with self.heard(self.other) as told, Cable(self.other, WORD) as cable:
            self.go("lab-b")
        self.assert_moved()
        self.assertTrue(all([told.every("tls-creds")[0], *told.each("nbd-server-start", "tls-creds")]))
        self.assertEqual([cable.found, cable.lost, len(cable.begins)], [0, 0, 3])
        self.assertEqual([begin for begin in cable.begins.values() if not re.match(NBD_ASKS_FOR_TLS + TLS_HELLO, begin, re.DOTALL)], [])
        # An emulated CPU may lose what it wrote to memory: the disk, as a guest that begins anew reads it.
        self.other.domain("web").reset()
        guest = self.guest(self.other)
        guest.wait(lambda g: g.starts() == 2, "another start")
        self.assertEqual(guest.do("sum", "vdb"), content)
        # By an address that no certificate has: its name counts, which has to be given.
        for number, host in enumerate((self.hv, self.other), 1):
            host.run("ip", "address", "add", f"10.77.1.{number}/24", "dev", "cable")
        self.refused("lab-a", migrationUri="tcp://10.77.1.1")
        self.refused("lab-a", tlsName="somebody-else")
        with Cable(self.hv, WORD) as cable:
            self.go("lab-a", tlsName="lab-a")
        self.assertEqual([self.where(), cable.found, cable.addresses], [["lab-a"], 0, {"10.77.1.1"}])
        # Without TLS, the word is to be seen.
        with Cable(self.other, WORD) as cable:
            self.go("lab-b", transport="native")
        self.assertEqual([self.where(), cable.found > 1], [["lab-b"], True])


if __name__ == "__main__":
    lab.need_binary()
    lab.main()
