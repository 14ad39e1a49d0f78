"""What peers answer, as records, and what follows from it for a start. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.room import ROOM, UNSEEN
from vmsvc.core.service import Service
from vmsvc.core.status import Evidence, Observation, Phase, unknown
from vmsvc.core.transport import OUTPUT_LIMIT, Outcome
from vmsvc.core.transport.command import said_last

#: It is there, and may use addresses.
UP_THERE = frozenset(Phase) - ROOM - UNSEEN - {Phase.SAVED, Phase.CRASHED, Phase.PREPARED}
#: Actions after which no guest runs that did not run before. Any other one may start it, one of a later version too.
_STARTS_NOTHING = ("stop", "boot", "validate-disks")


@frozen(kw_only=True)
class PeerAnswer:
    """What a peer says of a service.

    Attributes:
        node: The peer's name.
        seen: What it sees of the resources that it was asked for, by rid.
        guests: The type and the name of each of these, by rid: its file may call another guest by the same rid.
        going_on: Which action is going on there, such as ``start by pid 4711 since 21:03:12``; empty for none.
        is_frozen: Whether the service is frozen there.
        notes: What else it tells.
        lists: The nodes that its file of the service names; ``None`` where it does not tell.
        error: Why nobody knows; empty where it has answered.
        hint: What to do about that.
    """

    node: str
    seen: Mapping[str, Observation] = field(factory=dict)
    guests: Mapping[str, tuple[str, str]] = field(factory=dict)
    going_on: str = ""
    is_frozen: bool = False
    notes: tuple[str, ...] = ()
    lists: tuple[str, ...] | None = None
    error: str = ""
    hint: str = ""

    @property
    def may_be_starting(self) -> bool:
        """Whether an action is going on there that may start guests."""
        return bool(self.going_on) and self.going_on.partition(" ")[0] not in _STARTS_NOTHING

    def of(self, guest: Resource) -> Observation | None:
        """What the peer sees of a guest, in whichever section its file has it; ``None`` where it has it in none."""
        wanted = (guest.type, guest.label)
        rids = [rid for rid, told in self.guests.items() if told == wanted]
        return self.seen.get(guest.rid if guest.rid in rids else next(iter(rids), ""))

    def why_not_of(self, guest: Resource) -> str:
        """Why the peer sees nothing of a guest."""
        if guest.rid in self.guests:
            return f"its {guest.rid} is another guest: {' '.join(self.guests[guest.rid])}"
        return f"its file of {guest.service} has no such section"

    def told_of(self, resource: Resource) -> Observation:
        """What the peer sees of a resource, or why nobody knows: a guest by its type and name, all else by its rid."""
        probe = f"ssh {self.node}"
        if self.error:
            return unknown(probe, f"{self.error}{f' ({self.hint})' if self.hint else ''}")
        seen = self.of(resource) if isinstance(resource, Guest) else self.seen.get(resource.rid)
        return seen or unknown(probe, self.why_not_of(resource))

    def overlooking(self, service: Service, node: Node) -> Problem | None:
        """That a start on the peer does not ask a node; ``None`` where it does, for all that the peer tells."""
        if self.lists is None or any(node.is_called(each) for each in self.lists):
            return None
        return Problem(
            message=f"{self.node}'s file of {service.name} does not name {node.name}: a start there asks nobody here",
            code="warning.not-named",
            hint=f"copy {service.file} to {self.node}",
            severity=Severity.WARNING,
        )


def read_answers(node: str, services: Sequence[str], outcome: Outcome) -> dict[str, PeerAnswer]:
    """Read what a peer has answered: a ``vmsvc.status/1`` document of its own.

    Args:
        node: The peer's name.
        services: The services that it was asked for.
        outcome: What it has printed.

    Returns:
        An answer for each service, whatever was printed.
    """
    if outcome.truncated:
        error = f"its answer is longer than the {OUTPUT_LIMIT >> 20} MiB that are kept of it"
        return {name: PeerAnswer(node=node, error=error) for name in services}
    try:
        document = json.loads(outcome.stdout)
        if "services" in document and document["schema"] != "vmsvc.status/1":
            error = f"its answer is of another kind: {document['schema']}; install the same vmsvc on both"
            return {name: PeerAnswer(node=node, error=error) for name in services}
        told = {each["name"]: each for each in document.get("services", ())}
        errors = [str(each["message"]) for each in document.get("errors", ())]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        error = f"it answered with no status, and exit code {outcome.code}{said_last(outcome.stderr, outcome.stdout)}"
        return {name: PeerAnswer(node=node, error=error) for name in services}
    return {name: _answer(node, name, told.get(name), errors) for name in services}


def _answer(node: str, service: str, told: Any, errors: Sequence[str]) -> PeerAnswer:
    if told is None:
        error = "; ".join(errors) or f"it says nothing of {service}"
        return PeerAnswer(node=node, error=error, hint=f"the file of {service} is to be the same on each of its nodes")
    try:
        (instance,) = told["instances"]
        if str(instance["node"]).casefold() != node.casefold():
            return PeerAnswer(
                node=node,
                error=f"the node that has answered calls itself {instance['node']}",
                hint=f"does ssh lead to the right machine? If so, call it {node} there, by "
                f"`SetEnv VMSVC_NODENAME={node}` in its sshd_config, or write {instance['node']} in the "
                "files of its services",
            )
        seen = {str(each["rid"]): _observation(each) for each in instance["resources"]}
        guests = {str(each["rid"]): (str(each["type"]), str(each["label"])) for each in instance["resources"]}
        going_on = str(instance["going_on"])
        notes = tuple(str(each) for each in instance["notes"] if each != f"going on: {going_on}")
        lists = (*told["nodes"], *told["drpnodes"]) if "nodes" in told else None
        return PeerAnswer(
            node=node,
            seen=seen,
            guests=guests,
            going_on=going_on,
            is_frozen=bool(instance.get("frozen")),
            notes=notes,
            lists=lists,
        )
    except (ValueError, TypeError, KeyError) as error:
        return PeerAnswer(node=node, error=f"its answer makes no sense: {type(error).__name__}: {error}")


def _observation(told: Mapping[str, Any]) -> Observation:
    return Observation(
        phase=Phase(told["phase"]),
        state=told["state"],
        evidence=Evidence(**told["evidence"]),
        warnings=tuple(told["warnings"]),
    )


def objections(
    service: Service,
    guests: Collection[str],
    answers: Sequence[PeerAnswer],
    *,
    despite: Collection[str] = (),
    exclusive: bool = False,
) -> list[Problem]:
    """What speaks against starting guests, by what peers say of them: errors; and notes of what does not any more.

    Args:
        service: Their service.
        guests: The rids of the guests that are to be started.
        answers: What each peer says.
        despite: The peers of which the operator knows that nothing runs there.
        exclusive: Whether every disk of the guests is reserved for this node alone before they start, so that nothing
            on a peer can write to it any more.
    """
    known = {name.casefold() for name in despite}
    found: list[Problem] = []
    for answer in answers:
        found += _refusals(service, guests, answer)
        found += [
            Problem(code="note.peer-says", message=f"{answer.node}: {note}", severity=Severity.NOTE)
            for note in answer.notes
        ]
        for doubt in _doubts(service, guests, answer):
            found.append(_judged(service, answer, doubt, is_known=answer.node.casefold() in known, exclusive=exclusive))
    return found


def _refusals(service: Service, guests: Collection[str], answer: PeerAnswer) -> Iterator[Problem]:
    """What is there for certain: no word of an operator speaks against evidence."""
    if answer.may_be_starting:
        yield Problem(
            code="refused.peer-acts",
            message=f"an action is going on at {answer.node} that may start it: {answer.going_on}",
            hint=f"wait for it to end, or end that process on {answer.node}; if it cannot be ended, power that node "
            f"off, and then say so: --despite-peer {answer.node}",
            file=str(service.file),
        )
    for rid in guests:
        seen = answer.of(service.resource(rid))
        if seen is not None and seen.phase not in ROOM | UNSEEN:
            verb = "its memory is saved on" if seen.phase is Phase.SAVED else f"it is {seen.state} on"
            hint = f"`vmsvc stop {service.name}` there first"
            if seen.phase is Phase.SAVED:
                hint = "start and stop it there first, or discard its saved memory with the hypervisor's own tool"
            yield Problem(
                code="refused.runs-on-peer",
                message=f"{verb} {answer.node}",
                section=rid,
                hint=hint,
                file=str(service.file),
            )


def _doubts(service: Service, guests: Collection[str], answer: PeerAnswer) -> Iterator[str]:
    """Why a peer's guests may run, for all that is known."""
    if answer.error:
        yield f"{answer.node} cannot say whether it runs {service.name}: {answer.error}"
        return
    for rid in guests:
        seen = answer.of(service.resource(rid))
        if seen is None:
            why = answer.why_not_of(service.resource(rid))
            yield f"{answer.node} cannot say whether it runs {rid}: {why}"
        elif seen.phase in UNSEEN:
            yield f"{answer.node} cannot say whether it runs {rid}: {seen.evidence.detail}"


def _judged(service: Service, answer: PeerAnswer, doubt: str, *, is_known: bool, exclusive: bool) -> Problem:
    if is_known:
        message = f"{doubt}; the operator says that nothing runs there"
    elif exclusive:
        message = f"{doubt}; its disks are reserved for this node alone before anything starts"
    else:
        return Problem(
            code="refused.peer-silent",
            message=doubt,
            hint=f"{answer.hint or 'see `vmsvc trust peers --test`'}; if it is off, or nothing runs there for certain, "
            f"say so: --despite-peer {answer.node}",
            file=str(service.file),
        )
    return Problem(code="note.peer-silent", message=message, severity=Severity.NOTE)
