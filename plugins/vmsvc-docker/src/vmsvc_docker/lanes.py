"""The lanes to engines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from vmsvc.driver import ClientLanes, Lane
from vmsvc_docker.client import Connection


class Lanes(ClientLanes[Connection]):
    """Lanes by purpose."""

    def __init__(self) -> None:
        super().__init__(Connection.close)

    def to(self, endpoint: str, purpose: str, *, max_abandoned: int = 3) -> Lane[Connection]:
        """The lane to an engine for a purpose.

        Args:
            endpoint: What to connect to.
            purpose: What for, in messages: ``status``, ``start of web1`` …
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        return self.lane(f"{endpoint}, {purpose}", partial(Connection, endpoint), max_abandoned=max_abandoned)

    def any_to(self, endpoint: str, purpose: str) -> AbstractContextManager[Lane[Connection]]:
        """A lane for work of which several may go on at a time.

        Args:
            endpoint: What to connect to.
            purpose: What for, in messages.
        """
        return self.idle(f"{endpoint}, {purpose}", partial(Connection, endpoint))
