"""The watcher over reserved disks: what it answers to, what it leaves alone, and that nothing ends it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from attrs import evolve

from tests.support import guest, resource, service
from vmsvc.cli import watching
from vmsvc.core.disks.watch import Concern, Watched
from vmsvc.core.errors import ConfigError, Refused, Undetermined, UsageError
from vmsvc.core.execution.report import Report, StepResult
from vmsvc.core.planning.plan import Kept, Plan, Step
from vmsvc.core.status import Status
from vmsvc.core.verb import Verb

DISKS = resource("vmdg", container_id="container#1", scsireserv=True, on_lost_keys="kill")
WEB = service(guest(1), DISKS)


def lost(*taken, concern=Concern.LOST):
    return Watched(
        resource=DISKS,
        concern=concern,
        text="as told",
        status=Status.DOWN if concern is Concern.LOST else Status.UP,
        users=("container#1",),
        taken=taken,
    )


class Site:
    """A session and a screen that remember, with looks that go as a test says."""

    def __init__(self, *looks, act=None, interval=0.0, once=True):
        self.looks, self.acted, self.documents, self.problems = list(looks), [], [], []
        self.act_with = act
        self.is_locked, self.looked_locked = False, []
        self.arguments = SimpleNamespace(names=(), once=once, interval=interval)
        self.session = self.screen = self

    def files(self):
        return {"web": [WEB.file]}

    def load(self, name):
        return WEB

    def left_behind(self):
        return []

    def watch(self, services):
        self.looked_locked.append(self.is_locked)
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return [look]

    def act(self, action, service, *, consent, only, planned, cancelled):
        self.is_locked = True
        planned(Plan(action=action, service=service, node="n1"))
        self.acted.append((action, only, consent.kill))
        if isinstance(self.act_with, Exception):
            raise self.act_with
        return self.act_with

    def tell(self, problem):
        self.problems.append(problem.message)

    def answer(self, document, lines):
        self.documents.append(document)
        self.lines = "".join(text for line in lines for text, _ in line)


def report(*results, kept=()):
    return Report(plan=Plan(action="stop", service=WEB, node="n1", kept=kept), results=results)


def killed(failure=None):
    return StepResult(step=Step(rid="container#1", verb=Verb.KILL, budget_s=1.0), acted=True, failure=failure)


def row(site):
    (watched,) = site.documents[-1]["watched"]
    return watched


def test_a_guest_whose_disks_were_taken_is_stopped_by_force():
    site = Site(lost("sda"), lost("sda"), act=report(killed()))
    assert watching.watch(site) == 1
    assert site.acted == [("stop", ("container#1",), True)]
    assert row(site)["stopped"] == ["container#1"]
    assert "stopped by force: container#1" in site.lines


def test_the_second_look_is_made_under_the_lock_since_disks_may_come_back_while_that_is_waited_for():
    site = Site(lost("sda"), lost("sda"), act=report(killed()))
    watching.watch(site)
    assert site.looked_locked == [False, True]


def test_nobody_is_killed_where_the_second_look_fails():
    site = Site(lost("sda"), Undetermined("no path answers"))
    assert watching.watch(site) == 1
    assert site.acted == []
    assert row(site)["errors"][0]["message"] == "no path answers"


def test_nobody_is_killed_where_the_second_look_finds_something_else_running():
    site = Site(lost("sda"), evolve(lost("sda"), users=("container#2",)))
    assert watching.watch(site) == 1
    assert site.acted == []
    assert "does not say the same" in site.lines


def test_nobody_is_killed_whose_keys_are_back_at_the_second_look():
    site = Site(lost("sda"), lost(concern=Concern.NONE))
    assert watching.watch(site) == 0
    assert site.acted == []


def test_nobody_is_killed_where_the_second_look_says_it_of_another_disk():
    site = Site(lost("sda"), lost("sdb"))
    assert watching.watch(site) == 1
    assert site.acted == []


def test_nobody_is_killed_whose_file_does_not_want_that_any_more_at_the_second_look():
    site = Site(lost("sda"), evolve(lost("sda"), resource=evolve(DISKS, on_lost_keys="alarm")))
    assert watching.watch(site) == 1
    assert site.acted == []


def test_nobody_is_killed_whose_disks_nobody_else_has():
    site = Site(lost())
    assert watching.watch(site) == 1
    assert site.acted == []


@pytest.mark.parametrize(
    "act",
    [
        report(kept=(Kept(rid="container#1", why="it is tagged noaction"),)),
        Refused("it is tagged noaction"),
    ],
)
def test_what_was_not_stopped_is_not_called_stopped(act):
    site = Site(lost("sda"), lost("sda"), act=act)
    assert watching.watch(site) == 1
    assert row(site)["stopped"] == []
    assert "noaction" in row(site)["errors"][0]["message"]
    assert "could not be stopped: " in site.lines


def test_one_that_was_down_already_is_no_failure():
    site = Site(lost("sda"), lost("sda"), act=report(kept=(Kept(rid="container#1", why="it is down", in_place=True),)))
    watching.watch(site)
    assert row(site)["stopped"] == row(site)["errors"] == []


def test_somebody_else_beside_us_is_an_alarm_and_kills_nobody():
    site = Site(lost(concern=Concern.CONTESTED))
    assert watching.watch(site) == 1
    assert "ALARM" in site.lines
    assert site.acted == []


def test_records_of_services_without_a_file_that_cannot_be_listed_do_not_blind_the_watch():
    site = Site(lost("sda"), lost("sda"), act=report(killed()))

    def left_behind():
        raise Undetermined("what this node has reserved is not known")

    site.left_behind = left_behind
    assert watching.watch(site) == 1
    assert row(site)["stopped"] == ["container#1"]
    assert site.problems == ["what this node has reserved is not known"]


@pytest.mark.parametrize("error", [ConfigError("the key file is wrong"), RuntimeError("a defect")])
def test_a_look_that_fails_ends_no_watch(error):
    site = Site(error, lost(concern=Concern.NONE), once=False, interval=0.01)
    answer = site.answer

    def stop_after_two(document, lines):
        answer(document, lines)
        if len(site.documents) == 2:
            site.looks = [UsageError("over")] * 99
            site.arguments.once = True

    site.answer = stop_after_two
    assert watching.watch(site) == 0
    assert len(site.problems) == 1
    assert len(site.documents) == 2


def test_the_only_look_exits_with_its_error():
    site = Site(ConfigError("the key file is wrong"))
    assert watching.watch(site) == 2
    assert site.documents[0]["errors"][0]["message"] == "the key file is wrong"
    assert "no service" not in site.lines


@pytest.mark.parametrize(
    ("users", "status", "word"),
    [
        (("container#1",), Status.UP, "well"),
        (("container#1",), Status.NA, "n/a"),
        ((), Status.UP, "idle"),
        ((), Status.UNKNOWN, "idle"),
    ],
)
def test_nothing_is_called_well_but_disks_that_are_reserved_under_what_runs(users, status, word):
    site = Site(Watched(resource=DISKS, concern=Concern.NONE, text="as told", status=status, users=users))
    assert watching.watch(site) == 0
    assert site.lines == f"web vmdg: {word}: as told"
    assert row(site)["status"] == status.value
