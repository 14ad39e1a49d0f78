"""The conformance kit of this driver, on a stand-in for xl; ``vmsvc sdk test vmsvc-xen`` runs it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Guest, Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandIn, StandInBackend
from vmsvc_xen.driver import XenDriver
from vmsvc_xen.options import XenGuest

CONFIG = """\
name = "{name}"
type = "pv"
kernel = "/boot/vmlinuz"
memory = 128
vcpus = 1
disk = [ "phy:/dev/loop0,xvda,w" ]
"""

# All who try this driver on a machine at the same time have one list of processes: each is told of those alone that
# belong to its own directory.
_PGREP = """\
#!/bin/sh
found=$({pgrep} "$@") || exit
for each in $found; do
    grep -qsaF {directory}/ "/proc/$each/cmdline" && echo "$each"
done
exit 0
"""


def config_of(name: str) -> str:
    """A config file of a guest of any name.

    Args:
        name: The guest's name.
    """
    return CONFIG.format(name=name.replace("\\", "\\\\").replace('"', '\\"'))


class XenBackend(StandInBackend):
    """xl, as far as the table knows it."""

    table = Path(__file__).with_name("xl.toml")
    means: ClassVar[Mapping[str, Phase]] = {
        "off": Phase.STOPPED,
        "made": Phase.STARTING,
        "running": Phase.RUNNING,
        "paused": Phase.PAUSED,
        "shutdown": Phase.STOPPING,
        "reaped": Phase.STOPPING,
        "suspended": Phase.SUSPENDED,
        "crashed": Phase.CRASHED,
    }

    @cached_property
    def standin(self) -> StandIn:
        """xl, and a pgrep that finds no process of other tests."""
        standin = super().standin
        pgrep = standin.tools / "pgrep"
        directory = shlex.quote(str(self.directory.absolute()))
        pgrep.write_text(_PGREP.format(pgrep=shutil.which("pgrep") or "pgrep", directory=directory), encoding="utf-8")
        pgrep.chmod(0o755)
        return standin

    def described(self, name: str) -> XenGuest:
        """Give the guest its config file."""
        guest = XenGuest(**identity("xen", name), config_dir=str(self.directory / "xen"))
        Path(guest.config_dir).mkdir(exist_ok=True)
        Path(guest.file).write_text(config_of(name), encoding="utf-8")
        self.standin.change(name, file=guest.file)
        return guest

    def put(self, guest: Guest, phase: Phase) -> None:
        """Write it down; a guest that is absent has no config file either."""
        super().put(guest, phase)
        if phase is Phase.ABSENT:
            Path(self.directory, "xen", f"{guest.name}.cfg").unlink()


class XenKit(DriverKit):
    """Every clause but what the stand-in of ``xl`` cannot show."""

    driver = XenDriver
    backend = XenBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "migrate-arrived": "what stands for xl is one machine: nothing shows what arrives at another one",
    }
