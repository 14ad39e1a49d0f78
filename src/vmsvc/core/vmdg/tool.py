"""The contract of a tool: what asks devices for their reservations. Real tools run commands; tests keep a target."""

from __future__ import annotations

import math
import time
from typing import Protocol

from attrs import frozen

from vmsvc.core.vmdg.seen import Capabilities, Operation, Performed, Reading, ScsiDisk


@frozen(kw_only=True)
class Deadline:
    """Until when a request may run commands. One request may take several, each with a time limit of its own.

    Attributes:
        begins: None of them begins later; on the monotonic clock.
        ends: Those that still run then are ended; alike.
    """

    begins: float = math.inf
    ends: float = math.inf

    def budget_s(self, most_s: float) -> float:
        """How long a command may take that would begin now, in seconds; 0 where none may.

        Args:
            most_s: How long it may take in any case.
        """
        now = time.monotonic()
        return max(0.0, min(most_s, self.ends - now)) if now < self.begins else 0.0


#: Of a request that belongs to no attempt: each command has its own time limit, and that is all.
NO_DEADLINE = Deadline()
#: Why a command was not run, in words.
TOO_LATE = "not asked any more, since the time for it was over"


class Tool(Protocol):
    """Reads paths and performs operations, each within its deadline, from any thread.

    No method raises for what a device says or does not say: that is an answer. "No answer" is what there is to tell of
    a request whose deadline has passed.
    """

    def read(self, disk: ScsiDisk, path: str, *, deadline: Deadline = NO_DEADLINE) -> Reading:
        """Read registrations and reservation through one path; changes nothing, but for unit attentions.

        A unit attention is an answer here too: it is given once, and reading again is the caller's business.

        Args:
            disk: The disk.
            path: One of its paths.
            deadline: Until when commands may run for it.

        Returns:
            What the path showed, at one moment: registrations and reservation belong to the same generation.
        """

    def perform(self, disk: ScsiDisk, operation: Operation, *, deadline: Deadline = NO_DEADLINE) -> Performed:
        """Do something, once; a unit attention is an answer, and the caller decides about another attempt.

        Args:
            disk: The disk.
            operation: What to do, and through which of its paths.
            deadline: Until when commands may run for it.
        """

    def capabilities(self, disk: ScsiDisk, path: str) -> Capabilities:
        """Ask through one path what the disk can do with reservations; changes nothing.

        Args:
            disk: The disk.
            path: One of its paths.
        """
