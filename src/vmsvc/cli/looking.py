"""Commands that look: status, print status, ls, show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmsvc.cli import selection, tree
from vmsvc.cli.call import Call
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.screen import plain
from vmsvc.core.errors import ExitCode, UsageError
from vmsvc.core.instance import ServiceStatus


def status(call: Call) -> int:
    """Print a line for each service.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    statuses, failures = _look(call)
    call.screen.answer(lambda: _document(statuses, failures), tree.overview(statuses))
    return _exit_code(statuses, failures)


def print_status(call: Call) -> int:
    """Print the tree of each service.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    statuses, failures = _look(call)
    call.screen.answer(lambda: _document(statuses, failures), tree.trees(statuses, call.session.node))
    return _exit_code(statuses, failures)


def ls(call: Call) -> int:
    """List services.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    names = call.session.services()
    if not (call.arguments.long or call.screen.json):
        _say_if_none(call, names)
        call.screen.answer({}, (plain(name) for name in names))
        return ExitCode.DONE
    from vmsvc.cli import render  # noqa: PLC0415 - names and statuses need none of it
    from vmsvc.core.documents import services  # noqa: PLC0415

    listed, failures = selection.load(call.session, names)
    _say_if_none(call, names)
    tell(call, failures)
    call.screen.answer(services.services(listed, problems_of(failures)), render.listing(listed))
    return selection.worst(failure.error.exit_code for failure in failures)


def show(call: Call) -> int:
    """Show one service.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    from vmsvc.cli import render  # noqa: PLC0415
    from vmsvc.core.documents import envelope, inventories  # noqa: PLC0415

    session, name = call.session, call.arguments.name
    if call.arguments.config:
        from vmsvc.core.config import read_text, service_file  # noqa: PLC0415

        path = service_file(session.node, name)
        text = read_text(path)
        document = envelope.document("vmsvc.file/1", {"file": str(path), "text": text})
        call.screen.answer(document, text)
        return ExitCode.DONE
    if not call.arguments.history and (call.arguments.limit or call.arguments.since):
        raise UsageError("--limit and --since are about the history", hint=f"say `vmsvc show {name} --history`, too")
    if call.arguments.disks or call.arguments.history:
        from vmsvc.cli import storing  # noqa: PLC0415

        return storing.show_disks(call) if call.arguments.disks else storing.show_history(call)
    if call.arguments.drift:
        from vmsvc.cli.drifting import drift  # noqa: PLC0415

        return drift(call)
    service = session.load(name)
    facts = session.facts(service)
    for problem in service.problems:
        call.screen.tell(problem)
    call.screen.answer(inventories.shown(service, facts), render.service(service, facts))
    return ExitCode.DONE


def _look(call: Call) -> tuple[list[ServiceStatus], list[Failure]]:
    services, failures = selection.chosen(call.session, call.arguments.names)
    if not call.arguments.names:
        _say_if_none(call, [*services, *failures])
    limits = selection.limits(call.arguments)
    meant, others = selection.within(limits, services)
    failures += others
    tell(call, failures)
    call.session.asks_peers = not call.arguments.local
    statuses = call.session.statuses(meant, limits=limits)
    return call.session.with_peers(statuses) if call.arguments.peers else statuses, failures


def _document(found: Sequence[ServiceStatus], failures: Sequence[Failure]) -> dict[str, Any]:
    from vmsvc.core.documents import envelope, statuses  # noqa: PLC0415 - only JSON needs it

    return {**statuses.status(found), "errors": [envelope.problem(item) for item in problems_of(failures)]}


def _exit_code(statuses: Sequence[ServiceStatus], failures: Sequence[Failure]) -> int:
    codes = [ExitCode.DONE if item.is_determined else ExitCode.UNDETERMINED for item in statuses]
    return selection.worst([*codes, *(failure.error.exit_code for failure in failures)])


def _say_if_none(call: Call, found: Sequence[object]) -> None:
    if not found:
        where = call.session.node.services_dir
        call.screen.say(f"no services yet: their files go in {where} (`vmsvc create NAME` makes one)")
