"""The guests' definitions that a node keeps, and how they are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import FakeDriver, guest
from vmsvc.core.answers import DefinitionFields, Definitions
from vmsvc.core.contract import Capability, Context
from vmsvc.core.errors import DriverError, Severity, Undetermined, VmsvcError
from vmsvc.core.guests.definitions import FORMER, drift, keep
from vmsvc.core.guests.inventory import GuestFacts
from vmsvc.core.node import Node


@pytest.fixture
def node(tmp_path):
    return Node(name="n1", root=tmp_path)


class Comparing(FakeDriver):
    """Reads JSON; what is no JSON is a definition that cannot be read."""

    capabilities = frozenset({Capability.COMPARE})

    def __init__(self, live=None, persistent=None, error=None):
        super().__init__()
        self.found = Definitions(live=live, persistent=persistent)
        self.error = error

    def definitions(self, guest, *, budget_s):
        if self.error:
            raise self.error
        return self.found

    def fields(self, definition):
        if definition == "defect":
            raise ZeroDivisionError("ouch")
        if definition == "wrong":
            return {"a": "1"}
        try:
            return DefinitionFields(values=json.loads(definition), secret=frozenset({"pw"}))
        except ValueError:
            raise DriverError("this is no JSON") from None


def facts(definition, **options):
    return GuestFacts(guest=guest(**options), definition=definition)


def kept(node, definition, driver=None, **options):
    return keep(node, facts(definition, **options), driver or Comparing())


def file_of(node):
    return node.definition_file("web", "container#1")


def former(node):
    return sorted(path.read_text() for path in (file_of(node).parent / "former").glob("*"))


def test_it_is_where_drivers_look_for_it(node):
    assert kept(node, '{"a": "ü"}') == ()
    context = Context(node=node, host=None, state_dir=node.state_dir)
    assert context.definition_file(guest()).read_text(encoding="utf-8") == '{"a": "ü"}'
    kept(node, '{"a": "newer"}')
    assert context.definition_file(guest()).read_text() == '{"a": "newer"}'


def test_each_guest_of_each_service_has_its_own(node):
    for number, name in ((1, "web"), (2, "web"), (1, "db")):
        keep(node, GuestFacts(guest=guest(number, service=name), definition=f'{{"a": "{name} {number}"}}'), Comparing())
    for number, name in ((1, "web"), (2, "web"), (1, "db")):
        assert f"{name} {number}" in node.definition_file(name, f"container#{number}").read_text()


def test_it_may_hold_passwords(node):
    kept(node, '{"a": "1"}')
    kept(node, '{"a": "2"}')
    for path in file_of(node).parent.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_what_is_not_known_replaces_nothing(node):
    assert kept(node, "") == ()
    assert not node.state_dir.exists()
    kept(node, "{}")
    assert kept(node, "") == ()
    assert file_of(node).read_text() == "{}"


def test_the_same_again_writes_nothing_and_says_nothing(node):
    kept(node, '{"a": "1"}')
    before = file_of(node).stat()
    assert kept(node, '{"a": "1"}') == ()
    assert (file_of(node).stat().st_ino, file_of(node).stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_one_says_what_has_changed_and_the_former_is_not_lost(node):
    kept(node, '{"a": "1", "b": "x", "pw": "one"}')
    (note,) = kept(node, '{"a": "2", "c": "", "pw": "two"}')
    assert (note.severity, note.section) == (Severity.NOTE, "container#1")
    assert note.message == (
        "its kept definition was replaced: a: 1 → 2; b: x → none; pw: (secret) → (secret); c: none → yes"
    )
    former_file = Path(note.hint.removeprefix("the former one is "))
    assert former_file.read_text() == '{"a": "1", "b": "x", "pw": "one"}'


@pytest.mark.parametrize(
    ("before", "driver", "words"),
    [
        ('{"a":  "1"}', Comparing(), "it is written in another way, and says the same"),
        ("nonsense", Comparing(), "this is no JSON"),
        ("defect", Comparing(), "the fake driver broke off with ZeroDivisionError: ouch"),
        ("wrong", Comparing(), "the fake driver answered with a dict"),
        ('{"a": "2"}', FakeDriver(), "it is another one"),
    ],
)
def test_whatever_was_kept_is_put_aside_and_never_just_overwritten(node, before, driver, words):
    kept(node, before)
    (note,) = kept(node, '{"a": "1"}', driver)
    assert note.message == f"its kept definition was replaced: {words}"
    assert (file_of(node).read_text(), former(node)) == ('{"a": "1"}', [before])


def test_a_kept_definition_that_is_no_text_is_put_aside_too(node):
    kept(node, "{}")
    file_of(node).write_bytes(b"\xff")
    (note,) = kept(node, '{"a": "1"}')
    assert "the kept definition cannot be read" in note.message
    assert [path.read_bytes() for path in (file_of(node).parent / "former").iterdir()] == [b"\xff"]


def test_only_the_newest_of_the_former_ones_stay(node):
    for number in range(FORMER + 5):
        kept(node, json.dumps({"a": f"{number:02}"}))
    assert former(node) == [json.dumps({"a": f"{number:02}"}) for number in range(4, FORMER + 4)]


def test_where_the_former_one_cannot_be_put_aside_it_is_not_replaced(node):
    kept(node, '{"a": "1"}')
    (file_of(node).parent / "former").write_text("in the way")
    with pytest.raises(VmsvcError, match="could not be put aside") as error:
        kept(node, '{"a": "2"}')
    assert error.value.hint == f"it was not replaced: {file_of(node)}"
    assert file_of(node).read_text() == '{"a": "1"}'


def test_a_directory_that_cannot_be_made(node):
    node.state_dir.mkdir(parents=True)
    (node.state_dir / "definitions").write_text("in the way")
    with pytest.raises(VmsvcError):
        kept(node, "{}")
    assert [path.name for path in node.state_dir.iterdir()] == ["definitions"]


# --- comparing --------------------------------------------------------------------------------------------------------


def test_what_runs_what_comes_next_and_what_is_kept_are_compared(node):
    kept(node, '{"a": "1", "b": "1"}')
    found = drift(node, guest(), Comparing('{"a": "1", "b": "2"}', '{"a": "3", "b": "2"}'))
    assert (found.forms, found.errors) == (("live", "persistent", "kept"), ())
    assert {each.field: dict(each.values) for each in found.differences} == {
        "a": {"live": "1", "persistent": "3", "kept": "1"},
        "b": {"live": "2", "persistent": "2", "kept": "1"},
    }


@pytest.mark.parametrize(
    ("found", "forms"),
    [
        (Comparing(persistent="{}"), ("persistent", "kept")),
        (Comparing(live="{}"), ("live", "kept")),
        (Comparing(), ("kept",)),
    ],
)
def test_what_is_not_there_is_no_difference(node, found, forms):
    kept(node, "{}")
    seen = drift(node, guest(), found)
    assert (seen.forms, seen.differences, seen.errors) == (forms, (), ())


def test_a_hypervisor_that_does_not_answer_is_an_error_and_no_drift(node):
    kept(node, "{}")
    found = drift(node, guest(), Comparing(error=Undetermined("no answer")))
    assert ([str(error) for error in found.errors], found.differences) == (["no answer"], ())


def test_one_form_that_cannot_be_read_hides_no_difference_between_the_others(node):
    kept(node, "nonsense")
    found = drift(node, guest(), Comparing('{"a": "1"}', '{"a": "2"}'))
    assert [each.field for each in found.differences] == ["a"]
    assert [str(error) for error in found.errors] == ["the kept definition cannot be compared: this is no JSON"]
    defect = drift(node, guest(), Comparing("defect", "{}"))
    assert isinstance(defect.errors[0], Undetermined)


def test_a_kept_definition_that_is_no_text_hides_no_difference_either(node):
    kept(node, "{}")
    file_of(node).write_bytes(b"\xff")
    found = drift(node, guest(), Comparing('{"a": "1"}', '{"a": "2"}'))
    assert ([each.field for each in found.differences], found.forms) == (["a"], ("live", "persistent"))
    assert "the kept definition cannot be read" in str(found.errors[0])


def test_a_driver_that_cannot_compare_says_so(node):
    (error,) = drift(node, guest(), FakeDriver()).errors
    assert isinstance(error, Undetermined)
    assert str(error) == "the fake driver cannot compare definitions"
