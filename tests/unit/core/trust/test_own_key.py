"""vmsvc's own key is made once, for its owner alone, and never replaced."""

import stat

import pytest
from paramiko import PKey

from vmsvc.core.errors import ConfigError
from vmsvc.core.transport.ssh.keys import Keys
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
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key"):
        own_key(tmp_path / "key")
    assert (tmp_path / "key").read_text() == "no key"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o666])
def test_a_key_that_others_may_read_is_offered_to_nobody(tmp_path, mode):
    file = tmp_path / "key"
    made = own_key(file)
    file.chmod(mode)
    with pytest.raises(ConfigError, match="others than its owner may read or write it") as error:
        own_key(file)
    assert f"chmod 600 {file}" in error.value.hint
    keys = Keys({"identityfile": [str(tmp_path / "none")], "identityagent": "none"}, "root", own=file)
    assert [key.name for key in keys.get_sources()] == []
    assert "others than its owner may read or write it" in keys.unusable[0]
    file.chmod(0o600)
    assert own_key(file) == made
    assert [key.is_own for key in keys.get_sources()] == [True]
