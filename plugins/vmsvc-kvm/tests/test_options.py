"""URIs and options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_kvm.options import KvmGuest, driver_of, is_local, is_session, unattended, uri

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
