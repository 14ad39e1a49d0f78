"""What an action did, and what it tells: results of steps, reports, and the error that tells a failure whole."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from vmsvc.core.errors import INTERRUPTED, ActionFailed, Problem, Refused, Undetermined, VmsvcError
from vmsvc.core.planning.plan import Plan, Step
from vmsvc.core.service import Service
from vmsvc.core.verb import STARTING, Verb

#: The code of a failure whose reason is that a guest went down while something in it, or itself, was started.
WENT_DOWN = "action.went-down"


@frozen(kw_only=True)
class StepResult:
    """How a step ended.

    Attributes:
        step: The step.
        duration_s: How long it took, in seconds.
        acted: Whether the driver was asked; not so when a rule, a plugin's veto or a full disk came first.
        is_ours: Of a start: whether it is this action that set the resource going; ``None`` where nobody can tell.
        failure: Why it failed; ``None`` where it succeeded.
    """

    step: Step
    duration_s: float = 0.0
    acted: bool = False
    is_ours: bool | None = False
    failure: VmsvcError | None = None

    @property
    def error(self) -> str:
        """Why the step failed; empty where it succeeded."""
        return "" if self.failure is None else self.failure.message

    @property
    def details(self) -> tuple[Problem, ...]:
        """What there is to tell of a failure beside the error, such as each of several launchers that failed."""
        more = () if self.failure is None else self.failure.problems[1:]
        return tuple(evolve(each, section=self.step.rid) for each in more)

    def is_forgiven(self, service: Service) -> bool:
        """Whether the step failed, and the service wants that to be told and no more.

        Not so where a guest has died, or where the step was not even tried: that is no matter of how it went.

        Args:
            service: The service.
        """
        if self.failure is None or self.failure.code == WENT_DOWN or self.step.trigger is not None:
            return False
        resource = service.resource(self.step.rid)
        return resource.forgives(self.step.verb) and (self.acted or resource.optional)


@frozen(kw_only=True)
class Progress:
    """What an action tells while it runs.

    Attributes:
        service: The service's name.
        step: The step that begins or has ended.
        duration_s: How long it took, in seconds; ``None`` when it begins.
        error: Why it failed; empty where it succeeded.
    """

    service: str
    step: Step
    duration_s: float | None = None
    error: str = ""


@frozen(kw_only=True)
class Report:
    """What an action did.

    Attributes:
        plan: What it was going to do.
        results: The steps that it took, in order, with how each ended; a step may have failed where another one
            did its job, or where its resource is optional.
        losses: What could not be recorded, and why; the action went on.
        told: What drivers have done beyond what was asked, such as whose reservations they removed.
    """

    plan: Plan
    results: tuple[StepResult, ...] = ()
    losses: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def interrupted() -> ActionFailed:
    """The error of an action that the operator broke off."""
    return ActionFailed("interrupted", code=INTERRUPTED)


def failure_of(
    plan: Plan,
    step: Step | None,
    error: BaseException,
    taken_back: Sequence[StepResult],
    left: Sequence[Step],
    *,
    moved: Sequence[Step] = (),
    stopped: Sequence[Step] = (),
    unclear: Sequence[StepResult] = (),
    losses: Sequence[str],
    told: Sequence[str] = (),
) -> VmsvcError:
    """Say in one error what failed, and what became of the things that had been started.

    Args:
        plan: The plan that failed.
        step: The step that it failed at; ``None`` where it did not come to a step.
        error: Why.
        taken_back: What was done to take back what the action had started.
        left: What it had started and left, because the service wants no rollback.
        moved: The moves of guests before, which are not taken back.
        stopped: The stops before; what was to be started again after them is down.
        unclear: The starts of which nobody knows what they did; they were left.
        losses: What could not be recorded, and why.
        told: What drivers have done beyond what was asked.

    Returns:
        An error with a problem for each thing to tell: undetermined where the end state is, refused where a safety
        rule said no and all is as it was.
    """
    cause, *details = (error if isinstance(error, VmsvcError) else interrupted()).problems
    at = f" at {step}" if step is not None else ""
    message = f"{plan.action} of {plan.service.name} failed{at}: {cause.message}"
    hint = _what_stands(plan, step) if cause.code == INTERRUPTED else cause.hint
    rid = step.rid if step is not None else ""
    problems = [evolve(cause, message=message, hint=hint, section=rid)]
    problems += [evolve(each, section=rid) for each in details]
    last_of = {result.step.rid: result for result in taken_back if result.step.trigger is None}
    for result in taken_back:
        if result.step.trigger is not None:
            line = f"on the way back: {result.step}: {result.error or 'done'}"
            problems.append(Problem(message=line, code="action.rolled-back", section=result.step.rid))
            continue
        # Where asking did not help and force did, the resource is rolled back all the same.
        last = last_of[result.step.rid].failure
        code, words = ("action.rolled-back", "") if last is None else ("action.rollback-failed", "not ")
        if last is not None and last.code == "action.left":
            code = last.code
        line = f"{words}rolled back: {result.step}: {result.error or 'done'}"
        problems.append(Problem(message=line, code=code, section=result.step.rid))
        problems += [evolve(each, code=code) for each in result.details]
    problems += [
        Problem(message=f"not rolled back, as the service wants it: {kept}", code="action.left", section=kept.rid)
        for kept in left
    ]
    problems += [
        Problem(message=f"done before, and not taken back: {each}", code="action.left", section=each.rid)
        for each in moved
    ]
    unsure = {rid for rid, result in last_of.items() if result.failure is not None}
    unsure |= {each.rid for each in left} | {result.step.rid for result in unclear}
    problems += _of_stopped(plan, [each.rid for each in stopped if each.rid not in unsure])
    problems += [_of_unclear(result.step, plan.service) for result in unclear]
    problems += [Problem(message=each, code="action.told") for each in told]
    problems += [Problem(message=f"not recorded: {loss}", code="action.not-recorded") for loss in losses]
    doubts = [error, *(result.failure for result in last_of.values())]
    # Where a resource has no status, nobody expects to know; disks are another matter.
    are_disks_unclear = any(plan.service.resource(result.step.rid).proves_itself for result in unclear)
    if are_disks_unclear or any(isinstance(doubt, Undetermined) for doubt in doubts):
        return Undetermined(problems=problems)
    # Refused is for what changed nothing; an action that has got further than that has failed.
    is_undone = not (left or moved or stopped) and all(result.failure is None for result in last_of.values())
    is_refusal = isinstance(error, Refused) and is_undone
    return (Refused if is_refusal else ActionFailed)(problems=problems)


def _of_stopped(plan: Plan, rids: Sequence[str]) -> list[Problem]:
    """What a restart has stopped, and has not started again."""
    to_start = {step.rid for step in plan.steps if step.verb in STARTING and step.trigger is None}
    return [
        Problem(
            message=f"stopped before, and not started again: {rid}",
            code="action.left",
            section=rid,
            hint=f"`vmsvc start {plan.service.name}` finishes the {plan.action}, once nothing speaks against it",
        )
        for rid in dict.fromkeys(rids)
        if rid in to_start
    ]


def _of_unclear(step: Step, service: Service) -> Problem:
    if service.resource(step.rid).proves_itself:
        message = f"left as it is, not known: {step}: see `vmsvc disks {service.name}`"
    else:
        message = f"left as it is: {step.rid}: whether it ran before cannot be told"
    return Problem(message=message, code="action.left", section=step.rid)


def _what_stands(plan: Plan, step: Step | None) -> str:
    """What an interrupt leaves, and what to do next. What was started is told by what became of it."""
    stands = ""
    if step is not None and step.verb in (Verb.STOP, Verb.KILL):
        stands = f"what was stopped before stays so, and {step.rid} may still go down; "
    return f"{stands}`vmsvc status {plan.service.name}` tells how it stands; run the same again to finish it"
