"""The lanes to servers: one for each purpose, so that a call that hangs holds up no other; all share one session."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vmsvc.driver import Lane
from vmsvc_esx.client import Client
from vmsvc_esx.options import Access
from vmsvc_esx.trouble import ConnectionLost

T = TypeVar("T")

# How long all servers together may take to end the sessions, in seconds: a driver is closed within one.
_LEAVE_S = 0.6


class Lanes:
    """Lanes by purpose, and clients by server, made when they are first needed.

    Args:
        config_dir: Where the node's own credentials lie.
    """

    def __init__(self, config_dir: Path) -> None:
        self._config_dir = config_dir
        self._clients: dict[Access, Client] = {}
        self._lanes: dict[tuple[Access, str], Lane[Client]] = {}
        self._guard = threading.Lock()

    def to(self, access: Access, purpose: str, *, max_abandoned: int = 3) -> Lane[Client]:
        """The lane to a server for a purpose.

        Args:
            access: How the server is reached.
            purpose: What for, in messages: ``status``, ``start of web1`` …
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        with self._guard:
            client = self._clients.setdefault(access, Client(access, self._config_dir))
            if (access, purpose) not in self._lanes:
                self._lanes[access, purpose] = Lane(
                    f"{access.server}, {purpose}",
                    connect=lambda: client,
                    disconnect=lambda _: None,
                    max_abandoned=max_abandoned,
                )
            return self._lanes[access, purpose]

    def close(self) -> None:
        """Log out everywhere, as far as servers answer at once, and wait for nothing else."""
        with self._guard:
            lanes, clients = [*self._lanes.values()], [*self._clients.values()]
            self._lanes, self._clients = {}, {}
        for one in lanes:
            one.close()
        deadline = time.monotonic() + _LEAVE_S
        leaving = [
            threading.Thread(target=each.guarded, args=(Client.close, deadline), name="vmsvc esx logout", daemon=True)
            for each in clients
        ]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join(max(deadline - time.monotonic(), 0.0))


def ask(way: Lane[Client], work: Callable[[Client], T], *, budget_s: float) -> T:
    """Do some work in a lane; once more where a connection or a session was left over from before a restart.

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
        return way.call(lambda client: client.guarded(work, deadline), budget_s=deadline - time.monotonic())

    with contextlib.suppress(ConnectionLost):
        return call()
    return call()
