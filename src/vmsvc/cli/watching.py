"""The command that watches over reserved disks: keys that are lost under a running guest are an alarm."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.looking import problems_of, tell
from vmsvc.cli.parallel import breaking_off
from vmsvc.cli.screen import Line
from vmsvc.core import schema
from vmsvc.core.errors import ExitCode, VmsvcError
from vmsvc.core.rules import Consent
from vmsvc.core.service import Service
from vmsvc.core.watch import Concern, Noticed, Watched

_STYLES = {
    Concern.NONE: "green",
    Concern.CARE: "yellow",
    Concern.UNKNOWN: "bold magenta",
    Concern.LOST: "bold red",
}
_WORDS = {Concern.NONE: "well", Concern.CARE: "warning", Concern.UNKNOWN: "unknown", Concern.LOST: "ALARM"}
_CODES = {Concern.LOST: ExitCode.FAILED, Concern.UNKNOWN: ExitCode.UNDETERMINED}


def watch(call: Call) -> int:
    """Look whether guests still have their disks, once or again and again; do what services want where they do not.

    Args:
        call: The call.

    Returns:
        The exit code: that of the last look.
    """
    enough = threading.Event()
    before: list[tuple[str, str, Concern, str]] = []
    code = int(ExitCode.DONE)
    with breaking_off(enough):
        while True:
            code, now = _round(call, before)
            before = now
            if call.arguments.once or enough.wait(call.arguments.interval):
                return code


def _round(
    call: Call, before: Sequence[tuple[str, str, Concern, str]]
) -> tuple[int, list[tuple[str, str, Concern, str]]]:
    """One look; it is told where it differs from the one before."""
    services, failures = selection.chosen(call.session, call.arguments.names)
    by_name = {service.name: service for service in services}
    noticed = [_answered(call, by_name[each.resource.service], each) for each in call.session.watch(services)]
    now = [
        (each.watched.resource.service, each.watched.resource.rid, each.watched.concern, each.watched.text)
        for each in noticed
    ]
    if now != before or call.arguments.once or any(each.stopped or each.error for each in noticed):
        tell(call, failures)
        call.screen.answer(schema.watch(noticed, problems_of(failures)), _lines(noticed))
    codes = [_CODES.get(each.watched.concern, ExitCode.DONE) for each in noticed]
    return selection.worst([*codes, *(failure.error.exit_code for failure in failures)]), now


def _answered(call: Call, service: Service, seen: Watched) -> Noticed:
    """Do what the service wants where its keys are lost."""
    if seen.concern is not Concern.LOST or seen.resource.on_lost_keys != "kill":
        return Noticed(watched=seen)
    consent = Consent(kill=True, despite_unknown=seen.users)
    try:
        call.session.act("stop", service, consent=consent, only=seen.users)
    except VmsvcError as error:
        return Noticed(watched=seen, error=error)
    return Noticed(watched=seen, stopped=seen.users)


def _lines(noticed: Sequence[Noticed]) -> Iterator[Line]:
    if not noticed:
        yield (("no service here reserves disks", ""),)
    for each in noticed:
        seen = each.watched
        place = f"{seen.resource.service} {seen.resource.rid}: "
        yield ((place, "bold"), (_WORDS[seen.concern], _STYLES[seen.concern]), (f": {seen.text}", ""))
        if each.stopped:
            yield (("  ", ""), (f"stopped by force: {', '.join(each.stopped)}, as on_lost_keys = kill says", "bold"))
        elif each.error:
            yield (("  ", ""), (f"could not be stopped: {each.error}", "bold red"))
        elif seen.hint and seen.concern is not Concern.NONE:
            yield (("  ", ""), (f"hint: {seen.hint}", "dim"))
