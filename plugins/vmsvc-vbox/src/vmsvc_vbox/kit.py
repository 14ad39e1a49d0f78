"""The conformance kit of this driver, on a stand-in for VBoxManage; ``vmsvc sdk test vmsvc-vbox`` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Phase
from vmsvc.testing import DriverKit, identity
from vmsvc.testing.standin import StandInBackend
from vmsvc_vbox.driver import VboxDriver
from vmsvc_vbox.options import VboxGuest

#: A VMDK file that stands for a device of the node.
RAW_DISK = """# Disk DescriptorFile
version=1
CID=9a1f2b3c
parentCID=ffffffff
createType="fullDevice"

# Extent description
RW 131072 FLAT "/dev/sdz" 0
"""


class VboxBackend(StandInBackend):
    """VBoxManage, as far as the table knows it."""

    table = Path(__file__).with_name("vboxmanage.toml")
    means: ClassVar[Mapping[str, Phase]] = {
        "poweroff": Phase.STOPPED,
        "starting": Phase.STARTING,
        "running": Phase.RUNNING,
        "paused": Phase.PAUSED,
        "stopping": Phase.STOPPING,
        "saved": Phase.SAVED,
        "aborted": Phase.STOPPED,
        "gurumeditation": Phase.STUCK,
        "teleporting": Phase.MIGRATING,
        "teleported": Phase.MOVED,
    }

    def described(self, name: str) -> VboxGuest:
        """Give the guest a file of its own, and a disk that is a device."""
        known = self.standin.guest(name)
        assert known is not None
        config = Path(known["config"])
        disk = config.with_name("disk.vmdk")
        config.parent.mkdir(exist_ok=True)
        config.write_text(f"<VirtualBox><Machine uuid='{known['uuid']}'/></VirtualBox>\n", encoding="utf-8")
        disk.write_text(RAW_DISK, encoding="utf-8")
        medium = {"uuid": f"d{known['uuid'][1:]}", "location": str(disk)}
        hdd = {**medium, "parent": "base", "type": "normal (base)", "format": "VMDK", "mbytes": 64}
        self.standin.change(name, media=[{**medium, "port": 0}], hdds=[hdd])
        return VboxGuest(**identity("vbox", name))

    def can_be_named(self, name: str) -> bool:
        """VBoxManage escapes these where it prints for machines, in a way of which there is no sample."""
        return not set('"\\') & set(name)


class VboxKit(DriverKit):
    """Every clause, none waived."""

    driver = VboxDriver
    backend = VboxBackend
    waivers: ClassVar[Mapping[str, str]] = {}
