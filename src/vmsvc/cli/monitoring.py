"""The command that keeps services up: monitor."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.parallel import breaking_off, each
from vmsvc.cli.screen import plain
from vmsvc.core.documents import actions
from vmsvc.core.errors import ExitCode, UsageError, VmsvcError
from vmsvc.core.keeping.upkeep import Care, Deed, Upkeep

#: How a service stands, and what was done about it.
Round = tuple[Upkeep, Sequence[Deed]]


def monitor(call: Call) -> int:
    """Start again what is down, once or until interrupted.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    cancelled = threading.Event()
    if call.arguments.once or call.arguments.dry_run:
        with breaking_off(cancelled):
            rounds, failures = _round(call, cancelled)
        tell(call, failures)
        _tell(call, rounds)
        lines = [line for item in rounds for line in _lines(item)] or [_nothing(rounds)]
        call.screen.answer(actions.monitoring(rounds, problems_of(failures)), map(plain, lines))
        return selection.worst([*map(_exit_code, rounds), *(failure.error.exit_code for failure in failures)])
    if call.screen.json:
        raise UsageError(
            "JSON is one document, and monitor has no end", hint="say `vmsvc monitor --once --format json`"
        )
    with breaking_off(cancelled):
        _loop(call, cancelled)
    return ExitCode.DONE


def _loop(call: Call, cancelled: threading.Event) -> None:
    """Look again and again; what has not changed since the look before is not told again."""
    told: set[str] = set()
    while not cancelled.is_set():
        rounds, failures = _round(call, cancelled)
        news = {f"{failure.name}: {problem}" for failure in failures for problem in failure.error.problems}
        if news - told:
            tell(call, failures)
        _tell(call, rounds)
        for upkeep, deeds in rounds:
            for line in _lines((upkeep, deeds)):
                if deeds or line not in told:
                    call.screen.say(line)
                news.add(line)
        told = news
        cancelled.wait(call.arguments.interval)


def _round(call: Call, cancelled: threading.Event) -> tuple[list[Round], list[Failure]]:
    """Look at all services at once, and do what is to be done. Files are read anew: they may have changed."""
    services, failures = selection.chosen(call.session, call.arguments.names)
    stands = call.session.upkeep(services)

    def work(upkeep: Upkeep) -> list[Deed]:
        return [] if call.arguments.dry_run else call.session.keep_up(upkeep, cancelled=cancelled)

    rounds: list[Round] = []
    for upkeep, deeds in zip(stands, each(work, stands), strict=True):
        if isinstance(deeds, VmsvcError):
            failures.append(Failure(upkeep.service.name, deeds))
        else:
            rounds.append((upkeep, deeds))
    return rounds, failures


def _tell(call: Call, rounds: Sequence[Round]) -> None:
    """Tell what failed of what was tried."""
    for upkeep, deeds in rounds:
        for deed in deeds:
            for problem in deed.error.problems if deed.error is not None else ():
                call.screen.tell(problem, of=upkeep.service.name)


def _lines(item: Round) -> Iterator[str]:
    upkeep, deeds = item
    name = upkeep.service.name
    tried = {deed.rid for deed in deeds}
    for found in upkeep.findings:
        if found.rid not in tried:
            told = {Care.START: ": to be started again", Care.GIVE_UP: ": given up"}.get(found.care, "")
            yield f"{name}: {found.rid}: {found.why}{told}"
    for deed in deeds:
        yield f"{name}: {deed.words}: {'failed' if deed.error is not None else 'done'}"
    if upkeep.findings and upkeep.pause:
        yield f"{name}: nothing is done: {upkeep.pause}"


def _nothing(rounds: Sequence[Round]) -> str:
    """Why there is nothing to tell."""
    stands = [upkeep for upkeep, _ in rounds]
    if held := [f"{each.service.name} ({', '.join(each.held)})" for each in stands if each.held]:
        return f"nothing to do; kept up here: {', '.join(held)}"
    paused = "".join(f"; {each.service.name}: {each.pause}" for each in stands if each.pause)
    return f"nothing to do: nothing was started here in this boot that has not been stopped since{paused}"


def _exit_code(item: Round) -> ExitCode:
    """What one service amounts to: 4 where nobody could see, 1 where something stays down, 0 otherwise."""
    upkeep, deeds = item
    started = {deed.rid for deed in deeds if deed.error is None}
    codes = [ExitCode.DONE, *(deed.error.exit_code for deed in deeds if deed.error is not None)]
    codes += [
        ExitCode.UNDETERMINED if found.is_unknown else ExitCode.FAILED
        for found in upkeep.findings
        if found.rid not in started
    ]
    return max(codes)
