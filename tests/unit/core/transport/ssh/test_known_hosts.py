"""The file of pinned host keys, in all the states that a file can be in."""

import base64
import os
import stat
import threading

import pytest

from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport.ssh.known_hosts import HostKey, KnownHosts, server_name

ONE, OTHER = HostKey("ssh-ed25519", b"one"), HostKey("ssh-ed25519", b"other")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ssh/known_hosts"


@pytest.fixture
def pins(path):
    return KnownHosts(path)


def line(name, key):
    return f"{name} {key.type} {base64.b64encode(key.blob).decode()}\n"


def test_a_key_is_pinned_once(pins, path):
    for _ in range(2):
        pins.check("web", ONE)
        pins.check("db", ONE)
    assert path.read_text() == line("web", ONE) + line("db", ONE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pins.types("web") == ["ssh-ed25519"]
    assert pins.types("other") == []


def test_a_changed_key_is_refused_and_nothing_is_written(pins, path):
    pins.check("web", ONE)
    before = path.read_bytes()
    with pytest.raises(NoWayIn, match="has changed") as caught:
        pins.check("web", OTHER)
    assert caught.value.code == "undetermined.ssh-host-key"
    for word in (ONE.fingerprint, OTHER.fingerprint, f"{path}, line 1"):
        assert word in str(caught.value)
    assert f"ssh-keygen -f {path} -R web" in caught.value.hint
    assert path.read_bytes() == before


def test_several_names_and_several_keys_of_a_host(pins, path):
    path.parent.mkdir()
    path.write_text("# by hand\n\n" + line("web,192.0.2.7", ONE) + line("web", OTHER))
    pins.check("192.0.2.7", ONE)
    pins.check("web", ONE)
    pins.check("web", OTHER)


@pytest.mark.parametrize(("first", "later"), [("web01", "WEB01"), ("WEB01", "web01"), ("[Web01]:2222", "[wEB01]:2222")])
def test_capitals_do_not_have_a_host_trusted_anew(pins, path, first, later):
    pins.check(first, ONE)
    assert path.read_text() == line(first.lower(), ONE)
    pins.check(later, ONE)
    with pytest.raises(NoWayIn, match="has changed"):
        pins.check(later, OTHER)
    assert path.read_text() == line(first.lower(), ONE)


def test_a_name_that_was_pinned_in_capitals_is_still_pinned(pins, path):
    path.parent.mkdir()
    path.write_text(line("WEB01", ONE))
    for name in ("WEB01", "web01"):
        with pytest.raises(NoWayIn, match="has changed"):
            pins.check(name, OTHER)


def test_a_last_line_without_an_end_is_not_run_together_with_the_next(pins, path):
    path.parent.mkdir()
    path.write_text(line("web", ONE).rstrip())
    pins.check("db", OTHER)
    assert path.read_text() == line("web", ONE) + line("db", OTHER)


@pytest.mark.parametrize(
    "text",
    [
        b"web\n",
        b"web ssh-ed25519 not*base64\n",
        b"*.example ssh-ed25519 AAAA\n",
        b"@revoked web ssh-ed25519 AAAA\n",
        b"|2|x|y ssh-ed25519 AAAA\n",
        b"|1|x ssh-ed25519 AAAA\n",
        b"\xff\xfe\n",
    ],
)
def test_a_line_that_cannot_be_read_is_an_error_for_everybody(pins, path, text):
    path.parent.mkdir()
    path.write_bytes(line("web", ONE).encode() + text)
    with pytest.raises(NoWayIn, match=str(path)) as caught:
        pins.check("db", ONE)
    assert caught.value.code == "undetermined.ssh-known-hosts"


def test_a_file_that_cannot_be_written_pins_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoWayIn, match="Not a directory"):
        KnownHosts(tmp_path / "file/known_hosts").check("web", ONE)


def test_a_full_disk_leaves_no_half_line(pins, path, monkeypatch):
    pins.check("web", ONE)
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, text: whole(file, text[:9]))
    with pytest.raises(NoWayIn, match="disk is full"):
        pins.check("db", ONE)
    monkeypatch.undo()
    assert path.read_text() == line("web", ONE)


def test_two_who_meet_a_host_at_once_pin_one_key(path):
    results = []

    def meet(key):
        try:
            KnownHosts(path).check("web", key)
            results.append(key)
        except NoWayIn:
            results.append(None)

    threads = [threading.Thread(target=meet, args=(key,)) for key in (ONE, OTHER) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(path.read_text().splitlines()) == 1
    assert sorted(map(str, {r for r in results if r})) in ([str(ONE)], [str(OTHER)])
    assert results.count(None) == 8


def test_names_of_servers():
    assert server_name("web", 22) == "web"
    assert server_name("::1", 2222) == "[::1]:2222"


def test_a_key_that_is_pinned_by_hand_or_taken_away_meanwhile_counts_at_once(pins, path):
    pins.check("web", ONE)
    path.write_text(line("web", OTHER))
    with pytest.raises(NoWayIn, match="has changed"):
        pins.check("web", ONE)
    path.write_text("")
    pins.check("web", ONE)
    assert pins.keys("web") == [ONE]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("[web]:22", "web"),
        ("2001:db8:0:0:0:0:0:7", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8:0::7]:2222", "[2001:db8::7]:2222"),
        ("\ufeffweb", "web"),
    ],
)
def test_a_changed_key_is_not_pinned_anew_because_its_line_writes_the_server_otherwise(pins, path, written, asked):
    path.parent.mkdir()
    path.write_text(line(written, ONE))
    pins.check(asked, ONE)
    with pytest.raises(NoWayIn, match="has changed"):
        pins.check(asked, OTHER)
    assert path.read_text() == line(written, ONE)
