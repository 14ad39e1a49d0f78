"""The laws of exclusive disks, one function each, over what a disk shows. Pure.

Everything that decides asks here, by ``laws.NAME(…)``, so that each law stands in one place, has a name, and can be
broken on purpose by whoever wants to know whether a test would notice. ``docs/explanation/exclusive-disks.md`` tells
the laws (I1 to I12) in prose.

Keys are compared as integers. *Foreign* is each key that is not ours and not 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from vmsvc.core.vmdg.seen import HELD_BY_ALL, OURS, Act, Answer, Operation, Reading, ScsiDisk

#: Answers that say that a request was not carried out, and may be made again at once.
AGAIN = frozenset({Answer.ATTENTION, Answer.BUSY})
#: Answers that say that no reservation can be there at all: the device knows none.
INCAPABLE = frozenset({Answer.UNSUPPORTED, Answer.FOREIGN})
#: Answers of a target that has not registered a path, as it says. (A path that is gone or silent may be registered.)
REFUSALS = frozenset({Answer.CONFLICT, Answer.NOT_READY, Answer.UNSUPPORTED, Answer.INVALID})
#: With how many registered paths a disk counts as taken. One: a guest is worth starting on half of its paths, and
#: status says ``warn`` until the others are registered, too.
LEAST_PATHS = 1


# --- what a reading says ------------------------------------------------------------------------------------------


def holder_of(reading: Reading) -> int | None:
    """The key of the nexus that holds the reservation.

    Args:
        reading: What a live path showed.

    Returns:
        ``None`` where nobody holds it, or all registrants do: READ RESERVATION then shows key 0, which is nobody's.
    """
    reservation = reading.reservation
    if reservation is None or not reservation.key or is_held_by_all(reading):
        return None
    return reservation.key


def is_held_by_all(reading: Reading) -> bool:
    """Whether every registrant holds the reservation (types 7 and 8)."""
    return reading.reservation is not None and reading.reservation.type in HELD_BY_ALL


def is_nameless(reading: Reading) -> bool:
    """Whether a reservation of a type that SPC-4 does not know shows no holder: nothing that can be judged."""
    return reading.reservation is not None and not is_held_by_all(reading) and holder_of(reading) is None


def clones_of(reading: Reading, key: int) -> tuple[str, ...]:
    """I10: the initiators that are positively not this node's, and are registered with its key all the same.

    A hypervisor that was copied with its disk has the other's key, and every other reading takes the two for one.

    Args:
        reading: What a live path showed.
        key: Our key.
    """
    return tuple(sorted({each.initiator for each in reading.registrations if each.key == key and each.is_alien}))


def holds(reading: Reading, key: int) -> bool:
    """Whether the reservation is held by a nexus of ours with this key, whatever its type."""
    is_clones = any(each.holds and each.is_alien for each in reading.registrations)
    return holder_of(reading) == key and not is_clones


def foreign_keys(reading: Reading, key: int) -> frozenset[int]:
    """Every key of others that the disk shows: of registrants and of the holder.

    Args:
        reading: What a live path showed.
        key: Our key.
    """
    return frozenset({*reading.keys, holder_of(reading) or 0} - {key, 0})


def own_count(reading: Reading, key: int) -> int:
    """How many nexuses are registered with our key, and are not positively another node's."""
    return sum(each.key == key and not each.is_alien for each in reading.registrations)


def registrations_of(disk: ScsiDisk, paths: Iterable[str]) -> int:
    """How many registrations these paths make, by the habits of the disk's make.

    Args:
        disk: The disk.
        paths: Some of its paths.
    """
    paths = tuple(paths)
    if disk.quirks.per_initiator and disk.hosts:
        host_of = dict(zip(disk.paths, disk.hosts, strict=True))
        return len({host_of.get(path, path) for path in paths})
    return len(paths)


# --- the laws -----------------------------------------------------------------------------------------------------


def is_credible(reading: Reading, *, has_counted: bool) -> bool:
    """I6: only what a live path showed may be acted upon.

    Args:
        reading: What a path showed.
        has_counted: Whether the disk has shown a generation other than 0 in this attempt. Then "generation 0, no keys,
            no reservation" is what a dead transport looks like to a tool that does not notice.

    Returns:
        Whether the reading may be believed; a key of 0 among the registrations is a sign of a truncated list.
    """
    is_blank = not reading.generation and not reading.registrations and reading.reservation is None
    return reading.is_live and 0 not in reading.keys and not (has_counted and is_blank)


def agree(readings: Iterable[Reading]) -> bool:
    """Whether paths show the same registrations and reservation, as those to one disk do at one moment.

    Args:
        readings: What live paths showed.
    """
    return len({(tuple(sorted(reading.keys)), reading.reservation) for reading in readings}) <= 1


def is_authorised(
    first: Reading, key: int, authority: frozenset[int], *, holders: frozenset[int] | None = None
) -> bool:
    """I3: whether a disk may be taken, from its first look. Nothing is registered anywhere before all disks may be.

    Authority names the *holder*; others that are registered beside it go with it. Where no foreign nexus holds the
    reservation (nobody, ourselves, or all registrants), every foreign registrant must be named. Another node that has
    our key (I10) is named by that key.

    Args:
        first: What the disk showed before anything was done.
        key: Our key.
        authority: The keys that the operator has named.
        holders: From which of them it may be taken where they hold it; all when not given.
    """
    holders = authority if holders is None else holders
    if clones_of(first, key) and not may_preempt_holder(key, holders):
        return False
    holder = holder_of(first)
    if holder is not None and holder != key:
        return may_preempt_holder(holder, holders)
    return foreign_keys(first, key) <= authority


def may_preempt_holder(holder: int, authority: frozenset[int]) -> bool:
    """I3: whether the reservation may be taken from this holder, at any time of an attempt: it must have been named."""
    return holder in authority


def may_evict(victim: int, reading: Reading, first: Reading, key: int, authority: frozenset[int]) -> bool:
    """I5: whether a foreign registration may be removed.

    Args:
        victim: Its key.
        reading: What the disk showed last: the victim must have been read there.
        first: What it showed first, which has been authorised as a whole: who stood there goes.
        key: Our key. A racer, who came after our first look, goes if *we* hold the reservation.
        authority: The keys that the operator has named; they go at any time.
    """
    if victim not in foreign_keys(reading, key):
        return False
    return victim in foreign_keys(first, key) | authority or holds(reading, key)


def is_lost(reading: Reading, key: int, holders: frozenset[int]) -> bool:
    """Whether somebody else has won: holds the reservation, or has our key, and it may not be taken from them."""
    if clones_of(reading, key) and not may_preempt_holder(key, holders):
        return True
    holder = holder_of(reading)
    if is_held_by_all(reading):
        return not foreign_keys(reading, key) <= holders
    return holder is not None and holder != key and not may_preempt_holder(holder, holders)


def is_won(reading: Reading, key: int) -> bool:
    """Whether the disk is reserved for our key, with our type."""
    return holds(reading, key) and reading.reservation is not None and reading.reservation.type == OURS


def is_alone(reading: Reading, key: int) -> bool:
    """I12: whether nobody else is registered: with type 5 each registrant may write, holder or not."""
    return not foreign_keys(reading, key) and not clones_of(reading, key)


def is_complete(reading: Reading, first: Reading, key: int, disk: ScsiDisk, registered: tuple[str, ...]) -> bool:
    """Whether at least the paths that said so are registered.

    Where none said so, a registration of ours must have come that was not there at first: the others may be of nexuses
    that died, through which nothing can be written.

    Args:
        reading: What the disk showed last.
        first: What it showed before anything was done.
        key: Our key.
        disk: The disk.
        registered: The paths whose registration was answered with "done".
    """
    expected = registrations_of(disk, registered) if registered else own_count(first, key) + LEAST_PATHS
    return own_count(reading, key) >= expected


def is_crowded(reading: Reading, key: int, disk: ScsiDisk, refused: tuple[str, ...] = ()) -> bool:
    """Whether more nexuses bear our key than can be paths of ours: nexuses that died, or another node with our key.

    Where it is, our own key may be preempted (I5): it has been read.

    Args:
        reading: What the disk showed.
        key: Our key.
        disk: The disk.
        refused: The paths whose registration was refused.
    """
    return own_count(reading, key) > registrations_of(disk, (path for path in disk.paths if path not in refused))


def is_ours(reading: Reading, first: Reading, key: int, disk: ScsiDisk, registered: tuple[str, ...]) -> bool:
    """I11: what must have been read back before anything is called a success."""
    return is_won(reading, key) and is_alone(reading, key) and is_complete(reading, first, key, disk, registered)


def is_gone(reading: Reading, key: int) -> bool:
    """I11: what must have been read back before anything is called released."""
    return own_count(reading, key) == 0 and not holds(reading, key)


def may_repeat(operation: Operation | None, answer: Answer, *, in_use: bool) -> bool:
    """I1: whether a request that was not carried out may be made again without another look.

    A registration may not while a guest of ours may be writing: the attention may have told that we were preempted, and
    a registration would let our guest write beside the new owner's.

    Args:
        operation: What was asked for; ``None`` to read.
        answer: The answer.
        in_use: Whether a guest of ours may be writing.
    """
    is_registration = operation is not None and operation.act is Act.REGISTER
    return answer in AGAIN and not (in_use and is_registration and answer is Answer.ATTENTION)


def is_kept(reading: Reading, key: int) -> bool:
    """I1: whether a disk under a running guest is ours alone: then only paths that are missing are registered.

    To register the others once more would repair nothing, and would race with whoever is taking the disk just now.

    Args:
        reading: What the disk showed.
        key: Our key.
    """
    return is_won(reading, key) and is_alone(reading, key)


def may_go_on(reading: Reading, key: int) -> bool:
    """I9: whether what may be writing to a disk may go on with it: our key is there still.

    If it is not, another node may have had the disk, written to it, and gone without leaving a trace; what our guest
    remembers of it may be stale.

    Args:
        reading: What the disk showed.
        key: Our key.
    """
    return not is_gone(reading, key)


def is_taken(reading: Reading, key: int, recorded: frozenset[int]) -> bool:
    """I9: whether a disk that was reserved for what runs is another node's now: only then a kill saves anything.

    That this node has reserved it must be written down; another's key must be there, and none that is or was ours: not
    even one that another node seems to have. In doubt a person is called.

    Args:
        reading: What the disk showed.
        key: Our key.
        recorded: The keys by which this node has reserved the disk, as it has written down.
    """
    shown = {*reading.keys, holder_of(reading) or 0} - {0}
    return bool(recorded and shown) and shown.isdisjoint({key, *recorded})


def may_return(reading: Reading, key: int, *, is_doubtful: bool) -> bool:
    """I3: whether a path may be registered again only to be rid of our other registrations: not on another node's disk.

    Nor where another node has our key, or may have it (I10): to preempt it would evict that one. Nor where this node
    itself has another key there by now, which the path would lose.

    Args:
        reading: What the disk showed.
        key: Our key.
        is_doubtful: Whether there is a reason to leave what is registered with our key on none of our paths.
    """
    is_anothers = is_doubtful or holder_of(reading) not in (None, key) or bool(clones_of(reading, key))
    return not is_anothers and not (is_held_by_all(reading) and foreign_keys(reading, key))


def may_join(reading: Reading, key: int, source: int) -> bool:
    """Whether the destination of a live migration may register beside the source, which holds the disk alone.

    Args:
        reading: What the disk showed.
        key: Our key, of the destination.
        source: The source's key.
    """
    is_shareable = reading.reservation is not None and reading.reservation.type == OURS
    is_theirs = holder_of(reading) in (source, key) and foreign_keys(reading, key) <= {source}
    return is_shareable and is_theirs and not clones_of(reading, key)


def must_give_up(first: Reading, last: Reading | None, key: int, *, in_use: bool) -> bool:
    """I4: whether a failed attempt takes back what it did to a disk; only ever our own registrations.

    A disk that was ours before stays ours: a guest may be running on it. Unless somebody took it from us meanwhile;
    then what is registered there is what this attempt added.

    Args:
        first: What the disk showed first.
        last: What it showed last; ``None`` where it has not been read since.
        key: Our key.
        in_use: Whether a guest of ours may be writing; then our registrations are kept even where we held nothing.
    """
    was_ours = holds(first, key) or (in_use and own_count(first, key) > 0)
    if not was_ours:
        return True
    holder = holder_of(last or first)
    return holder not in (key, None, holder_of(first))
