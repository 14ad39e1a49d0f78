"""Addresses that nobody can have, and those that several mean at once: what a file is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import NODE
from vmsvc.core.config import Claims, parse_service
from vmsvc.core.config.schema import Catalog
from vmsvc.core.errors import Severity
from vmsvc.core.kinds import KINDS
from vmsvc.core.resource import Guest

CATALOG = Catalog({**{(kind, ""): owner for kind, owner in KINDS.items()}, ("container", "kvm"): Guest})
TWO_GUESTS = "[container#1]\ntype = kvm\nname = a\n[container#2]\ntype = kvm\nname = b\n"


def read(text, name="web"):
    return parse_service(Path(f"{name}.conf"), NODE, CATALOG, name=name, text=f"[DEFAULT]\nnodes = n1\n{text}")


def address(ipname, *lines, number=1):
    return "\n".join([f"[ip#{number}]", f"ipname = {ipname}", "ipdev = eth0", *lines, ""])


@pytest.mark.keyword("ip.ipname", "ip.gateway")
@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("0.0.0.0", "means any address"),
        ("::", "means any address"),
        ("224.0.0.18", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("256.1.1.1", "looks like an address and is none"),
        ("10.1", "looks like an address and is none"),
        ("192.0.2.07", "looks like an address and is none"),
        ("192.0.2.7.", "looks like an address and is none"),
        ("2001:db8::g", "looks like an address and is none"),
        ("fe80:::1", "looks like an address and is none"),
        ("192.0.2.7/24", "belongs to `netmask`"),
        ("web db", "there are blanks in it"),
        ("192.0.2.7 192.0.2.8", "there are blanks in it"),
    ],
)
def test_what_no_machine_can_have_is_an_error_with_its_place(written, why):
    for text, key in ((address(written), "ipname"), (address("192.0.2.1", f"gateway = {written}"), "gateway")):
        service, (problem,) = read(text)
        assert service is None
        assert (problem.section, problem.key, problem.severity) == ("ip#1", key, Severity.ERROR)
        assert why in problem.message


@pytest.mark.parametrize(
    "written",
    [
        "192.0.2.7",
        "240.0.0.1",
        "2001:DB8::7",
        "fe80::1%br0",
        "web",
        "web-1.example.org",
        "9p",
        "größe.example",
    ],
)
def test_what_a_machine_can_have_is_right(written):
    service, problems = read(address(written))
    assert problems == ()
    assert service.resource("ip#1").ipname == written


@pytest.mark.keyword("ip.ipname")
@pytest.mark.parametrize(
    "written", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1", "localhost", "Web.LocalHost."]
)
def test_an_address_by_which_this_node_would_answer_itself_is_an_error(written):
    in_guest, of_node = TWO_GUESTS.partition("[container#2]")[0] + address(written), address(written)
    for text in (in_guest, of_node):
        service, (problem,) = read(text)
        assert service is None
        assert (problem.code, problem.section, problem.key) == ("config.loopback", "ip#1", "ipname")
        assert "it is this node that answers by it" in problem.message
    assert read(f"{in_guest}check_ping = false\n")[1] == ()  # only the guest is asked, and may tell of its own


@pytest.mark.keyword("ip.ipname")
def test_a_link_local_address_is_pinged_by_an_adapter_that_it_names():
    in_guest = TWO_GUESTS.partition("[container#2]")[0] + address("FE80::7")
    service, (problem,) = read(in_guest)
    assert service is None
    assert (problem.code, problem.section, problem.key) == ("config.zone", "ip#1", "ipname")
    assert "as in `FE80::7%br0`" in problem.hint
    for text in (in_guest.replace("::7", "::7%br0"), f"{in_guest}check_ping = false\n", address("fe80::7")):
        assert read(text)[1] == ()


@pytest.mark.parametrize(
    ("ipname", "netmask", "why"),
    [
        ("192.0.2.7", "33", "33 bits are more than 192.0.2.7 has"),
        ("192.0.2.7", "77", "77 bits are more"),
        ("192.0.2.0", "24", "the first or the last address of its network"),
        ("192.0.2.255", "255.255.255.0", "the first or the last address of its network"),
        ("192.0.2.7", "255.0.255.0", "is no netmask"),
        ("192.0.2.7", "129", "is no netmask"),
        ("192.0.2.7", "0", "is no netmask"),
        ("192.0.2.7", "0.0.0.0", "is no netmask"),
    ],
)
def test_a_netmask_fits_its_address(ipname, netmask, why):
    service, (problem,) = read(address(ipname, f"netmask = {netmask}"))
    assert service is None
    assert (problem.section, problem.key) == ("ip#1", "netmask")
    assert why in problem.message


@pytest.mark.parametrize(
    ("ipname", "netmask"),
    [("192.0.2.255", "23"), ("192.0.2.0", "31"), ("192.0.2.0", "32"), ("2001:db8::", "64"), ("web", "64")],
)
def test_a_netmask_that_may_fit_is_right(ipname, netmask):
    assert read(address(ipname, f"netmask = {netmask}"))[1] == ()


@pytest.mark.parametrize(("one", "two"), [("2001:db8::7", "2001:DB8:0:0::7"), ("Web.example.", "web.example")])
def test_an_address_that_stands_twice_is_an_error_and_in_two_guests_a_warning(one, two):
    service, (problem,) = read(address(one) + address(two, number=2))
    assert service is None
    assert (problem.code, problem.section, problem.severity) == ("config.same-address", "ip#2", Severity.ERROR)
    assert problem.message.startswith("[ip#1] has the same address")
    guests = [f"container_id = container#{number}" for number in (1, 2)]
    service, (problem,) = read(TWO_GUESTS + address(one, guests[0]) + address(two, guests[1], number=2))
    assert service is not None
    assert (problem.code, problem.severity) == ("config.same-address", Severity.WARNING)
    assert read(address(one) + address(two, "disable = true", number=2))[1] == ()


def test_an_address_of_two_services_is_told_with_the_other_one():
    (web, _), (db, _) = read(address("192.0.2.7")), read(address("192.0.2.7"), name="db")
    claims = Claims.of([web, db])
    (problem,) = claims.against(web)
    assert (problem.code, problem.section, problem.key) == ("config.same-address-elsewhere", "ip#1", "ipname")
    assert (problem.message, problem.severity) == (
        "[ip#1] of db.conf has the same address, 192.0.2.7",
        Severity.WARNING,
    )
    assert Claims.of([web]).against(web) == ()
    assert Claims.of([web, read(address("192.0.2.8"), name="db")[0]]).against(web) == ()


@pytest.mark.keyword("ip.ipdev")
@pytest.mark.parametrize("written", ["eth0 eth1", "eth0:", ":1", "eth0:1:2"])
def test_what_no_adapter_is_called_is_an_error_with_its_place(written):
    service, (problem,) = read(f"[ip#1]\nipname = 192.0.2.7\nipdev = {written}\n")
    assert (service, problem.section, problem.key, problem.code) == (None, "ip#1", "ipdev", "config.adapter")


@pytest.mark.parametrize("written", ["eth0", "eth0:1", "eth0.100", "br-lan", "net0:web", "lan900"])
def test_adapters_of_unix_and_their_aliases_are_taken(written):
    assert read(f"[ip#1]\nipname = 192.0.2.7\nipdev = {written}\n")[1] == ()


def test_adapters_of_windows_have_blanks():
    guest = "[container#1]\ntype = kvm\nname = a\nguestos = windows\n"
    assert read(f"{guest}[ip#1]\nipname = 192.0.2.7\nipdev = Ethernet 2\n")[1] == ()
