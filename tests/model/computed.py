"""What follows from a few numbers: computed by the attempts and by the target in memory, and only once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import evolve

from tests.model.records import FAULTS, NONE, Asking, Pool, State
from tests.model.scenarios import Scenario
from vmsvc.core.vmdg.attempt import Attempt, Outcome
from vmsvc.core.vmdg.seen import Answer, Performed, Reading
from vmsvc.core.vmdg.turn import Request as Wanted
from vmsvc.testing.san import San, reading_of, request_of
from vmsvc.testing.target import Action as Asked
from vmsvc.testing.target import Request as Command
from vmsvc.testing.target import Unit, answer

_T = TypeVar("_T")


class Computed:
    """A scenario's nodes and disks, and everything that has been computed about them.

    Attributes:
        scenario: The scenario.
        pool: Every record.
        names: The nodes' names, in the order of their numbers.
        san: Which path is which nexus.
        disks: Each node's disks.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.pool = scenario, Pool()
        self.names = tuple(scenario.scripts)
        self.san = San("".join(self.names), disks=scenario.disks, paths=scenario.paths)
        self.disks = {name: self.san.disks(name) for name in self.names}
        self._wwids = list(self.san.units)
        self._results: dict[tuple[object, ...], object] = {}

    def _nexuses(self, name: str, wwid: str) -> list[str]:
        disk = next(disk for disk in self.disks[name] if disk.wwid == wwid)
        return [self.san.nexus_of(path)[0] for path in disk.paths]

    def _remembered(self, about: tuple[object, ...], compute: Callable[[], _T]) -> _T:
        """What follows from a few numbers, computed once."""
        if about not in self._results:
            self._results[about] = compute()
        return self._results[about]

    def _disk_of(self, attempt: int, place: int) -> int:
        """Which disk a request is for."""
        path = self.pool[attempt].wants[place].path
        return self._remembered(("disk", path), lambda: self._wwids.index(self.san.nexus_of(path)[1]))

    def _advanced(self, attempt: int, answers: tuple[int, ...]) -> int:
        return self._remembered(
            ("advanced", attempt, answers),
            lambda: self.pool.number(self.pool[attempt].advanced(tuple(self.pool[number] for number in answers))),
        )

    def _arrived(
        self, unit: int, attempt: int, place: int, is_carried_out: bool, told: Answer | None
    ) -> tuple[int, int]:
        """The unit after a request, and what the node is given; both by number."""
        return self._remembered(
            ("arrived", unit, attempt, place, is_carried_out, told),
            lambda: self._carry_out(unit, self.pool[attempt].wants[place], is_carried_out, told),
        )

    def _carry_out(self, number: int, wanted: Wanted, is_carried_out: bool, told: Answer | None) -> tuple[int, int]:
        unit, said = self.pool[number], Answer.SILENT
        if is_carried_out:
            command = Command(Asked.READ) if wanted.operation is None else request_of(wanted.operation)
            nexus = self.san.nexus_of(wanted.path)[0]
            has_no_room = self.scenario.is_full and command.action_key and not unit.key_of(nexus)
            unit, said = (unit, Answer.INVALID) if has_no_room else answer(unit, nexus, command)
        said = told or said
        if wanted.operation is not None:
            given = Performed(operation=wanted.operation, answer=said)
        elif said is Answer.DONE:
            given = reading_of(wanted.path, unit)
        else:
            given = Reading(path=wanted.path, answer=said)
        return self.pool.number(self._small(unit)), self.pool.number(given)

    def _seen(self, sight: int, given: int) -> int:
        return self._remembered(
            ("seen", sight, given), lambda: self.pool.number(self.pool[sight].after(self.pool[given]))
        )

    def _small(self, unit: Unit) -> Unit:
        attentions = unit.attentions if self.scenario.is_attentive else frozenset()
        registrations = tuple(sorted(unit.registrations))
        return evolve(unit, generation=min(unit.generation, 1), registrations=registrations, attentions=attentions)

    def alone(self, state: State, index: int, made: Attempt) -> tuple[tuple[Unit, ...], Outcome]:
        """Carry out an attempt while all others pause and nothing goes wrong.

        Args:
            state: The state.
            index: The node.
            made: The attempt.

        Returns:
            The units afterwards, and how it ended.
        """
        units, number = state.units, self.pool.number(made)
        while (attempt := self.pool[number]).result is None:
            answers = []
            for place in range(len(attempt.wants)):
                disk = self._disk_of(number, place)
                unit, given = self._arrived(units[disk], number, place, True, None)
                units, answers = with_(units, disk, unit), [*answers, given]
            number = self._advanced(number, tuple(answers))
        return tuple(self.pool[unit] for unit in units), attempt.result.outcome

    # --- what happened --------------------------------------------------------------------------------------------

    def asked(self, label: tuple[object, ...]) -> Asking | None:
        """What a node has asked in a transition, and what it was given; ``None`` where it has asked nothing."""
        index, place, *rest = label
        if index == NONE or isinstance(place, str):
            return None
        fault, attempt, given, *outcome = rest
        return Asking(
            name=self.names[index],
            wanted=self.pool[attempt].wants[place],
            given=self.pool[given],
            fault=fault,
            is_carried_out=fault in ("", "lands") or (fault in FAULTS and FAULTS[fault][0]),
            outcome=outcome[0] if outcome else None,
        )

    def told(self, way: list[tuple[object, ...]]) -> str:
        """A way in words, one line for each step."""
        return "\n".join(self._told(label) for label in way)

    def _told(self, label: tuple[object, ...]) -> str:
        asking = self.asked(label)
        if asking is not None:
            return str(asking)
        index, what, *rest = label
        return f"   {what}: {rest[0]}" if index == NONE else f"{self.names[index]}  {what}"


def with_(values: tuple, place: int, value) -> tuple:
    return (*values[:place], value, *values[place + 1 :])
