"""Commands for authors of drivers, and for who has a bug to report: sdk new, sdk test, sdk record."""

from __future__ import annotations

from pathlib import Path

from vmsvc.cli.call import Call
from vmsvc.cli.screen import plain
from vmsvc.core.documents import envelope
from vmsvc.core.errors import ExitCode, Problem, UsageError, VmsvcError


def new(call: Call) -> int:
    """Write a package with a driver whose kit passes.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    from vmsvc.testing.sdk import new_package  # noqa: PLC0415 - only authors of drivers need it

    where = Path(call.arguments.directory)
    files = new_package(call.arguments.name, where)
    package = where / f"vmsvc-{call.arguments.name}"
    lines = [plain(str(file)) for file in files]
    lines.append(plain(f"next: pip install -e {package}, and vmsvc sdk test vmsvc-{call.arguments.name}"))
    document = envelope.document("vmsvc.package/1", {"directory": str(package), "files": [str(file) for file in files]})
    call.screen.answer(document, lines)
    return ExitCode.DONE


def test(call: Call) -> int:
    """Hold installed drivers to the contract.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    from vmsvc.testing.kit import State, clauses_named, results  # noqa: PLC0415 - see above
    from vmsvc.testing.reporting import Report, document, lines  # noqa: PLC0415 - see above
    from vmsvc.testing.sdk import bringing, kit_of  # noqa: PLC0415 - see above

    wanted = clauses_named(call.arguments.clauses)
    points = bringing(call.arguments.packages)
    reports: list[Report] = []
    problems: list[Problem] = []
    for point in points:
        try:
            kit = kit_of(point)
        except VmsvcError as error:
            if len(points) == 1:
                raise
            problems.extend(error.problems)  # and the others are run all the same
            continue
        if not kit.has_backend:
            left = f"{kit.distribution} brings no backend for its kit"
            if kit.serves in call.arguments.packages or kit.distribution in call.arguments.packages:
                raise UsageError(left, hint="the tests of its source make one, and run it")
            call.screen.say(f"{left}: left to the tests of its source")
            continue
        found = []
        call.screen.say(f"{kit.distribution}: {len(wanted)} clause{'' if len(wanted) == 1 else 's'} …")
        for result in results(kit.cases, wanted):
            found.append(result)
            if result.state is State.BROKEN:
                call.screen.say(f"{kit.distribution}: {result.clause.name}: broken")
        reports.append(
            Report(serves=kit.serves, distribution=kit.distribution, version=kit.version, results=tuple(found))
        )
    for problem in problems:
        call.screen.tell(problem)
    call.screen.answer(document(reports, problems), [line for report in reports for line in lines(report)])
    broken = bool(problems) or any(result.state is State.BROKEN for report in reports for result in report.results)
    return ExitCode.FAILED if broken else ExitCode.DONE


def record(call: Call) -> int:
    """Record what a driver's read-only commands print, masked.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    from vmsvc.cli.files import settings_of  # noqa: PLC0415 - see above
    from vmsvc.testing.recording.making import record as make  # noqa: PLC0415 - see above

    served = call.arguments.type
    directory = Path(call.arguments.directory or f"vmsvc-{served}-samples")
    made = make(call.session, served, directory, settings=settings_of(call.arguments.settings))
    content = {
        "directory": str(made.directory),
        "files": [str(file) for file in made.files],
        "commands": made.commands,
        "guests": made.guests,
        "is_faithful": made.is_faithful,
        "knows_names": made.knows_names,
    }
    commands = f"{made.commands} command{'' if made.commands == 1 else 's'}"
    guests = f"{made.guests} guest{'' if made.guests == 1 else 's'}"
    told = f"{made.directory}: {commands}, {guests}, masked"
    notes = {
        True: "the driver reads it as it read the real answers",
        False: "what is masked changes what the driver reads (is a name a word of the tool's?): say so in the report",
        None: "the driver runs no commands: what it told is recorded, and cannot be replayed",
    }
    unknown = "names of guests that have no service are not masked: the driver could not tell them"
    lines = [plain(told), plain(notes[made.is_faithful]), *([] if made.knows_names else [plain(unknown)])]
    lines.append(plain("read it before you send it: free text is not masked"))
    call.screen.answer(envelope.document("vmsvc.recording/1", content), lines)
    return ExitCode.DONE
