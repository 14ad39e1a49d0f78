"""Every keyword and option there is, by the name that tests call it with in their markers.

``@pytest.mark.keyword("container.stop_timeout")`` and ``@pytest.mark.option("start --drp")`` say that a test shows how
something changes behaviour. Keys of every section are ``any.KEY``; a driver's own are ``container.TYPE.KEY``.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

from vmsvc import Session
from vmsvc.cli import grammar
from vmsvc.cli.legacy import Legacy
from vmsvc.core.kinds import KINDS
from vmsvc.core.options import options_of
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service

TREE = Path(__file__).parents[1]


def keywords() -> set[str]:
    """The keywords of the core and of the installed drivers."""
    found = {f"DEFAULT.{option.key}" for option in options_of(Service)}
    found |= {f"any.{option.key}" for option in options_of(Resource)}
    common = {option.key for option in options_of(Resource)}
    for kind, owner in KINDS.items():
        found |= {f"{kind}.{option.key}" for option in options_of(owner) if option.key not in common}
    for (kind, technology), owner in Session().catalog.classes.items():
        known = {option.key for option in options_of(KINDS[kind])}
        found |= {f"{kind}.{technology}.{option.key}" for option in options_of(owner) if option.key not in known}
    return found


def options() -> set[str]:
    """The options of every command, by their long names; those that all commands have stand by themselves."""
    common = _options(grammar.parser())
    found = set(common)
    for words, parser in _commands(grammar.parser()):
        found |= {f"{words} {option}" for option in _options(parser) - common}
    return found | {f"svcmgr {option}" for option in _options(Legacy()) - common}


def named(marker: str) -> dict[str, list[str]]:
    """What tests name in a marker, wherever they are and whether they can run here or not.

    Args:
        marker: ``keyword`` or ``option``.

    Returns:
        For each name the tests that carry it.
    """
    found: dict[str, list[str]] = {}
    for file in sorted([*TREE.glob("tests/**/test_*.py"), *TREE.glob("plugins/*/tests/test_*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for name in _names(node, marker):
                    found.setdefault(name, []).append(f"{file.relative_to(TREE)}::{node.name}")
    return found


def _names(function: ast.FunctionDef, marker: str) -> Iterator[str]:
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == f"pytest.mark.{marker}":
            for argument in each.args:
                yield from ast.literal_eval(argument).split(", ")


def _commands(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from _commands(command, f"{words} {name}".strip())
            return
    yield words, parser


def _options(parser: argparse.ArgumentParser) -> set[str]:
    return {
        action.option_strings[-1] for action in parser._actions if action.option_strings and action.dest != "help"
    } - {"--help"}
