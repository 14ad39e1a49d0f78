"""The conformance kit of this driver, on a stand-in for ``vm``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_bhyve import BhyveDriver, BhyveGuest


class BhyveBackend(StandInBackend):
    table = Path(__file__).with_name("vm.toml")
    means: ClassVar = {"off": Phase.STOPPED, "loading": Phase.STARTING, "on": Phase.RUNNING, "locked": Phase.MOVED}

    def described(self, name):
        return BhyveGuest(**identity("bhyve", name))

    def can_be_named(self, name):
        return re.fullmatch(r"[a-zA-Z0-9][.a-zA-Z0-9-]{0,28}[a-zA-Z0-9]", name) is not None


class BhyveKit(DriverKit):
    driver = BhyveDriver
    backend = BhyveBackend
    waivers: ClassVar = {
        "dead": "vm-bhyve has no daemon: its guests are processes",
        "restarted": "vm-bhyve has no daemon",
        "paused": "vm-bhyve cannot pause a guest",
        "stopping": "a guest is running for vm-bhyve until its process has ended",
    }
