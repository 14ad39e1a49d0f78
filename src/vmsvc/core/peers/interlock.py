"""What the other nodes say of guests before they are started here, and for how long that is believed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from vmsvc.core.errors import Problem, Refused, Severity
from vmsvc.core.node import Node
from vmsvc.core.peers.answers import PeerAnswer, objections
from vmsvc.core.peers.asking import Attention, Peers
from vmsvc.core.peers.departed import departures
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase

_log = logging.getLogger(__name__)

#: How long answers are believed, in seconds. A node that has hung since then may have been given up by an operator, and
#: its guests been started elsewhere.
BELIEVED_S = 30.0
#: What does not matter any more once nobody else can write to the disks.
_OF_DISKS = ("refused.peer-silent", "refused.moved-away")
#: How long an action that is going on at a peer is waited for, and how often it is asked again, in seconds.
_PATIENCE_S, _AGAIN_S = 20.0, 0.5


def _now() -> float:
    """Seconds of the clock that goes on while the machine is suspended, where it has one; see clock_gettime(2)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Interlock:
    """Keeps one action from starting guests that may run on other nodes.

    Only answers are believed, and not for long. What an action finds running here is no answer: a guest that is being
    moved to another node runs here until it runs there.

    Args:
        service: The service.
        node: This node.
        peers: Makes what asks the others; called when something is to be asked first.
        despite: The peers of which the operator knows that nothing runs there.
        despite_moved: The guests, by their rids, that were moved away, and run nowhere, as the operator knows.
        are_exclusive: Whether every disk of guests, by their rids, is reserved for this node alone before they start.
        waiting: Told of what is waited for, once it takes longer than one would expect.
        cancelled: Set it from elsewhere to wait no longer.
        now: The clock, in seconds.
    """

    def __init__(
        self,
        service: Service,
        node: Node,
        peers: Callable[[], Peers],
        *,
        despite: Collection[str] = (),
        despite_moved: Collection[str] = (),
        are_exclusive: Callable[[Sequence[str]], bool] = lambda _: False,
        waiting: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
        now: Callable[[], float] = _now,
    ) -> None:
        self._service = service
        self._node = node
        self._peers = peers
        self._names = service.peers_of(node)
        self._despite = despite
        self._despite_moved = despite_moved
        self._are_exclusive = are_exclusive
        self._waiting = waiting
        self._cancelled = cancelled or threading.Event()
        self._now = now
        self._asked: dict[str, float] = {}
        self._found_down: set[str] = set()

    def objections(self, guests: Mapping[str, Observation]) -> list[Problem]:
        """Ask the other nodes what speaks against starting guests: errors, and what is to be told besides.

        Those that run here are to be stopped first: what speaks against their start is heard while they are up. They
        need no word of nodes that are silent, and are asked about again afterwards.

        Args:
            guests: What was seen of them here, by their rids.

        Raises:
            ActionFailed: The action was interrupted meanwhile.
        """
        running = {rid: seen for rid, seen in guests.items() if seen.phase is Phase.RUNNING}
        down = {rid: seen for rid, seen in guests.items() if rid not in running}
        self._found_down.update(down)
        answers, asked = self._ask_until_quiet()
        self._asked.update(dict.fromkeys(down, asked))
        found = self._judged(down, answers, self._despite) if down else []
        against = self._judged(running, answers, self._names) if running else []
        return list(dict.fromkeys((*found, *(each for each in against if each.severity is Severity.ERROR))))

    def confirm(self, rid: str, seen: Observation) -> None:
        """Make sure that what speaks for starting a guest is not old: ask, unless that was done just now.

        Args:
            rid: The guest, which is about to be started.
            seen: What was seen of it here, just now.

        Raises:
            Refused: By now, something speaks against it.
            ActionFailed: The action was interrupted meanwhile.
        """
        if rid in self._asked and self._now() - self._asked[rid] <= BELIEVED_S:
            return
        # A guest that the action found here, and has stopped since, needs no word of nodes that are silent; unless it
        # did not stop: it was moved.
        needs_word = rid in self._found_down or seen.phase is Phase.MOVED
        despite = self._despite if needs_word else self._names
        answers, self._asked[rid] = self._ask_until_quiet()
        errors = [each for each in self._judged({rid: seen}, answers, despite) if each.severity is Severity.ERROR]
        if errors:
            raise Refused(problems=errors)

    def _judged(
        self, guests: Mapping[str, Observation], answers: Sequence[PeerAnswer], despite: Collection[str]
    ) -> list[Problem]:
        service, rids = self._service, list(guests)

        def found_if(*, exclusive: bool) -> list[Problem]:
            theirs = objections(service, rids, answers, despite=despite, exclusive=exclusive)
            return [*theirs, *departures(service, guests, answers, despite=self._despite_moved, exclusive=exclusive)]

        found = found_if(exclusive=False)
        if any(problem.code in _OF_DISKS for problem in found) and self._are_exclusive(rids):
            found = found_if(exclusive=True)
        found += filter(None, (answer.overlooking(service, self._node) for answer in answers))
        _log.info(
            "asked %s of %s: %s",
            ", ".join(self._names) or "nobody",
            service.name,
            "; ".join(map(str, found)) or "down there",
        )
        return found

    def _ask_until_quiet(self) -> tuple[list[PeerAnswer], float]:
        """Ask the other nodes, until nothing is going on there, or no more waiting helps; tell when that was.

        Two nodes that start a service at once both hold their own lock, and then ask: so at least one of them hears of
        the other, and whoever does must not go on. The node that the service lists before the other asks again until
        that has given up, so that one of them starts it.
        """
        service, node = self._service, self._node
        if not self._names:
            return [], self._now()
        listed = [each.casefold() for each in (*service.nodes, *service.drpnodes)]
        later = listed[listed.index(node.name.casefold()) + 1 :] if node.name.casefold() in listed else []
        begun = time.monotonic()
        while True:
            asked = self._now()  # what is answered may have been seen as early as this
            attention = Attention(self._waiting, self._cancelled, ", ".join(self._names))
            given = self._peers().ask("guests", {name: [service.name] for name in self._names}, meanwhile=attention)
            answers = list(given.values())
            acting = [answer for answer in answers if answer.may_be_starting]
            is_first = all(answer.node.casefold() in later for answer in acting)
            if not acting or not is_first or time.monotonic() - begun > _PATIENCE_S:
                return answers, asked
            self._waiting(", ".join(f"{answer.going_on} on {answer.node}" for answer in acting))
            if self._cancelled.wait(_AGAIN_S):
                attention.give_up()
