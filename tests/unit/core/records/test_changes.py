from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.records.changes import Change, Kind, changes, completed, is_complete, is_same


def disk(target, source="/x", **more):
    return {"rid": "container#1", "target": target, "source": source, **more}


def told(before, after):
    return [
        (" ".join(change.path), change.kind.value, change.before, change.after) for change in changes(before, after)
    ]


def test_field_by_field():
    before = {"settings": {"nodes": ["n1"], "comment": "", "lock_timeout": 10.0}, "status": {"avail": "down"}}
    after = {"settings": {"nodes": ["n1", "n2"], "comment": "", "lock_timeout": 5.0}, "status": {"avail": "up"}}
    assert told(before, after) == [
        ("settings nodes", "changed", ["n1"], ["n1", "n2"]),
        ("settings lock_timeout", "changed", 10.0, 5.0),
        ("status avail", "changed", "down", "up"),
    ]
    assert told(after, after) == []


def test_rows_are_known_by_their_names_and_not_by_their_places():
    before = {"disks": [disk("vda"), disk("vdb", size=1)]}
    after = {"disks": [disk("vdc", "/y"), disk("vdb", size=2), disk("vda")]}
    assert told(before, after) == [
        ("disks container#1 vdc", "added", None, disk("vdc", "/y")),
        ("disks container#1 vdb size", "changed", 1, 2),
    ]
    assert told(after, before) == [
        ("disks container#1 vdb size", "changed", 2, 1),
        ("disks container#1 vdc", "removed", disk("vdc", "/y"), None),
    ]


def test_a_disk_that_the_next_start_replaces_is_there_twice():
    before = [disk("vda", "/old", live=True, persistent=True)]
    after = [disk("vda", "/old", live=True, persistent=False), disk("vda", "/new", live=False, persistent=True)]
    assert told(before, after) == [
        ("container#1 vda persistent", "changed", True, False),
        ("container#1 vda (2)", "added", None, after[1]),
    ]


def test_when_and_how_one_looked_is_no_change():
    before = {"status": {"evidence": {"at": 1}, "notes": ["x"], "avail": "up"}, "gaps": ["a"]}
    after = {"status": {"evidence": {"at": 2}, "notes": [], "avail": "up"}, "gaps": ["b"]}
    assert changes(before, after) == ()
    assert is_same(before, after)


def test_what_is_not_known_any_more_has_not_gone():
    known, unknown = {"disks": [disk("vda")], "sizes": {"vcpus": 1}}, {"disks": None, "sizes": None}
    assert changes(known, unknown) == ()
    assert not is_same(known, unknown)
    assert completed(unknown, known) == known


def test_what_comes_to_be_known_is_compared_with_what_was_known_last():
    first = {"disks": [disk("vda", size=1)], "sizes": None}
    second = {"disks": None, "sizes": None}
    third = {"disks": [disk("vda", size=None), disk("vdb", size=3)], "sizes": {"vcpus": 1}}
    assert told(completed(second, first), third) == [
        ("disks container#1 vdb", "added", None, disk("vdb", size=3)),
        ("sizes", "changed", None, {"vcpus": 1}),
    ]
    assert completed(third, first)["disks"][0] == disk("vda", size=1)
    assert not is_complete(third)
    assert is_complete(first["disks"])


def test_what_has_gone_does_not_come_back():
    before, after = {"disks": [disk("vda", size=1), disk("vdb", size=2)]}, {"disks": [disk("vda", size=None)]}
    assert completed(after, before) == {"disks": [disk("vda", size=1)]}


def test_a_key_that_another_version_did_not_collect_is_no_change():
    assert changes({"a": 1}, {"a": 1, "b": 2}) == ()
    assert changes({"a": 1, "b": 2}, {"a": 1}) == ()


def test_a_value_of_another_form_is_told_as_a_whole():
    assert changes({"a": []}, {"a": ["x"]}) == (Change(path=("a",), kind=Kind.CHANGED, before=[], after=["x"]),)
    assert told({"a": [disk("vda")]}, {"a": []}) == [("a container#1 vda", "removed", disk("vda"), None)]
    assert told({"a": {"b": 1}}, {"a": "x"}) == [("a", "changed", {"b": 1}, "x")]


names = st.sampled_from(["rid", "target", "node", "a", "b", "evidence", "gaps"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(plain, plain)
def test_whatever_is_compared(before, after):
    found = changes(before, after)
    assert not changes(before, before)
    assert is_same(before, before)
    assert not (is_same(before, after) and found)
    assert not changes(completed(after, before), after)
    assert not changes(json.loads(json.dumps(before)), before)
    assert completed(after, after) == after
