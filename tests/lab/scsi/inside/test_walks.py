"""Nodes that act by chance on real disks, by vmsvc's own tool: they see what the model says, which the laws hold for."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lab.scsi import passthrough
from lab.scsi.inside import register
from tests.model.machine import Walk


class ByTools:
    """The lab's disks, asked by vmsvc's own tool as each node."""

    def __init__(self, scsi, tool, world, state):
        self._scsi, self._tool, self._world = scsi, tool, world
        scsi.wipe()
        for disk in range(world.scenario.disks):
            self._begin_with(world.unit(state, disk), disk)

    def _begin_with(self, unit, disk):
        for nexus, key in unit.registrations:
            register(self._device(nexus, disk).generic, key)
        if unit.holder:
            reserve = {"key": unit.key_of(unit.holder), "kind": unit.type}
            device = self._device(unit.holder, disk).generic
            passthrough.reserve_out(device, passthrough.RESERVE, **reserve).check()

    def _device(self, nexus, disk):
        return self._scsi.path(nexus[0], int(nexus[1]), disk)

    def ask(self, name, wanted):
        nexus, wwid = self._world.san.nexus_of(wanted.path)
        path = self._device(nexus, list(self._world.san.units).index(wwid)).device
        disk = evolve(wanted.disk, paths=(path,))
        if wanted.operation is None:
            return self._tool.read(disk, path)
        return self._tool.perform(disk, evolve(wanted.operation, path=path))


@pytest.fixture
def walk_on_real_disks(scsi, tool):
    class OnRealDisks(Walk):
        new_backend = staticmethod(lambda world, state: ByTools(scsi, tool, world, state))

    def walk(**bounds):
        generated = {"database": None, "deadline": None, "phases": [Phase.generate]}
        checks = {"suppress_health_check": list(HealthCheck)}
        run_state_machine_as_test(OnRealDisks, settings=settings(**bounds, **generated, **checks))

    return walk


@pytest.mark.timeout(600)
def test_nodes_that_act_by_chance_see_what_the_model_says(walk_on_real_disks):
    walk_on_real_disks(max_examples=6, stateful_step_count=40, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nodes_that_act_by_chance_for_long_see_what_the_model_says(walk_on_real_disks):
    walk_on_real_disks(max_examples=60, stateful_step_count=80)
