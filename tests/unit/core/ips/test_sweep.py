"""Addresses of guests that are down: asked all at once, for all who want to know, and not again at once."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.support import FakeDriver, guest, resource, service
from tests.unit.core.ips.test_ips import FakeHost
from vmsvc.core.inside.place import Places
from vmsvc.core.inside.ways import Ways
from vmsvc.core.ips import sweep
from vmsvc.core.ips.driver import IpDriver
from vmsvc.core.ips.halves import Found
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.ips.sweep import Sweep
from vmsvc.core.node import Node
from vmsvc.core.observe import observe
from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase
from vmsvc.core.transport.echo import Heard

MANY = [f"192.0.2.{number}" for number in range(1, 41)]


class Asked:
    """Stands in for the sockets: of all, the first answers, and the last cannot be asked."""

    def __init__(self, monkeypatch):
        self.times = 0
        self.error = None
        monkeypatch.setattr(sweep, "answering", self)

    def __call__(self, addresses, *, wait_s):
        self.times += 1
        self.addresses = addresses
        time.sleep(0.05)
        if self.error:
            raise self.error
        return Heard(answers={addresses[0]: 0.0004}, unasked={addresses[-1]: "Network is unreachable"})


@pytest.fixture
def asked(monkeypatch):
    return Asked(monkeypatch)


def sweep_of(addresses, host=None):
    return Sweep(lambda: addresses, lambda: host or FakeHost())


def soon():
    return time.monotonic() + 5.0


def test_who_asks_first_asks_for_all_who_ask_meanwhile(asked):
    told, made = {}, sweep_of(MANY)
    asking = [
        threading.Thread(target=lambda address=address: told.update({address: made.check(address, soon())}))
        for address in MANY
    ]
    for each in asking:
        each.start()
    for each in asking:
        each.join(10)
    assert asked.times == 1
    answers = [told[address].found for address in MANY]
    assert answers == [Found.YES, *[Found.NO] * 38, Found.UNKNOWN]
    assert told[MANY[0]].words == "ping answers in 0.4 ms"
    assert told[MANY[-1]].words == "ping could not ask: Network is unreachable"


class Table(FakeHost):
    """A node whose kernel knows who has some addresses; what it has forgotten, it knows again once that is asked."""

    def __init__(self, asked, *addresses):
        super().__init__(neigh=lambda _: (json.dumps(self.known()), 0))
        self._asked, self._addresses, self._forgotten = asked, addresses, {}
        self.forgotten = []

    def known(self):
        entry = {"dev": "br0", "lladdr": "52:54:00:12:34:56", "state": ["REACHABLE"]}
        return [{"dst": each, **entry} for each in self._addresses if self._forgotten.get(each) != self._asked.times]

    def run(self, argv, *, budget_s, environment=None):
        if argv[0] == "sh":
            self.forgotten += argv[4::2]
            self._forgotten |= dict.fromkeys(argv[4::2], self._asked.times)
        return super().run(argv, budget_s=budget_s, environment=environment)


def test_of_many_one_that_only_its_network_has_heard_of_is_there(asked):
    made = sweep_of(MANY, Table(asked, MANY[2]))
    assert made.check(MANY[1], soon()).found is Found.NO
    held = made.check(MANY[2], soon())
    assert (held.found, held.holder) == (Found.YES, "52:54:00:12:34:56 on br0 has it")


def test_of_many_those_that_answer_are_not_forgotten_by_the_kernel(asked):
    host = Table(asked, MANY[0], MANY[2])
    assert sweep_of(MANY, host).check(MANY[0], soon()).found is Found.YES
    assert host.forgotten == [MANY[2]]
    assert asked.addresses == [MANY[2]]


def test_what_was_heard_long_ago_is_not_believed(asked, monkeypatch):
    monkeypatch.setattr(sweep, "_FRESH_S", 0.0)
    made = sweep_of(MANY)
    for address in MANY[:3]:
        made.check(address, soon())
    assert asked.times == 3


def test_few_are_asked_by_ping_and_so_is_who_is_not_among_them(asked):
    assert sweep_of(MANY[:16]).check(MANY[0], soon()) is None
    assert asked.times == 0
    assert sweep_of(MANY).check("198.51.100.1", soon()) is None


def test_who_is_not_permitted_to_ask_that_way_asks_by_ping_and_does_not_try_again(asked):
    asked.error = PermissionError()
    made = sweep_of(MANY)
    assert [made.check(address, soon()) for address in MANY[:3]] == [None] * 3
    assert asked.times == 1


def test_who_waits_in_vain_for_another_to_ask_knows_nothing(asked):
    made = sweep_of(MANY)
    first = threading.Thread(target=lambda: made.check(MANY[0], soon()))
    first.start()
    while not asked.times:
        time.sleep(0.001)
    assert made.check(MANY[1], time.monotonic()).found is Found.UNKNOWN
    first.join(10)


def test_an_address_of_many_that_answers_while_its_guest_is_down_is_contested(asked, tmp_path):
    services = [
        service(guest(), resource("ip#1", container_id="container#1", ipname=address, ipdev="eth0")) for address in MANY
    ]
    host, guests = FakeHost(), FakeDriver()
    by_name = {str(number): each for number, each in enumerate(services)}
    places = Places(services=by_name, ways=Ways(lambda _: guests, None), node=lambda: host, driver_of=lambda _: guests)
    driver = IpDriver(places, Ledger(Node(name="n1", root=tmp_path)))
    phases = []
    for each in services:
        places.services["web"] = each
        seen = observe(each.resources, lambda one: guests if isinstance(one, Guest) else driver)
        phases.append(seen["web", "ip#1"].phase)
    assert phases == [Phase.CONTESTED, *[Phase.STOPPED] * 39]
    assert not [argv for argv in host.asked if argv[0] == "ping"]
