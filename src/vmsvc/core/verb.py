"""The verbs that a step may have. Pure."""

from __future__ import annotations

import enum


class Verb(str, enum.Enum):
    """What is done to a resource.

    ``STOP`` asks, ``KILL`` forces; both bring it down. ``RUN`` runs a command of the operator's around one of the
    others, and is nothing that drivers are asked for.
    """

    START = "start"
    STOP = "stop"
    KILL = "kill"
    RUN = "run"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value
