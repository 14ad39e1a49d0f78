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


def test_a_recorded_table():
    found = parse.guests(RECORDED.out)

    assert [name for name, guest in found.items() if guest.phase is Phase.RUNNING] == [
        "oratest01",
        "oratest02",
        "sles01",
        "hp-vxvm",
    ]
    assert {guest.state for guest in found.values()} == {"On (OS)", "Off"}
    assert (found["hp-vxvm"].vcpus, found["hp-vxvm"].memory_mib) == (2, 6144)


def test_a_name_that_is_wider_than_its_column():
    found = parse.guests(f"{HEAD}a-name-of-more-than-twenty 12 HPUX    Off            3     8     3  512 MB        0\n")

    assert found["a-name-of-more-than-twenty"].phase is Phase.STOPPED
    assert found["a-name-of-more-than-twenty"].memory_mib == 512


@pytest.mark.parametrize("word", ["Invalid", "On (MIG)", "off", "On"])
def test_a_word_that_nobody_knows_is_unknown(word):
    found = parse.guests(f"{HEAD}web                      3 HPUX    {word:<9}      3     8     3    8 GB        0\n")

    assert found["web"].phase is Phase.UNKNOWN


def test_no_guests_is_a_table_without_rows():
    assert parse.guests(HEAD) == {}


@pytest.mark.parametrize(
    "text", ["", HEAD.splitlines()[0], HEAD + "web   1 HPUX  O", HEAD + "web\n", "hpvmstatus: gone\n"]
)
def test_what_is_not_the_whole_table_says_nothing(text):
    with pytest.raises(Undetermined):
        parse.guests(text)


@given(st.text())
def test_no_text_is_taken_for_a_table_without_guests(text):
    with contextlib.suppress(Undetermined):
        assert parse.guests(text)
    with contextlib.suppress(Undetermined):
        parse.guests(HEAD + text)
    parse.disks(text)
    parse.starts_by_itself(text)


def test_disks_are_told_apart():
    found = parse.disks(
        "[Storage Interface Details]\ndisk:avio_stor:0,0,0:disk:/dev/rdisk/disk6\n"
        "disk:scsi:0,2,1:lv:/dev/vg00/rweb\ndisk:scsi:0,2,2:file:/srv/a:b.img\ndvd:scsi:0,2,3:null:/dvd\n"
        "network:lan:0,0:vswitch:prod\n"
    )

    assert [(disk.kind, disk.source, disk.device) for disk in found] == [
        ("block", "/dev/rdisk/disk6", "disk"),
        ("block", "/dev/vg00/rweb", "disk"),
        ("file", "/srv/a:b.img", "disk"),
        ("null", "/dvd", "cdrom"),
    ]
