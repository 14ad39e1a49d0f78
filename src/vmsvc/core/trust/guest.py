"""The trust of this node in guests by ssh: addresses are listed there, and launchers listed and run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import fields, frozen

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.inside.addresses.forms import BEGIN
from vmsvc.core.inside.verbs import NAME, script
from vmsvc.core.inside.ways import Way, called
from vmsvc.core.kinds import App
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service
from vmsvc.core.transport.asking import encoded
from vmsvc.core.trust.trials import EVALUATED, Expected, Works
from vmsvc.core.trust.trusting import Trust, Trusting

#: A check that is nowhere.
_NO_LAUNCHER = "C-vmsvc-no-such-launcher"


@frozen(kw_only=True)
class GuestTrust(Trust):
    """What a guest is to have, and what there is.

    Attributes:
        guest: The guest.
        way: How commands come into it; only ssh needs trust.
    """

    guest: Guest
    way: Way


def trust_of(trusting: Trusting, service: Service, guest: Guest, way: Way, among: Iterable[Service]) -> GuestTrust:
    """What a guest is to have, for all services that have it: the key has one line there. Connects to nothing.

    Args:
        trusting: Knows this node and its key.
        service: The guest's service.
        guest: The guest.
        way: The way into it.
        among: All services of this node.
    """
    if way is not Way.SSH:
        return GuestTrust(guest=guest, way=way)
    target = called(guest)
    directories = sorted({each for one in (service, *among) for each in _directories(one, target)})
    trust = GuestTrust(
        guest=guest,
        way=way,
        target=target,
        wanted=trusting.wanted(script(), *directories),
        expected=expected(directories),
        warnings=tuple(_of_commands(service, guest)),
    )
    return trusting.with_host_keys(trust)


def expected(directories: Sequence[str]) -> Expected:
    """What vmsvc's own key is to permit in a guest, and what it is not.

    Args:
        directories: The directories of launchers that it is for.
    """
    works = [
        Works("the verb addresses", "addresses", proof=BEGIN),
        Works("the verb end", f"end {'0' * 32}", proof=f"{NAME} ended"),
    ]
    refused = {"launchers of another directory": "launchers /etc"}
    for directory in directories:
        there = encoded(directory)
        works += [
            Works(f"the verb launchers {directory}", f"launchers {there}", proof=NAME),
            Works(
                f"the verb launch {directory}",
                f"launch {there} {_NO_LAUNCHER} status",
                code=125,
                proof=f"{NAME}: there is no ",
            ),
        ]
        refused[f"launchers of {directory}/.."] = f"launchers {encoded(directory + '/..')}"
        refused[f"a file in {directory} that is no launcher"] = f"launch {there} vmsvc-no-such-launcher start"
        refused[f"a launcher in {directory} for what it is not"] = f"launch {there} {_NO_LAUNCHER} start"
    launch = f"launch {encoded(directories[0])}"
    return Expected(
        script=script(),
        works=works,
        refused=refused,
        literal={
            "a launcher in ../": f"{launch} ../{_NO_LAUNCHER} status",
            **{
                f"a launcher with {what} in its name": f"{launch} {encoded('C' + word)} status"
                for what, word in EVALUATED.items()
            },
        },
    )


def _of_commands(service: Service, guest: Guest) -> Iterator[Problem]:
    """Warnings of applications that could not be started, stopped or checked any more."""
    for app in service.resources:
        if isinstance(app, App) and app.container_id == guest.rid and not app.has_launchers:
            yield Problem(
                message="it has commands of its own, which vmsvc's key does not let in: launchers alone",
                code="trust.commands",
                file=str(service.file),
                section=app.rid,
                hint="make launchers of them, or leave vmsvc's key out of this guest",
                severity=Severity.WARNING,
            )


def _directories(service: Service, target: str) -> Iterator[str]:
    """The directories of launchers that a service has in a guest; the usual one where none is in use yet."""
    for guest in service.guests:
        if called(guest).casefold() == target.casefold():
            apps = (each for each in service.resources if isinstance(each, App) and each.container_id == guest.rid)
            used = [app.launchers for app in apps if app.has_launchers]
            yield from used or [str(fields(App).launchers.default)]
