"""Commands that keep services from being started, and let them start again: freeze, thaw."""

from __future__ import annotations

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.screen import plain
from vmsvc.core.documents import actions, envelope
from vmsvc.core.errors import VmsvcError
from vmsvc.core.execution.lock import holder_of
from vmsvc.core.keeping.freezer import Freeze
from vmsvc.core.service import Service


def freeze(call: Call) -> int:
    """Freeze services.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    return _change(call, is_wanted=True)


def thaw(call: Call) -> int:
    """Thaw services.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    return _change(call, is_wanted=False)


def _change(call: Call, *, is_wanted: bool) -> int:
    rows: list[envelope.Data] = []
    lines: list[str] = []
    failures: list[Failure] = []
    for service in selection.all_of(call.session, call.arguments.names):
        try:
            before = call.session.frozen(service)
            is_new = (before is not None) != is_wanted
            after = _changed(call, service, is_wanted=is_wanted) if is_new else before
        except VmsvcError as error:
            failures.append(Failure(service.name, error))
            continue
        rows.append(actions.frozen_service(service.name, after, changed=is_new))
        would = "would be " if is_new and call.arguments.dry_run else ""
        lines.append(f"{service.name}: {would}{_words(after, is_new=is_new)}")
    tell(call, failures)
    call.screen.answer(actions.frozen(rows, problems_of(failures)), map(plain, lines))
    return selection.worst(failure.error.exit_code for failure in failures)


def _changed(call: Call, service: Service, *, is_wanted: bool) -> Freeze | None:
    """Freeze or thaw a service, unless it is only to be shown; gives how it is then."""
    if call.arguments.dry_run:
        return Freeze(reason=call.arguments.reason) if is_wanted else None
    if is_wanted:
        call.session.freeze(service, call.arguments.reason)
        if holder := holder_of(call.session.node, service.name):
            call.screen.say(f"{service.name}: what began before goes on: {holder}")
    else:
        call.session.thaw(service)
    return call.session.frozen(service)


def _words(found: Freeze | None, *, is_new: bool) -> str:
    if found is None:
        return "thawed" if is_new else "not frozen: nothing to do"
    return str(found) if is_new else f"already {found}"
