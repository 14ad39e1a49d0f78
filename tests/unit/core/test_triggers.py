"""Triggers: where they stand in a plan, when they run, and what becomes of an action where they fail."""

from __future__ import annotations

import threading

import pytest

from tests.support import NODE, FakeDriver, Hooks, guest, seen, service
from vmsvc.core.errors import ActionFailed
from vmsvc.core.execution.executor import Executor
from vmsvc.core.execution.journal import Journal
from vmsvc.core.planning.planner import plan
from vmsvc.core.planning.rules import Consent
from vmsvc.core.status import Phase
from vmsvc.core.triggers import Trigger
from vmsvc.core.verb import Verb

UP, DOWN = Phase.RUNNING, Phase.STOPPED
KEYS = tuple(
    f"{blocking}{when}_{verb}"
    for verb in ("start", "stop")
    for when in ("pre", "post")
    for blocking in ("", "blocking_")
)
ALL = {key: ("run", key) for key in KEYS}


def steps(action, *resources, phase=DOWN, only=(), **settings):
    web = service(*resources, **settings)
    made = plan(action, web, NODE, {each.rid: seen(phase) for each in resources}, Consent(kill=True), only=only)
    return [str(step) for step in made.steps]


def test_a_trigger_knows_when_it_runs():
    found = {key: Trigger(key=key, command=("x",), rid="", budget_s=1.0) for key in KEYS}
    assert {key for key, each in found.items() if each.is_blocking} == {key for key in KEYS if "blocking" in key}
    assert {key for key, each in found.items() if each.is_before} == {key for key in KEYS if "pre_" in key}
    assert {key for key, each in found.items() if each.verb is Verb.STOP} == {key for key in KEYS if "_stop" in key}
    assert str(found["pre_stop"]) == "pre_stop"


@pytest.mark.parametrize("key", KEYS)
def test_each_key_puts_its_command_where_it_says(key):
    each = guest(**{key: ("run", "it", "now")}, trigger_timeout=7.0)
    action = "start" if key.endswith("start") else "stop"
    made = plan(action, service(each), NODE, {each.rid: seen(DOWN if action == "start" else UP)}, Consent(kill=True))
    ran, *others = made.steps if "pre_" in key else reversed(made.steps)
    assert (str(ran), ran.why, ran.budget_s) == (f"run {key} of container#1", "run it now", 7.0)
    assert [step.verb for step in others] == [Verb.START if action == "start" else Verb.KILL]
    other = "stop" if action == "start" else "start"
    assert not any("run" in step for step in steps(other, each, phase=DOWN if other == "start" else UP))


def test_the_services_own_run_around_all_and_its_resources_around_each():
    both = [guest(1, pre_start=("a",), post_stop=("b",)), guest(2)]
    assert steps("restart", *both, phase=UP, **ALL) == [
        "run pre_stop",
        "run blocking_pre_stop",
        "kill container#2",
        "kill container#1",
        "run post_stop of container#1",
        "run post_stop",
        "run blocking_post_stop",
        "run pre_start",
        "run blocking_pre_start",
        "run pre_start of container#1",
        "start container#1",
        "start container#2",
        "run post_start",
        "run blocking_post_start",
    ]


def test_where_nothing_is_to_be_done_nothing_runs():
    assert steps("start", guest(**ALL), phase=UP, **ALL) == []
    assert steps("stop", guest(**ALL), phase=DOWN, **ALL) == []
    assert steps("start", guest(disable=True, **ALL), **ALL) == []


def test_what_runs_around_the_service_does_not_run_around_one_of_its_parts():
    both = [guest(1, pre_start=("a",)), guest(2)]
    assert steps("start", *both, only={"container#1"}, **ALL) == ["run pre_start of container#1", "start container#1"]


class Stage:
    """An executor with guests in memory; its triggers are functions, or write down that they ran."""

    def __init__(self, folder, *resources, phase=DOWN, **settings):
        self.driver = FakeDriver()
        self.driver.phases = {each.rid: phase for each in resources}
        self.did = []
        self.on = {}
        self.hooks = Hooks()
        self.journal = Journal(folder / "web.jsonl")
        self.service = service(*resources, **settings)
        self.cancelled = threading.Event()
        for each in resources:
            for verb, becomes in (("start", UP), ("stop", DOWN), ("kill", DOWN)):
                self.driver.on[verb, each.rid] = lambda verb=verb, rid=each.rid, to=becomes: self.do(verb, rid, to)
        self.executor = Executor(
            driver_of=lambda _: self.driver,
            journal=self.journal,
            hooks=self.hooks,
            run_trigger=self.trigger,
            cancelled=self.cancelled,
        )

    def do(self, verb, rid, phase):
        self.did.append(f"{verb} {rid}")
        self.driver.become(rid, phase)

    def trigger(self, trigger):
        self.did.append(str(trigger))
        what = self.on.get(str(trigger), lambda: None)
        if isinstance(what, BaseException):
            raise what
        what()

    def run(self, action="start", **consent):
        facts = {rid: seen(phase) for rid, phase in self.driver.phases.items()}
        return self.executor.run(plan(action, self.service, NODE, facts, Consent(**consent)))

    def fails(self, action="start", **consent):
        with pytest.raises(ActionFailed) as caught:
            self.run(action, **consent)
        return [problem.message for problem in caught.value.problems]


@pytest.fixture
def stage(tmp_path):
    return lambda *resources, **settings: Stage(tmp_path, *resources, **settings)


BAD = ActionFailed("exit code 1", code="action.trigger-failed")


def test_all_of_them_run_in_order(stage):
    it = stage(guest(**ALL))
    it.run()
    it.run("stop")
    of_guest = [f"{key} of container#1" for key in KEYS]
    assert it.did == [
        *of_guest[:2], "start container#1", *of_guest[2:4], *of_guest[4:6], "stop container#1", *of_guest[6:]
    ]  # fmt: skip


def test_plugins_are_not_asked_about_the_operators_own_commands(stage):
    it = stage(guest(**ALL), **ALL)
    it.run()
    assert it.hooks.heard == ["before start container#1", "after start container#1"]


def test_each_is_in_the_journal_before_it_runs(stage):
    it = stage(guest(pre_start=("a",)))
    begun = []
    it.on["pre_start of container#1"] = lambda: begun.append(it.journal.unfinished().begun)
    it.run()
    assert begun == ["run pre_start of container#1"]
    assert it.journal.unfinished() is None


@pytest.mark.parametrize("action", ["start", "stop"])
@pytest.mark.parametrize("when", ["pre", "post"])
@pytest.mark.parametrize("rid", ["", " of container#1"])
def test_the_failure_of_one_that_does_not_block_is_told_and_the_action_goes_on(stage, action, when, rid):
    key = f"{when}_{action}"
    own = {key: ("x",)}
    it = stage(guest(**(own if rid else {})), phase=DOWN if action == "start" else UP, **({} if rid else own))
    it.on[key + rid] = BAD
    report = it.run(action)
    assert it.driver.phases["container#1"] is (UP if action == "start" else DOWN)
    assert [result.error for result in report.results if result.step.trigger] == ["exit code 1"]


def test_the_failure_of_one_that_blocks_keeps_the_guest_from_starting(stage):
    it = stage(guest(1), guest(2, blocking_pre_start=("x",), post_start=("y",)))
    it.on["blocking_pre_start of container#2"] = BAD
    messages = it.fails()
    assert messages == [
        "start of web failed at run blocking_pre_start of container#2: exit code 1",
        "rolled back: stop container#1: done",
    ]
    assert it.did == ["start container#1", "blocking_pre_start of container#2", "stop container#1"]


def test_one_that_blocks_after_the_start_has_the_guest_stopped_again_with_what_runs_around_that(stage):
    it = stage(guest(blocking_post_start=("x",), blocking_pre_stop=("y",), post_stop=("z",)))
    it.on["blocking_post_start of container#1"] = BAD
    it.on["blocking_pre_stop of container#1"] = ActionFailed("nobody vetoes the way back", code="x")
    messages = it.fails()
    assert it.did[2:] == ["blocking_pre_stop of container#1", "stop container#1", "post_stop of container#1"]
    assert messages[1:] == [
        "on the way back: run blocking_pre_stop of container#1: nobody vetoes the way back",
        "rolled back: stop container#1: done",
        "on the way back: run post_stop of container#1: done",
    ]
    assert it.driver.phases["container#1"] is DOWN


@pytest.mark.parametrize("kill", [False, True])
def test_one_that_blocks_keeps_the_guest_from_being_stopped_by_force_too(stage, kill):
    it = stage(guest(blocking_pre_stop=("x",), post_stop=("y",)), phase=UP)
    it.on["blocking_pre_stop of container#1"] = BAD
    it.fails("stop", kill=kill)
    assert it.did == ["blocking_pre_stop of container#1"]
    assert it.driver.phases["container#1"] is UP


def test_what_is_optional_stays_down_where_its_trigger_fails_and_the_rest_goes_up(stage):
    it = stage(guest(1, optional=True, blocking_pre_start=("x",), post_start=("y",)), guest(2))
    it.on["blocking_pre_start of container#1"] = BAD
    it.run()
    assert it.driver.phases == {"container#1": DOWN, "container#2": UP}
    assert it.did == ["blocking_pre_start of container#1", "start container#2"]


def test_the_world_is_looked_at_again_after_a_trigger_has_changed_it(stage):
    it = stage(guest(pre_start=("x",), post_start=("y",)))
    it.on["pre_start of container#1"] = lambda: it.driver.become("container#1", UP)
    it.run()
    assert it.did == ["pre_start of container#1"]
    it = stage(guest(pre_start=("x",)))
    it.on["pre_start of container#1"] = lambda: it.driver.become("container#1", Phase.PAUSED)
    assert it.fails() == [
        "start of web failed at start container#1: things have changed: it is paused: neither up nor down"
    ]


def test_nothing_runs_before_what_has_happened_by_itself_since_the_plan_was_made(stage):
    it = stage(guest(1), guest(2, **ALL))
    it.driver.on["start", "container#1"] = lambda: [it.driver.become(f"container#{n}", UP) for n in (1, 2)]
    it.run()
    assert it.did == []


def test_what_runs_after_a_stop_runs_after_a_forced_one(stage):
    it = stage(guest(post_stop=("x",), stop_timeout=0.2), phase=UP)
    it.driver.on["stop", "container#1"] = lambda: None
    it.run("stop")
    assert it.did == ["kill container#1", "post_stop of container#1"]


def test_an_interrupt_ends_the_action_even_where_the_trigger_does_not_block(stage):
    it = stage(guest(pre_start=("x",)))
    it.on["pre_start of container#1"] = KeyboardInterrupt()
    assert it.fails() == ["start of web failed at run pre_start of container#1: interrupted"]
    assert it.did == ["pre_start of container#1"]
