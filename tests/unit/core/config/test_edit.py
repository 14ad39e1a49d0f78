"""Edits change one key and nothing else, are validated first, and never leave half a file."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.config import Catalog, ini, literally, load_service, parse_service, service_file
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.config.edit import check_free, draft, get_key, set_keys, unset_keys
from vmsvc.core.errors import ConfigError, UsageError, VmsvcError
from vmsvc.core.node import Node
from vmsvc.core.options import line, option
from vmsvc.core.resource import Guest


@frozen(kw_only=True)
class HyperGuest(Guest):
    uri: str = option(line, default="qemu:///system", help="Where the hypervisor listens.")


def listing(directory):
    return sorted(path.name for path in directory.iterdir())


CATALOG = Catalog(classes={("container", "kvm"): HyperGuest})
NODE = Node(name="n1.example.com")

INI = """# the web shop

\t[default]
\tapp = ERP   ; who pays
\t# who runs it
\tNodes=  n1.example.com
\t   n2

        [container#1]
        type: kvm
        name = vm1
"""
INI_AFTER = """# the web shop

\t[default]
\tapp = CRM   ; who pays
\t# who runs it
\tNodes=  n1.example.com n2 n3
\tapp@n2 = other

        [container#1]
        type: kvm
        name = vm2
        name@n1.example.com = vm3

\t[ip#1]
\tipname = a
\tipdev = lan0
"""
TOML = """# the web shop
[DEFAULT]
app = "ERP"  # who pays
nodes = ["n1.example.com", "n2"]
rollback = true

["container#1"]
type = "kvm"
name = "vm1"
"""


def test_ini_edits_keep_everything_else(tmp_path):
    file = tmp_path / "web.env"
    file.write_text(INI)

    set_keys(
        file,
        {
            "app": "CRM",
            "DEFAULT.nodes": "n1.example.com n2 n3",
            "app@n2": "other",
            "container#1.name": "vm2",
            "container#1.name@n1.example.com": "vm3",
            "ip#1.ipname": "a",
            "ip#1.ipdev": "lan0",
        },
        NODE,
        CATALOG,
    )

    assert file.read_text() == INI_AFTER
    assert load_service(file, NODE, CATALOG).guests[0].name == "vm3"
    assert get_key(file, "container#1.name@N1.example.com") == "vm3"
    unset_keys(file, ["container#1.name@n1.example.com", "app@n2"], NODE, CATALOG)
    assert load_service(file, NODE, CATALOG).guests[0].name == "vm2"


def test_toml_edits_keep_everything_else(tmp_path):
    file = tmp_path / "web.toml"
    file.write_text(TOML)

    set_keys(
        file,
        {
            "app": "CRM",
            "nodes": "n1.example.com n3",
            "rollback": "false",
            "container#1.name@n3": "x",
            "vmdg.comment": "y",
        },
        NODE,
        CATALOG,
    )

    text = file.read_text()
    assert text.startswith('# the web shop\n[DEFAULT]\napp = "CRM"  # who pays\nnodes = ["n1.example.com", "n3"]\n')
    assert "rollback = false" in text
    service = load_service(file, NODE, CATALOG)
    assert (service.app, service.nodes, service.rollback) == ("CRM", ("n1.example.com", "n3"), False)
    assert get_key(file, "nodes") == "n1.example.com n3"
    assert get_key(file, "container#1.name@n3") == "x"
    unset_keys(file, ["container#1.name@n3", "DEFAULT.rollback"], NODE, CATALOG)
    assert "@n3" not in file.read_text()
    assert load_service(file, NODE, CATALOG).rollback is True


def test_line_ends_stay(tmp_path):
    file = tmp_path / "web.conf"
    file.write_bytes(b"[DEFAULT]\r\napp = a")

    set_keys(file, {"app": "b", "comment": "one\ntwo", "app#1.comment": "c"}, NODE, CATALOG)

    assert file.read_bytes() == b"[DEFAULT]\r\napp = b\r\ncomment = one\r\n    two\r\n\r\n[app#1]\r\ncomment = c\r\n"
    assert get_key(file, "comment") == "one\ntwo"


@pytest.mark.parametrize("settings", [{"nods": "a"}, {"rollback": "perhaps"}, {"vmdg.scsireserv": "true"}])
@pytest.mark.parametrize(("name", "text"), [("w.env", "[DEFAULT]\napp = a\n"), ("w.toml", '[DEFAULT]\napp = "a"\n')])
def test_what_would_be_wrong_is_refused(tmp_path, settings, name, text):
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(ConfigError):
        set_keys(file, settings, NODE, CATALOG)

    assert file.read_text() == text
    assert listing(tmp_path) == [name]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a ; b", "` ;` begins a comment"),
        ("; b", "` ;` begins a comment"),
        ("one\n\ntwo", "an empty line"),
        ("one\n# two", "is a comment"),
        ("one\n[two]", "is a section"),
        ("one\n  two", "blanks"),
        ("one\rtwo", "blanks and line ends"),
    ],
)
def test_values_that_ini_cannot_hold_are_refused(tmp_path, value, why):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\ncomment = x\n")

    with pytest.raises(UsageError, match="cannot hold") as raised:
        set_keys(file, {"comment": value}, NODE, CATALOG)

    assert why in raised.value.message

    assert file.read_text() == "[DEFAULT]\ncomment = x\n"


@pytest.mark.parametrize("address", ["", "DEFAULT.", "app@", "a=b", "x\ny", "[DEFAULT].app"])
def test_addresses_are_checked(tmp_path, address):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\napp = x\n")

    with pytest.raises(UsageError, match="names no key"):
        get_key(file, address)


def test_a_key_that_is_not_there(tmp_path):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\napp = x\n")

    with pytest.raises(UsageError) as raised:
        unset_keys(file, ["apps"], NODE, CATALOG)

    assert raised.value.code == "usage.no-such-key"
    assert raised.value.hint == "did you mean `app`?"


@pytest.mark.parametrize(
    ("before", "settings", "after"),
    [
        ("[DEFAULT]\napp=a\n", {"app": "b", "comment": "c"}, "[DEFAULT]\napp=b\ncomment=c\n"),
        ("[DEFAULT]\napp:a\n", {"app": "b", "comment": "c"}, "[DEFAULT]\napp:b\ncomment:c\n"),
        ("[DEFAULT]\napp =\n", {"app": "b"}, "[DEFAULT]\napp = b\n"),
        ("[DEFAULT]\napp=\n", {"app": "b"}, "[DEFAULT]\napp=b\n"),
    ],
)
def test_ini_style_stays(tmp_path, before, settings, after):
    file = tmp_path / "web.conf"
    file.write_text(before)

    set_keys(file, settings, NODE, CATALOG)

    assert file.read_text() == after


OLD = "[DEFAULT]\nnodes = n1.example.com n2\nservice_type = DEV\nmode = kvm\nvm_name = vm1\nvm_name@n2 = vm2\nautostart_node = n1\n"


def test_setting_a_key_replaces_its_old_name(tmp_path):
    file = tmp_path / "old.env"
    file.write_text(OLD)

    problems = set_keys(file, {"env": "PRD", "container#1.name": "vm3", "orchestrate": "no"}, NODE, CATALOG)

    assert file.read_text() == (
        "[DEFAULT]\nnodes = n1.example.com n2\nmode = kvm\nvm_name@n2 = vm2\nenv = PRD\norchestrate = no\n\n[container#1]\nname = vm3\n"
    )
    assert [problem.message for problem in problems if problem.code == "config.legacy-replaced"] == [
        "`service_type` is an old name: it was replaced by DEFAULT.env",
        "`vm_name` is an old name: it was replaced by container#1.name",
        "`autostart_node` is an old name: it was replaced by DEFAULT.orchestrate",
    ]
    with pytest.raises(UsageError) as raised:
        get_key(file, "container#1.type")
    assert raised.value.hint == "it is there under its old name, DEFAULT.mode"


def test_another_container_does_not_take_over_old_names(tmp_path):
    file = tmp_path / "old.env"
    file.write_text(OLD)

    with pytest.raises(ConfigError):
        set_keys(file, {"container#2.type": "kvm", "container#2.name": "b"}, NODE, CATALOG)

    assert file.read_text() == OLD


@pytest.mark.parametrize(
    ("name", "text", "after"),
    [
        ("w.conf", "[DEFAULT]\n[ip]\nipname=a\nipdev=b\n\n# next\n[vmdg]\n[container#1]\ntype=kvm\n",
         "[DEFAULT]\n# next\n[vmdg]\n[container#1]\ntype=kvm\n"),
        ("w.toml", "[DEFAULT]\n[ip]\nipname='a'\nipdev='b'\n", "[DEFAULT]\n"),
    ],
)  # fmt: skip
def test_a_section_is_removed_by_its_name(tmp_path, name, text, after):
    file = tmp_path / name
    file.write_text(text)

    unset_keys(file, ["ip"], NODE, CATALOG)

    assert file.read_text() == after


def test_a_key_of_the_service_is_never_taken_for_a_section(tmp_path):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\n[app]\nstart = a\n")

    with pytest.raises(UsageError, match=r"does not give DEFAULT\.app"):
        unset_keys(file, ["app"], NODE, CATALOG)
    with pytest.raises(UsageError, match="does not give"):
        unset_keys(file, ["DEFAULT"], NODE, CATALOG)


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=20).map(str.strip)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c@n1"]), WORDS), max_size=4), st.sampled_from("abc"), WORDS)
def test_setting_then_unsetting_gives_the_text_back(pairs, key, value):
    keys = dict(pairs)
    text = "[DEFAULT]\n# a comment\n" + "".join(f"  {label} = {words}\n" for label, words in keys.items()) + "\n[ip]\n"

    changed = ini.set_key(text, "DEFAULT", "new@x", value)

    assert f"new@x = {value}".rstrip() in changed
    assert ini.unset_key(changed, "DEFAULT", "new@x") == text


# --- writing -----------------------------------------------------------------------------------------------------------


def test_mode_and_link_stay(tmp_path):
    real = tmp_path / "real.conf"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link.conf"
    link.symlink_to("real.conf")

    write_atomically(link, "new")

    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert listing(tmp_path) == ["link.conf", "real.conf"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(tmp_path):
    file = tmp_path / "a.conf"
    file.write_text("old")
    os.chown(file, 1234, 1235)

    write_atomically(file, "new")

    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 1235)


def test_a_new_file_is_private(tmp_path):
    write_atomically(tmp_path / "a.conf", "new")

    assert stat.S_IMODE((tmp_path / "a.conf").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    file = tmp_path / "a.conf"
    file.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a real failure of write(), as on a full disk
    try:
        with pytest.raises(VmsvcError, match="could not be written: File too large"):
            write_atomically(file, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert file.read_text() == "old"
    assert listing(tmp_path) == ["a.conf"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_directory_that_is_not_there_is_made(tmp_path, replace):
    write_atomically(tmp_path / "state/guests/a.conf", "x", replace=replace, directory_mode=0o700)
    assert (tmp_path / "state/guests/a.conf").read_text() == "x"
    assert stat.S_IMODE((tmp_path / "state/guests").stat().st_mode) == 0o700
    write_atomically(tmp_path / "etc/a.conf", "x", replace=replace)
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) & 0o700 == 0o700


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("folder", ["file", "file/below", "link"])
def test_a_directory_that_cannot_be_made(tmp_path, folder, replace):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(VmsvcError, match=r"could not be (made|written): ") as error:
        write_atomically(tmp_path / folder / "a.conf", "x", replace=replace)
    assert (error.value.code, bool(error.value.hint)) == ("failed.write", True)
    assert (tmp_path / "file").read_text() == "old"


# --- creating ----------------------------------------------------------------------------------------------------------


def test_create(tmp_path):
    node = Node(name="n1", root=tmp_path)

    check_free(node, "web")
    made = draft(node, "web", CATALOG, settings={"container#1.type": "kvm", "app": "ERP"})
    made.write()

    path = made.path
    assert path == service_file(node, "web")
    assert path.read_text() == "[DEFAULT]\napp = ERP\n\n[container#1]\ntype = kvm\n"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~umask
    with pytest.raises(UsageError, match="is there already"):
        check_free(node, "web")
    with pytest.raises(UsageError, match="is there already"):
        write_atomically(path, "x", replace=False)
    assert listing(node.services_dir) == ["web.conf"]


def test_create_in_toml_from_a_template(tmp_path):
    node = Node(name="n1", root=tmp_path)

    made = draft(
        node, "web", CATALOG, template='["container#1"]\ntype = "kvm"\n', settings={"app": "x"}, suffix=".toml"
    )
    made.write()

    assert load_service(made.path, node, CATALOG).app == "x"


@pytest.mark.parametrize(("name", "settings"), [("-x", {}), ("a/b", {}), ("", {}), ("ok", {"nods": "a"})])
def test_nothing_wrong_is_made(tmp_path, name, settings):
    with pytest.raises((UsageError, ConfigError)):
        draft(Node(name="n1", root=tmp_path), name, CATALOG, settings=settings)

    assert listing(tmp_path) == []


def test_a_draft_writes_nothing_until_it_is_told_to(tmp_path):
    node = Node(name="n1", root=tmp_path)
    made = draft(node, "job", CATALOG, settings={"comment": "one"})
    assert (made.text, made.service.comment) == ("[DEFAULT]\ncomment = one\n", "one")
    assert list(tmp_path.iterdir()) == []
    made.write()
    assert made.path.read_text() == made.text
    with pytest.raises(UsageError, match="is there already"):
        made.write()


def test_toml_holds_blanks_at_the_ends(tmp_path):
    made = draft(Node(name="n1", root=tmp_path), "job", CATALOG, settings={"comment": " one "}, suffix=".toml")
    assert made.service.comment == " one "


@given(st.text(st.sampled_from("a{}$#.svc"), max_size=12))
def test_literally_means_what_it_says(text):
    made = f"[DEFAULT]\ncomment = x{literally(text)}x\n"
    service, _ = parse_service(Path("/x/job.conf"), Node(name="n1"), CATALOG, text=made)
    # The one text that cannot be said: what is written to be literal already.
    assert (service is not None and service.comment == f"x{text}x") or "{{" in text


@pytest.mark.parametrize("written", ["container#7", "container#7.name"])
def test_a_section_that_is_not_there_is_called_a_section(tmp_path, written):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\nnodes = n1\n[app#1]\ncheck = true\n")

    with pytest.raises(UsageError, match=r"has no section \[container#7\]") as raised:
        unset_keys(file, [written], NODE, CATALOG)

    assert raised.value.code == "usage.no-such-section"
    assert raised.value.hint == "its sections: DEFAULT, app#1"


def test_no_key_is_guessed_that_has_only_its_section_in_common(tmp_path):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\nnodes = n1\n")

    with pytest.raises(UsageError) as raised:
        unset_keys(file, ["foo"], NODE, CATALOG)

    assert raised.value.hint == "`vmsvc show web` lists what there is"
