"""The conformance kit of this driver, on a stand-in for the tools of zones; ``vmsvc sdk test vmsvc-zone`` runs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_zone.driver import ZoneDriver
from vmsvc_zone.options import ZoneGuest


class ZoneBackend(StandInBackend):
    """The tools of zones, as far as the table knows them."""

    table = Path(__file__).with_name("zones.toml")
    runs_commands = True
    means: ClassVar[Mapping[str, Phase]] = {
        "installed": Phase.STOPPED,
        "configured": Phase.STOPPED,
        "unavailable": Phase.STOPPED,
        "incomplete": Phase.STOPPED,
        "ready": Phase.PREPARED,
        "running": Phase.RUNNING,
        "shutting_down": Phase.STOPPING,
        "down": Phase.STOPPING,
        "mounted": Phase.DEGRADED,
    }

    def described(self, name: str) -> ZoneGuest:
        """A zone that shares the node's network."""
        return ZoneGuest(**identity("zone", name))

    def can_be_named(self, name: str) -> bool:
        """What zonecfg takes as a name: zonecfg(8)."""
        return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name))


class ZoneKit(DriverKit):
    """Every clause that a zone can be tried on."""

    driver = ZoneDriver
    backend = ZoneBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "paused": "nothing pauses a zone",
        "starting": "zoneadm returns when the zone is running: there is no state before that but ready",
    }
