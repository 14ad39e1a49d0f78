"""No two nodes run a guest: every interleaving of starts, restarts and moves, with what may go wrong.

And each part of what is done is needed; what cannot be prevented is known.
"""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.model.starts import ONE, RACE, Protocol, Scenario, Starts
from vmsvc.core.peers import answers

NO_TROUBLE = Scenario(name="two starts")
FULL = Scenario(name="one that cannot write its note", full="a")
HANGS = Scenario(name="one that hangs, and an operator who is careful", hangs=2, cuts=1, words="b")
CUT = Scenario(name="a network that is cut", cuts=2)
START, RESTART, MOVE = ("start",), ("restart",), ("move",)
OUTSIDE = Scenario(
    name="a restart while it is moved by the hypervisor's own tool", todo=(RESTART, START), up="a", outside=1
)
SCENARIOS = [
    NO_TROUBLE,
    FULL,
    HANGS,
    CUT,
    Scenario(name="kills", kills=2, cuts=1),
    Scenario(name="power cuts, and an operator who is careful", power_cuts=2, cuts=1, words="b"),
    Scenario(name="everything once", kills=1, power_cuts=1, hangs=1, cuts=1, words="b"),
    Scenario(name="a move beside a start", todo=(("move",), ("start",)), up="a"),
    Scenario(name="a move to the node that is listed first", todo=(("start",), ("move",)), up="b"),
    Scenario(
        name="there and back, by commands that are killed", todo=(("move", "start"),) * 2, up="a", kills=1, cuts=1
    ),
    Scenario(name="a move, and everything once", todo=(MOVE, START), up="a", kills=1, power_cuts=1, hangs=1, cuts=1),
    Scenario(name="starts beside a move of the hypervisor's own", up="a", outside=1, kills=1, hangs=1, cuts=1),
    Scenario(name="a restart beside a start", todo=(RESTART, START), up="a", kills=1, power_cuts=1),
    Scenario(name="a restart on the node that is listed last", todo=(START, RESTART), up="b", kills=1, power_cuts=1),
    OUTSIDE,
    evolve(OUTSIDE, name="a restart, where what was moved looks stopped", tells_moved=False),
    Scenario(
        name="a restart while a move goes on whose command was killed",
        todo=(("move", *RESTART), START),
        up="a",
        kills=1,
    ),
]


def violated(scenario, protocol=None):
    found = Starts(scenario, protocol).explored()
    assert found.is_complete
    return {law: "\n".join(map(str, way)) for law, way in found.violations.items()}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_no_two_nodes_run_it(scenario, figure):
    found = Starts(scenario).explored()
    figure(scenario, found)
    assert found.is_complete
    assert found.violations == {}


@pytest.mark.parametrize(
    ("law", "scenario", "wrong"),
    [
        (ONE, NO_TROUBLE, {"notes_before_it_asks": False}),
        (ONE, NO_TROUBLE, {"hears_before_it_looks": False}),
        (ONE, FULL, {"needs_its_note": False}),
        (ONE, HANGS, {"asks_again": False}),
        (RACE, NO_TROUBLE, {"waits_as_first": False}),
        (ONE, OUTSIDE, {"asks_after_its_stop": False}),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else None,
)
def test_what_is_done_around_an_answer_is_needed_as_it_is(law, scenario, wrong):
    assert set(violated(scenario, Protocol(**wrong))) == {law}


@pytest.mark.parametrize(
    ("scenario", "name", "replacement"),
    [
        (NO_TROUBLE, "PeerAnswer.may_be_starting", property(lambda _: False)),
        (CUT, "_doubts", lambda *_: iter(())),
        (NO_TROUBLE, "ROOM", frozenset(answers.Phase)),
    ],
    ids=["who acts there is not heard", "silence is taken for down", "what runs there is taken for down"],
)
def test_what_an_answer_means_is_needed_as_it_is(scenario, name, replacement, monkeypatch):
    owner = answers.PeerAnswer if "." in name else answers
    monkeypatch.setattr(owner, name.rpartition(".")[2], replacement)
    assert ONE in violated(scenario)


def test_a_node_that_hangs_at_the_last_moment_must_be_switched_off_before_it_is_named():
    """What cannot be prevented, and the documentation says so (several-nodes.md, "A node that is gone")."""
    way = violated(Scenario(name="a word too early", hangs=1, words="b", is_careful=False))
    assert set(way) == {ONE}
    assert "hangs" in way[ONE]


def test_a_node_that_is_named_must_stay_off_until_the_start_that_names_it_has_ended():
    """Alike."""
    way = violated(Scenario(name="it comes back meanwhile", power_cuts=1, cuts=1, words="b", is_careful=False))
    assert set(way) == {ONE}
    assert "loses its power" in way[ONE]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (
            Scenario(name="a start, and a network that is cut", todo=(RESTART, START), up="a", cuts=1),
            "the network is cut",
        ),
        (Scenario(name="a start on a node that hangs", todo=(RESTART, START), up="a", hangs=1), "hangs"),
        (evolve(OUTSIDE, name="a move that cannot be told from a stop", cuts=1, tells_moved=False), "has moved it"),
    ],
    ids=str,
)
def test_a_restart_that_forgives_silence_must_not_meet_what_it_could_have_heard_of(scenario, words):
    """Alike ("What is asked"): a node that is off must not keep a service from being restarted."""
    way = violated(scenario)
    assert set(way) == {ONE}
    assert words in way[ONE]
    assert "has no answer" in way[ONE]


def test_two_moves_that_nobody_holds_a_lock_for_must_not_come_within_one_start():
    """Alike (move-a-guest.md)."""
    assert set(violated(Scenario(name="there and back by its own tool", up="a", outside=2))) == {ONE}
