"""The decisions, each broken on purpose in one way: mostly as a tool of the field has, or had, it.

A mutant replaces functions of `vmsvc.core.vmdg`. It names the law that it breaks, and a scenario in which that shows.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from tests.model import computed
from tests.model.scenarios import SLICE, Acquire, Scenario
from vmsvc.core.vmdg import attempt, decide, judge, laws, moves
from vmsvc.core.vmdg.moves import Move
from vmsvc.core.vmdg.seen import Act, Answer, Reading, Registration, Reservation
from vmsvc.core.vmdg.turn import Standing
from vmsvc.testing.target import Action

_SCENARIOS = {str(scenario): scenario for scenario in SLICE}
RACE = _SCENARIOS["two race, 2 disks, 2 paths"]
TAKEOVER = _SCENARIOS["takeover, 2 disks, 2 paths"]
CRASH = _SCENARIOS["two race, 1 disk, 2 paths, crashes ≤ 1"]
LOST = _SCENARIOS["the holder starts again after it has lost its disks, 2 disks, 2 paths"]
NO_ROOM = _SCENARIOS["two race after a boot of one, 1 disk, 2 paths, no room"]
DEATH = evolve(TAKEOVER, disks=1, paths=1, deaths=1)


@frozen
class Mutant:
    """One way to be wrong.

    Attributes:
        name: What it does.
        law: The law that it breaks.
        scenario: Where that shows.
        patches: What is replaced: an object or a dictionary, the name, and what is there instead.
        like: Whose defect it is; empty if it is nobody's.
    """

    name: str
    law: str
    scenario: Scenario
    patches: tuple[tuple[object, object, object], ...]
    like: str = ""

    def __str__(self) -> str:
        """Its name and its law."""
        return f"{self.name} ({self.law})"


# --- replacements -------------------------------------------------------------------------------------------------


def _says(result: object) -> Callable[..., object]:
    return lambda *_, **__: result


def _believed(turn):
    """The chain is made, and every move was answered with "done": so it stands, without a look."""
    if turn.chain and not turn.has_stumbled:
        return _next_move(turn)
    is_over = turn.has_begun and not turn.has_stumbled and not turn.chain
    goal = {decide.Goal.HOLD: Standing.HELD, decide.Goal.LEAVE: Standing.LEFT, decide.Goal.JOIN: Standing.JOINED}
    return turn.ended(goal[turn.goal]) if is_over else _next_move(turn)


_next_move = decide._next_move


def _as_text(keys):
    """Keys are looked for in what a tool prints, as `0xa1` is found in `0xa1b2`."""
    return lambda reading, key: frozenset(each for each in keys(reading, key) if f"{key:#x}" not in f"{each:#x}")


def _leave_by_clearing(turn, reading: Reading):
    """CLEAR, as far as there is one: everybody's keys go."""
    if laws.is_gone(reading, turn.key):
        return turn.ended(Standing.LEFT)
    foreign = tuple(sorted(laws.foreign_keys(reading, turn.key)))
    clear = (Move(act=Act.PREEMPT, victims=foreign),) if foreign else ()
    return decide._planned(turn, (*clear, *moves.to_leave(turn.key, turn.rounds)))


def _assume_the_worst(turn):
    """No path answers; so the named holder will still be there."""
    if turn.unread or not turn.authority:
        return _next_path(turn)
    holder = min(turn.authority)
    made_up = Reading(
        path=turn.disk.paths[-1],
        answer=Answer.DONE,
        registrations=(Registration(key=holder),),
        reservation=Reservation(key=holder, type=5),
    )
    turn = evolve(turn, first=turn.first or made_up, last=made_up, acting=made_up.path)
    return decide._decided(turn) if turn.has_begun else evolve(turn, standing=Standing.SEEN)


_next_path = decide._next_path


def _preempt_without_abort(operation):
    request = _request_of(operation)
    return evolve(request, action=Action.PREEMPT) if request.action is Action.PREEMPT_AND_ABORT else request


_request_of = computed.request_of


def _all_at_once(attempt_):
    return attempt._followed(attempt_)


def _with_the_configured_keys(reading, first, key, authority, *, is_registered):
    """Peers' keys stand in the configuration: they are preempted whether they show or not."""
    chain = _to_take(reading, first, key, authority, is_registered=is_registered)
    others = tuple(sorted(authority - laws.foreign_keys(reading, key)))
    return (*chain, Move(act=Act.PREEMPT, victims=others)) if others else chain


_to_take = moves.to_take


def _own_is_foreign(first, key, authority, **more):
    return _is_authorised(first, key, authority, **more) and not first.keys


_is_authorised = laws.is_authorised
_judge = judge.judge


def _without_a_record(*given, **_):
    """A disk is judged by the key of now alone."""
    return _judge(*given)


# --- mutants ------------------------------------------------------------------------------------------------------

MUTANTS = (
    Mutant(
        "a registration is repeated over the attention that tells of a preemption",
        "I1",
        Scenario(
            name="takeover while the holder starts again",
            scripts={"a": (Acquire(in_use=True, spares_holder=True),), "b": (Acquire(over="a"),)},
            holding="a",
        ),
        ((laws, "may_repeat", lambda _, answer, **__: answer in laws.AGAIN), (laws, "is_kept", _says(False))),
        like="vmsvc, once",
    ),
    Mutant(
        "preempts without abort",
        "I1",
        TAKEOVER,
        ((computed, "request_of", _preempt_without_abort),),
        like="heartbeat/sg_persist: PREEMPT",
    ),
    Mutant(
        "takes the disk from whoever holds it",
        "I2",
        RACE,
        ((laws, "may_preempt_holder", _says(True)),),
        like="OpenSVC 2.1: preempts whoever is there",
    ),
    Mutant(
        "checks after it has registered",
        "I3",
        Scenario(name="start beside a registrant", scripts={"a": (), "b": (Acquire(),)}, stale="a"),
        ((laws, "is_authorised", _says(True)),),
        like="OpenSVC, before 1d330a188",
    ),
    Mutant(
        "keeps half of the disks",
        "I4",
        Scenario(
            name="the second disk is another's",
            scripts={"a": (Acquire(),), "b": (Acquire(),)},
        ),
        ((laws, "must_give_up", _says(False)),),
        like="fence_scsi: one device of several counts",
    ),
    Mutant(
        "every disk for itself",
        "I4",
        evolve(RACE, paths=1),
        ((attempt, "_led", _all_at_once),),
        like="two nodes win half each",
    ),
    Mutant(
        "preempts keys of the configuration that it has not read",
        "I5",
        Scenario(name="takeover of free disks", scripts={"a": (), "b": (Acquire(over="a"),)}),
        ((moves, "to_take", _with_the_configured_keys),),
        like="fence_mpath: keys set by hand",
    ),
    Mutant(
        "evicts who came later, although it does not hold the disk",
        "I5",
        evolve(RACE, disks=1, paths=1, faults=1),
        ((laws, "may_evict", lambda victim, reading, _, key, __: victim in laws.foreign_keys(reading, key)),),
    ),
    Mutant(
        "takes a dead path for the holder's old state, and preempts",
        "I6",
        DEATH,
        ((decide, "_next_path", _assume_the_worst),),
        like="fences on a failed probe",
    ),
    Mutant(
        "clears on stop",
        "I7",
        _SCENARIOS["takeover beside a stale registrant, 1 disk, 2 paths"],
        ((decide._DECIDED, decide.Goal.LEAVE, _leave_by_clearing),),
        like="OpenSVC 2.1: clear()",
    ),
    Mutant(
        "takes its own keys of an earlier run for another's",
        "I8",
        CRASH,
        ((laws, "is_authorised", _own_is_foreign),),
        like="OpenSVC 2c97f2946: start needs --force",
    ),
    Mutant(
        "gives disks back to a guest that went on without them",
        "I9",
        LOST,
        ((laws, "may_go_on", _says(True)),),
        like="vmsvc, once, where another look had failed",
    ),
    Mutant(
        "kills a guest whose disks nobody else has",
        "I9",
        LOST,
        ((laws, "is_taken", _says(True)),),
    ),
    Mutant(
        "takes the key of now for the only one that can be its own",
        "I9",
        LOST,
        ((judge, "judge", _without_a_record),),
        like="vmsvc, once",
    ),
    Mutant(
        "believes exit codes",
        "I11",
        RACE,
        ((decide, "_next_move", _believed),),
        like="OpenSVC, heartbeat/sg_persist",
    ),
    Mutant(
        "is content once one path has left",
        "I11",
        TAKEOVER,
        (
            (moves, "to_leave", _says((Move(act=Act.UNREGISTER),))),
            (laws, "is_gone", lambda reading, key: not laws.holds(reading, key)),
        ),
        like="OpenSVC f530bb88c",
    ),
    Mutant(
        "takes connections that died for its paths",
        "I11",
        evolve(NO_ROOM, paths=1),
        ((laws, "is_complete", lambda reading, _first, key, *_: laws.own_count(reading, key) > 0),),
        like="vmsvc, once",
    ),
    Mutant(
        "is content with a reservation of another type",
        "I11",
        Scenario(name="start on one's own type 3", scripts={"a": (Acquire(),)}, holding="a", reserved_as=3),
        ((laws, "is_won", laws.holds),),
    ),
    Mutant(
        "preempts only the holder",
        "I12",
        _SCENARIOS["takeover beside a stale registrant, 1 disk, 2 paths"],
        ((laws, "may_evict", _says(False)), (laws, "is_alone", _says(True))),
        like="heartbeat/sg_persist, fence_scsi",
    ),
    Mutant(
        "compares keys as text",
        "I12",
        Scenario(name="start beside a longer key", scripts={"a": (Acquire(),), "b": ()}, stale="b"),
        ((laws, "foreign_keys", _as_text(laws.foreign_keys)),),
        like="OpenSVC 2.1: hostid in out; om3 62c29552f",
    ),
)
