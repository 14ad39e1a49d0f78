"""What other tools for reservations got wrong, each as a test that is named after what it prevents.

Commits are of OpenSVC and its successor (om3), fence-agents and resource-agents of ClusterLabs, and multipath-tools. The
tests here are about decisions; what tools print, and what a real target does, is tested with the tools and in the lab.
"""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.core.vmdg.drive import A, B, C, D, asked, holder, keys, register, reserve, run, step, take
from vmsvc.core.status import Phase
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.judge import judge, judge_set
from vmsvc.core.vmdg.seen import Act, Answer, Reading
from vmsvc.core.vmdg.survey import survey
from vmsvc.testing import Fault, San


def status(san, node, key, disks=None):
    disks = disks or san.disks(node)
    readings = run(san, node, survey(disks))
    return judge_set(judge(disk, shown, key, {}) for disk, shown in zip(disks, readings, strict=True))


def give_back(san, node, key):
    return run(san, node, release(san.disks(node), key))


def test_the_check_comes_before_the_registration():
    """OpenSVC 1d330a188: checked afterwards, when both nodes could write already."""
    san = San("ab")
    take(san, "b", B)

    take(san, "a", A)

    assert keys(san) == {"b1": B, "b2": B}


def test_what_is_ours_needs_no_force():
    """OpenSVC 2c97f2946: the correction went too far."""
    san = San("a")
    take(san, "a", A)

    assert take(san, "a", A).outcome is Outcome.HELD


def test_a_stop_leaves_no_registration_where_nothing_is_reserved():
    """OpenSVC f530bb88c."""
    san = San("a")
    register(san, "/dev/a1d0", A)
    register(san, "/dev/a2d0", A)

    assert give_back(san, "a", A).outcome is Outcome.RELEASED
    assert keys(san) == {}


def test_a_stop_leaves_every_path():
    """OpenSVC 8fb4b4a5c: only one of them."""
    san = San("a", paths=4)
    take(san, "a", A)

    give_back(san, "a", A)

    assert keys(san) == {}


def test_a_stop_through_the_path_that_does_not_hold_releases_all_the_same():
    """OpenSVC c1b57195a, 64475cba: RELEASE elsewhere says that it was done."""
    san = San("a")
    reserve(san, "/dev/a2d0", A)
    register(san, "/dev/a1d0", A)

    give_back(san, "a", A)

    assert keys(san) == {}
    assert holder(san) == ("", 0)


def test_a_stop_never_clears():
    """OpenSVC 2.1, ``clear``: the holder's stop removed everybody's keys."""
    san = San("abc")
    take(san, "a", A)
    register(san, "/dev/b1d0", B)
    register(san, "/dev/c1d0", C)

    give_back(san, "a", A)

    assert keys(san) == {"b1": B, "c1": C}
    assert "clear" not in {act.value for act in Act}


def test_a_stop_does_not_release_what_another_node_holds():
    """multipath-tools 8d5f4a5e: any node could."""
    san = San("ab")
    take(san, "b", B)

    give_back(san, "a", A)

    assert holder(san) == ("b1", 5)
    assert asked(san)[-1] == "read a1d0"


def test_a_stop_that_failed_is_no_success():
    """resource-agents, sg_persist: errors of the unregistration were ignored."""
    san = San("a", paths=1)
    take(san, "a", A)
    san.give("/dev/a1d0", Fault.DEAD)

    assert give_back(san, "a", A).outcome is Outcome.UNDETERMINED


def test_registrations_are_counted_for_each_disk():
    """OpenSVC f9b91dee3: a surplus of one hid the lack of another."""
    san = San("a", disks=2, paths=3)
    take(san, "a", A)
    first, second = san.disks("a")
    run(san, "a", release([second], A))
    run(san, "a", acquire([evolve(second, paths=second.paths[:1])], A))
    asked(san)

    seen = status(san, "a", A, [evolve(first, paths=first.paths[:2]), evolve(second, paths=second.paths[:2])])

    assert seen.phase is Phase.DEGRADED
    assert "1 of 2 paths registered" in seen.detail


def test_after_a_crash_nothing_of_ours_is_left_when_the_node_has_booted():
    """OpenSVC 43f8a2659: still up. The connections are new ones, and the old ones bear our key."""
    san = San("ab", paths=4)
    reserve(san, "/dev/a3d0", A)
    register(san, "/dev/a4d0", A)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))

    assert run(san, "a", release([disk], A)).outcome is Outcome.RELEASED
    assert keys(san) == {}
    assert status(san, "a", A, [disk]).phase is Phase.STOPPED


def test_a_path_that_silently_was_not_registered_is_noticed():
    """OpenSVC 38eaab35d: the tool registered some of the paths and reported success."""
    san = San("a", paths=4)
    attempt = step(san, "a", acquire(san.disks("a"), A))
    for path in ("/dev/a2d0", "/dev/a4d0"):
        san.give(path, Fault.FALSE_REPLY)

    assert run(san, "a", attempt).outcome is Outcome.HELD
    assert len(keys(san)) == 4


def test_a_start_does_not_fence_a_living_node():
    """om3 2ea10ae48."""
    san = San("ab")
    take(san, "b", B)

    assert take(san, "a", A).outcome is Outcome.REFUSED
    assert status(san, "b", B).phase is Phase.RUNNING


@pytest.mark.parametrize(("ours", "theirs"), [(0x1, 0x12), (0x12, 0x1), (0x10, 0x1), (2**64 - 1, 2**60)])
def test_a_key_that_begins_with_another_is_another(ours, theirs):
    """OpenSVC 2.1, ``hostid in out``; om3 62c29552f and bfa3e2a25: zeros and letters."""
    san = San("ab")
    take(san, "b", theirs)

    assert take(san, "a", ours).outcome is Outcome.REFUSED
    assert status(san, "a", ours).phase is Phase.STOPPED
    give_back(san, "a", ours)
    assert keys(san) == {"b1": theirs, "b2": theirs}


def test_one_disk_of_ours_does_not_make_the_set_ours():
    """fence-agents 668f8696: "on" if any device was on, so that new ones never were."""
    san = San("a", disks=2)
    run(san, "a", acquire(san.disks("a")[:1], A))

    assert status(san, "a", A).phase not in (Phase.RUNNING, Phase.STOPPED)
    assert take(san, "a", A).outcome is Outcome.HELD
    assert status(san, "a", A).phase is Phase.RUNNING


def test_one_disk_that_was_lost_is_lost():
    """fence-agents, ``scsi_check``: one device that still had the key was enough."""
    san = San("ab", disks=2)
    take(san, "a", A)
    run(san, "b", acquire(san.disks("b")[1:], B, authority=frozenset({A})))

    assert status(san, "a", A).is_lost


def test_what_cannot_be_read_is_not_lost():
    """fence-agents da312d15, reverted twice: a monitor that could not look raised the alarm."""
    san = San("a")
    take(san, "a", A)
    for path in ("/dev/a1d0", "/dev/a2d0"):
        san.give(path, Fault.DEAD)

    assert not status(san, "a", A).is_lost


def test_an_eviction_removes_every_path_of_the_victim():
    """fence-agents cb57f1c2: one key was left for each map."""
    san = San("ab", paths=4)
    take(san, "b", B)

    take(san, "a", A, B)

    assert set(keys(san).values()) == {A}


def test_a_victim_with_a_key_for_each_path_is_evicted_with_all_of_them():
    san = San("ab")
    reserve(san, "/dev/b1d0", B)
    register(san, "/dev/b2d0", D)

    result = take(san, "a", A, B)

    assert result.outcome is Outcome.HELD
    assert result.evicted[0].keys == (B, D)


def test_not_only_the_holder_is_evicted():
    """The field at large: with type 5 every other registrant goes on writing."""
    san = San("abc")
    take(san, "b", B)
    register(san, "/dev/c2d0", C)

    take(san, "a", A, B)

    [wwid] = san.units
    assert san.writers(wwid) == {"a"}


@pytest.mark.parametrize("number", range(8))
def test_an_attention_on_any_single_request_changes_nothing(number):
    """fence-agents da047800, 522fef7a, fc6384d3; OpenSVC f94cec039, 327481aef, 678a3bd92: learnt again and again."""
    san = San("ab")
    take(san, "b", B)
    asked(san)

    def disturb(request):
        if len(san.asked) == number:
            san.give(request.path, Fault.ATTENTION)

    san.before = disturb
    assert take(san, "a", A, B).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_a_moment_without_a_key_never_comes_under_a_running_guest():
    """fence-agents#576: a watchdog saw it, and rebooted the node."""
    san = San("a", paths=4)
    take(san, "a", A)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))  # the others have died
    attempt = acquire([disk], A, in_use=True)
    while attempt.result is None:
        attempt = step(san, "a", attempt)
        assert {"a1", "a2"} <= set(keys(san))

    assert attempt.result.outcome is Outcome.HELD


def test_a_node_that_was_fenced_does_not_take_its_disks_back():
    """It hung, was taken over, and goes on where it was."""
    san = San("ab")
    take(san, "a", A)
    take(san, "b", B, A)

    assert status(san, "a", A).is_lost
    assert take(san, "a", A, in_use=True).outcome is Outcome.REFUSED
    assert keys(san) == {"b1": B, "b2": B}


def test_a_target_that_forgot_everything_is_noticed_and_taken_again():
    san = San("a")
    take(san, "a", A)
    san.lose_power()

    assert status(san, "a", A).is_lost
    assert take(san, "a", A, in_use=True).outcome is Outcome.HELD


@pytest.mark.parametrize("kth", [0, 1, 2])
@pytest.mark.parametrize("answer", [Answer.UNSUPPORTED, Answer.FOREIGN, Answer.GONE, Answer.NOT_READY, Answer.DENIED])
def test_one_disk_that_cannot_be_taken_leaves_none_half_taken(kth, answer):
    san = San("a", disks=3, paths=1)
    attempt = acquire(san.disks("a"), A)
    given = tuple(
        Reading(path=request.path, answer=answer if number == kth else Answer.DONE)
        for number, request in enumerate(attempt.wants)
    )

    result = attempt.advanced(given).result

    assert result.outcome in (Outcome.REFUSED, Outcome.UNDETERMINED)
    assert asked(san) == []
    assert [reason.disk for reason in result.reasons] == [f"disk{kth}"]


def test_a_path_that_comes_back_is_told_and_then_registered():
    """opensvc#30: the guest got I/O errors."""
    san = San("a")
    san.give("/dev/a2d0", Fault.DEAD)
    take(san, "a", A)
    san.restore("/dev/a2d0")

    assert status(san, "a", A).state == "1 of 2 paths registered"
    assert take(san, "a", A, in_use=True).outcome is Outcome.HELD
    assert status(san, "a", A).phase is Phase.RUNNING


def test_a_disk_stays_ours_when_the_path_that_holds_it_is_down():
    san = San("a")
    take(san, "a", A)
    path, _ = san.disks("a")[0].paths
    assert holder(san)[0] == "a1"
    san.give(path, Fault.DEAD)

    result = take(san, "a", A)

    assert result.outcome is Outcome.HELD
    assert holder(san) == ("a1", 5)  # nothing had to be moved, and nothing was


def test_a_key_is_changed_although_a_path_that_had_it_is_down():
    san = San("a")
    take(san, "a", A)
    san.give("/dev/a1d0", Fault.DEAD)

    assert take(san, "a", C).outcome is Outcome.REFUSED  # to have two keys at once is never ours
    assert run(san, "a", release(san.disks("a"), A)).outcome is Outcome.RELEASED
    assert take(san, "a", C).outcome is Outcome.HELD
    assert keys(san) == {"a2": C}


@pytest.mark.parametrize("number", range(6))
def test_a_path_that_comes_up_in_the_middle_of_an_attempt_harms_nothing(number):
    san = San("a", paths=3)
    late = "/dev/a3d0"
    san.give(late, Fault.DEAD)
    made = []

    def come_up(request):
        made.append(request)
        if len(made) == number:
            san.restore(late)

    san.before = come_up

    assert take(san, "a", A).outcome is Outcome.HELD
    assert set(keys(san).values()) == {A}
    assert {"a1", "a2"} <= keys(san).keys()


@pytest.mark.parametrize("number", range(1, 7))
def test_registrations_that_multipathd_makes_beside_us_change_nothing(number):
    san = San("a")
    made = []

    def register_all(request):
        made.append(request)
        if len(made) == number:
            for path in san.disks("a")[0].paths:
                register(san, path, A)

    san.before = register_all

    result = take(san, "a", A)

    assert result.outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}
    assert not [request for request in san.asked if request.operation and request.operation.act is Act.PREEMPT]
