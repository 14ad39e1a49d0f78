"""What is collected of services and their guests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import Attribute, asdict

from vmsvc.core.answers import GuestDisk
from vmsvc.core.errors import Problem
from vmsvc.core.guests.inventory import GuestFacts
from vmsvc.core.instance import ServiceStatus
from vmsvc.core.records.record import Record
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service

if TYPE_CHECKING:
    from vmsvc.core.disks.usage import Usage, Use

from vmsvc.core.documents.envelope import Data, document, problem
from vmsvc.core.documents.services import service
from vmsvc.core.documents.statuses import standing


def shown(item: Service, facts: Iterable[GuestFacts]) -> Data:
    """``vmsvc.service/1``: a service, defaults included, and what is known of its guests.

    Args:
        item: The service.
        facts: The facts of its guests.
    """
    content = {
        "service": service(item),
        "guests": [guest_facts(fact) for fact in facts],
        "problems": [problem(found) for found in item.problems],
    }
    return document("vmsvc.service/1", content)


def stored(items: Iterable[Record], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.stored/1``: what was put into the node's own store, and what has changed since the time before.

    Args:
        items: What was collected.
        problems: What kept other services' facts from being collected.
    """
    rows = [
        {
            **_record(item),
            "stored": item.is_stored,
            "dry_run": item.is_dry,
            "problems": [problem(loss) for loss in item.losses],
        }
        for item in items
    ]
    return document("vmsvc.stored/1", {"stored": rows, "errors": [problem(item) for item in problems]})


def snapshot(item: Record) -> Data:
    """``vmsvc.snapshot/1``: what publishers are given.

    Args:
        item: What was collected.
    """
    return document("vmsvc.snapshot/1", _record(item))


def history(service: str, items: Iterable[Record]) -> Data:
    """``vmsvc.history/1``: what the store has of a service.

    Args:
        service: The service's name.
        items: The records, the newest first.
    """
    return document("vmsvc.history/1", {"service": service, "history": [_record(item) for item in items]})


def _record(item: Record) -> Data:
    changes = [{**asdict(change, recurse=False), "kind": change.kind.value} for change in item.changes]
    return {**asdict(item.snapshot, recurse=False), "since": item.since, "changes": changes}


def disks(guest: Guest, found: Sequence[GuestDisk] | None) -> list[Data]:
    """The disks of a guest, a row each.

    Args:
        guest: The guest.
        found: Its disks; ``None`` where its driver cannot name any.
    """
    return [{"rid": guest.rid, "guest": guest.name, **asdict(disk)} for disk in found or ()]


def used_disks(guest: Guest, found: Sequence[GuestDisk] | None, usage: Usage) -> list[Data]:
    """The disks of a guest, a row each, with what backs them on this node and who else uses that.

    Args:
        guest: The guest.
        found: Its disks; ``None`` where its driver cannot name any.
        usage: Who uses which disk.
    """
    return [
        {**row, "backing": asdict(usage.backing(disk.source)), "users": _users(usage.others(guest, disk))}
        for row, disk in zip(disks(guest, found), found or (), strict=True)
    ]


def _users(others: Iterable[Use] | None) -> list[Data] | None:
    return None if others is None else [{"user": str(use), **asdict(use, filter=_is_told)} for use in others]


def _is_told(field: Attribute[Any], _value: object) -> bool:
    """What is known of a user but who it is to vmsvc itself, and the name that it has for the disk."""
    return field.name not in ("who", "source", "kind")


def inventory(item: Service, seen: ServiceStatus, facts: Iterable[GuestFacts]) -> Data:
    """What ``push`` stores of a service: configuration, status, and what is known of its guests.

    Args:
        item: The service.
        seen: Its status.
        facts: The facts of its guests.
    """
    return {
        "service": service(item),
        "status": standing(seen),
        "guests": [guest_facts(fact) for fact in facts],
    }


def guest_facts(item: GuestFacts) -> Data:
    """What is known of a guest; not its definition, which may hold passwords.

    Args:
        item: The facts.
    """
    return {
        "rid": item.guest.rid,
        "name": item.guest.name,
        "type": item.guest.type,
        "sizes": None if item.sizes is None else asdict(item.sizes),
        "disks": None if item.disks is None else disks(item.guest, item.disks),
        "config_files": None if item.config_files is None else [str(path) for path in item.config_files],
        "gaps": list(item.gaps),
    }
