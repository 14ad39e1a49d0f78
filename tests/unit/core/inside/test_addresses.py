"""Addresses as the commands of many systems print them. Each sample says where it comes from."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.answers import GuestAddress
from vmsvc.core.errors import Undetermined
from vmsvc.core.inside.addresses.build import prefix_of
from vmsvc.core.inside.addresses.forms import BEGIN, READERS, read_addresses
from vmsvc.core.inside.addresses.ifconfig import read_ifconfig
from vmsvc.core.inside.addresses.iproute import read_json, read_text
from vmsvc.core.transport import Outcome

SAMPLES = Path(__file__).parent / "samples"
FORMS = {
    "iproute2-json": "ip-json",
    "iproute2-tentative": "ip-json",
    "iproute2-text": "ip-text",
    "busybox-ip": "ip-text",
    "hpux-netstat": "netstat",
    "iproute2-6-text": "ip-text",
    "iproute2-4-json": "ip-json",
}


def sample(name):
    origin, _, printed = (SAMPLES / name).read_text().partition("\n---\n")
    assert origin.startswith(("# recorded", "# ifconfig", "# written by hand from"))
    return printed


def outcome(printed, *, form, code=0, truncated=False):
    out = f"{BEGIN}\nSYSTEM Some\nFORM {form}\n{printed}".encode()
    return Outcome(argv=("x",), code=code, stdout=out, stderr=b"", duration_s=0.1, truncated=truncated)


def test_what_a_login_shell_prints_first_is_no_address():
    told = outcome(sample("iproute2-json"), form="ip-json")
    assert read_addresses(told)
    greeted = evolve(told, stdout=b"Welcome!\nSYSTEM is up\n" + told.stdout)
    assert read_addresses(greeted) == read_addresses(told)
    with pytest.raises(Undetermined, match="in no form that is known"):
        read_addresses(evolve(told, stdout=told.stdout.partition(b"\n")[2]))


def read(name):
    return read_addresses(outcome(sample(name), form=FORMS.get(name, "ifconfig")))


def told(name):
    """What a sample says of addresses that matter here: device, address, prefix, and why one is of no use."""
    return {
        (each.device, each.address, each.prefix, each.unusable)
        for each in read(name)
        if not each.address.startswith("fe80:")
    }


NO_CARRIER, DOWN = "the adapter has no carrier", "the adapter is down"
DUPLICATE = "another machine has it (dadfailed)"
STANDS_BY = "it is shared, and not this machine's now (carp: BACKUP)"
#: What the same adapters are for every tool of Linux; only some know about IPv6 addresses that are not in use.
LOOPBACK = {("lo", "127.0.0.1", 8, ""), ("lo", "::1", 128, "")}
ADAPTERS = LOOPBACK | {
    ("eth0", "192.0.2.7", 24, ""),
    ("eth0:1", "192.0.2.20", 24, ""),
    ("eth0", "2001:db8::7", 64, ""),
    ("eth0", "2001:db8::9", 64, ""),
    ("eth0.100", "198.51.100.1", 32, ""),
    ("eth1", "203.0.113.5", 25, NO_CARRIER),
    ("eth2", "203.0.113.130", 25, DOWN),
    ("eth3", "2001:db8::33", 64, ""),
}


@pytest.mark.parametrize("name", ["iproute2-json", "iproute2-text", "busybox-ip"])
def test_ip_tells_alias_peer_and_address_that_another_machine_has(name):
    assert told(name) == ADAPTERS | {("eth3", "2001:db8::7", 64, DUPLICATE)}


def test_ifconfig_of_linux_tells_all_but_whether_another_machine_has_an_address():
    assert told("busybox-ifconfig") == ADAPTERS | {("eth3", "2001:db8::7", 64, "")}
    assert told("net-tools-2") == ADAPTERS | {("eth3", "2001:db8::7", 64, "")}


def test_a_tentative_address_is_not_up_yet():
    tentative = {each.address for each in read("iproute2-tentative") if "tentative" in each.unusable}
    assert "2001:db8::33" in tentative
    assert "192.0.2.7" not in tentative


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "net-tools-1",
            {
                ("eth1", "192.168.138.1", 24, ""),
                ("eth1:1", "192.168.138.2", 24, ""),
                ("tun0", "10.8.0.1", 32, ""),
            },
        ),
        (
            "solaris",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 128, ""),
                ("hme0", "192.168.2.83", 24, ""),
                ("hme0:1", "192.168.2.84", 24, ""),
                ("hme0:2", "192.168.2.85", 24, ""),
                ("hme0:3", "0.0.0.0", 0, DOWN),
                ("ip.tun0", "10.0.0.1", 8, ""),
                ("hme0:1", "2404:130:0:1000:a00:20ff:fed1:6d79", 64, ""),
            },
        ),
        (
            "freebsd",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("fxp0", "198.51.100.26", 29, ""),
                ("fxp0", "198.51.100.27", 32, ""),
                ("fxp0", "2001:db8::26", 64, "another machine has it (duplicated)"),
                ("fxp0", "2001:db8::27", 64, "it is not yet known whether another machine has it (tentative)"),
                ("em1", "192.0.2.7", 24, NO_CARRIER),
            },
        ),
        (
            "aix",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 0, ""),
                ("en0", "172.29.174.58", 18, ""),
                ("en0", "172.29.174.59", None, ""),
            },
        ),
        (
            "hpux-ifconfig",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("lan0", "10.195.173.109", 23, ""),
                ("lan900:1", "10.10.10.209", 24, ""),
            },
        ),
        (
            "hpux-netstat",
            {
                ("lo0", "127.0.0.1", None, ""),
                ("lo0", "::1", 128, ""),
                ("lan0", "172.16.30.40", None, ""),
                ("lan0:1", "172.16.30.41", None, ""),
                ("lan2", "192.0.2.7", None, DOWN),
            },
        ),
        (
            "netbsd",
            {
                ("wm0", "10.0.2.15", 24, ""),
                ("wm0", "10.0.2.16", 32, "another machine has it (DUPLICATED)"),
                ("wm0", "2001:db8::7", 64, "it is not yet known whether another machine has it (TENTATIVE)"),
                ("wm0", "2001:db8::8", 64, "another machine has it (DUPLICATED)"),
                ("wm0", "2001:db8::9", 64, "the adapter has no link (DETACHED)"),
                ("wm0", "2001:db8::a", 64, ""),
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 128, ""),
                ("tun0", "10.8.0.1", 32, ""),
            },
        ),
        (
            "openbsd",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 128, ""),
                ("vio0", "192.0.2.7", 24, ""),
                ("vio0", "2001:db8::9", 64, "it is not yet known whether another machine has it (tentative)"),
                ("vio0", "2001:db8::8", 64, "another machine has it (duplicated)"),
                ("vio0", "2001:db8::a", 64, ""),
                ("vlan100", "198.51.100.1", 24, ""),
                ("carp0", "192.0.2.100", 24, STANDS_BY),
                ("tun0", "10.8.0.1", 32, ""),
            },
        ),
        (
            "freebsd-carp",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 128, ""),
                ("vtnet0", "192.0.2.7", 24, ""),
                ("vtnet0", "192.0.2.100", 24, STANDS_BY),
                ("vtnet0", "2001:db8::a", 64, ""),
                ("wg0", "10.9.0.1", 24, ""),
            },
        ),
        (
            "solaris-11",
            {
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 128, ""),
                ("net0", "10.0.2.15", 24, ""),
                ("net0:1", "10.0.2.16", 24, DOWN),
                ("net1", "0.0.0.0", 0, DOWN),
                ("ipmp0", "10.0.3.15", 24, NO_CARRIER),
                ("net0:1", "2001:db8::15", 64, ""),
                ("ip.tun0", "10.5.0.1", 8, ""),
            },
        ),
        (
            "aix-7",
            {
                ("en0", "10.1.1.10", 24, ""),
                ("en0", "10.1.1.11", 24, ""),
                ("en0", "2001:db8::10", 64, ""),
                ("en1", "10.2.1.10", 24, DOWN),
                ("sit0", "::a01:10a", 96, ""),
                ("lo0", "127.0.0.1", 8, ""),
                ("lo0", "::1", 64, ""),
            },
        ),
        (
            "busybox-ppp",
            {
                ("ppp0", "10.0.0.1", 32, ""),
                ("sit0", "::c000:207", 96, ""),
                ("eth0", "192.0.2.7", 24, ""),
                ("eth0", "2001:db8::7", 64, ""),
            },
        ),
        (
            "iproute2-6-text",
            LOOPBACK
            | {
                ("enp1s0", "192.0.2.7", 24, ""),
                ("enp1s0:1", "192.0.2.20", 24, ""),
                ("enp1s0", "2001:db8::7", 64, DUPLICATE),
                ("enp1s0", "2001:db8::8", 64, ""),
                ("enp1s0", "fd00::2", 128, ""),
                ("eth0", "172.17.0.2", 16, ""),
                ("tun0", "10.8.0.1", 32, ""),
                ("wlan0", "10.1.1.1", 24, NO_CARRIER),
                ("vlan5", "10.5.5.5", 24, ""),
            },
        ),
        (
            "iproute2-4-json",
            {
                ("lo", "127.0.0.1", 8, ""),
                ("tun0", "10.8.0.1", 32, ""),
                ("tun0", "2001:db8::9", 64, DUPLICATE),
                ("tun0", "2001:db8::1", 64, ""),
            },
        ),
        (
            "darwin",
            {("lo0", "127.0.0.1", 8, ""), ("lo0", "::1", 128, ""), ("en0", "192.0.2.7", 24, NO_CARRIER)},
        ),
    ],
)
def test_other_systems(name, expected):
    assert told(name) == expected


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_a_scoped_address_is_known_without_its_scope(name):
    local = {each.device.partition(":")[0] for each in read(name) if each.address.startswith("fe80::")}
    assert local.isdisjoint({"", "fe80"})


def test_hardware_addresses_are_told_where_they_are_printed():
    hardware = {each.device: each.hardware.lower() for each in read("busybox-ifconfig")}
    assert hardware["eth0"] == "52:54:00:12:34:56"
    assert {each.device: each.hardware for each in read("solaris")}["hme0"] == "8:0:20:d1:6d:79"
    assert {each.device: each.hardware for each in read("iproute2-text")}["eth0"] == "52:54:00:12:34:56"


@pytest.mark.parametrize(
    ("device", "wanted", "is_on"),
    [
        ("eth0", "eth0", True),
        ("eth0:1", "eth0", True),
        ("eth0:1", "eth0:1", True),
        ("eth0", "eth0:1", False),
        ("eth0:2", "eth0:1", False),
        ("eth0.1", "eth0", False),
        ("eth01", "eth0", False),
    ],
)
def test_an_alias_is_on_its_adapter_and_an_adapter_is_no_alias(device, wanted, is_on):
    assert GuestAddress(device=device, address="192.0.2.7").is_on(wanted) is is_on


def test_an_address_that_is_mapped_from_ipv4_is_that():
    assert GuestAddress(device="eth0", address="::ffff:192.0.2.7").address == "192.0.2.7"


@pytest.mark.parametrize(
    ("netmask", "prefix"),
    [
        ("255.255.255.0", 24),
        ("0xffffff80", 25),
        ("ff000000", 8),
        ("0", 0),
        ("255.255.255.255", 32),
        ("255.0.255.0", None),
    ],
)
def test_a_netmask_is_a_prefix_unless_it_has_holes(netmask, prefix):
    assert prefix_of(netmask) == prefix


@pytest.mark.parametrize("netmask", ["fffffff00", "", "x", "255.255.255", "255.255.255.256"])
def test_what_is_no_netmask_is_not_taken_for_one(netmask):
    with pytest.raises(Undetermined):
        prefix_of(netmask)


def test_a_shared_address_is_up_where_it_is_in_use():
    for name in ("openbsd", "freebsd-carp"):
        printed = sample(name).replace("BACKUP", "MASTER").replace("status: backup", "status: master")
        found = read_addresses(outcome(printed, form="ifconfig"))
        assert [each.unusable for each in found if each.address == "192.0.2.100"] == [""]


def test_hpux_tells_netmasks_after_its_table():
    printed = sample("hpux-netstat") + sample("hpux-ifconfig").replace("10.195.173.109", "172.16.30.40")
    found = {(each.device, each.address): each.prefix for each in read_addresses(outcome(printed, form="netstat"))}
    assert found["lan0", "172.16.30.40"] == 23
    assert found["lan0:1", "172.16.30.41"] is None
    assert found["lan900:1", "10.10.10.209"] == 24


# --- what cannot be read ----------------------------------------------------------------------------------------------

_FRENCH = "eth0      Lien encap:Ethernet  HWaddr 52:54:00:12:34:56\n          inet adr:192.0.2.7  Bcast:192.0.2.255\n"
_GERMAN = (
    "eth0      Link encap:Ethernet  Hardware Adresse 52:54:00:12:34:56\n"
    "          inet Adresse:192.0.2.7  Bcast:192.0.2.255  Maske:255.255.255.0\n"
    "          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1\n"
)
_ERROR = "ifconfig: command not found\n"


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize(
    "printed", ["", "\n", "[]", "[]\n", "{}\n", "null\n", "[1]\n", _ERROR, _FRENCH, _GERMAN, "\x00\n"]
)
def test_nothing_is_believed_of_what_cannot_be_read(form, printed):
    with pytest.raises(Undetermined, match="cannot be read"):
        read_addresses(outcome(printed, form=form))


@pytest.mark.parametrize(
    "change", [{"code": 1}, {"code": -9}, {"truncated": True}, {"form": "ipconfig"}, {"form": ""}], ids=str
)
def test_nothing_is_believed_of_a_command_that_failed_or_of_an_unknown_form(change):
    with pytest.raises(Undetermined, match="cannot be read"):
        read_addresses(outcome(sample("iproute2-json"), **{"form": "ip-json", **change}))


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_an_output_that_was_cut_within_a_line_is_not_believed(name):
    printed, form = sample(name), FORMS.get(name, "ifconfig")
    whole = {(each.device, each.address) for each in read(name)}
    for end in range(1, len(printed) - 1, 7):
        try:
            found = read_addresses(outcome(printed[:end], form=form))
        except Undetermined:
            continue
        assert printed[end - 1] == "\n", printed[:end][-60:]
        assert {(each.device, each.address) for each in found} <= whole


@given(form=st.sampled_from(sorted(READERS)), printed=st.binary(max_size=200))
def test_garbage_is_unreadable_and_no_exception_of_another_kind(form, printed):
    out = BEGIN.encode() + b"\nSYSTEM Linux\nFORM " + form.encode() + b"\n" + printed + b"\n"
    with contextlib.suppress(Undetermined):
        read_addresses(Outcome(argv=("x",), code=0, stdout=out, stderr=b"", duration_s=0.1))


@given(data=st.data())
def test_damaged_samples_are_unreadable_or_give_addresses(data):
    name = data.draw(st.sampled_from(sorted(path.name for path in SAMPLES.iterdir())))
    printed = sample(name)
    start = data.draw(st.integers(0, len(printed) - 1))
    length = data.draw(st.integers(0, 40))
    damaged = printed[:start] + data.draw(st.text(max_size=10)) + printed[start + length :]
    try:
        found = read_addresses(outcome(damaged, form=FORMS.get(name, "ifconfig")))
    except Undetermined:
        return
    assert all(isinstance(each, GuestAddress) for each in found)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ifname", "flags", "addr_info", "family", "local", "prefixlen"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "change", [{"flags": "UP"}, {"flags": {"UP": 1}}, {"flags": [["UP"]]}, {"ifname": None}], ids=str
)
def test_json_of_nearly_the_right_shape_does_not_tell_that_an_adapter_is_down(change):
    address = {"family": "inet", "local": "192.0.2.7", "prefixlen": 24}
    right = {"ifname": "eth0", "flags": ["UP"], "addr_info": [address]}
    assert read_addresses(outcome(json.dumps([right]) + "\n", form="ip-json"))[0].unusable == ""
    with pytest.raises(Undetermined, match="cannot be read"):
        read_addresses(outcome(json.dumps([{**right, **change}]) + "\n", form="ip-json"))


@given(_JSON)
def test_json_of_another_shape_is_unreadable(tree):
    with contextlib.suppress(Undetermined):
        read_addresses(outcome(json.dumps(tree), form="ip-json"))


def test_an_adapter_that_was_taken_out_of_use_has_no_address_of_use():
    flags = "UP,BROADCAST,RUNNING,MULTICAST,IPv4,NOFAILOVER,OFFLINE"
    text = f"net0: flags=9040843<{flags}> mtu 1500 index 2\n\tinet 192.0.2.7 netmask ffffff00\n"
    assert [each.unusable for each in read_ifconfig(text)] == ["the adapter was taken out of use (OFFLINE)"]


def test_an_address_that_netbsd_tells_as_an_alias_is_one():
    text = "wm0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n\tinet 192.0.2.7 netmask 0xffffff00\n"
    text += "\tinet alias 192.0.2.8 netmask 0xffffff00 broadcast 192.0.2.255\n"
    assert [(each.address, each.prefix) for each in read_ifconfig(text)] == [("192.0.2.7", 24), ("192.0.2.8", 24)]


def test_a_garbled_address_makes_all_unknown():
    with pytest.raises(Undetermined):
        read_ifconfig("wm0: flags=8843<UP,RUNNING> mtu 1500\n\tinet?192.0.2.7 netmask 0xffffff00\n")


def test_an_adapter_may_have_other_names():
    told = [
        {
            "ifname": "eth0",
            "flags": ["UP"],
            "altnames": ["enp1s0", "enx525400123456"],
            "addr_info": [{"family": "inet", "local": "192.0.2.7", "prefixlen": 24, "label": "eth0"}],
        }
    ]
    text = "2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP\n    link/ether 52:54:00:12:34:56\n"
    text += "    altname enp1s0\n    altname enx525400123456\n    inet 192.0.2.7/24 scope global eth0\n"
    text += "3: eth1: <BROADCAST,UP,LOWER_UP> mtu 1500\n    inet 192.0.2.8/24 scope global eth1\n"
    for first in (read_json(json.dumps(told))[0], read_text(text)[0]):
        assert [first.is_on(name) for name in ("eth0", "enp1s0", "enx525400123456", "eth1")] == [
            True,
            True,
            True,
            False,
        ]
        assert first.device == "eth0"
    assert not read_text(text)[1].is_on("enp1s0")
