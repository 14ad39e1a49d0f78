from __future__ import annotations

import itertools

import pytest

from vmsvc.core.status import Evidence, Observation, Phase, Status, inapplicable, merge, unknown

WORDS = list(Status)
PAIRS = list(itertools.product(WORDS, repeat=2))
TRIPLES = list(itertools.product(WORDS, repeat=3))


def test_the_words():
    assert [str(word) for word in Status] == ["n/a", "up", "down", "warn", "unknown"]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_join_is_commutative_and_not_below_either(one, other):
    joined = one.joined_with(other)
    assert joined is other.joined_with(one)
    assert joined.joined_with(one) is joined
    assert joined.joined_with(other) is joined


@pytest.mark.parametrize("triple", TRIPLES)
def test_join_is_associative_and_order_never_shows(triple):
    one, two, three = triple
    assert one.joined_with(two).joined_with(three) is one.joined_with(two.joined_with(three))
    assert len({merge(order) for order in itertools.permutations(triple)}) == 1


@pytest.mark.parametrize("word", WORDS)
def test_join_is_idempotent_with_na_below_and_unknown_above_all(word):
    assert word.joined_with(word) is word
    assert word.joined_with(Status.NA) is word
    assert word.joined_with(Status.UNKNOWN) is Status.UNKNOWN


def test_what_differs_is_a_warning():
    assert Status.UP.joined_with(Status.DOWN) is Status.WARN
    assert Status.UP.joined_with(Status.WARN) is Status.WARN
    assert Status.DOWN.joined_with(Status.WARN) is Status.WARN


def test_nothing_merges_to_na():
    assert merge([]) is Status.NA


STATUS_OF = {
    Phase.RUNNING: Status.UP,
    Phase.STOPPED: Status.DOWN,
    Phase.SAVED: Status.DOWN,
    Phase.ABSENT: Status.DOWN,
    Phase.MOVED: Status.DOWN,
    Phase.STARTING: Status.WARN,
    Phase.STOPPING: Status.WARN,
    Phase.PAUSED: Status.WARN,
    Phase.SUSPENDED: Status.WARN,
    Phase.CRASHED: Status.WARN,
    Phase.STUCK: Status.WARN,
    Phase.MIGRATING: Status.WARN,
    Phase.PREPARED: Status.WARN,
    Phase.DEGRADED: Status.WARN,
    Phase.CONTESTED: Status.WARN,
    Phase.INCAPABLE: Status.NA,
    Phase.INAPPLICABLE: Status.NA,
    Phase.UNKNOWN: Status.UNKNOWN,
}


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_its_status(phase):
    assert phase.status is STATUS_OF[phase]
    assert Observation(phase=phase, state="x", evidence=Evidence(probe="x")).status is STATUS_OF[phase]


def test_unknown_and_inapplicable_say_why():
    found = unknown("virConnect", OSError("refused"), duration_s=2.5)
    assert (found.phase, found.evidence.detail, found.evidence.duration_s) == (Phase.UNKNOWN, "refused", 2.5)
    assert inapplicable("configuration", "disabled").evidence.detail == "disabled"


def test_evidence_has_its_time():
    assert Evidence(probe="x").at > 1_700_000_000
