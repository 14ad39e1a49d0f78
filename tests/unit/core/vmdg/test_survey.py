"""A look at all paths: one request each, a few more where a path has something else to say first."""

from __future__ import annotations

from tests.unit.core.vmdg.drive import asked, run
from vmsvc.core.vmdg.seen import Answer
from vmsvc.core.vmdg.survey import survey
from vmsvc.testing import Fault, San


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


def test_a_survey_that_is_given_up_has_what_it_has():
    san = San("a")

    assert survey(san.disks("a")).given_up("late").result == ((),)


def test_a_survey_of_nothing_is_over():
    assert survey([]).result == ()


def test_a_look_has_nothing_to_take_back():
    san = San("a")
    assert not survey(san.disks("a")).takes_back
