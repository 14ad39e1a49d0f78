"""Tables: what a tool answers, row by row, and where each row comes from. They are read from TOML, and checked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli
from attrs import field, frozen

from vmsvc.testing.standin.engine import ABSENT, bare

#: How an origin begins: a recorded session, a manual page, the tool's source code; or nobody knows.
ORIGINS = ("sample: ", "manual: ", "source: ", "guess")

_TABLES = frozenset({"name", "commands", "states", "known_by", "values", "guest", "views", "trouble", "foreign", "row"})
#: The keys of a row, and what they are when it does not give them; see the page "Make a stand-in".
_ROW: dict[str, Any] = {
    "argv": "",
    "when": None,
    "where": {},
    "next": [],
    "kind": "",
    "set": {},
    "makes": "",
    "out": "",
    "each": "",
    "each_when": None,
    "between": "",
    "end": "",
    "err": "",
    "code": 0,
    "runs": [],
    "takes": 0.0,
    "origin": "",
}
_KINDS = ("", "start", "stop")
_TROUBLES = ("dead", "refused", "locked")
_UNKNOWN_TROUBLE: dict[str, Any] = {"code": 1, "out": "", "err": "", "origin": "guess"}


class TableError(AssertionError):
    """A table is wrong; the message says where."""


@frozen(kw_only=True)
class Table:
    """What a technology's tools answer.

    Attributes:
        name: What it is called in messages: its file's name.
        commands: The tools' names.
        states: The states that a guest can be in; the first is the one of a new guest.
        guesses: The rows of which nobody knows whether they are right.
        data: All of it, for the engine.
    """

    name: str
    commands: tuple[str, ...]
    states: tuple[str, ...]
    guesses: tuple[str, ...]
    data: Mapping[str, Any] = field(repr=False)


def read_table(file: Path) -> Table:
    """Read a table.

    Args:
        file: Where it is.

    Raises:
        TableError: It cannot be read, says what no table says, or does not say where a row comes from.
    """
    raw = _read(file)
    _known(file.name, raw, _TABLES)
    if lacking := [key for key in ("commands", "states", "row") if not raw.get(key)]:
        raise TableError(f"{file.name} has no {' and no '.join(lacking)}: a table begins with its commands and states")
    commands, states = raw["commands"], raw["states"]
    rows = [_row(f"{file.name}, row {number}", row, commands, states) for number, row in enumerate(raw["row"], 1)]
    troubles = {name: {**_UNKNOWN_TROUBLE, "err": f"error: {name}\n"} for name in _TROUBLES}
    for name, told in raw.get("trouble", {}).items():
        where = f"{file.name}, trouble {name}"
        _known(where, told, frozenset(_UNKNOWN_TROUBLE))
        _known(where, {name: None}, frozenset(_TROUBLES))
        _origin(where, told)
        troubles[name] = {**_UNKNOWN_TROUBLE, **told}
    guesses = [shlex.join(row["argv"]) for row in rows if row["origin"].startswith("guess")]
    guesses += [name for name, told in troubles.items() if told["origin"].startswith("guess")]
    data = {
        "name": file.name,
        "commands": commands,
        "states": states,
        "known_by": raw.get("known_by", ["name"]),
        "values": raw.get("values", {}),
        "guest": raw.get("guest", {}),
        "views": raw.get("views", {}),
        "trouble": troubles,
        "foreign": raw.get("foreign", {}),
        "rows": rows,
    }
    _check_known_by(file.name, data)
    return Table(name=file.name, commands=tuple(commands), states=tuple(states), guesses=tuple(guesses), data=data)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomli.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise TableError(f"the table {file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise TableError(f"the table {file} cannot be read: {error}") from error


def _check_known_by(name: str, data: Mapping[str, Any]) -> None:
    """Refuse a key by which no guest is ever known: each would be absent."""
    fields = {**bare("", 0, ""), **data["guest"]}
    for key in data["known_by"]:
        if key not in fields:
            raise TableError(f"{name}, known_by: a guest has no {key!r}; it has {', '.join(sorted(fields))}")


def _row(where: str, raw: Mapping[str, Any], commands: list[str], states: list[str]) -> dict[str, Any]:
    _known(where, raw, frozenset(_ROW))
    _origin(where, raw)
    row = {**_ROW, **raw}
    row["argv"] = shlex.split(row["argv"])
    where = f"{where} ({raw.get('argv', '')})"
    if row["argv"][:1] == [] or row["argv"][0] not in commands:
        raise TableError(f"{where}: argv begins with one of {', '.join(commands)}")
    if row["kind"] not in _KINDS:
        raise TableError(f"{where}: kind is start or stop, where it is given")
    row["next"] = [_lasting(where, step, states) for step in row["next"]]
    row["when"] = states if row["when"] is None else row["when"]
    row["each_when"] = states if row["each_when"] is None else row["each_when"]
    for state in (*row["when"], *row["each_when"]):
        if state not in (*states, ABSENT):
            raise TableError(f"{where}: {state!r} is not among the states of the table")
    return row


def _lasting(where: str, step: str, states: list[str]) -> tuple[str, float]:
    """A state and how long it lasts, in seconds: ``stopping 0.2``, or ``running``."""
    state, _, lasts_s = step.partition(" ")
    if state not in (*states, ABSENT):
        raise TableError(f"{where}: {state!r} is not among the states of the table")
    return state, float(lasts_s or 0)


def _known(where: str, raw: Mapping[str, Any], keys: frozenset[str]) -> None:
    if unknown := sorted(set(raw) - keys):
        raise TableError(f"{where}: nobody knows {', '.join(unknown)}; there are {', '.join(sorted(keys))}")


def _origin(where: str, raw: Mapping[str, Any]) -> None:
    origin = raw.get("origin", "")
    if not origin.startswith(ORIGINS):
        raise TableError(f"{where}: its origin is {origin!r}: say `sample: …`, `manual: …`, `source: …`, or `guess`")
