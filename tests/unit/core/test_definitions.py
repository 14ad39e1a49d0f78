"""The guests' definitions that a node keeps."""

from __future__ import annotations

import pytest

from tests.support import guest
from vmsvc.core.contract import Context
from vmsvc.core.definitions import keep
from vmsvc.core.errors import VmsvcError
from vmsvc.core.inventory import GuestFacts
from vmsvc.core.node import Node


@pytest.fixture
def node(tmp_path):
    return Node(name="n1", root=tmp_path)


def facts(definition, **options):
    return GuestFacts(guest=guest(**options), definition=definition)


def test_it_is_where_drivers_look_for_it(node):
    keep(node, facts("<domain>ü</domain>"))
    context = Context(node=node, host=None, state_dir=node.state_dir)
    assert context.definition_file(guest()).read_text(encoding="utf-8") == "<domain>ü</domain>"
    keep(node, facts("<newer/>"))
    assert context.definition_file(guest()).read_text() == "<newer/>"


def test_each_guest_of_each_service_has_its_own(node):
    for number, name in ((1, "web"), (2, "web"), (1, "db")):
        each = guest(number, service=name)
        keep(node, GuestFacts(guest=each, definition=f"{name} {number}"))
    for number, name in ((1, "web"), (2, "web"), (1, "db")):
        assert node.definition_file(name, f"container#{number}").read_text() == f"{name} {number}"


def test_it_may_hold_passwords(node):
    keep(node, facts("<secret/>"))
    assert node.definition_file("web", "container#1").stat().st_mode & 0o077 == 0


def test_what_is_not_known_replaces_nothing(node):
    keep(node, facts(""))
    assert not node.state_dir.exists()
    keep(node, facts("<domain/>"))
    keep(node, facts(""))
    assert node.definition_file("web", "container#1").read_text() == "<domain/>"


def test_a_directory_that_cannot_be_made(node):
    node.state_dir.mkdir(parents=True)
    (node.state_dir / "definitions").write_text("in the way")
    with pytest.raises(VmsvcError, match="definitions/web could not be made: ") as error:
        keep(node, facts("<domain/>"))
    assert error.value.hint
    assert [path.name for path in node.state_dir.iterdir()] == ["definitions"]
