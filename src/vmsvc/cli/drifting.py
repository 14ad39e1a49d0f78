"""What `vmsvc show --drift` does: tell how the definitions of a service's guests differ."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.screen import Line
from vmsvc.core.documents import services
from vmsvc.core.errors import ExitCode
from vmsvc.core.guests.definitions import Drift
from vmsvc.core.guests.drift import KEPT

#: What the command exits with where something differs; as diff(1) does.
DIFFERENT = ExitCode.FAILED


def drift(call: Call) -> int:
    """Compare definitions.

    Args:
        call: The call.

    Returns:
        The exit code: 0 where nothing differs, 1 where something does, 4 where that could not be found out.
    """
    service = call.session.load(call.arguments.name)
    found = call.session.drift(service)
    errors = [(item.guest.rid, error) for item in found for error in item.errors]
    problems = [error.within(section=rid, file=str(service.file)) for rid, error in errors]
    for problem in problems:
        call.screen.tell(problem)
    call.screen.answer(services.drift(service.name, found, problems), _lines(service.name, found))
    codes = [DIFFERENT for item in found if item.differences]
    return selection.worst([*codes, *(error.exit_code for _, error in errors)])


def _lines(service: str, found: Sequence[Drift]) -> Iterator[Line]:
    for item in found:
        label = f"{item.guest.rid} ({item.guest.type} {item.guest.name}): "
        count = len(item.differences)
        verdict = (f"{count} field{' differs' if count == 1 else 's differ'}", "yellow") if count else _same(item)
        yield ((label, "bold"), verdict)
        for difference in item.differences:
            yield (("  ", ""), (difference.field, "bold"))
            width = max(map(len, item.forms))
            for form in item.forms:
                value = difference.values[form]
                yield ((f"    {form:{width}}  ", "dim"), ("-", "dim") if value is None else (value or "(empty)", ""))
        if item.forms and KEPT not in item.forms and not item.errors:
            yield ((f"  nothing is kept of it: `vmsvc push {shlex.quote(service)}` does that", ""),)


def _same(item: Drift) -> tuple[str, str]:
    if item.errors:
        return "could not be compared", "bold magenta"
    if len(item.forms) < 2:  # noqa: PLR2004 - what a comparison takes
        return f"only its {' '.join(item.forms)} definition is there", ""
    return f"no drift ({', '.join(item.forms)})", "green"
