"""Commands that act: start, stop, restart, and plan, which only says what they would do."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TypeVar

from attrs import evolve, frozen

from vmsvc.cli import render, selection
from vmsvc.cli.call import Call, unexpected
from vmsvc.cli.looking import problems_of, tell
from vmsvc.cli.progress import shown
from vmsvc.cli.screen import Line, Screen
from vmsvc.core import schema
from vmsvc.core.errors import ActionFailed, ExitCode, Problem, Severity, VmsvcError
from vmsvc.core.executor import Progress, Report
from vmsvc.core.instance import ServiceStatus
from vmsvc.core.plan import Consent, Plan
from vmsvc.core.service import Service
from vmsvc.session import Session

T = TypeVar("T")

#: How often the main thread looks whether an interrupt must be announced, in seconds.
_POLL_S = 0.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen(kw_only=True)
class Ending:
    """How an action on one service ended.

    Attributes:
        name: The service's name.
        report: What was done; ``None`` where it failed or was refused.
        status: The service's status afterwards; ``None`` where the service could not be read.
        error: Why it failed or was refused; ``None`` where it did not.
    """

    name: str
    report: Report | None = None
    status: ServiceStatus | None = None
    error: VmsvcError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What the command would exit with for this service alone."""
        return ExitCode.DONE if self.error is None else self.error.exit_code


def act(call: Call) -> int:
    """Start, stop or restart services.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    if call.arguments.dry_run:
        return plan(call)
    arguments, session, screen = call.arguments, call.session, call.screen
    names, failures = selection.names_of(session, arguments.names)
    tell(call, failures)
    cancelled = threading.Event()
    with shown(screen, arguments.action, names, verbose=arguments.verbose) as progress:

        def work(name: str) -> Ending:
            ending = _act(
                session, arguments.action, name, consent=_consent(call), progress=progress, cancelled=cancelled
            )
            progress.ended(name)
            return ending

        with _breaking_off(cancelled):
            endings = _in_parallel(work, names, width=arguments.parallel, cancelled=cancelled, screen=screen)
    for ending in endings:
        for problem in _told(ending):
            screen.tell(problem, of="" if problem.file else ending.name)
    results = [_result(ending) for ending in endings]
    screen.answer(
        schema.action(arguments.action, results, problems_of(failures)),
        (line for ending in endings for line in _lines(ending)),
    )
    return selection.worst([item.exit_code for item in endings] + [item.error.exit_code for item in failures])


def plan(call: Call) -> int:
    """Show what an action would do.

    Args:
        call: The call.

    Returns:
        The exit code: what the action would be refused with.
    """
    services, failures = selection.chosen(call.session, call.arguments.names)
    plans: list[Plan] = []
    for service in services:
        try:
            _check_rids(service, call.arguments.despite_unknown)
            plans.append(call.session.plan(call.arguments.action, service, consent=_consent(call)))
        except VmsvcError as error:
            failures.append(selection.Failure(service.name, error))
    tell(call, failures)
    for item in plans:
        for problem in (*item.notes, *item.refusals):
            call.screen.tell(problem, of="" if problem.file else item.service.name)
    call.screen.answer(schema.plans(plans, problems_of(failures)), render.plans(plans))
    return selection.worst([item.exit_code for item in plans] + [item.error.exit_code for item in failures])


def _consent(call: Call) -> Consent:
    arguments = call.arguments
    return Consent(drp=arguments.drp, kill=arguments.kill, despite_unknown=arguments.despite_unknown)


def _check_rids(service: Service, rids: Sequence[str]) -> None:
    """Refuse a rid that the service does not have: a slip of the pen must not pass for consent."""
    for rid in rids:
        service.resource(rid)


def _act(
    session: Session,
    action: str,
    name: str,
    *,
    consent: Consent,
    progress: Callable[[Progress], None],
    cancelled: threading.Event,
) -> Ending:
    """Act on one service. Whatever happens to it is its own ending, and nobody else's."""
    service: Service | None = None
    report: Report | None = None
    error: VmsvcError | None = None
    try:
        if cancelled.is_set():
            raise ActionFailed(f"{action} of {name} was not begun: interrupted", code="action.interrupted")
        service = session.load(name)
        _check_rids(service, sorted(consent.despite_unknown))
        report = session.act(action, service, consent=consent, progress=progress, cancelled=cancelled)
    except VmsvcError as failure:
        error = failure
    except Exception as failure:  # noqa: BLE001 - a defect met by one service must not hide the others
        error = unexpected(failure)
    status = None if service is None else session.status(service)
    return Ending(name=name, report=report, status=status, error=error)


def _in_parallel(
    work: Callable[[str], Ending], names: Sequence[str], *, width: int, cancelled: threading.Event, screen: Screen
) -> list[Ending]:
    """Work on names, so many at once.

    The threads are daemons: a second interrupt ends the program without waiting for them.
    """
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[Ending] = queue.SimpleQueue()
    for name in names:
        todo.put(name)

    def worker() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                done.put(work(todo.get_nowait()))

    for _ in range(min(width, len(names))):
        threading.Thread(target=worker, daemon=True).start()
    endings: dict[str, Ending] = {}
    announced = False
    while len(endings) < len(names):
        if cancelled.is_set() and not announced:
            screen.say("interrupted: what was started is stopped again; interrupt once more to leave at once")
            announced = True
        with contextlib.suppress(queue.Empty):
            ending = done.get(timeout=_POLL_S)
            endings[ending.name] = ending
    return [endings[name] for name in names]


@contextlib.contextmanager
def _breaking_off(cancelled: threading.Event) -> Iterator[None]:
    """Let the first interrupt set an event, and the second one raise."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal handlers are given
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Under nohup, a hangup is ignored, and stays so.
    caught = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, handle)) for number in caught]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _told(ending: Ending) -> Iterator[Problem]:
    """What there is to tell of an ending beside its result."""
    if ending.report is not None:
        yield from ending.report.plan.notes
        for loss in ending.report.losses:
            yield Problem(message=loss, code="warning.not-recorded", severity=Severity.WARNING)
    if ending.error is not None:
        for problem in ending.error.problems:
            is_news = problem.code in ("action.rolled-back", "action.not-rolled-back")
            yield evolve(problem, severity=Severity.NOTE) if is_news else problem


def _lines(ending: Ending) -> Iterator[Line]:
    """``web: up (start container#1, 0.4 s)``; nothing for what failed, which is told elsewhere."""
    if ending.report is None or ending.status is None:
        return
    taken = [f"{result.step}, {result.duration_s:.1f} s" for result in ending.report.results]
    kept = [f"{item.rid} {item.why}" for item in ending.report.plan.kept]
    did = "; ".join(taken) or f"nothing to do: {'; '.join(kept) or 'no resources'}"
    yield ((f"{ending.name}: ", ""), render.word(ending.status.avail), (f" ({did})", ""))


def _result(ending: Ending) -> schema.Data:
    return schema.action_result(
        ending.name,
        exit_code=ending.exit_code,
        report=ending.report,
        status=ending.status,
        problems=list(_told(ending)),
    )
