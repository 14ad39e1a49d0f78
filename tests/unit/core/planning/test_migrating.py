"""Whether guests may be moved: only what is up here and down there by evidence, and nothing that would stay behind."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.support import NODE, guest, resource, seen, service
from vmsvc.core.errors import ExitCode, Problem, Severity
from vmsvc.core.planning.migrating import plan_migration
from vmsvc.core.status import Phase

UP, DOWN = seen(Phase.RUNNING, "running (booted)"), seen(Phase.STOPPED)
NODES = {"nodes": ("n1", "n2"), "drpnodes": ("n4",)}
APP = {"start": ("run",), "stop": ("halt",), "check": ("look",)}


def planned(*resources, to="n2", here=None, there=None, problems=(), cannot=None, asked=None, **settings):
    resources = resources or (guest(),)

    def ask():
        if asked is not None:
            asked.append(to)
        return {**{each.rid: DOWN for each in resources}, **(there or {})}, problems

    of = service(*resources, **{**NODES, **settings})
    facts = {**{each.rid: UP for each in resources if each.kind == "container"}, **(here or {})}
    return plan_migration(of, NODE, to, facts, ask, cannot=cannot or {})


def codes(made):
    return [each.code for each in made.refusals]


def test_a_guest_that_is_up_here_and_down_there_is_moved():
    made = planned(guest(1, migrate_timeout=7.0), guest(2))
    assert [str(step) for step in made.steps] == ["migrate container#1 to n2", "migrate container#2 to n2"]
    assert (made.action, made.to, made.steps[0].to, made.steps[0].budget_s) == ("migrate", "n2", "n2", 7.0)
    assert made.steps[0].why == "running (booted) here, stopped on n2"
    assert made.exit_code is ExitCode.DONE


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.RUNNING}, key=lambda phase: phase.value))
def test_nothing_but_what_is_up_here_by_evidence_is_moved(phase):
    made = planned(here={"container#1": seen(phase)})
    expected = "undetermined.status" if phase is Phase.UNKNOWN else "refused.not-to-migrate"
    assert (made.steps, codes(made)) == ((), [expected])
    assert made.refusals[0].hint
    assert made.exit_code is (ExitCode.UNDETERMINED if phase is Phase.UNKNOWN else ExitCode.REFUSED)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_guest_goes_only_where_it_is_down_by_evidence(phase):
    made = planned(there={"container#1": seen(phase)})
    if phase in (Phase.STOPPED, Phase.ABSENT, Phase.MOVED):
        assert [str(step) for step in made.steps] == ["migrate container#1 to n2"]
    else:
        silent = phase in (Phase.UNKNOWN, Phase.INAPPLICABLE)
        assert codes(made) == ["refused.peer-silent" if silent else "refused.runs-on-peer"]
        assert made.exit_code is ExitCode.REFUSED


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.MOVED, Phase.ABSENT])
def test_what_has_moved_already_is_left_there_and_the_rest_follows(phase):
    there = {"container#1": UP}
    made = planned(guest(1), guest(2), here={"container#1": seen(phase)}, there=there)
    assert [(each.rid, each.why, each.in_place) for each in made.kept] == [
        ("container#1", "running on n2 already", True)
    ]
    assert [str(step) for step in made.steps] == ["migrate container#2 to n2"]


def test_what_speaks_against_coming_matters_only_to_what_comes():
    busy = Problem(message="busy", code="refused.peer-acts")
    note = Problem(message="by the way", code="note", severity=Severity.NOTE)
    made = planned(problems=(busy, note))
    assert (made.refusals, made.notes) == ((busy,), (note,))
    made = planned(problems=(busy, note), here={"container#1": DOWN}, there={"container#1": UP})
    assert (made.refusals, made.notes) == ((), (note,))


@pytest.mark.parametrize("here", [UP, DOWN], ids=["it goes", "it has gone"])
def test_a_hypervisor_that_would_start_it_a_second_time_is_warned_of(here):
    there = DOWN if here is UP else UP
    made = planned(
        here={"container#1": evolve(here, warnings=("libvirt autostart is on",))}, there={"container#1": there}
    )
    ((note,), refusals) = made.notes, made.refusals
    assert (note.message, note.section, note.severity) == ("libvirt autostart is on", "container#1", Severity.WARNING)
    assert "the next boot, would start it a second time, while it runs on n2" in note.hint
    assert not refusals


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"nodes": ("n2", "n3")}, "refused.not-listed"),
        ({"to": "n4"}, "refused.drp"),
        ({"nodes": ("n2",), "drpnodes": ("n1",)}, "refused.drp"),
        ({"cannot": {"container#1": "it cannot"}}, "refused.cannot-migrate"),
    ],
)
def test_what_is_known_without_asking_is_refused_without_asking(settings, code):
    asked = []
    made = planned(asked=asked, **settings)
    assert (codes(made), asked, made.exit_code) == ([code], [], ExitCode.REFUSED)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_guest_whose_disks_are_reserved_is_not_moved_whatever_is_seen_of_them(phase):
    disks = resource("vmdg", container_id="container#1", scsireserv=True)
    left_over = resource("disk#1", is_left_over=True)
    for each in (disks, left_over):
        made = planned(guest(), each, here={each.rid: seen(phase)})
        assert codes(made) == ["refused.exclusive-disks"]
        assert made.refusals[0].hint == (
            "stop it here and start it there: `vmsvc stop web`, then `vmsvc start web` on n2"
        )
    assert planned(guest(), resource("vmdg", container_id="container#1")).steps


def test_disks_that_only_the_destination_would_reserve_keep_a_guest_here():
    of = service(guest(), resource("vmdg", container_id="container#1"), **NODES)
    made = plan_migration(
        of, NODE, "n2", {"container#1": UP}, lambda: ({"container#1": DOWN}, ()), cannot={}, reserved_there=("vmdg",)
    )
    assert [(each.code, each.section) for each in made.refusals] == [("refused.exclusive-disks", "vmdg")]


def test_memory_that_is_saved_there_is_told_as_that():
    (refusal,) = planned(there={"container#1": seen(Phase.SAVED)}).refusals
    assert refusal.message == "its memory is saved on n2"
    assert "discard it there" in refusal.hint


def test_what_would_stay_on_the_node_must_be_down():
    app, address = resource("app#1", **APP), resource("ip#1")
    down = {"app#1": DOWN, "ip#1": seen(Phase.ABSENT)}
    assert planned(guest(), app, address, here=down).steps
    up = planned(guest(), app, address, here={**down, "ip#1": seen(Phase.RUNNING)})
    assert [(each.section, each.code) for each in up.refusals] == [("ip#1", "refused.stays-here")]
    dark = planned(guest(), app, address, here={**down, "app#1": seen(Phase.UNKNOWN)})
    assert (codes(dark), dark.exit_code) == (["undetermined.status"], ExitCode.UNDETERMINED)
    without_check = planned(guest(), app, address, here={**down, "app#1": seen(Phase.INAPPLICABLE)})
    assert codes(without_check) == ["refused.stays-here"]


def test_what_is_inside_the_guest_moves_with_it_unless_the_node_gave_it():
    inside = (resource("app#1", container_id="container#1", **APP), resource("ip#1", container_id="container#1"))
    unseen = {each.rid: seen(Phase.UNKNOWN) for each in inside}
    assert planned(guest(), *inside, here=unseen).steps
    given = resource("ip#1", container_id="container#1", is_plumbed=True)
    assert codes(planned(guest(), given, here={"ip#1": seen(Phase.RUNNING)})) == ["refused.stays-here"]


def test_what_no_action_touches_stays_and_a_service_must_have_something_to_move():
    made = planned(
        guest(1), guest(2, disable=True), guest(3, tags=("noaction",)), resource("app#1", disable=True, **APP)
    )
    assert [str(step) for step in made.steps] == ["migrate container#1 to n2"]
    assert [(each.rid, each.why) for each in made.kept] == [
        ("container#2", "disabled"),
        ("container#3", "tagged noaction"),
    ]
    assert codes(planned(guest(1, disable=True))) == ["refused.no-guest"]
    assert codes(planned(resource("sync#1"))) == ["refused.no-guest"]
