"""The verbs that a step may have. Pure."""

from __future__ import annotations

import enum


class Verb(str, enum.Enum):
    """What is done to a resource.

    ``STOP`` asks, ``KILL`` forces; both bring it down. Drivers are not asked for the others: ``WAIT`` looks until it is
    there, since something else brings it up; and ``RUN`` runs a command of the operator's around one of the others.
    """

    START = "start"
    STOP = "stop"
    KILL = "kill"
    WAIT = "wait"
    RUN = "run"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value
