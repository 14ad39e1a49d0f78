"""The command that watches over reserved disks: keys that are lost under a running guest are an alarm."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from attrs import define, field

from vmsvc.cli import selection
from vmsvc.cli.call import Call, unexpected
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.parallel import breaking_off, each
from vmsvc.cli.screen import Line, Span
from vmsvc.core.disks.watch import Concern, Noticed, Watched, what_stopped
from vmsvc.core.documents import reserving
from vmsvc.core.errors import ExitCode, Problem, Refused, VmsvcError
from vmsvc.core.planning.plan import Plan
from vmsvc.core.planning.rules import Consent
from vmsvc.core.service import Service
from vmsvc.core.status import Status

_STYLES = {
    Concern.CARE: "yellow",
    Concern.UNKNOWN: "bold magenta",
    Concern.CONTESTED: "bold red",
    Concern.LOST: "bold red",
}
_WORDS = {
    Concern.CARE: "warning",
    Concern.UNKNOWN: "unknown",
    Concern.CONTESTED: "ALARM",
    Concern.LOST: "ALARM",
}


def watch(call: Call) -> int:
    """Look whether guests still have their disks, once or again and again; do what services want where they do not.

    Args:
        call: The call.

    Returns:
        The exit code: that of the last look.
    """
    watcher = _Watcher(call=call)
    with breaking_off(watcher.enough):
        while True:
            code = watcher.look()
            if call.arguments.once or watcher.enough.wait(call.arguments.interval):
                return code


@define(kw_only=True)
class _Watcher:
    """Looks, and tells what differs from the look before.

    Attributes:
        call: The call.
        enough: Set when the operator has had enough.
        told: What was told last.
    """

    call: Call
    enough: threading.Event = field(factory=threading.Event)
    told: object = None

    def look(self) -> int:
        """One look. Whatever goes wrong with it is told, and does not end the watch."""
        try:
            services, failures = selection.chosen(self.call.session, self.call.arguments.names)
            if not self.call.arguments.names:
                gone, unlisted = selection.left_behind(self.call.session)
                services, failures = services + gone, failures + unlisted
            noticed = self._noticed(services)
        except Exception as error:  # noqa: BLE001 - a watch that ends on a defect would see nothing any more
            noticed = []
            failures = [Failure("", error if isinstance(error, VmsvcError) else unexpected(error))]
        self._tell(noticed, failures)
        if any(one.watched.concern.is_alarm for one in noticed):
            return int(ExitCode.FAILED)
        unseen = [ExitCode.UNDETERMINED for one in noticed if one.watched.concern is Concern.UNKNOWN]
        return selection.worst([*unseen, *(failure.error.exit_code for failure in failures)])

    def _tell(self, noticed: Sequence[Noticed], failures: Sequence[Failure]) -> None:
        problems = problems_of(failures)
        now = (
            [
                (one.watched.resource.service, one.watched.resource.rid, one.watched.concern, one.watched.text)
                for one in noticed
            ],
            problems,
        )
        if now == self.told and not any(one.stopped or one.error for one in noticed):
            return
        self.told = now
        tell(self.call, failures)
        self.call.screen.answer(reserving.watch(noticed, problems), _lines(noticed, problems))

    def _noticed(self, services: Sequence[Service]) -> list[Noticed]:
        """Look at all services, and answer to what is lost: each service by itself, so that none waits for another."""
        seen = self.call.session.watch(services)
        names = [*dict.fromkeys(one.resource.service for one in seen)]
        of_each = [[one for one in seen if one.resource.service == name] for name in names]
        noticed: list[Noticed] = []
        for of_one, answers in zip(of_each, each(self._answered, of_each), strict=True):
            if isinstance(answers, VmsvcError):
                noticed += [Noticed(watched=one, error=answers if one.calls_for_kill else None) for one in of_one]
            else:
                noticed += answers
        return noticed

    def _answered(self, seen: Sequence[Watched]) -> list[Noticed]:
        """Do what a service wants where its disks were taken; its resources one after the other."""
        return [self._stopped(one) if one.calls_for_kill else Noticed(watched=one) for one in seen]

    def _stopped(self, first: Watched) -> Noticed:
        """Look again at file, disks and guests, and stop what is running by force where that says the same.

        The second look is made under the lock of the service: the disks may have come back while that was waited for.
        """
        session, name, seen = self.call.session, first.resource.service, first

        def confirm(_: Plan) -> None:
            nonlocal seen
            again = {one.resource.rid: one for one in session.watch([session.load(name)])}
            seen = again.get(first.resource.rid, first)
            if first.resource.rid not in again or not seen.confirms(first):
                raise Refused(
                    f"{', '.join(first.users)} of {name} is not stopped: a second look does not say the same",
                    code="refused.not-confirmed",
                    hint="the next look tells how it stands",
                )

        consent = Consent(kill=True, despite_unknown=first.users)
        try:
            service = session.load(name)
            report = session.act(
                "stop", service, consent=consent, only=first.users, planned=confirm, cancelled=self.enough
            )
        except VmsvcError as error:
            return Noticed(watched=seen, error=error if seen.calls_for_kill else None)
        stopped, why_not = what_stopped(seen, report)
        return Noticed(watched=seen, stopped=stopped, error=why_not)


def _lines(noticed: Sequence[Noticed], problems: Sequence[Problem]) -> Iterator[Line]:
    if not noticed and not problems:
        yield (("no service here reserves disks", ""),)
    for one in noticed:
        seen = one.watched
        place = f"{seen.resource.service} {seen.resource.rid}: "
        yield ((place, "bold"), _word(seen), (f": {seen.text}", ""))
        if one.stopped:
            yield (("  ", ""), (f"stopped by force: {', '.join(one.stopped)}, as on_lost_keys = kill says", "bold"))
        if one.error:
            yield (("  ", ""), (f"could not be stopped: {one.error}", "bold red"))
        elif not one.stopped and seen.hint and seen.concern is not Concern.NONE:
            yield (("  ", ""), (f"hint: {seen.hint}", "dim"))


def _word(seen: Watched) -> Span:
    if seen.concern is not Concern.NONE:
        return _WORDS[seen.concern], _STYLES[seen.concern]
    if not seen.users:
        return "idle", "dim"
    return ("well", "green") if seen.status is Status.UP else (str(seen.status), "dim")
