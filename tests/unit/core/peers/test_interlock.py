"""A start is kept from guests that may run elsewhere: by what peers say, and for as long as that is not old."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support import NODE, guest, seen, service
from vmsvc.core.errors import ActionFailed, Refused
from vmsvc.core.peers.answers import PeerAnswer
from vmsvc.core.peers.interlock import BELIEVED_S, Interlock
from vmsvc.core.status import Phase

WEB = service(guest(), nodes=("n1", "n2"))
RID = "container#1"
GUEST = WEB.resource(RID)
START = "start by pid 1 since 21:03:12"


class Stage:
    """Peers that say what they are told to, and a clock that is set by hand."""

    def __init__(self, *, web=WEB, **options):
        self.now = 0.0
        self.phase = Phase.STOPPED
        self.going_on = []
        self.error = ""
        self.lists = ("n1", "n2")
        self.asked = 0
        self.takes_s = 0.0
        self.waited_for = []
        self.cancelled = threading.Event()
        self.interlock = Interlock(
            web,
            NODE,
            lambda: self,
            waiting=self.waited_for.append,
            cancelled=self.cancelled,
            now=lambda: self.now,
            **options,
        )

    def ask(self, verb, questions, *, meanwhile):
        self.asked += 1
        end = time.monotonic() + self.takes_s
        while time.monotonic() < end:
            meanwhile(list(questions))
            time.sleep(0.02)
        return {
            (peer, name): PeerAnswer(node=peer, error=self.error)
            if self.error
            else PeerAnswer(
                node=peer,
                seen={RID: seen(self.phase)},
                guests={RID: (GUEST.type, GUEST.name)},
                going_on=self.going_on.pop(0) if self.going_on else "",
                lists=self.lists,
            )
            for peer, names in questions.items()
            for name in names
        }

    def codes(self, here=Phase.STOPPED):
        return [problem.code for problem in self.interlock.objections({RID: seen(here)})]

    def confirm(self, here=Phase.STOPPED):
        self.interlock.confirm(RID, seen(here))

    def refusal(self, here=Phase.STOPPED):
        with pytest.raises(Refused) as caught:
            self.confirm(here)
        return caught.value.code


def test_what_peers_have_said_is_believed_for_half_a_minute_and_asked_again_then():
    stage = Stage()
    assert stage.codes() == []
    stage.phase, stage.now = Phase.RUNNING, BELIEVED_S
    stage.confirm()
    assert stage.asked == 1
    stage.now = BELIEVED_S + 0.1
    assert (stage.refusal(), stage.asked) == ("refused.runs-on-peer", 2)


def test_answers_count_from_when_they_were_asked_for():
    stage = Stage(web=service(guest(), nodes=("n1", "n2")))
    stage.takes_s = 0.2
    ask, stage.ask = stage.ask, lambda *words, **options: (setattr(stage, "now", 100.0), ask(*words, **options))[1]
    assert stage.codes() == []
    stage.now = BELIEVED_S + 0.1
    stage.confirm()
    assert stage.asked == 2


def test_asking_again_is_believed_again():
    stage = Stage()
    assert stage.codes() == []
    for at in (31.0, 60.0, 61.0):
        stage.now = at
        stage.confirm()
    assert stage.asked == 2


def test_a_peer_that_has_fallen_silent_since_keeps_a_start_down_unless_it_is_named_or_disks_are_reserved():
    for options, is_refused in (({}, True), ({"despite": {"n2"}}, False), ({"are_exclusive": lambda _: True}, False)):
        stage = Stage(**options)
        assert stage.codes() == []
        stage.error, stage.now = "it is off", 31.0
        if is_refused:
            assert stage.refusal() == "refused.peer-silent"
        else:
            stage.confirm()


def test_a_restart_asks_however_short_ago_it_found_its_guest_here():
    # It may have been moved meanwhile, by a command that was killed or by the hypervisor's own tool.
    stage = Stage()
    stage.phase = Phase.RUNNING
    assert (stage.refusal(), stage.asked) == ("refused.runs-on-peer", 1)


def test_a_guest_that_a_restart_found_here_needs_no_word_of_silent_nodes_unless_it_was_moved():
    stage = Stage()
    stage.error = "it is off"
    stage.confirm()
    assert stage.asked == 1
    stage.now = BELIEVED_S + 0.1  # the second half of its start
    stage.confirm()
    assert stage.asked == 2
    stage = Stage()
    stage.error = "it is off"
    assert stage.refusal(here=Phase.MOVED) == "refused.peer-silent"


def test_what_speaks_against_a_restart_is_heard_before_the_guest_is_stopped_and_asked_again_afterwards():
    stage = Stage()

    def heard():
        return [problem.code for problem in stage.interlock.objections({RID: seen(Phase.RUNNING)})]

    assert heard() == []
    stage.phase, stage.now = Phase.RUNNING, 1.0  # it was moved there while it was stopped here
    assert stage.refusal() == "refused.runs-on-peer"
    assert heard() == ["refused.runs-on-peer"]
    stage = Stage(web=service(guest(), nodes=("n2", "n1")))
    stage.going_on = [START]
    assert heard() == ["refused.peer-acts"]
    stage.error = "it is off"
    assert heard() == []


@pytest.mark.parametrize(
    ("here", "there", "is_refused"),
    [
        (Phase.MOVED, Phase.ABSENT, True),
        (Phase.MOVED, Phase.MOVED, True),
        (Phase.ABSENT, Phase.MOVED, True),  # as a start would define it
        (Phase.MOVED, Phase.STOPPED, False),  # it has come there, and was stopped
        (Phase.STOPPED, Phase.MOVED, False),
        (Phase.STOPPED, Phase.ABSENT, False),
        (Phase.ABSENT, Phase.ABSENT, False),
    ],
)
def test_what_was_moved_to_where_nobody_sees_it_is_not_started_a_second_time(here, there, is_refused):
    stage = Stage()
    stage.phase = there
    assert stage.codes(here) == (["refused.moved-away"] if is_refused else [])
    for options in ({"despite_moved": {RID}}, {"are_exclusive": lambda _: True}):
        stage = Stage(**options)
        stage.phase = there
        assert stage.codes(here) == (["note.moved-away"] if is_refused else [])
        stage.confirm(here)


def test_what_was_moved_away_is_not_started_again_where_there_is_nobody_to_ask():
    stage = Stage(web=service(guest(), nodes=("n1",)))
    assert stage.codes(Phase.MOVED) == ["refused.moved-away"]
    assert stage.asked == 0
    stage = Stage(web=service(guest(), nodes=("n1",)))
    assert stage.refusal(Phase.MOVED) == "refused.moved-away"
    stage.confirm(Phase.STOPPED)


def test_a_silent_node_is_none_that_has_what_was_moved_away_whatever_else_is_said_of_it():
    stage = Stage()
    stage.error = "it is off"
    assert stage.codes(Phase.MOVED) == ["refused.peer-silent", "refused.moved-away"]
    stage = Stage(despite={"n2"})
    stage.error = "it is off"
    assert stage.codes(Phase.MOVED) == ["note.peer-silent", "refused.moved-away"]


def test_the_node_that_is_listed_first_waits_for_the_other_to_give_up():
    stage = Stage()
    stage.going_on = [START, START]
    assert (stage.codes(), stage.asked) == ([], 3)
    assert stage.waited_for == [f"{START} on n2"] * 2
    stage = Stage(web=service(guest(), nodes=("n2", "n1")))
    stage.going_on = [START]
    assert (stage.codes(), stage.asked) == (["refused.peer-acts"], 1)


def test_a_peer_whose_file_does_not_name_this_node_is_told_and_keeps_nothing_down():
    stage = Stage()
    stage.lists = ("n2",)
    (warning,) = stage.interlock.objections({RID: seen(Phase.STOPPED)})
    assert (warning.code, warning.severity.value) == ("warning.not-named", "warning")
    assert "n2's file of web does not name n1" in warning.message
    for lists in (("n2", "N1"), None):
        stage.lists = lists
        assert stage.codes() == []


def test_who_is_waited_for_is_told_once_and_only_where_it_takes_long():
    stage = Stage()
    assert stage.codes() == []
    assert stage.waited_for == []
    stage.takes_s = 1.3
    assert stage.codes() == []
    assert stage.waited_for == ["an answer of n2"]


@pytest.mark.parametrize("is_going_on", [False, True])
def test_an_interrupt_is_heard_while_peers_are_waited_for(is_going_on):
    stage = Stage()
    stage.takes_s, stage.going_on = (0.0, [START] * 100) if is_going_on else (30.0, [])
    threading.Timer(0.2, stage.cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="interrupted while it waited for an answer of n2") as caught:
        stage.interlock.objections({RID: seen(Phase.STOPPED)})
    assert caught.value.code == "action.interrupted"
    assert time.monotonic() - began < 5
