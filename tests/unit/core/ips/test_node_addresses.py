"""Addresses that the node itself has, on a node in memory: what is asked first, and what is never done."""

from __future__ import annotations

import json
import time

import pytest

from tests.support import resource
from vmsvc.core import booted
from vmsvc.core.errors import ActionFailed, DriverError, Refused, Undetermined, VmsvcError
from vmsvc.core.ips import names
from vmsvc.core.ips import node as module
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.ips.node import NodeAddresses
from vmsvc.core.kinds import Ip
from vmsvc.core.node import Node
from vmsvc.core.status import Phase
from vmsvc.core.transport import Outcome
from vmsvc.core.verb import Verb

ADDRESS = "192.0.2.1"
NOBODY = "ARPING 192.0.2.1 from 0.0.0.0 eth0\nSent 2 probes (2 broadcast(s))\nReceived 0 response(s)\n"
SOMEBODY = (
    "ARPING 192.0.2.1 from 0.0.0.0 eth0\nUnicast reply from 192.0.2.1 [3E:EF:81:7C:7A:51]  0.584ms\n"
    "Sent 1 probes (1 broadcast(s))\nReceived 1 response(s)\n"
)
UP = ["BROADCAST", "UP", "LOWER_UP"]


class FakeNode:
    """A node with two adapters, of which eth0 has 192.0.2.254/24; it does as ip(8) and arping(8) do."""

    name = "n1"

    def __init__(self, root):
        self.ledger = Ledger(Node(name="n1", root=root))
        self.flags = {"lo": ["LOOPBACK", "UP"], "eth0": [*UP], "eth1": [*UP]}
        self.addresses = [("lo", "127.0.0.1", 8, {}), ("eth0", "192.0.2.254", 24, {})]
        self.arping = (NOBODY, 0)
        self.asking = ("1\n0\n1\n", 0)
        self.added = [{}]
        self.asked = []

    def run(self, argv, *, budget_s, environment=None):
        assert environment == {"LC_ALL": "C"}
        self.asked.append(argv)
        if argv[:3] == ["ip", "-j", "addr"]:
            return self.told(argv)
        if argv[:3] == ["ip", "addr", "add"]:
            self.addresses.append(self.parsed(argv))
        elif argv[:3] == ["ip", "addr", "del"]:
            device, address, _, _ = self.parsed(argv)
            self.addresses = [each for each in self.addresses if each[:2] != (device, address)]
        elif argv[0] == "arping" and "-D" in argv:
            if isinstance(self.arping, Exception):
                raise self.arping
            return self.outcome(argv, *self.arping)
        elif argv[:2] == ["sysctl", "-n"]:
            assert [key.partition("ipv6/conf/")[2] for key in argv[2:]] == [
                "eth0/accept_dad",
                "all/accept_dad",
                "eth0/dad_transmits",
            ]
            return self.outcome(argv, *self.asking)
        return self.outcome(argv)

    def parsed(self, argv):
        address, _, prefix = argv[3].partition("/")
        label = {"label": argv[argv.index("label") + 1]} if "label" in argv else {}
        return argv[argv.index("dev") + 1].removeprefix("alt-"), address, int(prefix), label

    def told(self, argv):
        words = self.added.pop(0) if len(self.added) > 1 else self.added[0]
        links = [
            {
                "ifname": name,
                "altnames": [f"alt-{name}"],
                "flags": flags,
                "addr_info": [
                    {
                        "family": "inet6" if ":" in address else "inet",
                        "local": address,
                        "prefixlen": prefix,
                        **more,
                        **(words if ":" in address else {}),
                    }
                    for device, address, prefix, more in self.addresses
                    if device == name
                ],
            }
            for name, flags in self.flags.items()
        ]
        return self.outcome(argv, json.dumps(links))

    def outcome(self, argv, out="", code=0):
        return Outcome(argv=tuple(argv), code=code, stdout=out.encode(), stderr=b"", duration_s=0.01)

    def did(self):
        """What changed something, or told others."""
        return [" ".join(argv) for argv in self.asked if argv[:2] not in (["ip", "-j"], ["sysctl", "-n"])]


@pytest.fixture
def node(tmp_path):
    return FakeNode(tmp_path)


def of(node, verb, budget_s=5.0, **options):
    addresses = NodeAddresses(lambda: node, node.ledger)
    return getattr(addresses, verb)(resource("ip#1", **options), budget_s=budget_s)


def phase(node, **options):
    return of(node, "observe", **options).phase


def test_an_address_is_asked_for_added_and_told_to_others_and_taken_away(node):
    assert phase(node) is Phase.STOPPED
    assert of(node, "start") is True
    assert phase(node) is Phase.RUNNING
    assert node.did() == [
        "arping -D -c 2 -w 3 -I eth0 192.0.2.1",
        "ip addr add 192.0.2.1/24 brd + dev eth0",
        "arping -A -c 1 -w 1 -I eth0 192.0.2.1",
    ]
    of(node, "stop")
    assert node.did()[3:] == ["ip addr del 192.0.2.1/24 dev eth0"]
    assert phase(node) is Phase.STOPPED


def test_an_adapter_may_be_meant_by_another_of_its_names(node):
    assert of(node, "start", ipdev="alt-eth0") is True
    told = of(node, "observe", ipdev="alt-eth0")
    assert (told.phase, told.state, told.warnings) == (Phase.RUNNING, "192.0.2.1/24 is on eth0", ())
    of(node, "stop", ipdev="alt-eth0")
    assert phase(node) is Phase.STOPPED


def test_what_is_done_is_not_done_again(node):
    of(node, "start")
    node.asked.clear()
    assert of(node, "start") is False
    of(node, "stop")
    node.asked.clear()
    of(node, "stop")
    assert node.did() == []


def test_an_address_that_another_machine_has_is_refused_and_its_mac_told(node):
    node.arping = (SOMEBODY, 1)
    with pytest.raises(Refused, match=r"192\.0\.2\.1 is taken: 3e:ef:81:7c:7a:51 on eth0 has it"):
        of(node, "start")
    assert len(node.did()) == 1


@pytest.mark.parametrize(
    ("arping", "error", "words"),
    [
        (("", 2), Undetermined, "arping exited with 2"),
        (("ARPING 192.0.2.1\n!!\n", 0), Undetermined, "cannot be found out"),
        (('Interface "eth0" is not ARPable\n', 0), Undetermined, "cannot be found out"),
        (ActionFailed("there is no arping"), DriverError, "iputils-arping"),
    ],
)
def test_nothing_is_added_where_nobody_knows_whether_the_address_is_free(node, arping, error, words):
    node.arping = arping
    with pytest.raises(error) as raised:
        of(node, "start")
    assert words in f"{raised.value} {raised.value.hint}"
    assert not any("add" in line for line in node.did())


@pytest.mark.parametrize("flags", [["BROADCAST"], ["NO-CARRIER", "BROADCAST", "UP"], None])
def test_nothing_is_added_to_an_adapter_that_cannot_ask(node, flags):
    node.flags["eth0"] = flags
    if flags is None:
        del node.flags["eth0"]
    with pytest.raises(DriverError, match="adapter eth0"):
        of(node, "start")
    assert node.did() == []


def test_an_address_of_a_loopback_is_nobody_elses(node):
    assert of(node, "start", ipdev="lo", netmask=32) is True
    assert node.did() == ["ip addr add 192.0.2.1/32 brd + dev lo"]


def test_an_address_on_another_adapter_is_neither_added_nor_taken_away(node):
    node.addresses.append(("eth1", ADDRESS, 24, {}))
    told = of(node, "observe")
    assert (told.phase, told.state) == (Phase.DEGRADED, "192.0.2.1/24 is on eth1 and not on eth0")
    for verb in ("start", "stop"):
        with pytest.raises(DriverError, match="is on eth1 and not on eth0"):
            of(node, verb)
    assert node.did() == []


def test_an_adapter_without_a_link_is_told(node):
    node.addresses.append(("eth0", ADDRESS, 24, {}))
    node.flags["eth0"] = ["NO-CARRIER", "UP"]
    told = of(node, "observe")
    assert told.phase is Phase.DEGRADED
    assert "no carrier" in told.state
    missing = of(node, "observe", ipdev="eth9", ipname="192.0.2.9")
    assert missing.phase is Phase.STOPPED
    assert missing.warnings == ("this node has no adapter eth9",)


def test_an_alias_is_a_label_and_its_adapter_is_asked(node):
    assert of(node, "start", ipdev="eth0:web") is True
    assert "ip addr add 192.0.2.1/24 brd + dev eth0 label eth0:web" in node.did()
    assert phase(node, ipdev="eth0:web") is phase(node, ipdev="eth0") is Phase.RUNNING
    of(node, "stop", ipdev="eth0:web")
    assert node.did()[-1] == "ip addr del 192.0.2.1/24 dev eth0"


@pytest.mark.keyword("ip.netmask")
def test_the_netmask_is_the_files_or_that_of_the_network_on_the_adapter(node):
    of(node, "start", netmask=28)
    assert any("192.0.2.1/28" in line for line in node.did())
    with pytest.raises(DriverError, match=r"netmask of 198.51.100.1 is not known"):
        of(node, "start", ipname="198.51.100.1")
    with pytest.raises(DriverError, match="longer than"):
        of(node, "start", ipname="198.51.100.1", netmask=64)


@pytest.mark.parametrize("written", ["24", 24, "255.255.255.0"])
def test_a_netmask_is_written_in_either_way(written):
    (netmask,) = (each for each in Ip.__attrs_attrs__ if each.name == "netmask")
    assert netmask.metadata["vmsvc"]["value"].of(written) == 24


@pytest.mark.parametrize(
    "written", ["0", "129", "255.0.255.0", "0.0.0.0", "255.255.255.256", "", "/24", "ffffff00", True]
)
def test_what_is_no_netmask_is_refused(written):
    (netmask,) = (each for each in Ip.__attrs_attrs__ if each.name == "netmask")
    with pytest.raises(ValueError, match="netmask"):
        netmask.metadata["vmsvc"]["value"].of(written)


@pytest.mark.keyword("ip.gateway")
def test_a_router_hears_from_the_address_at_once(node):
    of(node, "start", gateway="192.0.2.250")
    assert node.did()[-1] == "ping -n -c 1 -w 1 -I 192.0.2.1 192.0.2.250"


@pytest.mark.keyword("ip.start_timeout", "ip.stop_timeout")
def test_only_the_nodes_own_addresses_are_started_and_stopped():
    own = resource("ip#1", start_timeout=7.0, stop_timeout=8.0)
    assert own.budgets_s == {Verb.START: 7.0, Verb.STOP: 8.0}
    assert not {Verb.START, Verb.STOP} & set(resource("ip#1", container_id="container#1").budgets_s)


# --- neighbours on the same adapter -----------------------------------------------------------------------------------


def test_others_of_the_network_stay_when_the_address_that_they_lean_on_goes(node):
    node.addresses = [("eth0", ADDRESS, 24, {}), ("eth0", "192.0.2.8", 24, {"secondary": True})]
    of(node, "stop")
    assert node.did() == [
        "sysctl -q -w net/ipv4/conf/eth0/promote_secondaries=1",
        "ip addr del 192.0.2.1/24 dev eth0",
    ]


@pytest.mark.parametrize("other", [("eth1", "192.0.2.8", 24), ("eth0", "192.0.2.8", 25), ("eth0", "203.0.113.8", 24)])
def test_the_kernel_is_told_nothing_where_nothing_leans_on_an_address(node, other):
    node.addresses = [("eth0", ADDRESS, 24, {}), (*other, {"secondary": True})]
    of(node, "stop")
    assert node.did() == ["ip addr del 192.0.2.1/24 dev eth0"]


# --- IPv6 -------------------------------------------------------------------------------------------------------------

IPV6 = {"ipname": "2001:db8::7", "netmask": 64}


def test_ipv6_is_up_once_it_knows_that_nobody_else_has_the_address(node, monkeypatch):
    monkeypatch.setattr(module, "_POLL_S", 0.001)
    node.added = [{}, {"tentative": True}, {"tentative": True}, {}]
    assert of(node, "start", **IPV6) is True
    assert node.did() == ["sysctl -q -w net/ipv6/conf/eth0/ndisc_notify=1", "ip addr add 2001:db8::7/64 dev eth0"]


@pytest.mark.parametrize(
    ("asking", "error", "words"),
    [
        ("0 0 1", DriverError, "eth0 has accept_dad = 0"),
        ("1 0 0", DriverError, "eth0 has dad_transmits = 0"),
        ("-1 0 1", DriverError, "eth0 has accept_dad = 0"),
        ("1 0", Undetermined, "cannot be found out"),
        ("1 0 x", Undetermined, "cannot be found out"),
    ],
)
def test_an_ipv6_address_is_not_added_where_the_kernel_asks_nobody(node, asking, error, words):
    node.asking = (asking, 0)
    with pytest.raises(error, match=words):
        of(node, "start", **IPV6)
    assert node.did() == []


def test_the_kernel_may_be_told_for_all_adapters_to_ask(node):
    node.asking = ("0 1 1", 0)
    assert of(node, "start", **IPV6) is True


def test_an_ipv6_address_has_no_alias_and_is_not_added_by_one(node):
    with pytest.raises(DriverError, match="can have no alias eth0:web"):
        of(node, "start", **{**IPV6, "ipdev": "eth0:web"})
    assert node.did() == []


def test_an_ipv6_address_that_another_machine_has_is_given_up(node, monkeypatch):
    monkeypatch.setattr(module, "_POLL_S", 0.001)
    node.added = [{}, {"tentative": True}, {"tentative": True, "dadfailed": True}]
    with pytest.raises(Refused, match="2001:db8::7 is taken"):
        of(node, "start", **IPV6)
    assert "ip addr del 2001:db8::7/64 dev eth0" in node.did()


def test_an_ipv6_address_that_never_settles_is_given_up(node, monkeypatch):
    monkeypatch.setattr(module, "_POLL_S", 0.001)
    node.added = [{}, {"tentative": True}]
    with pytest.raises(Undetermined, match="did not become usable"):
        of(node, "start", budget_s=0.05, **IPV6)
    assert node.did()[-1] == "ip addr del 2001:db8::7/64 dev eth0"


# --- a name or a file that is changed while the address is there -------------------------------------------------------


@pytest.fixture
def name(node, monkeypatch):
    """A name that can be given other addresses."""
    meaning = [ADDRESS]

    def resolved(name, *, budget_s):
        if not meaning:
            raise Undetermined(f"{name} cannot be resolved")
        return tuple(meaning)

    monkeypatch.setattr(names, "resolved", resolved)
    return meaning


def test_a_stop_takes_away_what_the_name_meant_when_it_was_added(node, name):
    of(node, "start", ipname="vip")
    name[:] = ["192.0.2.9"]
    told = of(node, "observe", ipname="vip")
    assert told.phase is Phase.DEGRADED
    assert "192.0.2.9 is on no adapter; 192.0.2.1/24 is still on eth0, added before the name" in told.state
    of(node, "stop", ipname="vip")
    assert node.did()[-1] == "ip addr del 192.0.2.1/24 dev eth0"
    assert of(node, "observe", ipname="vip").phase is Phase.STOPPED


def test_what_is_left_over_beside_an_address_that_is_up_is_warned_of(node, name):
    of(node, "start", ipname="vip")
    name[:] = ["192.0.2.9"]
    node.addresses.append(("eth0", "192.0.2.9", 24, {}))
    told = of(node, "observe", ipname="vip")
    assert (told.phase, told.state) == (Phase.RUNNING, "192.0.2.9/24 is on eth0")
    assert "192.0.2.1/24 is still on eth0" in told.warnings[0]
    of(node, "stop", ipname="vip")
    assert [each[1] for each in node.addresses if each[0] == "eth0"] == ["192.0.2.254"]


def test_a_start_does_not_forget_what_was_added_before(node, name):
    of(node, "start", ipname="vip")
    name[:] = ["192.0.2.9"]
    assert of(node, "start", ipname="vip") is True
    of(node, "stop", ipname="vip")
    assert [each[1] for each in node.addresses if each[0] == "eth0"] == ["192.0.2.254"]


def test_a_stop_takes_an_address_from_the_adapter_that_the_file_named_when_it_was_added(node):
    of(node, "start")
    assert phase(node, ipdev="eth1") is Phase.DEGRADED
    of(node, "stop", ipdev="eth1")
    assert node.did()[-1] == "ip addr del 192.0.2.1/24 dev eth0"


@pytest.mark.parametrize("meaning", [[], ["192.0.2.8", "192.0.2.9"]])
def test_a_name_that_tells_nothing_any_more_keeps_no_node_from_giving_the_address_up(node, name, meaning):
    of(node, "start", ipname="vip")
    name[:] = meaning
    told = of(node, "observe", ipname="vip")
    assert (told.phase, told.state) == (Phase.RUNNING, "192.0.2.1/24 is on eth0")
    assert "192.0.2.1 was added for it" in told.warnings[0]
    of(node, "stop", ipname="vip")
    assert node.did()[-1] == "ip addr del 192.0.2.1/24 dev eth0"
    with pytest.raises(Undetermined):
        of(node, "observe", ipname="vip")


def test_a_resolver_that_hangs_keeps_no_node_from_giving_the_address_up(node, name, monkeypatch):
    of(node, "start", ipname="vip")

    def hang(name, *, budget_s):
        time.sleep(budget_s)
        raise Undetermined(f"the resolver of {name} did not answer within {budget_s} s")

    run = node.run

    def in_time(argv, *, budget_s, environment=None):
        assert budget_s > 0, "nothing is begun that has no time"
        return run(argv, budget_s=budget_s, environment=environment)

    monkeypatch.setattr(names, "resolved", hang)
    monkeypatch.setattr(node, "run", in_time)
    told = of(node, "observe", ipname="vip", budget_s=0.4)
    assert (told.phase, told.state) == (Phase.RUNNING, "192.0.2.1/24 is on eth0")
    assert "192.0.2.1 was added for it" in told.warnings[0]
    of(node, "stop", ipname="vip", budget_s=0.4)
    assert node.did()[-1] == "ip addr del 192.0.2.1/24 dev eth0"


def test_what_was_added_is_written_down_before_it_is_added(node, monkeypatch):
    monkeypatch.setattr(type(node), "parsed", lambda *_: pytest.fail("the node died here"))
    with pytest.raises(pytest.fail.Exception):
        of(node, "start")
    assert [each.address for each in node.ledger.read(resource("ip#1"))] == [ADDRESS]


def test_nothing_is_added_that_cannot_be_written_down(node):
    node.ledger.node.root.joinpath("run").write_text("")
    with pytest.raises(VmsvcError):
        of(node, "start")
    assert not any("add" in line for line in node.did())


def test_what_was_added_before_a_reboot_is_not_there_any_more(node, name, monkeypatch, tmp_path):
    of(node, "start", ipname="vip")
    name[:] = ["192.0.2.9"]
    other = tmp_path / "boot_id"
    other.write_text("another\n")
    monkeypatch.setattr(booted, "_BOOT_ID", other)
    assert of(node, "observe", ipname="vip").phase is Phase.STOPPED  # who has it now got it from somebody else


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "[" * 100000, '{"boot": "BOOT", "added": [{}]}', b"\xff"])
def test_a_record_that_cannot_be_read_is_no_empty_one(node, content):
    of(node, "start")
    (file,) = node.ledger.node.run_dir.rglob("*.json")
    text = content if isinstance(content, bytes) else content.replace("BOOT", booted.boot_id()).encode()
    file.write_bytes(text)
    for verb in ("observe", "stop"):
        with pytest.raises(Undetermined, match="what this node has added for it cannot be read") as raised:
            of(node, verb)
        assert str(file) in raised.value.hint


# --- what cannot be told ----------------------------------------------------------------------------------------------


def test_a_name_with_several_addresses_does_not_tell_which_one_is_meant(node, monkeypatch):
    monkeypatch.setattr(names, "resolved", lambda *_args, **_options: ("192.0.2.1", "192.0.2.2"))
    for verb in ("observe", "start", "stop"):
        with pytest.raises(Undetermined, match="several addresses"):
            of(node, verb, ipname="web")
    assert node.asked == []


@pytest.mark.parametrize(("out", "code"), [("", 0), ("garbage", 0), ("[]", 0), ("[]", 1), ('[{"ifname": "eth0"}]', 0)])
def test_a_node_that_does_not_tell_its_adapters_is_unknown(node, out, code):
    node.told = lambda argv: node.outcome(argv, out, code)
    for verb in ("observe", "start", "stop"):
        with pytest.raises(Undetermined):
            of(node, verb)
    assert node.did() == []
