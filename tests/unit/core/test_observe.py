from __future__ import annotations

import os
import subprocess
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
from vmsvc.core.resource import Guest
from vmsvc.core.status import Evidence, Observation, Phase, inapplicable


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


class Insider(FakeDriver):
    """Sees what is inside of ``web``'s guests, and remembers what it was told of them."""

    kind = "ip"

    def __init__(self):
        super().__init__()
        self.told = []

    def guest_of(self, resource):
        return guest(int(resource.container_id.partition("#")[2]))

    def observe_inside(self, resource, guest, *, budget_s):
        self.told.append((resource.rid, guest.phase))
        return seen(Phase.RUNNING)


def within(number, guest_number):
    return resource(f"ip#{number}", container_id=f"container#{guest_number}")


def finder(guests, insider):
    return lambda each: guests if isinstance(each, Guest) else insider


def test_what_is_inside_a_guest_is_looked_at_after_it_and_the_guest_only_once():
    driver, insider = Bulk(), Insider()
    found = observe([within(1, 1), guest(1), within(2, 1)], finder(driver, insider))
    assert list(found) == [("web", "ip#1"), ("web", "container#1"), ("web", "ip#2")]
    assert sorted(insider.told) == [("ip#1", Phase.RUNNING), ("ip#2", Phase.RUNNING)]
    assert driver.queries == [1]


def test_whoever_looks_inside_a_guest_looks_at_the_guest_and_tells_only_what_was_asked():
    driver, insider = FakeDriver(container_1=Phase.PAUSED), Insider()
    assert list(observe([within(1, 1), within(2, 2)], finder(driver, insider))) == [("web", "ip#1"), ("web", "ip#2")]
    assert sorted(insider.told) == [("ip#1", Phase.PAUSED), ("ip#2", Phase.STOPPED)]


def test_a_guest_that_nobody_can_see_is_told_as_unknown_to_who_looks_inside():
    insider = Insider()

    def find(each):
        if isinstance(each, Guest):
            raise Undetermined("no driver")
        return insider

    observe([within(1, 1)], find)
    assert insider.told == [("ip#1", Phase.UNKNOWN)]


def test_looks_inside_wait_for_their_own_guest_only(monkeypatch):
    monkeypatch.setattr(module, "STATUS_DEADLINE_S", 1.0)
    driver, insider = FakeDriver(container_2=Phase.RUNNING), Insider()
    driver.on["observe", "container#1"] = driver.hang
    found = observe([within(1, 1), within(2, 2)], finder(driver, insider))
    driver.release.set()
    assert phases(found) == [Phase.UNKNOWN, Phase.RUNNING]
    assert insider.told == [("ip#2", Phase.RUNNING)]


def test_an_insider_that_breaks_is_unknown():
    class Broken(Insider):
        def observe_inside(self, resource, guest, *, budget_s):
            raise ValueError("mine")

    (found,) = observe([within(1, 1)], finder(FakeDriver(), Broken())).values()
    assert (found.phase, found.evidence.detail) == (Phase.UNKNOWN, "ValueError: mine")


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
    bad = [guest(number, type="hung-alone") for number in range(1, 21)]
    answered = []
    good.answers = lambda asked: (
        answered.append(time.monotonic()),
        {key_of(each): seen(Phase.RUNNING) for each in asked},
    )[1]
    for number in range(1, 21):
        hung.on["observe", f"container#{number}"] = hung.hang
    began = time.monotonic()
    found = observe([*bad, resource("container#99")], lambda each: good if each.rid == "container#99" else hung)
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
    asked = [guest(type="hung-for-long")]
    driver.on["observe", "container#1"] = driver.hang
    before = threading.active_count()
    for _ in range(30):
        assert phases(observe(asked, lambda _: driver)) == [Phase.UNKNOWN]
    assert threading.active_count() - before <= 8
    driver.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    driver.on.clear()
    assert phases(observe(asked, lambda _: driver)) == [Phase.STOPPED]


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


# --- one deadline for all -------------------------------------------------------------------------------------------------


def test_seventy_hanging_checks_are_answered_by_the_deadline(monkeypatch):
    # A check that hangs takes all of its budget: rounds of 32 would take three times as long.
    monkeypatch.setattr(module, "_PARALLEL", 32)
    monkeypatch.setattr(module, "STATUS_DEADLINE_S", 0.9)
    driver = FakeDriver()
    release = threading.Event()
    apps = [resource(f"app#{number}", check_timeout=0.5) for number in range(70)]

    def check():
        release.wait(0.5)
        raise Undetermined("the check did not end")

    for app in apps:
        driver.on["observe", app.rid] = check
    began = time.monotonic()
    found = observe(apps, lambda _: driver)
    took = time.monotonic() - began
    release.set()
    assert took < 1.2
    assert list(found) == [key_of(app) for app in apps]
    assert set(phases(found)) == {Phase.UNKNOWN}
    reasons = [observation.evidence.detail for observation in found.values()]
    assert reasons.count("the check did not end") >= 32
    assert "no answer within the 0.9 s" in reasons[-1]


def test_what_is_not_reached_in_time_is_never_asked_later(monkeypatch):
    monkeypatch.setattr(module, "STATUS_DEADLINE_S", 0.3)
    monkeypatch.setattr(module, "_PARALLEL", 1)
    driver = FakeDriver()
    driver.on["observe", "container#1"] = lambda: time.sleep(0.4) or seen(Phase.RUNNING)
    assert phases(observe([guest(n, type="slow") for n in (1, 2)], lambda _: driver)) == [Phase.UNKNOWN] * 2
    time.sleep(0.3)
    assert driver.calls == ["observe container#1"]


def test_the_time_that_is_left_is_the_budget(monkeypatch):
    monkeypatch.setattr(module, "STATUS_DEADLINE_S", 0.5)
    given = []

    class Budgets(FakeDriver):
        def observe(self, resource, *, budget_s):
            given.append(budget_s)
            return seen(Phase.RUNNING)

    observe([resource("app#1", check_timeout=7.0)], lambda _: Budgets())
    assert 0.3 < given[0] <= 0.5


EXIT = """
import time
from tests.support import FakeDriver, guest
from vmsvc.core import observe
observe.STATUS_DEADLINE_S = 0.2
driver = FakeDriver()
driver.on["observe", "container#1"] = driver.hang
print(observe.observe([guest()], lambda _: driver)["web", "container#1"].phase.value)
"""


def test_exit_waits_for_nobody_who_hangs():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", EXIT], check=False, capture_output=True, text=True, env=environment, timeout=30
    )
    assert (done.stdout, done.returncode) == ("unknown\n", 0), done.stderr
    assert time.monotonic() - began < 10


# --- everything foreign is read inside the guard ----------------------------------------------------------------------


class BadBudget(Guest):
    """A driver's record whose budget cannot be read."""

    @property
    def observe_budget_s(self):
        raise ZeroDivisionError("no budget")


class Exits(Guest):
    @property
    def observe_budget_s(self):
        sys.exit(3)


class TextBudget(Guest):
    @property
    def observe_budget_s(self):
        return "five"


class NoCapabilities(FakeDriver):
    """A driver that cannot be asked what it can, nor anything else."""

    @property
    def capabilities(self):
        raise ZeroDivisionError("no capabilities")

    def observe(self, resource, *, budget_s):
        raise ZeroDivisionError("no answer")


class BadMapping(dict):
    def get(self, key, default=None):
        raise ZeroDivisionError("no entry")


def garbage(**fields):
    return lambda asked: {
        key_of(each): Observation(**{"phase": Phase.STOPPED, "state": "off", "evidence": Evidence(probe="p"), **fields})
        for each in asked
    }


BAD = {
    "budget": (FakeDriver, BadBudget),
    "exit": (FakeDriver, Exits),
    "text": (FakeDriver, TextBudget),
    "capabilities": (NoCapabilities, Guest),
    "mapping": (lambda: Bulk(lambda asked: BadMapping({key_of(each): seen(Phase.STOPPED) for each in asked})), Guest),
    "phase": (lambda: Bulk(garbage(phase="stopped")), Guest),
    "state": (lambda: Bulk(garbage(state=None)), Guest),
    "evidence": (lambda: Bulk(garbage(evidence="I saw it")), Guest),
    "warnings": (lambda: Bulk(garbage(warnings=["a list"])), Guest),
    "warning": (lambda: Bulk(garbage(warnings=(1,))), Guest),
}


@pytest.mark.parametrize("how", BAD)
def test_one_bad_driver_takes_down_no_other(how, monkeypatch):
    monkeypatch.setattr(module, "_PARALLEL", 1)  # the same thread must live to take the next look
    make, record = BAD[how]
    bad = record(service="web", rid="container#1", kind="container", type="bad", name="x")
    drivers = {"bad": make(), "fake": FakeDriver(container_2=Phase.RUNNING)}
    found = observe([bad, guest(2)], lambda each: drivers[each.type])
    assert phases(found) == [Phase.UNKNOWN, Phase.RUNNING]
    assert found["web", "container#1"].evidence.detail


def test_a_guest_always_has_a_state():
    driver = Bulk(lambda asked: {key_of(each): inapplicable("looked", "no such thing") for each in asked})
    found = observe([guest(), resource("app#1")], lambda _: driver)
    assert phases(found) == [Phase.UNKNOWN, Phase.INAPPLICABLE]
    told = found["web", "container#1"].evidence
    assert (told.probe, told.detail) == ("looked", "the driver says n/a of a guest: no such thing")
