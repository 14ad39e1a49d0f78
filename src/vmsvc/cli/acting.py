"""Commands that act: start, stop, restart, boot, migrate, and plan, which only says what they would do."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from vmsvc.cli import render, selection
from vmsvc.cli.call import Call
from vmsvc.cli.columns import word
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.parallel import breaking_off, each
from vmsvc.cli.progress import Silence, shown
from vmsvc.cli.screen import Line, plain
from vmsvc.core.disks.booting import BOOT
from vmsvc.core.documents import actions, envelope
from vmsvc.core.errors import (
    INTERRUPTED,
    ActionFailed,
    ExitCode,
    Problem,
    Refused,
    Severity,
    Undetermined,
    UsageError,
    VmsvcError,
)
from vmsvc.core.execution.lock import holder_of
from vmsvc.core.execution.report import Report, StepResult
from vmsvc.core.instance import ServiceStatus
from vmsvc.core.planning.plan import Plan
from vmsvc.core.planning.rules import Consent
from vmsvc.core.service import Service
from vmsvc.core.status import Status
from vmsvc.core.verb import Verb

#: Problems that tell what became of things once something has failed; a rollback that failed is an error itself.
_NEWS = {
    "action.rolled-back": Severity.NOTE,
    "action.left": Severity.NOTE,
    "action.told": Severity.NOTE,
    "action.not-recorded": Severity.WARNING,
}


#: What an interrupt does to an action.
_BROKEN_OFF = {
    "start": "what is running is broken off, and what was started is stopped again",
    "restart": "what is running is broken off; what was stopped stays down, and what was started is stopped again",
    "stop": "nothing more is stopped; what was stopped stays down, and what was asked to stop may still do so",
    "boot": "nothing more is given up but what has been begun",
    "migrate": "a move that is under way goes on, and no other one is begun; to leave now may break it off half-way",
}


@frozen(kw_only=True)
class Ending:
    """How an action on one service ended.

    Attributes:
        name: The service's name.
        report: What was done; ``None`` where it failed or was refused.
        status: The service's status afterwards; ``None`` where nobody looked.
        error: Why it failed or was refused; ``None`` where it did not.
        notes: What was told before anything was done.
        only: The rids of the resources that it was limited to; empty for all.
    """

    name: str
    report: Report | None = None
    status: ServiceStatus | None = None
    error: VmsvcError | None = None
    notes: tuple[Problem, ...] = ()
    only: frozenset[str] = frozenset()

    @property
    def exit_code(self) -> ExitCode:
        """What the command would exit with for this service alone.

        What was forgiven is no failure. But where nobody knows what became of it, and the service's status is unknown,
        too, that is no success either.
        """
        if self.error is not None:
            return self.error.exit_code
        is_unclear = any(isinstance(result.failure, Undetermined) for result in self._forgiven)
        is_unknown = self.status is not None and self.status.avail is Status.UNKNOWN
        return ExitCode.UNDETERMINED if is_unclear and is_unknown else ExitCode.DONE

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What there is to tell beside the result and the notes."""
        told: list[Problem] = []
        if self.report is not None:
            told += [Problem(message=each, code="note.told", severity=Severity.NOTE) for each in self.report.told]
            told += [
                Problem(message=loss, code="warning.not-recorded", severity=Severity.WARNING)
                for loss in self.report.losses
            ]
            told += [
                Problem(
                    message=f"{result.step} failed: {result.error}", code="warning.trigger", severity=Severity.WARNING
                )
                for result in self.report.results
                if result.step.trigger is not None and result.failure is not None
            ]
            for result in self._forgiven:
                if result.failure is not None:
                    first = evolve(result.failure.problems[0], message=f"{result.step} failed: {result.error}")
                    told += [each.as_warning() for each in (first, *result.details)]
        if self.error is not None:
            told += [
                evolve(problem, severity=_NEWS.get(problem.code, problem.severity)) for problem in self.error.problems
            ]
        return tuple(told)

    @property
    def _forgiven(self) -> list[StepResult]:
        report = self.report
        return [] if report is None else [each for each in report.results if each.is_forgiven(report.plan.service)]


def act(call: Call) -> int:
    """Start, stop, restart or move services, or do what a node does after it has booted.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    if call.arguments.dry_run:
        return plan(call)
    arguments, screen = call.arguments, call.screen
    services, failures = _services(call)
    names = [service.name for service in services]
    cancelled = threading.Event()
    with (
        shown(screen, arguments.action, names, verbose=arguments.verbose) as progress,
        breaking_off(cancelled),
    ):

        def work(service: Service) -> Ending:
            consent = _consent(call, service, services)
            ending = _act(call, service, consent, progress=progress, cancelled=cancelled)
            progress.ended(service.name)
            return ending

        announce = _Announcement(call, cancelled)
        try:
            results = each(work, services, width=arguments.parallel, meanwhile=announce)
        except KeyboardInterrupt:
            screen.say("left at once: `vmsvc status` tells what was cut short, and how far it had come")
            raise
    endings = [
        Ending(name=service.name, error=result, only=_only(call, service)) if isinstance(result, VmsvcError) else result
        for service, result in zip(services, results, strict=True)
    ]
    tell(call, failures)
    for ending in endings:
        for problem in ending.problems:
            screen.tell(problem, of=ending.name)
    screen.answer(_document(call, endings, problems_of(failures)), _lines(endings, _to(call)))
    return selection.worst([*(item.exit_code for item in endings), *(each.error.exit_code for each in failures)])


def plan(call: Call) -> int:
    """Show what an action would do.

    Args:
        call: The call.

    Returns:
        The exit code: what the action would be refused with.
    """
    services, failures = _services(call)

    def work(service: Service) -> Plan:
        consent = _consent(call, service, services)
        only = _only(call, service)
        return call.session.plan(call.arguments.action, service, consent=consent, only=only, to=_to(call))

    plans: list[Plan] = []
    for service, result in zip(services, each(work, services), strict=True):
        if isinstance(result, VmsvcError):
            failures.append(Failure(service.name, result))
        else:
            plans.append(result)
    tell(call, failures)
    for item in plans:
        for problem in (*item.notes, *item.refusals):
            call.screen.tell(problem, of=item.service.name)
    call.screen.answer(actions.plans(plans, problems_of(failures)), render.plans(plans))
    return selection.worst([item.exit_code for item in plans] + [item.error.exit_code for item in failures])


def _only(call: Call, service: Service) -> frozenset[str]:
    """The rids of the resources to which an action is limited; empty for all."""
    return frozenset(selection.limits(call.arguments).rids_of(service))


def _to(call: Call) -> str:
    """The node to which a migration goes; of other actions there is none."""
    action, to = call.arguments.action, str(getattr(call.arguments, "to", None) or "")
    if bool(to) != (action == Verb.MIGRATE.value):
        verdict = "takes no --to" if to else "needs --to NODE"
        raise UsageError(f"{action} {verdict}", code="usage.to", hint="`vmsvc plan migrate NAME --to NODE` has both")
    return to


class _Announcement:
    """Says once that an interrupt was heard."""

    def __init__(self, call: Call, cancelled: threading.Event) -> None:
        self._call = call
        self._cancelled = cancelled
        self._made = False

    def __call__(self) -> None:
        if self._cancelled.is_set() and not self._made:
            self._made = True
            what = _BROKEN_OFF[self._call.arguments.action]
            self._call.screen.say(f"interrupted: {what} (interrupt once more to leave at once)")


def _consent(call: Call, service: Service, among: Sequence[Service]) -> Consent:
    """What the operator agrees to for one of several services.

    A node that is a peer of another one of them alone is no slip of the pen, and nothing to this one.
    """
    arguments, node = call.arguments, call.session.node
    own = {peer.casefold() for peer in service.peers_of(node)}
    others = {peer.casefold() for other in among for peer in other.peers_of(node)} - own
    return Consent(
        drp=arguments.drp,
        despite_frozen=arguments.despite_frozen,
        kill=arguments.kill,
        despite_unknown=arguments.despite_unknown,
        force=arguments.force,
        despite_moved=arguments.despite_moved,
        despite_lost_keys=arguments.despite_lost_keys,
        despite_peers=[peer for peer in arguments.despite_peer if peer.casefold() not in others],
    )


def _services(call: Call) -> tuple[list[Service], list[Failure]]:
    """The services to act on, every one of those that were asked for; all that can be read where none was named.

    A rid that one does not have is refused: a slip of the pen must not pass for consent.
    """
    names = call.arguments.names
    if names:
        gone = [service for service in _left_behind(call) if service.name in names]
        there = [name for name in names if name not in {service.name for service in gone}]
        services, failures = [*selection.all_of(call.session, there), *gone], list[Failure]()
    else:
        services, failures = selection.chosen(call.session, names)
        failures += [Failure(name="", error=Undetermined(problems=[each])) for each in call.session.forgotten()]
    if getattr(call.arguments, "applications", False):
        services = [call.session.with_applications(service) for service in services]
    for service in services:
        selection.limits(call.arguments).rids_of(service)
        for rid in (*call.arguments.despite_unknown, *call.arguments.despite_moved):
            service.resource(rid)
    return services, failures


def _left_behind(call: Call) -> list[Service]:
    """Services that have no file any more, where what was reserved for them is to be forgotten."""
    is_release = call.arguments.action == "stop" and getattr(call.arguments, "reserved", False)
    return call.session.left_behind() if is_release else []


def _act(call: Call, service: Service, consent: Consent, *, progress: Silence, cancelled: threading.Event) -> Ending:
    """Act on one service, and look at it afterwards, unless it is left as it was or cannot be seen."""
    action, session, name, only = call.arguments.action, call.session, service.name, _only(call, service)
    if cancelled.is_set():
        raise ActionFailed(f"{action} of {name} was not begun: interrupted", code=INTERRUPTED)
    if holder := holder_of(session.node, name):
        progress.waiting(name, holder)
    notes: list[Problem] = []

    def planned(plan: Plan) -> None:
        notes.extend(plan.notes)
        for note in notes:
            call.screen.tell(note, of=name)

    report: Report | None = None
    error: VmsvcError | None = None
    try:
        report = session.act(
            action,
            service,
            consent=consent,
            only=only,
            to=_to(call),
            planned=planned,
            progress=progress,
            waiting=lambda whom: progress.waiting(name, whom),
            cancelled=cancelled,
        )
    except VmsvcError as failure:
        error = failure
    is_as_it_was = isinstance(error, (Refused, Undetermined)) or (action == BOOT and report and not report.results)
    status = None if is_as_it_was else session.status(service)
    return Ending(name=name, report=report, status=status, error=error, notes=tuple(notes), only=only)


def _lines(endings: Sequence[Ending], to: str) -> Iterator[Line]:
    """``web: up (start container#1, 0.4 s)``; nothing for what failed, which is told elsewhere.

    What has moved to another node is down here, which is not what to say of it: it was seen up there.
    """
    for ending in endings:
        if ending.report is None:
            continue
        plan = ending.report.plan
        kept = "; ".join(f"{item.rid} {item.why}" for item in plan.kept)
        taken = "; ".join(map(_taken, ending.report.results))
        nothing = "it reserves no disks" if plan.action == BOOT else "it has no resources"
        did = taken or f"nothing to do: {kept or nothing}"
        if ending.status is None:
            yield plain(f"{ending.name}: {did}")
        elif to and _has_moved(ending.report):
            yield plain(f"{ending.name}: on {to} ({did})")
        else:
            yield ((f"{ending.name}: ", ""), word(ending.status.avail), (f" ({did})", ""))


def _has_moved(report: Report) -> bool:
    """Whether all that was to move was seen where it was to go."""
    is_there = any(item.in_place for item in report.plan.kept)
    return all(result.failure is None for result in report.results) and (is_there or bool(report.results))


def _taken(result: StepResult) -> str:
    return f"{result.step}{' failed' if result.failure else ''}, {result.duration_s:.1f} s"


def _document(call: Call, endings: Sequence[Ending], problems: Sequence[Problem]) -> envelope.Data:
    results = [
        actions.action_result(
            ending.name,
            exit_code=ending.exit_code,
            report=ending.report,
            status=ending.status,
            problems=(*ending.notes, *ending.problems),
            only=ending.only,
        )
        for ending in endings
    ]
    return actions.action(
        call.arguments.action, results, problems, command=getattr(call.arguments, "called", call.arguments.action)
    )
