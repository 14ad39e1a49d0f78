"""Where a guest is that is down here: asked only where something speaks for it, once for all services of a look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from vmsvc.core.node import Node
from vmsvc.core.peers.answers import UP_THERE, PeerAnswer
from vmsvc.core.peers.asking import Peers
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service

#: How long an answer is believed, in seconds.
_FRESH_S = 5.0


class Elsewhere:
    """Knows on which peers guests are.

    Args:
        peers: Makes what asks them; called when something is to be asked first.
        services: The services of the look, by name.
        node: This node.
    """

    def __init__(self, peers: Callable[[], Peers], services: Mapping[str, Service], node: Node) -> None:
        self._peers = peers
        self._services = services
        self._node = node
        self._turn = threading.Lock()
        self._by: Mapping[tuple[str, str], PeerAnswer] = {}
        self._at = float("-inf")

    def of(self, guest: Guest, budget_s: float) -> tuple[str, str]:
        """On which peer a guest is, and why others may have it for all that is known.

        Args:
            guest: A guest that is down here.
            budget_s: How long asking may take, in seconds.

        Returns:
            Such as ``running on n2``, or nothing; and such as ``n3 cannot be asked: …``, or nothing.
        """
        service = self._services[guest.service]
        deadline = time.monotonic() + budget_s
        if not self._turn.acquire(timeout=max(budget_s, 0.0)):
            return "", "the other nodes did not answer in time"
        try:
            if time.monotonic() - self._at > _FRESH_S:
                self._by = self._ask(deadline - time.monotonic())
                self._at = time.monotonic()
        finally:
            self._turn.release()
        doubts = []
        for peer in service.peers_of(self._node):
            answer = self._by[peer, service.name]
            seen = answer.of(guest)
            if seen is not None and seen.phase in UP_THERE:
                return f"{seen.state} on {peer}", ""
            if answer.error:
                doubts.append(f"{peer} cannot be asked: {answer.error}")
        return "", "; ".join(doubts)

    def _ask(self, budget_s: float) -> Mapping[tuple[str, str], PeerAnswer]:
        questions: dict[str, list[str]] = {}
        for service in self._services.values():
            for peer in service.peers_of(self._node):
                if service.guests:
                    questions.setdefault(peer, []).append(service.name)
        return self._peers().ask("guests", questions, budget_s=budget_s)
