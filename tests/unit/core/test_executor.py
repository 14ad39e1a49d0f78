"""Failures injected at every step: what is taken back, what is left alone, and what is told."""

from __future__ import annotations

import json
import os
import threading

import pytest

from tests.support import NODE, FakeDriver, Hooks, guest, resource, seen, service
from vmsvc.core.errors import ActionFailed, DriverError, Undetermined
from vmsvc.core.executor import Executor
from vmsvc.core.journal import Journal
from vmsvc.core.plan import Consent, plan
from vmsvc.core.status import Phase

UP, DOWN = Phase.RUNNING, Phase.STOPPED
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
            progress=self.told.append,
            cancelled=self.cancelled,
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


@pytest.mark.parametrize("meanwhile", [UP, Phase.STARTING, Phase.DEGRADED])
def test_what_somebody_else_starts_between_plan_and_step_is_not_ours(stage, meanwhile):
    it = stage()
    made = it.plan("start")
    it.driver.become("container#1", meanwhile)
    it.driver.on["start", "container#3"] = DriverError("no")
    with pytest.raises(ActionFailed):
        it.executor.run(made)
    assert ("start container#1" in it.driver.calls) == (meanwhile is not UP)
    assert it.driver.phases["container#1"] is UP
    assert it.driver.phases["container#2"] is DOWN


def test_a_status_that_becomes_unknown_before_the_step_stops_the_start(stage):
    it = stage()
    made = it.plan("start")
    it.hooks.after = lambda step: it.driver.become("container#2", Phase.UNKNOWN)
    with pytest.raises(Undetermined, match="start container#2: its status has become unknown"):
        it.executor.run(made)
    assert it.driver.verbs() == ["start container#1", "stop container#1"]


def test_despite_unknown_goes_on_and_never_takes_back_what_may_have_run_before(stage):
    it = stage({"container#1": Phase.UNKNOWN, "container#2": DOWN})
    it.driver.on["start", "container#2"] = DriverError("no")
    it.fails(despite_unknown={"container#1"})
    assert it.driver.verbs() == ["start container#1", "start container#2"]


def test_a_guest_that_cannot_be_seen_is_left_alone_by_a_rollback(stage):
    it = stage()
    it.driver.on["start", "container#2"] = lambda: (
        it.driver.on.update({("observe", "container#1"): Undetermined("libvirtd hangs")}),
        it.driver.on.update({("start", "container#2"): DriverError("no")}),
        it.driver.start(guest(2), budget_s=1),
    )
    messages = it.fails()
    assert "stop container#1" not in it.driver.calls
    assert messages[1:] == [
        "rolled back: stop container#1: left alone, since its status is unknown: libvirtd hangs",
    ]


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
    assert it.fails()[1:] == ["rolled back: stop container#1: denied", "rolled back: kill container#1: denied"]
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


def test_a_veto_of_a_rollback_is_heeded_and_told(stage):
    it = stage()
    it.driver.on["start", "container#2"] = DriverError("no")
    it.hooks.before = lambda step: (_ for _ in ()).throw(RuntimeError("not now")) if step.verb == "stop" else None
    assert it.fails()[1:] == ["rolled back: stop container#1: a plugin vetoed it: not now"]
    assert it.driver.phases["container#1"] is UP


def test_a_listener_that_is_gone_fails_nothing(stage, caplog):
    it = stage()

    def broken(_):
        raise BrokenPipeError("nobody reads")

    it.executor = Executor(driver_of=lambda _: it.driver, journal=it.journal, hooks=it.hooks, progress=broken)
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
            progress=lambda said: interrupt() if said.duration_s is not None else None,
        )
    elif where == "look":
        finder_calls = iter(range(100))
        it.executor = Executor(
            driver_of=lambda _: it.driver if next(finder_calls) != 3 else interrupt(),
            journal=it.journal,
            hooks=it.hooks,
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
