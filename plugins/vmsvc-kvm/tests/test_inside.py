"""What agents answer, read: real answers, hand-written ones of Windows, and garbage."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_kvm import inside
from vmsvc_kvm.definition import agent_channel
from vmsvc_kvm.inside import PlainCommand, UnixCommand

from vmsvc.driver import OUTPUT_LIMIT, DriverError, GuestAddress, Undetermined

# Of qemu-ga 7.2.22 in the lab's Debian guest, shortened by its statistics.
LINUX = [
    {
        "name": "lo",
        "ip-addresses": [
            {"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8},
            {"ip-address-type": "ipv6", "ip-address": "::1", "prefix": 128},
        ],
        "hardware-address": "00:00:00:00:00:00",
    },
    {"name": "eth0", "hardware-address": "52:54:00:12:34:56"},
]
# Written by hand, in the form that the documentation gives; nobody has run this on Windows.
WINDOWS = [
    {
        "name": "Ethernet 2",
        "hardware-address": "52:54:00:aa:bb:cc",
        "ip-addresses": [
            {"ip-address": "FE80::5054:FF:FEAA:BBCC%12", "ip-address-type": "ipv6", "prefix": 64},
            {"ip-address": "192.0.2.7", "ip-address-type": "ipv4"},
        ],
    }
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "ip-addresses", "pid", "exited"]), inner),
    max_leaves=8,
)


def test_addresses_of_linux():
    assert inside.addresses(LINUX) == [
        GuestAddress(device="lo", address="127.0.0.1", prefix=8, hardware="00:00:00:00:00:00"),
        GuestAddress(device="lo", address="::1", prefix=128, hardware="00:00:00:00:00:00"),
    ]


def test_addresses_of_windows_are_told_without_zones_and_in_their_usual_form():
    assert inside.addresses(WINDOWS) == [
        GuestAddress(device="Ethernet 2", address="fe80::5054:ff:feaa:bbcc", prefix=64, hardware="52:54:00:aa:bb:cc"),
        GuestAddress(device="Ethernet 2", address="192.0.2.7", prefix=None, hardware="52:54:00:aa:bb:cc"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        {},
        [5],
        [{}, {"ip-addresses": []}, {"ip-addresses": [{}]}],
        [{"name": "eth0", "ip-addresses": [{"ip-address": "300.1.2.3"}]}],
        [{"name": "eth0", "ip-addresses": [{"ip-address": "192.0.2.7", "prefix": "24"}]}],
        [{"name": "eth0", "ip-addresses": {"ip-address": "192.0.2.7"}}],
    ],
)
def test_addresses_that_cannot_be_read_are_not_none(answer):
    with pytest.raises(Undetermined, match="cannot be read"):
        inside.addresses(answer)


@given(json_values)
def test_whatever_an_agent_answers_is_read_or_undetermined(answer):
    for read in (inside.started, inside.status, inside.runs_commands, inside.addresses):
        with contextlib.suppress(Undetermined):
            read(answer)


@given(st.text())
def test_whatever_an_agent_says_is_an_answer_or_undetermined(text):
    with pytest.raises(Undetermined):
        inside.answer(text)


def status(stdout=b"", stderr=b"", **rest):
    encoded = {"out-data": base64.b64encode(stdout).decode(), "err-data": base64.b64encode(stderr).decode()}
    return {"exited": True, **rest, **encoded}


def test_output_that_lacks_the_mark_of_its_end_is_not_whole():
    command = UnixCommand(argv=["true"], environment={})
    end = "".join(command.request()["arg"][5:7]).encode()
    whole = command.printed(status(b"out" + end, end, exitcode=0))
    assert (whole.stdout, whole.truncated) == (b"out", False)
    assert command.printed(status(b"out", end, exitcode=0)).truncated
    assert command.printed(status(b"x" * OUTPUT_LIMIT + end[:-1], end, exitcode=0)).truncated
    daemon = command.printed(status(b"out" + end + b"later", end + b"later", exitcode=0))
    assert (daemon.stdout, daemon.stderr, daemon.truncated) == (b"out", b"", False)
    again = command.printed(status(b"a" + end + b"b" + end, end, exitcode=0))  # who reads /proc may print the mark
    assert again.stdout == b"a" + end + b"b"


def test_output_that_is_no_base64_is_undetermined():
    with pytest.raises(Undetermined, match="cannot be read"):
        PlainCommand(argv=["true"]).printed({"exited": True, "exitcode": 0, "out-data": "x"})


def test_output_that_the_agent_has_cut_is_told_to_be():
    told = {**status(b"x", exitcode=0), "out-truncated": True}
    assert PlainCommand(argv=["true"]).printed(told).truncated


@pytest.mark.parametrize(
    ("target", "channel"),
    [
        ("<target type='virtio' name='org.qemu.guest_agent.0' state='connected'/>", "connected"),
        ("<target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/>", "disconnected"),
        ("<target type='virtio' name='org.qemu.guest_agent.0'/>", "closed"),
        ("<target type='virtio' name='com.redhat.spice.0' state='connected'/>", ""),
    ],
)
def test_how_the_channel_stands(target, channel):
    xml = f"<domain><name>a</name><devices><channel type='unix'>{target}</channel></devices></domain>"
    assert agent_channel(xml, origin="it") == channel


def test_a_channel_in_what_is_no_xml():
    with pytest.raises(DriverError, match="it is not readable"):
        agent_channel("<domain", origin="it")
