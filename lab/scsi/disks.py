"""Makes the disks of one kernel: several hosts, several paths to each disk, all of them real.

Every host reaches the disks through portal groups of its own, so that a test can cut one path of one host. What leads
where stands in `TABLE`.

Usage, inside of a kernel: python -m lab.scsi.disks --hosts 2 --paths 2 --disks 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.scsi import initiator, target
from lab.scsi.initiator import DevicePath, Login
from lab.scsi.target import Disk, PortalGroup

TABLE = Path("/run/scsi-lab")
LAYOUT = Path("/run/scsi-lab.json")
# A host that is nobody's, with one path: how tests look at disks without taking a unit attention away from anybody.
OBSERVER = "observer"
HEADER = "# host portal-group disk device generic address"
UDEVD = "/lib/systemd/systemd-udevd"


@dataclass(frozen=True)
class Layout:
    """What there is to be.

    Attributes:
        hosts: How many hosts; they are called a, b, c, and so on.
        paths: How many paths each of them has to every disk.
        disks: How many disks, numbered from 0.
        plain: Whether there is one disk more, whose target knows no reservations.
        debug: Whether there is a device by scsi_debug, which knows none either; it is not in the table.
        udev: Whether udev runs. It opens every device whenever something has written to it, and unit attentions that
            it meets are gone; so it is for those only who need its links, or multipathd.
    """

    hosts: int = 2
    paths: int = 2
    disks: int = 1
    plain: bool = False
    debug: bool = False
    udev: bool = False

    @property
    def names(self) -> str:
        """The hosts' names, a letter each."""
        return "abcdefghijklmnopqrstuvwxyz"[: self.hosts]

    @property
    def all_disks(self) -> list[Disk]:
        """Every disk."""
        known = [Disk(number) for number in range(self.disks)]
        return [*known, Disk(self.disks, reservations=False)] if self.plain else known

    def group(self, host: str, path: int) -> PortalGroup:
        """The portal group of a host's path; paths are counted from 1. The last group is the observer's."""
        index = self.hosts if host == OBSERVER else self.names.index(host)
        return PortalGroup(index * self.paths + path)

    @property
    def options(self) -> list[str]:
        """The command line that says the same."""
        numbers = [f"--{name}={value}" for name, value in asdict(self).items() if not isinstance(value, bool)]
        return numbers + [f"--{name}" for name, value in asdict(self).items() if value is True]

    @property
    def logins(self) -> list[Login]:
        """Who logs in where; every portal group has an address of its own."""
        paths = [(host, path) for host in self.names for path in range(1, self.paths + 1)]
        groups = [(host, self.group(host, path).tag) for host, path in [*paths, (OBSERVER, 1)]]
        return [Login(host, tag, f"127.0.1.{tag}") for host, tag in groups]

    @classmethod
    def of_this_kernel(cls) -> Layout:
        """The layout that was made here."""
        return cls(**json.loads(LAYOUT.read_text()))


def make(layout: Layout) -> list[DevicePath]:
    """Make the target, log in, and write the table."""
    if layout.udev:
        subprocess.run([UDEVD, "--daemon"], check=True)
    target.load()
    disks = layout.all_disks
    for disk in disks:
        disk.create()
    for login in layout.logins:
        group = PortalGroup(login.group)
        group.create(login.address, [initiator.initiator_name(login.host)])
        for disk in disks:
            group.show(disk, group.initiators)
    paths = initiator.log_in(layout.logins, len(disks))
    if layout.debug:
        subprocess.run(["modprobe", "scsi_debug", "dev_size_mb=8"], check=True)
    if layout.udev:
        subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)
    LAYOUT.write_text(json.dumps(asdict(layout)))
    TABLE.write_text("\n".join([HEADER, *map(str, paths)]) + "\n")
    return paths


def table() -> list[DevicePath]:
    """What leads where, sorted by host, portal group and disk."""
    return [DevicePath.parse(line) for line in TABLE.read_text().splitlines() if not line.startswith("#")]


def main(argv: Sequence[str]) -> None:
    """Make the disks."""
    parser = argparse.ArgumentParser(prog="lab.scsi.disks", description="make the disks of one kernel")
    add_options(parser)
    make(Layout(**vars(parser.parse_args(argv))))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a layout."""
    parser.add_argument("--hosts", type=int, default=2, help="initiators, called a, b, c ... (default: 2)")
    parser.add_argument("--paths", type=int, default=2, help="paths of each host to each disk (default: 2)")
    parser.add_argument("--disks", type=int, default=1, help="disks (default: 1)")
    parser.add_argument("--plain", action="store_true", help="one disk more, whose target knows no reservations")
    parser.add_argument("--debug", action="store_true", help="one device more, by scsi_debug; it is not in the table")
    parser.add_argument("--udev", action="store_true", help="run udev, which makes links, and touches every device")


if __name__ == "__main__":
    main(sys.argv[1:])
