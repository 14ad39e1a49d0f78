"""Hosts: where commands run. The protocol and its records; each way to a host is a module of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen


@frozen(kw_only=True)
class Outcome:
    """What a command left behind.

    Attributes:
        argv: The command that ran, with its arguments.
        code: Its exit code; the negative signal number where a signal ended it.
        out: Its standard output, decoded as UTF-8 with undecodable bytes escaped.
        err: Its standard error, decoded alike.
        duration_s: How long it took, in seconds.
        truncated: Whether more than the limit was printed and the rest dropped.
    """

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    duration_s: float
    truncated: bool = False


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
            Undetermined: The budget was spent, or the way to the host broke; what the command did is not known.
            ActionFailed: The command could not be started at all: no such program, or no permission.
        """
