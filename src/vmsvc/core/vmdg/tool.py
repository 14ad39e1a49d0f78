"""The contract of a tool: what asks devices for their reservations. Real tools run commands; tests keep a target."""

from __future__ import annotations

from typing import Protocol

from vmsvc.core.vmdg.seen import Capabilities, Operation, Performed, Reading, ScsiDisk


class Tool(Protocol):
    """Reads paths and performs operations, each within a deadline of its own, from any thread.

    No method raises for what a device says or does not say: that is an answer.
    """

    def read(self, disk: ScsiDisk, path: str) -> Reading:
        """Read registrations and reservation through one path; changes nothing, but for unit attentions.

        A unit attention is an answer here too: it is given once, and reading again is the caller's business.

        Args:
            disk: The disk.
            path: One of its paths.

        Returns:
            What the path showed, at one moment: registrations and reservation belong to the same generation.
        """

    def perform(self, disk: ScsiDisk, operation: Operation) -> Performed:
        """Do something, once; a unit attention is an answer, and the caller decides about another attempt.

        Args:
            disk: The disk.
            operation: What to do, and through which of its paths.
        """

    def capabilities(self, disk: ScsiDisk, path: str) -> Capabilities:
        """Ask through one path what the disk can do with reservations; changes nothing.

        Args:
            disk: The disk.
            path: One of its paths.
        """
