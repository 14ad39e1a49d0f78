"""The lanes to servers, all of which share one session with each."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from vmsvc.driver import ClientLanes, Lane
from vmsvc_esx.client import Client
from vmsvc_esx.options import Access
from vmsvc_esx.refusals import Refusals

# How long all servers together may take to end the sessions, in seconds: a driver is closed within one.
_LEAVE_S = 0.6


class Lanes(ClientLanes[Client]):
    """Lanes by purpose, and clients by server, made when they are first needed.

    Args:
        config_dir: Where the node's own credentials lie.
        state_dir: Where the node remembers logins that were refused.
    """

    def __init__(self, config_dir: Path, state_dir: Path) -> None:
        super().__init__(lambda _: None)  # a lane that ends leaves the session to the others
        self._config_dir = config_dir
        self._refusals = Refusals(state_dir)
        self._clients: dict[Access, Client] = {}

    def to(self, access: Access, purpose: str, *, max_abandoned: int = 3) -> Lane[Client]:
        """The lane to a server for a purpose.

        Args:
            access: How the server is reached.
            purpose: What for, in messages: ``status``, ``start of web1`` …
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        client = self._clients.setdefault(access, Client(access, self._config_dir, self._refusals))
        return self.lane(f"{access.server}, {purpose}", lambda: client, key=access, max_abandoned=max_abandoned)

    def close(self) -> None:
        """Log out everywhere, as far as servers answer at once, and wait for nothing else."""
        super().close()
        clients, self._clients = self._clients, {}
        deadline = time.monotonic() + _LEAVE_S
        leaving = [
            threading.Thread(target=each.guarded, args=(Client.close, deadline), name="vmsvc esx logout", daemon=True)
            for each in clients.values()
        ]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join(max(deadline - time.monotonic(), 0.0))
