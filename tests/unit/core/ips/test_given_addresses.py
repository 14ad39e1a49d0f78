"""Addresses that the node gives to a guest: what is asked of its driver, and what is never taken for an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import FakeDriver, resource, seen, service, split_guest
from tests.unit.core.ips.test_ips import ADDRESS, HEARD, NEIGHBOUR, NO_ROUTE, UNHEARD, FakeHost
from vmsvc.core.answers import GuestAddress
from vmsvc.core.contract import Capability
from vmsvc.core.errors import ActionFailed, DriverError, Refused, Undetermined
from vmsvc.core.inside.place import Places
from vmsvc.core.inside.ways import Ways
from vmsvc.core.ips import driver as driver_module
from vmsvc.core.ips import names
from vmsvc.core.ips.driver import IpDriver
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.node import Node
from vmsvc.core.status import Phase

GIVEN = GuestAddress(device="eth0:1", address=ADDRESS, prefix=24)


class Plumber(FakeDriver):
    """Gives addresses; what it says of them can be replaced."""

    capabilities = frozenset({Capability.SPLIT_START, Capability.PLUMB})

    def __init__(self, *given):
        super().__init__()
        self.given = list(given)
        self.did = []
        self.answer = None

    def plumbed(self, guest, *, budget_s):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.given if self.answer is None else self.answer

    def plumb(self, guest, address, *, budget_s):
        self.did.append(f"plumb {address.address}/{address.prefix} on {address.device}")
        self.given.append(GuestAddress(device=f"{address.device}:1", address=address.address, prefix=24))
        return True

    def unplumb(self, guest, address, *, budget_s):
        self.did.append(f"unplumb {address.address} on {address.device}")
        self.given[:] = [each for each in self.given if each.address != address.address]


class Stage:
    """A service of a guest whose start is split, and its address."""

    root: Path

    def __init__(self, *given, ping=UNHEARD, driver=None, **options):
        self.plumber = driver or Plumber(*given)
        self.node = FakeHost(ping=ping, neigh=(NEIGHBOUR, 0))
        self.ip = resource("ip#1", container_id="container#1", is_plumbed=True, **options)
        web = service(split_guest(1), self.ip)
        ways = Ways(lambda _: self.plumber, lambda _: FakeHost())
        self.driver = IpDriver(
            Places(services={"web": web}, ways=ways, node=lambda: self.node, driver_of=lambda _: self.plumber),
            Ledger(Node(name="n1", root=Stage.root)),
        )

    def look(self, phase):
        return self.driver.observe_inside(self.ip, seen(phase), budget_s=5.0)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(Stage, "root", tmp_path, raising=False)


@pytest.mark.parametrize(
    ("given", "ping", "guest", "phase", "words"),
    [
        ([GIVEN], HEARD, Phase.RUNNING, Phase.RUNNING, f"{ADDRESS}/24 is on eth0:1"),
        ([GIVEN], UNHEARD, Phase.RUNNING, Phase.DEGRADED, "ping does not answer"),
        ([], UNHEARD, Phase.RUNNING, Phase.STOPPED, f"{ADDRESS} is on no adapter"),
        # Nobody answers a ping yet, and the node has given it all the same: that is what a start goes on from.
        ([GIVEN], UNHEARD, Phase.PREPARED, Phase.RUNNING, "the guest is prepared; nobody is there yet"),
        ([], UNHEARD, Phase.PREPARED, Phase.STOPPED, f"{ADDRESS} is on no adapter"),
        ([], UNHEARD, Phase.STOPPED, Phase.STOPPED, "the guest is stopped"),
        ([], HEARD, Phase.STOPPED, Phase.CONTESTED, "answers although the guest is stopped here"),
        ([GIVEN], UNHEARD, Phase.STOPPED, Phase.DEGRADED, f"the guest is stopped; {ADDRESS}/24 is on eth0:1"),
        ([GIVEN], HEARD, Phase.PAUSED, Phase.PAUSED, "the guest is paused"),
    ],
)
def test_its_driver_tells_what_the_guest_was_given(given, ping, guest, phase, words):
    told = Stage(*given, ping=ping).look(guest)
    assert (told.phase, words in told.state) == (phase, True), told.state


@pytest.mark.parametrize("guest", [Phase.RUNNING, Phase.PREPARED, Phase.STOPPED])
@pytest.mark.parametrize("answer", [Undetermined("silent"), KeyError("odd"), "10.0.0.1", 7])
def test_what_is_no_answer_is_unknown_and_never_down(answer, guest):
    stage = Stage()
    stage.plumber.answer = answer
    told = stage.look(guest)
    assert told.phase is Phase.UNKNOWN
    assert "what the guest was given is not known" in told.evidence.detail


@pytest.mark.keyword("ip.netmask")
def test_it_is_given_once_and_taken_away():
    stage = Stage(netmask=24)
    assert stage.driver.start(stage.ip, budget_s=5.0) is True
    assert stage.driver.start(stage.ip, budget_s=5.0) is False
    stage.driver.stop(stage.ip, budget_s=5.0)
    stage.driver.kill(stage.ip, budget_s=5.0)
    given, *taken = stage.plumber.did
    assert given == f"plumb {ADDRESS}/24 on eth0"
    assert set(taken) == {f"unplumb {ADDRESS} on eth0"}


@pytest.mark.parametrize(
    ("guest", "phase"),
    [(Phase.RUNNING, Phase.DEGRADED), (Phase.PREPARED, Phase.DEGRADED), (Phase.STOPPED, Phase.DEGRADED)],
)
def test_what_a_name_meant_when_the_guest_was_given_it_is_told_and_taken_away(monkeypatch, guest, phase):
    stage = Stage(ping=UNHEARD, ipname="vip")
    meaning = [ADDRESS]
    monkeypatch.setattr(names, "resolved", lambda *_, **__: tuple(meaning))
    monkeypatch.setattr(driver_module, "resolved", lambda *_, **__: tuple(meaning))
    stage.driver.start(stage.ip, budget_s=5.0)
    meaning[:] = ["192.0.2.9"]
    told = stage.look(guest)
    assert (told.phase, f"{ADDRESS}/24 is still on eth0:1, added before" in told.state) == (phase, True), told.state
    stage.driver.stop(stage.ip, budget_s=5.0)
    assert stage.plumber.given == []
    assert stage.look(guest).phase is Phase.STOPPED


def test_an_address_that_answers_is_somebody_elses_and_is_not_given():
    stage = Stage(ping=HEARD)
    with pytest.raises(Refused, match="is taken"):
        stage.driver.start(stage.ip, budget_s=5.0)
    assert stage.plumber.did == []
    unasked = Stage(ping=HEARD, check_ping=False)
    assert unasked.driver.start(unasked.ip, budget_s=5.0) is True


@pytest.mark.parametrize("ping", [(NO_ROUTE, 2), ActionFailed("there is no such command: ping")])
def test_where_nobody_can_be_asked_whether_an_address_is_free_it_is_not_given(ping):
    stage = Stage(ping=ping)
    with pytest.raises(Undetermined, match=f"whether somebody else has {ADDRESS} cannot be found out: ping could not"):
        stage.driver.start(stage.ip, budget_s=5.0)
    assert stage.plumber.did == []


def test_a_driver_without_the_role_is_told_to_be_wrong():
    stage = Stage(driver=FakeDriver())
    assert stage.look(Phase.RUNNING).phase is Phase.UNKNOWN
    with pytest.raises(DriverError, match="gives no addresses"):
        stage.driver.start(stage.ip, budget_s=5.0)
