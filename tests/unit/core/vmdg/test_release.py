"""Giving disks back: only what is ours, and "released" only where that was read."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.core.vmdg.drive import A, B, C, asked, holder, keys, register, reserve, run, step, take
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.seen import Act, Answer, Performed, Reading, Registration, ScsiDisk
from vmsvc.core.vmdg.turn import Standing
from vmsvc.testing import Fault, San


def give_back(san, node, key):
    return run(san, node, release(san.disks(node), key))


def test_a_release_takes_no_request_more_than_it_needs():
    san = San("a")
    take(san, "a", A)
    asked(san)

    assert give_back(san, "a", A).outcome is Outcome.RELEASED
    assert asked(san) == ["read a1d0", "unregister a2d0", "unregister a1d0", "read a1d0"]
    assert keys(san) == {}
    assert holder(san) == ("", 0)


def test_a_second_release_writes_nothing():
    san = San("ab")
    reserve(san, "/dev/b1d0", B)

    assert give_back(san, "a", A).outcome is Outcome.RELEASED
    assert asked(san) == ["read a1d0"]


def test_others_keep_their_keys():
    san = San("ab")
    take(san, "a", A)
    register(san, "/dev/b1d0", B)

    assert give_back(san, "a", A).outcome is Outcome.RELEASED
    assert keys(san) == {"b1": B}


def test_a_path_that_bears_another_key_keeps_it():
    """Compare and remove: what was registered there meanwhile by somebody else stays."""
    san = San("a")
    take(san, "a", A)
    register(san, "/dev/a2d0", B)

    assert give_back(san, "a", A).outcome is Outcome.RELEASED
    assert keys(san) == {"a2": B}


@pytest.mark.parametrize("dead", ["/dev/a1d0", "/dev/a2d0"])
def test_a_path_that_died_with_its_registration_is_preempted_through_another(dead):
    san = San("ab")
    take(san, "a", A)
    register(san, "/dev/b1d0", B)
    san.give(dead, Fault.DEAD)

    assert give_back(san, "a", A).outcome is Outcome.RELEASED
    assert keys(san) == {"b1": B}
    assert holder(san) == ("", 0)


def test_nothing_is_registered_on_another_nodes_disk_to_be_rid_of_a_connection_that_died():
    san = San("ab", paths=3)
    register(san, "/dev/a3d0", A)
    reserve(san, "/dev/b1d0", B)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))

    result = run(san, "a", release([disk], A))

    assert result.outcome is Outcome.FAILED
    assert "a path that does not answer" in str(result.reasons[0])
    assert not [asked for asked in san.asked if asked.operation and asked.operation.act is Act.REGISTER]
    assert keys(san) == {"a3": A, "b1": B}
    assert holder(san) == ("b1", 5)


def test_a_disk_that_cannot_be_read_is_told_and_the_others_are_released():
    """When a node boots after a crash, too."""
    san = San("a", disks=2)
    take(san, "a", A)
    san.give("/dev/a1d0", Fault.DEAD)
    san.give("/dev/a2d0", Fault.DEAD)

    result = give_back(san, "a", A)

    assert result.outcome is Outcome.UNDETERMINED
    assert [reason.disk for reason in result.reasons] == ["disk0"]
    assert keys(san, 1) == {}


def test_a_release_is_not_believed_before_it_was_read():
    san = San("a", paths=1)
    take(san, "a", A)
    attempt = step(san, "a", release(san.disks("a"), A))
    attempt = step(san, "a", attempt)
    san.give("/dev/a1d0", Fault.DEAD)

    assert keys(san) == {}
    assert run(san, "a", attempt).outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.FAILED_REPLY, Fault.FALSE_REPLY])
def test_any_one_answer_may_lie(fault, number):
    san = San("a", paths=1)
    take(san, "a", A)
    asked(san)

    def lie(request):
        if len(san.asked) == number:
            san.give(request.path, fault)

    san.before = lie
    result = give_back(san, "a", A)

    if result.outcome is Outcome.RELEASED:
        assert keys(san) == {}
    else:
        assert result.outcome is Outcome.UNDETERMINED


def test_a_target_that_never_does_it_ends_as_failed():
    san = San("a", paths=1)
    take(san, "a", A)
    attempt = release(san.disks("a"), A)
    while attempt.result is None:
        for request in attempt.wants:
            if request.operation is not None:
                san.give(request.path, Fault.FALSE_REPLY)
        attempt = step(san, "a", attempt)

    assert attempt.result.outcome is Outcome.FAILED
    assert attempt.result.standings == ((san.disks("a")[0].wwid, Standing.FAILED),)


def test_a_disk_that_became_read_only_with_our_key_is_not_called_released():
    san = San("a", disks=2)
    take(san, "a", A)
    first, second = san.disks("a")
    asked(san)

    result = run(san, "a", release([evolve(first, readonly=True), second], A))

    assert result.outcome is Outcome.FAILED
    assert result.standings == ((first.wwid, Standing.FAILED), (second.wwid, Standing.LEFT))
    assert [str(reason) for reason in result.reasons] == ["disk0: is read-only here, and still reserved for this node"]
    assert [request for request in asked(san) if "d0" in request] == ["read a1d0"]  # nothing is asked of it in vain
    assert keys(san, 1) == {}


def test_a_read_only_disk_without_our_key_is_read_once_and_released():
    san = San("ab")
    reserve(san, "/dev/b1d0", B)
    [disk] = san.disks("a")

    assert run(san, "a", release([evolve(disk, readonly=True)], A)).outcome is Outcome.RELEASED
    assert asked(san) == ["read a1d0"]


def test_a_disk_that_knows_no_reservations_has_nothing_of_ours():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    attempt = release([disk], A).advanced((Reading(path="/p", answer=Answer.UNSUPPORTED),))

    assert attempt.result.outcome is Outcome.RELEASED


def test_a_release_that_is_given_up_is_over():
    san = San("a")
    take(san, "a", A)

    assert release(san.disks("a"), A).given_up("out of time").result.outcome is Outcome.UNDETERMINED


# --- crashes: a second run converges, and never removes a foreign key ---


@pytest.mark.parametrize("again", ["acquire", "release"])
@pytest.mark.parametrize("first", ["acquire", "release"])
def test_a_killed_run_is_finished_by_the_next_one(first, again):
    makes = {"acquire": lambda disks: acquire(disks, A), "release": lambda disks: release(disks, A)}
    for limit in range(30):
        san = San("ac", disks=2)
        if first == "release":
            take(san, "a", A)
            register(san, "/dev/c1d1", C)
        _run_for(san, makes[first](san.disks("a")), limit)

        outcome = run(san, "a", makes[again](san.disks("a"))).outcome

        if first == "acquire":
            assert outcome is (Outcome.HELD if again == "acquire" else Outcome.RELEASED)
        else:  # whoever finds a stranger may not take the disks; to release them, nobody needs to be asked
            assert outcome is (Outcome.REFUSED if again == "acquire" else Outcome.RELEASED)
            assert keys(san, 1)["c1"] == C
        if again == "release":
            assert A not in (*keys(san, 0).values(), *keys(san, 1).values())


def _run_for(san, attempt, limit):
    """Carry out that many requests and no more: the process is killed."""
    tool = san.tool("a")
    while attempt.result is None:
        answers = []
        for request in attempt.wants:
            if limit == 0:
                return
            limit -= 1
            operation = request.operation
            answers.append(
                tool.read(request.disk, request.path) if operation is None else tool.perform(request.disk, operation)
            )
        attempt = attempt.advanced(tuple(answers))


def test_an_unregistration_that_conflicts_is_no_failure():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"))
    attempt = release([disk], A)
    attempt = attempt.advanced((Reading(path="/p", answer=Answer.DONE, registrations=(Registration(key=A),)),))
    for path, answer in (("/q", Answer.CONFLICT), ("/p", Answer.DONE)):
        [request] = attempt.wants
        assert (request.path, request.operation.act) == (path, Act.UNREGISTER)
        attempt = attempt.advanced((Performed(operation=request.operation, answer=answer),))

    assert attempt.advanced((Reading(path="/p", answer=Answer.DONE),)).result.outcome is Outcome.RELEASED


def test_a_map_that_multipathd_keeps_is_left_as_a_whole():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"), map="/dev/mapper/m", is_managed=True)
    ours = Reading(path="/p", answer=Answer.DONE, registrations=(Registration(key=A),) * 2)
    attempt = release([disk], A).advanced((ours,))

    assert [(request.path, request.operation.act) for request in attempt.wants] == [("/dev/mapper/m", Act.UNREGISTER)]
    [request] = attempt.wants
    attempt = attempt.advanced((Performed(operation=request.operation, answer=Answer.DONE),))
    assert [(request.path, request.operation) for request in attempt.wants] == [("/p", None)]


def test_of_a_release_nothing_is_taken_back():
    san = San("a")

    assert acquire(san.disks("a"), A).takes_back
    assert not release(san.disks("a"), A).takes_back
