"""The tests in this directory run inside of a kernel that has real disks; pytest outside mirrors them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scsi.inside import ScsiLab
from lab.scsi.mirror import Mirror, is_inside


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
