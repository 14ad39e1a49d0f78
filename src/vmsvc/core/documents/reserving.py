"""Disks that are reserved, and who watches over them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from vmsvc.core.errors import Problem
from vmsvc.core.vmdg.keys import key_text

if TYPE_CHECKING:  # who has no disks to reserve does not pay for them
    from vmsvc.core.disks.sets import DiskReport
    from vmsvc.core.disks.validating import Validation
    from vmsvc.core.disks.watch import Noticed
    from vmsvc.core.vmdg.judge import Judged
    from vmsvc.core.vmdg.seen import Reading, ScsiDisk
from vmsvc.core.documents.envelope import Data, document, problem


def watch(items: Iterable[Noticed], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.watch/1``: whether guests still have their disks, and what was done where they do not.

    Args:
        items: What was noticed.
        problems: What kept other services from being looked at.
    """
    rows = [
        {
            "service": item.watched.resource.service,
            "rid": item.watched.resource.rid,
            "concern": item.watched.concern.value,
            "status": item.watched.status.value,
            "text": item.watched.text,
            "hint": item.watched.hint,
            "users": list(item.watched.users),
            "stopped": list(item.stopped),
            "errors": [problem(each) for each in item.error.problems] if item.error else [],
        }
        for item in items
    ]
    return document("vmsvc.watch/1", {"watched": rows, "errors": [problem(item) for item in problems]})


def validated_disks(service: str, items: Iterable[Validation], *, scratch: Collection[str]) -> Data:
    """``vmsvc.validate-disks/1``: whether disks do what exclusive disks need of them.

    Args:
        service: The service's name.
        items: What was checked of each resource.
        scratch: The disks on which everything was tried; none where all were only read.
    """
    content = {
        "service": service,
        "mode": "scratch" if scratch else "safe",
        "resources": [
            {
                "rid": item.resource.rid,
                "checks": [
                    {"check": check.name, "disk": check.disk, "verdict": str(check.verdict), "text": check.text}
                    for check in item.checks
                ],
            }
            for item in items
        ],
    }
    return document("vmsvc.validate-disks/1", content)


def disk_reports(items: Iterable[DiskReport], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.disks/1``: the disks of services, and who has reserved them.

    Args:
        items: What was found of each resource.
        problems: What kept other resources from being looked at.
    """
    content = {"resources": [_disk_report(item) for item in items], "errors": [problem(item) for item in problems]}
    return document("vmsvc.disks/1", content)


def _disk_report(item: DiskReport) -> Data:
    found, whole = item.found, item.whole
    reserved = zip(found.disks, item.readings, item.judged, strict=True)
    return {
        "service": found.resource.service,
        "rid": found.resource.rid,
        "scsireserv": found.resource.scsireserv,
        "prkey": None if item.key is None else key_text(item.key),
        "status": whole.phase.status.value,
        "state": whole.state,
        "detail": whole.detail,
        "hint": whole.hint,
        "warnings": list(whole.warnings),
        "disks": [_disk(item, disk, readings, judged) for disk, readings, judged in reserved],
        "others": [
            {
                "name": other.name,
                "target": found.targets.get(other.name, ""),
                "status": judged.phase.status.value,
                "why": other.why,
            }
            for other, judged in zip(found.others, item.others, strict=True)
        ],
        "left_over": [
            {
                "name": judged.name,
                "wwid": each.entry.wwid,
                "prkey": key_text(each.entry.key),
                "status": judged.phase.status.value,
                "state": judged.state,
                "detail": judged.detail,
            }
            for each, judged in zip(found.left_over, item.left_over, strict=True)
        ],
    }


def _disk(item: DiskReport, disk: ScsiDisk, readings: Iterable[Reading], judged: Judged) -> Data:
    return {
        "name": disk.name,
        "target": item.found.targets.get(disk.name, ""),
        "wwid": disk.wwid,
        "map": disk.map,
        "vendor": disk.vendor,
        "product": disk.product,
        "size_bytes": disk.size_bytes,
        "readonly": disk.readonly,
        "status": judged.phase.status.value,
        "state": judged.state,
        "detail": judged.detail,
        "paths": [
            {
                "path": reading.path,
                "answer": reading.answer.value,
                "detail": reading.detail,
                "generation": reading.generation,
                "registrations": [
                    {"prkey": key_text(each.key), "node": item.names.get(each.key, ""), "nexus": each.nexus}
                    for each in reading.registrations
                ],
                "reservation": None
                if reading.reservation is None
                else {
                    "prkey": key_text(reading.reservation.key),
                    "node": item.names.get(reading.reservation.key, ""),
                    "type": reading.reservation.type,
                },
            }
            for reading in readings
        ],
    }
