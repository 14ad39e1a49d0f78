"""Records that cannot be made wrongly."""

import pytest

from vmsvc.core.vmdg.seen import Act, Operation

LARGEST = 0xFFFF_FFFF_FFFF_FFFF


@pytest.mark.parametrize("key", [0, -1, LARGEST + 1, "0xa1"])
def test_an_operation_without_a_key_of_64_bits_cannot_be_made_since_tools_would_take_it_for_another(key):
    with pytest.raises((ValueError, TypeError)):
        Operation(act=Act.REGISTER, path="/dev/sda", key=key)


@pytest.mark.parametrize("victim", [0, -1, LARGEST + 1])
def test_a_preemption_of_key_0_cannot_be_made_since_it_may_remove_every_key(victim):
    with pytest.raises(ValueError):
        Operation(act=Act.PREEMPT, path="/dev/sda", key=1, victim=victim)


def test_the_largest_key_is_one():
    assert Operation(act=Act.PREEMPT, path="/dev/sda", key=LARGEST, victim=LARGEST).victim == LARGEST
