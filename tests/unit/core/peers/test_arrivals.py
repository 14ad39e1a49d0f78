"""What the destination of a migration says, and what follows from it."""

from __future__ import annotations

import threading

import pytest
from attrs import evolve

from tests.support import NODE, guest, seen, service
from vmsvc.core.errors import ActionFailed, Refused, Undetermined
from vmsvc.core.peers.answers import PeerAnswer
from vmsvc.core.peers.arrivals import Arrivals
from vmsvc.core.status import Phase

WEB = service(guest(name="web"), nodes=("n1", "n2"))
ME = {"container#1": ("fake", "web")}


def arrivals(answer, mode="TST", theirs=WEB, **settings):
    class Peers:
        def ask(self, verb, questions, *, meanwhile):
            assert (verb, questions) == ("guests", {"n2": ["web"]})
            meanwhile(("n2",))
            return {("n2", "web"): answer}

        def host_mode(self, peer, *, meanwhile):
            assert peer == "n2"
            if mode is None:
                raise Undetermined("the host mode of n2 is not known: it tells 'unknown'")
            return mode

    return Arrivals(WEB, NODE, "n2", theirs, Peers, **settings)


def answer(phase=Phase.STOPPED, **more):
    return PeerAnswer(node="n2", seen={"container#1": seen(phase)}, guests=ME, **more)


def codes(found):
    return [each.code for each in found.expected()[1]]


def test_what_is_seen_there_is_told_and_silence_is_unknown():
    assert arrivals(answer(Phase.RUNNING)).expected()[0]["container#1"].phase is Phase.RUNNING
    assert arrivals(answer(Phase.MOVED)).look(WEB.guests[0]).phase is Phase.MOVED
    silent = arrivals(PeerAnswer(node="n2", error="no route")).look(WEB.guests[0])
    assert (silent.phase, silent.evidence.detail) == (Phase.UNKNOWN, "no route")
    other = arrivals(
        PeerAnswer(node="n2", seen={"container#1": seen(Phase.STOPPED)}, guests={"container#1": ("fake", "db")})
    )
    assert other.look(WEB.guests[0]).phase is Phase.UNKNOWN


def test_what_acts_there_or_is_frozen_there_speaks_against_it():
    assert codes(arrivals(answer(lists=("n1", "n2")))) == []
    assert codes(arrivals(answer(going_on="start by pid 1"))) == ["refused.peer-acts"]
    assert codes(arrivals(answer(going_on="stop by pid 1"))) == []
    assert codes(arrivals(answer(is_frozen=True))) == ["refused.frozen"]
    assert codes(arrivals(answer(is_frozen=True), despite_frozen=True)) == []
    assert codes(arrivals(answer(lists=("n2",)))) == ["refused.not-named"]


def test_a_move_is_no_way_around_the_host_mode_that_a_start_there_obeys():
    here, there = {"lists": ("n1", "n2")}, evolve(WEB, env="DEV")
    assert codes(arrivals(answer(**here), mode="PRD")) == []
    assert codes(arrivals(answer(**here), mode="DEV", theirs=there)) == []
    assert codes(arrivals(answer(**here), mode="PRD", theirs=there)) == ["refused.host-mode"]
    assert codes(arrivals(answer(**here), mode=None)) == ["refused.host-mode"]
    with pytest.raises(Refused, match="web is a DEV service and n2 is a PRD node"):
        arrivals(answer(**here), mode="PRD", theirs=there).confirm("container#1")


def test_a_node_that_is_silent_is_not_asked_for_its_host_mode():
    assert codes(arrivals(PeerAnswer(node="n2", error="no route"), mode=None)) == []


@pytest.mark.parametrize("phase", list(Phase))
def test_just_before_a_guest_comes_there_must_be_room_for_it(phase):
    asked = arrivals(answer(phase))
    if phase in (Phase.STOPPED, Phase.ABSENT, Phase.MOVED):
        asked.confirm("container#1")
    else:
        with pytest.raises(Refused, match="things have changed: ") as error:
            asked.confirm("container#1")
        is_silent = phase in (Phase.UNKNOWN, Phase.INAPPLICABLE)
        assert error.value.code == ("refused.peer-silent" if is_silent else "refused.runs-on-peer")
    with pytest.raises(Refused, match="an action is going on at n2"):
        arrivals(answer(going_on="restart by pid 1")).confirm("container#1")


def test_an_interrupt_is_heard_before_it_comes_and_not_when_it_has():
    cancelled = threading.Event()
    cancelled.set()
    asked = arrivals(answer(), cancelled=cancelled)
    with pytest.raises(ActionFailed, match="interrupted while it waited for an answer of n2"):
        asked.confirm("container#1")
    assert asked.look(WEB.guests[0]).phase is Phase.STOPPED
