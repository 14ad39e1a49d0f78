"""Guests that a hypervisor has moved away, and that nobody owns up to: they may run where no node looks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.peers.answers import PeerAnswer
from vmsvc.core.room import UNSEEN
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase

#: Whoever sees a guest like this does not have it.
_HAS_NONE = UNSEEN | {Phase.ABSENT, Phase.MOVED}


def departures(
    service: Service,
    here: Mapping[str, Observation],
    answers: Sequence[PeerAnswer],
    *,
    despite: Collection[str] = (),
    exclusive: bool = False,
) -> Iterator[Problem]:
    """What speaks against starting guests that have left a node, and have come to none of the service's.

    A move may lead elsewhere than its operator believes, and so may one that the hypervisor was asked for by hand.
    Where a node has the guest, stopped since, it has come there, and a start is as good as any other.

    Args:
        service: Their service.
        here: What this node sees of each guest that is to be started, by rid.
        answers: What each peer says.
        despite: The rids of guests of which the operator knows that they run nowhere.
        exclusive: Whether every disk of the guests is reserved for this node alone before they start, so that nothing
            elsewhere can write to it any more.

    Yields:
        Errors; and notes of what does not speak against it any more.
    """
    for rid, seen in here.items():
        theirs = [(f"on {answer.node}", answer.of(service.resource(rid))) for answer in answers]
        all_seen = [("here", seen), *((where, there) for where, there in theirs if there is not None)]
        left = [f"{one.state} {where}" for where, one in all_seen if one.phase is Phase.MOVED]
        if not left or any(one.phase not in _HAS_NONE for _where, one in all_seen):
            continue
        message = f"{rid} has been moved away ({', '.join(left)}), and no node of {service.name} says that it has it"
        if rid in despite or exclusive:
            why = "the operator says that it runs nowhere"
            if rid not in despite:
                why = "its disks are reserved for this node alone before anything starts"
            yield Problem(code="note.moved-away", message=f"{message}; {why}", section=rid, severity=Severity.NOTE)
        else:
            yield Problem(
                code="refused.moved-away",
                message=message,
                hint="it may run where none of them looks: the hypervisor's log on the node that it has left tells "
                f"where it went; if it runs nowhere for certain, say so: --despite-moved {rid}",
                section=rid,
                file=str(service.file),
            )
