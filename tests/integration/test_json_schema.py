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

# Rules across fields and the bounds of quantities are beyond a schema. All else that is
# wrong in a document must be wrong to both.
SHAPE = re.compile(r"unknown (key|kind)|is missing|has no value|expected (a string|a mapping|a list|a key|one of|a whole number|"
                   r"true or false|a (size|rate|duration) such|one line of text|text without|a name of|a path|a UUID|"
                   r"a unicast MAC|an IPv4|a PCI address|a USB|a disk target|a SHA-256|one XML element|a document|"
                   r"an? integer from|at most \d+ items)")


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
        if not documents:
            return ["no document"]
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
                for document in documents for error in self.validator.iter_errors(document)]

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
        """What the decoder says of them stands beside them. Of what is wrong by shape, the schema says so too."""
        refused = 0
        for path in files("tests/golden/bad/*.yaml"):
            with self.subTest(os.path.relpath(path, REPOSITORY)), open(path[:-5] + ".expected", encoding="utf-8") as file:
                expected = [line for line in file if ": error: " in line]
                reconcile("validate", path, check=1 if expected else 0)
                if any(SHAPE.search(line) for line in expected):
                    self.assertNotEqual(self.faults(path), [])
                    refused += 1
        self.assertGreater(refused, 5)

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
        judged = {True: 0, False: 0}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "spoilt.yaml")
            for _ in range(240):
                document = spoil(copy.deepcopy(dice.choice(documents)), dice)
                text = json.dumps(document, ensure_ascii=False)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                fits = self.validator.is_valid(document)
                result = reconcile("validate", path)
                self.assertIn(result.status, (0, 1), str(result))
                judged[fits] += 1
                if not fits:
                    self.assertEqual(result.status, 1, f"only the schema refuses {text}\n{self.faults(path)}")
                elif result.status:
                    self.assertIsNone(SHAPE.search(result.stderr), f"only the decoder refuses {text}\n{result}")
        self.assertGreater(min(judged.values()), 10)


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
