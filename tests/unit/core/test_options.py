from __future__ import annotations

import pytest
from attrs import frozen

from tests.support import resource
from vmsvc.core import options
from vmsvc.core.options import choice, option, options_of

GOOD = [
    (options.text, "a\nb", "a\nb"),
    (options.line, "a b", "a b"),
    (options.name, "web 1;$(x)", "web 1;$(x)"),
    (options.names, "n1, n2  n1", ("n1", "n2")),
    (options.names, ["n1", "n2"], ("n1", "n2")),
    (options.words, "", ()),
    (options.node_names, "n1 n-2.example.com N_3", ("n1", "n-2.example.com", "N_3")),
    (options.count, "1", 1),
    (options.some_seconds, "1ms", 0.001),
    (options.paths, "/dev/sda /dev/sdb", ("/dev/sda", "/dev/sdb")),
    (options.choices("a", "b"), "B, a", ("b", "a")),
    (options.boolean, "YES", True),
    (options.boolean, " off ", False),
    (options.boolean, False, False),
    (options.boolean, 1, True),
    (options.integer, " +12 ", 12),
    (options.integer, -3, -3),
    (options.seconds, "90", 90.0),
    (options.seconds, "1.5m", 90.0),
    (options.seconds, "250 ms", 0.25),
    (options.seconds, "2H", 7200.0),
    (options.seconds, 3, 3.0),
    (options.argv, "sh -c 'a b'", ("sh", "-c", "a b")),
    (options.argv, ["a b", 1], ("a b", "1")),
    (options.path, "/a b", "/a b"),
    (options.path, "", ""),
]
BAD = [
    (options.text, ["a"]),
    (options.line, "a\nb"),
    (options.line, "a\x1bb"),
    (options.line, "a\x85b"),
    (options.name, ""),
    (options.name, "a/b"),
    (options.name, "-rf"),
    (options.name, "a\0b"),
    (options.names, "n1 -x"),
    (options.words, [["a"]]),
    (options.words, ["a b"]),
    (options.words, [1]),
    (options.text, 7),
    (options.node_names, "n1 # n2"),
    (options.node_names, '["n1"]'),
    (options.node_names, "n1; n2"),
    (options.count, 0),
    (options.some_seconds, "0s"),
    (options.paths, "sda"),
    (options.choices("a", "b"), "a c"),
    (options.boolean, "maybe"),
    (options.boolean, ["true"]),
    (options.boolean, 2),
    (options.integer, "1.5"),
    (options.integer, True),
    (options.integer, "٣"),
    (options.integer, 1.0),
    (options.seconds, "-1"),
    (options.seconds, "1 fortnight"),
    (options.seconds, "400d"),
    (options.seconds, "nan"),
    (options.seconds, "inf"),
    (options.seconds, True),
    (options.argv, "a 'b"),
    (options.argv, "a \0b"),
    (options.argv, ["a\0b"]),
    (options.argv, ["a", ["b"]]),
    (options.path, "relative"),
]


@pytest.mark.parametrize(("value", "raw", "expected"), GOOD)
def test_values(value, raw, expected):
    found = value.parse(raw)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("value", "raw"), BAD)
def test_bad_values_say_what_is_wrong(value, raw):
    with pytest.raises(ValueError, match=r".+"):
        value.parse(raw)


def test_all_bad_words_of_a_list_are_told_at_once():
    with pytest.raises(ValueError, match=r"'n#1' is no host name.*; '-x' cannot be a name"):
        options.node_names.parse("n#1 ok -x")


@pytest.mark.parametrize(
    ("value", "raw", "words"),
    [
        (options.text, True, 'true is true or false: write it in quotes, "true"'),
        (options.name, 5, '5 is a number: write it in quotes, "5"'),
        (options.integer, False, "false is not a whole number"),
    ],
)
def test_values_are_shown_as_a_file_has_them(value, raw, words):
    with pytest.raises(ValueError, match=words):
        value.parse(raw)


def test_choice():
    value = choice("acpi", "agent")
    assert value.parse(" Agent ") == "agent"
    assert value.choices == ("acpi", "agent")
    with pytest.raises(ValueError, match="'apci' is not one of acpi, agent"):
        value.parse("apci")


@frozen(kw_only=True)
class Example:
    plain: int = 3
    needed: str = option(options.line, help="It is needed.", scoped=False)
    budget: float = option(options.seconds, default=2.0, inherited=True, help="How long.")


def test_declarations_are_data_in_order():
    needed, budget = options_of(Example)
    assert (needed.key, needed.required, needed.default, needed.scoped, needed.inherited) == (
        "needed",
        True,
        None,
        False,
        False,
    )
    assert (budget.key, budget.required, budget.default, budget.scoped, budget.inherited) == (
        "budget",
        False,
        2.0,
        True,
        True,
    )
    assert budget.value is options.seconds
    assert needed.help == "It is needed."


def test_a_required_option_is_required_and_a_default_is_used():
    assert Example(needed="x").budget == 2.0
    with pytest.raises(TypeError, match="needed"):
        Example()


def test_each_value_can_complete_the_sentence_expected():
    values = [value for value in vars(options).values() if isinstance(value, options.Value)]
    assert len(values) >= 10
    assert all(value.label and not value.label.endswith(".") for value in values)


def test_records_of_options_compare_hash_and_show_themselves_by_their_fields():
    one, same, other = (resource("container#1", tags=tags) for tags in (("a",), ("a",), ("b",)))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != resource("app#1")
    assert repr(one).startswith("Guest(")
    assert "rid='container#1', " in repr(one)
    assert "tags=('a',)" in repr(one)
