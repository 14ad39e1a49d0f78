"""Addresses inside guests: two halves, each told by itself, and what both mean together."""

from __future__ import annotations

import os
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import FakeDriver, guest, resource, seen, service
from vmsvc.core.answers import GuestAddress
from vmsvc.core.contract import Capability
from vmsvc.core.errors import NO_COMMANDS, ActionFailed, NoWayIn, Undetermined
from vmsvc.core.inside.addresses.forms import BEGIN
from vmsvc.core.inside.addresses.ifconfig import read_ifconfig
from vmsvc.core.inside.place import Places
from vmsvc.core.inside.ways import Ways
from vmsvc.core.ips.driver import IpDriver
from vmsvc.core.ips.free import check_by_ping
from vmsvc.core.ips.halves import Check, Found, Half, best, on_adapter
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.ips.ping import ping
from vmsvc.core.networks import held_by_no_one
from vmsvc.core.node import Node
from vmsvc.core.observe import observe
from vmsvc.core.status import Phase, Status
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.names import resolved

ADDRESS = "192.0.2.1"
ANSWERS = (
    "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.\n64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.412 ms\n\n"
    "--- 192.0.2.1 ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\n"
)
BUSYBOX_ANSWERS = (
    "PING 192.0.2.1 (192.0.2.1): 56 data bytes\n64 bytes from 192.0.2.1: seq=0 ttl=64 time=0.061 ms\n\n"
    "--- 192.0.2.1 ping statistics ---\n1 packets transmitted, 1 packets received, 0% packet loss\n"
)
SILENT = (
    "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.\n\n--- 192.0.2.1 ping statistics ---\n"
    "2 packets transmitted, 0 received, 100% packet loss, time 1012ms\n"
)
NO_ROUTE = "ping: connect: Network is unreachable\n"
MAC = "52:54:00:12:34:56"
NEIGHBOUR = '[{"dst":"192.0.2.1","dev":"br0","lladdr":"52:54:00:12:34:56","state":["REACHABLE"]}]'


def soon(s=5.0):
    return time.monotonic() + s


def outcome(argv, out="", *, code=0, err=""):
    return Outcome(argv=tuple(argv), code=code, stdout=out.encode(), stderr=err.encode(), duration_s=0.01)


class FakeHost:
    """Answers by the first two words of a command; what is no outcome is raised, or called."""

    name = "fake"

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def run(self, argv, *, budget_s, environment=None):
        self.asked.append(list(argv))
        key = {"ping": "ping", "ip": argv[2] if len(argv) > 2 else "", "sh": "inside"}[argv[0]]
        answer = self.answers.get(key, ("[]", 0))
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(argv)
        out, code = answer
        return outcome(argv, out, code=code) if code < 2 else outcome(argv, code=code, err=out)

    def close(self):
        pass


def inside(*links):
    """What the verb `addresses` prints for adapters, each with its addresses."""
    lines = [BEGIN, "SYSTEM Linux", "FORM ip-text"]
    for number, (name, addresses) in enumerate(links, 1):
        lines.append(f"{number}: {name}: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue")
        lines += [f"    inet {address} scope global {name}" for address in addresses]
    return "\n".join(lines) + "\n", 0


ON_ETH0 = inside(("lo", ["127.0.0.1/8"]), ("eth0", [f"{ADDRESS}/24"]))
ON_ETH1 = inside(("lo", ["127.0.0.1/8"]), ("eth0", []), ("eth1", [f"{ADDRESS}/24"]))
ON_NONE = inside(("lo", ["127.0.0.1/8"]))
HEARD, UNHEARD = (ANSWERS, 0), (SILENT, 1)


class Stage:
    """A service with one guest and one address, the node and the guest's inside."""

    def __init__(self, *, node=None, ssh=None, driver=None, guest_options=None, node_names=("n1",), **options):
        self.node = node or FakeHost(ping=HEARD, neigh=(NEIGHBOUR, 0))
        self.ssh = ssh or FakeHost(inside=ON_ETH0)
        self.guest_driver = driver or FakeDriver()
        self.guest = guest(1, **(guest_options or {}))
        self.ip = resource("ip#1", container_id="container#1", **options)
        self.service = service(self.guest, self.ip, nodes=node_names)
        ways = Ways(lambda _: self.guest_driver, lambda _: self.ssh)
        places = Places(services={"web": self.service}, ways=ways, node=lambda: self.node, driver_of=self.driver_of)
        self.driver = IpDriver(places, Ledger(Node(name="n1", root="/nowhere")))

    def driver_of(self, _guest):
        return self.guest_driver

    def look(self, phase=Phase.RUNNING, state="", budget_s=5.0):
        return self.driver.observe_inside(self.ip, seen(phase, state), budget_s=budget_s)


@pytest.mark.parametrize(
    ("ping", "adapters", "phase", "words"),
    [
        (HEARD, ON_ETH0, Phase.RUNNING, "ping answers in 0.4 ms; 192.0.2.1/24 is on eth0"),
        ((BUSYBOX_ANSWERS, 0), ON_ETH0, Phase.RUNNING, "ping answers in 0.1 ms; 192.0.2.1/24 is on eth0"),
        (HEARD, ON_ETH1, Phase.DEGRADED, "192.0.2.1/24 is on eth1 and not on eth0"),
        (HEARD, ON_NONE, Phase.DEGRADED, f"ping answers in 0.4 ms ({MAC} on br0 has it); 192.0.2.1 is on no adapter"),
        (UNHEARD, ON_ETH0, Phase.DEGRADED, "ping does not answer; 192.0.2.1/24 is on eth0"),
        (UNHEARD, ON_ETH1, Phase.STOPPED, "ping does not answer; 192.0.2.1/24 is on eth1 and not on eth0"),
        (UNHEARD, ON_NONE, Phase.STOPPED, "ping does not answer; 192.0.2.1 is on no adapter"),
        ((NO_ROUTE, 2), ON_ETH0, Phase.UNKNOWN, "ping could not ask: it exited with 2; it said last: ping: connect"),
        ((NO_ROUTE, 2), ON_NONE, Phase.UNKNOWN, "192.0.2.1 is on no adapter"),
        (("", 0), ON_ETH0, Phase.UNKNOWN, "ping could not ask"),
        (("", 1), ON_ETH0, Phase.UNKNOWN, "ping could not ask"),
        ((SILENT.replace("packets", "paquets"), 1), ON_ETH0, Phase.UNKNOWN, "ping could not ask"),
        (HEARD, (f"{BEGIN}\nSYSTEM Linux\nFORM ifconfig\nLien encap\n", 0), Phase.UNKNOWN, "cannot be read"),
        (UNHEARD, NoWayIn("nobody opens"), Phase.UNKNOWN, "did not tell its addresses: nobody opens"),
        (ActionFailed("there is no ping"), ON_ETH0, Phase.UNKNOWN, "ping could not ask: there is no ping"),
        (HEARD, ValueError("a defect"), Phase.UNKNOWN, "did not tell its addresses: ValueError: a defect"),
    ],
)
def test_each_half_is_told_by_itself_and_what_is_unknown_is_never_down(ping, adapters, phase, words):
    stage = Stage(node=FakeHost(ping=ping, neigh=(NEIGHBOUR, 0)), ssh=FakeHost(inside=adapters))
    told = stage.look()
    assert told.phase is phase
    assert words in told.state
    assert words in told.evidence.detail


def test_a_node_whose_firewall_keeps_requests_in_has_asked_nobody(kept_in):
    kept_in[ADDRESS] = "Operation not permitted"
    told = Stage(node=FakeHost(ping=UNHEARD), check_adapter=False).look()
    assert (told.phase, told.state.partition(";")[0]) == (Phase.UNKNOWN, "ping could not ask: Operation not permitted")
    with pytest.raises(
        Undetermined, match=r"whether somebody else has 192\.0\.2\.1 cannot be found out: ping could not"
    ):
        check_by_ping(FakeHost(ping=UNHEARD), ADDRESS, deadline=soon())


def test_a_guest_that_takes_all_the_time_is_told_with_what_took_it():
    class Dead(FakeHost):
        def run(self, argv, *, budget_s, environment=None):
            time.sleep(budget_s)
            raise NoWayIn("not open in time: connecting takes too long")

    told = Stage(ssh=Dead()).look(budget_s=1.0)
    assert told.phase is Phase.UNKNOWN
    assert "did not tell its addresses: not open in time: connecting takes too long" in told.state


def test_four_combinations_give_four_different_reports():
    reports = {
        Stage(node=FakeHost(ping=ping), ssh=FakeHost(inside=adapters)).look().state
        for ping in (HEARD, UNHEARD)
        for adapters in (ON_ETH0, ON_ETH1, ON_NONE)
    }
    assert len(reports) == 6


@pytest.mark.keyword("ip.check_ping", "ip.check_adapter")
@pytest.mark.parametrize(
    ("options", "phase", "words"),
    [
        ({"check_ping": False}, Phase.RUNNING, "ping is left out"),
        ({"check_adapter": False}, Phase.STOPPED, "the adapter is left out"),
        ({"check_ping": False, "check_adapter": False}, Phase.INAPPLICABLE, "check_adapter = false"),
    ],
)
def test_either_half_can_be_left_out(options, phase, words):
    stage = Stage(node=FakeHost(ping=UNHEARD), **options)
    told = stage.look()
    assert told.phase is phase
    assert words in told.evidence.detail
    assert bool(stage.node.asked) is options.get("check_ping", True)
    assert bool(stage.ssh.asked) is options.get("check_adapter", True)


@pytest.mark.keyword("ip.ipname", "ip.ipdev")
def test_the_address_and_its_adapter_are_those_that_the_file_names():
    assert Stage(ipdev="eth1", ssh=FakeHost(inside=ON_ETH1)).look().phase is Phase.RUNNING
    assert Stage(ipname="192.0.2.2").look().phase is Phase.DEGRADED


@pytest.mark.keyword("ip.ping_timeout")
@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, "2"),
        ({"ping_timeout": 4.0}, "4"),
        ({"ping_timeout": 0.1}, "1"),
        # Its own "nobody answers" must be there before the whole check's time is over: without it, nobody knows.
        ({"ping_timeout": 4.8}, "4"),
        ({"ping_timeout": 5.0}, "4"),
        ({"ping_timeout": 4.0, "check_timeout": 4.2}, "3"),
    ],
)
def test_an_answer_is_waited_for_as_long_as_the_file_says(options, seconds):
    stage = Stage(**options)
    stage.look(budget_s=stage.ip.observe_budget_s)
    argv = stage.node.asked[0]
    assert argv[argv.index("-w") + 1] == seconds


@pytest.mark.parametrize(
    ("address", "argv"),
    [
        (ADDRESS, ["ping", "-A", "inet", "-n", ADDRESS, "2"]),
        ("2001:db8::7", ["ping", "-A", "inet6", "-n", "2001:db8::7", "2"]),
    ],
)
@pytest.mark.parametrize(
    ("out", "code", "answer"),
    [
        ("{} is alive\n", 0, Found.YES),
        ("no answer from {}\n", 1, Found.NO),
        ("ICMP Host Unreachable from gateway 192.0.2.254\n for icmp from n1 to {}\nno answer from {}\n", 1, Found.NO),
        ("", 1, Found.UNKNOWN),
        ("ping: unknown host {}\n", 1, Found.UNKNOWN),
        ("{} is alive\n", 1, Found.UNKNOWN),
    ],
)
def test_a_node_of_solaris_or_illumos_asks_with_its_own_ping(monkeypatch, address, argv, out, code, answer):
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(sysname="SunOS"))
    node = FakeHost(ping=(out.replace("{}", address), code))
    assert ping(node, address, wait_s=2.5).found is answer
    assert node.asked[0] == argv


@pytest.mark.keyword("ip.check_timeout")
def test_the_whole_check_takes_no_longer_than_the_file_says():
    stage = Stage(ssh=FakeHost(inside=lambda _: time.sleep(5)), check_timeout=0.5)
    assert stage.ip.observe_budget_s == 0.5
    began = time.monotonic()
    told = stage.look(budget_s=stage.ip.observe_budget_s)
    assert time.monotonic() - began < 2
    assert told.phase is Phase.UNKNOWN
    assert "no answer in time" in told.state


@pytest.mark.keyword("container.guestos")
def test_a_guest_without_a_way_in_is_looked_at_from_outside_only():
    for options in ({"guestos": "windows"}, {"way_in": "none"}):
        told = Stage(guest_options=options).look()
        assert told.phase is Phase.RUNNING
        assert "the adapter is left out (there is no way in: " in told.state


def test_without_a_way_in_and_without_ping_nothing_can_be_said_and_that_is_no_failure():
    told = Stage(guest_options={"guestos": "windows"}, check_ping=False).look()
    assert told.phase is Phase.INAPPLICABLE
    assert "windows" in told.evidence.detail


class Telling(FakeDriver):
    """A driver whose agent lists addresses."""

    capabilities = frozenset({Capability.AGENT, Capability.ADDRESSES})
    answer = (GuestAddress(device="Ethernet", address=ADDRESS, prefix=24),)

    def addresses(self, guest, *, budget_s):
        self.calls.append("addresses")
        return self.answer

    def enter(self, guest, argv, *, budget_s, environment=None):
        self.calls.append("enter")
        if isinstance(self.inside, Exception):
            raise self.inside
        out, code = self.inside
        return outcome(argv, out, code=code)

    inside = NoWayIn("guest-exec is disabled", code=NO_COMMANDS)


def test_the_agent_of_a_windows_guest_tells_its_addresses():
    driver = Telling()
    stage = Stage(driver=driver, guest_options={"guestos": "windows"}, ipdev="Ethernet")
    assert stage.look().phase is Phase.RUNNING
    assert driver.calls == ["addresses"]


def test_a_command_by_the_agent_tells_that_an_adapter_is_down_which_its_own_list_does_not():
    driver = Telling()
    driver.inside = (
        ON_ETH0[0].replace("UP,LOWER_UP> mtu 1500 qdisc noqueue\n    inet 192", "DOWN> mtu 1500\n    inet 192"),
        0,
    )
    told = Stage(driver=driver, guest_options={"way_in": "agent"}).look()
    assert (told.phase, driver.calls) == (Phase.DEGRADED, ["enter"])
    assert "192.0.2.1/24 is on eth0, and of no use: the adapter is down" in told.state


@pytest.mark.parametrize("refusal", [Telling.inside, ActionFailed("there is no sh")])
def test_where_the_agent_runs_no_commands_its_own_list_counts(refusal):
    driver = Telling()
    driver.inside = refusal
    told = Stage(driver=driver, guest_options={"way_in": "agent"}, ipdev="Ethernet").look()
    assert (told.phase, driver.calls) == (Phase.RUNNING, ["enter", "addresses"])


def test_an_agent_that_does_not_answer_is_not_asked_in_another_way():
    driver = Telling()
    driver.inside = NoWayIn("it does not answer")
    told = Stage(driver=driver, guest_options={"way_in": "agent"}).look()
    assert (told.phase, driver.calls) == (Phase.UNKNOWN, ["enter"])


@pytest.mark.parametrize("answer", [None, 7, "no addresses", [None]])
def test_an_agent_that_answers_with_something_else_is_unknown(answer):
    driver = Telling()
    driver.answer = answer
    told = Stage(driver=driver, guest_options={"way_in": "agent"}).look()
    assert told.phase is Phase.UNKNOWN
    assert "no addresses" in told.state


def test_a_windows_guest_whose_agent_lists_nothing_is_looked_at_from_outside():
    driver = FakeDriver()
    driver.capabilities = frozenset({Capability.AGENT})
    told = Stage(driver=driver, guest_options={"guestos": "windows"}).look()
    assert told.phase is Phase.RUNNING
    assert "only to an agent that lists them" in told.state


@given(out=st.text(max_size=120), code=st.integers(-9, 255))
def test_what_ping_never_says_is_neither_an_answer_nor_silence(out, code):
    half = ping(FakeHost(ping=lambda argv: (out, code)), ADDRESS, wait_s=1.0)
    assert half.found is Found.UNKNOWN


# --- the guest's own status ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.status is Status.DOWN])
def test_the_address_of_a_guest_that_is_down_is_down_where_nobody_answers(phase):
    stage = Stage(node=FakeHost(ping=UNHEARD))
    told = stage.look(phase, "shut off")
    assert told.phase is Phase.STOPPED
    assert "the guest is shut off" in told.state
    assert not stage.ssh.asked


def test_an_address_that_answers_while_its_guest_is_down_is_contested_and_the_mac_is_told():
    told = Stage().look(Phase.STOPPED)
    assert told.phase is Phase.CONTESTED
    assert f"192.0.2.1 answers although the guest is stopped here: {MAC} on br0 has it" in told.state


def test_who_may_be_up_elsewhere_is_thought_of():
    stage = Stage(node_names=("n1", "n2"))
    assert stage.look(Phase.STOPPED).state.endswith("; the guest may be up on another node of the service")
    assert "another node" not in Stage().look(Phase.STOPPED).state


@pytest.mark.parametrize(
    ("route", "neighbour", "words"),
    [
        ('[{"dst":"192.0.2.1","gateway":"198.51.100.254","dev":"br0"}]', "[]", "behind the router 198.51.100.254"),
        ('[{"type":"local","dst":"192.0.2.1","dev":"lo"}]', "[]", "this node itself has it"),
        ('[{"dst":"192.0.2.1","dev":"br0"}]', "[]", "MAC is not to be seen"),
        ("garbage", "garbage", "MAC is not to be seen"),
        ("[null, 7]", '{"lladdr": 1}', "MAC is not to be seen"),
    ],
)
def test_who_answers_is_told_as_far_as_it_can_be_seen(route, neighbour, words):
    stage = Stage(node=FakeHost(ping=HEARD, route=(route, 0), neigh=(neighbour, 0)))
    told = stage.look(Phase.ABSENT)
    assert told.phase is Phase.CONTESTED
    assert words in told.state


def test_an_address_that_has_moved_with_its_guest_is_contested_by_nobody():
    assert Stage().look(Phase.MOVED).phase is Phase.MOVED


def test_of_a_guest_that_is_down_the_address_is_down_and_the_doubt_is_told():
    told = Stage(node=FakeHost(ping=(NO_ROUTE, 2))).look(Phase.STOPPED)
    assert told.phase is Phase.STOPPED
    assert "whether somebody else has the address" in told.warnings[0]
    unasked = Stage(check_ping=False)
    assert unasked.look(Phase.STOPPED).phase is Phase.STOPPED
    assert not unasked.node.asked


def test_nothing_is_known_of_an_address_whose_guest_was_not_seen():
    stage = Stage()
    told = stage.look(Phase.UNKNOWN)
    assert told.phase is Phase.UNKNOWN
    assert not stage.node.asked
    assert not stage.ssh.asked


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.SUSPENDED, Phase.CRASHED, Phase.STUCK])
def test_a_guest_that_stands_still_is_not_asked_inside_and_its_address_is_never_up(phase):
    for options in ({}, {"check_ping": False}):
        stage = Stage(**options)
        told = stage.look(phase, "paused (ioerror)")
        assert told.phase is phase
        assert "the guest is paused (ioerror)" in told.state
        assert not stage.ssh.asked


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING, Phase.MIGRATING, Phase.DEGRADED])
def test_an_address_is_never_better_off_than_its_guest(phase):
    assert Stage().look(phase).status is Status.WARN
    assert Stage(ssh=FakeHost(inside=NoWayIn("not yet"))).look(phase).phase is Phase.UNKNOWN
    assert Stage(node=FakeHost(ping=UNHEARD), ssh=FakeHost(inside=ON_NONE)).look(phase).phase is Phase.STOPPED


# --- one question for all --------------------------------------------------------------------------------------------


def test_a_guest_is_asked_once_in_a_look_however_many_addresses_it_has():
    stage = Stage(ssh=FakeHost(inside=lambda _: time.sleep(0.05) or ON_ETH0))
    stage.guest_driver.phases["container#1"] = Phase.RUNNING
    ips = [resource(f"ip#{number}", container_id="container#1") for number in range(1, 21)]

    def finder(each):
        return stage.driver if each.kind == "ip" else stage.guest_driver

    for looks in (1, 2):
        found = observe([stage.guest, *ips], finder)
        assert {each.phase for each in found.values()} == {Phase.RUNNING}
        assert len(stage.ssh.asked) == looks


def test_a_guest_that_does_not_answer_costs_its_time_once():
    hangs = threading.Event()
    stage = Stage(ssh=FakeHost(inside=lambda _: hangs.wait(10)))
    stage.guest_driver.phases["container#1"] = Phase.RUNNING
    ips = [resource(f"ip#{number}", container_id="container#1", check_timeout=0.5) for number in range(1, 6)]
    began = time.monotonic()
    found = observe(ips, lambda each: stage.driver if each.kind == "ip" else stage.guest_driver)
    hangs.set()
    assert time.monotonic() - began < 3
    assert {each.phase for each in found.values()} == {Phase.UNKNOWN}
    assert len(stage.ssh.asked) == 1


def test_an_address_with_little_time_does_not_speak_for_one_with_more():
    def answers(budget_s):
        time.sleep(min(0.6, budget_s))
        if budget_s < 0.6:
            raise Undetermined("too late", code="undetermined.timeout")
        return ON_ETH0

    class Slow(FakeHost):
        def run(self, argv, *, budget_s, environment=None):
            self.asked.append(budget_s)
            out, code = answers(budget_s)
            return outcome(argv, out, code=code)

    stage = Stage(ssh=Slow())
    stage.guest_driver.phases["container#1"] = Phase.RUNNING
    ips = [resource(f"ip#{n}", container_id="container#1", check_timeout=s) for n, s in ((1, 0.4), (2, 0.4), (3, 5.0))]
    look = seen(Phase.RUNNING, "")
    told = [stage.driver.observe_inside(each, look, budget_s=each.check_timeout).phase for each in ips]
    assert told == [Phase.UNKNOWN, Phase.UNKNOWN, Phase.RUNNING]
    assert len(stage.ssh.asked) == 2


# --- names -----------------------------------------------------------------------------------------------------------


def resolver(monkeypatch, answer):
    import socket

    def getaddrinfo(*_args, **_options):
        if isinstance(answer, BaseException):
            raise answer
        return [(0, 0, 0, "", (address, 0)) for address in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_of_several_addresses_one_that_is_up_is_enough_and_the_others_are_told(monkeypatch):
    resolver(monkeypatch, ["2001:db8::1", ADDRESS, "::ffff:192.0.2.1"])
    heard = FakeHost(ping=lambda argv: HEARD if ADDRESS in argv else UNHEARD)
    told = Stage(ipname="web", node=heard).look()
    assert told.phase is Phase.RUNNING
    assert told.warnings == ("web is 2001:db8::1, too: ping does not answer; 2001:db8::1 is on no adapter",)
    assert {argv[1] for argv in heard.asked} == {"-4", "-6"}
    assert len(heard.asked) == 2


def test_both_halves_must_hold_for_the_same_address(monkeypatch):
    resolver(monkeypatch, ["192.0.2.9", ADDRESS])
    heard = FakeHost(ping=lambda argv: HEARD if "192.0.2.9" in argv else UNHEARD)
    assert Stage(ipname="web", node=heard).look().phase is Phase.DEGRADED


@pytest.mark.parametrize("address", ["127.0.1.1", "::1", "0.0.0.0", "224.0.0.18", "255.255.255.255", "fe80::7"])
def test_a_name_that_means_no_machine_of_its_own_is_neither_up_nor_down(monkeypatch, address):
    """Debian's installer has a machine's own name resolve to 127.0.1.1, where every machine answers itself."""
    resolver(monkeypatch, [address])
    heard = FakeHost(ping=HEARD)
    told = Stage(ipname="web", node=heard).look()
    assert (told.phase, heard.asked) == (Phase.UNKNOWN, [])
    why = held_by_no_one(address) or "is in each network (link-local)"
    assert f"{address} {why}: no ping can tell" in told.evidence.detail
    down = Stage(ipname="web", node=heard).look(Phase.STOPPED)
    assert (down.phase, heard.asked) == (Phase.STOPPED, [])
    assert "no ping can tell" in down.warnings[0]


def test_a_name_that_means_its_own_machine_too_is_up_by_its_other_address(monkeypatch):
    resolver(monkeypatch, ["127.0.1.1", ADDRESS])
    told = Stage(ipname="web").look()
    assert told.phase is Phase.RUNNING
    assert "web is 127.0.1.1, too: 127.0.1.1 is every machine's own" in told.warnings[0]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary failure in"),
        (UnicodeError("encoding with 'idna' codec failed"), "no name has parts that are empty, or longer than"),
    ],
)
def test_a_name_that_does_not_resolve_leaves_the_status_unknown(monkeypatch, error, why):
    resolver(monkeypatch, error)
    told = Stage(ipname="web").look()
    assert told.phase is Phase.UNKNOWN
    assert f"web cannot be resolved: {why}" in told.evidence.detail
    down = Stage(ipname="web").look(Phase.STOPPED)
    assert down.phase is Phase.STOPPED
    assert "cannot be resolved" in down.warnings[0]


def test_a_resolver_that_hangs_costs_its_own_deadline(monkeypatch):
    import socket

    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: release.wait(10))
    began = time.monotonic()
    told = Stage(ipname="hung").look(budget_s=0.5)
    release.set()
    assert time.monotonic() - began < 2
    assert told.phase is Phase.UNKNOWN


def test_a_name_without_an_address_is_no_address(monkeypatch):
    resolver(monkeypatch, [])
    with pytest.raises(Undetermined, match="has no address"):
        resolved("web", budget_s=1.0)


# --- pure ------------------------------------------------------------------------------------------------------------

_PHASES = {
    ("yes", "yes"): Phase.RUNNING,
    ("no", "no"): Phase.STOPPED,
    ("yes", "left out"): Phase.RUNNING,
    ("no", "left out"): Phase.STOPPED,
    ("left out", "left out"): Phase.INAPPLICABLE,
    ("yes", "no"): Phase.DEGRADED,
}


@pytest.mark.parametrize("one", Found)
@pytest.mark.parametrize("two", Found)
def test_all_combinations_of_halves(one, two):
    phases = {
        Check(address="x", ping=Half(ping, ""), adapter=Half(adapter, "")).phase
        for ping, adapter in ((one, two), (two, one))
    }
    expected = _PHASES.get((one.value, two.value)) or _PHASES.get((two.value, one.value)) or Phase.UNKNOWN
    assert phases == {expected}


def test_one_that_may_be_up_is_more_than_one_that_is_degraded():
    halves = {answer: Half(answer, "") for answer in Found}
    degraded = Check(address="a", ping=halves[Found.YES], adapter=halves[Found.NO])
    doubtful = Check(address="b", ping=halves[Found.UNKNOWN], adapter=halves[Found.NO])
    assert best([degraded, doubtful]) == (doubtful, (degraded,))


def test_an_address_that_is_there_and_of_no_use_is_not_up():
    told = [GuestAddress(device="eth0", address=ADDRESS, prefix=24, unusable="the adapter is down")]
    half = on_adapter(ADDRESS, "eth0", told)
    assert half == Half(Found.NO, "192.0.2.1/24 is on eth0, and of no use: the adapter is down")


def test_a_name_that_was_cut_leaves_it_unknown_on_which_adapter_an_address_is():
    printed = (
        "enp0s31f6 Link encap:Ethernet  HWaddr 52:54:00:12:34:56  \n"
        f"          inet addr:{ADDRESS}  Bcast:192.0.2.255  Mask:255.255.255.0\n"
        "          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1\n"
    )
    told = read_ifconfig(printed)
    half = on_adapter(ADDRESS, "enp0s31f6d1", told)
    assert half.found is Found.UNKNOWN
    assert f"{ADDRESS}/24 is on enp0s31f6…" in half.words
    assert on_adapter(ADDRESS, "enp0s31f6", told).found is Found.YES
    assert on_adapter(ADDRESS, "enp0s4", told).found is Found.NO
    assert on_adapter("192.0.2.9", "enp0s31f6d1", told).found is Found.NO
    short = read_ifconfig(printed.replace("enp0s31f6", "enp0s31  "))
    assert on_adapter(ADDRESS, "enp0s31f6d1", short).found is Found.NO


def test_an_alias_and_a_scope_are_understood():
    told = [
        GuestAddress(device="eth0:1", address=ADDRESS, prefix=24),
        GuestAddress(device="eth0", address="fe80::1", prefix=64),
    ]
    assert on_adapter(ADDRESS, "eth0", told).found is Found.YES
    assert on_adapter(ADDRESS, "eth0:1", told).found is Found.YES
    assert on_adapter(ADDRESS, "eth0:2", told).found is Found.NO
    assert on_adapter("fe80::1%br0", "eth0", told).found is Found.YES


def test_the_driver_is_told_the_place_of_its_guest():
    stage = Stage()
    assert stage.driver.guest_of(stage.ip) is stage.guest
    assert SimpleNamespace(type=stage.driver.type, kind=stage.driver.kind) == SimpleNamespace(type="", kind="ip")
