"""What is recorded of a driver's work on a host, and the directory that holds it.

::

    README                 what this is, for whoever opens it
    recording.json         the driver, the guests, each command with its exit code, and what the driver made of it all
    001.out  001.err       what the first command printed, masked, byte for byte
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve, field, frozen

from vmsvc.core.errors import ActionFailed, DriverError, Undetermined, UsageError, VmsvcError
from vmsvc.core.transport import OUTPUT_LIMIT, NodeHost, Outcome

#: The version of the form.
FORMAT = 1
_INDEX, _README = "recording.json", "README"
_ERRORS = {each.__name__: each for each in (ActionFailed, DriverError, UsageError, Undetermined)}

_EXPLANATION = """\
Samples of a driver's read-only commands, written by `vmsvc sdk record`.

recording.json names the driver, its guests, each command with its exit code, and what the driver made of the answers.
NNN.out and NNN.err are what command NNN printed. Names, addresses, identities and what looks like a secret are masked;
equal ones are equal. What is free text (titles, comments, paths) is as it was: read it before you send it to anybody.
"""


@frozen(kw_only=True)
class Command:
    """A command that a driver has run.

    Attributes:
        argv: Its words.
        outcome: What it left behind; ``None`` where the host raised an error.
        error: The error's class and text.
    """

    argv: tuple[str, ...]
    outcome: Outcome | None = None
    error: tuple[str, str] | None = None


@frozen(kw_only=True)
class Recording:
    """What was recorded.

    Attributes:
        type: The driver's type.
        versions: Of vmsvc and of the driver's package.
        guests: The guests: each its identity and its keys, as plain data.
        commands: The commands, in their order.
        answers: What the driver told: for each call a name, and plain data.
    """

    type: str
    versions: Mapping[str, str]
    guests: Sequence[Mapping[str, Any]]
    commands: Sequence[Command] = ()
    answers: Mapping[str, Any] = field(factory=dict)

    def masked(self, mask: Callable[[str], str]) -> Recording:
        """The same, masked; of the guests the values.

        Args:
            mask: Masks a text.
        """
        return evolve(
            self,
            guests=[_each(guest, mask) for guest in self.guests],
            commands=[_masked(command, mask) for command in self.commands],
            answers=_each(self.answers, mask, keys=True),
        )

    def write(self, directory: Path) -> tuple[Path, ...]:
        """Write it to a directory of its own.

        Args:
            directory: The directory, which must not be there yet.

        Returns:
            The files.
        """
        directory.mkdir(parents=True)
        files = {directory / _README: _EXPLANATION.encode()}
        rows: list[dict[str, Any]] = []
        for number, command in enumerate(self.commands, 1):
            row: dict[str, Any] = {"argv": list(command.argv)}
            if command.outcome is None:
                row["error"] = list(command.error or ())
            else:
                done = command.outcome
                row |= {"code": done.code, "truncated": done.truncated, "duration_s": round(done.duration_s, 3)}
                for stream, content in (("out", done.stdout), ("err", done.stderr)):
                    row[stream] = f"{number:03}.{stream}"
                    files[directory / row[stream]] = content
            rows.append(row)
        told = {**attrs.asdict(self, recurse=False), "format": FORMAT, "commands": rows}
        files[directory / _INDEX] = json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"
        for file, content in files.items():
            file.write_bytes(content)
        return tuple(files)


def read(directory: Path) -> Recording:
    """Read what :meth:`Recording.write` has written.

    Args:
        directory: The directory.

    Raises:
        UsageError: It holds no recording, or one in a form that is not known.
    """
    try:
        told = json.loads((directory / _INDEX).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise UsageError(f"{directory}: this vmsvc reads recordings of format {FORMAT}, not {told['format']}")
        return Recording(
            type=told["type"],
            versions=told["versions"],
            guests=told["guests"],
            commands=[_command(directory, row) for row in told["commands"]],
            answers=told["answers"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{directory} holds no recording: {error!r}", hint="`vmsvc sdk record` makes one") from None


def _command(directory: Path, row: Mapping[str, Any]) -> Command:
    argv = tuple(row["argv"])
    if "error" in row:
        return Command(argv=argv, error=(row["error"][0], row["error"][1]))
    out, err = ((directory / row[stream]).read_bytes() for stream in ("out", "err"))
    outcome = Outcome(
        argv=argv, code=row["code"], stdout=out, stderr=err, duration_s=row["duration_s"], truncated=row["truncated"]
    )
    return Command(argv=argv, outcome=outcome)


class RecordingHost:
    """A host that keeps what commands do.

    Args:
        host: Where they really run.

    Attributes:
        name: The host's name.
        commands: What was run so far.
    """

    def __init__(self, host: NodeHost) -> None:
        self._host = host
        self.name = host.name
        self.commands: list[Command] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        budget_s: float,
        environment: dict[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Outcome:
        """Run a command, and keep what it did.

        Args:
            argv: The program and its arguments.
            budget_s: How long it may take, in seconds.
            environment: Variables to set in addition.
            keep: How much of each output stream is kept, in bytes.
        """
        try:
            outcome = self._host.run(argv, budget_s=budget_s, environment=environment, keep=keep)
        except VmsvcError as error:
            self.commands.append(Command(argv=tuple(argv), error=(type(error).__name__, str(error))))
            raise
        self.commands.append(Command(argv=tuple(argv), outcome=outcome))
        return outcome


class ReplayingHost:
    """A host on which commands do what they did when they were recorded, and others are a mistake.

    A command that was recorded several times answers in that order, and goes on with its last answer.

    Args:
        commands: What was recorded.
    """

    name = "recording"

    def __init__(self, commands: Sequence[Command]) -> None:
        self._answers: dict[tuple[str, ...], deque[Command]] = defaultdict(deque)
        for command in commands:
            self._answers[command.argv].append(command)

    def run(
        self,
        argv: Sequence[str],
        *,
        budget_s: float,
        environment: dict[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Outcome:
        """Answer as recorded.

        Args:
            argv: The program and its arguments.
            budget_s: How long it may take; nothing takes any time.
            environment: Variables to set in addition; they were the driver's then, too.
            keep: How much of each output stream is kept; it was the driver's then, too.

        Raises:
            AssertionError: Nobody has recorded such a command.
        """
        del budget_s, environment, keep
        answers = self._answers.get(tuple(argv))
        if answers is None:
            known = "; ".join(" ".join(words) for words in self._answers) or "none"
            raise AssertionError(f"{' '.join(argv)}: this command was not recorded; there are: {known}")
        command = answers.popleft() if len(answers) > 1 else answers[0]
        if command.outcome is None:
            name, text = command.error or ("", "")
            raise _ERRORS.get(name, Undetermined)(text)
        return command.outcome


def _masked(command: Command, mask: Callable[[str], str]) -> Command:
    argv = tuple(map(mask, command.argv))
    if command.outcome is None:
        name, text = command.error or ("", "")
        return Command(argv=argv, error=(name, mask(text)))
    done = command.outcome
    out, err = (_bytes(content, mask) for content in (done.stdout, done.stderr))
    return Command(argv=argv, outcome=evolve(done, argv=argv, stdout=out, stderr=err))


def _bytes(content: bytes, mask: Callable[[str], str]) -> bytes:
    """Bytes that need be no text stay what they are."""
    return mask(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _each(value: Any, mask: Callable[[str], str], *, keys: bool = False) -> Any:
    """Every text in plain data, masked."""
    if isinstance(value, Mapping):
        return {mask(key) if keys else key: _each(each, mask, keys=keys) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(each, mask, keys=keys) for each in value]
    return mask(value) if isinstance(value, str) else value
