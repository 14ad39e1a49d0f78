"""The laws of exclusive disks, each for itself: what every one of them allows, and what it does not."""

from __future__ import annotations

import pytest

from vmsvc.core.vmdg import laws
from vmsvc.core.vmdg.keys import key_text, new_key
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Answer, Reading, Registration, Reservation, ScsiDisk

US, THEM, OTHER = 0xA, 0xB, 0xC
DISK = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"))


def shown(*keys: int, by: int = 0, type: int = 5, **more) -> Reading:
    """What a live path shows."""
    return Reading(
        path="/p",
        answer=Answer.DONE,
        registrations=tuple(Registration(key=key) for key in keys),
        reservation=Reservation(key=by, type=type) if by or type in (7, 8) else None,
        **more,
    )


def test_keys_that_begin_alike_are_different_keys():
    """Compared as text, 0x1 is in 0x12."""
    assert laws.own_count(shown(0x12, 0x123), 0x1) == 0
    assert laws.foreign_keys(shown(0x12, 0x1), 0x1) == {0x12}


def test_the_largest_key_is_a_key():
    assert laws.is_won(shown(2**64 - 1, by=2**64 - 1), 2**64 - 1)


def test_key_0_is_nobody():
    assert laws.holder_of(shown(THEM, type=7)) is None
    assert laws.holder_of(shown(THEM, by=THEM, type=8)) is None  # whatever a target shows there
    assert laws.foreign_keys(shown(0, US), US) == set()


def test_i3_authority_names_the_holder():
    assert laws.is_authorised(shown(), US, frozenset())
    assert laws.is_authorised(shown(US, US, by=US), US, frozenset())
    assert not laws.is_authorised(shown(THEM, by=THEM), US, frozenset())
    assert laws.is_authorised(shown(THEM, OTHER, by=THEM), US, frozenset({THEM}))
    assert not laws.is_authorised(shown(THEM, OTHER, by=THEM), US, frozenset({OTHER}))
    assert not laws.is_authorised(shown(THEM, OTHER, type=7), US, frozenset({OTHER}))
    assert not laws.is_authorised(shown(US, OTHER, by=US), US, frozenset({THEM}))


def test_i5_nobody_is_evicted_who_was_not_read():
    first, racer = shown(THEM, by=THEM), shown(US, OTHER, by=US)

    assert not laws.may_evict(THEM, shown(US, by=US), first, US, frozenset({THEM}))
    assert not laws.may_evict(0, shown(0, by=US), first, US, frozenset({0}))
    assert not laws.may_evict(US, racer, first, US, frozenset({US}))
    assert laws.may_evict(THEM, first, first, US, frozenset())
    assert laws.may_evict(OTHER, racer, first, US, frozenset())
    assert not laws.may_evict(OTHER, shown(US, OTHER), first, US, frozenset())
    assert laws.may_evict(OTHER, shown(US, OTHER), first, US, frozenset({OTHER}))


def test_i5_our_own_key_is_dropped_only_where_it_was_read_more_often_than_by_paths_that_can_have_it():
    assert not laws.is_crowded(shown(), US, DISK)
    assert not laws.is_crowded(shown(THEM, by=US), US, DISK, ("/p", "/q"))
    assert not laws.is_crowded(shown(US, US, by=US), US, DISK)
    assert laws.is_crowded(shown(US, US, US, by=US), US, DISK)
    assert laws.is_crowded(shown(US, US, by=US), US, DISK, ("/q",))


def test_i6_what_is_not_alive_is_not_believed():
    assert laws.is_credible(shown(), has_counted=False)
    assert not laws.is_credible(Reading(path="/p", answer=Answer.SILENT), has_counted=False)
    assert not laws.is_credible(shown(0, US), has_counted=False)
    assert not laws.is_credible(shown(), has_counted=True)
    assert laws.is_credible(shown(generation=7), has_counted=True)
    assert laws.is_credible(shown(US), has_counted=True)


def test_i11_success_is_ours_alone_through_every_path_that_said_so():
    assert laws.is_ours(shown(US, US, by=US), shown(), US, DISK, ("/p", "/q"))
    assert not laws.is_ours(shown(US, by=US), shown(), US, DISK, ("/p", "/q"))
    assert not laws.is_ours(shown(by=US), shown(), US, DISK, ())
    assert not laws.is_ours(shown(US, US, THEM, by=US), shown(), US, DISK, ("/p", "/q"))
    assert not laws.is_ours(shown(US, US, by=US, type=6), shown(), US, DISK, ("/p", "/q"))
    assert not laws.is_ours(shown(US, US), shown(), US, DISK, ("/p", "/q"))


def test_i11_what_was_registered_before_is_no_path_of_ours_unless_one_said_so():
    before = shown(US, US, by=US)

    assert not laws.is_ours(before, before, US, DISK, ())
    assert laws.is_ours(before, before, US, DISK, ("/p",))
    assert laws.is_ours(shown(US, US, US, by=US), before, US, DISK, ())


def test_i11_released_is_without_a_registration_and_without_a_reservation_of_ours():
    assert laws.is_gone(shown(THEM, by=THEM), US)
    assert not laws.is_gone(shown(US), US)
    assert not laws.is_gone(shown(by=US), US)


@pytest.mark.parametrize(
    ("first", "last", "in_use", "expected"),
    [
        (shown(), shown(US, by=US), False, True),
        (shown(US), shown(US), False, True),
        (shown(US), shown(US), True, False),
        (shown(US, by=US), None, False, False),
        (shown(US, by=US), shown(US, by=US), False, False),
        (shown(US, by=US), shown(US, THEM, by=THEM), False, True),
        (shown(US, THEM, by=THEM), shown(US, THEM, by=THEM), True, False),
        (shown(US, THEM, by=THEM), shown(US, OTHER, by=OTHER), True, True),
    ],
)
def test_i4_what_is_taken_back(first, last, in_use, expected):
    assert laws.must_give_up(first, last, US, in_use=in_use) is expected


def test_initiators_that_are_not_known_count_as_paths():
    disk = ScsiDisk(name="d", wwid="w", paths=("/p", "/q"), quirks=Quirks(per_initiator=True))

    assert laws.registrations_of(disk, disk.paths) == 2


def test_a_new_key_begins_with_a_digit():
    """Tools drop leading zeros."""
    assert all(key_text(new_key())[2] != "0" for _ in range(100))
