"""How a resource is stopped: asked, then forced, with what runs around that; and how a start is taken back. Pure."""

from __future__ import annotations

from attrs import evolve

from vmsvc.core.kinds import App, Reserved
from vmsvc.core.planning.around import around
from vmsvc.core.planning.draft import Draft
from vmsvc.core.planning.needs import needs_of, not_stopped_before
from vmsvc.core.planning.plan import Step
from vmsvc.core.planning.rules import Need, Ruling
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase
from vmsvc.core.verb import Verb


def stop(draft: Draft, resource: Resource, seen: Observation | None) -> None:
    """Decide how a resource is stopped.

    Args:
        draft: The plan in the making.
        resource: The resource.
        seen: What was seen of it; ``None`` where nobody looked.
    """
    judgement = draft.judgement(Verb.STOP, resource, seen)
    if judgement is None:
        return
    if judgement.ruling in (Ruling.DO, Ruling.UNHEARD):
        kill_only = draft.consent.kill or judgement.ruling is Ruling.UNHEARD
        if judgement.ruling is Ruling.UNHEARD and not draft.consent.kill:
            draft.note(
                "note.by-force",
                f"{resource.rid} is {judgement.why}: it cannot hear a request, so it is stopped by force; "
                "what it has in memory is lost",
            )
        # Where the disks show nothing of this node, nothing is taken from whoever may be using them.
        is_over = isinstance(resource, Reserved) and seen is not None and seen.phase is Phase.INAPPLICABLE
        needs = () if is_over else needs_of(Verb.STOP, resource, draft.service)
        draft.refuse_unmet("stop", resource, needs)
        stopping = _stopping(resource, kill_only=kill_only, why=judgement.why, needs=needs)
        draft.steps += around(resource, Verb.STOP, stopping, resource.rid)
    elif judgement.ruling is Ruling.NEEDLESS:
        draft.keep(resource, judgement.why, in_place=True)
    elif judgement.ruling is Ruling.UNKNOWN and _ends_with_guest(draft, resource):
        draft.keep(resource, f"{judgement.why}; it ends with its guest")
        if isinstance(resource, App):
            draft.notes.append(not_stopped_before(resource, judgement.why))
    else:  # optional or not: a stop that leaves something running must not look like one that did its work
        draft.refuse_to("stop", resource, judgement)


def _ends_with_guest(draft: Draft, resource: Resource) -> bool:
    """Whether a resource is inside a guest that the action may stop, too."""
    return draft.service.is_inside_guest(resource) and not draft.only


def undo(step: Step, service: Service) -> tuple[Step, ...]:
    """The steps that take back a start.

    Args:
        step: The step that was taken, or begun.
        service: Its service.

    Returns:
        Ask it to stop, then force it to; empty for a resource that cannot be stopped.
    """
    why = f"it was started by the action that failed: {step}"
    resource = service.resource(step.rid)
    stopping = _stopping(resource, kill_only=False, why=why, needs=needs_of(Verb.STOP, resource, service))
    return tuple(evolve(undoing, takes_back=True) for undoing in around(resource, Verb.STOP, stopping, step.rid))


def _stopping(resource: Resource, *, kill_only: bool, why: str, needs: tuple[Need, ...]) -> list[Step]:
    """Ask, then force; whichever the resource has."""
    budgets_s = resource.budgets_s
    steps = []
    kill_only = (kill_only or budgets_s.get(Verb.STOP) == 0.0) and Verb.KILL in budgets_s
    if Verb.STOP in budgets_s and not kill_only:
        steps.append(Step(rid=resource.rid, verb=Verb.STOP, budget_s=budgets_s[Verb.STOP], why=why, needs=needs))
    if Verb.KILL in budgets_s:
        budget_s = budgets_s[Verb.KILL]
        steps.append(
            Step(rid=resource.rid, verb=Verb.KILL, budget_s=budget_s, why=why, needs=needs, only_if_needed=bool(steps))
        )
    return steps
