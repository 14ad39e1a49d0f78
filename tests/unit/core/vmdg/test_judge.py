"""Status of disks: the word, and what somebody reads at three in the morning."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.core.vmdg.drive import A, B, C, register, reserve, run, take
from vmsvc.core.status import Phase, Status
from vmsvc.core.vmdg.judge import Judged, judge, judge_left_over, judge_other, judge_set, objection_to
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Answer, OtherDisk, Reading, Registration, Reservation, ScsiDisk
from vmsvc.core.vmdg.survey import survey
from vmsvc.testing import Fault, San

NAMES = {B: "n2"}


def status(san, node="a", key=A, disk=0):
    disks = san.disks(node)
    return judge(disks[disk], run(san, node, survey(disks))[disk], key, NAMES)


def test_reserved_through_every_path_is_up():
    san = San("a")
    take(san, "a", A)

    seen = status(san)

    assert (seen.phase, seen.state) == (Phase.RUNNING, "reserved for this node")
    assert seen.warnings == ()
    assert not seen.is_lost


def test_nothing_there_is_down():
    seen = status(San("a"))

    assert (seen.phase, seen.state) == (Phase.STOPPED, "not reserved")
    assert seen.is_lost


def test_held_by_another_node_is_down_and_names_it():
    san = San("ab")
    take(san, "b", B)

    seen = status(san)

    assert (seen.phase, seen.state) == (Phase.STOPPED, "held by n2 (0x000000000000000b)")
    assert seen.foreign == (B,)
    assert seen.is_lost


def test_strangers_on_a_disk_of_nobody_are_named():
    san = San("ab")
    register(san, "/dev/b1d0", B)

    assert status(san).state == "not reserved; registered: n2 (0x000000000000000b)"


def test_a_path_that_is_not_registered_is_a_warning_that_counts():
    san = San("a")
    reserve(san, "/dev/a1d0", A)

    seen = status(san)

    assert (seen.phase, seen.state) == (Phase.DEGRADED, "1 of 2 paths registered")
    assert "pr start" in seen.hint


def test_a_dead_path_is_a_warning_that_names_it():
    san = San("a")
    take(san, "a", A)
    san.give("/dev/a2d0", Fault.DEAD)

    seen = status(san)

    assert seen.phase is Phase.DEGRADED
    assert seen.state.startswith("/dev/a2d0: gone")


def test_no_live_path_is_unknown_and_never_down():
    san = San("a")
    san.give("/dev/a1d0", Fault.DEAD)
    san.give("/dev/a2d0", Fault.DEAD)

    seen = status(san)

    assert seen.phase is Phase.UNKNOWN
    assert "/dev/a1d0: gone" in seen.detail
    assert not seen.is_lost


def test_a_path_that_was_not_read_in_time_is_told():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))

    seen = judge(disk, (), A, NAMES)

    assert seen.phase is Phase.UNKNOWN
    assert "/p: was not read in time" in seen.detail


def test_a_stranger_beside_us_contests_the_disk():
    san = San("ab")
    take(san, "a", A)
    register(san, "/dev/b1d0", B)

    seen = status(san)

    assert seen.phase is Phase.CONTESTED
    assert seen.state == "n2 (0x000000000000000b) is registered, too, and can write"
    assert "--force" in seen.hint


def test_a_registration_beside_a_foreign_holder_is_contested():
    san = San("ab")
    take(san, "b", B)
    register(san, "/dev/a1d0", A)

    assert status(san).state == "held by n2 (0x000000000000000b), while this node is registered, too"
    assert status(san).phase is Phase.CONTESTED


def test_keys_without_a_reservation_exclude_nobody():
    san = San("ab")
    register(san, "/dev/a1d0", A)
    register(san, "/dev/b1d0", B)

    seen = status(san)

    assert seen.phase is Phase.CONTESTED
    assert "any node can write" in seen.state
    assert "n2 (0x000000000000000b) is registered" in seen.detail


@pytest.mark.parametrize(("type", "words"), [(1, "write exclusive (type 1)"), (7, "all registrants (type 7)")])
def test_another_type_of_ours_is_a_warning(type, words):
    san = San("a", paths=1)
    reserve(san, "/dev/a1d0", A, type)

    seen = status(san)

    assert seen.phase is Phase.DEGRADED
    assert words in seen.state


def test_a_type_that_nobody_knows_is_a_number():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    shown = Reading(
        path="/p", answer=Answer.DONE, registrations=(Registration(key=A),), reservation=Reservation(key=A, type=12)
    )

    assert "type 12" in judge(disk, [shown], A, NAMES).state


def test_held_by_all_registrants_without_us_is_down():
    san = San("ab")
    reserve(san, "/dev/b1d0", B, 7)

    assert status(san).phase is Phase.STOPPED
    assert status(san).state.startswith("held by all registrants")


def test_more_registrations_than_paths_are_told_and_change_nothing():
    san = San("a", paths=3)
    take(san, "a", A)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))

    seen = judge(disk, run(san, "a", survey([disk]))[0], A, NAMES)

    assert seen.phase is Phase.RUNNING
    assert "3 times, on 2 paths" in seen.warnings[0]


def test_an_array_that_counts_initiators_is_complete_with_one_registration_each():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"), hosts=("host1", "host1"), quirks=Quirks(per_initiator=True))
    shown = Reading(
        path="/p", answer=Answer.DONE, registrations=(Registration(key=A),), reservation=Reservation(key=A, type=5)
    )

    assert judge(disk, [shown, evolve(shown, path="/q")], A, NAMES).phase is Phase.RUNNING


def test_paths_that_show_different_things_tell_nothing():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"))
    ours = Reading(path="/p", answer=Answer.DONE, registrations=(Registration(key=A),))

    seen = judge(disk, [ours, Reading(path="/q", answer=Answer.DONE)], A, NAMES)

    assert seen.phase is Phase.UNKNOWN
    assert "different disks" in seen.detail


def test_a_list_that_was_cut_off_is_not_read():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    shown = Reading(path="/p", answer=Answer.DONE, registrations=(Registration(key=0),))

    seen = judge(disk, [shown], A, NAMES)

    assert seen.phase is Phase.UNKNOWN
    assert "shows a key of 0" in seen.detail


def test_a_disk_that_became_read_only_with_our_key_is_a_fault():
    san = San("a")
    take(san, "a", A)
    disk = evolve(san.disks("a")[0], readonly=True)

    seen = judge(disk, run(san, "a", survey([disk]))[0], A, NAMES, recorded={A})

    assert (seen.phase, seen.state) == (Phase.DEGRADED, "is read-only here, and still reserved for this node")
    assert "writable here again" in seen.hint


def test_a_disk_that_became_read_only_and_lost_our_key_is_not_applicable():
    san = San("ab")
    take(san, "b", B)
    disk = evolve(san.disks("a")[0], readonly=True)

    assert judge(disk, run(san, "a", survey([disk]))[0], A, NAMES, recorded={A}).phase is Phase.INAPPLICABLE


@pytest.mark.parametrize("is_held", [True, False])
def test_a_read_only_replica_that_was_never_reserved_is_not_applicable_whoever_holds_it(is_held):
    """A replica keeps its reservation, which cannot be dropped: neither up nor released."""
    san = San("a")
    if is_held:
        take(san, "a", A)
    disk = evolve(san.disks("a")[0], readonly=True)

    seen = judge(disk, run(san, "a", survey([disk]))[0], A, NAMES)

    assert seen.phase is Phase.INAPPLICABLE
    assert ("reserved for this node" in seen.state) is is_held


def test_a_disk_that_knows_no_reservations_is_not_applicable():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))

    seen = judge(disk, [Reading(path="/p", answer=Answer.UNSUPPORTED)], A, NAMES)

    assert (seen.phase, seen.state) == (Phase.INCAPABLE, "knows no persistent reservations")
    assert judge_set([seen]).phase is Phase.INCAPABLE
    assert judge_set([seen, Judged(phase=Phase.RUNNING, state="reserved")]).phase is Phase.CONTESTED


def test_a_disk_that_cannot_be_reserved_says_why():
    assert judge_other(OtherDisk(name="d", why="a file")).phase is Phase.INAPPLICABLE
    assert judge_other(OtherDisk(name="d", why="gone", is_known=False)).phase is Phase.UNKNOWN


# --- sets ---


def a_disk(phase, state="x", **more):
    return Judged(name="d", phase=phase, state=state, detail=state, **more)


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([Phase.RUNNING, Phase.RUNNING], Phase.RUNNING),
        ([Phase.STOPPED, Phase.STOPPED], Phase.STOPPED),
        ([Phase.RUNNING, Phase.STOPPED], Phase.CONTESTED),
        ([Phase.DEGRADED, Phase.STOPPED], Phase.CONTESTED),
        ([Phase.RUNNING, Phase.DEGRADED], Phase.DEGRADED),
        ([Phase.DEGRADED, Phase.CONTESTED], Phase.CONTESTED),
        ([Phase.CONTESTED, Phase.UNKNOWN], Phase.UNKNOWN),
        ([Phase.STOPPED, Phase.UNKNOWN], Phase.UNKNOWN),
        ([Phase.INAPPLICABLE, Phase.RUNNING], Phase.RUNNING),
        ([Phase.INAPPLICABLE], Phase.INAPPLICABLE),
        ([], Phase.INAPPLICABLE),
    ],
)
def test_a_set_is_up_only_where_all_are_and_down_only_where_none_is(phases, expected):
    assert judge_set(a_disk(phase) for phase in phases).phase is expected


def test_a_set_agrees_with_the_merge_of_statuses():
    """The projection of phases is that of ``status.merge``: up and down is a warning, unknown is above all."""
    from vmsvc.core.status import merge

    phases = [Phase.RUNNING, Phase.STOPPED, Phase.DEGRADED, Phase.CONTESTED, Phase.UNKNOWN, Phase.INAPPLICABLE]
    for one in phases:
        for other in phases:
            assert judge_set([a_disk(one), a_disk(other)]).phase.status is merge([one.status, other.status])
    assert Phase.CONTESTED.status is Status.WARN


def test_the_words_of_a_set():
    up, down = a_disk(Phase.RUNNING, warnings=("w",)), a_disk(Phase.STOPPED, "not reserved", hint="h", is_lost=True)

    assert judge_set([up]).state == "1 disk reserved"
    assert judge_set([up, up]).state == "2 disks reserved"
    assert judge_set([down, down]).state == "not reserved"
    mixed = judge_set([up, evolve(down, foreign=(C, B))])
    assert mixed.state == "1 of 2 disks not reserved as they should be"
    assert mixed.detail == "d: not reserved"
    assert (mixed.hint, mixed.warnings, mixed.foreign, mixed.is_lost) == ("h", ("w",), (B, C), True)
    assert judge_set([]).detail == "the guest has no disks"


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.DEGRADED, Phase.CONTESTED, Phase.UNKNOWN])
def test_what_is_still_reserved_from_before_is_a_fault_and_never_down(phase):
    left = judge_left_over(Judged(name="d", phase=phase, state="as it is", detail="no path answers", is_lost=True))
    assert (left.phase, left.is_lost) == (Phase.DEGRADED, False)
    assert ("no path answers" in left.detail) == (phase in (Phase.UNKNOWN, Phase.CONTESTED))
    running, stopped = (Judged(phase=phase, state="") for phase in (Phase.RUNNING, Phase.STOPPED))
    assert judge_set([running, left]).phase is Phase.DEGRADED
    assert judge_set([stopped, left]).phase is Phase.CONTESTED


@pytest.mark.parametrize("is_used", [True, False])
def test_who_else_can_write_is_told_of_a_disk_that_is_not_named_any_more_where_it_may_be_used(is_used):
    judged = Judged(name="d", phase=Phase.CONTESTED, state="", detail="held by n2", foreign=(2,))
    left = judge_left_over(judged, is_used=is_used)
    assert left.foreign == ((2,) if is_used else ())
    assert "held by n2" in left.detail
    assert "still for this node" not in left.detail


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.INAPPLICABLE, Phase.INCAPABLE])
def test_what_is_not_reserved_any_more_counts_for_nothing(phase):
    left = judge_left_over(Judged(name="d", phase=phase, state="held by n2", is_lost=True))
    assert (left.phase, left.is_lost) == (Phase.INAPPLICABLE, False)
    assert "held by n2" in left.detail


def objection(san, *authority, **change):
    (disk,) = san.disks("a")
    return objection_to(evolve(disk, **change), run(san, "a", survey([disk]))[0], A, frozenset(authority), NAMES)


def test_what_another_node_holds_is_not_taken_without_authority():
    san = San("ab")
    assert objection(san) == ""
    take(san, "b", B)
    assert objection(san) == "held by n2 (0x000000000000000b)"
    assert objection(san, C) == "held by n2 (0x000000000000000b)"
    assert objection(san, B) == ""
    assert objection(san, readonly=True) == ""  # it is left alone


def test_what_cannot_be_read_raises_no_objection_of_its_own():
    san = San("ab")
    take(san, "b", B)
    for path in san.disks("a")[0].paths:
        san.give(path, Fault.DEAD)
    assert objection(san) == ""


def test_a_disk_without_reservations_is_not_taken():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    readings = [Reading(path="/p", answer=Answer.UNSUPPORTED)]
    assert "no persistent reservations" in objection_to(disk, readings, A, frozenset(), NAMES)


def test_paths_that_differ_raise_no_objection_of_their_own():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"))
    readings = [
        Reading(path=path, answer=Answer.DONE, generation=1, registrations=(Registration(key=key),))
        for path, key in (("/p", A), ("/q", B))
    ]
    assert objection_to(disk, readings, A, frozenset(), NAMES) == ""


def test_what_is_reserved_beside_something_that_any_node_may_write_to_is_up_and_warned_of():
    other = judge_other(OtherDisk(name="lv", why="a logical volume", is_shared=True), is_unprotected=True)
    whole = judge_set([Judged(phase=Phase.RUNNING, state="reserved"), other])
    assert whole.phase is Phase.RUNNING
    assert whole.warnings == ("lv is not reserved, and nothing keeps other nodes from it: a logical volume",)
