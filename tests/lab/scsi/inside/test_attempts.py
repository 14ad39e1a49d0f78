"""Taking and giving up disks on a real target: who can write afterwards is what the witness proves by writing."""

from __future__ import annotations

import contextlib

import pytest

from lab.scsi.inside import register, reserve
from vmsvc.core.vmdg.attempt import Outcome

ALL, NONE = [True] * 4, [False] * 4


def test_one_holds_another_is_refused_and_with_authority_takes_over(scsi, nodes):
    a, b, _ = nodes
    assert a.acquire(0).outcome is Outcome.HELD
    assert (a.writes(), b.writes()) == (ALL, NONE)

    before = scsi.look()
    refused = b.acquire(0)
    assert refused.outcome is Outcome.REFUSED
    assert f"held by {a.key:#x}" in str(refused.reasons[0])
    assert scsi.look() == before  # it has registered nowhere, not even for a moment: PRGENERATION is the same

    taken = b.acquire(0, over=[a.key])
    assert (taken.outcome, taken.evicted[0].keys) == (Outcome.HELD, (a.key,))
    assert (a.writes(), b.writes()) == (NONE, ALL)
    [readings] = a.look(0)
    assert {a.key in reading.keys for reading in readings} == {False}

    assert b.release(0).outcome is Outcome.RELEASED
    assert (scsi.look().hosts, scsi.look().holder) == (set(), None)


def test_who_has_registered_without_holding_is_evicted_too(scsi, nodes):
    """Others preempt the holder alone; under type 5, every registrant goes on writing."""
    a, b, c = nodes
    assert a.acquire(0).outcome is Outcome.HELD
    for path in (1, 2):
        register(scsi.path("c", path).generic, c.key)
    assert c.writes() == ALL
    assert b.acquire(0, over=[a.key]).outcome is Outcome.HELD
    assert (a.writes(), b.writes(), c.writes()) == (NONE, ALL, NONE)
    assert scsi.look().keys == {"b": {b.key: 2}}


def test_all_disks_or_none(scsi, nodes):
    a, b, c = nodes
    assert c.acquire(2).outcome is Outcome.HELD
    assert a.acquire(0, 1, 2).outcome is Outcome.REFUSED
    assert [scsi.look(disk).hosts for disk in (0, 1, 2)] == [set(), set(), {"c"}]
    assert b.acquire(0, 1).outcome is Outcome.HELD
    assert [b.writes(disk) for disk in (0, 1)] == [ALL, ALL]


def test_a_disk_without_reservations_keeps_all_of_a_set_free(scsi, nodes):
    a, *_ = nodes
    assert a.acquire(0, scsi.layout.disks).outcome is Outcome.REFUSED
    assert scsi.look(0).hosts == set()


def test_a_stop_leaves_a_foreign_key_alone(scsi, nodes):
    a, _, c = nodes
    a.acquire(0)
    register(scsi.path("c").generic, c.key)
    assert a.release(0).outcome is Outcome.RELEASED
    assert (scsi.look().keys, scsi.look().holder) == ({"c": {c.key: 1}}, None)


def test_attentions_on_every_path_are_no_obstacle(scsi, nodes):
    a, b, _ = nodes
    scsi.leave_attentions("a")
    assert a.acquire(0).outcome is Outcome.HELD
    scsi.leave_attentions("a")  # which also clears the disk
    assert a.acquire(0).outcome is Outcome.HELD
    assert (a.writes(), b.writes()) == (ALL, NONE)
    scsi.leave_attentions("a")
    assert a.release(0).outcome is Outcome.RELEASED


def test_a_path_is_dead_and_comes_back(scsi, nodes):
    a, *_ = nodes
    with scsi.cut("a", 1):
        result = a.acquire(0)
        assert result.outcome is Outcome.HELD
        assert any(scsi.devices("a")[0] in str(note) for note in result.notes)
        assert scsi.look().keys == {"a": {a.key: 1}}
    assert a.acquire(0).outcome is Outcome.HELD  # once more: registers what is missing
    assert (scsi.look().keys, a.writes()) == ({"a": {a.key: 2}}, ALL)


def test_all_paths_dead_is_not_known_to_be_free(scsi, nodes):
    a, *_ = nodes
    with scsi.cut("a", 1), scsi.cut("a", 2):
        assert a.acquire(0).outcome is Outcome.UNDETERMINED
        assert a.release(0).outcome is Outcome.UNDETERMINED
    assert scsi.look().hosts == set()


def test_a_release_whose_holding_path_is_dead_frees_the_disk(scsi, nodes):
    a, b, _ = nodes
    assert a.acquire(0).outcome is Outcome.HELD
    [holding] = [each.port for each in scsi.look().registrants if each.holds]
    path = [scsi.path("a", number).group for number in (1, 2)].index(holding) + 1
    with scsi.cut("a", path):
        assert a.release(0).outcome is Outcome.RELEASED
    assert scsi.look().hosts == set()
    assert b.acquire(0).outcome is Outcome.HELD


def test_a_target_that_forgot_its_keys_is_taken_again(scsi, nodes):
    a, b, _ = nodes
    a.acquire(0)
    scsi.forget_keys()
    assert b.writes() == ALL
    assert a.acquire(0).outcome is Outcome.HELD
    assert (a.writes(), b.writes()) == (ALL, NONE)


@pytest.mark.parametrize("fault", ["not ready", "gone", "offline", "readonly"])
def test_a_disk_that_cannot_be_had_keeps_all_of_a_set_free(scsi, nodes, fault):
    a, *_ = nodes
    disks = a.disks(0, 1)
    with contextlib.ExitStack() as faults:
        if fault == "not ready":
            faults.enter_context(scsi.not_ready(1))
        elif fault == "readonly":
            faults.enter_context(scsi.readonly("a", 1))
        else:
            for path in (1, 2):
                faults.enter_context((scsi.gone if fault == "gone" else scsi.offline)("a", path, 1))
        result = a.acquire(*disks)
        expected = Outcome.FAILED if fault == "readonly" else Outcome.UNDETERMINED
        assert (result.outcome, result.reasons[0].disk) == (expected, disks[1].name)
    assert [scsi.look(disk).hosts for disk in (0, 1)] == [set(), set()]


def test_a_hundred_registrants_are_evicted(scsi, nodes):
    a, _, c = nodes
    crowd = [0xCC00 + number for number in range(100)]
    with scsi.crowd(crowd, disk=7):
        register(scsi.path("c", 1, 7).generic, c.key)
        reserve(scsi.path("c", 1, 7).generic, c.key)
        assert a.acquire(7).outcome is Outcome.REFUSED
        taken = a.acquire(7, over=[c.key])
        assert (taken.outcome, taken.evicted[0].keys) == (Outcome.HELD, (*crowd, c.key))
        assert scsi.look(7).keys == {"a": {a.key: 2}}
