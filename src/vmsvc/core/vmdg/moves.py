"""What to do to one disk next, from what it shows: chains of moves, made without a look in between. Pure.

A chain is as long as nothing in it depends on what an earlier move has done, so that a disk costs as few requests as
the protocol allows. It ends with a look, whatever was answered; a move of it that was not answered with "done" ends it
early.
"""

from __future__ import annotations

import enum

from attrs import frozen

from vmsvc.core.vmdg import laws
from vmsvc.core.vmdg.seen import OURS, Act, Operation, Reading, ReservationType, ScsiDisk


class Through(enum.Enum):
    """Which of a disk's paths a move is made through.

    Attributes:
        ALL: All of them, in parallel.
        ONE: The acting path: one that is alive and registered.
        OTHERS: All but the acting path, in parallel.
    """

    ALL = "all"
    ONE = "one"
    OTHERS = "others"


@frozen(kw_only=True)
class Move:
    """Operations of one act, which may be made in parallel.

    Attributes:
        act: What is done.
        through: Through which paths.
        victims: Of a preemption, the keys that are removed, one operation each.
        type: The type of reservation.
        paths: The paths, where only some are meant; ``through`` is not used then.
    """

    act: Act
    through: Through = Through.ONE
    victims: tuple[int, ...] = ()
    type: ReservationType = OURS
    paths: tuple[str, ...] = ()

    def operations(self, disk: ScsiDisk, acting: str, key: int) -> tuple[Operation, ...]:
        """The operations it is made of.

        Args:
            disk: The disk.
            acting: Its acting path.
            key: Our key.
        """
        return tuple(
            Operation(act=self.act, path=path, key=key, victim=victim, type=self.type)
            for path in self._paths(disk, acting)
            for victim in self.victims or (0,)
        )

    def _paths(self, disk: ScsiDisk, acting: str) -> tuple[str, ...]:
        if self.paths:
            return self.paths
        if disk.is_managed:  # multipathd finds the paths itself; "others" are then registered by doing all once more
            return () if self.act is Act.UNREGISTER and self.through is Through.OTHERS else (disk.map,)
        if self.through is Through.ALL:
            return disk.paths
        if self.through is Through.ONE:
            return (acting,)
        return tuple(path for path in disk.paths if path != acting)


_REGISTER = Move(act=Act.REGISTER, through=Through.ALL)
_REGISTER_ONE = Move(act=Act.REGISTER)
_REGISTER_OTHERS = Move(act=Act.REGISTER, through=Through.OTHERS)
_RESERVE = Move(act=Act.RESERVE)


def to_take(
    reading: Reading, first: Reading, key: int, authority: frozenset[int], *, is_registered: bool
) -> tuple[Move, ...]:
    """How to get from what a disk shows to a disk that is ours alone.

    Args:
        reading: What it showed last; it is not lost (:func:`laws.is_lost`).
        first: What it showed first.
        key: Our key.
        authority: The keys that the operator has named.
        is_registered: Whether our paths are registered already.
    """
    holder = laws.holder_of(reading)
    foreign = laws.foreign_keys(reading, key)
    victims = tuple(sorted(key_ for key_ in foreign if laws.may_evict(key_, reading, first, key, authority)))
    register = () if is_registered else (_REGISTER,)
    if laws.is_won(reading, key) and not laws.clones_of(reading, key):
        return (*register, *_evict(victims))
    if (
        holder == key
    ):  # another type, or another node with our key: a preemption of it changes both, and our other paths
        return (_REGISTER_ONE, _preempt(key), _REGISTER_OTHERS, *_evict(victims))
    if holder is not None and laws.may_preempt_holder(holder, authority):
        return (*register, _preempt(holder), *_evict(tuple(victim for victim in victims if victim != holder)))
    if laws.is_held_by_all(reading):
        return (*register, *(_evict(victims) if foreign else _change_type(reading)))
    return (*register, _RESERVE, *_evict(victims))


def to_be_rid_of_ghosts(key: int) -> tuple[Move, ...]:
    """How the holder removes nexuses of its own that have died: all of its others go, and those alive come back.

    While it lasts, the disk cannot be written through the other paths.

    Args:
        key: Our key; it holds the reservation.
    """
    return (_preempt(key), _REGISTER_OTHERS)


def to_confirm(disk: ScsiDisk) -> tuple[Move, ...]:
    """How to find out which paths are registered, without giving access to any that is not.

    Args:
        disk: The disk; it is ours.
    """
    return (Move(act=Act.CONFIRM, paths=disk.paths),)


def to_complete(missing: tuple[str, ...]) -> tuple[Move, ...]:
    """How to register the paths of a disk of ours that are not.

    Args:
        missing: The paths.
    """
    return (Move(act=Act.REGISTER, paths=missing),)


def to_join() -> tuple[Move, ...]:
    """How the destination of a migration gets access beside the source."""
    return (_REGISTER,)


def to_leave(key: int, rounds: int) -> tuple[Move, ...]:
    """How to remove our registrations, and with the holder's the reservation (SPC-4: unregistering).

    Args:
        key: Our key.
        rounds: How often it has been tried. What is left after the first time is registered on nexuses that we do not
            have any more; one that we have preempts them.
    """
    if rounds == 0:  # the acting path last: it is the likely holder, and to leave first would disturb our other paths
        return (Move(act=Act.UNREGISTER, through=Through.OTHERS), Move(act=Act.UNREGISTER))
    return (_REGISTER_ONE, _preempt(key), Move(act=Act.UNREGISTER))


def _preempt(victim: int) -> Move:
    return Move(act=Act.PREEMPT, victims=(victim,))


def _evict(victims: tuple[int, ...]) -> tuple[Move, ...]:
    return (Move(act=Act.PREEMPT, victims=victims),) if victims else ()


def _change_type(reading: Reading) -> tuple[Move, ...]:
    """All registrants hold it, and they are all ours: one releases it for all; PREEMPT of key 0 is never used (I5)."""
    assert reading.reservation is not None
    return (Move(act=Act.RELEASE, type=ReservationType(reading.reservation.type)), _RESERVE)
