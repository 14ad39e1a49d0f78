"""The disks of a guest: its media, what those differ from, and the devices of the node that files stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmsvc.driver import AT_REST, GuestDisk
from vmsvc_vbox import parse
from vmsvc_vbox.parse import Attached, Medium
from vmsvc_vbox.states import phase_of
from vmsvc_vbox.tool import Tool

_NETWORK = frozenset({"iSCSI"})


def disks(tool: Tool, values: Mapping[str, str], media: Mapping[str, Medium]) -> list[GuestDisk]:
    """The disks of a guest.

    A guest with snapshots writes to a medium that differs from another one, and reads what it has not written from that
    one: each of a chain is a disk of the guest.

    Args:
        tool: Where files are read.
        values: What VirtualBox tells of the guest.
        media: Every hard disk that it knows.
    """
    runs = phase_of(values["VMState"]) not in AT_REST
    return [
        disk for place in parse.attached(values) for disk in _of_place(tool, place, list(_chain(place, media)), runs)
    ]


def _chain(place: Attached, media: Mapping[str, Medium]) -> Iterator[Medium]:
    uuid, seen = place.uuid, set[str]()
    while uuid in media and uuid not in seen:
        seen.add(uuid)
        yield media[uuid]
        uuid = media[uuid].parent


def _of_place(tool: Tool, place: Attached, chain: list[Medium], runs: bool) -> Iterator[GuestDisk]:  # noqa: FBT001
    if not chain:  # an optical or floppy drive, whose media are in other lists
        yield GuestDisk(
            target=place.target,
            kind="file",
            source=place.location,
            bus=place.bus,
            device="cdrom",
            readonly=True,
            live=runs,
            persistent=True,
        )
    for medium in chain:
        kind, source = _backing(tool, medium)
        yield GuestDisk(
            target=place.target,
            kind=kind,
            source=source,
            bus=place.bus,
            size_bytes=medium.size_bytes,
            readonly=medium is not chain[0] or medium.type == "readonly",
            shareable=medium.type == "shareable",
            live=runs,
            persistent=True,
        )


def _backing(tool: Tool, medium: Medium) -> tuple[str, str]:
    if medium.format in _NETWORK:
        return "network", medium.location
    if medium.format != "VMDK":
        return "file", medium.location
    device = tool.raw_device(medium.location)
    if device is None:
        return "vmdk", medium.location  # it may stand for a device, and nobody can tell
    return ("block", device) if device else ("file", medium.location)
