"""What hpvmstatus prints, as records: rightly or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_hpvm import parse

from vmsvc.driver import Phase, Undetermined
from vmsvc.testing.standin import exchanges

[RECORDED] = exchanges(Path(__file__).parent / "samples/hpvmstatus.txt")
HEAD = "".join(RECORDED.out.splitlines(keepends=True)[:3])


def table(text):
    """The guests of a table, by their names."""
    return {guest.name: guest for guest in parse.table(text.splitlines())}


def test_a_recorded_table():
    found = table(RECORDED.out)

    assert [name for name, guest in found.items() if guest.phase is Phase.RUNNING] == [
        "oratest01",
        "oratest02",
        "sles01",
        "hp-vxvm",
    ]
    assert {guest.state for guest in found.values()} == {"On (OS)", "Off"}
    assert (found["hp-vxvm"].vcpus, found["hp-vxvm"].memory_mib) == (2, 6144)


def test_a_name_that_is_wider_than_its_column():
    found = table(f"{HEAD}a-name-of-more-than-twenty 12 HPUX    Off            3     8     3  512 MB        0\n")

    assert found["a-name-of-more-than-twenty"].phase is Phase.STOPPED
    assert found["a-name-of-more-than-twenty"].memory_mib == 512


@pytest.mark.parametrize("word", ["Invalid", "On (MIG)", "off", "On", "Off (X)", "Hung"])
def test_a_word_that_nobody_knows_is_unknown(word):
    found = table(f"{HEAD}web                      3 HPUX    {word:<9}      3     8     3    8 GB        0\n")

    assert found["web"].phase is Phase.UNKNOWN


def test_no_guests_is_a_table_without_rows():
    assert table(HEAD) == {}


@pytest.mark.parametrize(
    "text", ["", HEAD.splitlines()[0], HEAD + "web   1 HPUX  O", HEAD + "web\n", "hpvmstatus: gone\n"]
)
def test_what_is_not_the_whole_table_says_nothing(text):
    with pytest.raises(Undetermined):
        table(text)


@given(st.text())
def test_no_text_is_taken_for_a_table_without_guests(text):
    with contextlib.suppress(Undetermined):
        assert table(text)
    with contextlib.suppress(Undetermined):
        table(HEAD + text)
    with contextlib.suppress(Undetermined):
        parse.disks(text.splitlines())
    assert parse.started_with_the_node(text.splitlines()) is not None


@pytest.mark.parametrize("second", ["web                      4", "db                       3"])
def test_two_guests_of_one_name_or_number_tell_nothing(second):
    first = "web                      3"
    rows = "".join(f"{each} HPUX    {word:<9}      3     8     3    8 GB        0\n" for each, word in
                   ((first, "On (OS)"), (second, "Off")))  # fmt: skip
    with pytest.raises(Undetermined, match="two guests"):
        table(HEAD + rows)


def test_what_is_told_of_another_guest_is_not_taken_for_this_one():
    told = "Virtual Machine Name VM #  OS Type State\n==== ====\ndb   3 HPUX  Off (NR)\n[Authorized Administrators]\n"
    assert parse.details(told.splitlines(), "db") == (3, "Off (NR)")
    for text, name in ((told, "web"), (told.replace("Off (NR)", "Off (NR"), "db"), (HEAD, "db"), ("", "db")):
        with pytest.raises(Undetermined):
            parse.details(text.splitlines(), name)


def test_disks_are_told_apart():
    found = parse.disks(
        "[Storage Interface Details]\ndisk:avio_stor:0,0,0:disk:/dev/rdisk/disk6\n"
        "disk:scsi:0,2,1:lv:/dev/vg00/rweb\ndisk:scsi:0,2,2:file:/srv/a:b.img\ndvd:scsi:0,2,3:null:/dvd\n"
        "[Network Interface Details]\nnetwork:lan:0,0:vswitch:prod\n".splitlines()
    )

    assert [(disk.kind, disk.source, disk.device) for disk in found] == [
        ("block", "/dev/rdisk/disk6", "disk"),
        ("block", "/dev/vg00/rweb", "disk"),
        ("file", "/srv/a:b.img", "disk"),
        ("null", "/dvd", "cdrom"),
    ]


DISK = "disk:avio_stor:0,0,0:disk:/dev/rdisk/disk6"


@pytest.mark.parametrize(
    "line",
    ["garbage", "disk:scsi:0,2", f"{DISK}  extra", "disk:scsi:0,0,0:disk:rdisk", "disk:scsi:0,0,0:lv:", "ufo:a:0:b:/c"],
)
def test_a_device_that_cannot_be_read_is_not_left_out(line):
    with pytest.raises(Undetermined, match="hpvmstatus"):
        parse.disks(["[Storage Interface Details]", DISK, line])


@pytest.mark.parametrize("lines", [[], [""], [DISK], ["[Network Interface Details]"]])
def test_an_answer_that_is_about_no_disks_is_not_one_without_disks(lines):
    with pytest.raises(Undetermined, match="not what a guest has"):
        parse.disks(lines)
    assert parse.disks(["[Storage Interface Details]", *lines[:0]]) == []


def test_what_follows_the_last_column_is_read():
    row = "web                      3 HPUX    Off            3     8     3    2 GB"
    assert set(table(f"{HEAD}{row}        0\n{row.replace('web', 'db ').replace(' 3 HPUX', ' 4 HPUX')}\n")) == {
        "web",
        "db",
    }
    for rest in ("x", " 0 garbage", "  0  extra"):
        with pytest.raises(Undetermined, match="no line of its table"):
            table(f"{HEAD}{row}{rest}\n")
