"""Where a guest is after a move is what both ends show: what is not known is said to be so."""

from __future__ import annotations

import pytest

from tests.support import seen
from vmsvc.core.errors import ActionFailed, DriverError, Undetermined
from vmsvc.core.execution.moving import Ends
from vmsvc.core.status import Phase

NO = DriverError("no route to n2", hint="look at n2")
LATE = Undetermined("no answer in time", hint="`ldm cancel-operation` frees it")
UP, DOWN, MOVED, DARK = (seen(phase) for phase in (Phase.RUNNING, Phase.STOPPED, Phase.MOVED, Phase.UNKNOWN))
ABSENT, UNDER_WAY = seen(Phase.ABSENT), seen(Phase.MIGRATING, "paused (migrating)")


@pytest.mark.parametrize("failure", [None, NO, LATE])
@pytest.mark.parametrize("here", [DOWN, MOVED, ABSENT])
def test_up_there_and_down_here_is_a_move_whatever_the_request_says(here, failure):
    assert Ends(here=here, there=UP, failure=failure).has_moved


@pytest.mark.parametrize("there", [DOWN, ABSENT, DARK])
def test_a_clear_refusal_and_a_guest_that_runs_here_is_a_failure_that_has_changed_nothing(there):
    ends = Ends(here=UP, there=there, failure=NO)
    assert (ends.has_moved, ends.has_stayed) == (False, True)
    error = ends.error("n2")
    assert (type(error), error.code, error.hint) == (ActionFailed, "action.not-moved", "look at n2")
    assert error.message.startswith("it has not moved: no route to n2; here it is running, and on n2 ")


@pytest.mark.parametrize(
    ("here", "there", "failure", "kind", "code"),
    [
        (UP, DOWN, LATE, Undetermined, "undetermined.migration"),  # it may move still
        (UP, DOWN, None, Undetermined, "undetermined.migration"),
        (UP, UNDER_WAY, NO, Undetermined, "undetermined.migration"),
        (UNDER_WAY, DOWN, NO, Undetermined, "undetermined.migration"),
        (DOWN, DARK, None, Undetermined, "undetermined.migration"),
        (DOWN, UNDER_WAY, None, Undetermined, "undetermined.migration"),
        (DARK, UP, None, Undetermined, "undetermined.migration"),
        (DARK, DARK, LATE, Undetermined, "undetermined.migration"),
        (UP, UP, None, ActionFailed, "action.runs-twice"),
        (UP, UP, NO, ActionFailed, "action.runs-twice"),
        (DOWN, DOWN, LATE, ActionFailed, "action.went-down"),
        (MOVED, ABSENT, None, Undetermined, "undetermined.migration"),  # somewhere else
        (MOVED, DOWN, NO, Undetermined, "undetermined.migration"),
        (
            DOWN,
            DOWN,
            None,
            Undetermined,
            "undetermined.migration",
        ),  # as of xl, whose guests show no more that they left
        (ABSENT, ABSENT, None, Undetermined, "undetermined.migration"),  # as of ldm
    ],
)
def test_everything_else_is_told_as_what_each_end_shows(here, there, failure, kind, code):
    ends = Ends(here=here, there=there, failure=failure)
    assert (ends.has_moved, ends.has_stayed) == (False, False)
    error = ends.error("n2")
    assert (type(error), error.code) == (kind, code)
    assert error.hint
    for end, words in ((here, "here it is "), (there, "and on n2 ")):
        state = "unknown (as told)" if end is DARK else end.state
        assert f"{words}{state}" in error.message
    assert failure is None or failure.message in error.message
    assert code == "action.runs-twice" or failure is None or failure.hint in error.hint
