"""The command that makes services of guests that are there already: adopt."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from attrs import evolve

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.files import settings_of
from vmsvc.cli.screen import Line, plain
from vmsvc.core.documents import services
from vmsvc.core.errors import ExitCode, Problem, Severity, VmsvcError
from vmsvc.core.guests.adoption import Adoption, Proposal, is_named
from vmsvc.core.plugins import PluginState


def adopt(call: Call) -> int:
    """Write a service file for each guest that has none, or show it.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    arguments = call.arguments
    made = call.session.adoption(arguments.guests, settings=settings_of(arguments.settings))
    failures = list(_failures(made, arguments.guests))
    problems = [problem for problem, _ in failures]
    codes = [code for _, code in failures]
    written: list[Path] = []
    for proposal in () if arguments.dry_run else made.proposals:
        try:
            proposal.draft.write()
            written.append(proposal.draft.path)
        except VmsvcError as error:
            problems += error.problems
            codes.append(error.exit_code)
    problems += _unseen(call)
    for problem in problems:
        call.screen.tell(problem)
    document = services.adoption(made, written, problems, dry_run=arguments.dry_run)
    call.screen.answer(document, _lines(made, written, dry_run=arguments.dry_run))
    for proposal in made.proposals:
        for warning in proposal.guest.warnings:
            call.screen.tell(Problem(message=warning, severity=Severity.WARNING), of=proposal.draft.service.name)
    _say_what_else(call, made)
    return selection.worst(codes)


def _failures(made: Adoption, patterns: Collection[str]) -> Iterator[tuple[Problem, ExitCode]]:
    """What kept guests from being adopted, with the exit code of each."""
    for served, error in made.errors.items():
        for problem in error.problems:
            message = f"nobody knows which {served} guests there are: {problem.message}"
            yield evolve(problem, message=message), error.exit_code
    for left in made.left:
        for problem in left.error.problems:
            message = f"the {left.type} guest {left.guest.name!r} is not adopted: {problem.message}"
            yield evolve(problem, message=message, file=""), left.error.exit_code
    names = [guest.name for guest in made.found]
    for pattern in patterns:
        if not made.errors and not any(map(is_named([pattern]), names)):
            hint = "`vmsvc adopt --dry-run` shows those that have no service"
            message = f"no guest is named {pattern!r}"
            yield Problem(message=message, code="usage.no-such-guest", hint=hint), ExitCode.USAGE


def _unseen(call: Call) -> Iterator[Problem]:
    """Plugins that were put aside: whatever guests they would have named are not among those that were found."""
    for report in call.session.plugins:
        if report.state is not PluginState.OK:
            message = f"the plugin {report.name} is not in use: it was not asked for guests"
            hint = "`vmsvc drivers` tells why"
            yield Problem(message=message, code="adoption.plugin", hint=hint, severity=Severity.WARNING)


def _lines(made: Adoption, written: Collection[Path], *, dry_run: bool) -> Iterator[Line]:
    for proposal in made.proposals:
        path = proposal.draft.path
        if dry_run:
            yield ((f"{path}: ", ""), (f"would be made for {_guest(proposal)}", ""))
            yield from (plain(f"    {line}".rstrip()) for line in proposal.draft.text.splitlines())
        elif path in written:
            yield ((f"{path}: ", ""), (f"made for {_guest(proposal)}", ""))


def _guest(proposal: Proposal) -> str:
    starts = "; orchestrate = start" if proposal.guest.autostart else ""
    return f"the {proposal.type} guest {proposal.guest.name} ({proposal.guest.state}){starts}"


def _say_what_else(call: Call, made: Adoption) -> None:
    if any(proposal.guest.autostart for proposal in made.proposals):
        message = "this version starts no services on boot: leave the hypervisor's autostart on until one does"
        call.screen.tell(Problem(message=message, hint="see `orchestrate`", severity=Severity.NOTE))
    if made.claimed:
        count = len(made.claimed)
        call.screen.say(f"{count} guest{' has' if count == 1 else 's have'} a service already")
    elif not (made.found or made.errors or call.arguments.guests):
        call.screen.say("no guests were found")
