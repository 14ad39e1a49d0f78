"""The line for vmsvc's own key, and files that get it."""

import shlex

import pytest
from attrs import evolve

from vmsvc.core.errors import Refused, UsageError
from vmsvc.core.trust.wanted import Wanted, with_line

KEY = "ssh-ed25519 AAAAOURS"


def wanted(*words):
    return Wanted(name="s", script="/lib/s", text="", words=words, public_key=KEY, comment="vmsvc@n1")


OURS = wanted("permit")
LINE = OURS.line


def command_in(line):
    """The command as sshd takes it out of a line: a backslash only stands before a quotation mark."""
    text = line.removeprefix('restrict,command="')
    assert text != line
    return text[: text.index('" ssh-')].replace('\\"', '"')


@pytest.mark.parametrize("directory", ["/svc/etc/init.d", "/with blank", '/with "marks"', "/it's", "/$(reboot)", "/ä"])
def test_a_directory_reaches_the_script_as_it_is(directory):
    assert shlex.split(command_in(wanted("permit", directory).line)) == ["/bin/sh", "/lib/s", "permit", directory]


def test_no_directory_can_begin_another_line():
    with pytest.raises(UsageError):
        _ = wanted("permit", "/a\nssh-ed25519 AAAATHEIRS").line


@pytest.mark.parametrize("before", ["", "ssh-rsa X a\n", "# c\n\nssh-rsa X a", "one\x0cline\nssh-rsa \udcff\r\n"])
def test_the_line_comes_behind_those_of_others_and_once(before):
    after = with_line(before, OURS)
    assert after.startswith(before)
    assert after.endswith(f"{LINE}\n")
    assert with_line(after, OURS) == after


def test_a_line_that_permits_more_by_the_same_key_is_replaced():
    assert with_line(f"{KEY} root\nssh-rsa X a\n# {KEY}\n", OURS) == f"ssh-rsa X a\n# {KEY}\n{LINE}\n"


@pytest.mark.parametrize("blank", ["\t", "  ", " \t "])
@pytest.mark.parametrize("behind", ["", " root", "\troot", "  "])
def test_a_line_with_other_blanks_is_the_same_keys(blank, behind):
    key = KEY.replace(" ", blank)
    assert with_line(f"{key}{behind}\nssh-rsa X a\n", OURS) == f"ssh-rsa X a\n{LINE}\n"
    assert with_line(f'from="10.0.0.1"{blank}{key}{behind}\n', OURS) == f'from="10.0.0.1",{LINE}\n'


@pytest.mark.parametrize(
    "line",
    [
        f"ssh-rsa AAAAADMIN admin # {KEY} was here",
        f"ssh-rsa AAAAADMIN {KEY}",
        f'from="10.0.0.1" ssh-rsa AAAAADMIN {KEY}',
        f'command="echo {KEY} x" ssh-rsa AAAAADMIN admin',
        f'command="echo \\" {KEY} \\"" ssh-rsa AAAAADMIN admin',
        f"  # {KEY}",
    ],
)
def test_the_line_of_another_key_stays_though_it_names_ours(line):
    assert with_line(f"{line}\n", OURS) == f"{line}\n{LINE}\n"


def test_a_longer_key_that_begins_alike_is_anothers():
    assert with_line(f"{KEY}MORE theirs\n", OURS) == f"{KEY}MORE theirs\n{LINE}\n"


def test_of_two_lines_with_the_same_key_one_is_left():
    assert with_line(f"{KEY} root\n{LINE}\n", OURS) == f"{LINE}\n"


@pytest.mark.parametrize("narrowed", ['from="10.0.0.1,n? ,x"', 'expiry-time="20300101",FROM="10.0.0.1"'])
def test_what_an_admin_has_narrowed_the_key_by_stays(narrowed):
    older = wanted("permit", "/old").line
    after = with_line(f"{narrowed},no-pty,{older}\n", OURS)
    assert after == f"{narrowed},{LINE}\n"
    assert with_line(after, OURS) == after


def test_the_line_of_another_script_with_the_same_key_is_not_replaced():
    other = evolve(OURS, name="t", script="/lib/t")
    with pytest.raises(Refused, match="/lib/t permit"):
        with_line(f"ssh-rsa X a\n{other.line}\n", OURS)
