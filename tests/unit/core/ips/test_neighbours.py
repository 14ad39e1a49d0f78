"""Who has an address without answering to ping: what the kernel has heard since it was asked, and from whom."""

from __future__ import annotations

import json
import time

import pytest

from tests.unit.core.ips.test_ips import HEARD, MAC, NO_ROUTE, UNHEARD, FakeHost, Stage, soon
from vmsvc.core.errors import ActionFailed, Refused
from vmsvc.core.ips import neighbours
from vmsvc.core.ips.free import check_by_ping
from vmsvc.core.ips.halves import Found
from vmsvc.core.ips.neighbours import asked, who_has, who_has_on
from vmsvc.core.status import Phase

ADDRESS, OTHER = "192.0.2.1", "192.0.2.254"


def entry(state, *, mac=MAC, address=ADDRESS, **more):
    return {"dst": address, "dev": "br0", **({"lladdr": mac} if mac else {}), "state": [state], **more}


class Kernel(FakeHost):
    """A node with a table of neighbours; once somebody is pinged, it has another one."""

    def __init__(self, *, before=(), after=(), ping=UNHEARD, is_root=True, **answers):
        super().__init__(ping=self._ping, neigh=self._neigh, **answers)
        self.table, self._after, self._answer, self._is_root = list(before), after, ping, is_root

    def _ping(self, _argv):
        known = {each["dst"] for each in self.table}
        self.table += [each for each in self._after if each["dst"] not in known]
        return self._answer

    def _neigh(self, argv):
        return json.dumps([each for each in self.table if "to" not in argv or each["dst"] in argv]), 0

    def run(self, argv, *, budget_s, environment=None):
        if argv[0] == "sh" and self._is_root:
            forgotten = set(zip(argv[4::2], argv[5::2], strict=True))
            self.table = [each for each in self.table if (each["dst"], each["dev"]) not in forgotten]
        return super().run(argv, budget_s=budget_s, environment=environment)


@pytest.mark.parametrize("state", ["REACHABLE", "STALE", "DELAY", "PROBE"])
def test_who_answers_its_network_and_no_ping_has_the_address(state):
    half = asked(Kernel(after=[entry(state)]), ADDRESS, deadline=soon())
    assert (half.found, half.words) == (Found.YES, f"ping does not answer, and {MAC} on br0 has it")


@pytest.mark.parametrize(
    "silent",
    [
        [],
        [entry("INCOMPLETE", mac="")],
        [entry("FAILED", mac="")],
        [entry("REACHABLE", address=OTHER)],
        [entry("PERMANENT")],
        [entry("NOARP")],
        [entry("REACHABLE", extern_learn=None)],
    ],
)
def test_who_has_not_been_heard_has_it_not(silent):
    assert asked(Kernel(after=silent), ADDRESS, deadline=soon()).found is Found.NO


@pytest.mark.parametrize("state", ["REACHABLE", "STALE", "DELAY", "PROBE"])
def test_a_guest_that_has_just_been_stopped_is_not_taken_for_somebody_else(state):
    silent = Kernel(before=[entry(state)], after=[entry("INCOMPLETE", mac="")])
    assert asked(silent, ADDRESS, deadline=soon()).found is Found.NO
    taken = Kernel(before=[entry(state)], after=[entry("REACHABLE", mac="52:54:00:00:00:99")])
    another = asked(taken, ADDRESS, deadline=soon())
    assert "52:54:00:00:00:99" in another.holder


def test_what_the_kernel_would_not_forget_is_no_evidence():
    assert asked(Kernel(before=[entry("REACHABLE")], is_root=False), ADDRESS, deadline=soon()).found is Found.NO


def test_what_an_administrator_has_entered_is_not_forgotten():
    host = Kernel(before=[entry("PERMANENT"), entry("REACHABLE", address=OTHER)])
    asked(host, ADDRESS, deadline=soon())
    assert not [argv for argv in host.asked if argv[0] == "sh"]


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "gateway": OTHER, "dev": "br0"},
        {"dst": "default", "nexthops": [{"gateway": OTHER, "dev": "br0"}]},
        {"dst": "default", "via": {"family": "inet", "host": OTHER}, "dev": "br0"},
    ],
)
def test_a_router_that_answers_for_everybody_has_no_address_of_a_guest(route):
    router = entry("REACHABLE", address=OTHER)
    host = Kernel(before=[router], after=[entry("REACHABLE")], **{"-4": (json.dumps([route]), 0)})
    assert asked(host, ADDRESS, deadline=soon()).found is Found.NO


def test_routers_that_answer_no_more_are_asked_together_and_not_waited_for_long():
    hops = [{"gateway": f"192.0.2.{number}", "dev": "br0"} for number in range(241, 245)]
    routes = {family: (json.dumps([{"dst": "default", "nexthops": hops}]), 0) for family in ("-4", "-6")}
    dead = [entry("INCOMPLETE", mac="", address=hop["gateway"]) for hop in hops]
    began = time.monotonic()
    assert asked(Kernel(before=dead, after=[entry("REACHABLE")], **routes), ADDRESS, deadline=soon()).holder
    assert time.monotonic() - began < 2.5
    began = time.monotonic()
    host = Kernel(before=dead, after=[entry("REACHABLE")], **routes)
    asked(host, ADDRESS, deadline=soon(1.5))
    assert time.monotonic() - began < 1.9


def test_nobody_is_asked_for_by_his_network_once_the_deadline_has_passed():
    host = Kernel(after=[entry("REACHABLE")])
    assert asked(host, ADDRESS, deadline=time.monotonic()).found is Found.NO
    assert [argv[0] for argv in host.asked] == ["ping"]


def test_of_an_address_with_a_zone_only_its_own_network_counts():
    host = Kernel(after=[entry("REACHABLE", address="fe80::1")])
    assert asked(host, "fe80::1%br1", deadline=soon()).found is Found.NO
    assert asked(host, "fe80::1%br0", deadline=soon()).holder == f"{MAC} on br0 has it"
    assert "not to be seen" in who_has(host, "fe80::1%br1")
    assert who_has(host, "fe80::1%br0") == f"{MAC} on br0 has it"


def test_nobody_is_looked_for_where_ping_has_an_answer_or_could_not_ask():
    assert not asked(Kernel(after=[entry("REACHABLE")], ping=HEARD), ADDRESS, deadline=soon()).holder
    assert (
        asked(Kernel(after=[entry("REACHABLE")], ping=(NO_ROUTE, 2)), ADDRESS, deadline=soon()).found is Found.UNKNOWN
    )


def test_a_node_without_such_a_table_is_left_with_its_ping():
    host = FakeHost(ping=UNHEARD, neigh=ActionFailed("there is no ip"))
    assert asked(host, ADDRESS, deadline=soon()).found is Found.NO


def test_a_silent_holder_of_a_down_guests_address_is_contested_and_told():
    told = Stage(node=Kernel(after=[entry("REACHABLE")])).look(Phase.STOPPED)
    assert told.phase is Phase.CONTESTED
    words = f"192.0.2.1 is taken although the guest is stopped here: {MAC} on br0 has it, and does not answer to ping"
    assert told.state == words


def test_an_address_with_a_silent_holder_is_given_to_no_guest():
    with pytest.raises(Refused, match=f"192.0.2.1 is taken: {MAC} on br0 has it"):
        check_by_ping(Kernel(after=[entry("REACHABLE")]), ADDRESS, deadline=soon())


def test_who_is_asked_for_is_waited_for_while_the_kernel_asks():
    answers = [[entry("INCOMPLETE", mac="")]] * 3 + [[entry("REACHABLE")]]
    host = FakeHost(neigh=lambda _: (json.dumps(answers.pop(0)), 0))
    assert who_has_on(host, ADDRESS, "br0") == f"{MAC} on br0 has it"
    answers[:] = [[entry("INCOMPLETE", mac="")], [entry("FAILED", mac="")]]
    assert "not to be seen" in who_has_on(host, ADDRESS, "br0")


def test_a_kernel_that_asks_for_ever_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(neighbours, "_RESOLVE_S", 0.2)
    host = FakeHost(neigh=(json.dumps([entry("INCOMPLETE", mac="")]), 0))
    assert "not to be seen" in who_has_on(host, ADDRESS, "br0")
