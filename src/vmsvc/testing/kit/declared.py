"""Clauses about what a driver declares; no guest is touched.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import ast
import inspect
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import fields

from vmsvc.core.config.load import parse_service
from vmsvc.core.config.schema import Catalog
from vmsvc.core.contract import Capability
from vmsvc.core.declaration import declaration_of
from vmsvc.core.options import Option, argv, options_of
from vmsvc.core.resource import Guest
from vmsvc.core.roles import ROLES
from vmsvc.testing.kit.bench import Bench, role_of
from vmsvc.testing.kit.clause import clause
from vmsvc.testing.kit.written import service_file

#: What an entrance is declared as depends on what is inside the guest, and no method tells.
_SHARED = frozenset({Capability.ENTRY, Capability.AGENT})
_OUTSIDE = ("sh", "fabric", "subprocess", "multiprocessing", "pty")


@clause("contract")
def keeps_the_contract(bench: Bench) -> None:
    """A driver that vmsvc would refuse serves nobody; one that asks something when it is made delays every command."""
    declared = declaration_of(type(bench.driver))
    assert declared.type, "the driver has no type"
    assert not bench.backend.queries(), "the driver ran commands when it was made: open nothing before the first call"
    state = bench.backend.context.state_dir
    assert not state.exists(), f"the driver wrote to {state} when it was made"


@clause("capabilities")
def capabilities_and_roles_agree(bench: Bench) -> None:
    """A capability without its methods fails when it is needed; methods without their capability are never called."""
    for capability, role in ROLES.items():
        methods = role_of(capability)
        has = isinstance(bench.driver, role)
        if capability in bench.driver.capabilities:
            assert has, f"it declares {capability.value}, and lacks {', '.join(methods)}"
            for method in methods:
                _takes_what_its_role_gives(getattr(bench.driver, method), getattr(role, method))
        elif has:
            others = _SHARED & bench.driver.capabilities if capability in _SHARED else frozenset()
            assert others, f"it has {', '.join(methods)}, and does not declare {capability.value}: nobody calls them"


@clause("options")
def option_records_round_trip(bench: Bench) -> None:
    """A guest whose options do not survive being written to a file and read again becomes another guest."""
    guest = bench.backend.guest("written")
    assert isinstance(guest, bench.driver.options), f"the backend's guest is no {bench.driver.options.__name__}"
    options = {option.key: option for option in options_of(type(guest))}
    given = {key: getattr(guest, key) for key in options}
    for key, value in given.items():
        text = _in_ini(options[key], value)
        read = options[key].value.parse(text)
        assert read == value, f"{key} = {text} is read from INI as {read!r}, and was {value!r}"
    again = _read(bench, guest)
    assert again == guest, f"written and read again, {_differences(guest, again)}"
    assert hash(again) == hash(guest), "records that are equal must have the same hash"


@clause("imports")
def imports_only_the_door(bench: Bench) -> None:
    """What is not behind vmsvc.driver may change any day; a command that no host runs has no deadline."""
    for file in _files_of(type(bench.driver)):
        for name in _imports(file):
            top = name.partition(".")[0]
            assert top not in _OUTSIDE, f"{file.name} imports {name}: run commands by context.host.run"
            allowed = top != "vmsvc" or name.startswith(("vmsvc.driver", "vmsvc.testing"))
            assert allowed, f"{file.name} imports {name}: only vmsvc.driver is kept stable"


def _takes_what_its_role_gives(method: Any, declared: Any) -> None:
    """The method can be called as its role says."""
    parameters = list(inspect.signature(declared).parameters.values())[1:]
    by_name = {parameter.name: 1.0 for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    by_place = [object() for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    try:
        inspect.signature(method).bind(*by_place, **by_name)
    except TypeError as error:
        raise AssertionError(
            f"{method.__name__} cannot be called as {method.__name__}{inspect.signature(declared)}: {error}"
        ) from None


def _in_ini(option: Option, value: Any) -> str:
    """A value as text of an INI file."""
    if isinstance(value, tuple):
        return shlex.join(value) if option.value is argv else " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(bench: Bench, guest: Guest) -> Guest:
    context = bench.backend.context
    catalog = Catalog({(guest.kind, guest.type): type(guest)})
    text = service_file(guest, nodes=[context.node.name])
    file = context.node.services_dir / f"{guest.service}.toml"
    service, problems = parse_service(file, context.node, catalog, text=text)
    assert service is not None, f"vmsvc cannot read what was written: {'; '.join(map(str, problems))}"
    return service.guests[0]


def _differences(one: Guest, other: Guest) -> str:
    names = [field.name for field in fields(type(one))]
    differing = [name for name in names if getattr(one, name) != getattr(other, name, None)]
    return "; ".join(f"{name} is {getattr(other, name, None)!r} and was {getattr(one, name)!r}" for name in differing)


def _files_of(driver: type) -> Iterator[Path]:
    """The Python files of the driver's own package; its module's where that is in none."""
    package = sys.modules.get(driver.__module__.partition(".")[0])
    top = Path(getattr(package, "__file__", None) or "")
    if top.name == "__init__.py":
        yield from sorted(top.parent.rglob("*.py"))
    else:
        yield Path(inspect.getfile(driver))


def _imports(file: Path) -> Iterator[str]:
    for statement in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
