"""Addresses of the node itself, on machines that are network namespaces: real adapters, ARP and IPv6 neighbours."""

from __future__ import annotations

import json

import pytest

from tests.lab.networked import Node, machines
from tests.lab.shell import ok

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def network():
    with machines("arping", "ping") as made:
        yield made


OWN = {"192.0.2.254/24", "2001:db8::fe/64"}


@pytest.fixture
def node(tmp_path, network):
    return Node(tmp_path / "root", network)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_goes_up_and_down_and_no_other_one_is_touched(node, address):
    node.add(address)
    prefix = 64 if ":" in address else 24
    assert node.state() == ("down", f"{address} is on no adapter")
    ok(node.run("start", "web"))
    assert node.addresses() == {*OWN, f"{address}/{prefix}"}
    assert node.state() == ("up", f"{address}/{prefix} is on eth0")
    assert "nothing to do" in ok(node.run("start", "web"))
    ok(node.run("stop", "web"))
    assert node.addresses() == OWN
    ok(node.run("stop", "web"))


@pytest.mark.parametrize(
    ("before", "after"),
    [("192.0.2.7/24", "192.0.2.9"), ("2001:db8::7/64", "2001:db8::9"), ("192.0.2.7/24", "2001:db8::9")],
)
def test_an_address_goes_whatever_its_name_means_by_then(node, before, after):
    node.add("vip.example")
    node.name("vip.example", before.partition("/")[0])
    ok(node.run("start", "web"))
    node.name("vip.example", after)
    words = f"{after} is on no adapter; {before} is still on eth0, added before the name or the file was changed"
    assert node.state() == ("warn", words)
    refused = node.run("start", "web")
    assert refused.returncode == 3, refused.stderr
    assert node.addresses() == {*OWN, before}
    ok(node.run("restart", "web"))
    assert before not in node.addresses()
    assert node.state()[0] == "up"
    ok(node.run("stop", "web"))
    assert node.addresses() == OWN


def test_a_resolver_that_tells_nothing_keeps_no_node_from_giving_an_address_up(node):
    node.add("vip.example")
    node.name("vip.example", "192.0.2.7")
    ok(node.run("start", "web"))
    node.name("another.example", "192.0.2.9")
    assert node.state() == ("up", "192.0.2.7/24 is on eth0")
    node.run("stop", "web")
    assert node.addresses() == OWN
    assert node.state(code=4)[0] == "unknown"


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_that_another_machine_has_is_refused_with_its_mac(node, network, address):
    mac = network.plug(network.there, "eth0", f"{address}/{64 if ':' in address else 24}")
    node.add(address)
    refused = node.run("start", "web")
    assert refused.returncode == 3, refused.stderr
    assert f"{address} is taken: {mac} on eth0 has it" in refused.stderr
    assert node.addresses() == OWN
    network.run(network.there, "ip", "addr", "flush", "dev", "eth0")
    ok(node.run("start", "web"))


def test_the_mac_is_told_where_the_node_has_no_other_address_of_the_network(node, network):
    mac = network.plug(network.there, "eth0", "2001:db8::7/64")
    node.ip("addr", "del", "2001:db8::fe/64", "dev", "eth0")
    node.add("2001:db8::7", "netmask = 64")
    refused = node.run("start", "web")
    assert refused.returncode == 3, refused.stderr
    assert f"{mac} on eth0 has it" in refused.stderr
    assert node.addresses() == {"192.0.2.254/24"}


def test_neighbours_learn_at_once_that_an_address_has_moved(node, network):
    network.plug(network.there, "eth0", "192.0.2.9/24")
    network.run(network.there, "ip", "neigh", "replace", "192.0.2.7", "lladdr", "02:00:00:00:00:01", "dev", "eth0")
    network.run(network.there, "ip", "neigh", "change", "192.0.2.7", "nud", "stale", "dev", "eth0")
    node.add("192.0.2.7")
    ok(node.run("start", "web"))
    (known,) = json.loads(network.run(network.there, "ip", "-j", "neigh", "show", "to", "192.0.2.7"))
    assert known["lladdr"] == json.loads(node.ip("-j", "link", "show", "eth0"))[0]["address"]


def test_neighbours_learn_at_once_that_an_ipv6_address_has_moved(node, network):
    network.plug(network.there, "eth0", "2001:db8::9/64")
    neighbour = ["2001:db8::7", "dev", "eth0"]
    network.run(network.there, "ip", "neigh", "replace", *neighbour, "lladdr", "02:00:00:00:00:01", "nud", "stale")
    node.add("2001:db8::7")
    ok(node.run("start", "web"))
    (known,) = json.loads(network.run(network.there, "ip", "-j", "neigh", "show", "to", "2001:db8::7"))
    assert known["lladdr"] == json.loads(node.ip("-j", "link", "show", "eth0"))[0]["address"]


@pytest.mark.parametrize("setting", ["accept_dad", "dad_transmits"])
def test_an_ipv6_address_is_not_added_where_the_kernel_asks_nobody(node, network, setting):
    network.plug(network.there, "eth0", "2001:db8::7/64")
    network.run(network.here, "sysctl", "-q", "-w", f"net/ipv6/conf/eth0/{setting}=0")
    node.add("2001:db8::7")
    failed = node.run("start", "web")
    assert failed.returncode == 1, failed.stderr
    assert f"whether somebody else has 2001:db8::7 cannot be found out: eth0 has {setting} = 0" in failed.stderr
    assert node.addresses() == OWN


def test_an_ipv6_address_has_no_alias_and_is_not_added_by_one(node):
    node.file("web", "[DEFAULT]\nnodes = n1\n[ip#1]\nipname = 2001:db8::7\nipdev = eth0:web\n")
    failed = node.run("start", "web")
    assert failed.returncode == 1, failed.stderr
    assert "2001:db8::7 can have no alias" in failed.stderr
    assert node.addresses() == OWN


def test_an_address_that_others_lean_on_goes_alone(node):
    node.ip("addr", "flush", "dev", "eth0")
    node.add("192.0.2.7", "netmask = 255.255.255.0", name="one")
    node.add("192.0.2.8", name="two")
    ok(node.run("start", "one"))
    ok(node.run("start", "two"))
    node.ip("addr", "add", "192.0.2.9/24", "dev", "eth0")
    ok(node.run("stop", "one"))
    assert node.addresses() == {"192.0.2.8/24", "192.0.2.9/24"}
    assert node.state("two") == ("up", "192.0.2.8/24 is on eth0")


def test_an_address_on_another_adapter_and_an_adapter_without_a_link_are_told(node):
    node.add("192.0.2.7", "netmask = 24")
    node.ip("addr", "add", "192.0.2.7/24", "dev", "eth1")
    assert node.state() == ("warn", "192.0.2.7/24 is on eth1 and not on eth0")
    stopped = node.run("stop", "web")
    assert stopped.returncode == 1
    assert "nothing is taken away from there" in stopped.stderr
    assert node.addresses("eth1") == {"192.0.2.7/24"}
    node.ip("addr", "del", "192.0.2.7/24", "dev", "eth1")
    ok(node.run("start", "web"))
    node.ip("link", "set", "eth0", "down")
    assert node.state() == ("warn", "192.0.2.7/24 is on eth0, and of no use: the adapter is down")


def test_an_alias_and_an_adapter_that_is_not_there(node):
    node.add("192.0.2.7")
    node.file("alias", "[DEFAULT]\nnodes = n1\n[ip#1]\nipname = 192.0.2.8\nipdev = eth0:web\n")
    node.file("gone", "[DEFAULT]\nnodes = n1\n[ip#1]\nipname = 192.0.2.9\nipdev = eth9\nnetmask = 24\n")
    ok(node.run("start", "alias"))
    assert "eth0:web" in node.ip("addr", "show", "dev", "eth0")
    assert node.state("alias") == ("up", "192.0.2.8/24 is on eth0:web")
    ok(node.run("stop", "alias"))
    failed = node.run("start", "gone")
    assert failed.returncode == 1
    assert "this node has no adapter eth9" in failed.stderr
