"""What the protocol costs: exactly the numbers that ``docs/explanation/exclusive-disks.md`` derives."""

from __future__ import annotations

import pytest

from tests.unit.core.vmdg.drive import A, B, C, asked, register, run, take
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.survey import survey
from vmsvc.testing import San

sizes = pytest.mark.parametrize(("disks", "paths"), [(1, 1), (1, 2), (8, 2), (64, 2), (3, 4)])


@sizes
def test_what_taking_and_giving_back_cost(disks, paths):
    san = San("abc", disks=disks, paths=paths)

    take(san, "a", A)
    assert len(asked(san)) == disks * (paths + 3)
    take(san, "a", A)
    assert len(asked(san)) == disks * (paths + 2)
    assert take(san, "b", B).outcome is Outcome.REFUSED
    assert len(asked(san)) == disks
    run(san, "b", release(san.disks("b"), B))
    assert len(asked(san)) == disks
    run(san, "a", survey(san.disks("a")))
    assert len(asked(san)) == disks * paths
    run(san, "a", release(san.disks("a"), A))
    assert len(asked(san)) == disks * (paths + 2)


@sizes
def test_what_a_takeover_costs(disks, paths):
    san = San("abc", disks=disks, paths=paths)
    take(san, "b", B)
    for disk in range(disks):
        register(san, f"/dev/c1d{disk}", C)
    asked(san)

    assert take(san, "a", A, B).outcome is Outcome.HELD
    assert len(asked(san)) == disks * (paths + 2 + 2)


def test_a_set_takes_as_many_batches_as_two_disks():
    def batches(disks):
        san, count = San("a", disks=disks), 0
        attempt = acquire(san.disks("a"), A)
        while attempt.result is None:
            tool = san.tool("a")
            attempt = attempt.advanced(
                tuple(
                    tool.perform(request.disk, request.operation)
                    if request.operation
                    else tool.read(request.disk, request.path)
                    for request in attempt.wants
                )
            )
            count += 1
        return count

    assert batches(64) == batches(2)
