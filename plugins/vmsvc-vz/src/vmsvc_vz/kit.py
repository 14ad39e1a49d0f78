"""The conformance kit of this driver, on stand-ins for its tools; ``vmsvc sdk test vmsvc-vz`` runs it with vzctl."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_vz.driver import VzDriver
from vmsvc_vz.options import VzGuest

_HERE = Path(__file__).parent
CONF = 'ONBOOT="no"\nCPUS="2"\nPHYSPAGES="0:131072"\nVE_PRIVATE="/vz/private/$VEID"\nHOSTNAME="{name}"\n'


class VzctlBackend(StandInBackend):
    """vzctl and vzlist, as far as the table knows them."""

    table = _HERE / "vzctl.toml"
    runs_commands = True
    means: ClassVar[Mapping[str, Phase]] = {
        "stopped": Phase.STOPPED,
        "running": Phase.RUNNING,
        "mounted": Phase.STOPPED,
        "suspended": Phase.SAVED,
    }
    tool: ClassVar[str] = "vzctl"
    _id: ClassVar[str] = "ctid"

    def described(self, name: str) -> VzGuest:
        """Give the container its configuration file."""
        known = self.standin.guest(name)
        assert known is not None
        conf = self.directory / "conf" / f"{known[self._id]}.conf"
        conf.parent.mkdir(exist_ok=True)
        conf.write_text(CONF.format(name=name), encoding="utf-8")
        return VzGuest(**identity("vz", name), tool=self.tool, config_dir=str(conf.parent))

    def can_be_named(self, name: str) -> bool:
        """A name has letters, digits and a few signs, says vzctl(8) of ``--name``; a number would be another's."""
        return bool(re.fullmatch(r"[A-Za-z0-9_.-][A-Za-z0-9_. -]*", name))


class PrlctlBackend(VzctlBackend):
    """prlctl, as far as the table knows it."""

    table = _HERE / "prlctl.toml"
    means: ClassVar[Mapping[str, Phase]] = {
        "stopped": Phase.STOPPED,
        "running": Phase.RUNNING,
        "paused": Phase.PAUSED,
        "suspended": Phase.SAVED,
        "starting": Phase.STARTING,
        "stopping": Phase.STOPPING,
        "migrating": Phase.MIGRATING,
    }
    tool: ClassVar[str] = "prlctl"
    _id: ClassVar[str] = "uuid"


class VzKit(DriverKit):
    """Every clause that a container can be tried on whose tools know no transitional states."""

    driver = VzDriver
    backend = VzctlBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "paused": "vzlist knows no container that is paused",
        "starting": "vzlist knows no state between: a container that starts is stopped or mounted until it runs",
        "stopping": "the same of one that stops",
    }


class PrlctlKit(DriverKit):
    """Every clause, none waived."""

    driver = VzDriver
    backend = PrlctlBackend
    waivers: ClassVar[Mapping[str, str]] = {}
