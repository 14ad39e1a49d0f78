"""What ldm prints, as records: rightly or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_ldom import parse

from vmsvc.driver import Phase, Undetermined
from vmsvc.testing.standin import exchanges

[RECORDED] = exchanges(Path(__file__).parent / "samples/ldm-list.txt")
CONTROL = "VERSION 1.11\nDOMAIN|name=primary|state=active|flags=-n-cv-|ncpu=4|mem=1\n"


def domains(text):
    """The domains of a list that ends with a line."""
    return parse.domains(text.splitlines())


def test_a_recorded_list():
    found = domains(RECORDED.out)

    assert list(found) == ["primary", "host1", "host2"]
    assert {domain.phase for domain in found.values()} == {Phase.RUNNING}
    assert [domain.name for domain in found.values() if domain.is_control] == ["primary"]
    assert found["host2"].values["ncpu"] == "16"


@pytest.mark.parametrize(
    ("state", "flags", "phase"),
    [
        ("inactive", "------", Phase.STOPPED),
        ("bound", "-----", Phase.STOPPED),  # before migration came, there were five columns
        ("bound", "-----t", Phase.MIGRATING),
        ("bound", "s-----", Phase.STARTING),  # on its way, before its state follows
        ("inactive", "s-----", Phase.STARTING),
        ("bound", "-t----", Phase.STARTING),
        ("bound", "-----e", Phase.STUCK),
        ("active", "-n---s", Phase.MIGRATING),
        ("active", "-n----", Phase.RUNNING),
        ("active", "-t----", Phase.STARTING),
        ("active", "sn----", Phase.STARTING),
        ("active", "-n---e", Phase.STUCK),
        ("inactive", "s----", Phase.STARTING),
        ("inactive", "-----e", Phase.STUCK),
        ("inactive", "-d----", Phase.STOPPED),
        ("bound", "-d----", Phase.STOPPED),
        ("active", "-d----", Phase.UNKNOWN),  # "cannot be started", and runs: nobody tells of such a domain
        ("active", "------", Phase.UNKNOWN),
        ("active", "-x----", Phase.UNKNOWN),
        ("paused", "-n----", Phase.UNKNOWN),
        ("inactive", "", Phase.UNKNOWN),
    ],
)
def test_a_domain_stands_where_state_and_flags_say_and_else_nobody_knows(state, flags, phase):
    found = domains(f"{CONTROL}DOMAIN|name=a|state={state}|flags={flags}|ncpu=|mem=\n")

    assert found["a"].phase is phase


@pytest.mark.parametrize(
    "text",
    [
        "",
        "VERSION 1.11\n",
        RECORDED.out.partition("\n")[2],
        "VERSION 1.11\nDOMAIN|name=a|state=bound|flags=------\n",  # without the control domain
        f"{CONTROL}DOMAIN|name=a|sta",
        f"{CONTROL}DOMAIN|name=a\n",
        "NAME STATE FLAGS\nprimary active -n-cv-\n",
    ],
)
def test_a_list_that_is_not_whole_says_nothing(text):
    with pytest.raises(Undetermined):
        domains(text)


@given(st.text() | st.text().map(lambda text: f"VERSION 1.11\n{text}"))
def test_no_text_is_taken_for_a_list_without_domains(text):
    with contextlib.suppress(Undetermined):
        assert any(domain.is_control for domain in domains(text).values())


def test_disks_are_what_their_service_has_behind_them():
    backing = parse.volumes(
        "VERSION 1.11\nVCC|name=vcc0\n|vol=no|dev=/no\nVDS|name=vds0|dom=primary\n|vol=a|opts=|dev=/dev/dsk/c2t0d6\n"
        "|vol=b|dev=/dev/dsk/c2t0d7s2\n|vol=c|dev=/export/c.img\nVDS|name=vds1\n|vol=a|dev=/dev/zvol/rdsk/pool/a\n".splitlines()
    )
    disks = parse.disks(
        ["VERSION 1.11", "DOMAIN|name=web"]
        + [
            f"VDISK|name=vdisk{number}|vol={volume}|id={number}"
            for number, volume in enumerate(["a@vds0", "b@vds0", "c@vds0", "a@vds1", "a@elsewhere"])
        ],
        "web",
        backing,
    )

    assert [(disk.kind, disk.source) for disk in disks] == [
        ("block", "/dev/rdsk/c2t0d6s2"),
        ("block", "/dev/rdsk/c2t0d7s2"),
        ("file", "/export/c.img"),
        ("block", "/dev/zvol/rdsk/pool/a"),
        ("volume", "a@elsewhere"),  # which a disk service of another domain has: not taken for nothing
    ]


def test_a_domain_that_is_listed_twice_is_unknown():
    twice = "DOMAIN|name=a|state=active|flags=-n----\nDOMAIN|name=a|state=inactive|flags=------\n"
    with pytest.raises(Undetermined, match="'a' twice"):
        domains(CONTROL + twice)


@pytest.mark.parametrize("told", ["", "DOMAIN|name=db", "VDISK|name=vdisk0|vol=a@vds0"])
def test_disks_that_are_told_of_no_domain_or_of_another_one_are_not_this_one_s(told):
    with pytest.raises(Undetermined, match="does not tell of the domain 'web'"):
        parse.disks(["VERSION 1.11", told], "web", {})


def test_a_line_that_tells_something_twice_tells_nothing():
    with pytest.raises(Undetermined, match="something twice"):
        domains(CONTROL + "DOMAIN|name=db|state=active|flags=-n----|name=web\n")


@pytest.mark.parametrize("text", ["", "<?xml version='1.0'?>\n<LDM_interface>\n", "</LDM_interface"])
def test_constraints_that_are_not_whole_are_none(text):
    with pytest.raises(Undetermined, match="is not whole"):
        parse.constraints(text.splitlines())
    assert parse.constraints(["<LDM_interface>", "</LDM_interface>"]) == "<LDM_interface>\n</LDM_interface>\n"
