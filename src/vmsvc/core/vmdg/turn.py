"""One disk's part of an attempt, as a record: what is wanted, what was seen, what is to be asked next. Pure.

What moves it stands in :mod:`vmsvc.core.vmdg.decide`.
"""

from __future__ import annotations

import enum

from attrs import evolve, frozen

from vmsvc.core.vmdg import laws
from vmsvc.core.vmdg.moves import Move
from vmsvc.core.vmdg.seen import Answer, Operation, Reading, ScsiDisk


class Goal(enum.Enum):
    """What is wanted of a disk.

    Attributes:
        HOLD: It is ours alone.
        JOIN: We are registered beside the source of a live migration.
        LEAVE: Nothing of ours is left.
    """

    HOLD = "hold"
    JOIN = "join"
    LEAVE = "leave"


class Standing(enum.Enum):
    """Where one disk stands in an attempt.

    Attributes:
        OPEN: Something is to be asked or done.
        SEEN: It has been looked at; what comes next depends on the other disks.
        HELD: Ours alone, read back.
        JOINED: Registered beside the source, read back.
        LEFT: Nothing of ours on it, read back.
        KEYLESS: Nothing of ours was left on it, under what may be writing; nothing was done to it.
        REFUSED: Somebody else's, who was not named; nothing was done to it.
        INCAPABLE: It knows no persistent reservations.
        LOST: Somebody else has won it.
        UNREADABLE: No path tells how it stands.
        FAILED: It can be read, and will not do what is asked.
        STOPPED: Left as it is, because another disk ended the attempt.
        EXEMPT: Not taken, because this node cannot write to it.
    """

    OPEN = "open"
    SEEN = "seen"
    HELD = "held"
    JOINED = "joined"
    LEFT = "nothing of ours"
    KEYLESS = "keys lost"
    REFUSED = "refused"
    INCAPABLE = "no persistent reservations"
    LOST = "lost"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    STOPPED = "left as it is"
    EXEMPT = "read-only"


@frozen(kw_only=True)
class Request:
    """One thing to ask a tool for.

    Attributes:
        disk: The disk.
        path: The path, or of a managed disk's operation, the map.
        operation: What to perform; ``None`` to read.
        tries: How often it has been made before and was not carried out.
    """

    disk: ScsiDisk
    path: str
    operation: Operation | None = None
    tries: int = 0


@frozen(kw_only=True)
class Turn:
    """One disk's part of an attempt.

    Attributes:
        goal: What is wanted.
        disk: The disk.
        key: Our key.
        authority: The foreign keys that were named.
        source: Of a migration, the source's key.
        in_use: Whether a guest of ours may be writing.
        spares_holder: Whether it is taken from no other holder, named or not, nor where nothing of ours is left.
        doubt: Why registrations with our key that are left on none of our paths are not removed, in words: they may be
            another node's, say. Empty where they are this node's, as far as is known, and nobody needs its paths.
        standing: Where it stands.
        why: The reason, where it did not go as wanted.
        notes: What is worth telling besides: dead paths, say.
        todo: Requests that may be made in parallel.
        chain: Moves that come after them, before the next look.
        unread: Paths that this look has not tried yet.
        answers: How the paths answered that this look has tried in vain.
        acting: The path that was read last.
        registered: Paths whose registration was answered with "done".
        refused: Paths whose registration was refused.
        missing: Paths that said that they are not registered.
        has_stumbled: Whether a move of this chain was answered with anything else.
        has_begun: Whether an operation has been asked for.
        has_counted: Whether it has shown a generation other than 0.
        has_purged: Whether our own ghosts have been preempted.
        rounds: How many chains have been begun.
        first: What it showed first, without generation and words, which decide nothing.
        last: What it showed last, alike.
        asked_out: Foreign keys whose preemption has been asked for.
    """

    goal: Goal
    disk: ScsiDisk
    key: int
    authority: frozenset[int] = frozenset()
    source: int = 0
    in_use: bool = False
    spares_holder: bool = False
    doubt: str = ""
    standing: Standing = Standing.OPEN
    why: str = ""
    notes: tuple[str, ...] = ()
    todo: tuple[Request, ...] = ()
    chain: tuple[Move, ...] = ()
    unread: tuple[str, ...] = ()
    answers: frozenset[Answer] = frozenset()
    acting: str = ""
    registered: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    has_stumbled: bool = False
    has_begun: bool = False
    has_counted: bool = False
    has_purged: bool = False
    rounds: int = 0
    first: Reading | None = None
    last: Reading | None = None
    asked_out: frozenset[int] = frozenset()

    @property
    def holders(self) -> frozenset[int]:
        """The holders from whom it may be taken."""
        return frozenset() if self.spares_holder else self.authority

    @property
    def is_complete(self) -> bool:
        """Whether at least the paths that said so are registered, and one of ours in any case."""
        assert self.first is not None
        assert self.last is not None
        return laws.is_complete(self.last, self.first, self.key, self.disk, self.registered)

    @property
    def is_ours(self) -> bool:
        """Whether it was read back as ours after something was done."""
        assert self.first is not None
        assert self.last is not None
        return self.has_begun and laws.is_ours(self.last, self.first, self.key, self.disk, self.registered)

    @property
    def wants(self) -> tuple[Request, ...]:
        """The next requests, in parallel; none where it stands, or waits for the other disks."""
        if self.standing is not Standing.OPEN:
            return ()
        return self.todo[:1] if self.disk.quirks.one_at_a_time else self.todo

    @property
    def evicted(self) -> tuple[int, ...]:
        """Foreign keys that were removed: their preemption was asked for, and they are not there any more."""
        there = laws.foreign_keys(self.last, self.key) if self.last else frozenset()
        return tuple(sorted(self.asked_out - there))

    @property
    def was_held(self) -> bool:
        """Whether it was held by us at the first look."""
        return self.first is not None and laws.holds(self.first, self.key)

    @property
    def best_path(self) -> str:
        """A path that is registered, if any is; better one that was alive when it was read last."""
        if self.acting in self.registered or not self.registered:
            return self.acting or self.disk.paths[0]
        return self.registered[0]

    def ended(self, standing: Standing, why: str = "") -> Turn:
        """The same, standing.

        Args:
            standing: Where.
            why: The reason.
        """
        return evolve(self, standing=standing, why=why, todo=(), chain=())

    def noted(self, note: str) -> Turn:
        """The same, with something to tell; once.

        Args:
            note: For people.
        """
        return self if note in self.notes else evolve(self, notes=(*self.notes, note))
