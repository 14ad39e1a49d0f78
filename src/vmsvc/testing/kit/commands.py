"""A backend for drivers that run commands: most troubles come for free, by what the host does to each command.

The host sits between the driver and the technology's tool, a stand-in for it or the real one. It hangs, fails, or
changes what was printed; it knows nothing of the technology but what its attributes say.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from attrs import evolve

from vmsvc.core.errors import ActionFailed, TimedOut
from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase
from vmsvc.core.transport import OUTPUT_LIMIT, NodeHost, Outcome
from vmsvc.testing.kit.backend import Backend, Lasting


class Command(Protocol):
    """Runs the command that a driver has asked for, as it is."""

    def __call__(self, *, budget_s: float) -> Outcome:
        """Run it.

        Args:
            budget_s: How long it may take, in seconds.
        """


#: A trouble: given a command, its words, its budget and its variables, it makes an outcome, or fails as a host does.
Trouble = Callable[[Command, tuple[str, ...], float, dict[str, str]], Outcome]

_GARBAGE = b"\x00\xff\xfe{]\x1b[2J\r\n%s\x80 0x7f \xe2\x28\xa1 }}\n\n|||\t\t;;\n"
# Of one answer that is cut: so much of it arrives.
_MOST_OF_IT = 0.8
_NOISE = b"WARNING: the cache could not be locked; going on without it\n"
_COLUMN = b"  extra"
_BROKEN = b"error: the connection was lost\n"
_FOREIGN = "Fehler: Der Vorgang konnte nicht durchgeführt werden — 操作できませんでした\n"


class TroubledHost:
    """A host that can be told to make trouble.

    Args:
        host: Where commands really run.

    Attributes:
        name: The host's name.
        trouble: What is done to each command; ``None`` for nothing.
        ran: Every command that was asked for, oldest first.
    """

    def __init__(self, host: NodeHost) -> None:
        self._host = host
        self.name = host.name
        self.trouble: Trouble | None = None
        self.ran: list[tuple[str, ...]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        budget_s: float,
        environment: dict[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Outcome:
        """Run a command, or what the trouble makes of it.

        Args:
            argv: The program and its arguments.
            budget_s: How long it may take, in seconds.
            environment: Variables to set in addition.
            keep: How much of each output stream is kept, in bytes.

        Returns:
            What it left behind.
        """
        self.ran.append(tuple(argv))

        def command(*, budget_s: float) -> Outcome:
            return self._host.run(argv, budget_s=budget_s, environment=environment, keep=keep)

        if self.trouble is None:
            return command(budget_s=budget_s)
        return self.trouble(command, tuple(argv), budget_s, environment or {})

    def close(self) -> None:
        """Close the host where commands really run."""
        close = getattr(self._host, "close", lambda: None)
        close()


class CommandBackend(Backend):
    """A technology that is reached by commands.

    A subclass gives it guests, as any backend, and may say in the technology's own words how a tool fails: exit codes
    and messages as the tool has them make the better test.

    Attributes:
        dead: Exit code and message of a tool whose daemon is not there.
        refused: Exit code and message of a tool that may not do what it is asked to.
    """

    dead: ClassVar[tuple[int, str]] = (1, "error: failed to connect to the daemon: Connection refused\n")
    refused: ClassVar[tuple[int, str]] = (1, "error: Permission denied\n")

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.commands = TroubledHost(self.real_host())
        self.host = self.commands

    def real_host(self) -> NodeHost:
        """Where commands run when there is no trouble: on this machine, unless a subclass has its own."""
        return self.host

    def close(self) -> None:
        """End the helper process that has run the commands."""
        self.commands.close()

    def queries(self) -> int:
        """How many commands the driver has run."""
        return len(self.commands.ran)

    def when_hung(self) -> Lasting:
        """No command ends."""
        return self._lasting(_hang)

    def when_slow(self, delay_s: float) -> Lasting:
        """Each command takes its time.

        Args:
            delay_s: How long, in seconds.
        """

        def slow(command: Command, argv: tuple[str, ...], budget_s: float, environment: dict[str, str]) -> Outcome:
            if delay_s >= budget_s:
                return _hang(command, argv, budget_s, environment)
            time.sleep(delay_s)
            return command(budget_s=budget_s - delay_s)

        return self._lasting(slow)

    def when_dead(self) -> Lasting:
        """Each command fails as where its daemon is not there."""
        return self._lasting(_failing(*self.dead))

    def when_restarted(self) -> Lasting:
        """The next command fails as where a connection breaks; those after it succeed."""
        broken = [True]

        def once(command: Command, argv: tuple[str, ...], budget_s: float, environment: dict[str, str]) -> Outcome:
            if broken and broken.pop():
                return _failing(*self.dead)(command, argv, budget_s, environment)
            return command(budget_s=budget_s)

        return self._lasting(once)

    def when_missing(self) -> Lasting:
        """No command is installed."""
        return self._lasting(_missing)

    def when_refused(self) -> Lasting:
        """Each command fails as where permission is missing."""
        return self._lasting(_failing(*self.refused))

    def when_foreign(self) -> Lasting:
        """Tables and messages come in another language, except where the driver asks for ``LC_ALL=C``."""

        def foreign(command: Command, _argv: tuple[str, ...], budget_s: float, environment: dict[str, str]) -> Outcome:
            done = command(budget_s=budget_s)
            if environment.get("LC_ALL", "") in ("C", "C.UTF-8", "POSIX"):
                return done
            told = _FOREIGN.encode()
            return evolve(done, stdout=done.stdout and told, stderr=done.stderr and told)

        return self._lasting(foreign)

    def when_truncated(self) -> Lasting:
        """Half of an answer arrives, and the host says so."""
        return self._changed(_truncated)

    def when_cut(self, share: float) -> Lasting:
        """Answers end in the middle of a line, as where the tool died while it printed; its exit code tells nothing.

        Args:
            share: How much of an answer arrives, of 1.
        """
        return self._changed(lambda done: evolve(done, stdout=_cut(done.stdout, share)))

    def when_empty(self) -> Lasting:
        """Commands succeed, and print nothing."""
        return self._changed(_empty)

    def when_garbage(self) -> Lasting:
        """Commands succeed, and print what nobody can read."""
        return self._changed(_garbage)

    @contextlib.contextmanager
    def when_alone(self, trouble: str, number: int) -> Iterator[list[tuple[str, ...]]]:
        """The answer of one command alone is spoilt: what a driver makes of its second one is seen by no other trouble.

        Args:
            trouble: How: ``truncated``, ``cut``, ``empty`` or ``garbage``.
            number: Which of the commands from now on, counted from 0.

        Yields:
            The commands up to now, that one among them once it has run.
        """
        ran: list[tuple[str, ...]] = []

        def alone(command: Command, argv: tuple[str, ...], budget_s: float, _env: dict[str, str]) -> Outcome:
            ran.append(argv)
            done = command(budget_s=budget_s)
            return _SPOILT[trouble](done) if len(ran) == number + 1 else done

        with self._lasting(alone):
            yield ran

    def when_broken(self, guest: Guest) -> Lasting:
        """The command with which a guest leaves the node fails when it has left.

        Args:
            guest: The guest.
        """

        def broken(command: Command, _argv: tuple[str, ...], budget_s: float, _env: dict[str, str]) -> Outcome:
            was_here = self.truth(guest) is Phase.RUNNING
            done = command(budget_s=budget_s)
            if was_here and self.truth(guest) is not Phase.RUNNING:
                return evolve(done, code=1, stdout=b"", stderr=_BROKEN)
            return done

        return self._lasting(broken)

    def when_noisy(self) -> Lasting:
        """Commands print warnings to standard error beside what they have to say."""
        return self._changed(lambda done: evolve(done, stderr=_NOISE + done.stderr))

    def when_wider(self) -> Lasting:
        """Each line has one more column."""
        return self._changed(
            lambda done: evolve(done, stdout=b"".join(line + _COLUMN + b"\n" for line in done.stdout.splitlines()))
        )

    @contextlib.contextmanager
    def _lasting(self, trouble: Trouble) -> Iterator[None]:
        self.commands.trouble = trouble
        try:
            yield
        finally:
            self.commands.trouble = None

    def _changed(self, change: Callable[[Outcome], Outcome]) -> Lasting:
        def changed(command: Command, _argv: tuple[str, ...], budget_s: float, _env: dict[str, str]) -> Outcome:
            return change(command(budget_s=budget_s))

        return self._lasting(changed)


def _truncated(done: Outcome) -> Outcome:
    return evolve(done, stdout=done.stdout[: len(done.stdout) // 2], truncated=True)


def _empty(done: Outcome) -> Outcome:
    return evolve(done, code=0, stdout=b"", stderr=b"")


def _garbage(done: Outcome) -> Outcome:
    return evolve(done, code=0, stdout=_GARBAGE, stderr=b"")


def _cut(text: bytes, share: float) -> bytes:
    """So much of a text, and less where that would end with a whole line."""
    return text[: int(len(text) * share)].rstrip(b"\n")


_SPOILT: dict[str, Callable[[Outcome], Outcome]] = {
    "truncated": _truncated,
    "cut": lambda done: evolve(done, stdout=_cut(done.stdout, _MOST_OF_IT)),
    "empty": _empty,
    "garbage": _garbage,
}


def _hang(_command: Command, argv: tuple[str, ...], budget_s: float, _environment: dict[str, str]) -> Outcome:
    time.sleep(max(budget_s, 0.0))
    raise TimedOut(f"{argv[0]}: did not end within {budget_s:.1f} s, and was killed")


def _failing(code: int, message: str) -> Trouble:
    def fail(_command: Command, argv: tuple[str, ...], _budget_s: float, _environment: dict[str, str]) -> Outcome:
        return Outcome(argv=argv, code=code, stdout=b"", stderr=message.encode(), duration_s=0.0)

    return fail


def _missing(_command: Command, argv: tuple[str, ...], _budget_s: float, _environment: dict[str, str]) -> Outcome:
    raise ActionFailed(f"{argv[0]}: cannot be started: no such command", code="action.no-such-command")
