"""The SAN in memory: each node asks through its own paths, and each fault does what it is called."""

from __future__ import annotations

import time

import pytest

from vmsvc.core.vmdg.seen import Act, Answer, Operation
from vmsvc.testing import Fault, San
from vmsvc.testing.target import Action, Request

A, B = 0xA, 0xB


def do(san, act, path, key=A, victim=0):
    node = path.removeprefix("/dev/")[0]
    return san.tool(node).perform(san.disks(node)[0], Operation(act=act, path=path, key=key, victim=victim))


def read(san, path):
    node = path.removeprefix("/dev/")[0]
    return san.tool(node).read(san.disks(node)[0], path)


@pytest.fixture
def san():
    return San("ab", disks=2)


def test_disks_are_the_same_to_all_nodes_and_their_paths_are_not(san):
    ours, theirs = san.disks("a"), san.disks("b")
    assert [disk.wwid for disk in ours] == [disk.wwid for disk in theirs] == sorted(san.units)
    assert ours[1].paths == ("/dev/a1d1", "/dev/a2d1")
    assert theirs[1].paths == ("/dev/b1d1", "/dev/b2d1")


def test_a_node_takes_a_disk_and_another_one_reads_it(san):
    assert do(san, Act.REGISTER, "/dev/a1d0").answer is Answer.DONE
    assert do(san, Act.RESERVE, "/dev/a1d0").answer is Answer.DONE
    seen = read(san, "/dev/b2d0")
    assert seen.keys == (A,)
    assert seen.registrations[0].holds
    assert seen.registrations[0].nexus == "a1"
    assert (seen.reservation.key, seen.reservation.type) == (A, 5)
    first, second = san.units
    assert san.writers(first) == {"a"}
    assert san.writers(second) == {"a", "b"}


def test_a_target_without_full_status_tells_keys_only():
    san = San("ab", tells_full_status=False)
    do(san, Act.REGISTER, "/dev/a1d0")
    do(san, Act.RESERVE, "/dev/a1d0")
    [only] = read(san, "/dev/b1d0").registrations
    assert (only.key, only.holds, only.nexus) == (A, False, "")


def test_a_preemption_is_told_to_its_victim_once(san):
    do(san, Act.REGISTER, "/dev/a1d0")
    do(san, Act.REGISTER, "/dev/b1d0", B)
    assert do(san, Act.PREEMPT, "/dev/b1d0", B, A).answer is Answer.DONE
    told = read(san, "/dev/a1d0")
    assert (told.answer, told.detail) == (Answer.ATTENTION, "Registrations preempted")
    assert read(san, "/dev/a1d0").keys == (B,)


def test_confirm_gives_access_to_no_path_that_has_none(san):
    do(san, Act.REGISTER, "/dev/a1d0")
    assert do(san, Act.CONFIRM, "/dev/a1d0").answer is Answer.DONE
    assert do(san, Act.CONFIRM, "/dev/a2d0").answer is Answer.CONFLICT
    assert do(san, Act.CONFIRM, "/dev/a1d0", B).answer is Answer.CONFLICT
    assert read(san, "/dev/a1d0").keys == (A,)


def test_unregister_takes_only_the_own_key(san):
    do(san, Act.REGISTER, "/dev/a1d0")
    assert do(san, Act.UNREGISTER, "/dev/a1d0", B).answer is Answer.CONFLICT
    assert do(san, Act.UNREGISTER, "/dev/a1d0", A).answer is Answer.DONE
    assert read(san, "/dev/a1d0").keys == ()


@pytest.mark.parametrize(
    ("fault", "answer", "carried_out"),
    [
        (Fault.LOST_REQUEST, Answer.SILENT, False),
        (Fault.LOST_REPLY, Answer.SILENT, True),
        (Fault.FAILED_REPLY, Answer.NOT_READY, True),
        (Fault.FALSE_REPLY, Answer.DONE, False),
        (Fault.ATTENTION, Answer.ATTENTION, False),
        (Fault.BUSY, Answer.BUSY, False),
    ],
)
def test_a_fault_strikes_once(san, fault, answer, carried_out):
    san.give("/dev/a1d0", fault)
    assert do(san, Act.REGISTER, "/dev/a1d0").answer is answer
    assert read(san, "/dev/a2d0").keys == ((A,) if carried_out else ())
    assert do(san, Act.REGISTER, "/dev/a1d0").answer is Answer.DONE


def test_a_dead_path_stays_dead_until_it_is_restored(san):
    san.give("/dev/a1d0", Fault.DEAD)
    assert [do(san, Act.REGISTER, "/dev/a1d0").answer for _ in range(2)] == [Answer.GONE] * 2
    assert read(san, "/dev/a1d0").answer is Answer.GONE
    assert not read(san, "/dev/a1d0").is_live
    san.restore("/dev/a1d0")
    assert read(san, "/dev/a1d0").keys == ()


def test_a_device_that_is_not_there_is_gone(san):
    assert read(san, "/dev/a9d0").answer is Answer.GONE


def test_others_can_move_between_two_requests(san):
    def before(asked):
        if asked.operation and asked.operation.act is Act.RESERVE:
            san.ask("/dev/b1d0", Request(Action.REGISTER_AND_IGNORE, action_key=B))
            san.ask("/dev/b1d0", Request(Action.RESERVE, key=B, type=5))

    san.before = before
    do(san, Act.REGISTER, "/dev/a1d0")
    assert do(san, Act.RESERVE, "/dev/a1d0").answer is Answer.CONFLICT
    assert [(asked.node, asked.operation.act) for asked in san.asked] == [("a", Act.REGISTER), ("a", Act.RESERVE)]


def test_a_loss_of_power_frees_every_disk(san):
    do(san, Act.REGISTER, "/dev/a1d1")
    san.lose_power()
    assert read(san, "/dev/a1d1").answer is Answer.ATTENTION
    assert read(san, "/dev/a1d1").keys == ()


def test_requests_can_take_their_time():
    san = San("a", delay_s=0.05)
    begin = time.monotonic()
    read(san, "/dev/a1d0")
    assert time.monotonic() - begin >= 0.05
