from __future__ import annotations

import pytest
from attrs import evolve

from tests.support import guest, resource, seen, service
from vmsvc.core.instance import ServiceStatus, instance_of, over_nodes, projected
from vmsvc.core.kinds import KINDS
from vmsvc.core.status import Phase, Status


def look(*pairs, **settings):
    resources = [each for each, _ in pairs]
    return instance_of(service(*resources), "n1", {each.rid: seen(phase) for each, phase in pairs}, **settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", Status)
def test_projection(kind, word):
    each = resource(f"{kind}#1")
    expected = {Status.UP: Status.NA, Status.DOWN: Status.WARN}.get(word, word) if kind == "sync" else word
    assert projected(word, each) is expected
    assert projected(word, resource(f"{kind}#1", disable=True)) is Status.NA


@pytest.mark.parametrize("kind", KINDS)
def test_which_kinds_make_a_service_available(kind):
    found = look((resource("container#9"), Phase.RUNNING), (resource(f"{kind}#1"), Phase.PAUSED))
    assert found.overall is Status.WARN
    assert found.avail is (Status.UP if kind == "sync" else Status.WARN)


def test_optional_counts_in_overall_only():
    found = look((resource("container#1"), Phase.RUNNING), (resource("app#1", optional=True), Phase.STOPPED))
    assert (found.avail, found.overall) == (Status.UP, Status.WARN)


def test_unknown_beats_warn_in_overall_and_never_becomes_up_or_down():
    found = look((resource("container#1"), Phase.UNKNOWN), (resource("container#2"), Phase.RUNNING))
    assert (found.avail, found.overall) == (Status.UNKNOWN, Status.UNKNOWN)


def test_a_resource_that_nobody_looked_at_is_unknown_with_a_reason():
    found = instance_of(service(resource("container#1")), "n1", {})
    assert found.avail is Status.UNKNOWN
    assert "fake driver" in found.resources[0].observation.evidence.probe


def test_a_disabled_resource_is_na_whatever_was_seen_of_it():
    found = look((resource("container#1", disable=True), Phase.UNKNOWN))
    assert (found.avail, found.resources[0].observation.evidence.detail) == (Status.NA, "disabled")


def test_sync_never_makes_available():
    assert look((resource("sync#1"), Phase.RUNNING)).overall is Status.NA
    assert look((resource("sync#1"), Phase.STOPPED)).overall is Status.WARN


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", Status.NA),
        ("n/a n/a", Status.NA),
        ("n/a down", Status.DOWN),
        ("down down", Status.DOWN),
        ("up", Status.UP),
        ("down up down n/a", Status.UP),
        ("up up", Status.WARN),
        ("up down up", Status.WARN),
        ("up warn", Status.WARN),
        ("down warn", Status.WARN),
        ("up up warn unknown", Status.UNKNOWN),
        ("up unknown", Status.UNKNOWN),
    ],
)
def test_over_nodes(words, expected):
    assert over_nodes(Status(word) for word in words.split()) is expected


def on(node, phase, *, app=Phase.RUNNING):
    found = look((resource("container#1"), phase), (resource("app#1", optional=True), app))
    return evolve(found, node=node)


def test_a_service_over_several_instances():
    up, down = on("n1", Phase.RUNNING), on("n2", Phase.STOPPED, app=Phase.STOPPED)
    both = ServiceStatus(service=service(resource("container#1")), instances=(up, down))
    assert (both.name, both.avail, both.overall, both.is_determined) == ("web", Status.UP, Status.UP, True)
    assert (both.up_on, both.notes) == (("n1",), ())


def test_a_split_brain_names_its_nodes():
    split = ServiceStatus(
        service=service(),
        instances=(
            on("n1", Phase.RUNNING),
            on("n2", Phase.STOPPED),
            on("n3", Phase.RUNNING, app=Phase.STOPPED),
        ),
    )
    assert (split.avail, split.overall, split.up_on) == (Status.WARN, Status.WARN, ("n1", "n3"))
    (note,) = split.notes
    assert "up on 2 nodes at once (n1, n3)" in note


def test_notes_of_an_instance():
    assert look((resource("container#1"), Phase.RUNNING), notes=("hello",)).notes == ("hello",)


@pytest.mark.parametrize(("phase", "determined"), [(Phase.UNKNOWN, False), (Phase.STOPPED, True), (Phase.PAUSED, True)])
def test_is_determined(phase, determined):
    found = look((resource("container#1"), phase))
    assert ServiceStatus(service=service(), instances=(found,)).is_determined is determined


def test_a_look_at_some_resources_tells_of_these_alone_and_says_so():
    web = service(guest(1), guest(2), resource("sync#1"))
    facts = {"container#2": seen(Phase.RUNNING)}
    instance = instance_of(web, "n1", facts, only={"container#2"})
    assert [item.resource.rid for item in instance.resources] == ["container#2"]
    assert (instance.avail, instance.overall) == (Status.UP, Status.UP)
    assert instance.notes == ("nothing but container#2 was looked at: the status is of that alone",)
    everything = instance_of(web, "n1", facts, only={resource.rid for resource in web.resources})
    assert (len(everything.resources), everything.notes) == (3, ())


def test_that_it_is_frozen_is_told_first():
    instance = instance_of(service(), "n1", {}, notes=("a note",), freeze="frozen")
    assert instance.told == ("frozen", "a note")
