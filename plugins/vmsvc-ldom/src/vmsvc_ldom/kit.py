"""The conformance kit of this driver, on a stand-in for ldm; ``vmsvc sdk test vmsvc-ldom`` runs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_ldom.driver import LdomDriver, LdomGuest


class LdomBackend(StandInBackend):
    """The command ldm, as far as the table knows it."""

    table = Path(__file__).with_name("ldm.toml")
    means: ClassVar[Mapping[str, Phase]] = {
        "inactive": Phase.STOPPED,
        "bound": Phase.STOPPED,
        "firmware": Phase.STARTING,
        "active": Phase.RUNNING,
        "starting": Phase.STARTING,
        "degraded": Phase.STOPPED,
        "error": Phase.STUCK,
        "source": Phase.MIGRATING,
    }

    def described(self, name: str) -> LdomGuest:
        """There is nothing more to say than its name."""
        return LdomGuest(**identity("ldom", name))

    def can_be_named(self, name: str) -> bool:
        """A guess, on the safe side: ldm(8) does not say which names it takes."""
        return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", name) is not None


class LdomKit(DriverKit):
    """Every clause but what logical domains do not have."""

    driver = LdomDriver
    backend = LdomBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "migrate-arrived": "what stands for ldm is one machine: nothing shows what arrives at another one",
        "paused": "ldm pauses no domain",
        "stopping": "ldm has one flag for starting and stopping, which is read as starting: neither up nor down",
    }
