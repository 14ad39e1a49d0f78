"""What this node has brought up: counted across calls, forgotten with the boot, and nobody's where it cannot be read."""

from __future__ import annotations

import json

import pytest

from vmsvc.core import booted
from vmsvc.core.errors import VmsvcError
from vmsvc.core.keeping import charge
from vmsvc.core.keeping.charge import charge_of, give_up_charge, note_attempt, take_charge
from vmsvc.core.node import Node


@pytest.fixture
def node(tmp_path):
    return Node(name="n1", root=tmp_path)


def test_what_is_brought_up_is_kept_until_it_is_given_up(node):
    take_charge(node, "web", ["a#1", "b#1"])
    assert charge_of(node, "web") == {"a#1": (), "b#1": ()}
    assert charge_of(node, "other") == {}
    give_up_charge(node, "web", ["a#1"])
    assert charge_of(node, "web") == {"b#1": ()}
    give_up_charge(node, "web", ["x#1"])
    assert charge_of(node, "web") == {"b#1": ()}
    give_up_charge(node, "web", [])
    assert charge_of(node, "web") == {}
    assert not list(node.run_dir.rglob("*.json"))


def test_attempts_are_counted_until_it_is_brought_up_anew(node):
    take_charge(node, "web", ["a#1", "b#1"])
    note_attempt(node, "web", "a#1", 5.0)
    note_attempt(node, "web", "a#1", 7.5)
    assert charge_of(node, "web") == {"a#1": (5.0, 7.5), "b#1": ()}
    take_charge(node, "web", ["a#1"])
    assert charge_of(node, "web") == {"a#1": (), "b#1": ()}


def test_a_reboot_forgets_all_even_where_files_survive_it(node, monkeypatch, tmp_path):
    take_charge(node, "web", ["a#1"])
    other = tmp_path / "boot_id"
    other.write_text("another\n")
    monkeypatch.setattr(booted, "_BOOT_ID", other)
    assert charge_of(node, "web") == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"boot": 1}', "null", "[" * 100000, b"\xff"])
def test_what_cannot_be_read_was_brought_up_by_nobody(node, content):
    take_charge(node, "web", ["a#1"])
    (file,) = node.run_dir.rglob("*.json")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert charge_of(node, "web") == {}
    boot = booted.boot_id()
    for up in ({"a#1": "x"}, {"a#1": 3}, ["a#1"], None):
        file.write_text(json.dumps({"boot": boot, "up": up}))
        assert charge_of(node, "web") == {}


def test_where_no_attempt_can_be_recorded_there_is_none(node):
    node.run_dir.mkdir(parents=True)
    (node.run_dir / "up").write_text("in the way")
    with pytest.raises(VmsvcError):
        note_attempt(node, "web", "a#1", 1.0)


def test_on_a_full_disk_all_is_given_up_rather_than_nothing(node, monkeypatch):
    take_charge(node, "web", ["a#1", "b#1"])

    def full(*_, **__):
        raise VmsvcError("no space left on device")

    monkeypatch.setattr(charge, "write_atomically", full)
    give_up_charge(node, "web", ["a#1"])
    assert charge_of(node, "web") == {}
