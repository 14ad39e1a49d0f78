"""The lanes to engines: one for each purpose, so that a call that hangs holds up no other."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from vmsvc.driver import Lane
from vmsvc_docker.client import Connection, ConnectionLost

T = TypeVar("T")


class Lanes:
    """Lanes by purpose, opened when they are first needed."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane[Connection]] = {}
        self._idle: dict[str, list[Lane[Connection]]] = {}
        self._guard = threading.Lock()

    def to(self, endpoint: str, purpose: str, *, max_abandoned: int = 3) -> Lane[Connection]:
        """The lane to an engine for a purpose.

        Args:
            endpoint: What to connect to.
            purpose: What for, in messages: ``status``, ``start of web1`` …
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        name = f"{endpoint}, {purpose}"
        with self._guard:
            if name not in self._lanes:
                self._lanes[name] = lane(name, lambda: Connection(endpoint), max_abandoned=max_abandoned)
            return self._lanes[name]

    @contextlib.contextmanager
    def any_to(self, endpoint: str, purpose: str, *, max_abandoned: int = 3) -> Iterator[Lane[Connection]]:
        """A lane for work of which several may go on at a time: one that is idle, or another.

        Args:
            endpoint: What to connect to.
            purpose: What for, in messages.
            max_abandoned: How many calls may hang for this purpose before others fail at once.
        """
        name = f"{endpoint}, {purpose}"
        with self._guard:
            idle = self._idle.setdefault(name, [])
            way = idle.pop() if idle else lane(name, lambda: Connection(endpoint), max_abandoned=max_abandoned)
        try:
            yield way
        finally:
            with self._guard:
                idle.append(way)

    def close(self) -> None:
        """Let every connection go; the lanes' own threads close them, and nobody waits for those."""
        with self._guard:
            lanes = [*self._lanes.values(), *itertools.chain.from_iterable(self._idle.values())]
            self._lanes, self._idle = {}, {}
        for one in lanes:
            one.close()


def lane(name: str, connect: Callable[[], Connection], *, max_abandoned: int = 3) -> Lane[Connection]:
    """A lane to an engine.

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


def ask(way: Lane[Connection], work: Callable[[Connection], T], *, budget_s: float) -> T:
    """Do some work in a lane; once more where a connection had been left over by an engine that was since restarted.

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

    def call() -> T:
        return way.call(lambda connection: connection.guarded(work, deadline), budget_s=deadline - time.monotonic())

    with contextlib.suppress(ConnectionLost):
        return call()
    return call()
