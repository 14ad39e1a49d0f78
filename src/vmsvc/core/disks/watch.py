"""Keys that are lost under a running guest: what a look at disks and guests means for who watches over them. Pure.

Whoever evicts a node makes its writes fail, and cannot stop its guests: a guest that goes on without its disks must be
noticed where it runs.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from functools import partial

from attrs import frozen

from vmsvc.core.disks.sets import DiskReport
from vmsvc.core.errors import ActionFailed, VmsvcError
from vmsvc.core.execution.report import Report
from vmsvc.core.kinds import Reserved, Vmdg
from vmsvc.core.planning.needs import needs_of
from vmsvc.core.service import Service
from vmsvc.core.status import AT_REST, Observation, Phase, Status
from vmsvc.core.verb import Verb
from vmsvc.core.vmdg.judge import Judged


class Concern(enum.Enum):
    """What a watcher has to say of the disks of one resource.

    Attributes:
        NONE: They are reserved, or nothing runs that could write to them, or none of them can be reserved.
        CARE: They are reserved, and something is wrong; or nobody can tell whether something runs that writes to them.
        UNKNOWN: They could not be read.
        CONTESTED: Something may be writing to them, and somebody else is registered beside us, and can write, too.
        LOST: Something may be writing to them, and this node's keys are gone from one of them, or were never there:
            others may write, too.
    """

    NONE = "none"
    CARE = "care"
    UNKNOWN = "unknown"
    CONTESTED = "contested"
    LOST = "lost"

    @property
    def is_alarm(self) -> bool:
        """Whether two may be writing, or somebody writes in vain: nothing else that is seen counts more."""
        return self in (Concern.CONTESTED, Concern.LOST)


@frozen(kw_only=True)
class Watched:
    """The disks of one resource, as a watcher sees them.

    Attributes:
        resource: The resource.
        concern: What there is to say.
        text: The same in words.
        status: How the disks stand with this node.
        hint: What to do next.
        users: The rids of what may be writing to the disks now.
        taken: The disks that were reserved for the guest, as this node has written down, with which it runs, and that
            are another's now. If there are none, stopping the guest would save nothing.
    """

    resource: Reserved
    concern: Concern
    text: str
    status: Status
    hint: str = ""
    users: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def calls_for_kill(self) -> bool:
        """Whether what is running is to be stopped by force, as the service wants it."""
        return self.concern is Concern.LOST and bool(self.taken) and self.resource.on_lost_keys == "kill"

    def confirms(self, first: Watched) -> bool:
        """Whether this look says of the same disks and users what an earlier one has said: one look kills nobody.

        Args:
            first: What the earlier look has said.
        """
        mine, earlier = ((each.resource.service, each.resource.rid, {*each.users}) for each in (self, first))
        both_call = self.calls_for_kill and first.calls_for_kill
        return mine == earlier and both_call and not {*self.taken}.isdisjoint(first.taken)


@frozen(kw_only=True)
class Noticed:
    """What was noticed about one resource, and what came of it.

    Attributes:
        watched: What was seen.
        stopped: The rids of what was stopped by force, as the service wants it; as far as it was done.
        error: Why that failed, or why something was not stopped.
    """

    watched: Watched
    stopped: tuple[str, ...] = ()
    error: VmsvcError | None = None


def users_of(service: Service, disks: Reserved | None = None) -> tuple[str, ...]:
    """The rids of what may write to a service's reserved disks; a description of what has left the service's file.

    Args:
        service: The service.
        disks: The resource whose disks are meant; all that are watched over when not given.
    """
    meant = [disks] if disks else watched_over(service)
    return tuple(dict.fromkeys(need.rid for each in meant for need in needs_of(Verb.STOP, each, service)))


def watched_over(service: Service) -> list[Reserved]:
    """The resources of a service whose disks are to be reserved, or were: what this node has written down counts.

    Args:
        service: The service.
    """
    resources = [each for each in service.resources if isinstance(each, Reserved)]
    return [each for each in resources if each.may_be_held and not each.disable]


def watched(resource: Reserved, found: DiskReport | VmsvcError, users: Mapping[str, Observation | None]) -> Watched:
    """What a look at disks means.

    Args:
        resource: The resource; its disks are to be reserved, or were.
        found: What the disks showed, or why they could not be named.
        users: What was seen of everything that may write to them, by rid; ``None`` where nobody can look, since it has
            left the service's file. It may be writing.
    """
    status = Status.UNKNOWN if isinstance(found, VmsvcError) else found.whole.phase.status
    about = partial(Watched, resource=resource, status=status)
    running = tuple(
        rid for rid, seen in users.items() if seen is None or seen.phase not in {*AT_REST, Phase.INAPPLICABLE}
    )
    unseen = [rid for rid, seen in users.items() if seen is None]
    if not running:
        state = found.message if isinstance(found, VmsvcError) else found.whole.state
        text = f"nothing runs here that could write to them: {state}"
        return about(concern=Concern.NONE, text=text)
    about = partial(about, users=running)
    if isinstance(found, VmsvcError):
        return about(concern=Concern.UNKNOWN, text=found.message, hint=found.hint)
    who = ", ".join(f"{rid}, if it runs" if rid in unseen else rid for rid in running)
    if any(each.is_lost for each in found.every):
        return _lost(about, found, running, who)
    whole = found.whole
    if _is_contested(found):
        text = f"somebody else can write beside {who}: {whole.detail}"
        return about(concern=Concern.CONTESTED, text=text, hint=whole.hint)
    concern, text, hint = _CONCERNS.get(whole.phase, Concern.CARE), whole.detail, whole.hint
    if unseen:
        concern, hint = max(concern, Concern.CARE, key=_BY_WEIGHT.index), _UNSEEN_HINT
        text = f"whether {', '.join(unseen)} runs is not known, since it has left the file of its service: {text}"
    elif whole.phase is Phase.INAPPLICABLE:
        text = f"nothing keeps other nodes from the disks of {who}: {text}"
    return about(concern=concern, text=text, hint=hint)


def _lost(about: partial[Watched], found: DiskReport, running: Collection[str], who: str) -> Watched:
    """Disks that show nothing of ours, under what may be writing to them."""
    lost = [each for each in found.every if each.is_lost]
    resource, detached = found.found.resource, found.found.detached
    hint = _TAKEN_HINT if any(each.foreign for each in lost) else _LOST_HINT
    if resource.is_left_over:
        hint = _FORGET_HINT.format(service=resource.service)
    were_ours = any(each.name in found.recorded for each in lost)
    what = "this node's keys are lost" if were_ours else "this node has not reserved the disks"
    told = [f"{each.name}: {each.detail}{_DETACHED if each.name in detached else ''}" for each in lost]
    return about(
        concern=Concern.LOST,
        text=f"{what} under {who}: {'; '.join(told)}",
        hint=hint,
        taken=_taken(found, lost, running),
    )


def _is_contested(found: DiskReport) -> bool:
    """Whether somebody else can write. That a disk is named no more, and may be used still, is no protection."""
    named = any(each.phase is Phase.CONTESTED and each.foreign for each in found.judged)
    return named or any(each.foreign for each in found.left_over)


def _taken(found: DiskReport, lost: Iterable[Judged], running: Collection[str]) -> tuple[str, ...]:
    """What a guest has lost to another for certain: what it does not run with cannot be taken from it.

    A list of disks does not say whose they are: of several who run, nobody knows which one has lost anything.
    """
    is_theirs = isinstance(found.found.resource, Vmdg) or len(running) == 1
    if not (found.found.is_certain and is_theirs):
        return ()
    return tuple(each.name for each in lost if each.is_taken and each.name not in found.found.detached)


def what_stopped(seen: Watched, report: Report) -> tuple[tuple[str, ...], VmsvcError | None]:
    """What a stop by force did to those who may be writing.

    Args:
        seen: What was seen before.
        report: What was done.

    Returns:
        The rids of what was stopped; and an error where something was left that ought not to be.
    """
    stopped = tuple(
        dict.fromkeys(
            result.step.rid
            for result in report.results
            if result.step.trigger is None and result.acted and result.failure is None
        )
    )
    left = [rid for rid in seen.users if rid not in stopped]
    kept = {each.rid: each for each in report.plan.kept}
    why = [
        f"{rid}: {kept[rid].why if rid in kept else 'nothing was done to it'}"
        for rid in left
        if rid not in kept or not kept[rid].in_place
    ]
    error = ActionFailed("; ".join(why), code="action.not-stopped", hint=_STOP_HINT) if why else None
    return stopped, error


_DETACHED = " (by its definition alone: it does not run with it)"
_STOP_HINT = "stop it by the hypervisor's own means: its writes fail, or meet somebody else's"
_UNSEEN_HINT = "put it back into the file of its service, so that it is watched, and can be stopped"
_TAKEN_HINT = (
    "stop it; only if nobody else writes to the disks: `vmsvc pr start --despite-lost-keys` reserves them again"
)
_FORGET_HINT = "stop it; when it is down for certain, `vmsvc pr stop {service}` forgets its disks"
_LOST_HINT = (
    "nobody else's key is on them; if no other node has written to them: "
    "`vmsvc pr start --despite-lost-keys` reserves them again"
)
_CONCERNS = {Phase.RUNNING: Concern.NONE, Phase.INAPPLICABLE: Concern.NONE, Phase.UNKNOWN: Concern.UNKNOWN}
_BY_WEIGHT = [Concern.NONE, Concern.CARE, Concern.UNKNOWN]
