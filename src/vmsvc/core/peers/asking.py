"""Asks peers by ssh: one kept connection for each, all at once, and never longer than a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NoReturn, Protocol

from vmsvc.core.errors import INTERRUPTED, ActionFailed, Undetermined, VmsvcError, told
from vmsvc.core.lane import call_each
from vmsvc.core.node import HOST_MODES
from vmsvc.core.peers.answers import PeerAnswer, read_answers
from vmsvc.core.peers.verbs import script
from vmsvc.core.transport import Host
from vmsvc.core.transport.command import said_last

#: How long all peers together have to answer, in seconds: their own looks take up to 9.
ASK_S = 12.0
_WIDTH = 16
#: What is left for telling that one has not answered in time, in seconds.
_RESERVE_S = 0.5
#: How long peers may take until it is told that they are waited for, in seconds.
_UNTOLD_S = 1.0


class ClosingHost(Host, Protocol):
    """A host with a connection that can be given up."""

    def close(self) -> None:
        """Give up the connection; a later command opens another."""


class Attention:
    """What to do while peers are asked: hear of an interrupt, and tell, once, who is waited for.

    Args:
        waiting: Told of what is waited for, once it takes longer than one would expect.
        cancelled: Set it from elsewhere to wait no longer.
        names: Who is asked, for people.
    """

    def __init__(self, waiting: Callable[[str], None], cancelled: threading.Event, names: str) -> None:
        self._waiting = waiting
        self._cancelled = cancelled
        self._names = names
        self._told_at = time.monotonic() + _UNTOLD_S
        self._is_told = False

    def __call__(self, silent: Collection[str]) -> None:
        """Look around.

        Args:
            silent: The peers that have not answered yet.

        Raises:
            ActionFailed: The action was interrupted.
        """
        if self._cancelled.is_set():
            self.give_up()
        if not self._is_told and silent and time.monotonic() > self._told_at:
            self._is_told = True
            self._waiting(f"an answer of {', '.join(silent)}")

    def give_up(self) -> NoReturn:
        """End an action that was interrupted while it asked."""
        raise ActionFailed(f"interrupted while it waited for an answer of {self._names}", code=INTERRUPTED)


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
        self,
        verb: str,
        questions: Mapping[str, Sequence[str]],
        *,
        budget_s: float = ASK_S,
        meanwhile: Callable[[Collection[str]], None] = lambda _: None,
    ) -> dict[tuple[str, str], PeerAnswer]:
        """Ask peers what they see of services; each is asked once for all of its services.

        Args:
            verb: ``status``, or ``guests`` for their guests alone.
            questions: The services, by the peer that is asked for them.
            budget_s: How long all of it may take, in seconds.
            meanwhile: Called with the peers that have not answered yet, several times a second; what it raises ends the
                asking.

        Returns:
            An answer for each peer and service; one that nobody has given says why.
        """
        deadline = time.monotonic() + budget_s
        peers = [peer for peer, services in questions.items() if services]
        silent = dict.fromkeys(peers)

        def ask(peer: str) -> Mapping[str, PeerAnswer]:
            found = self._ask(peer, verb, questions[peer], deadline - _RESERVE_S)
            silent.pop(peer)
            return found

        answers = call_each(
            ask,
            peers,
            deadline=deadline,
            width=_WIDTH,
            name="vmsvc peer",
            meanwhile=lambda: meanwhile(tuple(silent)),
        )
        late = f"it gave no answer within {budget_s:g} s"
        return {
            (peer, service): (given or {}).get(service) or PeerAnswer(node=peer, error=late)
            for peer, given in zip(peers, answers, strict=True)
            for service in questions[peer]
        }

    def host_mode(self, peer: str, *, meanwhile: Callable[[Collection[str]], None] = lambda _: None) -> str:
        """Ask a peer for its host mode.

        Args:
            peer: The peer that is asked.
            meanwhile: As in :meth:`ask`.

        Raises:
            Undetermined: It has not answered, or does not know.
        """
        deadline = time.monotonic() + ASK_S
        [answer] = call_each(
            lambda peer: self._host_mode(peer, deadline - _RESERVE_S),
            [peer],
            deadline=deadline,
            width=1,
            name="vmsvc peer",
            meanwhile=lambda: meanwhile((peer,)),
        )
        mode, error = answer or ("", f"it gave no answer within {ASK_S:g} s")
        if mode not in HOST_MODES:
            why = error or f"it tells {mode!r}"
            raise Undetermined(f"the host mode of {peer} is not known: {why}", code="undetermined.host-mode")
        return mode

    def close(self) -> None:
        """Give up all connections."""
        with self._guard:
            kept, self._kept = self._kept, {}
        for host in kept.values():
            host.close()

    def _ask(self, peer: str, verb: str, services: Sequence[str], deadline: float) -> Mapping[str, PeerAnswer]:
        try:
            outcome = script().ask(self._host(peer), verb, *services, budget_s=deadline - time.monotonic())
        except VmsvcError as error:
            return {service: PeerAnswer(node=peer, error=error.message, hint=error.hint) for service in services}
        except Exception as error:  # noqa: BLE001 - a defect in asking is no answer, and must not end the asking of others
            return {service: PeerAnswer(node=peer, error=told(error)) for service in services}
        half = len(services) // 2
        if outcome.truncated and half:
            parts = (self._ask(peer, verb, part, deadline) for part in (services[:half], services[half:]))
            return {service: answer for part in parts for service, answer in part.items()}
        return read_answers(peer, services, outcome)

    def _host_mode(self, peer: str, deadline: float) -> tuple[str, str]:
        """The word that a peer tells, and why it tells none."""
        try:
            outcome = script().ask(self._host(peer), "mode", budget_s=deadline - time.monotonic())
        except Exception as error:  # noqa: BLE001 - a defect in asking is no answer
            return "", told(error)
        if outcome.code:
            return "", f"it answered with exit code {outcome.code}{said_last(outcome.stderr, outcome.stdout)}"
        return outcome.out.strip(), ""

    def _host(self, peer: str) -> ClosingHost:
        with self._guard:
            return self._kept.setdefault(peer, self._ssh(peer))
