"""What disks show, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vmsvc.core.vmdg import laws
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import Reading, ReservationType, ScsiDisk

#: That a disk became read-only after this node had reserved it: nothing of ours can be removed from here.
STUCK = "is read-only here, and still reserved for this node"
#: Whose a key is by which this node has reserved a disk, and which was changed since.
EARLIER = "this node, with an earlier key"


def unprotected(name: str, why: str) -> str:
    """That nothing keeps other nodes from a disk, while others beside it are reserved, in words.

    Args:
        name: The disk.
        why: What it is.
    """
    return f"{name} is not reserved, and nothing keeps other nodes from it: {why}"


def told(reading: Reading, key: int, names: Mapping[int, str] = MappingProxyType({})) -> str:
    """Whose a disk is, in words.

    Args:
        reading: What a live path showed.
        key: Our key.
        names: The names of nodes by their keys.
    """
    holder = laws.holder_of(reading)
    others = [named(each, names) for each in sorted(laws.foreign_keys(reading, key) - {holder})]
    if holder == key:
        held = "held by this node" if laws.holds(reading, key) else "held with this node's own key"
    elif holder is not None:
        held = f"held by {named(holder, names)}"
    else:
        held = "held by all registrants" if laws.is_held_by_all(reading) else "not reserved"
    registered = f"registered: {', '.join(others)}" if others else ""
    return "; ".join(filter(None, (held, registered, cloned(reading, key))))


def cloned(reading: Reading, key: int) -> str:
    """That another node is registered with our key, in words; empty where none is, as far as is known.

    Args:
        reading: What a live path showed.
        key: Our key.
    """
    clones = laws.clones_of(reading, key)
    if not clones:
        return ""
    who = ", ".join(each.partition(" ")[2] for each in clones)
    return (
        f"{who} is registered with this node's own key {key_text(key)}, and is none of its initiators: another node "
        "has the same key, or this node has lost an adapter"
    )


def crowded(reading: Reading, key: int, disk: ScsiDisk, refused: tuple[str, ...] = ()) -> str:
    """That more nexuses bear our key than can be paths of ours, in words.

    Args:
        reading: What a live path showed.
        key: Our key.
        disk: The disk.
        refused: The paths whose registration was refused.
    """
    but = f" of which {len(refused)} refused to be registered" if refused else ""
    count = f"our key is registered {laws.own_count(reading, key)} times, on {len(disk.paths)} paths{but}"
    return f"{count}: by dead connections of this node, or by another node with the same key"


def type_words(type: int) -> str:
    """A reservation type in words, with its number; one that SPC-4 does not know is only a number.

    Args:
        type: Its code.

    >>> type_words(7)
    'write exclusive all registrants (type 7)'
    """
    known = {int(each): each.name.replace("_", " ").lower() for each in ReservationType}
    return f"{known[type]} (type {type})" if type in known else f"type {type}"


def named(key: int, names: Mapping[int, str]) -> str:
    """A node's key, with the node's name where it is known.

    Args:
        key: The key.
        names: The names of nodes by their keys.
    """
    return f"{names[key]} ({key_text(key)})" if key in names else key_text(key)
