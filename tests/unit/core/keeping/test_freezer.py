"""Frozen services: what is recorded, what survives, and what counts as frozen."""

from __future__ import annotations

import pytest

from vmsvc.core.errors import VmsvcError
from vmsvc.core.keeping.freezer import Freeze, freeze, freeze_of, freezes, thaw
from vmsvc.core.node import Node


@pytest.fixture
def node(tmp_path):
    return Node(name="n1", root=tmp_path)


def test_a_freeze_is_there_for_everybody_until_it_is_thawed(node):
    assert freeze_of(node, "web") is None
    made = freeze(node, "web", "storage is moved")
    assert freeze_of(Node(name="n1", root=node.root), "web") == made
    assert str(made).startswith("frozen since 2")
    assert str(made).endswith(": storage is moved")
    assert freeze_of(node, "web2") is None
    assert thaw(node, "web")
    assert freeze_of(node, "web") is None
    assert not thaw(node, "web")


def test_a_second_freeze_keeps_who_was_first(node):
    first = freeze(node, "web", "storage is moved")
    assert freeze(node, "web", "another reason") is None
    assert freeze_of(node, "web") == first


def test_it_is_among_what_survives_a_reboot(node):
    freeze(node, "web")
    (file,) = [path for path in node.root.rglob("*") if path.is_file()]
    assert file.is_relative_to(node.state_dir)
    assert not node.run_dir.exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"at": "x", "reason": ""}', '{"at": 1e300, "reason": ""}', "null", "[" * 100000]
)
def test_where_the_file_is_the_service_is_frozen_whatever_it_holds(node, content):
    freeze(node, "web")
    (node.state_dir / "frozen/web.json").write_text(content)
    assert freeze_of(node, "web") == Freeze()
    assert str(Freeze()) == "frozen"
    assert thaw(node, "web")


def test_what_cannot_be_told_counts_as_frozen(node):
    (node.state_dir / "frozen/web.json").mkdir(parents=True)
    assert "nobody can tell" in str(freeze_of(node, "web"))
    with pytest.raises(VmsvcError, match="web is still frozen"):
        thaw(node, "web")


def test_a_freeze_that_cannot_be_recorded_is_no_freeze(node):
    node.state_dir.mkdir(parents=True)
    (node.state_dir / "frozen").write_text("in the way")
    with pytest.raises(VmsvcError, match="frozen"):
        freeze(node, "web")


def test_many_services_are_asked_for_at_once(node):
    freeze(node, "web", "storage is moved")
    assert {name: found.reason for name, found in freezes(node, ["db", "web"]).items()} == {"web": "storage is moved"}


def test_where_nobody_can_tell_every_service_that_is_asked_for_counts_as_frozen(node, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "frozen")

    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert sorted(freezes(node, ["db", "web"])) == ["db", "web"]
