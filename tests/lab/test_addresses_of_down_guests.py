"""Addresses of guests that are down, on real networks: somebody may hold one without answering to ping."""

from __future__ import annotations

import pytest

from tests.lab.networked import Node, machines

pytest.importorskip("vmsvc_null")
pytestmark = pytest.mark.timeout(120)

DEAF = ("net.ipv4.icmp_echo_ignore_all=1", "net.ipv6.icmp.echo_ignore_all=1")


@pytest.fixture
def network():
    with machines("ping") as made:
        yield made


@pytest.fixture
def node(tmp_path, network):
    return Node(tmp_path / "root", network)


def add_guest(node, address, name="web"):
    lines = f"[container#1]\ntype = null\nname = {name}\nway_in = none\n[ip#1]\nipname = {address}\nipdev = eth0\n"
    node.file(name, f"[DEFAULT]\nnodes = n1\n{lines}wait = false\n")


def addresses_of(node, *names):
    services = node.json("status", *names)["services"]
    found = {}
    for service in services:
        (ip,) = [each for each in service["instances"][0]["resources"] if each["rid"] == "ip#1"]
        found[service["name"]] = (ip["phase"], ip["state"])
    return found


def hold(network, *addresses):
    """Have the other machine hold addresses without answering to ping; tells its MAC."""
    network.run(network.there, "sysctl", "-q", "-w", *DEAF)
    return network.plug(network.there, "eth0", *(f"{each}/{64 if ':' in each else 24}" for each in addresses))


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_a_holder_that_answers_no_ping_is_noticed_and_the_guest_not_started(node, network, address):
    mac = hold(network, address)
    add_guest(node, address)
    words = f"{address} is taken although the guest is stopped here: {mac} on eth0 has it, and does not answer to ping"
    refused = node.run("start", "web")
    assert refused.returncode == 3, refused.stdout
    assert words in refused.stderr
    assert addresses_of(node)["web"] == ("contested", words)
    network.run(network.there, "ip", "addr", "flush", "dev", "eth0")
    assert addresses_of(node)["web"] == ("stopped", "the guest is stopped; ping does not answer")
    assert node.run("start", "web").returncode == 0


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_guest_itself_is_not_taken_for_somebody_else_once_it_is_down(node, network, address):
    """Its neighbours remember it as if it were there."""
    network.plug(network.there, "eth0", f"{address}/{64 if ':' in address else 24}")
    add_guest(node, address)
    assert "answers" in addresses_of(node)["web"][1]
    network.cut(network.there, "eth0")
    assert "REACHABLE" in node.ip("neigh", "show", "to", address)
    assert addresses_of(node)["web"] == ("stopped", "the guest is stopped; ping does not answer")


def test_a_router_that_answers_for_all_is_not_taken_for_a_holder(node, network):
    add_guest(node, "192.0.2.7")
    network.plug(network.there, "eth0", "192.0.2.1/24")
    network.run(
        network.there, "sysctl", "-q", "-w", *DEAF, "net.ipv4.ip_forward=1", "net.ipv4.conf.eth0.proxy_arp_pvlan=1"
    )
    network.run(network.there, "ip", "route", "add", "unreachable", "198.51.100.0/24")
    node.ip("route", "add", "default", "via", "192.0.2.1")
    assert addresses_of(node)["web"] == ("stopped", "the guest is stopped; ping does not answer")
    assert "lladdr" in node.ip("neigh", "show", "to", "192.0.2.7")


def test_of_many_addresses_asked_at_once_those_that_are_held_are_told(node, network):
    many = [f"192.0.2.{number}" for number in range(11, 25)] + [f"2001:db8::{number}" for number in range(11, 16)]
    silent, answering = ["192.0.2.12", "2001:db8::12"], "192.0.2.13"
    mac = hold(network, *silent)
    node.ip("addr", "add", f"{answering}/24", "dev", "eth0")
    for number, address in enumerate(many):
        add_guest(node, address, f"web{number}")
    for _look in range(2):  # the second one knows who was there in the first
        found = {many[int(name[3:])]: told for name, told in addresses_of(node).items()}
        assert {address for address, (phase, _) in found.items() if phase == "contested"} == {*silent, answering}
        assert all(f"{mac} on eth0 has it, and does not answer" in found[address][1] for address in silent)
        assert "answers although" in found[answering][1]
    network.cut(network.there, "eth0")
    assert {phase for phase, _ in addresses_of(node).values()} == {"stopped", "contested"}
    assert [name for name, (phase, _) in addresses_of(node).items() if phase == "contested"] == ["web2"]
