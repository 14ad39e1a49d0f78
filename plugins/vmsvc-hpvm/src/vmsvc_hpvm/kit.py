"""The conformance kit of this driver, on a stand-in; ``vmsvc sdk test vmsvc-hpvm`` runs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_hpvm.driver import HpvmDriver, HpvmGuest


class HpvmBackend(StandInBackend):
    """The commands of HP Integrity VM, as far as the table knows them."""

    table = Path(__file__).with_name("hpvm.toml")
    means: ClassVar[Mapping[str, Phase]] = {
        "off": Phase.STOPPED,
        "efi": Phase.STARTING,
        "os": Phase.RUNNING,
        "attention": Phase.STUCK,
        "moved": Phase.MOVED,
    }

    def described(self, name: str) -> HpvmGuest:
        """Give the guest a directory, which is a link as on a real node."""
        directory = self.directory / "guests"
        real = self.directory / "uuids" / f"of-{name}"
        real.mkdir(parents=True, exist_ok=True)
        (real / "vmm_config.current").write_text(f"guest {name}\n", encoding="utf-8")
        directory.mkdir(exist_ok=True)
        (directory / name).symlink_to(real)
        return HpvmGuest(**identity("hpvm", name), directory=str(directory))

    def can_be_named(self, name: str) -> bool:
        """A guess, on the safe side: letters, digits, and what host names may have beside them."""
        return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) is not None


class HpvmKit(DriverKit):
    """Every clause but what HP Integrity VM does not have."""

    driver = HpvmDriver
    backend = HpvmBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "migrate-arrived": "what stands for hpvmmigrate is one machine: nothing shows what arrives at another one",
        "paused": "HP Integrity VM pauses no guest",
        "stopping": "a guest that shuts down is on until it is off: there is no state between",
    }
