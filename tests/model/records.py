"""What a state of the world is made of."""

from __future__ import annotations

from typing import NamedTuple

from attrs import evolve, frozen

from vmsvc.core.vmdg.attempt import Outcome
from vmsvc.core.vmdg.seen import Answer, Performed, Reading
from vmsvc.core.vmdg.turn import Request

NONE = -1

#: What may go wrong with one request: is it carried out, and what is answered (``None``: what the target said)?
FAULTS: dict[str, tuple[bool, Answer]] = {
    "reply lost": (True, Answer.SILENT),
    "request lost": (False, Answer.SILENT),
    "false reply": (False, Answer.DONE),
    "late": (False, Answer.SILENT),
}


@frozen
class Sight:
    """What a node has read of one disk in its attempt: kept by the checker, not by the attempt.

    Attributes:
        first: The first live reading.
        last: The last live reading.
        keys: Every key that was read.
        is_blind: Whether the last reading was not live.
        is_stale: Whether something was done since the last reading.
    """

    first: Reading | None = None
    last: Reading | None = None
    keys: frozenset[int] = frozenset()
    is_blind: bool = False
    is_stale: bool = False

    def after(self, given: Reading | Performed) -> Sight:
        """What is known after another answer."""
        if isinstance(given, Performed):
            return evolve(self, is_stale=True)
        reading = given
        if not reading.is_live:
            return evolve(self, is_blind=True)
        keys = self.keys | {*reading.keys, reading.reservation.key if reading.reservation else 0}
        return Sight(first=self.first or reading, last=reading, keys=keys)


class Node(NamedTuple):
    """One node: where it is in its script; of an attempt under way, its number, the answers and what it has read."""

    step: int = 0
    attempt: int = NONE
    answers: tuple[int, ...] = ()
    sights: tuple[int, ...] = ()
    had: tuple[bool, ...] = ()
    guest: bool = False


class State(NamedTuple):
    """The whole world; `late` has the node, attempt and place of each request that was given up and may still arrive."""

    units: tuple[int, ...]
    nodes: tuple[Node, ...]
    faults: int
    crashes: int
    deaths: int
    dead: frozenset[str] = frozenset()
    late: frozenset[tuple[int, int, int]] = frozenset()
    is_migrating: bool = False


class Pool:
    """Records, each kept once and known by a number."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._records: list[object] = []

    def __getitem__(self, number: int):
        return self._records[number]

    def number(self, record: object) -> int:
        """The number of a record, the same for equal ones."""
        number = self._numbers.setdefault(record, len(self._records))
        if number == len(self._records):
            self._records.append(record)
        return number


@frozen(kw_only=True)
class Asking:
    """One request of a node, and what came of it.

    Attributes:
        name: The node.
        wanted: What it asked for.
        given: What it was answered.
        fault: What went wrong; empty if nothing did.
        is_carried_out: Whether the disk has seen the request.
        outcome: How the node's attempt ended with it; ``None`` if it goes on.
    """

    name: str
    wanted: Request
    given: Reading | Performed
    fault: str
    is_carried_out: bool
    outcome: Outcome | None = None

    def __str__(self) -> str:
        """In words."""
        operation = self.wanted.operation
        asked = "read" if operation is None else str(operation.act)
        victim = f" {operation.victim:#x}" if operation is not None and operation.victim else ""
        fault = f" ({self.fault})" if self.fault else ""
        ended = f" => {self.outcome.value}" if self.outcome else ""
        return f"{self.name}  {self.wanted.path} {asked}{victim}: {self.given.answer.value}{fault}{ended}"
