"""A stand-in as a test has it: tools in a directory, guests, knobs, and every call that was made."""

from __future__ import annotations

import ast
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from vmsvc.core.transport import OUTPUT_LIMIT, NodeHost, Outcome
from vmsvc.testing.standin import engine
from vmsvc.testing.standin.table import Table

#: Every knob, and what it does to a call.
KNOBS = {
    "hang": "The tool never ends: `before` it has done anything, or `after`.",
    "die": "The tool is killed by a signal: `before` it has done anything, or `after`.",
    "slow": "The tool takes so many seconds longer.",
    "dead": "The tool fails as where its daemon is not there.",
    "refused": "The tool fails as where it may not do what it is asked to.",
    "locked": "The tool fails as where somebody else holds its lock.",
    "garbage": "The tool succeeds, and prints bytes without a meaning.",
    "truncated": "Half of the output arrives.",
    "empty": "The tool succeeds, and prints nothing.",
    "column": "Each line of the output has this text at its end.",
    "new-word": "Guests that are listed are in a state that no version of the tool has a word for.",
    "noise": "Warnings are printed to standard error before all else.",
    "locale": "Messages come in another language, unless the caller sets LC_ALL=C.",
}
#: Knobs without a value that the test gives.
_SWITCH = {"hang": "before", "die": "before", "column": "  extra"}

_STUB = """#!{python} -IS
import sys
sys.path.insert(0, {place!r})
import engine
engine.main({directory!r}, sys.argv)
"""


@frozen(kw_only=True)
class Call:
    """A call that was made.

    Attributes:
        argv: The call, the tool's name first.
        code: The exit code; negative where a signal ended it, ``None`` where it did not end by itself.
        problem: Why no row answers it; empty where one does.
        at: When it was answered, in seconds since the epoch.
        locale: What it was given as ``LC_ALL``.
        has_terminal: Whether an input or output was a terminal.
    """

    argv: tuple[str, ...]
    code: int | None
    problem: str
    at: float
    locale: str
    has_terminal: bool


class StandIn:
    """The tools of a technology, in a directory of their own, and the guests that they know.

    Args:
        table: What they answer.
        directory: An empty directory, or one that does not exist yet.

    Attributes:
        table: What they answer.
        directory: The world's.
        tools: The directory of the tools, for the beginning of a search path.
    """

    def __init__(self, table: Table, directory: Path) -> None:
        self.table = table
        self.directory = directory.absolute()
        self.tools = self.directory / "tools"
        self.tools.mkdir(parents=True)
        self._write("table", dict(table.data))
        self._write("world", {"guests": [], "made": 0, "pace": 1.0, "home": str(self.directory)})
        self._write("knobs", {})
        for command in table.commands:
            self.show(command)

    # --- guests -------------------------------------------------------------------------------------------------------

    def add(self, name: str, state: str = "", **attributes: Any) -> dict[str, Any]:
        """Make a guest.

        Args:
            name: Its name.
            state: Its state; the table's first one when not given.
            attributes: What is otherwise with this one than the table says of guests.

        Returns:
            All that is known of it.
        """
        with engine.Opened(str(self.directory)) as world:
            guest = engine.made(self.table.data, world, name, attributes)
            guest["state"] = state or guest["state"]
            return dict(guest)

    def guest(self, name: str) -> dict[str, Any] | None:
        """All that is known of a guest; ``None`` where there is none.

        Args:
            name: Its name, or by what else it is known.
        """
        with engine.Opened(str(self.directory)) as world:
            found = engine.find(self.table.data, world, name)
            return None if found is None else dict(found)

    def state(self, name: str) -> str:
        """The state of a guest: ``absent`` where there is none.

        Args:
            name: Its name, or by what else it is known.
        """
        found = self.guest(name)
        return engine.ABSENT if found is None else str(found["state"])

    def change(self, name: str, state: str = "", **attributes: Any) -> None:
        """Change a guest, as somebody else would: at once, and without a tool.

        Args:
            name: Its name, or by what else it is known.
            state: The state that it is in from now on, and in which it stays.
            attributes: What else is otherwise.
        """
        with engine.Opened(str(self.directory)) as world:
            guest = engine.find(self.table.data, world, name)
            assert guest is not None, f"there is no guest {name!r}"
            guest.update(attributes)
            if state:
                engine.sent(guest, [(state, 0.0)], pace=0.0, now=time.time())

    def pace(self, factor: float) -> None:
        """Let transitions take longer, or less long.

        Args:
            factor: What the table's durations are multiplied by.
        """
        with engine.Opened(str(self.directory)) as world:
            world["pace"] = factor

    # --- knobs --------------------------------------------------------------------------------------------------------

    def knob(self, name: str, value: Any = None, *, words: Sequence[str] = (), times: int | None = None) -> None:
        """Turn a trouble on.

        Args:
            name: One of :data:`KNOBS`.
            value: How much of it, where that can be said.
            words: Only of calls that have all of these words.
            times: Only of so many calls.
        """
        assert name in KNOBS, f"there is no knob {name!r}; there are {', '.join(KNOBS)}"
        value = _SWITCH.get(name, True) if value is None else value
        with engine.Opened(str(self.directory), "knobs") as knobs:
            knobs[name] = {"value": value, "words": list(words), "times": times}

    def well(self) -> None:
        """Turn every trouble off."""
        with engine.Opened(str(self.directory), "knobs") as knobs:
            knobs.clear()

    @contextlib.contextmanager
    def having(
        self, name: str, value: Any = None, *, words: Sequence[str] = (), times: int | None = None
    ) -> Iterator[None]:
        """A trouble that lasts for a ``with`` block.

        Args:
            name: One of :data:`KNOBS`.
            value: How much of it, where that can be said.
            words: Only of calls that have all of these words.
            times: Only of so many calls.
        """
        self.knob(name, value, words=words, times=times)
        try:
            yield
        finally:
            self.well()

    def hide(self, command: str) -> None:
        """Take a tool away, as where it is not installed.

        Args:
            command: Its name.
        """
        (self.tools / command).unlink(missing_ok=True)

    def show(self, command: str) -> None:
        """Bring a tool back.

        Args:
            command: Its name.
        """
        python = os.path.realpath(sys.executable)
        stub = self.tools / command
        place = str(Path(engine.__file__).parent)
        stub.write_text(_STUB.format(python=python, place=place, directory=str(self.directory)), encoding="utf-8")
        stub.chmod(0o755)

    # --- calls --------------------------------------------------------------------------------------------------------

    def calls(self, *words: str) -> list[Call]:
        """The calls that were made, oldest first.

        Args:
            words: Only those that have all of these words.
        """
        log = self.directory / "calls"
        entries = (
            [ast.literal_eval(line) for line in log.read_text(encoding="ascii").splitlines()] if log.exists() else []
        )
        return [
            Call(
                argv=tuple(entry["argv"]),
                code=entry["code"],
                problem=entry["problem"],
                at=entry["at"],
                locale=entry["locale"],
                has_terminal=bool(entry["terminals"]),
            )
            for entry in entries
            if set(words) <= set(entry["argv"])
        ]

    def forget(self) -> None:
        """Forget the calls that were made so far."""
        (self.directory / "calls").unlink(missing_ok=True)

    def check(self) -> None:
        """See to it that every call was one that the table knows.

        Raises:
            AssertionError: One was not.
        """
        problems = list(dict.fromkeys(call.problem for call in self.calls() if call.problem))
        assert not problems, "; ".join(problems)

    # --- search paths -------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """A search path (``PATH``) that finds these tools first, and never a real one in the place of a hidden one."""
        places = os.environ.get("PATH", os.defpath).split(os.pathsep)
        if any(not (self.tools / command).exists() for command in self.table.commands):
            places = [self._without_real_ones(place) for place in places]
        return os.pathsep.join([str(self.tools), *places])

    def on(self, host: NodeHost) -> NodeHost:
        """A host on which the tools are these.

        Args:
            host: Where commands run.
        """
        return _HostWithTools(host, self)

    def _without_real_ones(self, place: str) -> str:
        """A directory of programs; one that has all of them but these tools, where it has one of these."""
        if not any(Path(place, command).exists() for command in self.table.commands):
            return place
        others = self.directory / "others" / place.strip("/").replace("/", "-")
        if not others.exists():
            others.mkdir(parents=True)
            for program in Path(place).absolute().iterdir():
                if program.name not in self.table.commands:
                    (others / program.name).symlink_to(program)
        return str(others)

    def _write(self, name: str, value: dict[str, Any]) -> None:
        engine.write(str(self.directory), name, value)


class _HostWithTools:
    """A host whose search path begins with the tools of a stand-in."""

    def __init__(self, host: NodeHost, standin: StandIn) -> None:
        self._host = host
        self._standin = standin
        self.name = host.name

    def run(
        self,
        argv: Sequence[str],
        *,
        budget_s: float,
        environment: dict[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Outcome:
        """Run a command, one of the tools or another."""
        with_tools = {"PATH": self._standin.path, **(environment or {})}
        return self._host.run(argv, budget_s=budget_s, environment=with_tools, keep=keep)

    def close(self) -> None:
        """Close the host where commands really run."""
        close = getattr(self._host, "close", lambda: None)
        close()
