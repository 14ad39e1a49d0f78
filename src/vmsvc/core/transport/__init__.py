"""Hosts: where commands run. The protocol and its records; each way to a host is a module of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

#: How much of each output stream of a command is kept, in bytes, where nobody says otherwise; the rest is read and
#: dropped.
OUTPUT_LIMIT = 1 << 20

#: The same of a command whose answer is read, and is worth nothing unless it is whole: ten thousand guests in the words
#: of the tool that has most of them, some 3 KiB for each.
ANSWER_LIMIT = 32 << 20

#: How long after a command's end its output is still read, where a daemon that it left holds it open, in seconds.
OUTPUT_GRACE_S = 0.2


@frozen(kw_only=True)
class Outcome:
    """What a command left behind.

    Attributes:
        argv: The command that ran, with its arguments.
        code: Its exit code; the negative signal number where a signal ended it.
        stdout: Its standard output, as it was printed, up to the limit.
        stderr: Its standard error, alike.
        duration_s: How long it took, in seconds.
        truncated: Whether more than the limit was printed to one of them, and the rest dropped.
    """

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    duration_s: float
    truncated: bool = False

    @property
    def out(self) -> str:
        """Its standard output, decoded as UTF-8 with undecodable bytes escaped."""
        return self.stdout.decode(errors="backslashreplace")

    @property
    def err(self) -> str:
        """Its standard error, decoded alike."""
        return self.stderr.decode(errors="backslashreplace")


class Kept:
    """What is kept of an output stream while it is read: its beginning, up to the limit.

    Attributes:
        truncated: Whether something was dropped.

    >>> kept = Kept(limit=4)
    >>> kept.add(b"abc")
    >>> kept.add(b"def")
    >>> bytes(kept), kept.truncated
    (b'abcd', True)
    """

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self.truncated = False

    def add(self, chunk: bytes) -> None:
        """Keep what there is room for, and drop the rest.

        Args:
            chunk: What was read.
        """
        room = self._limit - len(self._bytes)
        self._bytes += chunk[:room]
        self.truncated |= len(chunk) > room

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)


class Host(Protocol):
    """A place where commands run: this node, a peer, or the inside of a guest."""

    @property
    def name(self) -> str:
        """The host's name, for messages."""

    def run(self, argv: Sequence[str], *, budget_s: float, environment: dict[str, str] | None = None) -> Outcome:
        """Run one command to its end, or to the end of its budget.

        Args:
            argv: The program and its arguments; no shell is involved.
            budget_s: How long it may take, in seconds; then all processes of its session are killed.
            environment: Variables to set in addition to the host's own.

        Returns:
            What the command left behind, whatever its exit code.

        Raises:
            UsageError: The arguments or the environment cannot be given to any command.
            TimedOut: The budget was spent; what the command did is not known, and what it printed until then is.
            Undetermined: The way to the host broke; what the command did is not known.
            ActionFailed: The command could not be started at all: no such program, or no permission.
        """


class NodeHost(Host, Protocol):
    """This node as drivers know it: it keeps as much of what their commands print as they ask for."""

    def run(
        self,
        argv: Sequence[str],
        *,
        budget_s: float,
        environment: dict[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Outcome:
        """Run one command, as any host does.

        Args:
            argv: The program and its arguments; no shell is involved.
            budget_s: How long it may take, in seconds; then all processes of its session are killed.
            environment: Variables to set in addition to the node's own.
            keep: How much of each output stream is kept, in bytes.
        """
