from __future__ import annotations

import pytest

from vmsvc.core.lazily import Lazily


@pytest.fixture
def asked():
    return []


@pytest.fixture
def lengths(asked):
    """The lengths of words; only of those of a list."""

    def find(word):
        asked.append(word)
        return {"one": 3, "three": 5}[word]

    return Lazily(find, lambda: asked.append("all") or ["one", "three"])


def test_each_key_is_found_out_once_and_so_is_that_there_is_none(lengths, asked):
    assert asked == []
    assert [lengths["one"], lengths.get("one"), "one" in lengths] == [3, 3, True]
    assert [lengths.get("two"), "two" in lengths] == [None, False]
    with pytest.raises(KeyError, match="two"):
        lengths["two"]
    assert asked == ["one", "two"]


def test_all_keys_are_asked_for_where_it_is_gone_through(lengths, asked):
    assert dict(lengths) == {"one": 3, "three": 5}
    assert len(lengths) == 2
    assert asked[0] == "all"
