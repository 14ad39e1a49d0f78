"""The target's side, inside of a kernel: disks and portal groups of LIO, as objects over its configfs.

A disk is a file in memory. A portal group is one target port: together with an initiator it makes an I_T nexus, which
is what registers. Disabling it makes the transport dead; enabling it brings the path back.

Sources: Documentation/target/tcm_mod_builder.rst, and the kernel's drivers/target of 6.1.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path("/sys/kernel/config/target")
STORAGE = CONFIG / "core" / "fileio_0"
IMAGES = Path("/run/scsi-images")
IQN = "iqn.2003-01.org.linux-iscsi.lab:disks"
PORT = 3260
OPTIMIZED, UNAVAILABLE = 0, 3
# LIO keeps reservations here, and answers NOT READY to a REGISTER that it carries out where the directory is missing.
STATE = ("/etc/target/pr", "/etc/target/alua", "/var/target/pr", "/var/target/alua")


def load() -> None:
    """Load the target; its directories must be there before."""
    for directory in STATE:
        Path(directory).mkdir(parents=True, exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    subprocess.run(["modprobe", "-a", "iscsi_target_mod", "target_core_file"], check=True)
    STORAGE.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Disk:
    """A logical unit, by its number; `reservations` is whether it knows PERSISTENT RESERVE."""

    number: int
    size_mib: int = 16
    reservations: bool = True

    @property
    def directory(self) -> Path:
        """Its place in configfs."""
        return STORAGE / f"disk{self.number}"

    @property
    def image(self) -> Path:
        """The file with its data."""
        return IMAGES / f"disk{self.number}"

    def create(self) -> None:
        """Make it; with an image that is there already, it is the same disk again, without keys."""
        with self.image.open("ab") as image:
            image.truncate(self.size_mib << 20)
        self.directory.mkdir()
        _write(self.directory / "control", f"fd_dev_name={self.image},fd_dev_size={self.size_mib << 20}")
        # The World Wide ID is made of the first 25 hexadecimal digits only: what tells disks apart stands among them.
        _write(self.directory / "wwn/vpd_unit_serial", f"5ca1ab{self.number:02x}-0000-4000-8000-000000000000")
        _write(self.directory / "enable", "1")
        _write(self.directory / "attrib/emulate_pr", str(int(self.reservations)))

    def tell_sessions_apart(self, *, do: bool) -> None:
        """Whether a nexus is an initiator's session (as it should be), or all of an initiator's sessions."""
        _write(self.directory / "attrib/enforce_pr_isids", str(int(do)))

    def access(self, state: int) -> None:
        """Set the access state of all of its ports (ALUA; SPC-4, 5.15.2): `OPTIMIZED`, say."""
        _write(self.directory / "alua/default_tg_pt_gp/alua_access_state", str(state))

    def remove(self) -> None:
        """Take it away; its image stays. No portal group may show it any more."""
        self.directory.rmdir()


@dataclass(frozen=True)
class PortalGroup:
    """A target port, by its tag."""

    tag: int

    @property
    def directory(self) -> Path:
        """Its place in configfs."""
        return CONFIG / "iscsi" / IQN / f"tpgt_{self.tag}"

    def create(self, address: str, initiators: Iterable[str]) -> None:
        """Make it, for these initiators (their iSCSI names), and listen on an address."""
        self.directory.mkdir(parents=True)
        _write(self.directory / "attrib/authentication", "0")
        for initiator in initiators:
            self._rights(initiator).mkdir()
        (self.directory / "np" / f"{address}:{PORT}").mkdir()
        self.enable()

    def enable(self) -> None:
        """Let initiators in."""
        _write(self.directory / "enable", "1")

    def disable(self) -> None:
        """Throw initiators out, and let none in: what they send has no answer any more."""
        _write(self.directory / "enable", "0")

    @property
    def initiators(self) -> list[str]:
        """Who may log in, by their iSCSI names."""
        return sorted(rights.name for rights in (self.directory / "acls").iterdir())

    def show(self, disk: Disk, initiators: Iterable[str]) -> None:
        """Show a disk to initiators that may log in, as the logical unit of the disk's number."""
        self._unit(disk).mkdir(exist_ok=True)
        (self._unit(disk) / "port").symlink_to(disk.directory)
        for initiator in initiators:
            self._map(disk, initiator)

    def allow(self, initiator: str, disk: Disk) -> None:
        """Let one more initiator in, to one disk that is shown already."""
        self._rights(initiator).mkdir(exist_ok=True)
        if not self._mapped(disk, initiator).exists():
            self._map(disk, initiator)

    def hide(self, disk: Disk) -> list[str]:
        """Take a disk away from its initiators, and return them; their devices stay, and lead nowhere."""
        initiators = [name for name in self.initiators if self._mapped(disk, name).exists()]
        for initiator in initiators:
            (self._mapped(disk, initiator) / "port").unlink()
            self._mapped(disk, initiator).rmdir()
        (self._unit(disk) / "port").unlink()
        self._unit(disk).rmdir()
        return initiators

    def protect(self, disk: Disk, initiator: str, *, readonly: bool) -> None:
        """Make a disk read-only for one initiator, or writable again."""
        _write(self._mapped(disk, initiator) / "write_protect", str(int(readonly)))

    def _unit(self, disk: Disk) -> Path:
        return self.directory / "lun" / f"lun_{disk.number}"

    def _rights(self, initiator: str) -> Path:
        return self.directory / "acls" / initiator

    def _mapped(self, disk: Disk, initiator: str) -> Path:
        return self._rights(initiator) / f"lun_{disk.number}"

    def _map(self, disk: Disk, initiator: str) -> None:
        mapped = self._mapped(disk, initiator)
        mapped.mkdir()
        (mapped / "port").symlink_to(self._unit(disk))
        _write(mapped / "write_protect", "0")


def forget_keys(disk: Disk, groups: Iterable[PortalGroup]) -> None:
    """What a restart does to a target that keeps no keys (without APTPL): same disk, same data, nothing registered."""
    shown = [(group, group.hide(disk)) for group in groups]
    disk.remove()
    disk.create()
    for group, initiators in shown:
        group.show(disk, initiators)


def _write(attribute: Path, value: str) -> None:
    """Write an attribute of configfs: in one piece, which is what the kernel wants."""
    descriptor = os.open(attribute, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
