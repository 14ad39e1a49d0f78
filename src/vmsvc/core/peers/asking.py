"""Asks peers by ssh: one kept connection for each, all at once, and never longer than a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from vmsvc.core.errors import VmsvcError, told
from vmsvc.core.lane import call_each
from vmsvc.core.node import Node
from vmsvc.core.peers.answers import PeerAnswer, read_answers
from vmsvc.core.peers.verbs import script
from vmsvc.core.service import Service
from vmsvc.core.transport import Host

#: How long all peers together have to answer, in seconds: their own looks take up to 9.
ASK_S = 12.0
_WIDTH = 16
#: What is left for telling that one has not answered in time, in seconds.
_RESERVE_S = 0.5


#: How long an action that is going on at a peer is waited for, and how often it is asked again, in seconds.
PATIENCE_S, _AGAIN_S = 20.0, 0.5


class ClosingHost(Host, Protocol):
    """A host with a connection that can be given up."""

    def close(self) -> None:
        """Give up the connection; a later command opens another."""


class Peers:
    """The other nodes, as far as they were asked. Each is kept, with its connection, until all are closed.

    Args:
        ssh: Makes the host behind a peer's name. It opens nothing yet.
    """

    def __init__(self, ssh: Callable[[str], ClosingHost]) -> None:
        self._ssh = ssh
        self._kept: dict[str, ClosingHost] = {}
        self._guard = threading.Lock()

    def ask(
        self, verb: str, questions: Mapping[str, Sequence[str]], *, budget_s: float = ASK_S
    ) -> dict[tuple[str, str], PeerAnswer]:
        """Ask peers what they see of services; each is asked once for all of its services.

        Args:
            verb: ``status``, or ``guests`` for their guests alone.
            questions: The services, by the peer that is asked for them.
            budget_s: How long all of it may take, in seconds.

        Returns:
            An answer for each peer and service; one that nobody has given says why.
        """
        deadline = time.monotonic() + budget_s
        peers = list(questions)
        asks = [partial(self._ask, peer, verb, questions[peer], deadline - _RESERVE_S) for peer in peers]
        answers = call_each(lambda ask: ask(), asks, deadline=deadline, width=_WIDTH, name="vmsvc peer")
        late = f"it gave no answer within {budget_s:g} s"
        return {
            (peer, service): (given or {}).get(service) or PeerAnswer(node=peer, error=late)
            for peer, given in zip(peers, answers, strict=True)
            for service in questions[peer]
        }

    def close(self) -> None:
        """Give up all connections."""
        with self._guard:
            kept, self._kept = self._kept, {}
        for host in kept.values():
            host.close()

    def _ask(self, peer: str, verb: str, services: Sequence[str], deadline: float) -> Mapping[str, PeerAnswer]:
        try:
            with self._guard:
                host = self._kept.setdefault(peer, self._ssh(peer))
            outcome = script().ask(host, verb, *services, budget_s=deadline - time.monotonic())
        except VmsvcError as error:
            return {service: PeerAnswer(node=peer, error=error.message) for service in services}
        except Exception as error:  # noqa: BLE001 - a defect in asking is no answer, and must not end the asking of others
            return {service: PeerAnswer(node=peer, error=told(error)) for service in services}
        return read_answers(peer, services, outcome)


def ask_until_quiet(peers: Peers, service: Service, node: Node) -> list[PeerAnswer]:
    """Ask the other nodes of a service about its guests, before they are started here.

    Two nodes that start a service at once both hold their own lock, and then ask: so at least one of them hears of the
    other, and whoever does must not go on. The node that the service lists before the other asks again until that has
    given up, so that one of them starts it.

    Args:
        peers: Asks them.
        service: The service.
        node: This node.
    """
    names = service.peers_of(node)
    listed = [each.casefold() for each in (*service.nodes, *service.drpnodes)]
    later = set(listed[listed.index(node.name.casefold()) + 1 :] if node.name.casefold() in listed else ())
    end = time.monotonic() + PATIENCE_S
    answers = {name: PeerAnswer(node=name) for name in names}
    asked = list(names)
    while asked:
        given = peers.ask("guests", {name: [service.name] for name in asked})
        answers.update({name: answer for (name, _), answer in given.items()})
        asked = [name for name in names if answers[name].may_be_starting]
        if any(name.casefold() not in later for name in asked) or time.monotonic() > end:
            break
        if asked:
            time.sleep(_AGAIN_S)
    return list(answers.values())
