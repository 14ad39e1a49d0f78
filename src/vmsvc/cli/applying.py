"""The command that has launchers tell about the applications that they start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.screen import Line, plain
from vmsvc.core.documents import applications
from vmsvc.core.errors import ExitCode, VmsvcError
from vmsvc.core.inside.launching import Told
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.command import printable

#: How much of what a launcher tells is shown: lines, and characters of each. A document has all of it.
_MOST_LINES, _MOST_CHARACTERS = 100, 500


def info(call: Call) -> int:
    """Show what launchers tell.

    Args:
        call: The call.

    Returns:
        The exit code: 1 where a launcher has failed.
    """
    chosen, failures = selection.chosen(call.session, call.arguments.names)
    limits = selection.limits(call.arguments)
    services, others = selection.within(limits, [call.session.with_applications(service) for service in chosen])
    failures += others
    told: list[Told] = []
    for service in services:
        for rid in sorted(limits.rids_of(service)):
            try:
                told.append(call.session.app_info(service, rid))
            except VmsvcError as error:
                problem = error.within(section=rid, file=str(service.file))
                failures.append(Failure(service.name, type(error)(problems=[problem])))
    tell(call, failures)
    call.screen.answer(applications.app_info(told, problems_of(failures)), _lines(told))
    codes = [ExitCode.FAILED for each in told if any(ran.has_failed for ran in each.ran)]
    return selection.worst([*codes, *(each.error.exit_code for each in failures)])


def _lines(told: Sequence[Told]) -> Iterator[Line]:
    for each in told:
        yield ((f"{each.service} {each.rid}", "bold"), (f"  {each.useless}", ""))
        for ran in each.ran:
            yield plain(f"  {ran if ran.has_failed else ran.name}")
            if ran.outcome is not None and not ran.has_failed:
                yield from (plain(f"    {line}") for line in _shown(ran.outcome))


def _shown(outcome: Outcome) -> Iterator[str]:
    lines = [printable(line) for line in outcome.out.splitlines()]
    yield from (line[:_MOST_CHARACTERS] for line in lines[:_MOST_LINES])
    if outcome.truncated:
        yield f"[it told more than the {len(outcome.stdout)} bytes that are kept: see --format json]"
    elif len(lines) > _MOST_LINES or any(len(line) > _MOST_CHARACTERS for line in lines):
        yield f"[it told {len(outcome.stdout)} bytes: --format json has all of them]"
