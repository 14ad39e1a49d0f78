"""The laws of exclusive disks, as the checker knows them: written against what disks hold and what was read.

They share no code with `vmsvc.core.vmdg.laws`, which is among what is checked. I10 (two nodes never share a key) holds by
construction: what is done where they do is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from tests.model.scenarios import KEYS, Acquire, Action, Join, Release, dead_nexus
from vmsvc.core.vmdg import attempt as attempts
from vmsvc.core.vmdg import judge
from vmsvc.core.vmdg.attempt import Outcome
from vmsvc.core.vmdg.seen import Act, Operation, Reading
from vmsvc.testing.san import reading_of
from vmsvc.testing.target import Unit, may_write

if TYPE_CHECKING:
    from tests.model.records import Sight, State
    from tests.model.world import World

OURS = 5
#: What a node's key was changed to, under its guest.
CHANGED = 0xC0FFEE


# --- of every state -----------------------------------------------------------------------------------------------


def never_two_writers(world: World, state: State) -> bool:
    """I1: from the moment an acquire has succeeded until its release begins, no other guest can write, or has a write
    under way that may still land. Source and destination of a migration count as one while its window is open.
    """
    running = {name for name, node in zip(world.names, state.nodes, strict=True) if node.guest}
    for disk in range(world.scenario.disks):
        unit = world.unit(state, disk)
        writers = {nexus[0] for nexus in unit.tasks}
        writers |= {name for name in running if any(may_write(unit, nexus) for nexus in _nexuses(world, name))}
        if writers & running and len(writers - world.migrating(state)) + bool(writers & world.migrating(state)) > 1:
            return False
    return True


def holds_all_or_runs_nothing(world: World, state: State) -> bool:
    """I2: who runs a guest holds every disk of its set, unless another node was given authority to take them."""
    for index, node in enumerate(state.nodes):
        name = world.names[index]
        if not node.guest or name in world.migrating(state) or world.is_rivalled(index):
            continue
        for disk in range(world.scenario.disks):
            unit = world.unit(state, disk)
            if not unit.holder or unit.key_of(unit.holder) != KEYS[name] or unit.type != OURS:
                return False
    return True


def is_told_what_it_lost(world: World, state: State) -> bool:
    """I9: of who runs a guest, the watch says that a disk is lost where, and only where, it bears no key of its node; and
    taken, which may kill the guest, where another node's key is there as well. So too if its key was changed meanwhile.
    """
    for name, node in zip(world.names, state.nodes, strict=True):
        for disk in range(world.scenario.disks) if node.guest else ():
            unit = world.unit(state, disk)
            is_lost = not any(nexus.startswith(name) for nexus, _ in unit.registrations)
            expected = (is_lost, is_lost and bool(unit.registrations))
            if any(_told_by_watch(world, name, disk, unit, key) != expected for key in (KEYS[name], CHANGED)):
                return False
    return True


def _told_by_watch(world: World, name: str, disk: int, unit: Unit, key: int) -> tuple[bool, bool]:
    its = world.disks[name][disk]
    shown = reading_of(its.paths[0], unit)
    told = judge.judge(its, [shown], key, {}, recorded={KEYS[name]})
    return told.is_lost, told.is_taken


def _nexuses(world: World, name: str) -> list[str]:
    return [f"{name}{path}" for path in range(1, world.scenario.paths + 1)]


# --- of every operation -------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Done:
    """An operation, what its node knew before it, and the disk before and after."""

    name: str
    action: Action | None
    operation: Operation
    disk: int
    sights: tuple[Sight, ...]
    before: Unit
    after: Unit

    @property
    def key(self) -> int:
        """The node's key."""
        return KEYS[self.name]

    @property
    def removes_foreign(self) -> bool:
        """Whether it preempts somebody else."""
        return self.operation.act is Act.PREEMPT and self.operation.victim != self.key


def looks_before_it_acts(done: Done) -> bool:
    """I3: nothing is done anywhere before every disk has been read and may be taken."""
    if isinstance(done.action, Release):
        return True
    return all(sight.first is not None and _may_take(done, sight.first) for sight in done.sights)


def _may_take(done: Done, first: Reading) -> bool:
    holder = first.reservation.key if first.reservation else 0
    foreign = {*first.keys} - {done.key}
    if isinstance(done.action, Join):
        return holder in (KEYS[done.action.source], done.key) and foreign <= {KEYS[done.action.source]}
    assert isinstance(done.action, Acquire)
    named = {KEYS[name] for name in done.action.over}
    return holder in named if holder not in (0, done.key) else foreign <= named


def removes_only_what_it_read(done: Done) -> bool:
    """I5: a foreign key that is removed was read in this attempt; and it was named, stood there when the disk was found
    to be takeable, or came later than we, who hold the disk.
    """
    if not done.removes_foreign:
        return True
    sight, victim = done.sights[done.disk], done.operation.victim
    if victim not in sight.keys or sight.first is None or sight.last is None:
        return False
    over = done.action.over if isinstance(done.action, Acquire) else ""
    first = {*sight.first.keys, sight.first.reservation.key if sight.first.reservation else 0}
    holder = sight.last.reservation.key if sight.last.reservation else 0
    return victim in {KEYS[name] for name in over} | first or holder == done.key


def preempts_nobody_unseen(done: Done) -> bool:
    """I6: nobody is preempted while a disk of the set has not been read, or could not be when it was read last."""
    return not done.removes_foreign or all(sight.first and not sight.is_blind for sight in done.sights)


def stop_spares_others(done: Done) -> bool:
    """I7: a release changes nobody else's registration, nor a reservation that somebody else holds."""
    if not isinstance(done.action, Release):
        return True
    return _of_others(done.before, done.name) == _of_others(done.after, done.name)


def gives_nothing_back_that_was_lost(done: Done) -> bool:
    """I9: a guest that has run all the time gets no access to disks on which nothing of its node was left."""
    is_kept = isinstance(done.action, Acquire) and done.action.spares_holder
    if not is_kept or done.operation.act not in (Act.REGISTER, Act.RESERVE, Act.PREEMPT):
        return True
    last = done.sights[done.disk].last
    shown = (*(sight.first for sight in done.sights), last)
    return all(reading is not None and done.key in reading.keys for reading in shown)


def _of_others(unit: Unit, name: str) -> tuple[object, ...]:
    others = tuple((nexus, key) for nexus, key in unit.registrations if not nexus.startswith(name))
    return others, tuple(nexus for nexus, _ in others if unit.is_held_by(nexus))


# --- of every end -------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Ended:
    """An attempt that has ended, what its node had read, and the disks."""

    name: str
    outcome: Outcome
    sights: tuple[Sight, ...]
    had: tuple[bool, ...]
    units: tuple[Unit, ...]


def takes_all_or_nothing(ended: Ended) -> bool:
    """I4: who has not taken the set has no disk of it that it did not have before, or says that it does not know."""
    if ended.outcome not in (Outcome.REFUSED, Outcome.LOST, Outcome.FAILED):
        return True
    return all(
        had or not any(nexus.startswith(ended.name) for nexus, _ in unit.registrations)
        for had, unit in zip(ended.had, ended.units, strict=True)
    )


def reads_back(ended: Ended) -> bool:
    """I11: a success has been read on every disk, after everything that was done to it."""
    shows = {Outcome.HELD: _shows_held, Outcome.JOINED: _shows_joined, Outcome.RELEASED: _shows_released}
    if ended.outcome not in shows:
        return True
    return all(
        sight.last is not None
        and not sight.is_stale
        and not sight.is_blind
        and shows[ended.outcome](sight.last, ended.name)
        for sight in ended.sights
    )


def _shows_held(last: Reading, name: str) -> bool:
    reservation = last.reservation
    is_reserved = reservation is not None and (reservation.key, reservation.type) == (KEYS[name], OURS)
    return is_reserved and _shows_joined(last, name)


def _shows_joined(last: Reading, name: str) -> bool:
    """A path of the node is registered: a connection that died writes nothing."""
    return any(each.key == KEYS[name] and each.nexus != dead_nexus(name) for each in last.registrations)


def _shows_released(last: Reading, name: str) -> bool:
    key = KEYS[name]
    return key not in last.keys and (last.reservation is None or last.reservation.key != key)


def is_alone_afterwards(ended: Ended) -> bool:
    """I12: who has taken the set has seen that nobody else is registered; who is, came later."""
    if ended.outcome is not Outcome.HELD:
        return True
    return all({*sight.last.keys} <= {KEYS[ended.name]} for sight in ended.sights if sight.last is not None)


# --- of the very end ----------------------------------------------------------------------------------------------


def somebody_wins(world: World, state: State) -> bool:
    """I4: the first disk decides for the set. So of a race in which nothing went wrong, somebody has everything, and
    nobody else has anything.
    """
    if not world.scenario.is_race or world.has_gone_wrong(state):
        return True
    winners = {name for name, node in zip(world.names, state.nodes, strict=True) if node.guest}
    registered = {
        nexus[0] for disk in range(world.scenario.disks) for nexus, _ in world.unit(state, disk).registrations
    }
    return len(winners) == 1 and registered == winners


# --- of every crash -----------------------------------------------------------------------------------------------


def converges(world: World, state: State, index: int) -> bool:
    """I8: whatever a crash left, the action succeeds when it runs again, or refuses because of what is there; and so
    does a release, which leaves nothing of ours and everything of others.
    """
    name, action = world.names[index], world.action(index, state.nodes[index])
    disks, key = world.disks[name], KEYS[name]
    left, outcome = world.alone(state, index, attempts.release(disks, key))
    if outcome is not Outcome.RELEASED or any(_has(unit, name) for unit in left):
        return False
    named = action.over if isinstance(action, Acquire) else ""
    taken, outcome = world.alone(
        state, index, attempts.acquire(disks, key, authority=frozenset(KEYS[other] for other in named))
    )
    if outcome is Outcome.HELD:
        return all({nexus[0] for nexus, _ in unit.registrations} == {name} for unit in taken)
    units = [world.unit(state, disk) for disk in range(world.scenario.disks)]
    in_the_way = {nexus[0] for unit in units for nexus, _ in unit.registrations} - {name, *named}
    return outcome is Outcome.REFUSED and bool(in_the_way)


def _has(unit: Unit, name: str) -> bool:
    return any(nexus.startswith(name) for nexus, _ in unit.registrations)


# --- all of them --------------------------------------------------------------------------------------------------

_OF_STATE: dict[str, Callable[[World, State], bool]] = {
    "I1": never_two_writers,
    "I2": holds_all_or_runs_nothing,
    "I9": is_told_what_it_lost,
}
_OF_OPERATION: dict[str, Callable[[Done], bool]] = {
    "I3": looks_before_it_acts,
    "I5": removes_only_what_it_read,
    "I6": preempts_nobody_unseen,
    "I7": stop_spares_others,
    "I9": gives_nothing_back_that_was_lost,
}
_OF_END: dict[str, Callable[[Ended], bool]] = {
    "I4": takes_all_or_nothing,
    "I11": reads_back,
    "I12": is_alone_afterwards,
}
NAMES = frozenset({*_OF_STATE, *_OF_OPERATION, *_OF_END, "I8"})


def of_state(world: World, state: State) -> tuple[str, ...]:
    """The laws that a state violates."""
    return tuple(name for name, holds in _OF_STATE.items() if not holds(world, state))


def of_operation(done: Done) -> tuple[str, ...]:
    """The laws that an operation violates."""
    return tuple(name for name, holds in _OF_OPERATION.items() if not holds(done))


def of_end(ended: Ended) -> tuple[str, ...]:
    """The laws that the end of an attempt violates."""
    return tuple(name for name, holds in _OF_END.items() if not holds(ended))


def of_final(world: World, state: State) -> tuple[str, ...]:
    """The law that a state violates from which nothing goes on, if it does."""
    return () if somebody_wins(world, state) else ("I4",)


def of_crash(world: World, state: State, index: int) -> tuple[str, ...]:
    """The law that a crash violates, if it does."""
    return () if converges(world, state, index) else ("I8",)
