"""One error that tells a failed action whole."""

from __future__ import annotations

import pytest

from tests.support import NODE, guest, resource, seen, service
from vmsvc.core.errors import ActionFailed, DriverError, Problem, Undetermined
from vmsvc.core.execution.report import StepResult, failure_of, interrupted
from vmsvc.core.planning.plan import Step
from vmsvc.core.planning.planner import plan
from vmsvc.core.status import Phase
from vmsvc.core.verb import Verb

WEB = service(guest(1), guest(2), resource("app#1"))
PLAN = plan("start", WEB, NODE, {})
START = Step(rid="container#2", verb=Verb.START, budget_s=1.0)


def undone(verb, failure=None, rid="container#1"):
    return StepResult(step=Step(rid=rid, verb=verb, budget_s=1.0, takes_back=True), acted=True, failure=failure)


def told(error=None, taken_back=(), left=(), losses=(), step=START):
    failure = failure_of(PLAN, step, error or DriverError("no memory"), taken_back, left, losses=losses)
    return failure, [(problem.code, problem.section, problem.message) for problem in failure.problems]


def test_the_cause_comes_first_with_its_place_code_and_hint():
    cause = DriverError("no memory", code="driver.memory", hint="buy some")
    failure, problems = told(cause)
    assert isinstance(failure, ActionFailed)
    assert problems == [("driver.memory", "container#2", "start of web failed at start container#2: no memory")]
    assert failure.hint == "buy some"


def test_before_the_first_step_there_is_no_place():
    assert told(step=None)[1] == [("driver", "", "start of web failed: no memory")]


def test_of_several_problems_the_first_is_the_cause_and_the_others_belong_to_it():
    cause = ActionFailed(problems=[Problem(message="one"), Problem(message="two")])
    assert [(section, message) for _, section, message in told(cause)[1]] == [
        ("container#2", "start of web failed at start container#2: one"),
        ("container#2", "two"),
    ]


def test_an_interrupt_is_told_as_one():
    for error in (KeyboardInterrupt(), interrupted()):
        assert told(error)[1][0][::2] == (
            "action.interrupted",
            "start of web failed at start container#2: interrupted",
        )


def test_what_was_rolled_back():
    assert told(taken_back=[undone(Verb.STOP)])[1][1:] == [
        ("action.rolled-back", "container#1", "rolled back: stop container#1: done")
    ]


def test_the_last_undo_step_of_a_resource_decides():
    asked = undone(Verb.STOP, DriverError("deaf"))
    codes = [code for code, _, _ in told(taken_back=[asked, undone(Verb.KILL)])[1][1:]]
    assert codes == ["action.rolled-back"] * 2
    problems = told(taken_back=[asked, undone(Verb.KILL, DriverError("denied"))])[1][1:]
    assert problems == [
        ("action.rollback-failed", "container#1", "not rolled back: stop container#1: deaf"),
        ("action.rollback-failed", "container#1", "not rolled back: kill container#1: denied"),
    ]


def test_each_resource_has_its_own_fate():
    problems = told(taken_back=[undone(Verb.STOP, DriverError("denied"), rid="app#1"), undone(Verb.STOP)])[1][1:]
    assert [(code, section) for code, section, _ in problems] == [
        ("action.rollback-failed", "app#1"),
        ("action.rolled-back", "container#1"),
    ]


def test_what_was_left():
    assert told(left=[START])[1][1:] == [
        ("action.left", "container#2", "not rolled back, as the service wants it: start container#2")
    ]
    unstoppable = undone(Verb.START, ActionFailed("left as it is: no command", code="action.left"), rid="app#1")
    failure, problems = told(taken_back=[unstoppable])
    assert problems[1:] == [("action.left", "app#1", "not rolled back: start app#1: left as it is: no command")]
    assert isinstance(failure, ActionFailed)


def test_what_was_not_recorded():
    assert told(losses=["the disk is full"])[1][1:] == [
        ("action.not-recorded", "", "not recorded: the disk is full"),
    ]


DOUBT = Undetermined("nobody saw")
NO = DriverError("denied")


@pytest.mark.parametrize(
    ("error", "taken_back", "kind"),
    [
        (NO, [], ActionFailed),
        (DOUBT, [], Undetermined),
        (DOUBT, [undone(Verb.STOP)], Undetermined),
        (NO, [undone(Verb.STOP, DOUBT)], Undetermined),
        (NO, [undone(Verb.STOP, DOUBT), undone(Verb.KILL)], ActionFailed),
        (NO, [undone(Verb.STOP, DOUBT), undone(Verb.KILL, NO)], ActionFailed),
        (NO, [undone(Verb.STOP), undone(Verb.KILL, DOUBT)], Undetermined),
        (NO, [undone(Verb.STOP, DOUBT, rid="app#1"), undone(Verb.STOP)], Undetermined),
        (KeyboardInterrupt(), [undone(Verb.STOP, DOUBT)], Undetermined),
        (KeyboardInterrupt(), [undone(Verb.STOP, NO)], ActionFailed),
    ],
)
def test_an_end_that_nobody_could_see_is_undetermined(error, taken_back, kind):
    assert type(told(error, taken_back)[0]) is kind


def test_a_result_says_why():
    assert (undone(Verb.STOP).error, undone(Verb.STOP, NO).error) == ("", "denied")
    assert StepResult(step=START).is_ours is False
    assert seen(Phase.UNKNOWN).status.value == "unknown"
