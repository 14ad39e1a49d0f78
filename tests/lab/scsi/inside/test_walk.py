"""A slice of the model's random walk beside the real target: what the model says, `sg_persist` and Linux say, too."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from lab.scsi import passthrough as raw
from lab.scsi.inside import register
from tests.model.machine import Walk

pytestmark = pytest.mark.timeout(280)


class Linux:
    """The target that is asked beside the model: disks of the lab, by the node's tool."""

    def __init__(self, scsi, tool, world, state):
        self._scsi, self._tool = scsi, tool
        scsi.wipe()
        for disk in range(world.scenario.disks):
            unit = world.unit(state, disk)
            for nexus, key in unit.registrations:
                register(self._path(nexus, disk).generic, key)
            if unit.holder:
                device, key = self._path(unit.holder, disk).generic, unit.key_of(unit.holder)
                raw.reserve_out(device, raw.RESERVE, key=key, kind=unit.type).check()

    def ask(self, name, wanted):
        nexus, _, disk = wanted.path.removeprefix("/dev/").partition("d")
        path = self._path(nexus, int(disk)).device
        if wanted.operation is None:
            return self._tool.read(wanted.disk, path)
        return self._tool.perform(wanted.disk, evolve(wanted.operation, path=path))

    def _path(self, nexus, disk):
        return self._scsi.path(nexus[0], int(nexus[1]), disk)


@pytest.mark.parametrize("examples", [8, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_nodes_that_act_by_chance_are_answered_as_the_model_says(scsi, tool, examples):
    class WalkOnLinux(Walk):
        new_backend = staticmethod(lambda world, state: Linux(scsi, tool, world, state))

    run_state_machine_as_test(
        WalkOnLinux,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
