"""Which way leads into a guest, and what becomes of it."""

from __future__ import annotations

import threading

import pytest

from tests.support import FakeDriver, guest
from vmsvc.core.contract import Capability
from vmsvc.core.errors import NoWayIn, Undetermined
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
    one = ways.into(guest(way_in="ssh", hostname="db.example.org"))
    assert one is ways.into(guest(2, way_in="ssh", hostname="db.example.org"))
    other = ways.into(guest(3, way_in="ssh", name="web"))
    assert (one.target, other.target) == ("db.example.org", "web")
    ways.close()
    assert (one.closed, other.closed) == (1, 1)
    assert ways.into(guest(3, way_in="ssh", name="web")) is not other


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
