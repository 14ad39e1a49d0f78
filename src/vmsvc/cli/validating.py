"""The command that validates disks: a report of checks, and an exit code that sums them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from vmsvc.cli.call import Call
from vmsvc.cli.columns import GAP, columns
from vmsvc.cli.screen import Line
from vmsvc.core.disks.validating import Validation
from vmsvc.core.documents import reserving
from vmsvc.core.errors import ExitCode
from vmsvc.core.vmdg.validation import Verdict

_STYLES = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
    Verdict.UNKNOWN: "bold magenta",
}


def validate(call: Call) -> int:
    """Check the disks of a service, in a way that is safe for disks in use, or by trying everything on spare ones.

    Args:
        call: The call.

    Returns:
        The exit code: 1 where a check has failed, else 4 where one could not be made, else 0.
    """
    service, scratch = call.session.load(call.arguments.name), call.arguments.scratch
    done = call.session.validate_disks(service, scratch=scratch)
    call.screen.answer(reserving.validated_disks(service.name, done, scratch=scratch), _lines(done, scratch))
    verdicts = {check.verdict for validation in done for check in validation.checks}
    if Verdict.FAILED in verdicts:
        return ExitCode.FAILED
    return ExitCode.UNDETERMINED if Verdict.UNKNOWN in verdicts else ExitCode.DONE


def _lines(done: Sequence[Validation], scratch: Sequence[str]) -> Iterator[Line]:
    how = "everything tried, with throw-away keys" if scratch else "read only: safe for disks in use"
    for validation in done:
        resource, checks = validation.resource, validation.checks
        counts = Counter(check.verdict for check in checks)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        yield ((f"{resource.service} {resource.rid}", "bold"), GAP, (told, ""), (f"  ({how})", "dim"))
        rows = [
            (
                ("  ", ""),
                (str(check.verdict), _STYLES[check.verdict]),
                (check.name, ""),
                (check.disk, ""),
                (check.text, ""),
            )
            for check in checks
        ]
        yield from columns(rows, heads=("", "verdict", "check", "disk", "why"))
