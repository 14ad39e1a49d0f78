"""What readings of disks mean for a status, in words for somebody who was woken up by it. Pure.

*Up* is: ours alone, through every path. *Down* is: positively nothing of ours. *Contested* is: our keys are there, and
somebody else may write all the same. *Degraded* is: ours alone, with something missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import evolve, frozen

from vmsvc.core.status import Phase
from vmsvc.core.vmdg import laws, words
from vmsvc.core.vmdg.seen import OtherDisk, Reading, ScsiDisk

#: The mending of everything that lacks only a registration or the reservation.
_RESERVE_AGAIN = "`vmsvc pr start` reserves it again"
_KEY_WAS_CHANGED = "put the earlier `prkey` back; or stop the service, which releases it, and start it"


@frozen(kw_only=True)
class Judged:
    """How a disk, or a set of them, stands with this node.

    Attributes:
        name: The disk, as it was named; empty of a set.
        phase: Where it stands.
        state: In a few words.
        detail: In full: of a set, each disk that is not as it should be.
        hint: What to do next; empty where there is nothing to do.
        warnings: What is worth telling, and changes nothing.
        foreign: Keys of others that it shows, in ascending order.
        is_lost: Whether it was read and shows nothing of ours: under a running guest, an alarm (I9).
        is_taken: Whether it was reserved for this node, is lost, and is another's now.
    """

    name: str = ""
    phase: Phase
    state: str
    detail: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    foreign: tuple[int, ...] = ()
    is_lost: bool = False
    is_taken: bool = False


def judge(
    disk: ScsiDisk,
    readings: Iterable[Reading],
    key: int,
    names: Mapping[int, str],
    *,
    recorded: Collection[int] = (),
) -> Judged:
    """How one disk stands.

    Args:
        disk: The disk.
        readings: What its paths showed, one reading each; a path without one did not answer.
        key: Our key.
        names: The names of nodes by their keys, for the words.
        recorded: The keys by which this node has reserved the disk, as it has written down: all of them are ours, until
            a peer has one. A disk that is read-only here, and was not written down, may show our key as well because
            the array copies it from another disk.
    """
    readings = tuple(readings)
    live = tuple(reading for reading in readings if laws.is_credible(reading, has_counted=False))
    if not live:
        return _unread(disk, readings)
    dead = _dead(disk, live, readings)
    if not laws.agree(live):
        return Judged(
            name=disk.name,
            phase=Phase.UNKNOWN,
            state="unknown",
            detail="its paths show different reservations: they are changing right now, or lead to different disks",
            hint="look again; if it stays so, compare the World Wide IDs of the paths",
        )
    reading = live[0]
    earlier = frozenset(recorded) - {key, *names}
    names = {**dict.fromkeys(earlier, words.EARLIER), **names}
    if disk.readonly:
        return _judge_readonly(disk, reading, key, names, is_recorded=key in recorded)
    judged = _judge_gone if laws.is_gone(reading, key) else _judge_ours
    found = judged(disk, reading, key, names, dead)
    is_lost = found.is_lost and all(laws.is_gone(reading, each) for each in earlier)
    return evolve(
        found,
        hint=_KEY_WAS_CHANGED if found.is_lost and not is_lost else found.hint,
        foreign=tuple(each for each in found.foreign if each not in earlier),
        is_lost=is_lost,
        is_taken=is_lost and laws.is_taken(reading, key, frozenset(recorded)),
    )


def _judge_gone(disk: ScsiDisk, reading: Reading, key: int, names: Mapping[int, str], dead: tuple[str, ...]) -> Judged:
    """Our key is not on it."""
    state = words.told(reading, key, names)
    return Judged(
        name=disk.name,
        phase=Phase.STOPPED,
        state=state,
        detail="; ".join((state, *dead)),
        foreign=_foreign(reading, key),
        is_lost=True,
    )


def _judge_readonly(
    disk: ScsiDisk, reading: Reading, key: int, names: Mapping[int, str], *, is_recorded: bool
) -> Judged:
    """It is not ours to reserve. If it was, it keeps other nodes out, and no release from here changes that."""
    foreign = _foreign(reading, key)
    if not is_recorded or laws.is_gone(reading, key):
        held = ", reserved for this node" if laws.holds(reading, key) else ""
        state = f"read-only here{held}: its reservation cannot be changed"
        return Judged(name=disk.name, phase=Phase.INAPPLICABLE, state=state, detail=state, foreign=foreign)
    return Judged(
        name=disk.name,
        phase=Phase.DEGRADED,
        state=words.STUCK,
        detail=f"{words.STUCK}: {words.told(reading, key, names)}",
        hint="once it is writable here again, a stop of the service releases it",
        foreign=foreign,
    )


def _judge_ours(disk: ScsiDisk, reading: Reading, key: int, names: Mapping[int, str], dead: tuple[str, ...]) -> Judged:
    """Our key is on it: is it ours alone, and through every path?"""
    foreign = _foreign(reading, key)
    rivals, faults = _rivals(reading, key, names), (*_faults(disk, reading, key), *dead)
    is_crowded = laws.is_crowded(reading, key, disk)
    warnings = (f"{disk.name}: {words.crowded(reading, key, disk)}",) if is_crowded else ()
    if not rivals and not faults:
        return Judged(
            name=disk.name,
            phase=Phase.RUNNING,
            state="reserved for this node",
            detail=f"reserved for this node through {len(disk.paths)} paths",
            warnings=warnings,
        )
    return Judged(
        name=disk.name,
        phase=Phase.CONTESTED if rivals else Phase.DEGRADED,
        state=(rivals + faults)[0],
        detail="; ".join(rivals + faults),
        hint="see who it is before anything is started; `--force` names a holder to evict"
        if foreign
        else _RESERVE_AGAIN,
        warnings=warnings,
        foreign=foreign,
    )


def _foreign(reading: Reading, key: int) -> tuple[int, ...]:
    """The keys of others: ours is among them where another node has it."""
    return tuple(sorted({*laws.foreign_keys(reading, key), *([key] if laws.clones_of(reading, key) else [])}))


def _rivals(reading: Reading, key: int, names: Mapping[int, str]) -> tuple[str, ...]:
    """Why somebody else may write although our key is there."""
    if reading.reservation is None:
        who = "; ".join(f"{words.named(each, names)} is registered" for each in sorted(laws.foreign_keys(reading, key)))
        state = "registered for this node, but not reserved: any node can write"
        return (state, *filter(None, (who, words.cloned(reading, key))))
    holder = laws.holder_of(reading)
    is_held = holder not in (key, None)
    held = (f"held by {words.named(holder or 0, names)}, while this node is registered, too",) if is_held else ()
    others = sorted(laws.foreign_keys(reading, key) - {holder})
    clones = filter(None, [words.cloned(reading, key)])
    return (*held, *clones, *(f"{words.named(each, names)} is registered, too, and can write" for each in others))


def _faults(disk: ScsiDisk, reading: Reading, key: int) -> tuple[str, ...]:
    """What is missing on a disk that nobody else claims."""
    own, expected = laws.own_count(reading, key), laws.registrations_of(disk, disk.paths)
    missing = (f"{own} of {expected} paths registered",) if own < expected else ()
    if reading.reservation is None or laws.is_won(reading, key) or laws.holder_of(reading) not in (key, None):
        return missing
    return (f"reserved as {words.type_words(reading.reservation.type)}, not as registrants only", *missing)


def objection_to(
    disk: ScsiDisk, readings: Iterable[Reading], key: int, authority: frozenset[int], names: Mapping[int, str]
) -> str:
    """Why a disk would not be taken as it stands, in words; empty where it would, or where that is not known.

    Args:
        disk: The disk.
        readings: What its paths showed.
        key: Our key.
        authority: The keys of the holders whom the operator has named.
        names: The names of nodes by their keys, for the words.
    """
    readings = tuple(readings)
    live = [reading for reading in readings if laws.is_credible(reading, has_counted=False)]
    if disk.readonly or not laws.agree(live):
        return ""
    if live:
        return "" if laws.is_authorised(live[0], key, authority) else words.told(live[0], key, names)
    unread = _unread(disk, readings)
    return unread.state if unread.phase is Phase.INCAPABLE else ""


def judge_other(disk: OtherDisk, *, is_unprotected: bool = False) -> Judged:
    """How a disk stands that cannot be reserved.

    Args:
        disk: The disk.
        is_unprotected: Whether nothing keeps other nodes from it, while others of its guest are reserved.
    """
    if disk.is_known:
        return Judged(
            name=disk.name,
            phase=Phase.INAPPLICABLE,
            state=f"not reservable: {disk.why}",
            detail=disk.why,
            warnings=(words.unprotected(disk.name, disk.why),) if is_unprotected else (),
        )
    return Judged(name=disk.name, phase=Phase.UNKNOWN, state="unknown", detail=disk.why)


def judge_left_over(judged: Judged, *, is_used: bool = False) -> Judged:
    """How a disk stands that was reserved, and that its resource does not name any more, or not with that key.

    It is a fault as long as anything of ours may be on it, and keeps nobody from starting. A guest that has it no more
    cannot lose it, nor meet others on it; what nobody knows to be over is no reason for a kill.

    Args:
        judged: How it stands by itself.
        is_used: Whether the guest for which it was reserved may have it still: nobody can tell what that has now.
    """
    is_lost = is_used and judged.is_lost
    if judged.phase in (Phase.STOPPED, Phase.INAPPLICABLE, Phase.INCAPABLE):
        state = f"reserved earlier, and nothing of that is left: {judged.state}"
        return Judged(
            name=judged.name,
            phase=Phase.INAPPLICABLE,
            state=state,
            detail=state,
            hint="`vmsvc pr stop` forgets it",
            is_lost=is_lost,
        )
    is_contested = judged.phase is Phase.CONTESTED
    what, detail = "still for this node", ""
    if judged.phase is Phase.UNKNOWN or is_contested:
        what = "this node is registered still" if is_contested else "perhaps still"
        detail = f": {judged.detail}"
    state = f"reserved earlier, and {what}, though it is not named any more"
    return Judged(
        name=judged.name,
        phase=Phase.DEGRADED,
        state=state,
        detail=f"{state}{detail}",
        hint="a stop of the service releases it",
        foreign=judged.foreign if is_used and is_contested else (),
    )


def judge_set(judged: Iterable[Judged]) -> Judged:
    """How a set of disks stands: up only where each of them is, down only where none is ours.

    Args:
        judged: How each disk stands; ``n/a`` ones do not count.
    """
    judged = tuple(judged)
    counted = tuple(each for each in judged if each.phase is not Phase.INAPPLICABLE)
    if not counted:
        why = "; ".join(f"{each.name}: {each.state}" for each in judged) or "the guest has no disks"
        hint = next((each.hint for each in judged if each.hint), "")
        return Judged(phase=Phase.INAPPLICABLE, state="no reservable disks", detail=why, hint=hint)
    phase = _phase_of({each.phase for each in counted})
    odd = tuple(each for each in counted if each.phase is not Phase.RUNNING)
    return Judged(
        phase=phase,
        state=_state_of(phase, counted, odd),
        detail="; ".join(f"{each.name}: {each.detail}" for each in odd)
        or _disks(len(counted), "reserved for this node"),
        hint=next((each.hint for each in odd if each.hint), ""),
        warnings=tuple(warning for each in judged for warning in each.warnings),
        foreign=tuple(sorted({foreign for each in counted for foreign in each.foreign})),
        is_lost=any(each.is_lost for each in counted),
    )


def _phase_of(phases: set[Phase]) -> Phase:
    """Some ours and some not is contested: nothing may be started upon it, and nothing taken for stopped."""
    for phase in (Phase.UNKNOWN, Phase.CONTESTED):
        if phase in phases:
            return phase
    for phase in (Phase.STOPPED, Phase.INCAPABLE):
        if phase in phases:
            return phase if len(phases) == 1 else Phase.CONTESTED
    return Phase.DEGRADED if Phase.DEGRADED in phases else Phase.RUNNING


def _state_of(phase: Phase, counted: tuple[Judged, ...], odd: tuple[Judged, ...]) -> str:
    if phase is Phase.RUNNING:
        return _disks(len(counted), "reserved")
    states = {each.state for each in odd}
    if len(odd) == len(counted) and len(states) == 1:
        return states.pop()
    return f"{len(odd)} of {len(counted)} disks not reserved as they should be"


def _unread(disk: ScsiDisk, readings: tuple[Reading, ...]) -> Judged:
    if readings and {reading.answer for reading in readings} <= laws.INCAPABLE:
        state = "knows no persistent reservations"
        return Judged(name=disk.name, phase=Phase.INCAPABLE, state=state, detail=f"{state}: any node can write")
    detail = "; ".join(("no path answers", *_dead(disk, (), readings)))
    return Judged(name=disk.name, phase=Phase.UNKNOWN, state="unknown", detail=detail)


def _dead(disk: ScsiDisk, live: tuple[Reading, ...], readings: tuple[Reading, ...]) -> tuple[str, ...]:
    shown = {reading.path: reading for reading in readings}
    alive = {reading.path for reading in live}
    return tuple(f"{path}: {_trouble(shown.get(path))}" for path in disk.paths if path not in alive)


def _trouble(reading: Reading | None) -> str:
    if reading is None:
        return "was not read in time"
    trouble = "shows a key of 0" if reading.is_live else reading.answer.value
    return f"{trouble} ({reading.detail})" if reading.detail else trouble


def _disks(count: int, what: str) -> str:
    return f"{count} {'disk' if count == 1 else 'disks'} {what}"
