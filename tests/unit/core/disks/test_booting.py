"""What a node gives up after it has booted: what a crash has left of its own, and nothing that may be in use."""

from __future__ import annotations

import pytest

from tests.support import NODE, guest, resource, seen, service
from vmsvc.core.disks.booting import looked_at, plan_boot
from vmsvc.core.errors import ExitCode, Problem, Severity
from vmsvc.core.node import Node
from vmsvc.core.status import Phase

DISKS = resource("vmdg", container_id="container#1", scsireserv=True)
WEB = service(guest(1), DISKS)


def planned(disks, user=Phase.STOPPED, *, web=WEB, node=NODE, claims=(), only=()):
    phases = {"vmdg": disks, "container#1": user}
    return plan_boot(
        web, node, {rid: seen(phase) for rid, phase in phases.items() if phase}, lambda _: claims, only=only
    )


def steps(plan):
    return [str(step) for step in plan.steps]


@pytest.mark.parametrize("disks", [Phase.RUNNING, Phase.DEGRADED, Phase.CONTESTED, Phase.UNKNOWN, None])
@pytest.mark.parametrize("user", [Phase.STOPPED, Phase.ABSENT, Phase.MOVED])
def test_what_is_left_of_this_node_is_given_up_where_its_guest_is_positively_down(disks, user):
    plan = planned(disks, user)
    assert (steps(plan), plan.refusals) == (["stop vmdg"], ())
    assert [need.rid for need in plan.steps[0].needs] == ["container#1"]  # asked again just before the step
    assert [(note.code, note.section) for note in plan.notes] == [("note.left-over", "vmdg")]


@pytest.mark.parametrize("disks", [Phase.STOPPED, Phase.INAPPLICABLE, Phase.INCAPABLE])
def test_where_nothing_of_this_node_is_left_nothing_is_done(disks):
    plan = planned(disks)
    assert (steps(plan), plan.refusals, plan.notes) == ([], (), ())
    assert [(kept.rid, kept.in_place) for kept in plan.kept] == [("vmdg", True)]


@pytest.mark.parametrize(
    "user",
    [
        *(Phase.RUNNING, Phase.PAUSED, Phase.CRASHED, Phase.STARTING, Phase.STOPPING, Phase.MIGRATING, Phase.STUCK),
        Phase.SAVED,  # it would go on with what it remembers of disks that others have written to
    ],
)
def test_what_a_guest_may_use_is_not_left_over(user):
    plan = planned(Phase.RUNNING, user)
    assert (steps(plan), plan.refusals, plan.notes) == ([], (), ())
    assert plan.kept[0].why == f"left as it is: container#1 is {user.value}"


@pytest.mark.parametrize("user", [Phase.UNKNOWN, None])
def test_under_a_guest_that_nobody_can_see_nothing_is_given_up(user):
    plan = planned(Phase.RUNNING, user)
    assert plan.exit_code is ExitCode.UNDETERMINED
    assert plan.refusals[0].section == "vmdg"
    # Where nothing is left, it does not matter how the guest stands.
    assert planned(Phase.STOPPED, user).exit_code is ExitCode.DONE


def test_a_guest_that_runs_without_its_disks_is_told():
    (note,) = planned(Phase.STOPPED, Phase.RUNNING).notes
    assert (note.code, note.severity) == ("warning.not-reserved", Severity.WARNING)
    assert "container#1 is running" in note.message


@pytest.mark.parametrize(
    ("severity", "code"), [(Severity.ERROR, ExitCode.REFUSED), (Severity.WARNING, ExitCode.UNDETERMINED)]
)
def test_disks_that_another_resource_has_or_may_have_are_left(severity, code):
    claim = Problem(message="it is a disk of [vmdg] of db, too", severity=severity)
    assert planned(Phase.RUNNING, claims=[claim]).exit_code is code
    assert planned(Phase.STOPPED, claims=[claim]).exit_code is ExitCode.DONE


def test_a_node_that_is_not_listed_gives_up_nothing_and_says_so_where_something_is_left():
    elsewhere = Node(name="n9")
    assert planned(Phase.RUNNING, node=elsewhere).exit_code is ExitCode.REFUSED
    assert planned(Phase.STOPPED, node=elsewhere).exit_code is ExitCode.DONE


@pytest.mark.parametrize(
    "disks",
    [
        resource("vmdg", container_id="container#1"),
        resource("vmdg", container_id="container#1", scsireserv=True, disable=True),
    ],
)
def test_disks_that_are_not_to_be_reserved_are_not_looked_at(disks):
    web = service(guest(1), disks)
    assert looked_at(web) == []
    assert planned(Phase.RUNNING, web=web).kept == planned(Phase.RUNNING, web=web).steps == ()


def test_disks_that_no_action_is_to_touch_are_left():
    web = service(guest(1), resource("vmdg", container_id="container#1", scsireserv=True, tags=("noaction",)))
    assert "noaction" in planned(Phase.RUNNING, web=web).kept[0].why


def test_only_disks_and_who_uses_them_are_looked_at():
    # A guest that is disabled may run all the same.
    web = service(guest(1, disable=True), guest(2), DISKS, resource("app#1", check=("false",)))
    assert [each.rid for each in looked_at(web)] == ["vmdg", "container#1"]


def test_it_can_be_limited_to_some_disks():
    assert steps(planned(Phase.RUNNING, only=["vmdg"])) == ["stop vmdg"]
    assert steps(planned(Phase.RUNNING, only=["container#1"])) == []
