"""Which way leads into a guest, and what becomes of it."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support import FakeDriver, guest
from vmsvc.core.contract import Capability
from vmsvc.core.errors import NoWayIn, Undetermined
from vmsvc.core.inside import remembering
from vmsvc.core.inside import ways as module
from vmsvc.core.inside.ways import Way, Ways, way_into
from vmsvc.core.transport import Outcome

ENTRY, AGENT = frozenset({Capability.ENTRY}), frozenset({Capability.AGENT})


@pytest.mark.keyword("container.way_in")
@pytest.mark.parametrize(
    ("options", "capabilities", "way"),
    [
        ({}, frozenset(), Way.SSH),
        ({}, AGENT, Way.SSH),
        ({}, ENTRY, Way.ENTRY),
        ({"way_in": "ssh"}, ENTRY, Way.SSH),
        ({"way_in": "agent"}, AGENT, Way.AGENT),
        ({"way_in": "none"}, ENTRY, Way.NONE),
        ({"guestos": "windows"}, frozenset(), Way.NONE),
        ({"guestos": "windows"}, AGENT, Way.AGENT),
        ({"guestos": "windows", "way_in": "ssh"}, AGENT, Way.SSH),
    ],
)
def test_the_way_that_suits_the_technology_and_the_guest(options, capabilities, way):
    assert way_into(guest(**options), capabilities) is way


class Door(FakeDriver):
    capabilities = ENTRY

    def __init__(self):
        super().__init__()
        self.entered = []

    def enter(self, guest, argv, *, budget_s, environment=None):
        self.entered.append((guest.name, tuple(argv), environment))
        return self._do(
            "enter", guest, lambda: Outcome(argv=tuple(argv), code=0, stdout=b"", stderr=b"", duration_s=0.0)
        )


class FakeSsh:
    def __init__(self, target):
        self.target = target
        self.name = target
        self.closed = 0

    def close(self):
        self.closed += 1


@pytest.fixture
def ways():
    driver = Door()
    made = Ways(lambda _: driver, FakeSsh)
    made.driver = driver
    return made


def test_a_command_by_the_drivers_own_entry(ways):
    host = ways.into(guest(name="db"))
    assert host.name == "db"
    assert host.run(["ls", "a b"], budget_s=1.0, environment={"A": "1"}).code == 0
    assert ways.driver.entered == [("db", ("ls", "a b"), {"A": "1"})]


def test_an_entry_that_hangs_is_given_up(ways, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_S", 0.1)
    ways.driver.on["enter", "container#1"] = lambda: threading.Event().wait(10)
    with pytest.raises(Undetermined, match="did not answer"):
        ways.into(guest()).run(["true"], budget_s=0.1)


@pytest.mark.keyword("container.hostname")
def test_one_connection_for_all_that_ssh_calls_the_same_and_all_are_closed(ways):
    one = ways.into(guest(way_in="ssh", hostname="db.example.org")).host
    assert one is ways.into(guest(2, way_in="ssh", hostname="db.example.org")).host
    other = ways.into(guest(3, way_in="ssh", name="web")).host
    assert (one.target, other.target) == ("db.example.org", "web")
    ways.close()
    assert (one.closed, other.closed) == (1, 1)
    assert ways.into(guest(3, way_in="ssh", name="web")).host is not other


def test_a_guest_that_was_started_is_entered_by_a_new_connection_and_no_other_guest(ways):
    one = ways.into(guest(way_in="ssh", name="db")).host
    other = ways.into(guest(2, way_in="ssh", name="web")).host
    ways.forget(guest(way_in="ssh", name="db"))
    assert one.closed == 0
    ways.renew(guest(way_in="ssh", name="db"))
    ways.renew(guest(3, name="nobody has been there"))
    assert (one.closed, other.closed) == (1, 0)


class Dead:
    """Lets nobody in, after a time."""

    def __init__(self, ways, monkeypatch, after_s, code="undetermined.silent"):
        self.asked = 0
        self.code = code
        self.after_s = after_s
        ways.driver.on["enter", "container#1"] = ways.driver.on["enter", "container#2"] = self.answer
        monkeypatch.setattr(remembering, "_IN_VAIN_S", 0.2)

    def answer(self):
        self.asked += 1
        time.sleep(self.after_s)
        raise NoWayIn("it does not answer", code=self.code, hint="look")


def refusal_of(host):
    with pytest.raises(NoWayIn) as refusal:
        host.run(["true"], budget_s=5)
    return refusal.value


def test_a_dead_guest_costs_its_deadline_once_and_no_other_guest_anything(ways, monkeypatch):
    dead = Dead(ways, monkeypatch, after_s=0.25)
    assert refusal_of(ways.into(guest())).message == "it does not answer"
    began = time.monotonic()
    again = refusal_of(ways.into(guest()))
    assert time.monotonic() - began < 0.1
    assert (again.message, again.code, again.hint) == (
        "it does not answer (found out 0 s ago)",
        "undetermined.silent",
        "look",
    )
    assert refusal_of(ways.into(guest(2))).message == "it does not answer"
    assert dead.asked == 2


def test_a_dead_guest_is_asked_again_after_a_while_and_when_it_is_started(ways, monkeypatch):
    dead = Dead(ways, monkeypatch, after_s=0.25)
    refusal_of(ways.into(guest()))
    ways.forget(guest())
    refusal_of(ways.into(guest()))
    assert dead.asked == 2
    ways.renew(guest())
    refusal_of(ways.into(guest()))
    assert dead.asked == 3
    monkeypatch.setattr(remembering, "_REMEMBERED_S", 0.0)
    refusal_of(ways.into(guest()))
    assert dead.asked == 4


def test_a_guest_that_refuses_at_once_is_asked_each_time(ways, monkeypatch):
    dead = Dead(ways, monkeypatch, after_s=0.0)
    refusal_of(ways.into(guest()))
    refusal_of(ways.into(guest()))
    assert dead.asked == 2


def test_one_who_had_little_time_does_not_speak_for_those_who_have_more(ways, monkeypatch):
    dead = Dead(ways, monkeypatch, after_s=0.25)
    for budget_s, asked in ((0.5, 1), (1.0, 1), (5.0, 2), (5.5, 2), (8.0, 3)):
        with pytest.raises(NoWayIn):
            ways.into(guest()).run(["true"], budget_s=budget_s)
        assert dead.asked == asked


def test_who_gets_in_opens_it_for_all(ways, monkeypatch):
    dead = Dead(ways, monkeypatch, after_s=0.25)
    with pytest.raises(NoWayIn):
        ways.into(guest()).run(["true"], budget_s=0.5)
    answer = ways.driver.on.pop(("enter", "container#1"))
    assert ways.into(guest()).run(["true"], budget_s=5.0).code == 0
    ways.driver.on["enter", "container#1"] = answer
    assert refusal_of(ways.into(guest())).message == "it does not answer"
    assert dead.asked == 2


@pytest.mark.parametrize("code", ["undetermined.timeout", "undetermined.ssh-channel", "undetermined.ssh-broken"])
def test_a_guest_that_is_busy_or_was_entered_by_what_is_of_no_use_is_not_dead(ways, monkeypatch, code):
    dead = Dead(ways, monkeypatch, after_s=0.25, code=code)
    assert refusal_of(ways.into(guest())).message == "it does not answer"
    assert refusal_of(ways.into(guest())).message == "it does not answer"
    assert dead.asked == 2


def test_a_way_that_is_open_is_tried_whatever_was_in_vain(monkeypatch):
    monkeypatch.setattr(remembering, "_IN_VAIN_S", 0.1)

    class Slow(FakeSsh):
        is_open = False

        def run(self, argv, *, budget_s, environment=None):
            if self.is_open:
                return Outcome(argv=tuple(argv), code=0, stdout=b"", stderr=b"", duration_s=0.0)
            time.sleep(0.2)
            raise NoWayIn("not open in time", code="undetermined.ssh-timeout")

    host = Ways(lambda _: FakeDriver(), Slow).into(guest(way_in="ssh"))
    refusal_of(host)
    assert "found out" in refusal_of(host).message
    host.host.is_open = True  # the attempt has gone on meanwhile
    assert host.run(["true"], budget_s=1.0).code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"way_in": "none"}, r"no way into container#1: `way_in = none` \(`way_in` of"),
        ({"way_in": "agent"}, "the fake driver has no `agent` into its guests"),
    ],
)
def test_no_way_in_says_why_and_what_to_do(ways, options, words):
    with pytest.raises(NoWayIn, match=words):
        ways.into(guest(**options))
