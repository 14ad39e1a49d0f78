"""Take a plan's steps: announce each on disk, wait for its result, and take back what a failed start has started."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from attrs import evolve, field, frozen

from vmsvc.core.errors import ActionFailed, Undetermined, VmsvcError
from vmsvc.core.execution.journal import Journal
from vmsvc.core.execution.moving import Journey
from vmsvc.core.execution.report import Progress, Report, StepResult, failure_of, interrupted
from vmsvc.core.execution.results import done_of, is_barred, is_done_to, is_unclear, starts, to_take_back, was_set_going
from vmsvc.core.execution.steps import StepTaker
from vmsvc.core.kinds import App
from vmsvc.core.observe import DriverFinder, key_of, observe
from vmsvc.core.planning.plan import Plan, Step
from vmsvc.core.planning.rules import Consent, Judgement, Ruling, judge, judge_need
from vmsvc.core.planning.stopping import undo
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase, unknown
from vmsvc.core.triggers import Trigger
from vmsvc.core.verb import STARTING, Verb

_log = logging.getLogger(__name__)

#: Steps that are not taken, and not missed: there is nothing to do, or the next one does it.
_LEFT_OUT = (Ruling.NEEDLESS, Ruling.UNHEARD)
#: What is not done without a trace, nor to a guest that may run elsewhere.
_VITAL = STARTING | {Verb.MIGRATE}
_NOT_LOOKED_AT = unknown("vmsvc", "nobody looked")


class StepHooks(Protocol):
    """What is called around each step; plugins may veto in the first."""

    def before_step(self, step: Step, service: Service) -> None:
        """Called when the step's intention is on disk; an exception vetoes it."""

    def after_step(self, step: Step, service: Service, error: str) -> None:
        """Called when the step's result is on disk."""


@frozen(kw_only=True)
class Executor:
    """Runs plans for one service at a time; its caller holds the service's lock.

    Args:
        driver_of: Finds the driver of a resource.
        journal: The service's journal.
        hooks: What is called around each step, but not around the operator's own commands.
        run_trigger: Runs one of the operator's own commands; raises where that fails.
        progress: Told of each step as it begins and ends.
        told: What drivers tell of what they have done beyond what was asked.
        cancelled: When set, no further step is begun, and waits end; Ctrl-C sets it, too.
        reach: Runs nothing inside a guest, within so many seconds: it raises where there is no way in.
        forget: Has the next look inside a guest not trust in an earlier one.
        confirm: Called with the rid of a guest, and with what was seen of it, at the last moment before it is started,
            or moved: raises where that must not be any more.
        renew: Has the next look inside a guest that was started go by none of the connections to what ran before.
        journey: The way to another node, of a migration.
    """

    driver_of: DriverFinder
    journal: Journal
    hooks: StepHooks
    run_trigger: Callable[[Trigger], None]
    progress: Callable[[Progress], None] = field(default=lambda _: None)
    told: Sequence[str] = ()
    cancelled: threading.Event = field(factory=threading.Event)
    reach: Callable[[Guest, float], None] = field(default=lambda _guest, _budget_s: None)
    forget: Callable[[Guest], None] = field(default=lambda _guest: None)
    confirm: Callable[[str, Observation], None] = field(default=lambda _rid, _seen: None)
    renew: Callable[[Guest], None] = field(default=lambda _guest: None)
    journey: Journey | None = None
    _left_s: dict[str, float] = field(factory=dict)
    _losses: list[str] = field(factory=list)
    _left_out: list[str] = field(factory=list)

    def run(self, plan: Plan) -> Report:
        """Take the steps of a plan.

        Args:
            plan: What to do; it has no refusals.

        Returns:
            What was done.

        Raises:
            ActionFailed: A step failed; what this action had started was stopped again, unless the service says
                ``rollback = false``. The problems tell both.
            Undetermined: A step's outcome, or that of the rollback, could not be established.
        """
        service = plan.service
        results: list[StepResult] = []
        started: list[Step] = []
        found_up: list[Step] = []
        step: Step | None = None
        try:
            with self._recording(vital=any(planned.verb in _VITAL for planned in plan.steps)):
                self.journal.begin(plan.action, tuple(str(planned) for planned in plan.steps))
            for step in plan.steps:
                seen, judgement = self._turn(step, plan.steps, service, plan.consent, results)
                if judgement.ruling in _LEFT_OUT:
                    found_up += [step] if seen.phase is Phase.RUNNING else []
                    self._left_out.extend([f"{step.rid}: {seen.evidence.detail}"] if seen.bears_no_verbs else [])
                    continue
                if step.verb in STARTING:
                    started.append(step)  # before it is taken: an interrupt may come at any moment
                result = self._try(step, service, seen, judgement, results)
                if result.failure is not None and not self._may_go_on(result, plan):
                    raise result.failure
            if started:
                self._stop_if_cancelled()  # it may have come within the last step
        except (VmsvcError, KeyboardInterrupt) as error:
            # An interrupted start is taken back too; another interrupt ends that.
            undoer = evolve(self, cancelled=threading.Event())
            started = to_take_back(started, found_up, results, service)
            taken_back = undoer.take_back(started, service) if service.rollback else []
            left = [] if service.rollback else started
            unclear = [result for result in results if is_unclear(result, service)]
            failure = failure_of(
                plan,
                step,
                error,
                taken_back,
                left,
                moved=done_of(results, Verb.MIGRATE),
                stopped=done_of(results, Verb.STOP, Verb.KILL),
                unclear=unclear,
                losses=self._losses,
                told=self.told,
            )
            with self._recording():
                self.journal.end(str(failure))
            raise failure from error
        with self._recording():
            self.journal.end("done")
        told = tuple(dict.fromkeys((*self.told, *self._left_out)))
        return Report(plan=plan, results=tuple(results), losses=tuple(self._losses), told=told)

    def take_back(self, started: Iterable[Step], service: Service) -> list[StepResult]:
        """Stop what an action has started, in reverse; leave alone what nobody can see.

        Args:
            started: The steps that began to start something.
            service: Their service.

        Returns:
            The steps that were taken, or that would have been needed, with how each ended.
        """
        taken: list[StepResult] = []
        for step in reversed(list(started)):
            undoing = undo(step, service)
            if not undoing:
                reason = ActionFailed("left as it is: it has no command that stops it", code="action.left")
                taken.append(StepResult(step=step, failure=reason))
            for undo_step in undoing:
                seen, judgement = self._turn(undo_step, undoing, service, Consent(), taken)
                is_others = step.verb is Verb.PREPARE and seen.phase is Phase.RUNNING  # who booted it was not we
                is_needless = judgement.ruling in _LEFT_OUT and not self._may_run_in_part(undo_step, service)
                if is_needless or is_others:
                    continue
                result = self._try(undo_step, service, seen, judgement, taken)
                if not result.acted and undo_step.trigger is None:
                    break
        return taken

    def _may_run_in_part(self, stop: Step, service: Service) -> bool:
        """Whether launchers, of which some may have started something, are called to stop it though checks say down."""
        resource = service.resource(stop.rid)
        if stop.trigger is not None or not isinstance(resource, App) or not resource.has_launchers:
            return False
        guest = service.guest_of(resource)
        return observe([guest], self.driver_of)[key_of(guest)].phase is Phase.RUNNING

    def _turn(
        self, step: Step, among: Sequence[Step], service: Service, consent: Consent, results: Sequence[StepResult]
    ) -> tuple[Observation, Judgement]:
        """What is to become of a step when its turn comes, after what has been done so far."""
        if step.trigger is None:
            if is_barred(step, results):
                return _NOT_LOOKED_AT, Judgement(ruling=Ruling.NEEDLESS, why="what must run before it has failed")
            return self._judge(step, service, consent)
        is_due = True
        if step.rid and step.trigger.is_before:
            # Where there is nothing left to do to the resource, there is nothing to run before it.
            later = among[among.index(step) :]
            _, judgement = self._judge(next(each for each in later if is_done_to(each, step)), service, consent)
            is_due = judgement.ruling in (Ruling.DO, Ruling.UNHEARD) and not is_barred(step, results)
        elif step.rid:
            done = [result for result in results if is_done_to(result.step, step)]
            is_due = bool(done) and done[-1].acted and done[-1].failure is None
        return _NOT_LOOKED_AT, Judgement(ruling=Ruling.DO if is_due else Ruling.NEEDLESS, why=step.why)

    def _judge(self, step: Step, service: Service, consent: Consent) -> tuple[Observation, Judgement]:
        """Look again just before a step: the world may have moved on since the plan was made."""
        resource = service.resource(step.rid)
        needs = {need.rid for need in step.needs}
        needed = [each for each in service.resources if each.rid in needs]  # one that is no more is unknown
        looked_at = needed if resource.proves_itself else [resource, *needed]
        seen = {rid: found for (_, rid), found in observe(looked_at, self.driver_of).items()}
        if resource.proves_itself:
            own = unknown(f"{resource.kind} driver", "it looks for itself")
            judgement = Judgement(ruling=Ruling.DO, why=step.why)
        else:
            own = seen[resource.rid]
            judgement = judge(step.verb, resource, own, consent.despite_unknown)
            if judgement.ruling is Ruling.UNKNOWN and step.verb is Verb.START:
                own = self._until_seen(resource, own, service)
                judgement = judge(step.verb, resource, own, consent.despite_unknown)
            if step.verb is Verb.WAIT and (judgement.ruling is Ruling.UNKNOWN or isinstance(resource, Guest)):
                judgement = Judgement(ruling=Ruling.DO, why=step.why)  # a guest that boots shows nothing at first
        for need in step.needs if judgement.ruling in (Ruling.DO, Ruling.UNHEARD) else ():
            judgement = judge_need(need, seen.get(need.rid), consent.despite_unknown) or judgement
        return own, judgement

    def _until_seen(self, resource: Resource, seen: Observation, service: Service) -> Observation:
        """Give what is inside a guest that this action has started the rest of the guest's time to show itself.

        For launchers the plan has a step that waits; this is for applications with commands of their own.
        """
        guest = service.guest_of(resource) if service.is_inside_guest(resource) else None
        if guest is None or guest.rid not in self._left_s:
            return seen
        began = time.monotonic()
        try:
            return self._taker().until_seen(resource, guest, budget_s=self._left_s[guest.rid])
        except Undetermined:  # no waiting helps
            return seen
        finally:
            self._left_s[guest.rid] = max(self._left_s[guest.rid] - (time.monotonic() - began), 0.0)

    def _may_go_on(self, result: StepResult, plan: Plan) -> bool:
        """After a failure: asking did not help and a harder step follows; or a start was optional."""
        step = result.step
        if self.cancelled.is_set():
            return False
        if step.trigger is not None and not step.trigger.is_blocking:
            return True
        asked = step.verb is Verb.STOP and result.acted  # a veto of asking is no licence to force
        harder_follows = asked and any(later.rid == step.rid and later.only_if_needed for later in plan.steps)
        is_optional = (starts(step) or step.verb is Verb.WAIT) and bool(step.rid)
        if is_optional and plan.service.resource(step.rid).optional:
            return True
        return harder_follows or result.is_forgiven(plan.service) or self._ends_with_guest(result, plan)

    @staticmethod
    def _ends_with_guest(result: StepResult, plan: Plan) -> bool:
        """What cannot be asked to stop inside a guest ends with it, where the guest is stopped next."""
        step, service = result.step, plan.service
        if step.verb is not Verb.STOP or not step.rid or not service.is_inside_guest(service.resource(step.rid)):
            return False
        guest = service.guest_of(service.resource(step.rid)).rid
        later = plan.steps[plan.steps.index(step) :]
        return isinstance(result.failure, Undetermined) and any(each.rid == guest for each in later)

    def _try(
        self, step: Step, service: Service, seen: Observation, judgement: Judgement, results: list[StepResult]
    ) -> StepResult:
        """Announce a step and take it, if it may be taken; record how it ended, in the results before all else."""
        began = time.monotonic()
        taker = self._taker()
        announced = acted = False
        failure: VmsvcError | None = None
        try:
            self._stop_if_cancelled()
            _check(judgement)
            with self._recording(vital=starts(step) or step.verb in _VITAL):
                self.journal.intend(str(step))
            announced = True
            self._tell(Progress(service=service.name, step=step))
            self._announce(step, service)
            if step.verb in _VITAL and isinstance(service.resource(step.rid), Guest):
                self.confirm(step.rid, seen)
            self._stop_if_cancelled()
            acted = True
            if step.trigger is not None:
                self.run_trigger(step.trigger)
            else:
                self._take(taker, step, service)
        except VmsvcError as error:
            failure = error
        except KeyboardInterrupt:
            self.cancelled.set()  # no harder step follows, and no other resource
            failure = _interrupted_at(step) if acted else interrupted()
        is_ours = taker.has_set_going
        if is_ours is None:  # the driver did not answer whether it was this request
            is_ours = was_set_going(step, seen, service, results)
        result = StepResult(
            step=step, duration_s=time.monotonic() - began, acted=acted, is_ours=acted and is_ours, failure=failure
        )
        results.append(result)  # before anybody is told: an interrupt there must not forget whose start it was
        if announced:
            with self._recording():
                self.journal.done(str(step), result.error)
            if step.trigger is None:
                self.hooks.after_step(step, service, result.error)
            self._tell(Progress(service=service.name, step=step, error=result.error, duration_s=result.duration_s))
        return result

    def _taker(self) -> StepTaker:
        return StepTaker(
            driver_of=self.driver_of,
            cancelled=self.cancelled,
            reach=self.reach,
            forget=self.forget,
            renew=self.renew,
            journey=self.journey,
        )

    def _take(self, taker: StepTaker, step: Step, service: Service) -> None:
        """Take a step within its budget, or within what is left of the one that it shares.

        What other resources take meanwhile, such as the addresses between the halves of a start, is not taken from it.
        """
        resource = service.resource(step.rid)
        is_shared = step.within in self._left_s
        budget_s = self._left_s[step.within] if is_shared else step.budget_s
        guest = service.guest_of(resource) if service.is_inside_guest(resource) and _brings_up(step) else None
        began = time.monotonic()
        try:
            taker.take(step, resource, budget_s=budget_s, guest=guest)
        finally:
            if is_shared or step.verb in STARTING:
                left = max(budget_s - (time.monotonic() - began), 0.0)
                self._left_s[step.within if is_shared else step.rid] = left

    def _stop_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise interrupted()

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

    def _announce(self, step: Step, service: Service) -> None:
        """Let plugins veto the step; but nobody can veto the way back."""
        if step.trigger is not None:  # the operator's own command is no affair of plugins
            return
        try:
            self.hooks.before_step(step, service)
        except Exception as error:
            if not step.takes_back:
                raise ActionFailed(f"a plugin vetoed it: {error}", code="action.vetoed") from error
            _log.warning("a plugin objects to %s of %s, which takes back a start: %s", step, service.name, error)


def _interrupted_at(step: Step) -> VmsvcError:
    """The error of a step that was broken off in the middle: a hypervisor goes on moving a guest by itself."""
    if step.verb is not Verb.MIGRATE:
        return interrupted()
    return Undetermined(
        f"interrupted while {step.rid} was moved to {step.to}: whether it goes on is not known",
        code="undetermined.migration",
        hint="`vmsvc status --peers` shows both ends. When they are clear, the same command finishes what is left",
    )


def _brings_up(step: Step) -> bool:
    """Whether a step ends when its resource is up."""
    return step.verb in (*STARTING, Verb.WAIT)


def _check(judgement: Judgement) -> None:
    """Refuse a step that the rules no longer allow, though they did when the plan was made."""
    if judgement.ruling is Ruling.UNKNOWN:
        raise Undetermined(judgement.why, code="undetermined.status", hint=judgement.hint)
    if judgement.ruling is Ruling.FORBIDDEN:
        raise ActionFailed(f"things have changed: {judgement.why}", code="action.overtaken", hint=judgement.hint)
