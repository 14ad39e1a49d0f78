"""What a service's statuses on its nodes come to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.instance import over_nodes
from vmsvc.core.status import Status

WORDS = st.lists(st.sampled_from(Status), max_size=6)


@given(st.data())
def test_the_order_of_nodes_never_shows(data):
    words = data.draw(WORDS)
    assert over_nodes(words) is over_nodes(data.draw(st.permutations(words)))


@given(st.sampled_from(Status))
def test_one_node_speaks_for_itself(word):
    assert over_nodes([word]) is word


@given(WORDS)
def test_up_is_up_on_exactly_one_node_with_nothing_odd_elsewhere(words):
    plain = {Status.UNKNOWN, Status.WARN}.isdisjoint(words)
    assert (over_nodes(words) is Status.UP) == (plain and words.count(Status.UP) == 1)


@given(WORDS)
def test_down_means_that_nobody_is_up_and_everybody_is_known(words):
    if over_nodes(words) is Status.DOWN:
        assert set(words) <= {Status.DOWN, Status.NA}


@given(WORDS)
def test_unknown_is_never_hidden(words):
    assert (over_nodes(words) is Status.UNKNOWN) == (Status.UNKNOWN in words)


@given(WORDS)
def test_nodes_that_have_nothing_to_say_change_nothing(words):
    assert over_nodes([*words, Status.NA]) is over_nodes(words)
