"""Whether a verb may be done to a resource, from what is seen of it. Pure.

One table, asked twice: when a plan is made, and again just before each step, since the world moves on in between.
"""

from __future__ import annotations

import enum
from collections.abc import Collection

from attrs import field, frozen

from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Observation, Phase
from vmsvc.core.verb import Verb

#: Positively seen to be down.
DOWN = frozenset({Phase.STOPPED, Phase.SAVED, Phase.ABSENT})
_CANNOT_HEAR = frozenset({Phase.PAUSED, Phase.SUSPENDED, Phase.CRASHED, Phase.STUCK})

_WAIT_FOR_MIGRATION = "try again when the migration has ended"
_NOT_STARTABLE_HINTS = {
    Phase.PAUSED: "resume it with the hypervisor's own tool, or stop the service first",
    Phase.SUSPENDED: "wake it with the hypervisor's own tool, or stop the service first",
    Phase.CRASHED: "look at why it crashed, then stop the service, then start it",
    Phase.STUCK: "look at its process, or stop the service first",
    Phase.STOPPING: "try again when it is down",
    Phase.DEGRADED: "look at what is wrong with it, or stop the service first",
    Phase.MIGRATING: _WAIT_FOR_MIGRATION,
}


@frozen(kw_only=True)
class Consent:
    """What the operator has said in words, beyond the action's name.

    Attributes:
        drp: Start on a node of ``drpnodes``.
        despite_unknown: Resources, by rid, to act on although their status is unknown.
        kill: Stop guests by force at once, without asking them first.
    """

    drp: bool = False
    despite_unknown: frozenset[str] = field(default=frozenset(), converter=frozenset)
    kill: bool = False


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
    if seen is None or seen.phase is Phase.UNKNOWN:
        return _judge_unknown(resource, seen, agreed=resource.rid in despite_unknown)
    if seen.phase is Phase.INAPPLICABLE:  # an application without a check: its commands must bear being run again
        return Judgement(ruling=Ruling.DO, why=seen.state)
    if verb is Verb.START:
        return _judge_start(seen.phase, seen.state)
    return _judge_stop(verb, resource, seen.phase, seen.state)


def _judge_start(phase: Phase, state: str) -> Judgement:
    if phase is Phase.RUNNING:
        return Judgement(ruling=Ruling.NEEDLESS, why="already up")
    if phase in DOWN or phase is Phase.STARTING:
        return Judgement(ruling=Ruling.DO, why=state)
    hint = _NOT_STARTABLE_HINTS.get(phase, "")
    return Judgement(ruling=Ruling.FORBIDDEN, why=f"it is {state}: neither up nor down", hint=hint)


def _judge_stop(verb: Verb, resource: Resource, phase: Phase, state: str) -> Judgement:
    if phase in DOWN:
        return Judgement(ruling=Ruling.NEEDLESS, why=f"already down ({state})")
    if phase is Phase.MIGRATING:
        return Judgement(ruling=Ruling.FORBIDDEN, why=f"it is {state}", hint=_WAIT_FOR_MIGRATION)
    if verb is Verb.STOP and phase in _CANNOT_HEAR and isinstance(resource, Guest):
        return Judgement(ruling=Ruling.UNHEARD, why=state)
    return Judgement(ruling=Ruling.DO, why=state)


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
