"""Comparing the forms of a definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.answers import DefinitionFields
from vmsvc.core.guests.drift import differences


def form(secret=(), **values):
    return DefinitionFields(
        values={name.replace("__", "/"): value for name, value in values.items()}, secret=frozenset(secret)
    )


def told(**forms):
    return {each.field: dict(each.values) for each in differences(forms)}


def test_nothing_differs_where_all_say_the_same():
    assert told(live=form(a="1", b=""), persistent=form(b="", a="1")) == {}
    assert told(live=form(a="1")) == {}
    assert told() == {}


def test_each_field_that_differs_is_told_with_what_every_form_says():
    assert told(live=form(a="1", b="x"), persistent=form(a="2", b="x"), kept=form(a="1", b="x")) == {
        "a": {"live": "1", "persistent": "2", "kept": "1"}
    }


def test_a_field_that_one_of_them_lacks():
    assert told(live=form(a=""), kept=form()) == {"a": {"live": "yes", "kept": None}}


def test_a_whole_that_one_of_them_lacks_is_told_once_with_its_parts():
    disk = form(disk="", disk__type="file", disk__source="/a", disk__source__index="2", disks="")
    assert told(live=disk, kept=form(disks="")) == {
        "disk": {"live": "type file, source /a, source/index 2", "kept": None}
    }
    other = form(disk="", disk__type="block", disk__source="/a", disk__source__index="2", disks="")
    assert told(live=disk, persistent=other, kept=form(disks="")) == {
        "disk": {
            "live": "type file, source /a, source/index 2",
            "persistent": "type block, source /a, source/index 2",
            "kept": None,
        }
    }


def test_a_part_that_one_of_them_lacks_is_told_by_itself():
    assert told(live=form(disk="", disk__ro=""), kept=form(disk="")) == {"disk/ro": {"live": "yes", "kept": None}}


def test_secrets_are_told_to_differ_and_never_shown():
    found = told(
        live=form(vnc="", vnc__pw="one", secret=["vnc/pw"]), kept=form(vnc="", vnc__pw="two", secret=["vnc/pw"])
    )
    assert found == {"vnc/pw": {"live": "(secret)", "kept": "(secret)"}}
    whole = told(live=form(vnc="", vnc__pw="one", secret=["vnc/pw"]), kept=form())
    assert whole == {"vnc": {"live": "pw (secret)", "kept": None}}


flat = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["", "1", "2"]), max_size=8)


@given(flat, st.randoms())
def test_the_order_of_fields_makes_no_difference(values, chance):
    shuffled = list(values.items())
    chance.shuffle(shuffled)
    assert differences({"live": form(**values), "kept": form(**dict(shuffled))}) == ()


@given(flat, flat)
def test_all_that_differs_is_told_and_nothing_else(one, other):
    found = {each.field for each in differences({"live": form(**one), "kept": form(**other)})}
    assert found == {name for name in {*one, *other} if one.get(name) != other.get(name)}
