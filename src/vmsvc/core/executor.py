"""Take a plan's steps: announce each on disk, wait for its result, and take back what a failed start has started."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from attrs import evolve, field, frozen

from vmsvc.core.errors import ActionFailed, Problem, Undetermined, VmsvcError
from vmsvc.core.journal import Journal
from vmsvc.core.observe import DriverFinder
from vmsvc.core.plan import Consent, Plan, Step, undo
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase
from vmsvc.core.steps import StepTaker, is_down

_log = logging.getLogger(__name__)


class StepHooks(Protocol):
    """What is called around each step; plugins may veto in the first."""

    def before_step(self, step: Step, service: Service) -> None:
        """Called when the step's intention is on disk; an exception vetoes it."""

    def after_step(self, step: Step, service: Service, error: str) -> None:
        """Called when the step's result is on disk."""


@frozen(kw_only=True)
class StepResult:
    """How a step ended.

    Attributes:
        step: The step.
        duration_s: How long it took, in seconds.
        acted: Whether the driver was asked; not so when a plugin's veto or a full disk came first.
        failure: Why it failed; ``None`` where it succeeded.
    """

    step: Step
    duration_s: float
    acted: bool = False
    failure: VmsvcError | None = None

    @property
    def error(self) -> str:
        """Why the step failed; empty where it succeeded."""
        return "" if self.failure is None else self.failure.message


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
    """

    plan: Plan
    results: tuple[StepResult, ...] = ()
    losses: tuple[str, ...] = ()


@frozen(kw_only=True)
class Executor:
    """Runs plans for one service at a time; its caller holds the service's lock.

    Args:
        driver_of: Finds the driver of a resource.
        journal: The service's journal.
        hooks: What is called around each step.
        progress: Told of each step as it begins and ends.
        cancelled: When set, no further step is begun, and waits end; Ctrl-C sets it, too.
    """

    driver_of: DriverFinder
    journal: Journal
    hooks: StepHooks
    progress: Callable[[Progress], None] = field(default=lambda _: None)
    cancelled: threading.Event = field(factory=threading.Event)
    _losses: list[str] = field(factory=list)

    @property
    def _taker(self) -> StepTaker:
        return StepTaker(driver_of=self.driver_of, cancelled=self.cancelled)

    def run(self, plan: Plan) -> Report:
        """Take the steps of a plan.

        Args:
            plan: What to do; it has no refusals.

        Returns:
            What was done.

        Raises:
            ActionFailed: A step failed; what this action had started was stopped again, unless the service says
                ``rollback = false``. The problems tell both.
            Undetermined: A step's outcome could not be established.
        """
        service = plan.service
        results: list[StepResult] = []
        started: list[Step] = []
        step: Step | None = None
        try:
            with self._recording(vital=any(planned.verb == "start" for planned in plan.steps)):
                self.journal.begin(plan.action, tuple(str(planned) for planned in plan.steps))
            for step in plan.steps:
                seen = self._look(step, service)
                if _is_needless(step, seen):
                    continue
                is_ours = step.verb == "start" and _was_not_running(seen)
                if is_ours:
                    started.append(step)  # before it is taken: an interrupt may come at any moment
                result = self._try(step, service, doubt=_doubt(step, seen, plan.consent))
                results.append(result)
                if is_ours and not result.acted:
                    started.remove(step)
                if result.failure is not None and not self._may_go_on(result, plan):
                    raise result.failure
        except (VmsvcError, KeyboardInterrupt) as error:
            # An interrupted start is taken back too; another interrupt ends that.
            undoer = evolve(self, cancelled=threading.Event())
            taken_back = undoer.take_back(started, service) if service.rollback else []
            left = [] if service.rollback else started
            failure = _failure(plan, step, error, taken_back, left, losses=self._losses)
            with self._recording():
                self.journal.end(str(failure))
            raise failure from error
        with self._recording():
            self.journal.end("done")
        return Report(plan=plan, results=tuple(results), losses=tuple(self._losses))

    def take_back(self, started: Iterable[Step], service: Service) -> list[StepResult]:
        """Stop what an action has started, in reverse; leave alone what nobody can see.

        Args:
            started: The steps that began to start something.
            service: Their service.

        Returns:
            The steps that were taken, with how each ended.
        """
        taken: list[StepResult] = []
        for step in reversed(list(started)):
            seen = self._taker.observe(service.resource(step.rid))
            if is_down(seen):
                continue
            undoing = undo(step, service)
            if seen.phase is Phase.UNKNOWN:
                reason = Undetermined(f"left alone, since its status is unknown: {seen.evidence.detail}")
                taken.append(StepResult(step=undoing[0], duration_s=0.0, failure=reason))
                continue
            for undo_step in undoing:
                if _is_needless(undo_step, self._look(undo_step, service)):
                    continue
                taken.append(self._try(undo_step, service))
                if not taken[-1].acted:
                    break
        return taken

    def _look(self, step: Step, service: Service) -> Observation | None:
        """What is there just before a step; ``None`` for a step that is taken whatever is there."""
        if step.verb == "start" or step.only_if_needed:
            return self._taker.observe(service.resource(step.rid))
        return None

    def _may_go_on(self, result: StepResult, plan: Plan) -> bool:
        """After a failure: asking did not help and a harder step follows, or the resource is optional."""
        step = result.step
        asked = step.verb == "stop" and result.acted  # a veto of asking is no licence to force
        harder_follows = asked and any(later.rid == step.rid and later.only_if_needed for later in plan.steps)
        return not self.cancelled.is_set() and (harder_follows or plan.service.resource(step.rid).optional)

    def _try(self, step: Step, service: Service, *, doubt: Undetermined | None = None) -> StepResult:
        """Announce a step, take it unless in doubt, and record how it ended."""
        began = time.monotonic()
        acted = False
        failure: VmsvcError | None = None
        try:
            if self.cancelled.is_set():
                raise _interrupted()
            if doubt is not None:
                raise doubt
            with self._recording(vital=step.verb == "start"):
                self.journal.intend(str(step))
            self._tell(Progress(service=service.name, step=step))
            self._veto(step, service)
            acted = True
            self._taker.take(step, service.resource(step.rid))
        except VmsvcError as error:
            failure = error
        except KeyboardInterrupt:
            self.cancelled.set()  # no harder step follows, and no other resource
            failure = _interrupted()
        result = StepResult(step=step, duration_s=time.monotonic() - began, acted=acted, failure=failure)
        with self._recording():
            self.journal.done(str(step), result.error)
        self.hooks.after_step(step, service, result.error)
        self._tell(Progress(service=service.name, step=step, error=result.error, duration_s=result.duration_s))
        return result

    @contextlib.contextmanager
    def _recording(self, *, vital: bool = False) -> Iterator[None]:
        """Write to the journal. Nothing starts without a trace; a stop goes on, and the loss is told."""
        try:
            yield
        except ActionFailed as error:
            if vital:
                raise
            if str(error) not in self._losses:
                self._losses.append(str(error))

    def _tell(self, progress: Progress) -> None:
        """Tell of a step. Who listens may be gone, such as the reader of a pipe; the action is not his."""
        try:
            self.progress(progress)
        except Exception as error:  # noqa: BLE001 - whatever a listener raises
            _log.warning("nobody could be told of %s: %s", progress.step, error)

    def _veto(self, step: Step, service: Service) -> None:
        try:
            self.hooks.before_step(step, service)
        except Exception as error:
            raise ActionFailed(f"a plugin vetoed it: {error}", code="action.vetoed") from error


def _is_needless(step: Step, seen: Observation | None) -> bool:
    """Whether the world has moved on since the plan was made, or the step before has done the job."""
    if seen is None:
        return False
    return seen.phase is Phase.RUNNING if step.verb == "start" else is_down(seen)


def _was_not_running(seen: Observation | None) -> bool:
    """Whether what a start brings up is ours to take back: not so where somebody else had begun, or may have."""
    return seen is not None and (is_down(seen) or seen.phase is Phase.INAPPLICABLE)


def _doubt(step: Step, seen: Observation | None, consent: Consent) -> Undetermined | None:
    """Why a start may not go on after all: the status was known when the plan was made, and is not any more."""
    if step.verb != "start" or seen is None or seen.phase is not Phase.UNKNOWN or step.rid in consent.despite_unknown:
        return None
    return Undetermined(f"its status has become unknown: {seen.evidence.detail}", code="undetermined.status")


def _interrupted() -> ActionFailed:
    return ActionFailed("interrupted", code="action.interrupted")


def _failure(
    plan: Plan,
    step: Step | None,
    error: BaseException,
    taken_back: Sequence[StepResult],
    left: Sequence[Step],
    *,
    losses: Sequence[str],
) -> VmsvcError:
    """Say in one error what failed, and what became of the things that had been started.

    Args:
        plan: The plan that failed.
        step: The step that it failed at; ``None`` where it did not come to a step.
        error: Why.
        taken_back: What was done to take back what the action had started.
        left: What it had started and left, because the service wants no rollback.
        losses: What could not be recorded, and why.
    """
    cause = (error if isinstance(error, VmsvcError) else _interrupted()).problems[0]
    at = f" at {step}" if step is not None else ""
    problems = [evolve(cause, message=f"{plan.action} of {plan.service.name} failed{at}: {cause.message}")]
    problems += [
        Problem(message=f"rolled back: {result.step}: {result.error or 'done'}", code="action.rolled-back")
        for result in taken_back
    ]
    problems += [
        Problem(message=f"not rolled back, as the service wants it: {started}", code="action.not-rolled-back")
        for started in left
    ]
    problems += [Problem(message=f"not recorded: {loss}", code="action.not-recorded") for loss in losses]
    kind = Undetermined if isinstance(error, Undetermined) else ActionFailed
    return kind(problems=problems)
