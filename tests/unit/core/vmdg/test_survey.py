"""A look at all paths: one request each, a few more where a path has something else to say first."""

from __future__ import annotations

from attrs import evolve

from tests.unit.core.vmdg.drive import asked, run
from vmsvc.core.vmdg.seen import Answer
from vmsvc.core.vmdg.survey import LOOKS_AGAIN, survey
from vmsvc.testing import Action, Fault, Request, San


def test_every_path_is_read_once():
    san = San("a", disks=2)

    readings = run(san, "a", survey(san.disks("a")))

    assert asked(san) == ["read a1d0", "read a2d0", "read a1d1", "read a2d1"]
    assert [[reading.path for reading in disk] for disk in readings] == [
        ["/dev/a1d0", "/dev/a2d0"],
        ["/dev/a1d1", "/dev/a2d1"],
    ]


def test_an_attention_is_asked_again_on_its_path_alone():
    san = San("a")
    san.give("/dev/a2d0", Fault.ATTENTION)

    [readings] = run(san, "a", survey(san.disks("a")))

    assert asked(san) == ["read a1d0", "read a2d0", "read a2d0"]
    assert [reading.answer for reading in readings] == [Answer.DONE, Answer.DONE]


def test_an_attention_that_never_ends_is_the_answer():
    san = San("a", paths=1)
    for _ in range(100):
        san.give("/dev/a1d0", Fault.ATTENTION)

    [[reading]] = run(san, "a", survey(san.disks("a")))

    assert reading.answer is Answer.ATTENTION
    assert len(san.asked) < 10


def reserved_by_b(san):
    for path in ("/dev/b1d0", "/dev/b2d0"):
        san.ask(path, Request(Action.REGISTER_AND_IGNORE, action_key=0xB))
    san.ask("/dev/b1d0", Request(Action.RESERVE, key=0xB, type=5))


def test_a_disk_that_changes_between_two_paths_is_read_anew():
    """Else the loser of a race would not know whose the disk is, though everybody can see it."""
    san = San("ab", disks=2)
    san.before = lambda asked: reserved_by_b(san) if asked.path == "/dev/a2d0" and len(san.asked) == 1 else None

    [first, _] = run(san, "a", survey(san.disks("a")))

    assert asked(san) == ["read a1d0", "read a2d0", "read a1d1", "read a2d1", "read a1d0", "read a2d0"]
    assert [reading.keys for reading in first] == [(0xB, 0xB)] * 2


def test_paths_that_lead_to_different_disks_are_not_read_for_ever():
    san = San("ab", disks=2)
    reserved_by_b(san)
    one, other = san.disks("a")
    mixed = evolve(one, paths=(one.paths[0], other.paths[0]))

    [readings] = run(san, "a", survey([mixed]))

    assert [len(reading.keys) for reading in readings] == [2, 0]
    assert len(san.asked) == 2 * (1 + LOOKS_AGAIN)


def test_a_survey_that_is_given_up_has_what_it_has():
    san = San("a")

    assert survey(san.disks("a")).given_up("late").result == ((),)


def test_a_survey_of_nothing_is_over():
    assert survey([]).result == ()


def test_a_look_has_nothing_to_take_back():
    san = San("a")
    assert not survey(san.disks("a")).takes_back
