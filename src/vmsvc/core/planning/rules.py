"""Whether a verb may be done to a resource, from what is seen of it. Pure.

One table, asked twice: when a plan is made, and again just before each step, since the world moves on in between.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable

from attrs import field, frozen

from vmsvc.core.kinds import App, Ip, Located, Reserved
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import AT_REST, Observation, Phase
from vmsvc.core.verb import STARTING, Verb

#: Guests in these phases are there, and nobody inside of them answers.
CANNOT_HEAR = frozenset({Phase.PAUSED, Phase.SUSPENDED, Phase.CRASHED, Phase.STUCK})

_WAIT_FOR_MIGRATION = "try again when the migration has ended"
_NOT_STARTABLE_HINTS = {
    Phase.PAUSED: "resume it with the hypervisor's own tool, or stop the service first",
    Phase.SUSPENDED: "wake it with the hypervisor's own tool, or stop the service first",
    Phase.CRASHED: "look at why it crashed, then stop the service, then start it",
    Phase.STUCK: "look at its process, or stop the service first",
    Phase.STOPPING: "try again when it is down",
    Phase.DEGRADED: "look at what is wrong with it, or stop the service first",
    Phase.CONTESTED: "look at who else claims it, or stop the service first",
    Phase.INCAPABLE: "it can never be up as it is: look at why",
    Phase.PREPARED: "look at what has prepared it, or stop the service first",
    Phase.MIGRATING: _WAIT_FOR_MIGRATION,
}
_NOT_MOVABLE_HINTS = {
    Phase.STARTING: "try again when it is up",
    Phase.STOPPING: "it goes down: start it where it is to run",
    Phase.MIGRATING: _WAIT_FOR_MIGRATION,
}


def _words(words: Iterable[str]) -> frozenset[str]:
    return frozenset(words)


@frozen(kw_only=True)
class Consent:
    """What the operator has said in words, beyond the action's name.

    Attributes:
        drp: Start on a node of ``drpnodes``.
        despite_unknown: Resources, by rid, to act on although their status is unknown.
        despite_frozen: Start a service although it is frozen.
        kill: Stop guests by force at once, without asking them first.
        force: Holders of disks, each a node's name or a key (``0x1a2b``), to take the disks from.
        despite_peers: Other nodes, by name, on which nothing of the service runs although they cannot say so.
        despite_moved: Guests, by rid, that were moved away to where nobody sees them, and run nowhere.
        despite_lost_keys: Reserve disks again under what went on writing after their keys were lost.
    """

    drp: bool = False
    despite_frozen: bool = False
    despite_unknown: frozenset[str] = field(default=frozenset(), converter=_words)
    kill: bool = False
    force: frozenset[str] = field(default=frozenset(), converter=_words)
    despite_peers: frozenset[str] = field(default=frozenset(), converter=_words)
    despite_moved: frozenset[str] = field(default=frozenset(), converter=_words)
    despite_lost_keys: bool = False


@frozen(kw_only=True)
class Need:
    """Where another resource has to be for a verb to be done.

    Attributes:
        rid: The other resource.
        up: Whether it has to be up; else it has to be down.
        or_prepared: Whether it is enough that it is prepared.
    """

    rid: str
    up: bool
    or_prepared: bool = False

    def __str__(self) -> str:
        """Read as ``vmdg up``."""
        return f"{self.rid} {'prepared' if self.or_prepared else 'up' if self.up else 'down'}"


class Ruling(enum.Enum):
    """What is to become of a verb.

    ``DO`` it; it is ``NEEDLESS``, since the resource is where it should be; it would be ``UNHEARD``, so that only
    force helps; it is ``FORBIDDEN``; or nobody knows, since the resource's status is ``UNKNOWN``.
    """

    DO = "do"
    NEEDLESS = "needless"
    UNHEARD = "unheard"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Judgement:
    """A ruling, with its reason.

    Attributes:
        ruling: What is to become of the verb.
        why: The reason, for people.
        hint: What to do next, where the verb is not to be done.
    """

    ruling: Ruling
    why: str
    hint: str = ""


def clause_of(resource: Resource, state: str) -> str:
    """Where a resource stands, as a clause: addresses and applications tell one, and all else what completes "it is".

    Args:
        resource: The resource.
        state: The state that was seen of it.
    """
    return state if isinstance(resource, Located) else f"it is {state}"


def judge(verb: Verb, resource: Resource, seen: Observation | None, despite_unknown: Collection[str]) -> Judgement:
    """Decide whether a verb may be done to a resource.

    Args:
        verb: The verb.
        resource: The resource.
        seen: What was seen of it; ``None`` where nobody looked.
        despite_unknown: The rids of resources to act on although their status is unknown.

    Returns:
        The ruling and its reason.
    """
    if verb is Verb.MIGRATE:
        return _judge_migrate(seen)
    if verb is Verb.STOP and resource.proves_itself and (seen is None or seen.phase is Phase.UNKNOWN):
        return Judgement(ruling=Ruling.DO, why="it looks for itself what there is to give up")
    if seen is None or seen.phase is Phase.UNKNOWN:
        return _judge_unknown(resource, seen, agreed=resource.rid in despite_unknown)
    if verb is Verb.WAIT:
        return _judge_wait(resource, seen.phase, seen.state)
    if seen.phase is Phase.INAPPLICABLE:
        return _judge_inapplicable(verb, resource, seen)
    return (_judge_start if verb in STARTING else _judge_stop)(verb, resource, seen)


def _judge_migrate(seen: Observation | None) -> Judgement:
    """Only what is up by evidence is moved: no word of an operator stands for that."""
    if seen is None or seen.phase is Phase.UNKNOWN:
        reason = "nobody looked" if seen is None else seen.evidence.detail
        hint = "repair what keeps it from being seen"
        return Judgement(ruling=Ruling.UNKNOWN, why=f"its status is unknown: {reason}", hint=hint)
    if seen.phase is Phase.RUNNING:
        return Judgement(ruling=Ruling.DO, why=seen.state)
    if seen.phase in AT_REST:
        return Judgement(ruling=Ruling.FORBIDDEN, why=f"it is {seen.state} here: there is nothing to move")
    hint = _NOT_MOVABLE_HINTS.get(seen.phase, "see that it is up first")
    return Judgement(ruling=Ruling.FORBIDDEN, why=f"it is {seen.state}, and not up", hint=hint)


def _judge_inapplicable(verb: Verb, resource: Resource, seen: Observation) -> Judgement:
    if verb is Verb.STOP and isinstance(resource, Reserved) and resource.is_left_over:
        return Judgement(ruling=Ruling.DO, why="nothing of it is left, so it is forgotten")
    if seen.bears_no_verbs:
        return Judgement(ruling=Ruling.NEEDLESS, why=f"{seen.status}: {seen.evidence.detail}")
    if resource.proves_itself:
        return Judgement(ruling=Ruling.NEEDLESS, why=f"nothing to do: {seen.evidence.detail}")
    return Judgement(ruling=Ruling.DO, why=seen.state)  # without a check, its commands must bear being run again


def _judge_start(verb: Verb, resource: Resource, seen: Observation) -> Judgement:
    if seen.phase is Phase.RUNNING:
        return Judgement(ruling=Ruling.NEEDLESS, why="already up")
    if verb is Verb.PREPARE and seen.phase in (Phase.PREPARED, Phase.STARTING):
        return Judgement(ruling=Ruling.NEEDLESS, why=f"already {seen.state}")
    if seen.objection is not None:
        return Judgement(ruling=Ruling.FORBIDDEN, why=seen.objection.why, hint=seen.objection.hint)
    if verb is Verb.BOOT and seen.phase in AT_REST:
        return Judgement(ruling=Ruling.FORBIDDEN, why=f"it is {seen.state}, and was to be prepared", hint="try again")
    if seen.phase in resource.startable:
        return Judgement(ruling=Ruling.DO, why=seen.state)
    hint = _NOT_STARTABLE_HINTS.get(seen.phase, "")
    why = f"{clause_of(resource, seen.state)}: neither up nor down"
    return Judgement(ruling=Ruling.FORBIDDEN, why=why, hint=hint)


def _judge_wait(resource: Resource, phase: Phase, state: str) -> Judgement:
    if isinstance(resource, App):  # it is to be seen, not to be up: it is started next
        return Judgement(ruling=Ruling.NEEDLESS, why=state)
    if phase in (Phase.RUNNING, Phase.INAPPLICABLE, Phase.INCAPABLE):
        return Judgement(ruling=Ruling.NEEDLESS, why="already there" if phase is Phase.RUNNING else state)
    if phase is Phase.CONTESTED:
        return Judgement(ruling=Ruling.FORBIDDEN, why=state, hint=_NOT_STARTABLE_HINTS[phase])
    return Judgement(ruling=Ruling.DO, why=state)


def _judge_stop(verb: Verb, resource: Resource, seen: Observation) -> Judgement:
    phase, state = seen.phase, seen.state
    if phase in AT_REST:
        return Judgement(ruling=Ruling.NEEDLESS, why=f"already down ({state})")
    if phase is Phase.CONTESTED and isinstance(resource, Ip) and resource.is_plumbed:
        return Judgement(ruling=Ruling.NEEDLESS, why=f"it is not here: {state}")
    if phase is Phase.MIGRATING:
        return Judgement(ruling=Ruling.FORBIDDEN, why=f"it is {state}", hint=_WAIT_FOR_MIGRATION)
    if verb is Verb.STOP and phase in CANNOT_HEAR and isinstance(resource, Guest):
        return Judgement(ruling=Ruling.UNHEARD, why=state)
    return Judgement(ruling=Ruling.DO, why=state)


def judge_need(need: Need, seen: Observation | None, despite_unknown: Collection[str]) -> Judgement | None:
    """Decide whether another resource is where a verb needs it to be.

    Args:
        need: What the verb needs.
        seen: What was seen of that resource; ``None`` where nobody looked.
        despite_unknown: The rids of resources that the operator knows to be down, though nobody can see it.

    Returns:
        Why the verb may not be done; ``None`` where the need is met.
    """
    phase = Phase.UNKNOWN if seen is None else seen.phase
    state = "nobody looked" if seen is None else seen.state
    if phase is Phase.UNKNOWN:
        if need.rid in despite_unknown and not need.up:  # nobody can vouch for disks that nobody can see
            return None
        detail = state if seen is None else seen.evidence.detail
        return Judgement(
            ruling=Ruling.UNKNOWN,
            why=f"it needs {need}, and that is unknown: {detail}",
            hint=f"repair what keeps {need.rid} from being seen",
        )
    if phase in (_MET_BY_UP if need.up else _MET_BY_DOWN) or (need.or_prepared and phase is Phase.PREPARED):
        return None
    hint = f"see `vmsvc print status`; {'start' if need.up else 'stop'} {need.rid} first"
    if phase is Phase.SAVED:
        hint = "start it and stop it, or discard its saved memory with the hypervisor's own tool"
    return Judgement(ruling=Ruling.FORBIDDEN, why=f"it needs {need}, which is {state}", hint=hint)


#: What is degraded does its work; what is contested might be somebody else's.
_MET_BY_UP = frozenset({Phase.RUNNING, Phase.DEGRADED, Phase.INAPPLICABLE})
#: A saved guest goes on with what it knows of its disks: had another node them meanwhile, that would ruin them.
_MET_BY_DOWN = (AT_REST - {Phase.SAVED}) | {Phase.INAPPLICABLE}


def _judge_unknown(resource: Resource, seen: Observation | None, *, agreed: bool) -> Judgement:
    reason = "nobody looked" if seen is None else seen.evidence.detail
    if agreed:
        return Judgement(ruling=Ruling.DO, why=f"its status is unknown, and the operator agreed: {reason}")
    return Judgement(
        ruling=Ruling.UNKNOWN,
        why=f"its status is unknown: {reason}",
        hint="repair what keeps it from being seen; if you know its state from elsewhere, say so: "
        f"--despite-unknown {resource.rid}",
    )
