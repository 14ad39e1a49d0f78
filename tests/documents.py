"""The published schemas, as tests use them: every JSON document that a test gets hold of is checked against its own.

A reader's program must bear keys that are added later, so the published schemas allow them. Here they are closed: a key
that no schema describes is a failure. A new document needs a file in ``src/vmsvc/schemas``, and no code.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import vmsvc

SCHEMAS = Path(vmsvc.__file__).parent / "schemas"
#: What documents have in common; no document itself.
COMMON = "common.json"


def file_of(name: str) -> Path:
    """Where the schema of a document is: ``status-1.json`` for ``vmsvc.status/1``."""
    return SCHEMAS / f"{name.removeprefix('vmsvc.').replace('/', '-')}.json"


def names() -> set[str]:
    """The documents that have a schema."""
    return {json.loads(file.read_text())["title"] for file in SCHEMAS.glob("*.json") if file.name != COMMON}


def checked(text: str) -> Any:
    """A document, once it is what its schema says.

    Args:
        text: What a command has printed.
    """
    document = json.loads(text)
    name = document["schema"]
    assert file_of(name).exists(), f"{name} has no schema: describe it in {file_of(name)}"
    wrong = [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(document)]
    assert not wrong, "\n".join([f"{name} is not what {file_of(name).name} says:", *wrong])
    return document


@cache
def _validator(name: str) -> Draft202012Validator:
    resources = [(file.name, Resource.from_contents(_closed(json.loads(file.read_text())))) for file in _files()]
    return Draft202012Validator({"$ref": file_of(name).name}, registry=Registry().with_resources(resources))


def _files() -> list[Path]:
    return sorted(SCHEMAS.glob("*.json"))


def _closed(schema: Any) -> Any:
    """A schema whose objects have no other keys than those that it describes; maps of anything stay as they are."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    return (
        {"additionalProperties": False, **closed}
        if schema.get("type") == "object" and "properties" in schema
        else closed
    )
