"""Who uses which disk: the guests of this node, of services or not, and the services that name devices themselves.

What is compared are the disks, not their names: links are resolved, and paths to one SCSI disk are one by its World
Wide ID. No device is opened, and each hypervisor is asked once, however many guests it has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from vmsvc.core.answers import GuestDisk
from vmsvc.core.config.guests import identity
from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import Problem, Severity, Undetermined, VmsvcError
from vmsvc.core.guests.discovery import BUDGET_S, discover
from vmsvc.core.guests.inventory import ask
from vmsvc.core.kinds import Disk, Fs
from vmsvc.core.lane import call_each, call_within
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service
from vmsvc.core.vmdg.tools.devices import device_at

#: How long it may take to look a name up, in seconds: it may lead to storage that hangs.
_RESOLVE_S = 2.0
#: How many names are looked up at once outside of /dev.
_RESOLVED_AT_ONCE = 32
#: How many guests are asked at once that no hypervisor has named in one answer.
_PARALLEL = 16

DriverOf = Callable[[Guest], Driver[Any]]


@frozen(kw_only=True)
class Use:
    """One who uses a disk.

    Attributes:
        source: The disk, as it is named.
        who: What tells a guest from every other; empty for a resource that is none.
        guest: The guest's name on its hypervisor; empty for a resource that is none.
        type: The guest's technology.
        service: The service that it belongs to; empty for a guest of no service.
        rid: The resource that it is.
        target: What the disk is to it: a device in the guest, a mount point.
        readonly: Whether it only reads.
        shareable: Whether it lets others write, too.
        live: Whether a guest that runs has it.
        kind: What backs it, as its hypervisor says, such as ``block`` or ``file``; empty where nobody says.
    """

    source: str
    who: str = ""
    guest: str = ""
    type: str = ""
    service: str = ""
    rid: str = ""
    target: str = ""
    readonly: bool = False
    shareable: bool = False
    live: bool = False
    kind: str = ""

    def __str__(self) -> str:
        """Read as ``vda of web01 (container#1 of web)``."""
        owner = f"{self.rid} of {self.service}" if self.service else ""
        if not self.guest:
            return f"{owner} on {self.target}" if self.target else owner
        return f"{self.target} of {self.guest}" + (f" ({owner})" if owner else "")


@frozen(kw_only=True)
class Backing:
    """What is behind the name of a disk.

    Attributes:
        path: The name with its links resolved.
        wwid: The World Wide ID of a SCSI disk, such as ``naa.6001405…``; empty where there is none.
    """

    path: str
    wwid: str = ""

    @property
    def disk(self) -> str:
        """What tells it from every other disk."""
        return self.wwid or self.path


@frozen(kw_only=True)
class Usage:
    """Who uses which disk.

    Attributes:
        by_disk: The uses of each disk, by what tells it from others.
        backings: What is behind the names of disks, as far as that could be looked up.
        gaps: Why there may be others.
        unresolved: Uses by names that could not be looked up: any disk may be behind them.
    """

    by_disk: Mapping[str, Sequence[Use]]
    backings: Mapping[str, Backing]
    gaps: tuple[str, ...] = ()
    unresolved: tuple[Use, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The gaps, as warnings."""
        return tuple(
            Problem(message=f"who else uses the disks is not known: {gap}", code="usage.gap", severity=Severity.WARNING)
            for gap in self.gaps
        )

    def backing(self, source: str) -> Backing:
        """What is behind the name of a disk.

        Args:
            source: The name.
        """
        return self.backings.get(source) or Backing(path=source)

    def others(self, guest: Guest, disk: GuestDisk) -> tuple[Use, ...] | None:
        """Who else uses a disk.

        Args:
            guest: The guest that has it.
            disk: The disk.

        Returns:
            The others, without resources of the same service that are no guests; ``None`` where it is not known.
        """
        if self.gaps or not guest.is_local:
            return None
        return tuple(
            use
            for use in self.by_disk.get(self.backing(disk.source).disk, ())
            if disk.source and use.who != identity(guest) and (use.guest or use.service != guest.service)
        )


def usage_of(services: Iterable[Service], driver_of: DriverOf, *, budget_s: float = BUDGET_S) -> Usage:
    """Find out who uses which disk of this node.

    Args:
        services: The services of the node.
        driver_of: Finds the driver of a guest.
        budget_s: How long hypervisors may take to name their guests, in seconds; and as long again, other guests.

    Returns:
        The uses; what could not be learned is among the gaps.
    """
    known = list(services)
    guests = [guest for service in known for guest in service.guests if guest.is_local]
    uses, gaps = _uses_of_guests(guests, driver_of, budget_s)
    uses += [use for service in known for use in _uses_of_resources(service)]
    names = [*dict.fromkeys(use.source for use in uses if use.source.startswith("/"))]
    backings = _backings(names)
    late = [name for name in names if name not in backings]
    gaps += [f"the file system of {name} did not answer within {_RESOLVE_S:g} s" for name in late]
    by_disk: dict[str, list[Use]] = {}
    for use in uses:
        backing = backings.get(use.source) or Backing(path=use.source)
        by_disk.setdefault(backing.disk, []).append(use)
    return Usage(
        by_disk=by_disk,
        backings=backings,
        gaps=tuple(gaps),
        unresolved=tuple(use for use in uses if use.source in late),
    )


def _backings(names: Sequence[str]) -> dict[str, Backing]:
    """What is behind names. A file may lie on a server that hangs: it costs the others nothing, and devices least."""
    devices = [name for name in names if name.startswith("/dev/")]
    found = {name: _backing(name) for name in devices}
    others = [name for name in names if name not in found]
    looked_up = call_each(
        _backing_in_time,
        others,
        deadline=time.monotonic() + 2 * _RESOLVE_S,
        width=_RESOLVED_AT_ONCE,
        name="vmsvc names",
    )
    return found | {name: backing for name, backing in zip(others, looked_up, strict=True) if backing}


def _backing_in_time(name: str) -> Backing | None:
    try:
        return call_within(f"the file system of {name}", lambda: _backing(name), budget_s=_RESOLVE_S)
    except Undetermined:
        return None


def _backing(name: str) -> Backing:
    device = device_at(name)
    return Backing(path=os.path.realpath(name), wwid=device.wwid if device else "")


def _uses_of_guests(guests: Sequence[Guest], driver_of: DriverOf, budget_s: float) -> tuple[list[Use], list[str]]:
    """The disks of all guests: those that a hypervisor names in one answer, then those of guests that it did not."""
    claimed = {identity(guest): guest for guest in guests}
    uses: list[Use] = []
    gaps: list[str] = []
    # One guest for each hypervisor: what is the same for all of its guests tells where to ask.
    places = {identity(evolve(guest, name="")): guest for guest in guests}
    capabilities: dict[str, frozenset[Capability]] = {}
    for who, guest in claimed.items():
        try:
            capabilities[who] = driver_of(guest).capabilities
        except VmsvcError as error:
            gaps.append(f"{guest.rid} of {guest.service}: {error}")
    asked = [guest for guest in places.values() if Capability.DISCOVER in capabilities.get(identity(guest), ())]
    for where, found in zip(asked, discover(asked, driver_of, budget_s=budget_s), strict=True):
        if found.error is not None:
            gaps.append(f"{where.type}: {found.error}")
        for each in found.guests:
            who = identity(evolve(where, name=each.name))
            uses += _uses(who, where.type, each.name, claimed.get(who), each.disks)
    told = {use.who for use in uses}
    unasked = [
        each for who, each in claimed.items() if who not in told and Capability.DISKS in capabilities.get(who, ())
    ]
    answers = call_each(
        lambda guest: _disks_of(guest, driver_of),
        unasked,
        deadline=time.monotonic() + budget_s,
        width=_PARALLEL,
        name="vmsvc usage",
    )
    for guest, answer in zip(unasked, answers, strict=True):
        if answer is None:
            gaps.append(f"{guest.rid} of {guest.service}: no answer within {budget_s:g} s")
        elif isinstance(answer, Undetermined):
            gaps.append(f"{guest.rid} of {guest.service}: {answer}")
        elif not isinstance(answer, VmsvcError):  # a guest that is not here has no disk here
            uses += _uses(identity(guest), guest.type, guest.name, guest, answer)
    return uses, gaps


def _disks_of(guest: Guest, driver_of: DriverOf) -> Sequence[GuestDisk] | VmsvcError:
    try:
        found: Sequence[GuestDisk] = ask(guest, driver_of(guest), Capability.DISKS)
    except VmsvcError as error:
        return error
    return found


def _uses(who: str, type: str, name: str, claim: Guest | None, disks: Iterable[GuestDisk]) -> Iterator[Use]:
    for disk in disks:
        yield Use(
            source=disk.source,
            who=who,
            guest=name,
            type=type,
            service=claim.service if claim else "",
            rid=claim.rid if claim else "",
            target=disk.target,
            readonly=disk.readonly,
            shareable=disk.shareable,
            live=disk.live,
            kind=disk.kind,
        )


def _uses_of_resources(service: Service) -> Iterator[Use]:
    for resource in service.resources:
        if isinstance(resource, Fs):
            yield Use(source=resource.dev, service=service.name, rid=resource.rid, target=resource.mnt)
        elif isinstance(resource, Disk):
            for device in resource.devices:
                yield Use(source=device, service=service.name, rid=resource.rid)
