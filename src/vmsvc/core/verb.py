"""The verbs that a step may have. Pure."""

from __future__ import annotations

import enum


class Verb(str, enum.Enum):
    """What is done to a resource.

    ``STOP`` asks, ``KILL`` forces; both bring it down. Drivers are not asked for the others: ``WAIT`` looks until it is
    there, since something else brings it up; and ``RUN`` runs a command of the operator's around one of the others.

    Where a start is split, ``PREPARE`` and ``BOOT`` are its two halves, and other resources have their turn in between.
    ``MIGRATE`` moves what runs to another node, and leaves it down here.
    """

    START = "start"
    PREPARE = "prepare"
    BOOT = "boot"
    STOP = "stop"
    KILL = "kill"
    WAIT = "wait"
    RUN = "run"
    MIGRATE = "migrate"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value


#: A start, whole or half.
STARTING = frozenset({Verb.START, Verb.PREPARE, Verb.BOOT})
#: What leaves a resource up.
BRINGING_UP = frozenset({Verb.START, Verb.BOOT})
