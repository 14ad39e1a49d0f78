"""Lanes to several servers: clients that can hang, each in lanes of its own, and asked again where a connection broke.

A driver whose technology has an API rather than commands has a client, which is told until when it may act, and which
says of a connection that broke during a call that it did.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from vmsvc.core.errors import Undetermined
from vmsvc.core.lane import Lane

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

C = TypeVar("C", bound="Client")
G = TypeVar("G")
K = TypeVar("K", bound=Hashable)
P = TypeVar("P", bound=Hashable)
T = TypeVar("T")
V = TypeVar("V")


class ConnectionLost(Undetermined):
    """An open connection broke during a call. Asking again opens another."""


class Client(Protocol):
    """A connection to a server, as a lane's thread has it."""

    def guarded(self, work: Callable[[Self], T], deadline: float) -> T:
        """Do some work, with the errors of the server's own library as vmsvc's.

        Args:
            work: What to do; it returns plain data.
            deadline: Until when it may change anything, on the monotonic clock: whoever asked has given up then.

        Returns:
            What it returned.

        Raises:
            ConnectionLost: The connection broke.
            Undetermined: There was no answer.
            DriverError: The answer was no.
        """


class ClientLanes(Generic[C]):
    """Lanes by name, one for each purpose, so that a call that hangs holds up no other; opened when first needed.

    Args:
        disconnect: Closes a client; called in its lane's thread.
    """

    def __init__(self, disconnect: Callable[[C], object]) -> None:
        self._disconnect = disconnect
        self._lanes: dict[tuple[str, Hashable], Lane[C]] = {}
        self._idle: dict[str, list[Lane[C]]] = {}
        self._guard = threading.Lock()

    def lane(self, name: str, connect: Callable[[], C], *, key: Hashable = None, max_abandoned: int = 3) -> Lane[C]:
        """The lane of a name.

        Args:
            name: What is at the other end, and what for, in messages: ``libvirt qemu:///system, status``.
            connect: Opens the connection.
            key: What tells it from another lane of that name.
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        with self._guard:
            if (name, key) not in self._lanes:
                self._lanes[name, key] = self.new(name, connect, max_abandoned=max_abandoned)
            return self._lanes[name, key]

    @contextlib.contextmanager
    def idle(self, name: str, connect: Callable[[], C], *, max_abandoned: int = 3) -> Iterator[Lane[C]]:
        """A lane for work of which several may go on at a time: one of that name that is idle, or another.

        Args:
            name: What is at the other end, and what for, in messages.
            connect: Opens the connection.
            max_abandoned: How many calls may hang under this name before others fail at once.
        """
        with self._guard:
            idle = self._idle.setdefault(name, [])
            way = idle.pop() if idle else self.new(name, connect, max_abandoned=max_abandoned)
        try:
            yield way
        finally:
            with self._guard:
                idle.append(way)

    def new(self, name: str, connect: Callable[[], C], *, max_abandoned: int = 3) -> Lane[C]:
        """A lane that its caller keeps, and closes.

        Args:
            name: What is at the other end, and what for, in messages.
            connect: Opens the connection.
            max_abandoned: How many calls may hang under this name before others fail at once.
        """
        return Lane(
            name,
            connect=connect,
            disconnect=self._disconnect,
            is_broken=lambda error: isinstance(error, ConnectionLost),
            max_abandoned=max_abandoned,
        )

    def close(self) -> None:
        """Let every connection go; the lanes' own threads close them, and nobody waits for those."""
        with self._guard:
            lanes = [*self._lanes.values(), *(one for idle in self._idle.values() for one in idle)]
            self._lanes, self._idle = {}, {}
        for one in lanes:
            one.close()


def ask_once(way: Lane[C], work: Callable[[C], T], *, budget_s: float) -> T:
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
    return way.call(lambda client: client.guarded(work, deadline), budget_s=budget_s)


def ask(way: Lane[C], work: Callable[[C], T], *, budget_s: float) -> T:
    """Do some work in a lane; once more where a connection had been left over by a server that was since restarted.

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


def survey_each(
    guests: Iterable[G], server_of: Callable[[G], P], survey: Callable[[P, Sequence[G]], Mapping[K, V]]
) -> dict[K, V]:
    """Look at guests on several servers: each server is asked once, and all of them at once.

    Args:
        guests: The guests.
        server_of: Which server has a guest.
        survey: Looks at the guests of one server; it returns within its own deadline.

    Returns:
        What the surveys found, as one.
    """
    by_server: dict[P, list[G]] = {}
    for guest in guests:
        by_server.setdefault(server_of(guest), []).append(guest)
    found: dict[K, V] = {}

    def look(server: P) -> None:
        found.update(survey(server, by_server[server]))

    here, *elsewhere = by_server or [None]
    # Daemon threads, since the program's end must not wait for them.
    threads = [threading.Thread(target=look, args=(server,), daemon=True) for server in elsewhere]
    for thread in threads:
        thread.start()
    if here is not None:
        look(here)
    for thread in threads:
        thread.join()
    return found
