"""Every state that the protocol can reach keeps the laws: crashes, pauses, lost replies and dead paths at every step."""

from __future__ import annotations

import pytest

from tests.model.scenarios import LIMITS, SLICE, WHOLE
from tests.model.world import World


def explored(scenario, figure):
    world = World(scenario)
    found = world.explored()
    figure(scenario, found)
    ways = "\n".join(f"{law} is violated:\n{world.told(way)}" for law, way in found.violations.items())
    assert not found.violations, f"{scenario}\n{ways}"
    assert found.is_complete
    assert found.final


@pytest.mark.parametrize("scenario", SLICE, ids=str)
def test_no_law_is_violated(scenario, figure):
    explored(scenario, figure)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", WHOLE, ids=str)
def test_no_law_is_violated_in_the_whole(scenario, figure):
    explored(scenario, figure)


@pytest.mark.parametrize(("law", "scenario"), LIMITS, ids=str)
def test_what_cannot_be_prevented_is_known(law, scenario):
    """The documentation says so, under "What cannot be known"; if it can be prevented one day, it must not say so."""
    found = World(scenario, checked=frozenset({law})).explored(until=lambda found: bool(found.violations))
    assert set(found.violations) == {law}
