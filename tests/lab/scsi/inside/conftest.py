"""The tests in this directory run inside of a kernel that has real disks; pytest outside mirrors them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scsi.inside import ScsiLab
from lab.scsi.mirror import Mirror, is_inside
from lab.scsi.witness import can_write
from tests.lab.scsi.quick import QuickHost
from vmsvc.core.vmdg.attempt import acquire, release
from vmsvc.core.vmdg.seen import ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey
from vmsvc.core.vmdg.tools import DiskFinder
from vmsvc.core.vmdg.tools.sg_persist import SgPersist


def pytest_configure(config):
    if not is_inside():
        config.pluginmanager.register(Mirror(Path(__file__).parent))


@pytest.fixture(scope="session")
def whole_lab():
    return ScsiLab()


@pytest.fixture(autouse=True)
def scsi(whole_lab):
    """The disks, without keys, reservations and unit attentions."""
    whole_lab.wipe()
    return whole_lab


@pytest.fixture(scope="session")
def quick_host():
    return QuickHost()


@pytest.fixture(scope="session")
def tool(quick_host):
    return SgPersist(quick_host)


#: How long attempts may take, in seconds, on a machine that has much else to do: half of it is for taking.
LONG_S = 240.0
KEYS = {"a": 0xA1A1000000000001, "b": 0xB2B2000000000002, "c": 0xC3C3000000000003}


class Node:
    """A hypervisor, and what it does to disks."""

    def __init__(self, scsi, tool, name):
        self._scsi, self._tool, self.name = scsi, tool, name
        self.key = KEYS[name]

    def disks(self, *numbers):
        """Disks, as this node finds them now; their order by World Wide ID is that of their numbers."""
        hosts = [str(number) for number in self._scsi.scsi_hosts(self.name)]
        names = [self._scsi.path(self.name, 1, number).device for number in numbers]
        return DiskFinder(QuickHost(), scsi_hosts=hosts).find(names)

    def acquire(self, *disks, over=()):
        """Take disks (or such as have these numbers), over these keys."""
        return carry_out(acquire(self._known(disks), self.key, authority=frozenset(over)), self._tool, budget_s=LONG_S)

    def release(self, *disks):
        return carry_out(release(self._known(disks), self.key), self._tool, budget_s=LONG_S)

    def look(self, *disks):
        return carry_out(survey(self._known(disks)), self._tool, budget_s=LONG_S)

    def writes(self, number=0):
        """Where it can write: through each path, directly and through the page cache."""
        devices = self._scsi.devices(self.name, number)
        return [can_write(device, buffered=buffered) for device in devices for buffered in (False, True)]

    def _known(self, disks):
        return [disk for each in disks for disk in ([each] if isinstance(each, ScsiDisk) else self.disks(each))]


@pytest.fixture
def nodes(scsi, tool):
    """Three nodes with two paths each to every disk."""
    return [Node(scsi, tool, name) for name in "abc"]
