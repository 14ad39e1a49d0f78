"""What every way to a host keeps, kept on this node; which also shows that the table is one that can be kept."""

import random
from contextlib import closing

import pytest

from vmsvc.core.transport.local import LocalHost
from vmsvc.testing.commands import CASES, hold, odd_cases


@pytest.fixture(scope="module")
def host():
    with closing(LocalHost()) as local:
        yield local


@pytest.mark.parametrize("case", CASES, ids=str)
def test_commands_on_this_node_keep_the_clauses(host, case):
    hold(host.run, case)


def test_odd_commands_come_back_exactly(host):
    for case in odd_cases(random.randrange(1 << 32), 50):
        hold(host.run, case)
