"""Failures injected at every step: what is taken back, what is left alone, and what is told."""

from __future__ import annotations

import json
import os
import re
import threading
import time

import pytest
from attrs import evolve

from tests.support import NODE, FakeDriver, Hooks, guest, resource, seen, service, split_guest
from vmsvc.core.errors import ActionFailed, DriverError, NoWayIn, Refused, Undetermined
from vmsvc.core.execution.executor import Executor
from vmsvc.core.execution.journal import Journal
from vmsvc.core.planning.planner import plan
from vmsvc.core.planning.rules import Consent
from vmsvc.core.status import Phase
from vmsvc.core.verb import Verb

UP, DOWN = Phase.RUNNING, Phase.STOPPED
C1 = "container#1"
THREE = {"container#1": DOWN, "container#2": DOWN, "container#3": DOWN}


class Stage:
    """An executor with a driver in memory, a journal on disk, and everything that it tells."""

    def __init__(self, folder, phases, resources=None, **settings):
        self.driver = FakeDriver()
        self.driver.phases = dict(phases)
        self.hooks = Hooks()
        self.told = []
        self.cancelled = threading.Event()
        self.journal = Journal(folder / "web.jsonl")
        self.service = service(*(resources or [guest(int(rid[-1])) for rid in phases]), **settings)
        self.executor = Executor(
            driver_of=lambda _: self.driver,
            journal=self.journal,
            hooks=self.hooks,
            run_trigger=lambda _: None,
            progress=self.told.append,
            cancelled=self.cancelled,
            told=[],
        )

    def plan(self, action, **consent):
        facts = {rid: seen(phase) for rid, phase in self.driver.phases.items()}
        made = plan(action, self.service, NODE, facts, Consent(**consent))
        made.raise_if_refused()
        return made

    def run(self, action="start", **consent):
        return self.executor.run(self.plan(action, **consent))

    def fails(self, action="start", kind=ActionFailed, **consent):
        with pytest.raises(kind) as caught:
            self.run(action, **consent)
        self.codes = [problem.code for problem in caught.value.problems]
        self.places = [problem.section for problem in caught.value.problems]
        return [problem.message for problem in caught.value.problems]


@pytest.fixture
def stage(tmp_path):
    return lambda phases=THREE, *resources, **settings: Stage(tmp_path, phases, resources, **settings)


def test_a_start_and_what_it_tells(stage):
    it = stage()
    report = it.run()
    assert it.driver.verbs() == ["start container#1", "start container#2", "start container#3"]
    assert [(str(each.step), each.acted, each.error) for each in report.results] == [
        (verb, True, "") for verb in it.driver.verbs()
    ]
    assert [(str(each.step), each.duration_s is None) for each in it.told] == [
        (verb, begins) for verb in it.driver.verbs() for begins in (True, False)
    ]
    assert it.hooks.heard == [f"{when} {verb}" for verb in it.driver.verbs() for when in ("before", "after")]
    assert report.losses == ()
    assert it.journal.unfinished() is None


def test_the_intention_is_on_disk_before_anybody_hears_of_it(stage, monkeypatch):
    it = stage({"container#1": DOWN})
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))

    def last(field):
        line = it.journal.path.read_text().splitlines()[-1]
        assert it.journal.path.stat().st_size in synced
        return json.loads(line)[field]

    it.hooks.before = lambda step: it.told.append((last("event"), last("step")))
    it.hooks.after = lambda step: it.told.append((last("event"), last("step")))
    it.driver.on["start", "container#1"] = lambda: (
        it.told.append((last("event"), "verb")),
        it.driver.become("container#1", UP),
    )
    it.run()
    assert [each for each in it.told if isinstance(each, tuple)] == [
        ("intend", "start container#1"),
        ("intend", "verb"),
        ("done", "start container#1"),
    ]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_failure_at_any_step_takes_back_the_earlier_ones_in_reverse(stage, at):
    it = stage()
    it.driver.on["start", f"container#{at}"] = DriverError("no memory")
    messages = it.fails()
    begun = [f"start container#{n}" for n in range(1, at + 1)]
    assert it.driver.verbs() == begun + [f"stop container#{n}" for n in range(at - 1, 0, -1)]
    assert messages == [f"start of web failed at start container#{at}: no memory"] + [
        f"rolled back: stop container#{n}: done" for n in range(at - 1, 0, -1)
    ]
    assert set(it.driver.phases.values()) == {DOWN}
    assert it.journal.unfinished() is None
    assert "no memory" in list(it.journal.records())[-1]["result"]


def test_what_was_up_before_is_never_taken_back(stage):
    it = stage({"container#1": UP, "container#2": DOWN, "container#3": DOWN})
    it.driver.on["start", "container#3"] = DriverError("no")
    it.fails()
    assert it.driver.phases == {"container#1": UP, "container#2": DOWN, "container#3": DOWN}
    assert "stop container#1" not in it.driver.calls


# --- whose start it was ----------------------------------------------------------------------------------------------


def up_by_somebody_else(it, rid):
    """A start that comes too late: the guest is up, and this call did not do it."""

    def late():
        it.driver.become(rid, UP)
        return False

    return late


def test_what_somebody_else_starts_between_plan_and_step_is_not_ours(stage):
    it = stage()
    made = it.plan("start")
    it.driver.become("container#1", UP)
    it.driver.on["start", "container#3"] = DriverError("no")
    with pytest.raises(ActionFailed):
        it.executor.run(made)
    assert "start container#1" not in it.driver.calls
    assert it.driver.phases == {"container#1": UP, "container#2": DOWN, "container#3": DOWN}


@pytest.mark.parametrize("meanwhile", [DOWN, Phase.STARTING])
def test_a_start_that_lost_the_race_is_not_taken_back(stage, meanwhile):
    it = stage()
    made = it.plan("start")
    it.driver.become("container#1", meanwhile)
    it.driver.on["start", "container#1"] = up_by_somebody_else(it, "container#1")
    it.driver.on["start", "container#3"] = DriverError("no")
    with pytest.raises(ActionFailed) as caught:
        it.executor.run(made)
    assert "start container#1" in it.driver.calls
    assert "stop container#1" not in it.driver.calls
    assert it.driver.phases == {"container#1": UP, "container#2": DOWN, "container#3": DOWN}
    assert "container#1" not in [problem.section for problem in caught.value.problems]


def test_what_this_call_has_set_going_is_taken_back_even_where_nobody_could_see_it_before(stage):
    it = stage({"container#1": Phase.UNKNOWN, "container#2": DOWN})
    it.driver.on["start", "container#2"] = DriverError("no")
    it.fails(despite_unknown={"container#1"})
    assert it.driver.verbs() == ["start container#1", "start container#2", "stop container#1"]


@pytest.mark.parametrize(
    ("before", "is_ours"),
    [
        (DOWN, True),
        (Phase.SAVED, True),
        (Phase.ABSENT, True),
        (Phase.INAPPLICABLE, None),
        (Phase.UNKNOWN, None),
        (Phase.STARTING, False),
    ],
)
def test_without_an_answer_what_was_seen_before_decides(stage, before, is_ours):
    it = stage({"app#1": before}, resource("app#1", start=("a",), stop=("b",)))

    def begin_and_break():
        it.driver.become("app#1", UP)
        raise Undetermined("the answer was lost")

    it.driver.on["start", "app#1"] = begin_and_break
    messages = it.fails(kind=Undetermined, despite_unknown={"app#1"})
    assert ("stop app#1" in it.driver.calls) is bool(is_ours)
    told = {True: ["rolled back: stop app#1: done"], False: [], None: [LEFT]}
    assert messages == ["start of web failed at start app#1: the answer was lost", *told[is_ours]]


LEFT = "left as it is: app#1: whether it ran before cannot be told"
APPS = (
    resource("app#1", container_id=C1, start=("a",), stop=("b",)),
    resource("app#2", container_id=C1, start=("a",), stop=("b",)),
)


@pytest.mark.parametrize("guest_was", [UP, DOWN])
def test_what_has_no_status_is_taken_back_only_from_a_guest_that_this_action_has_started(stage, guest_was):
    phases = {C1: guest_was, "app#1": Phase.INAPPLICABLE, "app#2": DOWN}
    it = stage(phases, guest(), *APPS)
    it.driver.answers = {"app#1": None}
    it.driver.on["start", "app#2"] = DriverError("no")
    messages = it.fails()
    assert ("stop app#1" in it.driver.calls) is (guest_was is DOWN)
    assert (LEFT in messages) is (guest_was is UP)


def test_what_cannot_be_seen_at_first_in_a_guest_that_was_started_is_waited_for(stage):
    it = stage({C1: DOWN, "app#1": DOWN}, guest(), APPS[0])
    looks = []

    def look():
        if it.driver.phases[C1] is DOWN:
            return seen(DOWN)
        looks.append("app#1")
        return seen(Phase.UNKNOWN if len(looks) < 3 else it.driver.phases["app#1"])

    it.driver.on["observe", "app#1"] = look
    it.run()
    assert it.driver.phases == {C1: UP, "app#1": UP}


def test_what_is_never_seen_there_is_not_started_and_nobody_forgives_that(stage):
    launchers = resource("app#1", container_id=C1)
    assert launchers.forgives(Verb.START)
    it = stage({C1: DOWN, "app#1": DOWN}, guest(start_timeout=0.5), launchers)
    it.driver.on["observe", "app#1"] = lambda: seen(DOWN if it.driver.phases[C1] is DOWN else Phase.UNKNOWN)
    began = time.monotonic()
    messages = it.fails(kind=Undetermined)
    assert 0.3 < time.monotonic() - began < 5
    assert re.fullmatch(r"start of web failed at wait app#1: it could not be seen within 0\.\d s: as told", messages[0])
    assert messages[1:] == ["rolled back: stop container#1: done"]
    assert "start app#1" not in it.driver.calls


def test_in_a_guest_that_was_up_an_unknown_status_is_not_waited_for(stage):
    it = stage({C1: UP, "app#1": DOWN}, guest(start_timeout=60.0), APPS[0])
    made = it.plan("start")
    it.driver.become("app#1", Phase.UNKNOWN)
    began = time.monotonic()
    with pytest.raises(Undetermined, match="its status is unknown"):
        it.executor.run(made)
    assert time.monotonic() - began < 5


def test_results_tell_whose_start_it_was(stage):
    it = stage()
    it.driver.on["start", "container#2"] = up_by_somebody_else(it, "container#2")
    assert [result.is_ours for result in it.run().results] == [True, False, True]


@pytest.mark.parametrize("where", ["after", "progress"])
def test_an_interrupt_while_a_result_is_told_does_not_make_it_ours(stage, where):
    it = stage({"container#1": DOWN})
    it.driver.on["start", "container#1"] = up_by_somebody_else(it, "container#1")

    def interrupt(*_):
        raise KeyboardInterrupt

    if where == "after":
        it.hooks.after = interrupt
    else:
        it.executor = Executor(
            driver_of=lambda _: it.driver,
            journal=it.journal,
            hooks=it.hooks,
            run_trigger=lambda _: None,
            progress=lambda said: interrupt() if said.duration_s is not None else None,
        )
    assert it.fails() == ["start of web failed at start container#1: interrupted"]
    assert it.driver.verbs() == ["start container#1"]
    assert it.driver.phases["container#1"] is UP


# --- what the rules say when a step's turn comes ---------------------------------------------------------------------


def change_after(it, verb, rid, phase):
    """Have the world move on once a step has been taken."""
    it.hooks.after = lambda step: it.driver.become(rid, phase) if str(step) == verb else None


def test_a_status_that_becomes_unknown_before_the_step_stops_the_start(stage):
    it = stage()
    change_after(it, "start container#1", "container#2", Phase.UNKNOWN)
    messages = it.fails(kind=Undetermined)
    assert messages[0] == "start of web failed at start container#2: its status is unknown: as told"
    assert it.codes == ["undetermined.status", "action.rolled-back"]
    assert it.driver.verbs() == ["start container#1", "stop container#1"]


@pytest.mark.parametrize(
    "phase",
    [Phase.PAUSED, Phase.SUSPENDED, Phase.CRASHED, Phase.STUCK, Phase.STOPPING, Phase.DEGRADED, Phase.MIGRATING],
)
def test_a_start_is_overtaken(stage, phase):
    it = stage()
    change_after(it, "start container#1", "container#2", phase)
    messages = it.fails()
    assert messages == [
        f"start of web failed at start container#2: things have changed: it is {phase.value}: neither up nor down",
        "rolled back: stop container#1: done",
    ]
    assert (it.codes, it.places) == (["action.overtaken", "action.rolled-back"], ["container#2", "container#1"])
    assert it.driver.verbs() == ["start container#1", "stop container#1"]
    assert it.driver.phases["container#2"] is phase


def test_a_guest_that_begins_to_migrate_between_plan_and_stop_is_left_alone(stage):
    it = stage({"container#1": UP})
    made = it.plan("stop")
    it.driver.become("container#1", Phase.MIGRATING)
    with pytest.raises(ActionFailed) as caught:
        it.executor.run(made)
    assert (caught.value.code, caught.value.hint) == ("action.overtaken", "try again when the migration has ended")
    assert it.driver.verbs() == []


@pytest.mark.parametrize("kill", [True, False])
def test_a_guest_that_migrates_or_cannot_be_seen_when_force_has_its_turn_is_not_killed(stage, kill):
    for phase, kind, code in (
        (Phase.MIGRATING, ActionFailed, "action.overtaken"),
        (Phase.UNKNOWN, Undetermined, "undetermined.status"),
    ):
        it = stage({"container#1": UP})
        if kill:
            made = it.plan("stop", kill=True)
            it.driver.become("container#1", phase)
        else:
            made = it.plan("stop")
            it.driver.on["stop", "container#1"] = DriverError("it has no agent")
            change_after(it, "stop container#1", "container#1", phase)
        with pytest.raises(kind, match="at kill container#1") as caught:
            it.executor.run(made)
        assert caught.value.code == code
        assert it.driver.verbs() == ([] if kill else ["stop container#1"])
        assert it.driver.phases["container#1"] is phase


def test_a_guest_that_is_paused_between_plan_and_stop_is_forced_without_being_asked(stage):
    # As a plan made now would say: it does not hear, so that only force brings it down.
    it = stage({"container#1": UP})
    made = it.plan("stop")
    it.driver.become("container#1", Phase.PAUSED)
    report = it.executor.run(made)
    assert it.driver.verbs() == ["kill container#1"]
    assert [str(each.step) for each in report.results] == ["kill container#1"]


def test_a_guest_that_went_down_meanwhile_needs_no_stop(stage):
    it = stage(dict.fromkeys(THREE, UP))
    change_after(it, "stop container#3", "container#2", Phase.ABSENT)
    it.run("stop")
    assert it.driver.verbs() == ["stop container#3", "stop container#1"]
    assert "before stop container#2" not in it.hooks.heard


def test_only_what_was_announced_is_concluded(stage):
    it = stage({"container#1": DOWN, "container#2": DOWN}, guest(1), guest(2, optional=True))
    change_after(it, "start container#1", "container#2", Phase.MIGRATING)
    report = it.run()
    assert [(str(each.step), each.acted, each.error) for each in report.results] == [
        ("start container#1", True, ""),
        ("start container#2", False, "things have changed: it is migrating: neither up nor down"),
    ]
    assert it.hooks.heard == ["before start container#1", "after start container#1"]
    assert [str(said.step) for said in it.told] == ["start container#1"] * 2
    steps = [record["step"] for record in it.journal.records() if record["event"] in ("intend", "done")]
    assert steps == ["start container#1"] * 2


@pytest.mark.parametrize("phase", [Phase.UNKNOWN, Phase.MIGRATING])
def test_an_optional_resource_that_may_go_on_running_fails_a_stop(stage, phase):
    it = stage({"container#1": UP, "container#2": UP}, guest(1), guest(2, optional=True))
    made = it.plan("stop")
    it.driver.become("container#2", phase)
    with pytest.raises((ActionFailed, Undetermined), match="at stop container#2"):
        it.executor.run(made)
    assert it.driver.verbs() == []


def test_an_optional_resource_that_cannot_be_stopped_fails_the_stop(stage):
    it = stage({"container#1": UP, "container#2": UP}, guest(1), guest(2, optional=True))
    it.driver.on["stop", "container#2"] = it.driver.on["kill", "container#2"] = DriverError("denied")
    assert it.fails("stop") == ["stop of web failed at kill container#2: denied"]
    assert it.driver.phases["container#1"] is UP


# --- rollbacks -------------------------------------------------------------------------------------------------------


def test_a_guest_that_cannot_be_seen_is_left_alone_by_a_rollback(stage):
    it = stage()
    it.driver.on["start", "container#2"] = lambda: (
        it.driver.on.update({("observe", "container#1"): Undetermined("libvirtd hangs")}),
        it.driver.on.update({("start", "container#2"): DriverError("no")}),
        it.driver.start(guest(2), budget_s=1),
    )
    messages = it.fails(kind=Undetermined)
    assert "stop container#1" not in it.driver.calls
    assert messages == [
        "start of web failed at start container#2: no",
        "not rolled back: stop container#1: its status is unknown: libvirtd hangs",
    ]
    assert (it.codes[1], it.places) == ("action.rollback-failed", ["container#2", "container#1"])


def test_a_guest_that_migrates_is_not_taken_back_and_the_next_one_is(stage):
    it = stage()
    it.driver.on["start", "container#3"] = lambda: (
        it.driver.become("container#2", Phase.MIGRATING),
        it.driver.on.update({("start", "container#3"): DriverError("no")}),
        it.driver.start(guest(3), budget_s=1),
    )
    assert it.fails()[1:] == [
        "not rolled back: stop container#2: things have changed: it is migrating",
        "rolled back: stop container#1: done",
    ]
    assert it.codes[1:] == ["action.rollback-failed", "action.rolled-back"]
    assert it.driver.phases == {"container#1": DOWN, "container#2": Phase.MIGRATING, "container#3": DOWN}


def test_a_rollback_whose_end_nobody_can_see_is_undetermined(stage):
    it = stage({"container#1": DOWN, "container#2": DOWN})
    it.driver.on["start", "container#2"] = DriverError("no")
    it.driver.on["stop", "container#1"] = DriverError("no agent")
    it.driver.on["kill", "container#1"] = lambda: it.driver.become("container#1", Phase.UNKNOWN)
    with pytest.raises(Undetermined) as caught:
        it.run()
    assert caught.value.exit_code == 4
    assert [problem.code for problem in caught.value.problems] == ["driver"] + ["action.rollback-failed"] * 2


def test_force_that_helped_makes_up_for_asking_that_was_unclear(stage):
    it = stage({"container#1": DOWN, "container#2": DOWN}, guest(1, stop_timeout=0.1), guest(2))
    it.driver.on["start", "container#2"] = DriverError("no")
    gone = Undetermined("gone for a moment")
    it.driver.on["stop", "container#1"] = lambda: it.driver.on.update({("observe", "container#1"): gone})
    it.hooks.after = lambda step: it.driver.on.pop(("observe", "container#1"), None)
    assert it.fails()[1:] == [
        "rolled back: stop container#1: its status is unknown: gone for a moment",
        "rolled back: kill container#1: done",
    ]
    assert it.codes[1:] == ["action.rolled-back"] * 2
    assert it.driver.phases["container#1"] is DOWN


def test_an_application_without_a_stop_command_is_left(stage):
    it = stage(
        {"app#1": DOWN, "app#2": DOWN}, resource("app#1", start=("a",)), resource("app#2", start=("a",), stop=("b",))
    )
    it.driver.on["start", "app#2"] = DriverError("no")
    assert it.fails()[1:] == ["not rolled back: start app#1: left as it is: it has no command that stops it"]
    assert it.codes[1:] == ["action.left"]
    assert it.driver.phases["app#1"] is UP


def test_a_rollback_goes_on_to_force(stage):
    it = stage()
    it.driver.on["start", "container#2"] = DriverError("no")
    it.driver.on["stop", "container#1"] = DriverError("it does not listen")
    assert it.fails()[1:] == [
        "rolled back: stop container#1: it does not listen",
        "rolled back: kill container#1: done",
    ]
    assert it.driver.phases["container#1"] is DOWN


def test_a_rollback_that_fails_says_so(stage):
    it = stage()
    it.driver.on["start", "container#2"] = DriverError("no")
    it.driver.on["stop", "container#1"] = it.driver.on["kill", "container#1"] = DriverError("denied")
    assert it.fails()[1:] == ["not rolled back: stop container#1: denied", "not rolled back: kill container#1: denied"]
    assert it.codes[1:] == ["action.rollback-failed"] * 2
    assert it.driver.phases["container#1"] is UP


def test_no_rollback_where_the_service_wants_none(stage):
    it = stage(rollback=False)
    it.driver.on["start", "container#2"] = DriverError("no")
    assert it.fails()[1:] == [
        "not rolled back, as the service wants it: start container#1",
        "not rolled back, as the service wants it: start container#2",
    ]
    assert it.driver.phases["container#1"] is UP


def test_a_veto_stops_the_action_before_anything_is_done(stage):
    it = stage()

    def veto(step):
        if step.rid == "container#2":
            raise RuntimeError("not before four")

    it.hooks.before = veto
    messages = it.fails()
    assert it.driver.verbs() == ["start container#1", "stop container#1"]
    assert messages[0] == "start of web failed at start container#2: a plugin vetoed it: not before four"
    assert "after start container#2: a plugin vetoed it: not before four" in it.hooks.heard


def test_a_veto_of_asking_is_no_licence_to_force(stage):
    it = stage({"container#1": UP})
    it.hooks.before = lambda step: (_ for _ in ()).throw(RuntimeError("not now")) if step.verb == "stop" else None
    assert it.fails("stop") == ["stop of web failed at stop container#1: a plugin vetoed it: not now"]
    assert it.driver.verbs() == []


def test_nobody_can_veto_the_way_back(stage, caplog):
    it = stage()
    it.driver.on["start", "container#2"] = DriverError("no")
    heard = []

    def veto(step):
        heard.append((str(step), step.takes_back))
        if step.verb == "stop":
            raise RuntimeError("not now")

    it.hooks.before = veto
    assert it.fails()[1:] == ["rolled back: stop container#1: done"]
    assert it.driver.phases["container#1"] is DOWN
    assert heard == [("start container#1", False), ("start container#2", False), ("stop container#1", True)]
    assert "a plugin objects to stop container#1 of web, which takes back a start: not now" in caplog.text


def test_a_hook_that_cancels_keeps_the_step_from_being_taken(stage):
    it = stage()
    it.hooks.before = lambda step: it.cancelled.set() if step.rid == "container#2" else None
    assert it.fails() == [
        "start of web failed at start container#2: interrupted",
        "rolled back: stop container#1: done",
    ]
    assert "start container#2" not in it.driver.calls
    assert "after start container#2: interrupted" in it.hooks.heard


def test_a_hook_that_cancels_the_asking_leads_to_no_force(stage):
    it = stage({"container#1": UP})
    it.hooks.before = lambda step: it.cancelled.set()
    assert it.fails("stop") == ["stop of web failed at stop container#1: interrupted"]
    assert it.driver.verbs() == []


def test_a_listener_that_is_gone_fails_nothing(stage, caplog):
    it = stage()

    def broken(_):
        raise BrokenPipeError("nobody reads")

    it.executor = Executor(
        driver_of=lambda _: it.driver, journal=it.journal, hooks=it.hooks, run_trigger=lambda _: None, progress=broken
    )
    it.run()
    assert set(it.driver.phases.values()) == {UP}
    assert "nobody reads" in caplog.text


def test_an_optional_resource_that_fails_fails_nothing(stage):
    it = stage({"container#1": DOWN, "container#2": DOWN}, guest(1, optional=True), guest(2))
    it.driver.on["start", "container#1"] = DriverError("no")
    report = it.run()
    assert [(str(each.step), each.error) for each in report.results] == [
        ("start container#1", "no"),
        ("start container#2", ""),
    ]
    assert it.driver.phases == {"container#1": DOWN, "container#2": UP}


def test_the_own_guest_is_taken_back_where_its_start_is_unclear(stage):
    it = stage({"container#1": DOWN})

    def begin_and_hang():
        it.driver.become("container#1", Phase.STARTING)
        raise Undetermined("the request was lost")

    it.driver.on["start", "container#1"] = begin_and_hang
    messages = it.fails(kind=Undetermined)
    assert messages == [
        "start of web failed at start container#1: the request was lost",
        "rolled back: stop container#1: done",
    ]


# --- stop and restart ------------------------------------------------------------------------------------------------


def test_a_stop_goes_the_other_way_and_forces_only_where_needed(stage):
    it = stage(dict.fromkeys(THREE, UP))
    it.driver.on["stop", "container#2"] = DriverError("it has no agent")
    report = it.run("stop")
    assert it.driver.verbs() == ["stop container#3", "stop container#2", "kill container#2", "stop container#1"]
    assert [each.error for each in report.results] == ["", "it has no agent", "", ""]


def test_a_stop_that_cannot_be_done_fails_and_takes_nothing_back(stage):
    it = stage(dict.fromkeys(THREE, UP))
    it.driver.on["stop", "container#2"] = it.driver.on["kill", "container#2"] = DriverError("denied")
    assert it.fails("stop") == ["stop of web failed at kill container#2: denied"]
    assert it.driver.phases == {"container#1": UP, "container#2": UP, "container#3": DOWN}


def test_a_kill_with_consent_asks_nobody(stage):
    it = stage(dict.fromkeys(THREE, UP))
    it.run("stop", kill=True)
    assert it.driver.verbs() == ["kill container#3", "kill container#2", "kill container#1"]


def test_a_restart(stage):
    it = stage({"container#1": UP, "container#2": DOWN})
    it.run("restart")
    assert it.driver.verbs() == ["stop container#1", "start container#1", "start container#2"]


def test_applications_are_stopped_without_force(stage):
    it = stage({"app#1": UP}, resource("app#1", start=("a",), stop=("b",)))
    it.run("stop")
    assert it.driver.verbs() == ["stop app#1"]


# --- interruptions ---------------------------------------------------------------------------------------------------


def test_cancelled_before_a_step(stage):
    it = stage()
    it.hooks.after = lambda step: it.cancelled.set()
    messages = it.fails()
    assert it.driver.verbs() == ["start container#1", "stop container#1"]
    assert messages[0] == "start of web failed at start container#2: interrupted"


def test_cancelled_within_the_last_step_of_a_start(stage):
    """A driver that does not hear of it brings its step to an end."""
    it = stage({C1: DOWN})

    def start():
        it.cancelled.set()
        it.driver.become(C1, UP)

    it.driver.on["start", C1] = start
    assert it.fails() == [
        "start of web failed at start container#1: interrupted",
        "rolled back: stop container#1: done",
    ]
    assert it.codes[0] == "action.interrupted"


def test_cancelled_within_the_last_step_of_a_stop_there_is_nothing_to_break_off(stage):
    it = stage({C1: UP})

    def stop():
        it.cancelled.set()
        it.driver.become(C1, DOWN)

    it.driver.on["stop", C1] = stop
    assert [result.error for result in it.run("stop").results] == [""]


def test_cancelled_while_a_start_waits(stage):
    it = stage({"container#1": DOWN}, guest(1, start_timeout=60.0))
    it.driver.on["start", "container#1"] = lambda: (it.driver.become("container#1", Phase.STARTING), it.cancelled.set())
    assert it.fails() == [
        "start of web failed at start container#1: interrupted",
        "rolled back: stop container#1: done",
    ]


@pytest.mark.parametrize("where", ["verb", "look", "before", "after", "progress"])
def test_an_interrupt_anywhere_takes_back_what_was_started(stage, where):
    it = stage({"container#1": DOWN, "container#2": DOWN})
    interrupts = iter([KeyboardInterrupt()])

    def interrupt(*_):
        for each in interrupts:
            raise each

    if where == "verb":
        it.driver.on["start", "container#2"] = lambda: (it.driver.become("container#2", UP), interrupt_main(it))
    elif where == "progress":
        it.executor = Executor(
            driver_of=lambda _: it.driver,
            journal=it.journal,
            hooks=it.hooks,
            run_trigger=lambda _: None,
            progress=lambda said: interrupt() if said.duration_s is not None else None,
        )
    elif where == "look":
        finder_calls = iter(range(100))
        it.executor = Executor(
            driver_of=lambda _: it.driver if next(finder_calls) != 3 else interrupt(),
            journal=it.journal,
            hooks=it.hooks,
            run_trigger=lambda _: None,
        )
    else:
        setattr(it.hooks, where, interrupt)
    messages = it.fails()
    assert "interrupted" in messages[0]
    assert set(it.driver.phases.values()) == {DOWN}
    assert it.journal.unfinished() is None


def interrupt_main(it):
    """What Ctrl-C does: the main thread is interrupted, not the one that the driver works in."""
    import signal

    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    it.driver.release.wait(0.3)


def test_an_interrupt_while_a_guest_is_asked_to_stop_does_not_force_it(stage):
    it = stage({"container#1": UP, "container#2": UP}, guest(1, stop_timeout=30.0), guest(2, stop_timeout=30.0))
    it.driver.on["stop", "container#2"] = lambda: interrupt_main(it)
    assert it.fails("stop") == ["stop of web failed at stop container#2: interrupted"]
    assert it.driver.verbs() == ["stop container#2"]


def test_an_interrupt_in_an_optional_resource_ends_the_action(stage):
    it = stage({"container#1": DOWN, "container#2": DOWN}, guest(1, optional=True), guest(2))
    it.driver.on["start", "container#1"] = lambda: interrupt_main(it)
    assert "interrupted" in it.fails()[0]
    assert "start container#2" not in it.driver.calls


# --- the journal cannot be written -----------------------------------------------------------------------------------


@pytest.fixture
def full_disk(stage, monkeypatch):
    """A stage whose journal is a file of a device that is always full."""

    def make(phases, **settings):
        it = stage(phases, **settings)
        it.journal.path.symlink_to("/dev/full")
        return it

    return make


def test_nothing_starts_without_a_trace(full_disk):
    it = full_disk({"container#1": DOWN})
    messages = it.fails()
    assert it.driver.verbs() == []
    assert messages[0].startswith("start of web failed: the journal cannot be written: No space left on device")


def test_a_restart_does_not_even_stop(full_disk):
    it = full_disk({"container#1": UP})
    it.fails("restart")
    assert it.driver.verbs() == []


def test_a_stop_goes_on_and_tells_the_loss_once(full_disk):
    it = full_disk({"container#1": UP, "container#2": UP})
    report = it.run("stop")
    assert set(it.driver.phases.values()) == {DOWN}
    (loss,) = report.losses
    assert "No space left on device" in loss


def test_a_stop_that_fails_tells_the_loss_too(full_disk):
    it = full_disk({"container#1": UP})
    it.driver.on["stop", "container#1"] = it.driver.on["kill", "container#1"] = DriverError("denied")
    messages = it.fails("stop")
    assert messages[1].startswith("not recorded: the journal cannot be written")


def test_a_disk_that_fills_up_between_two_steps(stage):
    it = stage()
    it.hooks.after = lambda step: (it.journal.path.unlink(missing_ok=True), it.journal.path.symlink_to("/dev/full"))
    it.fails()
    assert it.driver.verbs() == ["start container#1", "stop container#1"]


@pytest.mark.parametrize("failure", [Undetermined("no path answers"), KeyboardInterrupt()])
def test_a_reservation_of_which_nobody_knows_is_left_and_told(stage, failure):
    disks = resource("vmdg", container_id="container#1", scsireserv=True)
    it = stage({"container#1": DOWN, disks.rid: DOWN}, guest(1), disks)
    it.executor.told.append("disk0: removed the registrations of n2")
    it.driver.on["start", disks.rid] = failure
    messages = it.fails(kind=Undetermined)
    assert messages[1:] == [
        f"left as it is, not known: start {disks.rid}: see `vmsvc disks web`",
        "disk0: removed the registrations of n2",
    ]
    assert f"stop {disks.rid}" not in it.driver.calls


# --- what a start waits for inside guests -------------------------------------------------------------------------


def with_address(stage, start_timeout=2.0, **options):
    """A guest that takes half a second to come up, and an address inside it."""
    it = stage(
        {"container#1": DOWN, "ip#1": DOWN},
        guest(start_timeout=start_timeout),
        resource("ip#1", container_id="container#1", **options),
    )

    def rise():
        it.driver.become("container#1", Phase.STARTING)
        threading.Timer(0.5, lambda: it.driver.become("container#1", UP)).start()

    it.driver.on["start", "container#1"] = rise
    return it


def test_what_a_start_waits_for_shares_the_budget_of_its_guest(stage):
    it = with_address(stage)
    began = time.monotonic()
    told = it.fails()
    assert 1.8 < time.monotonic() - began < 2.6
    assert told == [
        "start of web failed at wait ip#1: it is not there: stopped",
        "rolled back: stop container#1: done",
    ]


def test_an_address_that_comes_ends_the_start(stage):
    it = with_address(stage, start_timeout=9.0)
    threading.Timer(2.5, lambda: it.driver.become("ip#1", UP)).start()
    report = it.run()
    assert [str(result.step) for result in report.results] == ["start container#1", "wait ip#1"]
    assert it.driver.verbs() == ["start container#1"]


def test_an_optional_address_that_does_not_come_fails_nothing(stage):
    it = with_address(stage, optional=True)
    report = it.run()
    assert [result.error for result in report.results] == ["", "it is not there: stopped"]


def test_a_guest_is_rolled_back_into_which_no_way_opens(stage):
    it = stage({"container#1": DOWN}, guest(ready="way-in", start_timeout=0.5))

    def reach(each, budget_s):
        raise NoWayIn("connection refused")

    it.executor = evolve(it.executor, reach=reach)
    assert it.fails() == [
        "start of web failed at wait container#1: it lets no commands in: connection refused",
        "rolled back: stop container#1: done",
    ]


# --- starts in two halves ---------------------------------------------------------------------------------------------


def test_where_the_first_half_of_an_optional_guest_fails_the_second_is_not_tried(stage):
    it = stage({C1: DOWN, "container#2": DOWN}, split_guest(1, optional=True), guest(2))
    it.driver.on["prepare", C1] = DriverError("denied")
    report = it.run()
    assert it.driver.verbs() == [f"prepare {C1}", "start container#2"]
    assert [result.error for result in report.results] == ["denied", ""]


def test_what_others_have_booted_between_the_halves_stays_up(stage):
    it = stage({C1: DOWN, "container#2": DOWN}, split_guest(1), guest(2))
    it.driver.on["prepare", C1] = lambda: (it.driver.become(C1, UP), True)[1]  # it is up before boot has its turn
    it.driver.on["start", "container#2"] = DriverError("denied")
    it.fails(kind=ActionFailed)
    assert it.driver.phases[C1] is UP
    assert it.driver.verbs() == [f"prepare {C1}", "start container#2"]


def test_what_passes_between_the_halves_is_not_taken_from_the_guests_budget(stage):
    it = stage(
        {C1: DOWN, "ip#1": DOWN}, split_guest(1, start_timeout=0.6), resource("ip#1", container_id=C1, is_plumbed=True)
    )
    it.driver.on["start", "ip#1"] = lambda: (time.sleep(0.8), it.driver.become("ip#1", UP))
    it.driver.on["boot", C1] = lambda: threading.Timer(0.3, lambda: it.driver.become(C1, UP)).start()
    it.run()
    assert it.driver.phases[C1] is UP


def test_both_halves_share_one_budget(stage):
    it = stage({C1: DOWN}, split_guest(1, start_timeout=1.0))
    it.driver.on["prepare", C1] = lambda: (time.sleep(0.7), it.driver.become(C1, Phase.PREPARED))
    it.driver.on["boot", C1] = lambda: threading.Timer(0.8, lambda: it.driver.become(C1, UP)).start()
    assert it.fails()[0] == f"start of web failed at boot {C1}: it is not up: prepared"


# --- what must not be started any more ------------------------------------------------------------------------------


def confirming(stage, confirm):
    return evolve(stage.executor, confirm=confirm)


def test_a_guest_is_confirmed_last_before_it_is_started_and_left_alone_where_that_fails(tmp_path):
    stage = Stage(tmp_path, {"container#1": DOWN, "container#2": DOWN})
    heard = []

    def confirm(rid, seen):
        assert seen.phase is DOWN
        heard.append((rid, stage.hooks.heard[-1]))
        if rid == "container#2":
            raise Refused("it runs on n2", code="refused.runs-on-peer")

    stage.executor = confirming(stage, confirm)
    stage.fails(kind=Refused)
    assert heard == [(C1, "before start container#1"), ("container#2", "before start container#2")]
    assert stage.codes == ["refused.runs-on-peer", "action.rolled-back"]
    assert stage.driver.verbs() == ["start container#1", "stop container#1"]


def test_a_restart_that_is_refused_after_its_stop_has_failed_and_tells_what_it_has_left_down(tmp_path):
    stage = Stage(tmp_path, {"container#1": UP, "container#2": UP})

    def confirm(rid, _seen):
        if rid == "container#2":
            raise Refused("it runs on n2", code="refused.runs-on-peer")

    stage.executor = confirming(stage, confirm)
    told = stage.fails("restart", kind=ActionFailed)
    assert stage.codes == ["refused.runs-on-peer", "action.rolled-back", "action.left", "action.left"]
    assert sorted(told[2:]) == [f"stopped before, and not started again: container#{number}" for number in (1, 2)]


def test_both_halves_of_a_start_are_confirmed_and_no_stop_is(tmp_path):
    stage, heard = Stage(tmp_path, {C1: DOWN}, [split_guest()]), []
    stage.executor = confirming(stage, lambda rid, _seen: heard.append(rid))
    stage.run()
    assert heard == [C1, C1]
    stage.run("stop")
    assert heard == [C1, C1]
