"""What an action is limited to: words of an operator, and the resources that they mean."""

from __future__ import annotations

import pytest

from tests.support import guest, resource, service
from vmsvc.core.errors import UsageError
from vmsvc.core.limits import Limits

WEB = service(resource("vmdg"), guest(1), guest(2), resource("app#1"))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((), set()),
        (("container#1",), {"container#1"}),
        (("container",), {"container#1", "container#2"}),
        (("vmdg", "app", "container#2"), {"vmdg", "app#1", "container#2"}),
    ],
)
def test_a_word_is_a_rid_or_a_kind(words, meant):
    assert Limits(rids=words).rids_of(WEB) == meant


@pytest.mark.parametrize("word", ["container#7", "ip", "", "contain"])
def test_a_word_that_means_nothing_is_refused_and_told_what_there_is(word):
    with pytest.raises(UsageError, match=f"web has no resource {word}") as error:
        Limits(rids=("container#1", word)).rids_of(WEB)
    assert error.value.exit_code == 2
    assert error.value.hint == "it has: vmdg, container#1, container#2, app#1"
