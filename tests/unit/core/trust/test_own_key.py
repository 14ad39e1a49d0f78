"""vmsvc's own key is made once, for its owner alone, and never replaced."""

import stat

import pytest
from paramiko import PKey

from vmsvc.core.errors import ConfigError
from vmsvc.core.trust.own_key import own_key


def test_it_is_made_once_and_for_its_owner_alone(tmp_path):
    file = tmp_path / "ssh/id_ed25519"
    made = own_key(file)
    assert own_key(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_it_is_what_paramiko_offers(tmp_path):
    made = own_key(tmp_path / "key")
    offered = PKey.from_path(tmp_path / "key")
    assert (f"{offered.get_name()} {offered.get_base64()}", offered.fingerprint) == (made.public, made.fingerprint)


def test_a_file_that_holds_no_key_is_left_as_it_is(tmp_path):
    (tmp_path / "key").write_text("no key")
    with pytest.raises(ConfigError, match="holds no key"):
        own_key(tmp_path / "key")
    assert (tmp_path / "key").read_text() == "no key"
