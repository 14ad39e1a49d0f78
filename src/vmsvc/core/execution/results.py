"""What the results of steps mean for those that follow, and for the way back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from vmsvc.core.errors import INTERRUPTED, Undetermined
from vmsvc.core.execution.report import StepResult
from vmsvc.core.kinds import Ip
from vmsvc.core.planning.plan import Step
from vmsvc.core.service import Service
from vmsvc.core.status import AT_REST, Observation, Phase
from vmsvc.core.verb import BRINGING_UP, STARTING, Verb

#: Phases of what may run, or not.
_TELLS_NOTHING = (Phase.INAPPLICABLE, Phase.UNKNOWN)


def starts(step: Step) -> bool:
    """Whether a step starts something, or runs a command around a start.

    Args:
        step: The step.
    """
    return (step.verb if step.trigger is None else step.trigger.verb) in STARTING


def to_take_back(
    started: Sequence[Step], found_up: Sequence[Step], results: Sequence[StepResult], service: Service
) -> list[Step]:
    """What this action has to take back. A guest that others have booted is theirs, with what it was given.

    Args:
        started: The steps that began to start something.
        found_up: Those that found it up when their turn came.
        results: How all steps ended.
        service: Their service.
    """
    not_ours = {result.step for result in results if not result.is_ours}
    boots = [*found_up, *(result.step for result in results if result.acted and not result.is_ours)]
    others = {step.rid for step in boots if step.verb is Verb.BOOT}

    def is_others(step: Step) -> bool:
        resource = service.resource(step.rid)
        is_given = isinstance(resource, Ip) and resource.is_plumbed and resource.container_id in others
        return step.rid in others or is_given

    return [step for step in started if step not in not_ours and not is_others(step)]


def was_set_going(step: Step, seen: Observation, service: Service, results: Sequence[StepResult]) -> bool | None:
    """Whether a start has set its resource going, by what was seen before; ``None`` where nobody can tell.

    What was down was set going by it. What has no status, or an unknown one, may have run before; unless it is inside a
    guest that did not.

    Args:
        step: The start.
        seen: What was seen before.
        service: Its service.
        results: How the steps before it ended.
    """
    if step.trigger is not None or seen.phase not in _TELLS_NOTHING:
        return seen.phase in (*AT_REST, Phase.PREPARED)
    resource = service.resource(step.rid)
    if resource.proves_itself:
        return False
    guest = service.guest_of(resource).rid if service.is_inside_guest(resource) else ""
    is_fresh = any(each.step.rid == guest and each.step.verb in BRINGING_UP and each.is_ours for each in results)
    return True if is_fresh else None


def done_of(results: Sequence[StepResult], *verbs: Verb) -> list[Step]:
    """The steps that were taken, of some verbs, and have succeeded; but not what ran around them.

    Args:
        results: How steps ended.
        verbs: The verbs.
    """
    done = [each for each in results if each.acted and each.failure is None and each.step.trigger is None]
    return [each.step for each in done if each.step.verb in verbs]


def is_unclear(result: StepResult, service: Service) -> bool:
    """Whether nobody knows what a start did to a resource: then nothing is taken back, either.

    Args:
        result: How it ended.
        service: Its service.
    """
    step, failure = result.step, result.failure
    if step.verb is not Verb.START or step.trigger is not None:
        return False
    if not service.resource(step.rid).proves_itself:
        return result.acted and result.is_ours is None
    was_interrupted = failure is not None and failure.code == INTERRUPTED
    return result.acted and not result.is_ours and (was_interrupted or isinstance(failure, Undetermined))


def is_done_to(step: Step, runs: Step) -> bool:
    """Whether a step is what a resource's trigger runs around.

    Args:
        step: The step.
        runs: The step that runs the trigger.
    """
    return step.trigger is None and step.rid == runs.rid and starts(step) == starts(runs)


def is_barred(step: Step, results: Sequence[StepResult]) -> bool:
    """Whether something has failed that must not fail before a step: the first half of a start, or a command.

    Args:
        step: The step.
        results: How the steps before it ended.
    """
    if step.verb is Verb.BOOT and any(
        result.failure is not None and result.step.verb is Verb.PREPARE and result.step.rid == step.rid
        for result in results
    ):
        return True
    return any(
        result.failure is not None
        and result.step.trigger is not None
        and result.step.trigger.is_blocking
        and result.step.trigger.is_before
        and result.step.rid == step.rid
        and starts(result.step) == starts(step)
        and not step.takes_back
        for result in results
    )
