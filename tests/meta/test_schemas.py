"""Each JSON document that the code names has a published schema, which describes every key; and none is invented."""

from __future__ import annotations

import ast
import copy
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests import documents

TREE = Path(__file__).parents[2]
FILES = sorted(documents.SCHEMAS.glob("*.json"))
file_test = pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
PROBLEM = {"message": "m", "code": "c", "hint": "", "file": "", "section": "", "key": "", "severity": "error"}


def named_in_code():
    for file in [*TREE.glob("src/**/*.py"), *TREE.glob("plugins/*/src/**/*.py")]:
        for part in ast.walk(ast.parse(file.read_text())):
            if isinstance(part, ast.Constant) and re.fullmatch(r"vmsvc\.[a-z-]+/\d+", str(part.value)):
                yield part.value


def parts(schema):
    """The schemas within a schema, itself among them."""
    if isinstance(schema, list):
        for item in schema:
            yield from parts(item)
    elif isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from parts(part)


def test_each_document_has_a_schema_and_each_schema_a_document():
    assert set(named_in_code()) == documents.names()


@file_test
def test_a_schema_is_one(file):
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    assert file == (documents.file_of(schema["title"]) if file.name != documents.COMMON else file)
    for part in parts(schema):
        target, _, name = (
            part.get("$ref", "").partition("#/$defs/") if isinstance(part.get("$ref"), str) else ("", "", "")
        )
        if name:
            assert name in json.loads((documents.SCHEMAS / (target or file.name)).read_text())["$defs"]


@file_test
def test_every_key_is_described_and_a_reader_bears_more_of_them(file):
    for part in parts(json.loads(file.read_text())):
        assert "additionalProperties" not in part, "within a version, keys are added"
        for key, about in part.get("properties", {}).items() if part.get("type") == "object" else ():
            assert about.get("description", "").endswith((".", "…")), key


def test_the_check_can_fail():
    right = {"schema": "vmsvc.error/1", "errors": [PROBLEM]}
    assert documents.checked(json.dumps(right)) == right
    for change in (
        lambda wrong: wrong.update(schema="vmsvc.nonsense/1"),
        lambda wrong: wrong.update(more=1),
        lambda wrong: wrong["errors"][0].update(more=1),
        lambda wrong: wrong["errors"][0].update(severity="bad"),
        lambda wrong: wrong["errors"][0].pop("hint"),
    ):
        wrong = copy.deepcopy(right)
        change(wrong)
        with pytest.raises(AssertionError):
            documents.checked(json.dumps(wrong))
