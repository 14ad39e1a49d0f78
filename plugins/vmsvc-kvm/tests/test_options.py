"""URIs and options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_kvm.options import KvmGuest, driver_of, is_local, is_session, unattended, uri, way_here

from vmsvc.core.options import options_of


def test_defaults():
    found = {option.key: option.default for option in options_of(KvmGuest)}
    assert (found["uri"], found["shutdown"]) == ("qemu:///system", "both")


def test_where_libvirt_is_tells_guests_apart_and_nothing_else_does():
    assert [option.key for option in options_of(KvmGuest) if option.identifies] == ["uri"]


@pytest.mark.parametrize(
    ("text", "driver", "local", "session"),
    [
        ("qemu:///system", "qemu", True, False),
        ("qemu:///session", "qemu", True, True),
        ("qemu+unix:///system?socket=/run/x", "qemu", True, False),
        ("qemu:///system?socket=/run/x", "qemu", True, False),
        ("qemu+ssh://root@h/system", "qemu", False, False),
        ("qemu+ssh:///system", "qemu", False, False),
        ("qemu://h/system", "qemu", False, False),
        ("lxc:///", "lxc", True, False),
        ("test:///default", "test", True, False),
        ("esx://vc.example.com/?no_verify=1", "esx", False, False),
    ],
)
def test_what_a_uri_tells(text, driver, local, session):
    assert uri.parse(text) == text
    assert (driver_of(text), is_local(text), is_session(text)) == (driver, local, session)


@pytest.mark.parametrize("text", ["", "system", "/var/run/x", "qemu:", "QEMU", "qemu://[::1/system", "qemu:///a\nb", 7])
def test_what_is_no_uri(text):
    with pytest.raises(ValueError):
        uri.parse(text)


@pytest.mark.parametrize("value", [uri, way_here])
@pytest.mark.parametrize(
    "text",
    [
        "qemu+tcp://adm:hunter2@127.0.0.1:1/system",
        "qemu+tcp://adm:hun/ter2@n2/system",
        "esx://root:hunter2@vc/?no_verify=1",
        "adm:hunter2@n2",
    ],
)
def test_a_password_is_refused_and_not_shown(value, text):
    with pytest.raises(ValueError) as caught:
        value.parse(text)
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize("text", ["qemu:///system", "test:///default", "qemu+ssh://n2/ system", "qemu+ssh:///system"])
def test_a_way_here_names_a_host(text):
    with pytest.raises(ValueError):
        way_here.parse(text)


@pytest.mark.parametrize(
    "text", ["", "qemu+ssh://root@n2/system", "qemu+tls://n2:16514/system", "qemu+unix:///system?socket=/x"]
)
def test_a_way_here_may_be_any_transport(text):
    assert way_here.parse(text) == text


@given(st.text() | st.integers() | st.booleans() | st.lists(st.text()))
def test_any_value_is_a_uri_or_refused(raw):
    try:
        text = uri.parse(raw)
    except ValueError:
        return
    driver_of(text), is_local(text), is_session(text), unattended(text)


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("qemu+ssh://h/system", "qemu+ssh://h/system?no_tty=1"),
        ("qemu+ssh://h/system?keyfile=/k", "qemu+ssh://h/system?keyfile=/k&no_tty=1"),
        ("qemu+ssh://h/system?no_tty=0", "qemu+ssh://h/system?no_tty=0"),
        ("qemu:///system", "qemu:///system"),
    ],
)
def test_ssh_asks_nobody(text, opened):
    assert unattended(text) == opened
