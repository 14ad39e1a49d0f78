"""The lanes to libvirts: one for each purpose, so that a call that hangs holds up no other."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from vmsvc.driver import Lane
from vmsvc_kvm.client import Connection, ConnectionLost

T = TypeVar("T")


class Lanes:
    """Lanes by purpose, opened when they are first needed."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane[Connection]] = {}
        self._guard = threading.Lock()

    def to(self, uri: str, purpose: str, *, readonly: bool = False, max_abandoned: int = 3) -> Lane[Connection]:
        """The lane to a libvirt for a purpose.

        Args:
            uri: What to connect to.
            purpose: What for, in messages: ``status``, ``start of web1`` …
            readonly: Whether libvirt itself shall refuse changes.
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        name = f"libvirt {uri}, {purpose}"
        with self._guard:
            if name not in self._lanes:
                self._lanes[name] = lane(name, lambda: Connection(uri, readonly=readonly), max_abandoned=max_abandoned)
            return self._lanes[name]

    def close(self) -> None:
        """Let every connection go; the lanes' own threads close them, and nobody waits for those."""
        with self._guard:
            lanes, self._lanes = self._lanes, {}
        for one in lanes.values():
            one.close()


def lane(name: str, connect: Callable[[], Connection], *, max_abandoned: int = 3) -> Lane[Connection]:
    """A lane to a libvirt.

    Args:
        name: What it is for, in messages; abandoned threads are counted by it.
        connect: Opens the connection.
        max_abandoned: How many calls may hang in it before others fail at once.
    """
    return Lane(
        name,
        connect=connect,
        disconnect=Connection.close,
        is_broken=lambda error: isinstance(error, ConnectionLost),
        max_abandoned=max_abandoned,
    )


def ask_once(way: Lane[Connection], work: Callable[[Connection], T], *, budget_s: float) -> T:
    """Do some work in a lane, and never again by itself.

    Args:
        way: The lane.
        work: What to do; it must return plain data.
        budget_s: How long all of it may take, in seconds.

    Returns:
        What the work returned.

    Raises:
        ConnectionLost: The connection broke; what was done is not known.
        Undetermined: There was no answer.
        DriverError: The answer was no.
    """
    deadline = time.monotonic() + budget_s
    return way.call(lambda connection: connection.guarded(work, deadline), budget_s=budget_s)


def ask(way: Lane[Connection], work: Callable[[Connection], T], *, budget_s: float) -> T:
    """Do some work in a lane; once more where a connection had been left over by a libvirt that was since restarted.

    Args:
        way: The lane.
        work: What to do; it must bear being done twice, and return plain data.
        budget_s: How long all of it may take, in seconds.

    Returns:
        What the work returned.

    Raises:
        Undetermined: There was no answer.
        DriverError: The answer was no.
    """
    deadline = time.monotonic() + budget_s
    with contextlib.suppress(ConnectionLost):
        return ask_once(way, work, budget_s=budget_s)
    return ask_once(way, work, budget_s=deadline - time.monotonic())
