"""Asking all drivers for the guests that are there."""

from __future__ import annotations

import time

import pytest

from tests.support import FakeDriver, guest
from vmsvc.core.answers import FoundGuest
from vmsvc.core.contract import Capability
from vmsvc.core.errors import DriverError, Undetermined
from vmsvc.core.guests import discovery
from vmsvc.core.guests.discovery import discover
from vmsvc.core.status import Phase


def found(name):
    return FoundGuest(name=name, phase=Phase.RUNNING, state="running")


class Telling(FakeDriver):
    """Answers with what it is given; an exception is raised, a function is called."""

    capabilities = frozenset({Capability.DISCOVER})

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def discover(self, where, *, budget_s):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


def told(**answers):
    drivers = {name: Telling(answer) for name, answer in answers.items()}
    places = [guest(type=name) for name in answers]
    try:
        return {each.type: each for each in discover(places, lambda where: drivers[where.type])}
    finally:
        for driver in drivers.values():
            driver.close()


def test_guests_come_sorted_whatever_the_order_of_the_answer():
    assert told(a=[found("y"), found("x")])["a"].guests == (found("x"), found("y"))


def test_no_guests_and_no_drivers_are_answers():
    assert (told(a=[])["a"].guests, told(a=[])["a"].error) == ((), None)
    assert discover([], lambda where: None) == []


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Undetermined("no connection"), Undetermined, "no connection"),
        (DriverError("may not list"), DriverError, "may not list"),
        (ZeroDivisionError("ouch"), Undetermined, "the a driver broke off with ZeroDivisionError: ouch"),
        (None, Undetermined, "the a driver broke off with TypeError"),
        (["x"], Undetermined, "discover answered with a str, not a FoundGuest"),
        (lambda: (found(str(1 / n)) for n in (1, 0)), Undetermined, "broke off with ZeroDivisionError"),
    ],
)
def test_a_driver_that_cannot_tell_hides_no_other(answer, kind, words):
    answers = told(a=answer, b=[found("x")])
    assert isinstance(answers["a"].error, kind)
    assert words in str(answers["a"].error)
    assert answers["a"].guests == ()
    assert answers["b"].guests == (found("x"),)


def test_a_driver_that_hangs_costs_its_budget_once_and_nobody_elses_answer(monkeypatch):
    monkeypatch.setattr(discovery, "GRACE_S", 0.1)
    hung, other = Telling(None), Telling(None)
    hung.answer, other.answer = hung.hang, other.hang
    drivers = {"a": hung, "b": other, "c": Telling([found("x")])}
    began = time.monotonic()
    answers = discover([guest(type=name) for name in drivers], lambda where: drivers[where.type], budget_s=0.2)
    assert time.monotonic() - began < 2
    for driver in drivers.values():
        driver.close()
    assert [each.error.code if each.error else "" for each in answers] == [
        "undetermined.timeout",
        "undetermined.timeout",
        "",
    ]
    assert answers[2].guests == (found("x"),)


@pytest.mark.parametrize(
    "wrong",
    [{"phase": "running"}, {"options": {"uri": 1}}, {"disks": ["vda"]}, {"warnings": "autostart"}, {"name": None}],
)
def test_a_record_that_is_wrong_shows_in_the_driver(wrong):
    with pytest.raises(TypeError):
        FoundGuest(**{"name": "x", "phase": Phase.RUNNING, "state": "running", **wrong})
