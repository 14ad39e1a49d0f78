"""Which disks a release gives back: those that a resource names, and those that this node has reserved for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from attrs import field, frozen

from vmsvc.core.disks.rivals import Rivals
from vmsvc.core.disks.sets import DiskSet
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import ScsiDisk

_T = TypeVar("_T")


@frozen(kw_only=True)
class Release:
    """What is to be released, and what is not.

    Attributes:
        due: The disks from which a key is to be removed, by the key.
        doubts: By the key, the World Wide IDs of disks where registrations are left that none of this node's paths has;
            and with each, why, in words.
        passed_on: World Wide IDs, by the key, of disks that this node has reserved for another resource, too: that one
            releases them.
        notes: What is passed on, in words.
        unclear: Why something is left as it is, in words.
    """

    due: Mapping[int, tuple[ScsiDisk, ...]] = field(factory=dict)
    doubts: Mapping[int, tuple[tuple[str, str], ...]] = field(factory=dict)
    passed_on: Mapping[int, tuple[str, ...]] = field(factory=dict)
    notes: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


def release_of(found: DiskSet, rivals: Rivals, peers: Mapping[str, int]) -> Release:
    """Decide what a release gives back.

    What is named by its resource is released by the key that the resource has now; what is not, by the key that was
    written down. A key that is known to be a peer's is not ours any more, whatever was written down. If it is the key
    that the resource has now, both nodes have it: this one's paths give up what they have, and no more is removed.
    Nothing is asked of a disk that is read-only here, unless it was written down: it became so later then.

    Args:
        found: The disks of the resource.
        rivals: Who else of this node may write to them.
        peers: The keys of the other nodes, by node.
    """
    named = [(found.key, disk) for disk in found.disks] if found.key else []
    former = [(each.entry.key, each.disk) for each in found.left_over]
    owners = {key: peer for peer, key in peers.items() if key != found.key}
    due: list[tuple[int, ScsiDisk]] = []
    passed_on: list[tuple[int, str]] = []
    notes: list[str] = []
    unclear: list[str] = []
    for key, disk in [*named, *former]:
        if not isinstance(disk, ScsiDisk):
            unclear.append(f"{disk.name}: {disk.why}")
        elif disk.readonly and not found.record.has(disk.wwid, key):
            notes.append(f"{disk.name} is read-only here, and has been left as it is: this node has not reserved it")
        elif holder := rivals.holders.get((disk.wwid, key)):
            passed_on.append((key, disk.wwid))
            notes.append(f"{disk.name} stays reserved, for {holder}")
        elif disk.wwid in rivals.doubtful:
            unclear.append(f"{disk.name} has been left as it is: {rivals.doubtful[disk.wwid]}")
        elif key in owners:
            unclear.append(f"{disk.name}: {key_text(key)}, with which it was reserved, is now the key of {owners[key]}")
        else:
            due.append((key, disk))
    doubts = [(key, (disk.wwid, why)) for key, disk in due if (why := _doubt(key, disk, found, rivals, peers))]
    return Release(
        due=_by_key(due),
        doubts=_by_key(doubts),
        passed_on=_by_key(passed_on),
        notes=tuple(notes),
        unclear=tuple(unclear),
    )


def _doubt(key: int, disk: ScsiDisk, found: DiskSet, rivals: Rivals, peers: Mapping[str, int]) -> str:
    """Why registrations with a key that none of this node's paths has are left on a disk, in words."""
    sharing = {key: peer for peer, key in peers.items()}
    if key in sharing:
        return f"it may be another node's, since {sharing[key]} has the same key"
    if not found.record.has(disk.wwid, key):
        return "it may be another node's, since this node has no record of having reserved the disk"
    holder = rivals.holder(disk.wwid)
    return f"{holder} has the disk by now, with another key" if holder else ""


def _by_key(pairs: Iterable[tuple[int, _T]]) -> dict[int, tuple[_T, ...]]:
    found: dict[int, tuple[_T, ...]] = {}
    for key, each in pairs:
        found[key] = (*found.get(key, ()), each)
    return found
