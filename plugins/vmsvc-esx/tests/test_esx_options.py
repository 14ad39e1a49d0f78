"""Where a server is, what proves that it is the right one, and who we are to it."""

import contextlib
import os

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_esx import EsxGuest, credentials, options
from vmsvc_esx.options import Access

from vmsvc.core.options import options_of
from vmsvc.driver import Undetermined

GUEST = EsxGuest(service="web", rid="container#1", kind="container", type="esx", name="web", server="esx1")
SECRET = "c4nary-p4ssword"


def test_server_uuid_and_place_tell_guests_apart():
    assert [option.key for option in options_of(EsxGuest) if option.identifies] == ["server", "uuid", "vmx"]
    assert GUEST.is_local is False


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("esx1.example.com", "esx1.example.com", 443),
        ("192.0.2.7:8443", "192.0.2.7", 8443),
        ("[2001:db8::7]:8443", "2001:db8::7", 8443),
        ("[2001:db8::7]", "2001:db8::7", 443),
    ],
)
def test_what_an_address_tells(text, host, port):
    access = Access(server=options.server.parse(text))
    assert (access.host, access.port) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "https://esx1/sdk", "root:secret@esx1", "esx1:0", "esx1:70000", "esx1:x", "es x1", "2001:db8::7"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match=r"address|empty|credentials") as refused:
        options.server.parse(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["web.vmx", "[ds1] /web.vmx", "/vmfs/volumes/ds1/web/web.vmx", "[ds1] web/web.vmdk"])
def test_what_is_no_place_in_a_datastore(text):
    with pytest.raises(ValueError, match="datastore"):
        options.vmx.parse(text)


def test_fingerprints_are_read_as_people_copy_them():
    digits = "0a" * 32
    for text in (digits, digits.upper(), ":".join(["0A"] * 32), f"sha256:{digits}"):
        assert options.thumbprint.parse(text) == digits
    with pytest.raises(ValueError, match="SHA-1"):
        options.thumbprint.parse(":".join(["0A"] * 20))
    with pytest.raises(ValueError, match="64 hexadecimal"):
        options.thumbprint.parse("0a")


@given(st.text() | st.integers() | st.booleans() | st.lists(st.text()))
def test_any_value_is_read_or_refused(raw):
    for value in (options.server, options.uuid, options.vmx, options.thumbprint):
        with contextlib.suppress(ValueError):
            value.parse(raw)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "esx.toml"
    file.touch(mode=0o600)
    return file


def found(access, file, **environment):
    made = credentials.find(access, file.parent, environment)
    return made.user, made.password


@pytest.mark.keyword("container.esx.credentials")
def test_credentials_are_the_node_s_unless_a_file_is_named(file, tmp_path):
    file.write_text(f'user = "root"\npassword = "{SECRET}"\n')
    other = tmp_path / "other.toml"
    other.touch(mode=0o600)
    other.write_text('user = "vmsvc"\npassword = "x"\n')
    assert found(GUEST.access, file) == ("root", SECRET)
    assert found(evolve(GUEST, credentials=str(other)).access, file) == ("vmsvc", "x")


def test_a_server_may_have_a_table_of_its_own(file):
    file.write_text(
        'user = "root"\npassword = "all"\n[esx2]\npassword = "two"\n["esx3:8443"]\nuser = "u"\npassword = "3"'
    )
    wanted = {"esx1": ("root", "all"), "esx2": ("root", "two"), "esx2:9443": ("root", "two"), "esx3:8443": ("u", "3")}
    assert {server: found(Access(server=server), file) for server in wanted} == wanted


def test_the_environment_comes_first_where_it_has_both(file):
    file.write_text('user = "root"\npassword = "x"\n')
    both = {"VMSVC_ESX_USER": "vmsvc", "VMSVC_ESX_PASSWORD": "y"}
    assert found(GUEST.access, file, **both) == ("vmsvc", "y")
    assert found(GUEST.access, file, VMSVC_ESX_PASSWORD="y") == ("root", "x")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_read_is_not_used(file, mode):
    file.write_text(f'user = "root"\npassword = "{SECRET}"\n')
    file.chmod(mode)
    with pytest.raises(Undetermined, match="read by others") as refused:
        found(GUEST.access, file)
    assert refused.value.hint == f"`chmod 600 {file}`"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_used(file):
    os.chown(file, 65534, 65534)
    with pytest.raises(Undetermined, match="another user"):
        found(GUEST.access, file)


@pytest.mark.parametrize(
    "text",
    [
        f'password = "{SECRET}"\n', f'user = "root"\npassword = {SECRET}\n', f'user = "root"\npassword = "{SECRET}',
        f'user = 7\npassword = "{SECRET}"\n', f"{SECRET}\n", f'esx1 = "{SECRET}"\nuser = "u"\npassword = "p"\n',
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_without_its_text(file, text):
    file.write_text(text)
    with pytest.raises(Undetermined) as refused:
        found(GUEST.access, file)
    assert str(file) in str(refused.value)
    assert SECRET not in str(refused.value)


def test_no_file_tells_how_to_make_one(file):
    file.unlink()
    with pytest.raises(Undetermined, match="no credentials for esx1") as refused:
        found(GUEST.access, file)
    assert "VMSVC_ESX_PASSWORD" in refused.value.hint


def test_a_password_is_never_shown(file):
    file.write_text(f'user = "root"\npassword = "{SECRET}"\n')
    assert SECRET not in repr(credentials.find(GUEST.access, file.parent, {}))
