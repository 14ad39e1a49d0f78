from __future__ import annotations

import pytest

from vmsvc.core import errors
from vmsvc.core.errors import ExitCode, Problem, VmsvcError

EXIT_CODES = {
    "VmsvcError": 1,
    "ConfigError": 2,
    "UsageError": 2,
    "Refused": 3,
    "Busy": 3,
    "Undetermined": 4,
    "NoWayIn": 4,
    "TimedOut": 4,
    "ActionFailed": 1,
    "DriverError": 1,
}


def test_every_error_of_the_tree_has_its_exit_code_and_is_drawn():
    tree = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, VmsvcError)
    }
    assert {name: int(kind.exit_code) for name, kind in tree.items()} == EXIT_CODES
    assert all(name in (errors.__doc__ or "") for name in tree)
    assert len({kind.default_code for kind in tree.values()}) == len(tree)


def test_exit_codes_are_numbers():
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(message="it is wrong"), "it is wrong"),
        (Problem(message="it is wrong", hint="mend it"), "it is wrong (mend it)"),
        (Problem(message="it is wrong", file="/f", section="ip#1", key="dev"), "/f: [ip#1] dev: it is wrong"),
        (Problem(message="it is wrong", section="ip#1"), "[ip#1]: it is wrong"),
        (Problem(message="it is wrong", key="dev"), "dev: it is wrong"),
    ],
)
def test_a_problem_reads_as_a_sentence_with_its_place(problem, text):
    assert str(problem) == text


def test_an_error_carries_its_problems():
    one = errors.Refused("no", hint="ask")
    assert (one.message, one.hint, one.code, str(one)) == ("no", "ask", "refused", "no (ask)")
    both = errors.ConfigError(problems=[Problem(message="a", code="x"), Problem(message="b")])
    assert (str(both), both.code, len(both.problems)) == ("a\nb", "x", 2)


def test_an_error_in_other_words_carries_all_the_rest():
    late = errors.TimedOut("it hung", hint="look", stdout=b"begun", truncated=True)
    other = late.reworded("web: it hung")
    assert (type(other), str(other), other.code, other.hint) == (
        errors.TimedOut,
        "web: it hung (look)",
        "undetermined.timeout",
        "look",
    )
    assert (other.stdout, other.stderr, other.truncated) == (b"begun", b"", True)
    assert late.message == "it hung"


def test_within_fills_in_what_is_empty():
    assert errors.DriverError("x").within(section="ip#1", file="/f") == Problem(
        message="x", code="driver", section="ip#1", file="/f"
    )
    placed = errors.DriverError(problems=[Problem(message="x", section="ip#2")])
    assert placed.within(section="ip#1").section == "ip#2"
