"""Commands about exclusive disks: which there are, who has reserved them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.filesize import decimal

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.columns import GAP, columns, word
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.screen import Line, Span
from vmsvc.core.disks.sets import DiskReport
from vmsvc.core.documents import reserving
from vmsvc.core.errors import ExitCode, Undetermined, UsageError, VmsvcError
from vmsvc.core.planning.limits import Limits
from vmsvc.core.service import Service
from vmsvc.core.status import Phase, Status
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import Reading
from vmsvc.core.vmdg.words import type_words

#: Columns of a table of disks; the first is a margin.
_HEADS = ("", "disk", "guest", "size", "status", "paths", "holder", "keys")


def disks(call: Call) -> int:
    """Show the disks of services: their paths, and who has reserved them.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    return _answer(call, _disk_lines, Limits())


def status(call: Call) -> int:
    """Tell how the disks of services stand with this node: a line for each.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    return _answer(call, _status_lines, selection.limits(call.arguments))


def _answer(call: Call, lines: Callable[[Sequence[DiskReport]], Iterator[Line]], limits: Limits) -> int:
    reports, failures = _reports(call, limits)
    tell(call, failures)
    call.screen.answer(reserving.disk_reports(reports, problems_of(failures)), lines(reports))
    return _exit_code(reports, failures)


def _reports(call: Call, limits: Limits) -> tuple[list[DiskReport], list[Failure]]:
    chosen, failures = selection.chosen(call.session, call.arguments.names)
    services, others = selection.within(limits, chosen)
    gone, unlisted = ([], []) if call.arguments.names or limits else selection.left_behind(call.session)
    failures += [*others, *unlisted]
    services += gone
    reports: list[DiskReport] = []
    for service, found in zip(services, call.session.disks(services, limits=limits), strict=True):
        if call.arguments.names and not found:
            failures.append(Failure(service.name, _nothing(service)))
        for rid, report in found.items():
            if isinstance(report, VmsvcError):
                problem = report.within(section=rid, file=str(service.file))
                failures.append(Failure(service.name, type(report)(problems=[problem])))
            else:
                reports.append(report)
                if service in gone and report.whole.phase is not Phase.INAPPLICABLE:
                    failures.append(Failure(service.name, _left_behind(report)))
    return reports, failures


def _left_behind(report: DiskReport) -> VmsvcError:
    """That a service has no file any more, and disks may be reserved for it."""
    record = report.found.record
    disks = ", ".join(each.name for each in record.entries)
    return Undetermined(
        record.fault or f"reserved for [{record.rid}] of {record.service}, whose file is gone: {disks}",
        code="undetermined.left-behind",
        hint=f"`vmsvc pr stop {record.service}` forgets it where the disks show nothing of this node any more; if they "
        f"do, put its file back, and `vmsvc stop {record.service}`; if they are gone for good, remove {record.file}",
    )


def _nothing(service: Service) -> VmsvcError:
    return UsageError(
        f"{service.name} has neither a [vmdg] nor a [disk#…] section",
        code="usage.no-disks",
        hint=f"`vmsvc show {service.name}` lists the disks of its guests; "
        f"`vmsvc set {service.name} vmdg.scsireserv=true` has them reserved",
    )


def _exit_code(reports: Sequence[DiskReport], failures: Sequence[Failure]) -> int:
    codes = [
        ExitCode.UNDETERMINED
        if report.found.resource.may_be_held and report.whole.phase.status is Status.UNKNOWN
        else ExitCode.DONE
        for report in reports
    ]
    return selection.worst([*codes, *(failure.error.exit_code for failure in failures)])


# --- lines --------------------------------------------------------------------------------------------------------


def _status_lines(reports: Sequence[DiskReport]) -> Iterator[Line]:
    for report in reports:
        yield from _head(report)
        rows = [
            (("  ", ""), (each.name, ""), word(each.phase.status), (each.detail or each.state, ""))
            for each in report.every
        ]
        yield from columns(rows)
        yield from _advice(report)


def _disk_lines(reports: Sequence[DiskReport]) -> Iterator[Line]:
    for report in reports:
        yield from _head(report)
        yield from columns(_rows(report), heads=_HEADS)
        for each in report.every:
            if each.phase.status not in (Status.UP, Status.DOWN):
                yield (("  ", ""), (f"{each.name}: ", ""), (each.detail or each.state, ""))
        yield from _advice(report)


def _head(report: DiskReport) -> Iterator[Line]:
    resource, whole = report.found.resource, report.whole
    key = "no key yet" if report.key is None else f"key {key_text(report.key)}"
    wanted = "" if resource.scsireserv else "; not to be reserved any more" if resource.is_left_over else _NOT_WANTED
    yield (
        (f"{resource.service} {resource.rid}", "bold"),
        GAP,
        word(whole.phase.status),
        (f"  {whole.state}  ({key}{wanted})", ""),
    )


_NOT_WANTED = "; scsireserv is false: not to be reserved"


def _advice(report: DiskReport) -> Iterator[Line]:
    if report.whole.hint and report.found.resource.may_be_held:
        yield (("  ", ""), (f"hint: {report.whole.hint}", "dim"))
    for warning in report.whole.warnings:
        yield (("  ", ""), ("warning: ", "yellow"), (warning, ""))


def _rows(report: DiskReport) -> Iterator[tuple[Span, ...]]:
    for disk, readings, judged in zip(report.found.disks, report.readings, report.judged, strict=True):
        live = next((reading for reading in readings if reading.is_live), None)
        alive = {reading.path for reading in readings if reading.is_live}
        paths = " ".join(path.removeprefix("/dev/") + ("" if path in alive else "!") for path in disk.paths)
        yield (
            ("  ", ""),
            (disk.name, ""),
            (report.found.targets.get(disk.name, ""), ""),
            (_size(disk.size_bytes), ""),
            word(judged.phase.status),
            (paths, ""),
            (_holder(report, live), ""),
            (_keys(report, live), ""),
        )
    for judged in (*report.others, *report.left_over):
        yield (
            ("  ", ""),
            (judged.name, ""),
            (report.found.targets.get(judged.name, ""), ""),
            ("", ""),
            word(judged.phase.status),
        ) + (("", ""),) * 3


def _holder(report: DiskReport, live: Reading | None) -> str:
    if live is None:
        return "?"
    if live.reservation is None:
        return "nobody"
    if not live.reservation.key:
        return f"all registrants, {type_words(live.reservation.type)}"
    return report.named(live.reservation.key)


def _keys(report: DiskReport, live: Reading | None) -> str:
    if live is None:
        return "?"
    counts = {key: live.keys.count(key) for key in live.keys}
    return ", ".join(f"{count} x {report.named(key)}" for key, count in counts.items()) or "none"


def _size(size_bytes: int | None) -> str:
    return "?" if size_bytes is None else decimal(size_bytes)
