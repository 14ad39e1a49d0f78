"""What taking, verifying and giving back cost on a real target, in calls of the real tool, against the least."""

from __future__ import annotations

import pytest

from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey
from vmsvc.core.vmdg.tools.sg_persist import SgPersist

PATHS = 2


class Counting:
    """A host that counts what it runs."""

    name = "counting"

    def __init__(self, host):
        self._host, self.calls = host, 0

    def run(self, argv, **options):
        self.calls += 1
        return self._host.run(argv, **options)


#: Starting a tool takes a tenth of a second and more in a kernel that is a process itself, and 64 disks take 1,300 of them.
MANY = [pytest.mark.layout(hosts=2, disks=64), pytest.mark.soak, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("count", [1, 8, pytest.param(64, marks=MANY)])
def test_no_attempt_costs_more_than_a_quarter_above_the_least(quick_host, nodes, count):
    a, b, _ = nodes
    disks, others = a.disks(*range(count)), b.disks(*range(count))
    host = Counting(quick_host)
    tool = SgPersist(host)

    def cost(attempt):
        before = host.calls
        return carry_out(attempt, tool, budget_s=600), host.calls - before

    for attempt, outcome, least in (
        (acquire(disks, a.key), Outcome.HELD, PATHS + 3),
        (acquire(others, b.key), Outcome.REFUSED, 1),
        (acquire(others, b.key, authority=frozenset({a.key})), Outcome.HELD, PATHS + 3),
        (release(others, b.key), Outcome.RELEASED, PATHS + 2),
    ):
        result, calls = cost(attempt)
        assert result.outcome is outcome
        assert calls <= 1.25 * least * count
    a.look(*range(count))  # attentions of what has been, which a status meets once
    _, calls = cost(survey(disks))
    assert calls <= 1.2 * PATHS * count
