from __future__ import annotations

import sys
import threading
import time

import pytest
from attrs import define

from tests.support import FakeDriver, guest, resource, seen
from vmsvc.core import observe as module
from vmsvc.core.contract import Capability
from vmsvc.core.errors import Undetermined
from vmsvc.core.observe import key_of, observe
from vmsvc.core.status import Phase


class Bulk(FakeDriver):
    """Answers for all resources with one query; ``answers`` says what."""

    type = "bulk"
    capabilities = frozenset({Capability.BULK})

    def __init__(self, answers=None):
        super().__init__()
        self.queries = []
        self.answers = answers or (lambda asked: {key_of(each): seen(Phase.RUNNING) for each in asked})

    def observe_all(self, resources, *, budget_s):
        self.queries.append(len(resources))
        return self.answers(resources)


def guests(count):
    return [guest(number) for number in range(1, count + 1)]


def phases(found):
    return [observation.phase for observation in found.values()]


def test_nothing_to_look_at():
    assert observe([], lambda _: "nobody") == {}


def test_one_query_for_a_thousand_guests():
    driver = Bulk()
    found = observe(guests(1000), lambda _: driver)
    assert driver.queries == [1000]
    assert driver.calls == []
    assert len(found) == 1000
    assert set(phases(found)) == {Phase.RUNNING}


def test_a_driver_without_bulk_is_asked_for_each():
    driver = FakeDriver(container_1=Phase.RUNNING)
    found = observe(guests(3), lambda _: driver)
    assert sorted(driver.calls) == [f"observe container#{n}" for n in (1, 2, 3)]
    assert phases(found) == [Phase.RUNNING, Phase.STOPPED, Phase.STOPPED]


def test_what_has_no_driver_is_inapplicable_with_the_reason():
    (found,) = observe([resource("ip#1")], lambda _: "not handled yet").values()
    assert (found.phase, found.evidence.detail) == (Phase.INAPPLICABLE, "not handled yet")


def test_a_driver_that_cannot_be_had_is_unknown_and_holds_up_nobody():
    good = Bulk()

    def finder(each):
        if each.rid == "container#1":
            raise Undetermined("its constructor failed")
        return good

    found = observe(guests(2), finder)
    assert found["web", "container#1"].phase is Phase.UNKNOWN
    assert "its constructor failed" in found["web", "container#1"].evidence.detail
    assert found["web", "container#2"].phase is Phase.RUNNING


@pytest.mark.parametrize(
    "answers",
    [
        lambda _: None,
        lambda _: [],
        lambda _: {},
        lambda _: {("web", "container#1"): None},
        lambda _: {("web", "container#1"): "down"},
        lambda _: {"container#1": seen(Phase.STOPPED)},
        lambda _: {}["x"],
        lambda _: sys.exit(0),
    ],
)
def test_whatever_is_no_observation_is_unknown_with_a_reason(answers):
    (found,) = observe(guests(1), lambda _: Bulk(answers)).values()
    assert found.phase is Phase.UNKNOWN
    assert found.evidence.detail


def test_answers_that_are_missing_are_unknown_and_the_others_count():
    driver = Bulk(lambda asked: {key_of(asked[0]): seen(Phase.STOPPED), ("else", "where"): seen(Phase.RUNNING)})
    found = observe(guests(2), lambda _: driver)
    assert list(found) == [("web", "container#1"), ("web", "container#2")]
    assert phases(found) == [Phase.STOPPED, Phase.UNKNOWN]


def test_drivers_need_neither_hash_nor_identity():
    @define
    class Equal(Bulk):
        """Equal to every other one, and not hashable."""

        answers = staticmethod(lambda asked: {key_of(each): seen(Phase.RUNNING) for each in asked})

        def __init__(self):
            self.queries = []

    one, other = Equal(), Equal()
    found = observe(guests(2), lambda each: one if each.rid == "container#1" else other)
    assert (one.queries, other.queries) == ([1], [1])
    assert phases(found) == [Phase.RUNNING] * 2


@pytest.fixture
def quick(monkeypatch):
    """Looks have half a second."""
    monkeypatch.setattr(module, "GRACE_S", 0.2)
    monkeypatch.setattr("vmsvc.core.resource.OBSERVE_BUDGET_S", 0.3)


@pytest.mark.usefixtures("quick")
def test_a_hung_driver_holds_up_no_other():
    hung, good = FakeDriver(), Bulk()
    hung.type = "hung-alone"
    answered = []
    good.answers = lambda asked: (
        answered.append(time.monotonic()),
        {key_of(each): seen(Phase.RUNNING) for each in asked},
    )[1]
    for number in range(1, 21):
        hung.on["observe", f"container#{number}"] = hung.hang
    began = time.monotonic()
    found = observe([*guests(20), resource("container#99")], lambda each: good if each.rid == "container#99" else hung)
    took = time.monotonic() - began
    hung.close()
    assert answered[0] - began < 0.4
    assert took < 2
    assert phases(found) == [Phase.UNKNOWN] * 20 + [Phase.RUNNING]


@pytest.mark.usefixtures("quick")
def test_twenty_slow_checks_take_the_time_of_one():
    driver = FakeDriver()
    for each in guests(20):
        driver.on["observe", each.rid] = lambda: time.sleep(0.25) or seen(Phase.RUNNING)
    began = time.monotonic()
    assert set(phases(observe(guests(20), lambda _: driver))) == {Phase.RUNNING}
    assert time.monotonic() - began < 1.5


@pytest.mark.usefixtures("quick")
def test_a_hang_costs_a_bounded_number_of_threads_and_ends():
    driver = FakeDriver()
    driver.type = "hung-for-long"
    driver.on["observe", "container#1"] = driver.hang
    before = threading.active_count()
    for _ in range(30):
        assert phases(observe(guests(1), lambda _: driver)) == [Phase.UNKNOWN]
    assert threading.active_count() - before <= 8
    driver.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    driver.on.clear()
    assert phases(observe(guests(1), lambda _: driver)) == [Phase.STOPPED]


def test_budgets_are_those_of_the_resources():
    given = []

    class Budgets(Bulk):
        def observe_all(self, resources, *, budget_s):
            given.append(budget_s)
            return {}

    apps = [resource("app#1", check_timeout=2.0), resource("app#2", check_timeout=3.0)]
    driver = Budgets()
    observe(apps, lambda _: driver)
    assert given == [3.0]
