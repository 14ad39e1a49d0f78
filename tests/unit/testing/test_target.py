"""The target in memory answers as the table says, which was measured on Linux' target."""

from __future__ import annotations

import pytest

from vmsvc.core.vmdg.keys import LARGEST
from vmsvc.core.vmdg.seen import Answer
from vmsvc.testing.cases import CASES, KEYS, NEXUSES, Shown, parse_cases, run
from vmsvc.testing.target import (
    Action,
    Attention,
    Request,
    Unit,
    answer,
    begin_write,
    end_write,
    lose_power,
    may_read,
    may_write,
)


class InMemory:
    """A backend of the table."""

    def begin(self):
        self.unit = Unit()

    def ask(self, nexus, request):
        self.unit, told = answer(self.unit, nexus, request)
        return told

    def show(self):
        unit = self.unit
        key = 0 if unit.is_held_by_all else unit.key_of(unit.holder)
        return Shown(
            registered=dict(unit.registrations),
            reserved=(key, unit.type) if unit.holder else None,
            holders=frozenset(nexus for nexus in NEXUSES if unit.is_held_by(nexus)),
            writers=frozenset(nexus for nexus in NEXUSES if may_write(unit, nexus)),
            readers=frozenset(nexus for nexus in NEXUSES if may_read(unit, nexus)),
            counted=unit.generation,
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_answers_as_the_real_target_does(case):
    assert run(case, InMemory()) == []


def test_a_difference_from_the_table_is_told():
    [wrong] = parse_cases("x\n    a1 register; b1 reserve 5\n    => registered a1=B; writers a1; counted 1")
    first, second, third = run(wrong, InMemory())
    assert first.startswith("2. b1 ")
    assert "NOT_READY" in first
    assert second.startswith("registered: ")
    assert third.startswith("writers: ")


def test_every_action_and_every_type_is_in_the_table():
    requests = [step.request for case in CASES for step in case.steps]
    assert {request.action for request in requests} == set(Action)
    assert {request.type for request in requests} >= {0, 1, 2, 3, 5, 6, 7, 8}


@pytest.mark.parametrize("line", ["a1 leap", "a1 reserve 5: maybe", "a1 register X"])
def test_a_word_that_the_table_does_not_know_is_an_error(line):
    with pytest.raises((ValueError, KeyError)):
        parse_cases(f"x\n    {line}\n    => counted 0")


def test_a_key_of_more_than_64_bits_is_a_mistake_of_the_test():
    with pytest.raises(ValueError, match="64 bits"):
        answer(Unit(), "a1", Request(Action.REGISTER_AND_IGNORE, action_key=LARGEST + 1))


def held_by_a():
    unit = Unit()
    for nexus, request in (
        ("a1", Request(Action.REGISTER_AND_IGNORE, action_key=KEYS["A"])),
        ("b1", Request(Action.REGISTER_AND_IGNORE, action_key=KEYS["B"])),
        ("a1", Request(Action.RESERVE, key=KEYS["A"], type=5)),
    ):
        unit, told = answer(unit, nexus, request)
        assert told is Answer.DONE
    return unit


@pytest.mark.parametrize(("action", "lands"), [(Action.PREEMPT, True), (Action.PREEMPT_AND_ABORT, False)])
def test_a_write_under_way_survives_a_preemption_without_abort(action, lands):
    unit = begin_write(held_by_a(), "a1")
    unit, _ = answer(unit, "b1", Request(action, key=KEYS["B"], action_key=KEYS["A"], type=5))
    assert not may_write(unit, "a1")
    assert end_write(unit, "a1")[1] is lands


def test_a_write_that_is_refused_is_not_under_way():
    assert not end_write(begin_write(held_by_a(), "c1"), "c1")[1]


def test_a_loss_of_power_forgets_everything_and_is_told():
    unit = lose_power(NEXUSES)
    assert unit.registrations == ()
    assert unit.generation == 0
    assert dict(unit.attentions)["c2"] is Attention.POWER_ON
    assert answer(unit, "a1", Request(Action.READ))[1] is Answer.ATTENTION


def test_the_generation_wraps():
    full = Unit(generation=0xFFFF_FFFF)
    assert answer(full, "a1", Request(Action.REGISTER_AND_IGNORE, action_key=1))[0].generation == 0


def test_states_compare_and_hash_by_what_they_hold():
    assert held_by_a() == held_by_a()
    assert len({held_by_a(), held_by_a(), Unit()}) == 2
