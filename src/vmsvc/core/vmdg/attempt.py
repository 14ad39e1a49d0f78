"""An attempt at a set of disks, as a state machine: all or nothing, and nothing before all have been looked at. Pure.

An :class:`Attempt` is a frozen, hashable record. It ``wants`` requests that may be made in parallel, and is
``advanced`` by their answers to the next record, until it has a ``result``. Nothing else moves it: no clock, no chance,
no memory outside. So a model checker can walk all of its ways, and a process that is killed loses nothing that another
attempt would not read again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from vmsvc.core.vmdg import decide, laws, words
from vmsvc.core.vmdg.seen import Performed, Reading, ScsiDisk
from vmsvc.core.vmdg.turn import Goal, Request, Standing, Turn


class Outcome(enum.Enum):
    """How an attempt ended.

    Attributes:
        HELD: Every disk is ours alone, read back.
        JOINED: We are registered on every disk, beside the source of a migration, read back.
        RELEASED: Nothing of ours is left on any disk, read back.
        REFUSED: A safety rule said no before anything was done.
        LOST: Somebody else was faster. What was done has been taken back.
        FAILED: A disk can be read, and does not do what it is asked. What was done has been taken back.
        UNDETERMINED: How a disk of ours stands could not be read.
    """

    HELD = "held"
    JOINED = "joined"
    RELEASED = "released"
    REFUSED = "refused"
    LOST = "lost"
    FAILED = "failed"
    UNDETERMINED = "undetermined"


@frozen(kw_only=True)
class Reason:
    """Why an attempt did not end as wanted, or what is worth telling.

    Attributes:
        disk: The disk, as it was named; empty where it is not about one.
        text: What is so, for people. Keys in it are written as :func:`~vmsvc.core.vmdg.keys.key_text` does.
    """

    disk: str
    text: str

    def __str__(self) -> str:
        """Read as ``DISK: text``."""
        return f"{self.disk}: {self.text}" if self.disk else self.text


@frozen(kw_only=True)
class Evicted:
    """Keys of others that were removed from a disk.

    Attributes:
        disk: The disk, as it was named.
        keys: The keys, in ascending order.
    """

    disk: str
    keys: tuple[int, ...]


@frozen(kw_only=True)
class Result:
    """How an attempt ended, and why.

    Attributes:
        outcome: How.
        reasons: Why, where it did not end as wanted.
        notes: What is worth telling in any case, such as dead paths.
        evicted: Whose keys were removed, whatever the outcome; only disks that lost some.
        standings: Where each disk stands, by its World Wide ID, in their order.
        was_held: Whether every disk was held by us at the first look, so that nothing was taken.
        touched: The World Wide IDs of the disks of which anything but a look was asked.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    evicted: tuple[Evicted, ...] = ()
    standings: tuple[tuple[str, Standing], ...] = ()
    was_held: bool = False
    touched: frozenset[str] = frozenset()


class Stage(enum.Enum):
    """Where an attempt is.

    Attributes:
        LOOKING: Every disk is read once; nothing is written.
        LEADING: The first disk is taken: it decides for the set.
        FOLLOWING: The other disks are taken; or, where no disk decides for others, all.
        UNDOING: It failed, and takes back what it has done.
        OVER: It has a result.
    """

    LOOKING = "looking"
    LEADING = "leading"
    FOLLOWING = "following"
    UNDOING = "undoing"
    OVER = "over"


#: What a disk's bad end means for the set; the first that occurs names the outcome.
_BAD = {
    Standing.KEYLESS: Outcome.REFUSED,
    Standing.REFUSED: Outcome.REFUSED,
    Standing.LOST: Outcome.LOST,
    Standing.UNREADABLE: Outcome.UNDETERMINED,
    Standing.INCAPABLE: Outcome.REFUSED,
    Standing.FAILED: Outcome.FAILED,
}
_NO_DOUBTS: Mapping[str, str] = MappingProxyType({})
_GOOD = {Goal.HOLD: Outcome.HELD, Goal.JOIN: Outcome.JOINED, Goal.LEAVE: Outcome.RELEASED}


@frozen(kw_only=True)
class Attempt:
    """An attempt at a set of disks; made by :func:`acquire`, :func:`release` and :func:`join`.

    Attributes:
        goal: What is wanted of every disk.
        turns: Each disk's part, in the order of their World Wide IDs.
        stage: Where it is.
        outcome: How it ends, once that is certain; while it is undoing, already.
        reasons: Why.
    """

    goal: Goal
    turns: tuple[Turn, ...]
    stage: Stage = Stage.LOOKING
    outcome: Outcome | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def wants(self) -> tuple[Request, ...]:
        """The next requests, which may be made in parallel; none when it is over."""
        return tuple(request for turn in self.turns for request in turn.wants)

    @property
    def result(self) -> Result | None:
        """How it ended; ``None`` until it has."""
        if self.stage is not Stage.OVER or self.outcome is None:
            return None
        return Result(
            outcome=self.outcome,
            reasons=self.reasons,
            notes=tuple(note for turn in self.turns for note in self._notes(turn)),
            evicted=tuple(Evicted(disk=turn.disk.name, keys=turn.evicted) for turn in self.turns if turn.evicted),
            standings=tuple((turn.disk.wwid, turn.standing) for turn in self.turns),
            was_held=all(turn.was_held for turn in self.turns if turn.standing is not Standing.EXEMPT),
            touched=frozenset(turn.disk.wwid for turn in self.turns if turn.has_begun),
        )

    @property
    def takes_back(self) -> bool:
        """Whether giving it up takes back what it did: removing our own is not taken back."""
        return self.goal is not Goal.LEAVE

    def _notes(self, turn: Turn) -> tuple[Reason, ...]:
        """What is worth telling of a disk, and has not been told as the reason."""
        told = "".join(reason.text for reason in self.reasons if reason.disk == turn.disk.name)
        return tuple(Reason(disk=turn.disk.name, text=note) for note in turn.notes if note not in told)

    def advanced(self, answers: tuple[Reading | Performed, ...]) -> Attempt:
        """The attempt after its requests have been answered.

        Args:
            answers: One for each request of :attr:`wants`, in their order: a reading for a read, and what was performed
                for an operation.
        """
        turns, given = [], iter(answers)
        for turn in self.turns:
            own = tuple(next(given) for _ in turn.wants)
            turns.append(decide.answered(turn, own) if own else turn)
        return _staged(evolve(self, turns=tuple(turns)))

    def given_up(self, why: str) -> Attempt:
        """The attempt, ended from outside: out of time, or interrupted. What it did is taken back.

        Args:
            why: The reason, for people.

        Returns:
            The attempt, undoing; if it was undoing already, or only ever removes our own, it is over.
        """
        attempt = evolve(self, outcome=Outcome.UNDETERMINED, reasons=(*self.reasons, Reason(disk="", text=why)))
        if self.goal is Goal.LEAVE or self.stage in (Stage.UNDOING, Stage.OVER):
            return evolve(attempt, stage=Stage.OVER)
        return _undoing(attempt)


def acquire(
    disks: Iterable[ScsiDisk],
    key: int,
    *,
    authority: frozenset[int] = frozenset(),
    in_use: bool = False,
    spares_holder: bool = False,
) -> Attempt:
    """Take a set of disks: all of them, for ourselves alone, or none.

    Taking disks that are ours already registers what is missing, and removes nobody who is not named.

    Args:
        disks: The disks.
        key: Our key.
        authority: Keys that the operator has named as holders who may be evicted.
        in_use: Whether a guest of ours may be writing to them: what we have is then kept in any case.
        spares_holder: Whether they are taken from no other holder, named or not, but only rid of those who are
            registered beside us, and not at all where nothing of ours is left (I9). Our guest may be writing: it would
            write beside the holder's until that is evicted, or go on with what it remembers of a disk that another node
            has had meanwhile.

    Raises:
        ValueError: There are no disks.
    """
    return _begun(
        Stage.LOOKING,
        disks,
        lambda disk: Turn(
            goal=Goal.HOLD,
            disk=disk,
            key=key,
            authority=authority,
            in_use=in_use,
            spares_holder=spares_holder,
        ),
    )


def release(disks: Iterable[ScsiDisk], key: int, *, doubts: Mapping[str, str] = _NO_DOUBTS) -> Attempt:
    """Remove everything of ours from disks, and nothing else: after a stop, or when the node boots after a crash.

    Disks do not wait for each other: what cannot be read is told, and the others are released.

    Each of our paths removes its own registration. What is left then is on connections that this node has lost, or is
    another node's that has the same key (I10): both look alike to the disk.

    Args:
        disks: The disks. Of those that are read-only here, only such as this node has reserved: a replica may show our
            key because the array copies it.
        key: Our key.
        doubts: By World Wide ID, why it is left there, in words. From all others it is removed, through a path that is
            registered again for that.

    Raises:
        ValueError: There are no disks.
    """
    return _begun(
        Stage.FOLLOWING, disks, lambda disk: Turn(goal=Goal.LEAVE, disk=disk, key=key, doubt=doubts.get(disk.wwid, ""))
    )


def join(disks: Iterable[ScsiDisk], key: int, *, source: int) -> Attempt:
    """As the destination of a live migration, register beside the source.

    Args:
        disks: The disks.
        key: Our key.
        source: The source's key; it holds all of the disks, and is alone on them.

    Raises:
        ValueError: There are no disks.
    """
    return _begun(Stage.LOOKING, disks, lambda disk: Turn(goal=Goal.JOIN, disk=disk, key=key, source=source))


def _begun(stage: Stage, disks: Iterable[ScsiDisk], turn_of: Callable[[ScsiDisk], Turn]) -> Attempt:
    ordered = sorted(disks, key=lambda disk: (disk.wwid, disk.name))
    if not ordered:
        raise ValueError("there are no disks to reserve")
    turns = tuple(decide.begin(turn_of(disk)) for disk in ordered)
    return _staged(Attempt(goal=turns[0].goal, turns=turns, stage=stage))


# --- stages -------------------------------------------------------------------------------------------------------


def _staged(attempt: Attempt) -> Attempt:
    """Go on to the next stage, where this one is done."""
    is_taking = attempt.stage in (Stage.LEADING, Stage.FOLLOWING) and attempt.goal is not Goal.LEAVE
    if is_taking and _bad_turns(attempt):
        return _undoing(_ended(attempt))
    if attempt.wants or attempt.stage is Stage.OVER:
        return attempt
    return _NEXT[attempt.stage](attempt)


def _judged(attempt: Attempt) -> Attempt:
    """Every disk has been looked at: all may be taken, or none is touched (I3, I6)."""
    turns = tuple(_judged_turn(turn) for turn in attempt.turns)
    attempt = evolve(attempt, turns=turns)
    if _bad_turns(attempt):
        return evolve(_stopped(_ended(attempt)), stage=Stage.OVER)
    return _led(attempt) if attempt.goal is Goal.HOLD else _followed(attempt)


def _judged_turn(turn: Turn) -> Turn:
    if turn.first is None or turn.standing is not Standing.SEEN:
        return turn  # how it stands has been said already
    told = words.told(turn.first, turn.key)
    if turn.spares_holder and not laws.may_go_on(turn.first, turn.key):
        return turn.ended(Standing.KEYLESS, f"this node's keys are lost under what may be writing: {told}")
    if turn.goal is Goal.JOIN:
        may_go = laws.may_join(turn.first, turn.key, turn.source)
    else:
        may_go = laws.is_authorised(turn.first, turn.key, turn.authority, holders=turn.holders)
    return turn if may_go else turn.ended(Standing.REFUSED, told)


def _led(attempt: Attempt) -> Attempt:
    """The first disk decides for the set (I4)."""
    leader = next((turn for turn in attempt.turns if turn.standing is Standing.SEEN), None)
    turns = tuple(decide.let_go(turn) if turn is leader else turn for turn in attempt.turns)
    return _staged(evolve(attempt, turns=turns, stage=Stage.LEADING))


def _followed(attempt: Attempt) -> Attempt:
    """The first disk has decided for the set: the others are taken."""
    turns = tuple(decide.let_go(turn) if turn.standing is Standing.SEEN else turn for turn in attempt.turns)
    return _staged(evolve(attempt, turns=turns, stage=Stage.FOLLOWING))


def _finished(attempt: Attempt) -> Attempt:
    return evolve(_ended(attempt), stage=Stage.OVER)


def _ended(attempt: Attempt) -> Attempt:
    """The same, with its outcome: the good one, or what the worst disk says."""
    bad = _bad_turns(attempt)
    standings = {turn.standing for turn in bad}
    outcome = next((outcome for standing, outcome in _BAD.items() if standing in standings), _GOOD[attempt.goal])
    reasons = tuple(Reason(disk=turn.disk.name, text=turn.why) for turn in bad)
    return evolve(attempt, outcome=outcome, reasons=(*attempt.reasons, *reasons))


def _undoing(attempt: Attempt) -> Attempt:
    """Take back what this attempt did, where that may be (I4), and only our own (I7)."""
    turns = tuple(decide.give_up(turn) if _must_give_up(turn) else turn for turn in attempt.turns)
    return _staged(_stopped(evolve(attempt, turns=turns), stage=Stage.UNDOING))


def _must_give_up(turn: Turn) -> bool:
    if turn.first is None or not turn.has_begun:
        return False
    return laws.must_give_up(turn.first, turn.last, turn.key, in_use=turn.in_use)


def _stopped(attempt: Attempt, stage: Stage = Stage.OVER) -> Attempt:
    """The same, with every disk left as it is that is not being given up."""
    turns = tuple(
        turn.ended(Standing.STOPPED)
        if turn.standing is Standing.SEEN or (turn.standing is Standing.OPEN and turn.goal is not Goal.LEAVE)
        else turn
        for turn in attempt.turns
    )
    return evolve(attempt, turns=turns, stage=stage)


def _undone(attempt: Attempt) -> Attempt:
    """What could not be taken back, or not be seen to be, leaves unknown how its disk stands."""
    left = tuple(
        Reason(disk=turn.disk.name, text=f"what was done to it has not been taken back: {turn.why}")
        for turn in attempt.turns
        if turn.goal is Goal.LEAVE and turn.standing is not Standing.LEFT
    )
    outcome = Outcome.UNDETERMINED if left else attempt.outcome
    return evolve(attempt, outcome=outcome, reasons=(*attempt.reasons, *left), stage=Stage.OVER)


def _bad_turns(attempt: Attempt) -> tuple[Turn, ...]:
    harmless = {Standing.INCAPABLE} if attempt.goal is Goal.LEAVE else set()
    return tuple(turn for turn in attempt.turns if turn.standing in _BAD.keys() - harmless)


_NEXT = {
    Stage.LOOKING: _judged,
    Stage.LEADING: _followed,
    Stage.FOLLOWING: _finished,
    Stage.UNDOING: _undone,
}
