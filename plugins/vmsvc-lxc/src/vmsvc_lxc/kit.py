"""The conformance kit of this driver, on stand-ins for LXC's commands; ``vmsvc sdk test vmsvc-lxc`` runs it.

The lab runs the same clauses on real containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Guest, Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_lxc.driver import LxcDriver
from vmsvc_lxc.options import LxcGuest


class LxcBackend(StandInBackend):
    """LXC's commands, as far as the table knows them."""

    table = Path(__file__).parent / "lxc.toml"
    means: ClassVar[Mapping[str, Phase]] = {
        "stopped": Phase.STOPPED,
        "running": Phase.RUNNING,
        "frozen": Phase.PAUSED,
        "starting": Phase.STARTING,
        "stopping": Phase.STOPPING,
    }

    def described(self, name: str) -> LxcGuest:
        """Give the container its config file."""
        config = self.directory / "lxc" / name / "config"
        config.parent.mkdir(parents=True)
        config.write_text("lxc.rootfs.path = dir:/\n", encoding="utf-8")
        return LxcGuest(**identity("lxc", name), lxcpath=str(self.directory / "lxc"))

    def elsewhere(self, guest: Guest) -> LxcGuest:
        """Look for it in another directory."""
        return LxcGuest(**identity("lxc", guest.name), lxcpath=str(self.directory / "elsewhere"))


class LxcKit(DriverKit):
    """Every clause but what needs a container in which something runs."""

    driver = LxcDriver
    backend = LxcBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "inside": "nothing runs inside of a stand-in's containers: tried on real ones",
    }
