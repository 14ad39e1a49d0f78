"""Nodes take, release and lose disks by chance: the laws hold, and the SAN in memory is what the model says it is."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.model.machine import Walk

TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class LongWalk(Walk):
    """The same, further."""


TestLongWalk = pytest.mark.soak(LongWalk.TestCase)
TestLongWalk.settings = settings(
    max_examples=3000, stateful_step_count=150, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
