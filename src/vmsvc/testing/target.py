"""A SCSI target's persistent reservations as a pure function: state, nexus, request → state, answer.

It does what Linux' own target does (LIO, ``drivers/target/target_core_pr.c`` of Linux 6.1), which is what SPC-4 says
in clause 5.12, but for the places that are marked *LIO*. ``vmsvc.testing.cases`` holds it to the real one. A nexus is
named by a string: an initiator port and a target port, such as ``a1``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

from attrs import evolve, frozen

from vmsvc.core.vmdg.keys import LARGEST
from vmsvc.core.vmdg.seen import HELD_BY_ALL, Answer, ReservationType


class Action(enum.Enum):
    """What is asked of a logical unit; of PERSISTENT RESERVE OUT, the service actions (SPC-4, table 225).

    CLEAR and PREEMPT are here although vmsvc does not ask for them: others do.
    """

    READ = "read"
    REGISTER = "register"
    REGISTER_AND_IGNORE = "register and ignore"
    RESERVE = "reserve"
    RELEASE = "release"
    CLEAR = "clear"
    PREEMPT = "preempt"
    PREEMPT_AND_ABORT = "preempt and abort"


@frozen
class Request:
    """One command.

    Attributes:
        action: What is asked.
        key: The reservation key that the asking nexus says is its own.
        action_key: The service action reservation key: the new one of a registration, the victim's of a preemption.
        type: The type of reservation, by its code; one that SPC-4 does not know may be tried.
    """

    action: Action
    key: int = 0
    action_key: int = 0
    type: int = 0


class Attention(enum.IntEnum):
    """Why a nexus' next command is answered with a unit attention: additional sense code and qualifier."""

    RESERVATIONS_PREEMPTED = 0x2A03
    RESERVATIONS_RELEASED = 0x2A04
    REGISTRATIONS_PREEMPTED = 0x2A05
    POWER_ON = 0x2900

    def __str__(self) -> str:
        """As sg_persist tells it."""
        return self.name.replace("_", " ").capitalize()


@frozen
class Unit:
    """A logical unit, as far as reservations go. It never changes: each request makes another one.

    Attributes:
        registrations: Each registered nexus and its key, in the order in which they came.
        holder: The nexus that holds the reservation; of an all-registrants type, one of them. Empty if there is none.
        type: The reservation's type, 0 where there is none.
        generation: PRGENERATION.
        attentions: Each nexus whose next command ends with a unit attention, and the one that it is told. There is one
            for each: LIO tells the weightiest and forgets the others.
        tasks: Each nexus that has a write under way: accepted, not yet carried out.
    """

    registrations: tuple[tuple[str, int], ...] = ()
    holder: str = ""
    type: int = 0
    generation: int = 0
    attentions: frozenset[tuple[str, Attention]] = frozenset()
    tasks: frozenset[str] = frozenset()

    def key_of(self, nexus: str) -> int:
        """The key that a nexus is registered with; 0 if it is not registered."""
        return next((key for registered, key in self.registrations if registered == nexus), 0)

    def is_held_by(self, nexus: str) -> bool:
        """Whether a nexus holds the reservation, alone or as one of all registrants."""
        return bool(self.holder) and (self.holder == nexus or (self.is_held_by_all and self.key_of(nexus) != 0))

    @property
    def is_held_by_all(self) -> bool:
        """Whether the reservation is of an all-registrants type."""
        return self.type in HELD_BY_ALL


_FOR_REGISTRANTS = frozenset({5, 6, 7, 8})
_READABLE_BY_ALL = frozenset({1, 5, 7})


def may_write(unit: Unit, nexus: str) -> bool:
    """Whether a write through a nexus is carried out (SPC-4, table 68)."""
    return not unit.holder or unit.holder == nexus or (unit.type in _FOR_REGISTRANTS and unit.key_of(nexus) != 0)


def may_read(unit: Unit, nexus: str) -> bool:
    """Whether a read through a nexus is carried out (SPC-4, table 68)."""
    return may_write(unit, nexus) or unit.type in _READABLE_BY_ALL


def lose_power(nexuses: Iterable[str]) -> Unit:
    """The target restarts without having kept registrations (APTPL was not asked for, or is not known).

    Args:
        nexuses: Every nexus that is told of it.

    Returns:
        The unit as it is then.
    """
    return Unit(attentions=frozenset((nexus, Attention.POWER_ON) for nexus in nexuses))


def begin_write(unit: Unit, nexus: str) -> Unit:
    """A nexus sends a write, which is checked when it comes and is carried out some time later."""
    return evolve(unit, tasks=unit.tasks | {nexus}) if may_write(unit, nexus) else unit


def end_write(unit: Unit, nexus: str) -> tuple[Unit, bool]:
    """A write that is under way reaches the medium, unless it was aborted meanwhile.

    Returns:
        The unit, and whether something was written.
    """
    return evolve(unit, tasks=unit.tasks - {nexus}), nexus in unit.tasks


def answer(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    """Carry out a command, or refuse it.

    Args:
        unit: The logical unit before it.
        nexus: Who asks.
        request: What is asked.

    Returns:
        The logical unit after it, and what the nexus is told.

    >>> unit, told = answer(Unit(), "a1", Request(Action.REGISTER_AND_IGNORE, action_key=0xA))
    >>> told
    <Answer.DONE: 'done'>
    >>> answer(unit, "b1", Request(Action.RESERVE, key=0xB, type=5))[1]  # b1 is not registered
    <Answer.NOT_READY: 'not ready'>
    """
    pending = {told for told in unit.attentions if told[0] == nexus}
    if pending:
        return evolve(unit, attentions=unit.attentions - pending), Answer.ATTENTION
    return _ACTIONS[request.action](unit, nexus, request)


def _read(unit: Unit, _nexus: str, _request: Request) -> tuple[Unit, Answer]:
    return unit, Answer.DONE


def _register(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    if request.key != unit.key_of(nexus):
        return unit, Answer.CONFLICT
    return _register_and_ignore(unit, nexus, request)


def _register_and_ignore(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    key = request.action_key
    if not 0 <= key <= LARGEST:
        raise ValueError(f"{key:#x} is no key of 64 bits")
    if key == 0:
        return (_unregister(unit, nexus) if unit.key_of(nexus) else unit), Answer.DONE
    if unit.key_of(nexus):
        registrations = tuple((each, key if each == nexus else its) for each, its in unit.registrations)
    else:
        registrations = (*unit.registrations, (nexus, key))
    return _counted(evolve(unit, registrations=registrations)), Answer.DONE


def _unregister(unit: Unit, nexus: str) -> Unit:
    # LIO: PRGENERATION does not count it.
    held, type = unit.holder == nexus, unit.type
    unit = _without(unit, lambda each, _: each == nexus)
    if held and type in HELD_BY_ALL and unit.registrations:
        return evolve(unit, holder=unit.registrations[0][0], type=type)
    if held and type in _FOR_REGISTRANTS:
        return _told(unit, [each for each, _ in unit.registrations], Attention.RESERVATIONS_RELEASED)
    return unit


def _reserve(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    if unit.holder and not unit.is_held_by(nexus):
        return unit, Answer.CONFLICT
    if not _is_type(request.type):
        return unit, Answer.INVALID
    if unit.holder:
        same = request.key == unit.key_of(nexus) and request.type == unit.type
        return unit, Answer.DONE if same else Answer.CONFLICT
    if not unit.key_of(nexus):
        return unit, Answer.NOT_READY  # LIO: SPC-4 says CONFLICT
    if request.key != unit.key_of(nexus):
        return unit, Answer.CONFLICT
    return evolve(unit, holder=nexus, type=request.type), Answer.DONE


def _release(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    if not unit.key_of(nexus):
        return unit, Answer.CONFLICT if unit.holder else Answer.NOT_READY  # LIO: SPC-4 says CONFLICT for both
    if not unit.is_held_by(nexus):
        return unit, Answer.DONE  # and nothing was done
    if request.key != unit.key_of(nexus) or request.type != unit.type:
        return unit, Answer.CONFLICT  # LIO: of a wrong type, SPC-4 says INVALID
    others = [each for each, _ in unit.registrations if each != nexus] if unit.type in _FOR_REGISTRANTS else []
    return _told(evolve(unit, holder="", type=0), others, Attention.RESERVATIONS_RELEASED), Answer.DONE


def _clear(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    if not unit.key_of(nexus):
        return unit, Answer.CONFLICT if unit.holder else Answer.NOT_READY  # LIO, as above
    if request.key != unit.key_of(nexus):
        return unit, Answer.CONFLICT
    others = [each for each, _ in unit.registrations if each != nexus]
    bare = evolve(unit, registrations=(), holder="", type=0)
    return _counted(_told(bare, others, Attention.RESERVATIONS_PREEMPTED)), Answer.DONE


def _preempt(unit: Unit, nexus: str, request: Request) -> tuple[Unit, Answer]:
    victim = request.action_key
    if not _is_type(request.type):
        return unit, Answer.INVALID
    if not unit.key_of(nexus) or request.key != unit.key_of(nexus):
        return unit, Answer.CONFLICT
    if victim == 0 and not unit.is_held_by_all:
        return unit, Answer.INVALID
    aborts = request.action is Action.PREEMPT_AND_ABORT
    if unit.holder and unit.key_of(unit.holder) == victim:
        return _take_over(unit, nexus, request, aborts=aborts), Answer.DONE
    if victim == 0:
        lost = [each for each, _ in unit.registrations if each != nexus]
    else:
        # The caller's own registration goes too, if it bears that key and does not hold the reservation. LIO: it stays
        # where all registrants hold it.
        lost = [each for each, key in unit.registrations if key == victim]
        lost = [each for each in lost if each != nexus] if unit.is_held_by_all else lost
    if not lost:
        return unit, Answer.CONFLICT
    left = _removed(unit, lost, aborts=aborts)
    if victim == 0:
        left = evolve(left, holder=nexus, type=request.type)
    elif unit.holder in lost:  # pragma: no cover - the holder's key is not the victim's
        raise AssertionError(lost)
    return _counted(_told(left, set(lost) - {nexus}, Attention.REGISTRATIONS_PREEMPTED)), Answer.DONE


def _take_over(unit: Unit, nexus: str, request: Request, *, aborts: bool) -> Unit:
    """The victim's key is the holder's: all that bear it go, but for the caller, who holds the reservation then."""
    lost = [each for each, key in unit.registrations if key == request.action_key and each != nexus]
    left = evolve(_removed(unit, lost, aborts=aborts), holder=nexus, type=request.type)
    left = _told(left, lost, Attention.REGISTRATIONS_PREEMPTED)
    if request.type != unit.type:
        others = [each for each, _ in left.registrations if each != nexus]
        left = _told(left, others, Attention.RESERVATIONS_RELEASED)
    return _counted(left)


def _is_type(number: int) -> bool:
    return any(number == type for type in ReservationType)


def _counted(unit: Unit) -> Unit:
    return evolve(unit, generation=(unit.generation + 1) & 0xFFFF_FFFF)


def _without(unit: Unit, is_meant: Callable[[str, int], bool]) -> Unit:
    """The unit without some registrations; a holder that is among them leaves no reservation."""
    left = tuple((each, key) for each, key in unit.registrations if not is_meant(each, key))
    gone = unit.holder not in {each for each, _ in left}
    return evolve(unit, registrations=left, holder="" if gone else unit.holder, type=0 if gone else unit.type)


def _removed(unit: Unit, nexuses: Iterable[str], *, aborts: bool) -> Unit:
    lost = set(nexuses)
    left = _without(unit, lambda each, _: each in lost)
    return evolve(left, tasks=left.tasks - lost) if aborts else left


def _told(unit: Unit, nexuses: Iterable[str], attention: Attention) -> Unit:
    pending = dict(unit.attentions)
    for nexus in nexuses:
        pending[nexus] = max(attention, pending.get(nexus, attention), key=_WEIGHTS.index)
    return evolve(unit, attentions=frozenset(pending.items()))


#: From the lightest to the weightiest (SAM-5, 5.14: what tells of a reset comes first).
_WEIGHTS = [
    Attention.RESERVATIONS_PREEMPTED,
    Attention.RESERVATIONS_RELEASED,
    Attention.REGISTRATIONS_PREEMPTED,
    Attention.POWER_ON,
]

_ACTIONS: dict[Action, Callable[[Unit, str, Request], tuple[Unit, Answer]]] = {
    Action.READ: _read,
    Action.REGISTER: _register,
    Action.REGISTER_AND_IGNORE: _register_and_ignore,
    Action.RESERVE: _reserve,
    Action.RELEASE: _release,
    Action.CLEAR: _clear,
    Action.PREEMPT: _preempt,
    Action.PREEMPT_AND_ABORT: _preempt,
}
