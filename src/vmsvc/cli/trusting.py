"""The commands about what guests and peers are to trust: vmsvc's own ssh key, for vmsvc's verbs alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from vmsvc.cli import selection
from vmsvc.cli.call import Call
from vmsvc.cli.columns import columns
from vmsvc.cli.failures import Failure, problems_of, tell
from vmsvc.cli.screen import Line, plain
from vmsvc.core.documents import envelope, trusting
from vmsvc.core.errors import ExitCode, UsageError, VmsvcError
from vmsvc.core.inside.ways import Way
from vmsvc.core.service import Service
from vmsvc.core.trust.guest import GuestTrust
from vmsvc.core.trust.own_key import OwnKey
from vmsvc.core.trust.trusting import Trust

_STYLES = {True: "green", False: "bold red", None: "bold magenta"}
_NO_NEED = {
    Way.ENTRY: "comes in by the technology's own entry: nothing to install",
    Way.AGENT: "comes in by the agent inside of it: nothing to install",
    Way.NONE: "has no way in: nothing to install",
}


@frozen
class _Found:
    """What a host is to have, and how it is told: which host it is, and the words beside that."""

    who: str
    words: str
    trust: Trust


def guest(call: Call) -> int:
    """Show what guests are to have for vmsvc's own key; install it, and try it out.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    key, services, failures = _begin(call, "guest")
    found: list[tuple[str, GuestTrust]] = []
    for service in services:
        try:
            trusts = call.session.trust_of_guests(service, **_wishes(call))
        except VmsvcError as error:
            failures.append(Failure(service.name, error))
        else:
            found += [(service.name, each) for each in trusts]
    rows = [
        _Found(f"{name} {each.guest.rid}", f"{each.guest.name}: {_NO_NEED.get(each.way, 'ssh')}", each)
        for name, each in found
    ]
    return _answer(call, key, rows, failures, trusting.trust_of_guests(key, found, problems_of(failures)))


def peers(call: Call) -> int:
    """Show what the other nodes are to have for vmsvc's own key; install it, and try it out.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    key, services, failures = _begin(call, "peers")
    found = call.session.trust_of_peers(services, **_wishes(call))
    if not found and not failures:
        call.screen.say("no service names another node than this one in its `nodes` or `drpnodes`")
    rows = [_Found(each.peer, f"of {', '.join(each.services)}", each) for each in found]
    return _answer(call, key, rows, failures, trusting.trust_of_peers(key, found, problems_of(failures)))


def _begin(call: Call, whom: str) -> tuple[OwnKey, Sequence[Service], list[Failure]]:
    asked = call.arguments
    if asked.dry_run and not asked.install:
        raise UsageError(f"--dry-run is for `vmsvc trust {whom} --install`", hint="without options, nothing is changed")
    services, failures = selection.chosen(call.session, asked.names)
    if failures and not services:  # then no key is made, either
        raise type(failures[0].error)(problems=problems_of(failures))
    return call.session.own_key(for_peers=whom == "peers"), services, failures


def _wishes(call: Call) -> dict[str, bool]:
    asked = call.arguments
    test = not asked.dry_run and (asked.install or asked.test)
    return {"install": asked.install, "dry_run": asked.dry_run, "test": test}


def _answer(call: Call, key: OwnKey, found: list[_Found], failures: list[Failure], document: envelope.Data) -> int:
    tell(call, failures)
    for each in found:
        error = each.trust.error
        for problem in (*each.trust.warnings, *(error.problems if error else ())):
            call.screen.tell(problem, of=each.who)
    asked = call.arguments
    is_shown = not (asked.install or asked.test)
    call.screen.answer(document, _lines(key, found, is_shown=is_shown, dry_run=asked.dry_run))
    codes = [*(_exit_code(each.trust) for each in found), *(each.error.exit_code for each in failures)]
    return selection.worst(codes)


def _exit_code(trust: Trust) -> int:
    if trust.error is not None:
        return trust.error.exit_code
    found = {each.verdict.is_right for each in trust.tried}
    return ExitCode.FAILED if False in found else ExitCode.UNDETERMINED if None in found else ExitCode.DONE


def _lines(key: OwnKey, found: list[_Found], *, is_shown: bool, dry_run: bool) -> Iterator[Line]:
    if is_shown:
        yield plain(f"vmsvc's own key: {key.fingerprint}, {key.file}")
    scripts: dict[str, str] = {}
    for each in found:
        trust = each.trust
        yield ((each.who, "bold"), (f"  {each.words}", ""))
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
            (("  ", ""), (tried.name, ""), (tried.verdict.value, _STYLES[tried.verdict.is_right]), (tried.detail, ""))
            for tried in trust.tried
        ]
        if rows:
            yield from columns(rows)
    for path, text in scripts.items():
        yield ((f"--- {path}", "bold"),)
        yield from map(plain, text.splitlines())
