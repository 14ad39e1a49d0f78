"""What runs when a stand-in is called by the name of the tool that it stands in for.

It is run by its path, isolated, and imports nothing but modules that are built into Python: a test of a driver calls it
a thousand times, and loading ``json`` alone takes as long as all the rest. What it answers is in the table
(:mod:`vmsvc.testing.standin.table`) and in the world, a directory with

``table``
    the table, as it was read by the test;
``world``
    the guests, each with its state, the states that are still to come and when, and what else the table tells of it;
``knobs``
    the troubles that the test has turned on;
``calls``
    every call, one a line, as Python writes a record;
``lock``
    held while the world is read and written, and never while a tool takes its time.
"""

from __future__ import annotations

import fcntl
import itertools
import marshal
import os
import sys
import time

TYPE_CHECKING = False  # type checkers take it for true; the module that has it takes long to load
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, NoReturn

    Guest = dict[str, Any]
    World = dict[str, Any]

#: The exit code of a call that no row answers.
UNANSWERED = 97
#: The state of a guest that is not there.
ABSENT = "absent"

_GARBAGE = b"\x00\xff\xfe{]\x1b[2J\r\n%s\x80 0x7f \xe2\x28\xa1 }}\n\n|||\t\t;;\n"
_NOISE = b"WARNING: the cache could not be locked; going on without it\n"
_FOREIGN = "Fehler: Der Vorgang konnte nicht durchgeführt werden — 操作できませんでした\n"
_NEW_WORD = "Zephyrous"
_PLAIN_LOCALES = ("C", "C.UTF-8", "POSIX")
_SIGNALLED = 128
_NOT_FOUND = 127
_SIGKILL = 9


class Unanswered(Exception):
    """No row answers a call, or the row that does is wrong."""


class Unheard(str):
    """A state that is printed by a word that no version of the tool has; a number that it is printed by stays."""

    __slots__ = ()


class Field:
    """A value in a template: ``{state}`` is the value, ``{state:long}`` what the table's view ``long`` makes of it."""

    def __init__(self, value: Any, views: Mapping[str, Any]) -> None:
        self._value = value
        self._views = views

    def __str__(self) -> str:
        return str(self._value)

    def __format__(self, view: str) -> str:
        text = self._seen(view)
        is_new = isinstance(self._value, Unheard) and any(letter.isalpha() for letter in text)
        return _NEW_WORD if is_new else text

    def _seen(self, view: str) -> str:
        if view not in self._views:
            return format(self._value, view)
        how = self._views[view]
        if isinstance(how, dict):  # a word for each value
            return str(how[str(self._value)])
        items = [item if isinstance(item, dict) else {"value": item} for item in self._value]
        return "".join(fill(how, {"index": index, **item}, self._views) for index, item in enumerate(items))


def fill(template: str, fields: Mapping[str, Any], views: Mapping[str, Any]) -> str:
    """Fill a template, as ``str.format`` does.

    Args:
        template: The template.
        fields: Its fields.
        views: The table's views.
    """
    return template.format_map(_Fields({name: Field(value, views) for name, value in fields.items()}))


class _Fields(dict[str, Field]):
    """The fields of a template, which says which there are where it is asked for another."""

    def __missing__(self, name: str) -> NoReturn:
        raise ValueError(f"nothing is called {{{name}}} here; there are {', '.join(sorted(self))}")


# --- the world --------------------------------------------------------------------------------------------------------


def read(directory: str, name: str) -> dict[str, Any]:
    """Read a part of the world.

    Args:
        directory: Where the world is.
        name: The part.
    """
    with open(os.path.join(directory, name), "rb") as file:
        found: dict[str, Any] = marshal.load(file)  # noqa: S302 - a test has written it
        return found


def write(directory: str, name: str, value: dict[str, Any]) -> None:
    """Write a part of the world, so that who reads it has the one or the other.

    Args:
        directory: Where the world is.
        name: The part.
        value: What it is from now on.
    """
    path = os.path.join(directory, name)
    with open(f"{path}.new", "wb") as file:
        marshal.dump(value, file)
    os.replace(f"{path}.new", path)


class Opened:
    """A part of the world, as it is now; it is written again at the end, and nobody else has any of it meanwhile.

    Args:
        directory: Where the world is.
        name: The part.
    """

    def __init__(self, directory: str, name: str = "world") -> None:
        self._directory = directory
        self._name = name

    def __enter__(self) -> World:
        self._lock = os.open(os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._value = read(self._directory, self._name)
        if self._name == "world":
            _settle(self._value, time.time())
        return self._value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                write(self._directory, self._name, self._value)
        finally:
            os.close(self._lock)


def _settle(world: World, now: float) -> None:
    """Let everything happen that was to have happened by now."""
    guests: list[Guest] = world["guests"]
    for guest in guests:
        while guest["to_come"] and guest["to_come"][0][0] <= now:
            guest["state"] = guest["to_come"].pop(0)[1]
    world["guests"] = [guest for guest in guests if guest["state"] != ABSENT]


def sent(guest: Guest, path: Sequence[tuple[str, float]], *, pace: float, now: float) -> None:
    """Send a guest through states.

    Args:
        guest: The guest.
        path: The states, each with how long it lasts, in seconds; the last one stays.
        pace: What all durations are multiplied by.
        now: When this happens, in seconds since the epoch.
    """
    guest["state"], guest["to_come"] = path[0][0], []
    for (_, lasts_s), (state, _) in itertools.pairwise(path):
        now += lasts_s * pace
        guest["to_come"].append([now, state])


def find(table: Mapping[str, Any], world: World, word: str) -> Guest | None:
    """The guest that a word means; ``None`` where there is none.

    Args:
        table: The table, which says by which of its fields a guest is known.
        world: The world.
        word: The word.
    """
    guests: list[Guest] = world["guests"]
    return next((one for key in table["known_by"] for one in guests if str(one.get(key)) == word), None)


# --- rows -------------------------------------------------------------------------------------------------------------


def matched(pattern: Sequence[str], words: Sequence[str]) -> dict[str, Any] | None:
    """What a pattern finds in words; ``None`` where it does not match.

    ``{name}`` stands for one word, or for a part of it, as in ``--name={guest}``; ``{name...}`` at the end for all that
    follow, and ``a|b`` for either word.

    Args:
        pattern: The pattern's own words.
        words: The words of a call.

    >>> matched(["controlvm", "{guest}", "poweroff|reset"], ["controlvm", "web 1", "reset"])
    {'guest': 'web 1'}
    >>> matched(["exec", "{guest}", "{command...}"], ["exec", "7", "echo", "a b"])
    {'guest': '7', 'command': ['echo', 'a b']}
    >>> matched(["query", "/instances/{guest}/state"], ["query", "/instances/web/state"])
    {'guest': 'web'}
    >>> matched(["list", "vms"], ["list", "vms", "--long"]) is None
    True
    """
    found: dict[str, Any] = {}
    for place, part in enumerate(pattern):
        if part.startswith("{") and part.endswith("...}"):
            return {**found, part[1:-4]: list(words[place:])}
        if place >= len(words):
            return None
        before, name, after = _parted(part)
        if name:
            word = words[place]
            if len(word) < len(before) + len(after) or not (word.startswith(before) and word.endswith(after)):
                return None
            found[name] = word[len(before) : len(word) - len(after)]
        elif words[place] not in part.split("|"):
            return None
    return found if len(words) == len(pattern) else None


def _parted(part: str) -> tuple[str, str, str]:
    """What stands before and after ``{name}`` in a word of a pattern, and the name; other braces are braces."""
    before, opened, rest = part.partition("{")
    name, closed, after = rest.partition("}")
    return (before, name, after) if opened and closed and name.isidentifier() else (part, "", "")


def chosen(table: Mapping[str, Any], world: World, argv: Sequence[str]) -> tuple[int, dict[str, Any], Guest | None]:
    """The row that answers a call.

    Args:
        table: The table.
        world: The world.
        argv: The call, the tool's name first.

    Returns:
        The row's number, what its pattern found, and the guest that is meant.

    Raises:
        Unanswered: There is none.
    """
    also = ""
    for number, row in enumerate(table["rows"]):
        found = matched(row["argv"], argv)
        if found is None:
            continue
        guest = find(table, world, found["guest"]) if "guest" in found else None
        state = guest["state"] if guest else ABSENT
        if "guest" in found and state not in row["when"]:
            also = f" while the guest is {state}"
            continue
        if all((guest or {}).get(key) == value for key, value in row["where"].items()):
            return number, found, guest
    raise Unanswered(f"no row of {table['name']} answers `{' '.join(argv)}`{also}")


def _effect(table: Mapping[str, Any], world: World, row: Mapping[str, Any], guest: Guest) -> None:
    """Let a row do to a guest what it does."""
    path = [(state, float(lasts_s)) for state, lasts_s in row["next"]]
    kind = row["kind"]
    if kind == "start":
        guest["starts"] += 1
        if guest["dying"]:
            path[-1] = (table["states"][0], 0.0)
    if path and not (kind == "stop" and guest["deaf"]):
        sent(guest, path, pace=world["pace"], now=time.time())
    for key, value in row["set"].items():
        guest[key] = fill(value, guest, table["views"]) if isinstance(value, str) else value


def _as_told(guest: Guest, knobs: Mapping[str, Any]) -> Guest:
    """A guest as the tool tells of it."""
    return {**guest, "state": Unheard(guest["state"])} if "new-word" in knobs else guest


def _printed(
    table: Mapping[str, Any], world: World, row: Mapping[str, Any], fields: Mapping[str, Any], knobs: Mapping[str, Any]
) -> str:
    """What a row prints: its text, and a text for each guest where it lists them."""
    views = table["views"]
    text = fill(row["out"], fields, views)
    if row["each"]:
        listed = [_as_told(guest, knobs) for guest in world["guests"] if guest["state"] in row["each_when"]]
        text += row["between"].join(fill(row["each"], {**table["values"], **guest}, views) for guest in listed)
        text += fill(row["end"], fields, views)
    return text


# --- a call -----------------------------------------------------------------------------------------------------------


class Call:
    """One call of a tool.

    Args:
        directory: The world's.
        argv: The call, the tool's name first.
    """

    def __init__(self, directory: str, argv: Sequence[str]) -> None:
        self._directory = directory
        self._argv = argv
        self._table = read(directory, "table")
        self._row: int | None = None
        self._problem = ""

    def answer(self) -> int:
        """Answer it, and say with which exit code it ends."""
        knobs = self._knobs()
        if "slow" in knobs:
            time.sleep(knobs["slow"])
        self._perhaps_end(knobs, "before")
        for trouble in ("dead", "refused", "locked"):
            if trouble in knobs:
                told = self._table["trouble"][trouble]
                return self._end(told["code"], told["out"].encode(), told["err"].encode(), knobs)
        try:
            code, out, err, runs, takes_s = self._by_table(knobs)
        except Unanswered as error:
            self._problem = str(error)
            return self._end(UNANSWERED, b"", f"stand-in: {self._problem}\n".encode(), {})
        except (KeyError, ValueError, TypeError) as error:
            self._problem = self._failure(error)
            return self._end(UNANSWERED, b"", f"stand-in: {self._problem}\n".encode(), {})
        self._perhaps_end(knobs, "after")
        time.sleep(takes_s)
        if runs:
            sys.stdout.write(out)
            sys.stdout.flush()
            return self._end(_ran(runs, code), b"", err.encode(), {})
        return self._end(code, out.encode(errors="surrogateescape"), err.encode(errors="surrogateescape"), knobs)

    def _failure(self, error: Exception) -> str:
        """Which row of the table cannot be filled, and why."""
        rows = self._table["rows"]
        argv = " ".join(rows[self._row]["argv"]) if self._row is not None else " ".join(self._argv)
        number = "" if self._row is None else f", row {self._row + 1}"
        why = f"there is no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
        return f"{self._table['name']}{number} ({argv}): the row fails: {why}"

    def _by_table(self, knobs: Mapping[str, Any]) -> tuple[int, str, str, list[str], float]:
        table = self._table
        with Opened(self._directory) as world:
            self._row, found, guest = chosen(table, world, self._argv)
            row = table["rows"][self._row]
            if row["makes"]:
                guest = made(table, world, fill(row["makes"], found, table["views"]), {})
            # A guest tells of itself as it was when it was asked.
            about = {
                **table["values"],
                **found,
                "home": self._directory,
                "count": len(world["guests"]),
                **(_as_told(guest, knobs) if guest else {}),
            }
            out, err = _printed(table, world, row, about, knobs), fill(row["err"], about, table["views"])
            runs: list[str] = []
            for word in row["runs"]:
                runs += found[word[1:-4]] if word.endswith("...}") else [_joined(word, found)]
            if guest is not None:
                _effect(table, world, {**row, "set": _given(row["set"], found)}, guest)
            return row["code"], out, err, runs, row["takes"] * world["pace"]

    def _knobs(self) -> dict[str, Any]:
        """The troubles that concern this call; one that is for a number of calls is used up by it."""
        with Opened(self._directory, "knobs") as knobs:
            mine = {name: knob for name, knob in knobs.items() if set(knob["words"]) <= set(self._argv)}
            for name, knob in mine.items():
                if knob["times"] is not None:
                    knob["times"] -= 1
                    if knob["times"] <= 0:
                        del knobs[name]
        return {name: knob["value"] for name, knob in mine.items()}

    def _perhaps_end(self, knobs: Mapping[str, Any], when: str) -> None:
        """Hang, or die by a signal, where a knob says so."""
        if knobs.get("hang") == when:
            self._log(None)
            while True:
                time.sleep(3600)
        if knobs.get("die") == when:
            self._log(-_SIGKILL)
            os.kill(os.getpid(), _SIGKILL)

    def _end(self, code: int, out: bytes, err: bytes, knobs: Mapping[str, Any]) -> int:
        """Print what there is to print, as knobs want it, and log the call."""
        if "locale" in knobs and os.environ.get("LC_ALL") not in _PLAIN_LOCALES:
            for english, foreign in self._table["foreign"].items():
                out, err = (text.replace(english.encode(), foreign.encode()) for text in (out, err))
            err = _FOREIGN.encode() if err and not self._table["foreign"] else err
        if "noise" in knobs:
            err = _NOISE + err
        if "column" in knobs:
            out = b"".join(line + knobs["column"].encode() + b"\n" for line in out.splitlines())
        if "truncated" in knobs:
            out = out[: len(out) // 2]
        if "empty" in knobs:
            code, out, err = 0, b"", b""
        if "garbage" in knobs:
            code, out, err = 0, _GARBAGE, b""
        self._log(code)
        for stream, text in ((1, out), (2, err)):
            while text:
                text = text[os.write(stream, text) :]  # noqa: PLW2901 - what is left of it
        return code

    def _log(self, code: int | None) -> None:
        entry = {
            "at": time.time(),
            "pid": os.getpid(),
            "argv": list(self._argv),
            "row": self._row,
            "code": code,
            "problem": self._problem,
            "terminals": [stream for stream in range(3) if os.isatty(stream)],
            "locale": os.environ.get("LC_ALL", ""),
        }
        with open(os.path.join(self._directory, "calls"), "ab", buffering=0) as file:
            file.write(ascii(entry).encode() + b"\n")


def bare(name: str, number: int, state: str) -> Guest:
    """What is known of every guest, whatever a table says of guests besides.

    Args:
        name: The guest's name.
        number: How many were made before it, and it.
        state: The state that it is in.
    """
    return {
        "name": name,
        "number": number,
        "uuid": f"00000000-0000-4000-8000-{number:012x}",
        "state": state,
        "to_come": [],
        "starts": 0,
        "deaf": False,
        "dying": False,
    }


def made(table: Mapping[str, Any], world: World, name: str, given: Mapping[str, Any]) -> Guest:
    """Make a guest, as the table says what guests are like.

    Args:
        table: The table.
        world: The world.
        name: The guest's name.
        given: What is otherwise with this one.

    Returns:
        The guest, which is a part of the world.
    """
    world["made"] += 1
    number = world["made"]
    guest = bare(name, number, table["states"][0])
    for key, value in {**table["guest"], **given}.items():
        fields = {**table["values"], **guest, "home": world["home"]}
        guest[key] = fill(value, fields, table["views"]) if isinstance(value, str) and key not in given else value
    world["guests"].append(guest)
    return guest


def _given(values: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a row, of which those that are a word of the call are that word."""
    return {
        key: found[value[1:-1]] if isinstance(value, str) and value[1:-1] in found else value
        for key, value in values.items()
    }


def _joined(word: str, found: Mapping[str, Any]) -> str:
    """A word of a command; of words that the call has, joined by blanks, where it stands for them."""
    for name, value in found.items():
        word = word.replace(f"{{{name}}}", " ".join(value) if isinstance(value, list) else value)
    return word


def _ran(argv: Sequence[str], code_of_failure: int) -> int:
    """Run a command in the place of a guest: its exit code, or the one that the tool has for all failures."""
    try:
        process = os.posix_spawnp(argv[0], list(argv), os.environ)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        code = _NOT_FOUND
    else:
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        code = code if code >= 0 else _SIGNALLED - code
    return code_of_failure if code and code_of_failure else code


def main(directory: str, argv: Sequence[str]) -> NoReturn:
    """Answer one call, and end.

    Args:
        directory: The world's.
        argv: The call, as ``sys.argv`` has it.
    """
    sys.exit(Call(directory, [os.path.basename(argv[0]), *argv[1:]]).answer())
