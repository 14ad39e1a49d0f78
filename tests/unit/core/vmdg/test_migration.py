"""Live migration: two may write inside the window, and at no moment is a disk without a reservation."""

from __future__ import annotations

import pytest

from tests.unit.core.vmdg.drive import A, B, C, asked, holder, keys, register, reserve, run, step, take
from vmsvc.core.vmdg.attempt import Outcome
from vmsvc.core.vmdg.migration import Due, Role, Window, abandon, due, prepare, reclaim, switch
from vmsvc.core.vmdg.seen import Act, Answer, Performed
from vmsvc.testing import Fault, San

WINDOW = Window(source=A, destination=B, opened_at=100.0, until=200.0)


@pytest.fixture
def san():
    san = San("abc", disks=2)
    take(san, "a", A)
    asked(san)
    return san


def test_the_destination_registers_and_the_source_still_holds(san):
    assert run(san, "b", prepare(san.disks("b"), WINDOW)).outcome is Outcome.JOINED
    assert keys(san) == {"a1": A, "a2": A, "b1": B, "b2": B}
    assert holder(san) == ("a1", 5)
    assert asked(san)[:2] == ["read b1d0", "read b1d1"]
    assert run(san, "b", prepare(san.disks("b"), WINDOW)).outcome is Outcome.JOINED


def test_the_switch_never_leaves_a_disk_without_a_reservation(san):
    run(san, "b", prepare(san.disks("b"), WINDOW))
    attempt = switch(san.disks("b"), WINDOW)
    while attempt.result is None:
        attempt = step(san, "b", attempt)
        assert holder(san)[1] == holder(san, 1)[1] == 5

    assert attempt.result.outcome is Outcome.HELD
    assert keys(san) == keys(san, 1) == {"b1": B, "b2": B}
    assert run(san, "b", prepare(san.disks("b"), WINDOW)).outcome is Outcome.JOINED  # once more, after a crash


def test_the_destination_leaves_and_the_source_has_lost_nothing(san):
    run(san, "b", prepare(san.disks("b"), WINDOW))

    assert run(san, "b", abandon(san.disks("b"), WINDOW)).outcome is Outcome.RELEASED
    assert keys(san) == {"a1": A, "a2": A}
    assert holder(san) == ("a1", 5)


def test_the_source_evicts_a_destination_that_cannot_leave(san):
    run(san, "b", prepare(san.disks("b"), WINDOW))

    assert run(san, "a", reclaim(san.disks("a"), WINDOW)).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_nexuses_of_the_destination_that_died_do_not_pass_for_its_paths(san):
    register(san, "/dev/b1d0", B)
    register(san, "/dev/b1d1", B)
    attempt = prepare(san.disks("b"), WINDOW)
    while attempt.result is None:  # what is registered is on a connection that is no more, and the table is full
        given = []
        for request in attempt.wants:
            operation, tool = request.operation, san.tool("b")
            if operation is None:
                given.append(tool.read(request.disk, request.path))
            elif operation.act is Act.REGISTER:
                given.append(Performed(operation=operation, answer=Answer.INVALID))
            else:
                given.append(tool.perform(request.disk, operation))
        attempt = attempt.advanced(tuple(given))

    assert attempt.result.outcome is Outcome.FAILED


def test_nobody_joins_a_disk_that_the_source_does_not_hold_alone(san):
    register(san, "/dev/c1d1", C)

    assert run(san, "b", prepare(san.disks("b"), WINDOW)).outcome is Outcome.REFUSED
    assert "b1" not in keys(san)


@pytest.mark.parametrize("type", [1, 3, 6, 7, 8])
def test_nobody_joins_a_reservation_of_another_type(type):
    san = San("ab")
    reserve(san, "/dev/a1d0", A, type)

    assert run(san, "b", prepare(san.disks("b"), WINDOW)).outcome is Outcome.REFUSED


def test_nobody_joins_a_disk_that_is_not_reserved():
    san = San("ab")

    assert run(san, "b", prepare(san.disks("b"), WINDOW)).outcome is Outcome.REFUSED


def test_a_disk_that_is_taken_while_we_join_is_left_again(san):
    attempt = step(san, "b", prepare(san.disks("b"), WINDOW))
    take(san, "c", C, A)

    assert run(san, "b", attempt).outcome is Outcome.LOST
    assert keys(san) == keys(san, 1) == {"c1": C, "c2": C}


def test_a_registration_that_did_nothing_is_made_again(san):
    attempt = step(san, "b", prepare(san.disks("b"), WINDOW))
    san.give("/dev/b2d0", Fault.FALSE_REPLY)

    assert run(san, "b", attempt).outcome is Outcome.JOINED
    assert keys(san)["b2"] == B


def test_a_switch_that_fails_keeps_the_registrations_under_the_guest(san):
    run(san, "b", prepare(san.disks("b"), WINDOW))
    attempt = step(san, "b", switch(san.disks("b"), WINDOW))

    assert run(san, "b", attempt.given_up("out of time")).outcome is Outcome.UNDETERMINED
    assert keys(san) == keys(san, 1) == {"a1": A, "a2": A, "b1": B, "b2": B}


# --- what is due ---


@pytest.mark.parametrize(
    ("role", "runs_here", "now", "expected"),
    [
        (Role.DESTINATION, True, 150.0, Due.SWITCH),
        (Role.DESTINATION, False, 150.0, Due.WAIT),
        (Role.DESTINATION, None, 150.0, Due.WAIT),
        (Role.SOURCE, True, 150.0, Due.WAIT),
        (Role.SOURCE, False, 150.0, Due.WAIT),
        (Role.DESTINATION, True, 200.0, Due.SWITCH),
        (Role.DESTINATION, False, 200.0, Due.ABANDON),
        (Role.DESTINATION, None, 200.0, Due.ALARM),
        (Role.SOURCE, True, 200.0, Due.RECLAIM),
        (Role.SOURCE, False, 200.0, Due.NOTHING),
        (Role.SOURCE, None, 200.0, Due.ALARM),
        (Role.SOURCE, True, 99.0, Due.RECLAIM),
    ],
)
def test_what_an_end_has_to_do(role, runs_here, now, expected):
    assert due(WINDOW, role, runs_here=runs_here, now=now) is expected
