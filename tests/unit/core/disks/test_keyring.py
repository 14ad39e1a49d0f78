"""The node's own key is made once, and never lost or shared without a word."""

from __future__ import annotations

import threading

import pytest

from vmsvc.core.disks.keyring import Keyring
from vmsvc.core.errors import ConfigError, Refused, UsageError
from vmsvc.core.node import Node
from vmsvc.core.vmdg.keys import key_text


@pytest.fixture
def keyring(tmp_path):
    return Keyring(Node(name="n1", root=tmp_path))


def test_looking_makes_no_key(keyring, tmp_path):
    assert keyring.own() is None
    assert keyring.peers() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_once(keyring):
    key = keyring.own_or_new()
    assert keyring.own_or_new() == keyring.own() == key
    assert keyring.file.read_text() == f"{key_text(key)}\n"
    assert key >> 60


def test_of_two_that_make_a_key_the_first_ones_counts(keyring):
    found = []
    threads = [threading.Thread(target=lambda: found.append(keyring.own_or_new())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {keyring.own()}


def test_keys_of_any_spelling_are_read(keyring):
    keyring.file.parent.mkdir(parents=True)
    keyring.file.write_text(" 0X00ABcd \n")
    assert keyring.own_or_new() == 0xABCD


@pytest.mark.parametrize("text", ["", "0x0", "12", "0x12zz", "0x" + "1" * 17, "\xff"])
def test_a_file_without_a_key_is_an_error_and_stays(keyring, text):
    keyring.file.parent.mkdir(parents=True)
    keyring.file.write_text(text)
    for ask in (keyring.own, keyring.own_or_new):
        with pytest.raises(ConfigError, match="holds no key") as error:
            ask()
        assert error.value.hint
    assert keyring.file.read_text() == text


def test_peers_are_remembered(keyring):
    keyring.add_peer("N2", 0x22)
    keyring.add_peer("n3", 0x33)
    keyring.add_peer("n2", 0x2222)
    assert keyring.peers() == {"n2": 0x2222, "n3": 0x33}


def test_no_two_nodes_share_a_key(keyring):
    key = keyring.own_or_new()
    with pytest.raises(Refused, match="same key"):
        keyring.add_peer("n2", key)
    assert keyring.peers() == {}
    keyring.file.write_text("0x22")
    keyring.add_peer("n3", 0x33)
    keyring.file.write_text("0x33")
    with pytest.raises(Refused, match="this node and n3 have the same key"):
        keyring.own_or_new()


@pytest.mark.parametrize("name", ["n1", "N1", "a/b", "-n", ""])
def test_what_cannot_be_a_peer(keyring, name):
    with pytest.raises(UsageError):
        keyring.add_peer(name, 0x22)


def test_keys_of_peers_that_cannot_be_read_are_not_no_keys(keyring):
    keyring.own_or_new()
    (keyring.node.state_dir / "peers").write_text("in the way")
    for ask in (keyring.peers, keyring.own_or_new):
        with pytest.raises(ConfigError, match="keys of peers") as error:
            ask()
        assert error.value.hint


def test_what_an_editor_leaves_behind_is_no_peer(keyring):
    file = keyring.add_peer("n2", 0x22)
    (file.parent / "n2~").write_text("0x23")
    (file.parent / ".n2.swp").write_text("0x24")
    (file.parent / "N3").write_text("0x33")
    assert keyring.peers() == {"n2": 0x22, "n3": 0x33}


def test_no_two_peers_share_a_key(keyring):
    keyring.add_peer("n2", 0x22)
    with pytest.raises(Refused, match="n2 is known by this key already"):
        keyring.add_peer("n3", 0x22)
    keyring.add_peer("N2", 0x22)
    assert keyring.peers() == {"n2": 0x22}


def test_a_peer_can_be_forgotten_whatever_its_file_holds(keyring):
    file = keyring.add_peer("n2", 0x22)
    keyring.add_peer("n3", 0x33)
    file.write_text("garbage")
    with pytest.raises(ConfigError, match="n2 holds no key") as error:
        keyring.peers()
    assert "node peer remove n2" in error.value.problems[0].hint
    assert keyring.peer("n2") is None
    assert keyring.remove_peer("N2") == file
    assert keyring.peers() == {"n3": 0x33}
    with pytest.raises(UsageError, match="no key of n2") as unknown:
        keyring.remove_peer("n2")
    assert "n3" in unknown.value.hint


def test_a_peers_garbage_is_written_over(keyring):
    keyring.add_peer("n2", 0x22).write_text("garbage")
    keyring.add_peer("n2", 0x222)
    assert (keyring.peer("N2"), keyring.peers()) == (0x222, {"n2": 0x222})
