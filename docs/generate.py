"""Writes the parts of the reference that come from the code: ``python -m docs.generate``.

A page says where: between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``. What stands around it is written
by hand. All plugins of this tree must be installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import tomli
from attrs import evolve

import vmsvc
from vmsvc import Session, driver
from vmsvc.cli import grammar
from vmsvc.core.config.schema import TYPE
from vmsvc.core.contract import Capability
from vmsvc.core.kinds import KINDS
from vmsvc.core.options import Option, Value, options_of
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.triggers import Triggered
from vmsvc.testing.kit import CLAUSES, TROUBLES, CommandBackend
from vmsvc.testing.kit.judging import concerned
from vmsvc.testing.sdk import GROUP, Kit

REFERENCE = Path(__file__).parent / "reference"
PLUGINS = Path(__file__).parents[1] / "plugins"
SCHEMAS = Path(vmsvc.__file__).parent / "schemas"
_PART = re.compile(r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end of (?P=name) -->)", re.DOTALL)


def keywords() -> str:
    """Every key of a service file, from the classes that declare them."""
    return "\n".join(_keyword_lines())


def _keyword_lines() -> Iterator[str]:
    around = {option.key for option in options_of(Triggered)}
    own = [option for option in options_of(Service) if option.key not in around]
    yield from _section("[DEFAULT]", "The service itself.", own)
    common = {option.key for option in options_of(Resource)}
    shared = [option for option in options_of(Resource) if option.key not in around]
    yield from _section("Every other section", "Whatever its kind.", shared)
    yield from _section(
        "Triggers, in any section",
        "Commands that run around starts and stops: in `[DEFAULT]` the service's, elsewhere the resource's. "
        "See [Run commands around starts and stops](../how-to/triggers.md).",
        options_of(Triggered),
    )
    for kind, owner in KINDS.items():
        own = [option for option in options_of(owner) if option.key not in common]
        if owner is not Guest:
            yield from _section(f"[{kind}]", _first_line(owner), own)
            continue
        with Session({}) as session:
            classes = session.catalog.classes
        chosen_by = evolve(TYPE, required=True, help=f"{TYPE.help} What follows has the keys that each type adds.")
        yield from _section(f"[{kind}]", _first_line(owner), [chosen_by, *own])
        yield from _types(classes, common | {option.key for option in own})


def _types(classes: Mapping[tuple[str, str], type[Resource]], known: set[str]) -> Iterator[str]:
    for (kind, type_), owner in sorted(classes.items()):
        own = [option for option in options_of(owner) if option.key not in known]
        yield from _section(f"[{kind}] with type = {type_}", _first_line(owner), own)


def _section(title: str, text: str, options: Iterable[Option]) -> Iterator[str]:
    yield from (f"## {title}", "", text, "", "| key | value | default | what it is for |", "|---|---|---|---|")
    yield from (_row(option) for option in options)
    yield ""


def _row(option: Option) -> str:
    marks = [mark for mark, holds in (("inherited", option.inherited), ("not scoped", not option.scoped)) if holds]
    suffix = f" *({', '.join(marks)})*" if marks else ""
    return f"| `{option.key}` | {option.value.label} | {_default(option)} | {option.help}{suffix} |"


def _default(option: Option) -> str:
    if option.required:
        return "**required**"
    value = option.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{' '.join(value)}`" if value else ""
    if isinstance(value, float):
        return f"`{value:g}s`"
    return f"`{value}`" if value != "" else ""


def commands() -> str:
    """Every command of ``vmsvc``, from its parser."""
    return "\n".join(_command_lines())


def _command_lines() -> Iterator[str]:
    top = grammar.parser()
    [subparsers] = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    common = {action.dest for action in top._actions}  # noqa: SLF001
    yield from ("## Options of every command", "", "They may stand before the command or after it.", "")
    yield from _argument_table(action for action in top._actions if action is not subparsers)  # noqa: SLF001
    yield from _subcommand_lines("vmsvc", subparsers, common)


def _subcommand_lines(prog: str, subparsers: argparse._SubParsersAction[Any], common: Collection[str]) -> Iterator[str]:
    for name, command in subparsers.choices.items():
        inner = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
        if inner:
            yield from _subcommand_lines(f"{prog} {name}", inner[0], common)
            continue
        yield from (f"## {prog} {name}", "", str(command.description), "")
        own = [action for action in command._actions if action.dest not in common]  # noqa: SLF001
        if own:
            yield from _argument_table(own)
        if command.epilog:
            _, *examples = command.epilog.splitlines()
            yield from ("```sh", *(example.strip() for example in examples), "```", "")


def _argument_table(actions: Iterable[argparse.Action]) -> Iterator[str]:
    yield from ("| word | meaning |", "|---|---|")
    for action in actions:
        if action.help != argparse.SUPPRESS:
            yield f"| `{_words(action)}` | {(action.help or '') % {'default': action.default}} |".replace("%%", "%")
    yield ""


def _words(action: argparse.Action) -> str:
    """How an argument is written, in the manner of usage lines; in a table, ``|`` must be escaped."""
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
    if action.option_strings:
        takes = "" if action.nargs == 0 else f" {value}"
        written = ", ".join(f"{option}{takes}" for option in action.option_strings)
    else:
        written = {"*": f"[{value} ...]", "+": f"{value} [...]", "?": f"[{value}]"}.get(str(action.nargs), str(value))
    return written.replace("|", "\\|")


def documents() -> str:
    """The JSON documents, from their published schemas: every key of each, then of what they have in common."""
    return "\n".join(_document_lines())


def _document_lines() -> Iterator[str]:
    for file in sorted(SCHEMAS.glob("*-*.json")):
        schema = json.loads(file.read_text())
        yield from (f"### {schema['title']}", "", schema["description"], "", *_key_table(schema))
    for name, schema in json.loads((SCHEMAS / "common.json").read_text())["$defs"].items():
        if "properties" in schema:
            yield from (f"### {name}", "", schema["description"], "", *_key_table(schema))


def _key_table(schema: dict[str, Any]) -> Iterator[str]:
    yield from ("| key | value | what it is |", "|---|---|---|")
    yield from _key_rows(schema, "")
    yield ""


def _key_rows(schema: dict[str, Any], place: str) -> Iterator[str]:
    for key, about in schema["properties"].items():
        if "const" in about:  # the document's own name
            continue
        written, mark = f"{place}{key}", "" if key in schema["required"] else " *(not always there)*"
        yield f"| `{written}` | {_kind_of(about)} | {about['description']}{mark} |"
        for inner, mark in ((about, ""), (about.get("items", {}), "[]")):
            if "properties" in inner:
                yield from _key_rows(inner, f"{written}{mark}.")


def _kind_of(schema: dict[str, Any]) -> str:
    """What a value is, in words: the name of what several documents have in common is a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "status" if name == "status_word" else f"[{name}](#{name})"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(map(_kind_of, schema["anyOf"]))
    if "type" not in schema:
        return "any value"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(
        ("list" if "properties" in schema["items"] else f"list of {_kind_of(schema['items'])}")
        if kind == "array"
        else kind
        for kind in kinds
    )


def session() -> str:
    """What a session can do: the signatures and first lines of its public methods and properties."""
    lines = ["| of a session | what it is |", "|---|---|"]
    members = {name: member for owner in reversed(Session.__mro__[:-1]) for name, member in vars(owner).items()}
    for name, member in members.items():
        if not name.startswith("_"):
            called = _signature(member) if inspect.isfunction(member) else ""
            lines.append(f"| `{name}{called}` | {_first_line(member)} |")
    return "\n".join(lines) + "\n"


def _signature(method: Callable[..., object]) -> str:
    """A method's parameters as a caller sees them: without ``self``, types and what the defaults are."""
    words: list[str] = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(parameter.name + ("" if parameter.default is parameter.empty else "=…"))
    return f"({', '.join(words)})"


def technologies() -> str:
    """Which package of this tree serves which technology, as its project says."""
    lines = ["| type | what it serves | package |", "|---|---|---|"]
    for file in sorted(PLUGINS.glob("*/pyproject.toml")):
        project = tomli.loads(file.read_text())["project"]
        for served in project["entry-points"].get(GROUP, {}):
            what = project["description"].removesuffix(" as vmsvc services").removesuffix(",")
            lines.append(f"| `{served}` | {what} | `{project['name']}` |")
    return "\n".join(lines) + "\n"


def capabilities() -> str:
    """Which driver of this tree offers what, as the drivers declare it."""
    with Session({}) as session:
        reports = sorted((each for plugin in session.plugins for each in plugin.drivers), key=lambda each: each.type)
    drivers = {f"`{each.type}`": each.capabilities for each in reports}
    lines = [f"| capability | {' | '.join(drivers)} |", "|---" * (1 + len(drivers)) + "|"]
    for capability in Capability:
        marks = ("yes" if capability.value in offered else "" for offered in drivers.values())
        lines.append(f"| `{capability.value}` | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def conformance() -> str:
    """What each driver's kit holds it to, and what it waives."""
    return "\n".join(_conformance_lines())


def _kits() -> Iterator[Kit]:
    """The kits of this tree's plugins, by what their projects say: what was installed may be from before."""
    for file in sorted(PLUGINS.glob("*/pyproject.toml")):
        project = tomli.loads(file.read_text())["project"]
        for served, value in project["entry-points"].get(GROUP, {}).items():
            module, _, name = value.partition(":")
            cases = getattr(importlib.import_module(module), name)
            yield Kit(serves=served, distribution=project["name"], version=project["version"], cases=cases)


def _conformance_lines() -> Iterator[str]:
    found = list(_kits())
    with Session({}) as session:
        without = {each.type for plugin in session.plugins for each in plugin.drivers} - {kit.serves for kit in found}
    yield from ("| driver | clauses | waived | tried on |", "|---|---|---|---|")
    for kit in found:
        tried = "a backend in its package" if kit.has_backend else "real daemons, in the tests of its source"
        count = len(concerned(kit.cases))
        yield f"| `{kit.serves}` | {count} of {len(CLAUSES)} | {len(kit.cases.waivers) or 'none'} | {tried} |"
    yield from (f"| `{each}` | has no kit yet | | |" for each in sorted(without))
    yield ""
    for kit in found:
        if kit.cases.waivers:
            yield from (f"### What {kit.serves} waives", "", "| clause | reason |", "|---|---|")
            yield from (f"| `{name}` | {reason} |" for name, reason in kit.cases.waivers.items())
            yield ""


def clauses() -> str:
    """What the conformance kit holds drivers to."""
    lines = ["| clause | why | concerns | needs |", "|---|---|---|---|"]
    for clause in CLAUSES.values():
        concerns = " or ".join(f"`{word.value}`" for word in sorted(clause.capabilities)) or "all"
        trouble = f"`when_{clause.trouble}`" if clause.trouble else ""
        needs = trouble or (f"phase `{clause.phase.name}`" if clause.phase else "")
        lines.append(f"| `{clause.name}` | {clause.why} | {concerns} | {needs} |")
    return "\n".join(lines) + "\n"


def troubles() -> str:
    """What a backend of the conformance kit may be asked to do."""
    lines = ["| trouble | what happens | by `CommandBackend` |", "|---|---|---|"]
    for name, what in TROUBLES.items():
        free = "yes" if hasattr(CommandBackend, f"when_{name}") else ""
        lines.append(f"| `{name}` | {what} | {free} |")
    return "\n".join(lines) + "\n"


def _names_of(module: ModuleType) -> str:
    """The public names of a module that say what they are."""
    lines = ["| name | what it is |", "|---|---|"]
    for name in module.__all__:
        member = getattr(module, name)
        if isinstance(member, Value):
            lines.append(f"| `{name}` | A type of value: {member.label}. |")
        elif inspect.isclass(member) or inspect.isfunction(member):
            lines.append(f"| `{name}` | {_first_line(member)} |")
    return "\n".join(lines) + "\n"


def _first_line(owner: object) -> str:
    text = (getattr(owner, "__doc__", None) or "").strip().splitlines()[0]
    return re.sub(r":\w+:(?=`)", "", text).replace("``", "`")


GENERATED: dict[str, Callable[[], str]] = {
    "keywords": keywords,
    "commands": commands,
    "session": session,
    "documents": documents,
    "technologies": technologies,
    "capabilities": capabilities,
    "conformance": conformance,
    "clauses": clauses,
    "troubles": troubles,
    "vmsvc": lambda: _names_of(vmsvc),
    "vmsvc-driver": lambda: _names_of(driver),
}


def renewed(text: str) -> str:
    """A page with its generated parts as they are now.

    Args:
        text: The page.
    """
    return _PART.sub(lambda part: f"{part['begin']}\n{GENERATED[part['name']]()}\n{part['end']}", text)


def missing() -> list[str]:
    """Plugins of this tree that bring drivers and are not installed: the reference would lack their keys."""
    names = sorted(file.parents[2].name for file in PLUGINS.glob("*/src/*/driver.py"))
    return [name for name in names if importlib.util.find_spec(name.replace("-", "_")) is None]


def main() -> int:
    """Renew every page of the reference; the exit code is 1 where one was out of date."""
    if lacking := missing():
        print(f"install them first: pip install{''.join(f' -e plugins/{name}' for name in lacking)}", file=sys.stderr)
        return 2
    stale = 0
    for page in sorted(REFERENCE.glob("*.md")):
        text = page.read_text()
        if (now := renewed(text)) != text:
            page.write_text(now)
            print(f"{page}: renewed")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
