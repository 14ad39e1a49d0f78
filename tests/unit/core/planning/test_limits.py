"""What an action is limited to: words of an operator, and the resources that they mean."""

from __future__ import annotations

import pytest

from tests.support import guest, resource, service
from vmsvc.core.errors import UsageError
from vmsvc.core.planning.limits import Limits

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


TAGGED = service(
    guest(1, tags=("front", "web"), subset="early"),
    guest(2, tags=("web",), subset="late"),
    resource("app#1", tags=("front",)),
)


@pytest.mark.parametrize(
    ("limits", "meant"),
    [
        ({"tags": ("web",)}, {"container#1", "container#2"}),
        ({"tags": ("front", "web")}, {"container#1", "container#2", "app#1"}),
        ({"tags": ("front+web",)}, {"container#1"}),
        ({"subsets": ("late", "early")}, {"container#1", "container#2"}),
        ({"rids": ("container",), "tags": ("front",)}, {"container#1"}),
        ({"tags": ("web",), "subsets": ("late",)}, {"container#2"}),
    ],
)
def test_each_sort_of_words_narrows_what_the_others_leave(limits, meant):
    assert Limits(**limits).rids_of(TAGGED) == meant


@pytest.mark.parametrize(
    ("limits", "said", "hint"),
    [
        ({"tags": ("back",)}, "web has no resource of tag back", "its tags: front, web"),
        ({"tags": ("front", "web+back")}, "web has no resource of tag web+back", "its tags: front, web"),
        ({"subsets": ("l",)}, "web has no resource of subset l", "its subsets: early, late"),
        ({"subsets": ("",)}, "web has no resource of subset", "its subsets: early, late"),
        (
            {"rids": ("app#1",), "subsets": ("late",)},
            "no resource of web is all of this: --rid app#1 --subset late",
            "narrows",
        ),
    ],
)
def test_limits_that_leave_nothing_are_no_action_on_all(limits, said, hint):
    with pytest.raises(UsageError) as error:
        Limits(**limits).rids_of(TAGGED)
    assert said in error.value.message
    assert hint in error.value.hint
    assert error.value.code == "usage.no-such-resource"
