"""The disks of a guest: its media, what those differ from, and the devices of the node that files stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmsvc.driver import AT_REST, GuestDisk, Undetermined
from vmsvc_vbox import parse
from vmsvc_vbox.parse import Attached, Medium
from vmsvc_vbox.states import phase_of
from vmsvc_vbox.tool import Tool

_NETWORK = frozenset({"iSCSI"})


def disks(tool: Tool, values: Mapping[str, str]) -> list[GuestDisk]:
    """The disks of a guest.

    A guest with snapshots writes to a medium that differs from another one, and reads what it has not written from that
    one: each of a chain is a disk of the guest.

    Args:
        tool: Where media are listed, and files read.
        values: What VirtualBox tells of the guest.

    Raises:
        Undetermined: What is at one of its places is in no list: it came or went in this moment, or is another user's;
            or whether a file stands for a device is not known.
    """
    runs = phase_of(values["VMState"]) not in AT_REST
    places = parse.attached(values)
    for place in places:
        if place.location and place.uuid not in tool.media and place.uuid not in tool.removable:
            raise Undetermined(f"VirtualBox does not tell what kind of medium is at {place.target}: {place.location}")
    return [disk for place in places for disk in _of_place(tool, place, list(_chain(place, tool.media)), runs)]


def _chain(place: Attached, media: Mapping[str, Medium]) -> Iterator[Medium]:
    """A medium, and below it those that it differs from; none for what is in an optical or floppy drive."""
    uuid, seen = place.uuid, set[str]()
    while uuid in media and uuid not in seen:
        seen.add(uuid)
        yield media[uuid]
        uuid = media[uuid].parent
    if uuid and seen:
        raise Undetermined(f"VirtualBox does not tell what the disk at {place.target} differs from: {uuid}")


def _of_place(tool: Tool, place: Attached, chain: list[Medium], runs: bool) -> Iterator[GuestDisk]:  # noqa: FBT001
    if not chain:  # an optical or floppy drive
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
    return ("block", device) if device else ("file", medium.location)
