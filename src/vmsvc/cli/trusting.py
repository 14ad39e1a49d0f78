"""The command about what guests are to trust: vmsvc's own ssh key, for vmsvc's verbs alone."""

from __future__ import annotations

from collections.abc import Iterator

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.columns import columns
from vmsvc.cli.looking import problems_of, tell
from vmsvc.cli.screen import Line, plain
from vmsvc.cli.selection import Failure
from vmsvc.core import schema
from vmsvc.core.errors import ExitCode, UsageError, VmsvcError
from vmsvc.core.inside.ways import Way
from vmsvc.core.trust.guest import Trust
from vmsvc.core.trust.own_key import OwnKey

_STYLES = {True: "green", False: "bold red", None: "bold magenta"}
_NO_NEED = {
    Way.ENTRY: "comes in by the technology's own entry: nothing to install",
    Way.AGENT: "comes in by the agent inside of it: nothing to install",
    Way.NONE: "has no way in: nothing to install",
}


def guest(call: Call) -> int:
    """Show what guests are to have for vmsvc's own key; install it, and try it out.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    asked = call.arguments
    if asked.dry_run and not asked.install:
        raise UsageError("--dry-run is for `vmsvc trust guest --install`", hint="without options, nothing is changed")
    test = not asked.dry_run and (asked.install or asked.test)
    key = call.session.own_key()
    services, failures = selection.chosen(call.session, asked.names)
    found: list[tuple[str, Trust]] = []
    for service in services:
        try:
            trusts = call.session.trust_of_guests(service, install=asked.install, dry_run=asked.dry_run, test=test)
        except VmsvcError as error:
            failures.append(Failure(service.name, error))
        else:
            found += [(service.name, each) for each in trusts]
    tell(call, failures)
    for name, each in found:
        for problem in (*each.warnings, *(each.error.problems if each.error else ())):
            call.screen.tell(problem, of=f"{name} {each.guest.rid}")
    is_shown = not (asked.install or asked.test)
    call.screen.answer(
        schema.trust(key, found, problems_of(failures)), _lines(key, found, is_shown=is_shown, dry_run=asked.dry_run)
    )
    return selection.worst([*(_exit_code(each) for _, each in found), *(each.error.exit_code for each in failures)])


def _exit_code(trust: Trust) -> int:
    if trust.error is not None:
        return trust.error.exit_code
    found = {each.verdict.is_right for each in trust.tried}
    return ExitCode.FAILED if False in found else ExitCode.UNDETERMINED if None in found else ExitCode.DONE


def _lines(key: OwnKey, found: list[tuple[str, Trust]], *, is_shown: bool, dry_run: bool) -> Iterator[Line]:
    if is_shown:
        yield plain(f"vmsvc's own key: {key.fingerprint}, {key.file}")
    scripts: dict[str, str] = {}
    for name, trust in found:
        yield ((f"{name} {trust.guest.rid}", "bold"), (f"  {trust.guest.name}: {_NO_NEED.get(trust.way, 'ssh')}", ""))
        if is_shown and trust.wanted is not None:
            scripts[trust.wanted.script] = trust.wanted.text
            keys = ", ".join(map(str, trust.host_keys)) or "none yet; pinned at first sight"
            yield plain(f"  its own keys: {keys}")
            yield plain(f"  its ~/.ssh/authorized_keys is to have this line, and {trust.wanted.script} what is below:")
            yield plain(trust.wanted.line)
        for change in trust.changes:
            if dry_run:
                yield from map(plain, change.diff.splitlines())
            fate = "as it should be" if not change.is_needed else "to be changed (dry run)" if dry_run else "written"
            if trust.is_installed or dry_run or not change.is_needed:
                yield plain(f"  {change.path}: {fate}")
        rows = [
            (("  ", ""), (each.name, ""), (each.verdict.value, _STYLES[each.verdict.is_right]), (each.detail, ""))
            for each in trust.tried
        ]
        if rows:
            yield from columns(rows)
    for path, text in scripts.items():
        yield ((f"--- {path}", "bold"),)
        yield from map(plain, text.splitlines())
