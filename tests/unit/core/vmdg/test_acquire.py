"""Taking disks: what is asked, in which order, and what a disk that shows something else leads to."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.core.vmdg.drive import A, B, C, D, answers, asked, holder, keys, register, reserve, run, step, take
from vmsvc.core.vmdg.attempt import Evicted, Outcome, Stage, acquire, release
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Act, Answer, Performed, Reading, Registration, Reservation, ReservationType, ScsiDisk
from vmsvc.core.vmdg.turn import Standing
from vmsvc.testing import Action, Fault, Request, San

# --- the plain way ---


def test_a_fresh_disk_takes_no_request_more_than_it_needs():
    san = San("a")

    assert take(san, "a", A).outcome is Outcome.HELD
    assert asked(san) == ["read a1d0", "register a1d0", "register a2d0", "reserve a1d0", "read a1d0"]
    assert keys(san) == {"a1": A, "a2": A}
    assert holder(san) == ("a1", 5)


def test_every_disk_is_looked_at_before_anything_is_registered():
    san = San("a", disks=3)

    take(san, "a", A)

    assert asked(san)[:4] == ["read a1d0", "read a1d1", "read a1d2", "register a1d0"]


def test_the_first_disk_by_its_world_wide_id_decides_before_others_are_touched():
    san = San("a", disks=3)

    attempt = acquire(reversed(san.disks("a")), A)
    run(san, "a", attempt)

    words = asked(san)
    assert words.index("register a1d1") > words.index("reserve a1d0") + 1


def test_what_we_hold_already_is_registered_again_and_nothing_else():
    san = San("a")
    take(san, "a", A)
    asked(san)

    assert take(san, "a", A).outcome is Outcome.HELD
    assert asked(san) == ["read a1d0", "register a1d0", "register a2d0", "read a1d0"]


def test_an_attempt_at_no_disks_is_a_mistake():
    with pytest.raises(ValueError, match="no disks"):
        acquire([], A)


# --- authority ---


@pytest.mark.parametrize("type", list(ReservationType))
def test_a_foreign_holder_without_authority_refuses_before_we_have_registered_anywhere(type):
    san = San("ab", disks=2)
    reserve(san, "/dev/b1d1", B, type)

    result = take(san, "a", A)

    assert result.outcome is Outcome.REFUSED
    assert asked(san) == ["read a1d0", "read a1d1"]
    assert [reason.disk for reason in result.reasons] == ["disk1"]
    assert "0x000000000000000b" in str(result.reasons[0])


def test_a_foreign_registration_alone_refuses():
    san = San("ab")
    register(san, "/dev/b1d0", B)

    assert take(san, "a", A).outcome is Outcome.REFUSED
    assert keys(san) == {"b1": B}


def test_the_named_holder_is_evicted_and_so_is_who_stood_beside_it_with_their_names_told():
    san = San("abc")
    take(san, "b", B)
    register(san, "/dev/c1d0", C)
    asked(san)

    result = take(san, "a", A, B)

    assert result.outcome is Outcome.HELD
    assert result.evicted == (Evicted(disk="disk0", keys=(B, C)),)
    assert keys(san) == {"a1": A, "a2": A}
    assert asked(san) == [
        "read a1d0",
        "register a1d0",
        "register a2d0",
        "preempt a1d0 0xb",
        "preempt a1d0 0xc",
        "read a1d0",
    ]


def test_naming_a_bystander_does_not_name_the_holder():
    san = San("abc")
    take(san, "b", B)
    register(san, "/dev/c1d0", C)

    assert take(san, "a", A, C).outcome is Outcome.REFUSED


def test_without_a_holder_every_registrant_must_be_named():
    san = San("abc")
    register(san, "/dev/b1d0", B)
    register(san, "/dev/c1d0", C)

    assert take(san, "a", A, B).outcome is Outcome.REFUSED
    assert take(san, "a", A, B, C).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_a_stranger_beside_us_on_a_disk_that_we_hold_must_be_named():
    san = San("ac")
    take(san, "a", A)
    register(san, "/dev/c1d0", C)

    assert take(san, "a", A).outcome is Outcome.REFUSED
    assert keys(san) == {"a1": A, "a2": A, "c1": C}
    assert take(san, "a", A, C).outcome is Outcome.HELD


def test_naming_ourselves_names_nobody_else():
    san = San("ab")
    take(san, "b", B)

    assert take(san, "a", A, A).outcome is Outcome.REFUSED


@pytest.mark.parametrize("type", [1, 3, 6])
def test_a_holder_of_another_type_is_preempted_into_ours(type):
    san = San("ab")
    reserve(san, "/dev/b1d0", B, type)

    assert take(san, "a", A, B).outcome is Outcome.HELD
    assert holder(san) == ("a1", 5)
    assert keys(san) == {"a1": A, "a2": A}


@pytest.mark.parametrize("type", [1, 3, 6])
def test_our_own_reservation_of_another_type_becomes_ours_with_all_paths(type):
    san = San("a")
    reserve(san, "/dev/a1d0", A, type)

    assert take(san, "a", A).outcome is Outcome.HELD
    assert holder(san) == ("a1", 5)
    assert keys(san) == {"a1": A, "a2": A}


@pytest.mark.parametrize("type", [7, 8])
def test_where_all_registrants_hold_it_each_must_be_named_and_goes_by_its_own_key(type):
    san = San("abc")
    reserve(san, "/dev/b1d0", B, type)
    register(san, "/dev/c1d0", C)
    assert take(san, "a", A, B).outcome is Outcome.REFUSED
    asked(san)

    assert take(san, "a", A, B, C).outcome is Outcome.HELD
    assert holder(san)[1] == 5
    assert keys(san) == {"a1": A, "a2": A}
    assert not any(word.startswith("preempt") and word.endswith("0x0") for word in asked(san))


def test_an_all_registrants_reservation_of_our_own_is_released_and_made_anew():
    san = San("a")
    reserve(san, "/dev/a1d0", A, 7)

    assert take(san, "a", A).outcome is Outcome.HELD
    assert holder(san) == ("a1", 5)
    assert "release a1d0" in asked(san)


def test_a_type_that_nobody_knows_is_preempted_from_its_named_holder():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    shown = Reading(
        path="/p",
        answer=Answer.DONE,
        registrations=(Registration(key=B),),
        reservation=Reservation(key=B, type=9),
    )

    attempt = acquire([disk], A, authority=frozenset({B})).advanced((shown,))
    attempt = attempt.advanced(_done(attempt))

    assert [request.operation.act for request in attempt.wants] == [Act.PREEMPT]


def test_a_type_that_nobody_knows_without_a_holder_is_not_judged():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    shown = Reading(path="/p", answer=Answer.DONE, reservation=Reservation(key=0, type=9))

    result = acquire([disk], A).advanced((shown,)).result

    assert result.outcome is Outcome.UNDETERMINED
    assert "unknown type" in str(result.reasons[0])


def test_a_holder_that_is_no_registrant_is_foreign_all_the_same():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    shown = Reading(path="/p", answer=Answer.DONE, reservation=Reservation(key=B, type=5))

    assert acquire([disk], A).advanced((shown,)).result.outcome is Outcome.REFUSED


def _done(attempt):
    return tuple(
        Performed(operation=request.operation, answer=Answer.DONE) for request in attempt.wants if request.operation
    )


# --- what cannot be read ---


def test_a_disk_that_no_path_can_read_leaves_all_of_them_alone():
    san = San("a", disks=2)
    san.give("/dev/a1d1", Fault.DEAD)
    san.give("/dev/a2d1", Fault.DEAD)

    result = take(san, "a", A)

    assert result.outcome is Outcome.UNDETERMINED
    assert not any("register" in word for word in asked(san))
    assert "DID_NO_CONNECT" in str(result.reasons[0])
    assert result.notes == ()  # what is the reason is not told twice


def test_a_refusal_is_certain_even_if_another_disk_cannot_be_read():
    san = San("ab", disks=2)
    san.give("/dev/a1d1", Fault.DEAD)
    san.give("/dev/a2d1", Fault.DEAD)
    take(san, "b", B)

    result = take(san, "a", A)

    assert result.outcome is Outcome.REFUSED
    assert {reason.disk for reason in result.reasons} == {"disk0", "disk1"}


def test_a_dead_path_does_not_pass_for_a_disk_without_keys():
    san = San("ab")
    take(san, "b", B)
    san.give("/dev/a1d0", Fault.DEAD)

    assert take(san, "a", A).outcome is Outcome.REFUSED


def test_a_disk_is_taken_through_the_paths_that_live_and_the_dead_ones_are_told():
    san = San("a")
    san.give("/dev/a1d0", Fault.DEAD)

    result = take(san, "a", A)

    assert result.outcome is Outcome.HELD
    assert keys(san) == {"a2": A}
    assert any("/dev/a1d0" in str(note) and "gone" in str(note) for note in result.notes)
    assert "disk0: 1 of 2 paths registered" in map(str, result.notes)


def test_the_acting_path_is_one_that_is_registered():
    san = San("a")
    attempt = step(san, "a", acquire(san.disks("a"), A))
    san.give("/dev/a1d0", Fault.DEAD)  # it dies between the look and the registration

    assert run(san, "a", attempt).outcome is Outcome.HELD
    assert holder(san) == ("a2", 5)


def test_a_disk_without_reservations_is_refused_in_words():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"))
    attempt = acquire([disk], A)
    attempt = attempt.advanced((Reading(path="/p", answer=Answer.UNSUPPORTED),))
    result = attempt.advanced((Reading(path="/q", answer=Answer.FOREIGN),)).result

    assert result.outcome is Outcome.REFUSED
    assert result.standings == (("w", Standing.INCAPABLE),)
    assert str(result.reasons[0]) == "d: knows no persistent reservations"


def test_one_path_that_does_not_know_reservations_and_one_that_is_dead_say_nothing():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"))
    attempt = acquire([disk], A)
    attempt = attempt.advanced((Reading(path="/p", answer=Answer.UNSUPPORTED),))

    assert attempt.advanced((Reading(path="/q", answer=Answer.GONE),)).result.outcome is Outcome.UNDETERMINED


def test_a_disk_without_paths_cannot_be_read():
    result = acquire([ScsiDisk(name="d", wwid="w", paths=())], A).result

    assert result.outcome is Outcome.UNDETERMINED


def test_a_list_of_keys_that_was_cut_off_is_not_believed():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    shown = Reading(path="/p", answer=Answer.DONE, registrations=(Registration(key=0), Registration(key=A)))

    assert acquire([disk], A).advanced((shown,)).result.outcome is Outcome.UNDETERMINED


def test_a_disk_that_has_counted_does_not_forget_everything_at_once():
    """What a transport that died looks like to a tool that does not notice: generation 0, and no keys."""
    san = San("a", paths=1)
    attempt = step(san, "a", acquire(san.disks("a"), A))
    register(san, "/dev/a1d0", A)  # so that it has counted
    attempt = evolve(attempt, turns=(evolve(attempt.turns[0], has_counted=True),))
    while attempt.result is None:
        blank = tuple(
            Reading(path=request.path, answer=Answer.DONE) if request.operation is None else answer
            for request, answer in zip(attempt.wants, answers(san, "a", attempt), strict=True)
        )
        attempt = attempt.advanced(blank)

    assert attempt.result.outcome is Outcome.UNDETERMINED


# --- answers that are no proof ---


@pytest.mark.parametrize("fault", [Fault.ATTENTION, Fault.BUSY])
def test_what_was_not_carried_out_is_asked_again(fault):
    san = San("a")
    for path in ("/dev/a1d0", "/dev/a2d0"):
        for _ in range(2):
            san.give(path, fault)

    assert take(san, "a", A).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_an_attention_that_never_ends_ends_the_attempt():
    san = San("a", paths=1)
    for _ in range(1000):
        san.give("/dev/a1d0", Fault.ATTENTION)

    assert take(san, "a", A).outcome is Outcome.UNDETERMINED
    assert len(san.asked) < 20


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.FAILED_REPLY, Fault.FALSE_REPLY])
def test_any_one_answer_may_lie(fault, number):
    san = San("a", paths=1)

    def lie(request):
        if len(san.asked) == number:
            san.give(request.path, fault)

    san.before = lie
    result = take(san, "a", A)
    san.before = lambda _: None

    if result.outcome is Outcome.HELD:
        assert keys(san) == {"a1": A}
        assert holder(san) == ("a1", 5)
    else:
        assert result.outcome is Outcome.UNDETERMINED
        assert keys(san) == {}


def test_done_without_effect_is_no_success():
    """All of the target's answers are "done", and it never does anything."""
    san = San("a", paths=1)
    attempt = acquire(san.disks("a"), A)
    while attempt.result is None:
        for request in attempt.wants:
            if request.operation is not None:
                san.give(request.path, Fault.FALSE_REPLY)
        attempt = step(san, "a", attempt)

    assert attempt.result.outcome is Outcome.FAILED
    assert "does not do what it is asked" in str(attempt.result.reasons[0])


def test_a_registration_that_is_answered_with_an_error_and_carried_out_is_seen():
    """Linux' target without a place to save registrations: NOT READY, and the key is there."""
    san = San("a", paths=1)
    attempt = acquire(san.disks("a"), A)
    while attempt.result is None:
        for request in attempt.wants:
            if request.operation is not None and request.operation.act is Act.REGISTER:
                san.give(request.path, Fault.FAILED_REPLY)
        attempt = step(san, "a", attempt)

    assert attempt.result.outcome is Outcome.HELD


def test_a_path_that_lies_about_its_registration_is_registered_again():
    san = San("a")
    attempt = step(san, "a", acquire(san.disks("a"), A))
    san.give("/dev/a2d0", Fault.FALSE_REPLY)

    assert run(san, "a", attempt).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


# --- races ---


def test_who_loses_the_first_disk_never_touches_the_second():
    san = San("ab", disks=2)
    ours = step(san, "a", acquire(san.disks("a"), A))
    take(san, "b", B)  # between our look and our registration
    asked(san)

    result = run(san, "a", ours)

    assert result.outcome is Outcome.LOST
    assert not any("d1" in word for word in asked(san))
    assert keys(san) == {"b1": B, "b2": B}
    assert "another node was faster" in str(result.reasons[0])


def test_a_racer_is_evicted_by_the_winner():
    san = San("ab")
    ours = step(san, "a", acquire(san.disks("a"), A))
    register(san, "/dev/b1d0", B)  # absent at our first look

    result = run(san, "a", ours)

    assert result.outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}
    assert result.evicted == (Evicted(disk="disk0", keys=(B,)),)


def test_a_racer_is_not_evicted_before_we_hold_the_disk():
    san = San("ab", paths=1)
    ours = step(san, "a", acquire(san.disks("a"), A))
    register(san, "/dev/b1d0", B)
    ours = step(san, "a", ours)  # our registration
    san.give("/dev/a1d0", Fault.LOST_REQUEST)  # our reservation never arrives

    assert run(san, "a", ours).outcome is Outcome.HELD
    words = asked(san)
    assert words.index("preempt a1d0 0xb") > max(i for i, word in enumerate(words) if word == "reserve a1d0")


@pytest.mark.parametrize("steps", range(12))
def test_whoever_wins_takes_all_and_the_other_one_nothing(steps):
    san = San("ab", disks=2, paths=1)
    ours, theirs = acquire(san.disks("a"), A), acquire(san.disks("b"), B)
    for _ in range(steps):
        ours = step(san, "a", ours) if ours.result is None else ours
    while ours.result is None or theirs.result is None:
        theirs = step(san, "b", theirs) if theirs.result is None else theirs
        ours = step(san, "a", ours) if ours.result is None else ours

    assert {ours.result.outcome, theirs.result.outcome} & {Outcome.HELD} == {Outcome.HELD}
    winner = {"a1": A} if ours.result.outcome is Outcome.HELD else {"b1": B}
    assert keys(san, 0) == keys(san, 1) == winner
    assert [ours, theirs].count(None) == 0
    loser = theirs if ours.result.outcome is Outcome.HELD else ours
    assert loser.result.outcome in (Outcome.LOST, Outcome.REFUSED)


def test_two_takers_preempt_one_victim_and_one_of_them_gets_it():
    san = San("abc", paths=1)
    take(san, "c", C)
    ours = step(san, "a", acquire(san.disks("a"), A, authority=frozenset({C})))
    theirs = step(san, "b", acquire(san.disks("b"), B, authority=frozenset({C})))
    while ours.result is None or theirs.result is None:
        ours = step(san, "a", ours) if ours.result is None else ours
        theirs = step(san, "b", theirs) if theirs.result is None else theirs

    assert {ours.result.outcome, theirs.result.outcome} == {Outcome.HELD, Outcome.LOST}
    assert len(keys(san)) == 1


def test_a_new_holder_that_was_not_named_wins_although_it_was_seen_at_first():
    san = San("abc", paths=1)
    take(san, "b", B)
    register(san, "/dev/c1d0", C)
    ours = step(san, "a", acquire(san.disks("a"), A, authority=frozenset({B})))
    san.ask("/dev/b1d0", Request(Action.REGISTER, key=B))
    reserve(san, "/dev/c1d0", C)  # the bystander takes it

    result = run(san, "a", ours)

    assert result.outcome is Outcome.LOST
    assert keys(san) == {"c1": C}


def test_an_all_registrants_reservation_that_appears_meanwhile_is_lost():
    san = San("ab", paths=1)
    ours = step(san, "a", acquire(san.disks("a"), A))
    reserve(san, "/dev/b1d0", B, 7)

    assert run(san, "a", ours).outcome is Outcome.LOST
    assert keys(san) == {"b1": B}


def test_a_disk_that_is_lost_late_gives_back_the_ones_before():
    san = San("ab", disks=3, paths=1)
    ours = step(san, "a", acquire(san.disks("a"), A))
    reserve(san, "/dev/b1d2", B)  # only the last one

    result = run(san, "a", ours)

    assert result.outcome is Outcome.LOST
    assert [keys(san, disk) for disk in range(3)] == [{}, {}, {"b1": B}]


def test_what_we_held_before_is_kept_when_another_disk_is_lost():
    """A guest may be running on it."""
    san = San("ab", disks=2)
    run(san, "a", acquire(san.disks("a")[:1], A))
    ours = step(san, "a", acquire(san.disks("a"), A))
    reserve(san, "/dev/b1d1", B)

    assert run(san, "a", ours).outcome is Outcome.LOST
    assert keys(san, 0) == {"a1": A, "a2": A}
    assert keys(san, 1) == {"b1": B}


def test_what_we_held_before_and_lost_meanwhile_is_left_to_the_new_holder():
    san = San("ab", disks=2)
    take(san, "a", A)
    ours = step(san, "a", acquire(san.disks("a"), A))
    take(san, "b", B, A)

    assert run(san, "a", ours).outcome is Outcome.LOST
    assert keys(san, 0) == keys(san, 1) == {"b1": B, "b2": B}


def test_registrations_under_a_running_guest_are_kept_even_without_a_reservation():
    san = San("ab", disks=2, paths=1)
    register(san, "/dev/a1d0", A)
    ours = step(san, "a", acquire(san.disks("a"), A, in_use=True))
    reserve(san, "/dev/b1d1", B)

    assert run(san, "a", ours).outcome is Outcome.LOST
    assert keys(san, 0) == {"a1": A}


# --- ghosts ---


def test_nexuses_of_ours_that_died_are_removed():
    """After a reboot, or with a new ISID: our key is there, on connections that are no more."""
    san = San("a", paths=4)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))
    reserve(san, "/dev/a3d0", A)
    register(san, "/dev/a4d0", A)

    assert run(san, "a", acquire([disk], A)).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}
    assert holder(san) == ("a1", 5)


def test_nexuses_that_died_stay_while_a_guest_may_be_writing():
    san = San("a", paths=4)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))
    reserve(san, "/dev/a3d0", A)

    result = run(san, "a", acquire([disk], A, in_use=True))

    assert result.outcome is Outcome.HELD
    assert "a3" in keys(san)
    assert not any(word.startswith("preempt") for word in asked(san))
    assert "3 times, on 2 paths" in str(result.notes[0])


REFUSED = Answer.INVALID, Answer.CONFLICT, Answer.NOT_READY
UNKNOWN = Answer.SILENT, Answer.GONE


def _run_where_registrations_are_refused(san, attempt, answer, paths=("/dev/a1d0", "/dev/a2d0")):
    """To the end; the target's table of registrations is full, say."""
    while attempt.result is None:
        given = []
        for request in attempt.wants:
            operation = request.operation
            is_refused = operation is not None and operation.act in (Act.REGISTER, Act.CONFIRM)
            if is_refused and request.path in paths:
                given.append(Performed(operation=operation, answer=answer))
            else:
                tool = san.tool("a")
                given.append(
                    tool.perform(request.disk, operation) if operation else tool.read(request.disk, request.path)
                )
        attempt = attempt.advanced(tuple(given))
    return attempt.result


def _san_with_ghosts(count):
    """After a boot: our key holds the disk, on connections that are no more, and as many as it has paths or fewer."""
    san = San("a", paths=4)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))
    reserve(san, "/dev/a3d0", A)
    if count > 1:
        register(san, "/dev/a4d0", A)
    return san, disk


@pytest.mark.parametrize("answer", [*REFUSED, *UNKNOWN])
@pytest.mark.parametrize("in_use", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_nexuses_that_died_do_not_pass_for_paths_that_could_not_be_registered(answer, in_use, count):
    san, disk = _san_with_ghosts(count)

    result = _run_where_registrations_are_refused(san, acquire([disk], A, in_use=in_use), answer)

    assert result.outcome is Outcome.FAILED
    assert keys(san) == {"a3": A} if count == 1 else {"a3": A, "a4": A}


@pytest.mark.parametrize("answer", REFUSED)
def test_a_nexus_that_died_does_not_pass_for_the_path_that_was_refused(answer):
    san, disk = _san_with_ghosts(1)

    result = _run_where_registrations_are_refused(san, acquire([disk], A), answer, paths=("/dev/a2d0",))

    assert result.outcome is Outcome.HELD
    assert "disk0: 1 of 2 paths registered" in map(str, result.notes)
    assert keys(san) == {"a1": A}


def test_under_what_may_be_writing_a_nexus_that_died_and_a_path_that_was_refused_are_told():
    san, disk = _san_with_ghosts(1)
    register(san, "/dev/a1d0", A)

    attempt = acquire([disk], A, in_use=True)
    while not any(request.operation and request.operation.act is Act.REGISTER for request in attempt.wants):
        attempt = step(san, "a", attempt)
    result = _run_where_registrations_are_refused(san, attempt, Answer.INVALID, paths=("/dev/a2d0",))

    assert result.outcome is Outcome.HELD
    assert "registered 2 times, on 2 paths of which 1 refused" in str(result.notes)
    assert keys(san) == {"a1": A, "a3": A}


def test_a_path_that_is_gone_keeps_the_registration_that_it_may_have():
    san = San("a")
    assert take(san, "a", A).outcome is Outcome.HELD
    san.give("/dev/a1d0", Fault.DEAD)

    assert take(san, "a", A).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_what_is_ours_stays_ours_where_registrations_are_carried_out_and_answered_with_an_error():
    san = San("a", paths=1)
    assert take(san, "a", A).outcome is Outcome.HELD
    attempt = acquire(san.disks("a"), A)
    while attempt.result is None:
        for request in attempt.wants:
            if request.operation is not None and request.operation.act is Act.REGISTER:
                san.give(request.path, Fault.FAILED_REPLY)
        attempt = step(san, "a", attempt)

    assert attempt.result.outcome is Outcome.HELD
    assert keys(san) == {"a1": A}


def test_an_array_that_counts_in_its_own_way_is_not_asked_for_ever():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p",))
    attempt = acquire([disk], A)
    reading = Reading(path="/p", answer=Answer.DONE)
    while attempt.result is None:
        if attempt.wants[0].operation is None:
            attempt = attempt.advanced((reading,))
        else:
            attempt = attempt.advanced(_done(attempt))
            reading = Reading(
                path="/p",
                answer=Answer.DONE,
                registrations=(Registration(key=A),) * 2,
                reservation=Reservation(key=A, type=5),
            )

    assert attempt.result.outcome is Outcome.HELD
    assert "another node with the same key" in str(attempt.result.notes[0])


def test_an_array_that_counts_initiators_has_as_many_registrations_as_hosts():
    quirks = Quirks(per_initiator=True)
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"), hosts=("host1", "host1"), quirks=quirks)
    attempt = acquire([disk], A).advanced((Reading(path="/p", answer=Answer.DONE),))
    attempt = attempt.advanced(_done(attempt))
    attempt = attempt.advanced(_done(attempt))
    once = Reading(
        path="/p", answer=Answer.DONE, registrations=(Registration(key=A),), reservation=Reservation(key=A, type=5)
    )

    assert attempt.advanced((once,)).result.outcome is Outcome.HELD


def test_a_disk_that_stumbles_over_two_requests_gets_one_at_a_time():
    san = San("a")
    disk = evolve(san.disks("a")[0], quirks=Quirks(one_at_a_time=True))
    attempt = acquire([disk], A)
    while attempt.result is None:
        assert len(attempt.wants) == 1
        attempt = step(san, "a", attempt)

    assert attempt.result.outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_a_map_that_multipathd_keeps_is_registered_as_a_whole():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"), map="/dev/mapper/m", is_managed=True)
    attempt = acquire([disk], A)
    assert [request.path for request in attempt.wants] == ["/p"]
    attempt = attempt.advanced((Reading(path="/p", answer=Answer.DONE),))
    assert [request.path for request in attempt.wants] == ["/dev/mapper/m"]
    attempt = attempt.advanced(_done(attempt))
    assert [(request.path, request.operation.act) for request in attempt.wants] == [("/dev/mapper/m", Act.RESERVE)]
    attempt = attempt.advanced(_done(attempt))
    assert [request.path for request in attempt.wants] == ["/p"]
    ours = Reading(
        path="/p", answer=Answer.DONE, registrations=(Registration(key=A),) * 2, reservation=Reservation(key=A, type=5)
    )

    assert attempt.advanced((ours,)).result.outcome is Outcome.HELD


# --- ended from outside ---


def test_an_attempt_that_is_given_up_takes_back_what_it_did():
    san = San("a", disks=2)
    attempt = step(san, "a", step(san, "a", acquire(san.disks("a"), A)))
    assert keys(san) == {"a1": A, "a2": A}

    result = run(san, "a", attempt.given_up("out of time"))

    assert result.outcome is Outcome.UNDETERMINED
    assert str(result.reasons[0]) == "out of time"
    assert keys(san) == {}


def test_an_attempt_that_is_given_up_while_looking_has_nothing_to_take_back():
    san = San("a")

    (disk,) = san.disks("a")
    attempt = acquire([disk], A).given_up("out of time")

    assert attempt.result.outcome is Outcome.UNDETERMINED
    assert attempt.result.standings == ((disk.wwid, Standing.STOPPED),)


def test_an_attempt_that_is_given_up_while_undoing_is_over():
    san = San("a")
    attempt = step(san, "a", step(san, "a", acquire(san.disks("a"), A)))

    twice = attempt.given_up("out of time").given_up("still")

    assert twice.stage is Stage.OVER
    assert twice.result.outcome is Outcome.UNDETERMINED


def test_what_cannot_be_taken_back_is_said():
    san = San("ab", disks=2, paths=1)
    ours = step(san, "a", acquire(san.disks("a"), A))
    reserve(san, "/dev/b1d1", B)
    while ours.stage is not Stage.UNDOING:
        ours = step(san, "a", ours)
    san.give("/dev/a1d0", Fault.DEAD)

    result = run(san, "a", ours)

    assert result.outcome is Outcome.UNDETERMINED
    assert any("has not been taken back" in str(reason) for reason in result.reasons)


def test_what_is_over_stays_as_it_is():
    san = San("a")
    attempt = acquire(san.disks("a"), A)
    while attempt.result is None:
        attempt = step(san, "a", attempt)

    assert attempt.advanced(()) == attempt
    assert hash(attempt) == hash(attempt.advanced(()))


def test_a_hundred_registrants_are_all_evicted():
    san = San("ab")
    take(san, "b", B)
    [wwid] = san.units
    unit = san.units[wwid]
    strangers = tuple((f"x{number}", D << 8 | number) for number in range(100))
    san.units[wwid] = evolve(unit, registrations=unit.registrations + strangers)

    result = take(san, "a", A, B)

    assert result.outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}
    assert len(result.evicted[0].keys) == 101


def test_an_array_that_cannot_abort_is_told_with_the_eviction():
    san = San("ab")
    take(san, "b", B)
    disk = evolve(san.disks("a")[0], quirks=Quirks(abort=False))

    result = run(san, "a", acquire([disk], A, authority=frozenset({B})))

    assert result.outcome is Outcome.HELD
    assert any("may still land" in str(note) for note in result.notes)


def test_a_read_only_disk_is_left_alone_and_another_one_decides():
    """A replica on the passive side, say: its reservation could not be dropped."""
    san = San("a", disks=2)
    first, second = san.disks("a")

    result = run(san, "a", acquire([evolve(first, readonly=True), second], A))

    assert result.outcome is Outcome.HELD
    assert result.standings == ((first.wwid, Standing.EXEMPT), (second.wwid, Standing.HELD))
    assert keys(san, 0) == {}
    assert "read-only" in str(result.notes[0])


def test_only_read_only_disks_ask_for_nothing():
    san = San("a")
    disk = evolve(san.disks("a")[0], readonly=True)

    result = acquire([disk], A).result
    assert result.outcome is Outcome.HELD
    assert result.was_held  # nothing of it is to be rolled back
    assert asked(san) == []


# --- under a running guest ---


def test_a_start_under_a_running_guest_registers_nothing_where_nothing_is_missing():
    san = San("a", disks=2)
    take(san, "a", A)
    asked(san)

    assert take(san, "a", A, in_use=True).outcome is Outcome.HELD
    assert asked(san) == [
        *("read a1d0", "read a1d1"),
        *("confirm a1d0", "confirm a2d0", "read a1d0"),
        *("confirm a1d1", "confirm a2d1", "read a1d1"),
    ]


def test_a_path_without_a_registration_is_found_where_the_count_is_right():
    """A session came back with another ISID: its old registration is counted, and the path has none."""
    san = San("a", paths=3)
    reserve(san, "/dev/a1d0", A)
    register(san, "/dev/a3d0", A)
    disk = evolve(san.disks("a")[0], paths=("/dev/a1d0", "/dev/a2d0"))

    result = run(san, "a", acquire([disk], A, in_use=True))

    assert result.outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A, "a3": A}
    words = asked(san)
    assert words == [
        *("read a1d0", "confirm a1d0", "confirm a2d0"),
        *("read a1d0", "register a2d0", "read a1d0"),
    ]


def test_a_start_under_a_running_guest_registers_a_path_that_is_missing():
    san = San("a", disks=2)
    take(san, "a", A)
    san.ask("/dev/a2d1", Request(Action.REGISTER, key=A))

    assert take(san, "a", A, in_use=True).outcome is Outcome.HELD
    assert keys(san, 1) == {"a1": A, "a2": A}


def test_a_guest_does_not_get_back_what_was_taken_over_while_it_was_started_again():
    """An attention that was overridden would let it write beside the new owner's guest."""
    san = San("ab")
    take(san, "a", A)
    san.ask("/dev/a2d0", Request(Action.REGISTER, key=A))
    attempt = step(san, "a", acquire(san.disks("a"), A, in_use=True))
    assert take(san, "b", B, A).outcome is Outcome.HELD
    asked(san)

    assert run(san, "a", attempt).outcome is Outcome.LOST

    assert not any(word.startswith("register") for word in asked(san))
    assert keys(san) == {"b1": B, "b2": B}


def test_an_attention_with_another_cause_costs_a_start_under_a_running_guest_one_more_look():
    san = San("a")
    take(san, "a", A)
    san.ask("/dev/a2d0", Request(Action.REGISTER, key=A))
    san.give("/dev/a2d0", Fault.ATTENTION)

    assert take(san, "a", A, in_use=True).outcome is Outcome.HELD
    assert keys(san) == {"a1": A, "a2": A}


def test_what_was_held_before_and_what_was_taken_are_told_apart():
    san = San("a", disks=2)
    run(san, "a", acquire(san.disks("a")[:1], A))

    assert not take(san, "a", A).was_held
    assert take(san, "a", A).was_held


def test_under_a_guest_that_runs_nothing_is_taken_from_another_holder_named_or_not():
    # Found by a random walk: A's guest went on running while B took over, and A, started again against B, registered.
    san = San("ab")
    assert take(san, "b", B).outcome is Outcome.HELD
    refused = run(san, "a", acquire(san.disks("a"), A, authority=frozenset({B}), in_use=True, spares_holder=True))
    assert refused.outcome is Outcome.REFUSED
    assert all(A not in keys(san, disk).values() for disk in range(len(san.units)))


def test_under_a_guest_that_runs_a_disk_without_our_keys_is_refused_before_anything_is_written():
    san = San("ab", disks=2)
    assert take(san, "a", A).outcome is Outcome.HELD
    second = san.disks("b")[1]
    run(san, "b", acquire([second], B, authority=frozenset({A})))
    run(san, "b", release([second], B))  # it has left no trace
    asked(san)

    refused = run(san, "a", acquire(san.disks("a"), A, in_use=True, spares_holder=True))

    assert refused.outcome is Outcome.REFUSED
    assert dict(refused.standings)[second.wwid] is Standing.KEYLESS
    assert "keys are lost under what may be writing: not reserved" in str(refused.reasons)
    assert not [request for request in asked(san) if not request.startswith("read")]


def test_keys_that_are_lost_between_two_looks_are_not_given_back_to_a_guest_that_runs():
    # Found by the checker: between the look and the registration of what was missing, B had the disk, and left.
    san = San("ab", paths=1)
    assert take(san, "a", A).outcome is Outcome.HELD
    attempt = step(san, "a", acquire(san.disks("a"), A, in_use=True, spares_holder=True))
    take(san, "b", B, A)
    run(san, "b", release(san.disks("b"), B))

    lost = run(san, "a", attempt)

    assert lost.outcome is Outcome.LOST
    assert "removed meanwhile" in str(lost.reasons[0])
    assert keys(san) == {}


def test_under_a_guest_that_runs_a_named_registrant_is_evicted_beside_the_holder():
    san = San("ab")
    assert take(san, "a", A).outcome is Outcome.HELD
    register(san, "/dev/b1d0", B)
    assert take(san, "a", A, in_use=True).outcome is Outcome.REFUSED
    held = run(san, "a", acquire(san.disks("a"), A, authority=frozenset({B}), in_use=True, spares_holder=True))
    assert held.outcome is Outcome.HELD
    assert B not in keys(san).values()
