"""Who else of this node may write to the disks of a resource, from what services, guests and records tell.

A key belongs to a node, so reservations tell the guests of one node not apart: two that have one disk are found by
their definitions alone. A guest whose service reserves nothing counts, too: it would write on after the disk was
released, and be locked out where another node holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import field, frozen

from vmsvc.core.config import identity as guest_identity
from vmsvc.core.disks.ledger import Record
from vmsvc.core.disks.usage import Usage, Use
from vmsvc.core.estate import Estate, Unread
from vmsvc.core.kinds import Reserved, Vmdg
from vmsvc.core.service import Service
from vmsvc.core.vmdg.seen import OtherDisk, ScsiDisk

#: What may be the name of a device in the text of a file.
_DEVICE = re.compile(r"/dev/[^\s\"',;\]]+")


@frozen(kw_only=True)
class Rivals:
    """Who else of this node may write to disks, by :func:`identity`.

    Attributes:
        claims: Who has a disk, too, in words.
        suspicions: Why somebody may have it whose service cannot be read, in words.
        holders: By World Wide ID and key, for what other resource this node has reserved a disk, which names it still.
        doubtful: The same, where it is not known whether that names it still; in words.
        unresolved: Who may have any disk, since what he has could not be looked up; in words.
        silent: Why guests may be missing whose hypervisor does not answer.
        unrelated: Files that cannot be read, and that nothing connects with any of the disks.
    """

    claims: Mapping[str, str] = field(factory=dict)
    suspicions: Mapping[str, str] = field(factory=dict)
    holders: Mapping[tuple[str, int], str] = field(factory=dict)
    doubtful: Mapping[str, str] = field(factory=dict)
    unresolved: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    unrelated: tuple[str, ...] = ()

    def holder(self, wwid: str) -> str:
        """For what other resource this node has reserved a disk, with whatever key; empty where there is none.

        Args:
            wwid: Its World Wide ID.
        """
        return next((words for (known, _), words in self.holders.items() if known == wwid), "")

    def claims_on(self, disks: Iterable[ScsiDisk | OtherDisk]) -> list[str]:
        """Who has any of these disks, in words.

        Args:
            disks: The disks.
        """
        named = [(disk.name, self.claims.get(identity(disk))) for disk in disks]
        return [f"{name} is a disk of {words}, too" for name, words in named if words]

    def doubts_on(self, disks: Iterable[ScsiDisk | OtherDisk]) -> list[str]:
        """Why somebody may have any of these disks, in words.

        Args:
            disks: The disks.
        """
        disks = list(disks)
        doubts = {**self.doubtful, **self.suspicions}
        named = [(disk.name, doubts.get(identity(disk))) for disk in disks]
        return [*(f"{name}: {words}" for name, words in named if words), *(self.unresolved if disks else ())]


def identity(disk: ScsiDisk | OtherDisk) -> str:
    """What two names of one disk have in common: its World Wide ID, or else the file that its name leads to.

    Args:
        disk: What was found behind a name.
    """
    return disk.wwid if isinstance(disk, ScsiDisk) else os.path.realpath(disk.name)


def rivals_of(
    disks: Reserved,
    usage: Usage,
    estate: Estate,
    records: Iterable[Record],
    find: Callable[[Sequence[str]], Sequence[ScsiDisk | OtherDisk]],
) -> Rivals:
    """Find out who else may write to the disks of a resource.

    Args:
        disks: The resource.
        usage: Who uses which disk of the node.
        estate: The services of the node.
        records: What the node has reserved for other resources.
        find: Finds what is behind the names of disks.
    """
    holders: dict[tuple[str, int], str] = {}
    doubtful: dict[str, str] = {}
    for record in records:
        for wwid in _wwids_of(record, usage):
            if _is_named(wwid, record, disks, usage):
                # Each with the key of that record: it is what the other resource gives back.
                holders |= {(wwid, each.key): _owner(record) for each in record.entries if each.wwid == wwid}
            elif why := _doubt(record, usage, estate):
                doubtful.setdefault(wwid, f"it may be reserved for {_owner(record)}: {why}")
    unrelated = tuple(f"{each.file} cannot be read, and names none of them" for each in estate.unread)
    return Rivals(
        claims=_claims(disks, usage, estate),
        suspicions=_suspicions(usage, estate, find),
        holders=holders,
        doubtful=doubtful,
        unresolved=_unresolved(disks, usage, estate),
        silent=usage.gaps,
        unrelated=unrelated,
    )


def _own(disks: Reserved, estate: Estate) -> frozenset[str]:
    """The guests for which disks are reserved, by what tells them from every other."""
    guests = [guest for service in estate.services if service.name == disks.service for guest in service.guests]
    return frozenset(guest_identity(guest) for guest in guests if _is_for(disks, guest.rid))


def _unresolved(disks: Reserved, usage: Usage, estate: Estate) -> tuple[str, ...]:
    """Others that may write to any disk, since nobody knows what they have. What is said to be a file is no disk."""
    own, services = _own(disks, estate), {service.name: service for service in estate.services}
    return tuple(
        f"{use.source} could not be looked up, and is what {words} has"
        for use in usage.unresolved
        if not use.readonly and use.kind != "file"
        if (words := _reserving(use, disks, services) or ("" if use.who in own else _using(use)))
    )


def _claims(disks: Reserved, usage: Usage, estate: Estate) -> dict[str, str]:
    own, services = _own(disks, estate), {service.name: service for service in estate.services}
    found: dict[str, str] = {}
    for disk, uses in usage.by_disk.items():
        writing = [use for use in uses if not use.readonly]
        # Two services may mean one guest. It is no rival of itself; a second reservation is.
        others = [use for use in writing if use.who not in own]
        for words in (*(_reserving(use, disks, services) for use in writing), *map(_using, others)):
            if words:
                found.setdefault(disk, words)
    return found


def _is_for(disks: Reserved, rid: str) -> bool:
    """Whether disks are reserved for a guest of their service; what a section lists is for all of them."""
    return not isinstance(disks, Vmdg) or rid == disks.container_id


def _suspicions(
    usage: Usage, estate: Estate, find: Callable[[Sequence[str]], Sequence[ScsiDisk | OtherDisk]]
) -> dict[str, str]:
    """Disks that a file which cannot be read names in its text, by themselves or by a guest that has them."""
    found: dict[str, str] = {}
    for unread in estate.unread:
        names = [*dict.fromkeys(_DEVICE.findall(unread.text or ""))]
        named = {identity(disk): "names it" for disk in (find(names) if names else ())}
        for disk, uses in usage.by_disk.items():
            if guest := next((use.guest for use in uses if not use.service and _may_mean(unread, use.guest)), ""):
                named.setdefault(disk, f"may mean the guest {guest}, which has it")
        found |= {disk: f"{unread.file} cannot be read, and {words}" for disk, words in named.items()}
    return found


def _may_mean(unread: Unread, guest: str) -> bool:
    return guest == unread.name or bool(re.search(rf"(?<![\w.-]){re.escape(guest)}(?![\w.-])", unread.text or ""))


def _reserving(use: Use, disks: Reserved, services: Mapping[str, Service]) -> str:
    """The other resource that reserves a disk which somebody uses, in words; empty where there is none."""
    groups = [
        each
        for each in (services[use.service].resources if use.service in services else ())
        if isinstance(each, Reserved) and each.scsireserv and not each.disable
        if each.rid == use.rid or (use.guest and isinstance(each, Vmdg) and each.container_id == use.rid)
        if (use.service, each.rid) != (disks.service, disks.rid)
    ]
    return f"[{groups[0].rid}] of {use.service}" if groups else ""


def _using(use: Use) -> str:
    """A guest that uses a disk without reserving it, in words; empty for a resource that is none."""
    if not use.service:  # what is only defined somewhere, and belongs to nobody, does not keep others from their disks
        return f"the guest {use.guest}, which runs and belongs to no service" if use.live else ""
    return f"{use.guest} ([{use.rid}] of {use.service}), which does not reserve it" if use.guest else ""


def _owner(record: Record) -> str:
    return f"[{record.rid}] of {record.service}"


def _doubt(record: Record, usage: Usage, estate: Estate) -> str:
    """Why it is not known whether a resource names its disks still, in words; empty where it is known."""
    unread = next((each.file for each in estate.unread if each.name == record.service), "")
    return record.fault or (f"{unread} cannot be read" if unread else next(iter(usage.gaps), ""))


def _wwids_of(record: Record, usage: Usage) -> Iterator[str]:
    """The disks of a record; where that cannot be read, all that its service names."""
    if not record.fault:
        yield from (entry.wwid for entry in record.entries)
        return
    for disk, uses in usage.by_disk.items():
        if any(use.service == record.service for use in uses):
            yield disk


def _is_named(wwid: str, record: Record, disks: Reserved, usage: Usage) -> bool:
    """Whether another resource has reserved a disk for certain, and names it still."""
    uses = [use for use in usage.by_disk.get(wwid, ()) if use.service == record.service]
    if record.service == disks.service:
        uses = [use for use in uses if use.rid == record.rid or use.who in record.guests]
    return bool(uses) and not record.fault
