"""Each hook has its heading in the reference with its exact arguments, and a test; and the reference invents none."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import pytest

from vmsvc import hookspecs

TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs/reference/hooks.md").read_text()
HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if name.startswith("vmsvc_") and inspect.isfunction(function)
}
hook_test = pytest.mark.parametrize("name", HOOKS)


def signature(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(HOOKS[name]).parameters)})"


def section(name: str) -> str:
    return PAGE.partition(f"## {signature(name)}\n")[2].partition("\n## ")[0]


def test_there_are_hooks():
    assert {"vmsvc_drivers", "vmsvc_before_step"} <= HOOKS.keys()


def test_the_page_has_the_hooks_with_their_arguments_and_no_others():
    assert re.findall(r"^## (vmsvc_.*)$", PAGE, re.MULTILINE) == [signature(name) for name in HOOKS]


@hook_test
def test_every_argument_is_explained(name):
    explained = re.findall(r"^\| `(\w+)` \|", section(name), re.MULTILINE)
    assert explained == list(inspect.signature(HOOKS[name]).parameters)


@hook_test
def test_the_declaration_has_an_example(name):
    example = textwrap.dedent((HOOKS[name].__doc__ or "").partition("Example::\n")[2]).strip()
    assert example.startswith(f"@hookimpl\ndef {signature(name)}:")


@hook_test
def test_the_hook_is_implemented_by_a_test(name):
    """A hook that no test implements is a hook that nobody has seen called."""
    assert any(f"def {name}(" in file.read_text() for file in TREE.glob("tests/**/*.py"))
