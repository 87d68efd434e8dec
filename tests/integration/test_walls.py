#!/usr/bin/python3
"""The walls between the rooms: who may include what, and who may print."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

TOP = os.environ.get("RECONCILE_SOURCE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ROOMS = ("schema", "state", "reconciler")

# Which rooms a room may include.
MAY_INCLUDE = {"schema": {"schema"}, "state": {"schema", "state"}, "reconciler": {"schema", "state", "reconciler"}}

# The folders of reconciler/, as the pipeline runs: each includes itself and those before it.
STAGES = ("source", "image", "plan", "rules", "act", "run", "report", "status", "service", "command")

# Headers that only these files include: libraries behind one file each, or few.
BEHIND = {"yaml.h": r"schema/node\.c", "sqlite3.h": r"state/database\.c", "curl/curl.h": r"reconciler/image/fetch\.c",
          "libisofs/libisofs.h": r"reconciler/image/seed\.c",
          "git2.h": r"reconciler/source/git/mirror_git\.h", "git2/sys/transport.h": r"reconciler/source/git/mirror_git\.h",
          "reconciler/source/git/mirror_git.h": r"reconciler/source/git/mirror(_[a-z]+)?\.c"}

# Folders that call libvirt: one reads, one acts. A header that only opens connections is
# state/libvirt/connection.h.
LIBVIRT = ("state/libvirt/", "reconciler/act/")

# Files whose work is to talk to people.
SPEAKERS = re.compile(r"^reconciler/(main|(command|report|service)/[a-z_]+)\.c$")
PRINTING = re.compile(r"\b(printf|fprintf|vprintf|vfprintf|dprintf|puts|fputs|putchar|fputc|putc|perror|g_print|"
                      r"g_printerr|g_message|g_warning|g_critical|syslog)\s*\(")


def sources(*endings):
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(TOP, room)):
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), TOP)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', read(path), re.MULTILINE)


def without_comments_and_strings(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', " ", text, flags=re.DOTALL)


class Walls(unittest.TestCase):
    def test_rooms(self):
        wrong = []
        for path in sources(".c", ".h", ".def"):
            for header in includes(path):
                room = header.split("/")[0]
                if room in ROOMS and "/" in header and room not in MAY_INCLUDE[path.split("/")[0]]:
                    wrong.append(f"{path} includes {header}")
                if header.startswith((".", "/")):
                    wrong.append(f"{path} includes {header} by a relative path")
        self.assertEqual(wrong, [])

    def test_stages(self):
        wrong = []
        for path in sources(".c", ".h", ".def"):
            folders = path.split("/")
            if folders[0] != "reconciler" or path == "reconciler/main.c":
                continue
            self.assertIn(folders[1], STAGES, f"{path} is in no folder of the pipeline")
            wrong += [f"{path} includes {header}" for header in includes(path) if header.startswith("reconciler/")
                      and STAGES.index(header.split("/")[1]) > STAGES.index(folders[1])]
        self.assertEqual(wrong, [])

    def test_own_headers_are_named_with_their_room(self):
        wrong = [f"{path} includes {header}" for path in sources(".c", ".h") for header in includes(path)
                 if "/" not in header and os.path.exists(os.path.join(TOP, os.path.dirname(path), header))]
        self.assertEqual(wrong, [])

    def test_one_file_for_each_library(self):
        for header, behind in BEHIND.items():
            users = [path for path in sources(".c", ".h", ".def") if header in includes(path)]
            self.assertNotEqual(users, [], f"nobody includes <{header}>")
            self.assertEqual([path for path in users if not re.fullmatch(behind, path)], [], f"<{header}>")

    def test_libvirt_is_called_from_two_folders(self):
        users = [path for path in sources(".c", ".h") if any(h.startswith("libvirt/") for h in includes(path))]
        self.assertEqual([path for path in users if not path.startswith(LIBVIRT)], [])
        # connection.h brings libvirt's names with it: who opens connections must not use them.
        call = re.compile(r"\bvir(Connect|Domain|StoragePool|StorageVol|Network|Stream|Secret|NodeDevice)[A-Z]\w*\s*\(")
        wrong = [f"{path}: {match.group(0)}" for path in sources(".c") if not path.startswith(LIBVIRT)
                 for match in call.finditer(without_comments_and_strings(read(path)))]
        self.assertEqual(wrong, [])

    def test_only_the_report_and_the_command_line_print(self):
        wrong = [f"{path}: {match.group(1)}" for path in sources(".c", ".h") if not SPEAKERS.match(path)
                 for match in PRINTING.finditer(without_comments_and_strings(read(path)))]
        self.assertEqual(wrong, [])

    def test_pure_stages_see_neither_libvirt_nor_xml(self):
        """Comparison, diff and plan do no I/O: nothing that opens a connection or reads XML gets in."""
        wrong = []
        for path in sources(".c", ".h"):
            if path.startswith("reconciler/plan/"):
                wrong += [f"{path} includes {header}" for header in includes(path)
                          if header.startswith(("libvirt/", "libxml/", "state/libvirt/", "reconciler/act/"))
                          and header != "state/libvirt/reason.h"  # words only
                          or header in ("state/xml.h", "state/xml_path.h", "state/observe.h", "gio/gio.h", "sqlite3.h")]
        self.assertEqual(wrong, [])

    def test_each_header_compiles_alone(self):
        """The build shows it of a header that a source includes before all others; the rest are compiled here."""
        packages = "glib-2.0 gio-2.0 libvirt libxml-2.0 yaml-0.1 jansson sqlite3 libcrypto libgit2".split()
        flags = shlex.split(subprocess.check_output(["pkg-config", "--cflags", *packages], text=True))
        base = [os.environ.get("CC", "cc"), "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                "-Wno-missing-field-initializers", '-DRECONCILE_VERSION="0"', '-DG_LOG_DOMAIN="reconcile"', "-I", TOP, *flags]
        headers = list(sources(".h"))
        self.assertGreater(len(headers), 20)
        for header in headers:
            self.assertRegex(without_comments_and_strings(read(header)).strip(), r"\A#pragma once\b|\A#ifndef (\w+)\s+#define \1\b", header)
        built = {found[0] for found in map(includes, sources(".c")) if found}
        self.assertGreater(len(built & set(headers)), len(headers) // 2)
        with tempfile.TemporaryDirectory() as folder:
            def compile_alone(header):
                unit = os.path.join(folder, header.replace("/", "_") + ".c")
                with open(unit, "w", encoding="utf-8") as file:
                    file.write(f'#include "{header}"\n#include "{header}"\n')
                return subprocess.run([*base, unit], capture_output=True, text=True, check=False)
            with ThreadPoolExecutor(2) as pool:
                results = list(pool.map(compile_alone, sorted(set(headers) - built)))
        wrong = [result.stderr for result in results if result.returncode]
        self.assertEqual(wrong, [], "\n".join(wrong))


if __name__ == "__main__":
    sys.exit(unittest.main())
