#!/usr/bin/python3
"""The JSON Schema says of every file what the decoder says of it."""

import copy
import glob
import json
import os
import random
import re
import sys
import tempfile
import unittest

try:
    import jsonschema
    import yaml
except ImportError as error:
    print(f"skipped: {error} (install python3-jsonschema and python3-yaml)")
    sys.exit(77)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from product import REPOSITORY, reconcile  # noqa: E402

# What only the decoder says, and why a schema of one document can't. All else that is wrong must be wrong to both.
BEYOND = {
    "the value of a text with a unit": r"expected a (size|rate|duration) from|must be a whole number of|a size that is a power of two"
                                       r"|is formatted with \w+ has from|: it is too large",
    "two numbers held against each other, and sums": r"is more than (cpu|memory)\.|the topology makes|the memory of the NUMA nodes is"
                                                    r"|would have a name longer than|ascending ranges such as 0-3,8, but got \"[0-9,-]+\"",
    "arithmetic of addresses": r"the range (ends before|has more than)|isn't in the network|the first or last address of",
    "other objects, and files as a whole": r"no \w+ named .* is declared|is declared twice|is used twice|in a source for several hosts"
                                           r"|this source declares no Host|shared with other hosts, not with its own"
                                           r"|all hosts of a source are of one fleet",
    "what stands elsewhere in the object": r"two items have the|two hosts have the|the machine has no disk|only disks are exported"
                                           r"|there is no (CPU|I/O thread) \d|consoles are numbered|nodes? (is|are) numbered|is in (no|two) nodes?"
                                           r"|can't be combined with boot.order|virtiofs needs memory.shared|libvirt can't give fixed IPv6"
                                           r"|a machine with a stateless disk|of a machine with a stateless disk",
    "the grammar of URIs, XML and user data": r"expected a URL such as|isn't a URI such as|a URL with credentials|write the URL without"
                                              r"|must not hold a password|machines aren't sent by RDMA|one whole XML element|cloud-init would leave"
                                              r"|expected one XML element",
    "an empty mapping of labels": r"an empty selector would match",
    "YAML itself": r"the (key|alias) \"|not valid (YAML|UTF-8)|NUL byte|a tab where|merge keys|the tag \"|nodes with its aliases",
}


def is_beyond(message):
    return any(re.search(pattern, message) for pattern in BEYOND.values())


class Loader(yaml.SafeLoader):
    """YAML 1.2 core, as reconcile and editors read it; PyYAML alone takes on for true."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789")):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def construct_int(loader, node):
    text = node.value
    return int(text[2:], 8) if text.startswith("0o") else int(text, 16 if text.startswith("0x") else 10)


def construct_mapping(loader, node, deep=True):
    keys = [key.value for key, _ in node.value]
    if len(keys) != len(set(keys)):
        raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


Loader.add_constructor("tag:yaml.org,2002:int", construct_int)
Loader.add_constructor("tag:yaml.org,2002:map", construct_mapping)


def files(pattern):
    return sorted(glob.glob(os.path.join(REPOSITORY, pattern), recursive=True))


def load(path):
    with open(path, "rb") as file:
        return list(yaml.load_all(file, Loader))


class JsonSchema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(REPOSITORY, "schema/reconcile.schema.json"), encoding="utf-8") as file:
            cls.schema = json.load(file)
        jsonschema.Draft7Validator.check_schema(cls.schema)
        cls.validator = jsonschema.Draft7Validator(cls.schema)

    def faults(self, path):
        """What the schema finds in a file."""
        try:
            documents = load(path)
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            return [f"not YAML: {error}"]
        return [fault for document in documents for fault in self.faults_of(document)] if documents else ["no document"]

    def faults_of(self, document):
        return [error.schema["errorMessage"] if error.validator == "not" and "errorMessage" in error.schema else
                f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in self.validator.iter_errors(document)]

    def rules(self):
        """The messages of the rules across fields, as patterns."""
        found, todo = [], [self.schema["allOf"]]
        while todo:
            part = todo.pop()
            if isinstance(part, dict) and isinstance(part.get("errorMessage"), str):
                found.append(part["errorMessage"])
            todo += part if isinstance(part, list) else part.values() if isinstance(part, dict) else []
        return {message: re.compile(re.sub(r"\\{\w+\\}", ".*", re.escape(message))) for message in found}

    def test_good_files(self):
        paths = files("tests/golden/good/*.yaml") + files("examples/**/*.yaml")
        self.assertGreater(len(paths), 12)
        for path in paths:
            with self.subTest(os.path.relpath(path, REPOSITORY)):
                self.assertEqual(self.faults(path), [])

    def test_good_sources(self):
        """What belongs together is judged together: a folder of examples, or one file."""
        for path in files("tests/golden/good/*.yaml") + files("examples/*.yaml") + files("examples/*.d"):
            with self.subTest(os.path.relpath(path, REPOSITORY)):
                result = reconcile("validate", path, check=0)
                self.assertEqual(result.stderr, "")

    def test_bad_files(self):
        """What the decoder says of them stands beside them. The schema says it of the same document, rules across
        fields in the same words, but for what is beyond it."""
        rules, judged, told = self.rules(), 0, set()
        for path in files("tests/golden/bad/*.yaml"):
            with open(path[:-5] + ".expected", encoding="utf-8") as file:
                errors = [line for line in file if ": error: " in line]
            reconcile("validate", path, check=1 if errors else 0)
            errors = [(int(line.split(":")[1]), line.split(": error: ", 1)[1].strip()) for line in errors]
            with self.subTest(os.path.relpath(path, REPOSITORY)):
                try:
                    documents = list(zip(load(path), starts(path)))
                except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
                    continue
                ends = [start for _, start in documents[1:]] + [sys.maxsize]
                for (document, start), end in zip(documents, ends):
                    found = self.faults_of(document)
                    for line, message in errors:
                        if not start <= line < end or is_beyond(message) or has_profile(document):
                            continue
                        rule = next((rule for rule, pattern in rules.items() if pattern.fullmatch(message)), None)
                        self.assertTrue(rule in found if rule else set(found) - set(rules), f"{line}: {message}: {found}")
                        told.add(rule)
                        judged += 1
        self.assertGreater(judged, 150)
        self.assertEqual(set(rules) - told, set(), "rules that no bad file breaks")

    def test_examples_have_the_modeline(self):
        """In each document: yaml-language-server takes it for the one document that it stands in."""
        for path in files("examples/*.yaml") + files("examples/quickstart.d/*.yaml"):
            with open(path, encoding="utf-8") as file:
                documents = file.read().split("\n---\n")
            for document in documents:
                with self.subTest(os.path.relpath(path, REPOSITORY)):
                    match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", document)
                    self.assertTrue(match and os.path.samefile(os.path.join(os.path.dirname(path), match.group(1)),
                                                               os.path.join(REPOSITORY, "schema/reconcile.schema.json")))

    def test_the_command_prints_this_schema(self):
        self.assertEqual(json.loads(reconcile("schema", check=0).stdout), self.schema)

    def test_spoilt_files(self):
        """Good documents with one thing spoilt: both agree, whatever they say."""
        dice = random.Random(5)
        documents = [document for path in files("tests/golden/good/*.yaml") for document in load(path)]
        spoilt, judged = {}, {True: 0, False: 0}
        rules = self.rules()
        with tempfile.TemporaryDirectory() as folder:
            def write(name, *contents):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write("\n---\n".join(json.dumps(content, ensure_ascii=False) for content in contents))
            write("profiles.yaml", *{document["metadata"]["name"]: document for document in documents if document["kind"] == "Profile"}.values())
            for number in range(1500):
                document = copy.deepcopy(dice.choice(documents))
                document["metadata"]["name"] = f"n{number}"
                name = f"{number}.yaml"
                spoilt[name] = graft(document, documents, dice) if number % 3 == 0 else spoil(document, dice)
                write(name, spoilt[name])
            result = reconcile("validate", folder)
            self.assertIn(result.status, (0, 1), str(result)[-2000:])
        said, different = {}, []
        for line in result.stderr.splitlines():
            match = re.match(r".*/(\d+\.yaml):\d+:\d+: error: (.*)", line)
            if match:
                said.setdefault(match[1], []).append(match[2])
        for name, document in spoilt.items():
            faults, errors = self.faults_of(document), [error for error in said.get(name, ()) if not is_beyond(error)]
            if has_profile(document):  # another document says the rest
                errors = [error for error in errors if faults or not any(pattern.fullmatch(error) for pattern in rules.values())]
            judged[not faults] += 1
            undecoded = any("two items have the" in error for error in said.get(name, ()))  # then no rule is looked at
            if bool(faults) != bool(errors) and not undecoded:
                different.append(f"{json.dumps(document)}\nschema: {faults}\ndecoder: {said.get(name)}")
        self.assertEqual(different, [])
        self.assertGreater(min(judged.values()), 100)


def has_profile(document):
    spec = document.get("spec") if isinstance(document, dict) else None
    return isinstance(spec, dict) and "profile" in spec and document.get("kind") == "VirtualMachine"


def starts(path):
    """The line with which each document of a file begins."""
    with open(path, "rb") as file:
        return [event.start_mark.line + 1 for event in yaml.parse(file) if isinstance(event, yaml.DocumentStartEvent)]


def shape(path):
    return tuple(step for step in path if isinstance(step, str))


def mappings(value, path=()):
    if isinstance(value, dict):
        yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from mappings(item, path + (key,))


def graft(document, documents, dice):
    """With a key that the same part of another document has."""
    path, part = dice.choice([each for each in mappings(document) if each[0]])
    others = [other for donor in documents if donor["kind"] == document["kind"] for where, other in mappings(donor) if shape(where) == shape(path)]
    donor = dice.choice(others)
    if donor:
        key = dice.choice(list(donor))
        if (shape(path), key) != (("metadata",), "name"):
            part[key] = copy.deepcopy(donor[key])
    return document


def places(value, path=()):
    """(container, key) of everything in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from places(item, path + (key,))


def spoil(document, dice):
    container, key = dice.choice(list(places(document)))
    kind = dice.randrange(8)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[str(key) + "x"] = container.pop(key)
    elif kind == 2 and isinstance(container[key], dict):
        container[key]["surplus"] = "x"
    elif kind == 3 and isinstance(container[key], int):
        container[key] = dice.choice([-5, 0, 10 ** 12, 2 ** 62])
    elif kind == 4 and isinstance(container[key], str):
        container[key] = dice.choice(["", " ", container[key] + "\u0007", container[key].upper(), "x" * 300, "-", "~", "é"])
    else:
        container[key] = dice.choice([None, True, 7, -1, 1.5, "7", "true", "some words", [], {}, [1], {"a": 1}, ["a"], [{}]])
    return document


if __name__ == "__main__":
    unittest.main()
