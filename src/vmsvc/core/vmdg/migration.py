"""Live migration: for a while two nodes must be able to write, and for no longer. Pure.

Before the guest is moved, the destination registers beside the source (:func:`prepare`). When the guest runs at the
destination, it takes the reservation and evicts the source (:func:`switch`), in one request for each disk: at no moment
is a disk without a reservation. If the guest stays, the destination leaves (:func:`abandon`), or, if it cannot, the
source evicts it (:func:`reclaim`). Only in between may both write, and that is recorded: a :class:`Window`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from attrs import frozen

from vmsvc.core.vmdg.attempt import Attempt, acquire, join, release
from vmsvc.core.vmdg.seen import ScsiDisk


class Role(enum.Enum):
    """Which end of a migration a node is."""

    SOURCE = "source"
    DESTINATION = "destination"


class Due(enum.Enum):
    """What an end of a migration has to do about its disks.

    Attributes:
        NOTHING: Nothing.
        WAIT: The migration may be under way.
        SWITCH: The destination takes the disks, and evicts the source.
        ABANDON: The destination leaves.
        RECLAIM: The source evicts the destination.
        ALARM: Where the guest runs is not known, and the window is over: a person must look (I6).
    """

    NOTHING = "nothing"
    WAIT = "wait"
    SWITCH = "switch"
    ABANDON = "abandon"
    RECLAIM = "reclaim"
    ALARM = "alarm"


@frozen(kw_only=True)
class Window:
    """The time in which both ends of a migration may be registered; recorded before the destination registers.

    Attributes:
        source: The source's key.
        destination: The destination's key.
        opened_at: When it was opened, in seconds since the epoch.
        until: When it is over at the latest, alike.
    """

    source: int
    destination: int
    opened_at: float
    until: float

    def is_open(self, now: float) -> bool:
        """Whether both may be registered.

        Args:
            now: The time, in seconds since the epoch; before the opening the clock was set back, and it is not.
        """
        return self.opened_at <= now < self.until


def prepare(disks: Iterable[ScsiDisk], window: Window) -> Attempt:
    """At the destination, before the guest moves: register beside the source, which holds the disks alone.

    Args:
        disks: The disks; they have been written down as reserved with the destination's key, like those of a start.
        window: The window, which has been recorded.
    """
    return join(disks, window.destination, source=window.source)


def switch(disks: Iterable[ScsiDisk], window: Window) -> Attempt:
    """At the destination, when the guest runs there: take the disks, and evict the source.

    Args:
        disks: The disks.
        window: The window.
    """
    return acquire(disks, window.destination, authority=frozenset({window.source}), in_use=True)


def abandon(disks: Iterable[ScsiDisk], window: Window) -> Attempt:
    """At the destination, when the guest has not come: leave.

    Args:
        disks: The disks.
        window: The window.
    """
    return release(disks, window.destination)


def reclaim(disks: Iterable[ScsiDisk], window: Window) -> Attempt:
    """At the source, when the guest has stayed and the destination has not left: evict it.

    Args:
        disks: The disks.
        window: The window.
    """
    return acquire(disks, window.source, authority=frozenset({window.destination}), in_use=True)


def due(window: Window, role: Role, *, runs_here: bool | None, now: float) -> Due:
    """What an end has to do, from where the guest is: at the end of a migration, or when a crash left a window behind.

    Args:
        window: The window.
        role: Which end asks.
        runs_here: Whether the guest runs at this end; ``None`` if that is not known.
        now: The time, in seconds since the epoch.
    """
    if window.is_open(now) and not (role is Role.DESTINATION and runs_here):
        return Due.WAIT
    if runs_here is None:
        return Due.ALARM
    if role is Role.DESTINATION:
        return Due.SWITCH if runs_here else Due.ABANDON
    return Due.RECLAIM if runs_here else Due.NOTHING
