"""The disks of several kernels: one of them is the target, and the others reach it over a private network.

Usage, inside of a kernel: python -m lab.scsi.san serve ..., or forget ..., or attach ...
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.scsi import initiator, target
from lab.scsi.disks import HEADER, TABLE, UDEVD
from lab.scsi.initiator import Login
from lab.scsi.target import Disk, PortalGroup

MULTIPATH_CONF = """\
defaults {
    user_friendly_names yes
    find_multipaths no
    polling_interval 2
    reservation_key file
}
overrides {
    no_path_retry fail
}
"""


def serve(hosts: Sequence[str], addresses: Sequence[str], disks: int) -> None:
    """Be the target: a portal group on each address, all of them for all hosts."""
    target.load()
    for number in range(disks):
        Disk(number).create()
    for tag, address in enumerate(addresses, 1):
        group = PortalGroup(tag)
        group.create(address, map(initiator.initiator_name, hosts))
        for number in range(disks):
            group.show(Disk(number), group.initiators)


def forget(addresses: Sequence[str], disks: int) -> None:
    """As the target, forget all keys."""
    for number in range(disks):
        target.forget_keys(Disk(number), [PortalGroup(tag) for tag, _ in enumerate(addresses, 1)])


def attach(host: str, addresses: Sequence[str], disks: int, *, multipath: bool) -> None:
    """Be a host: log in at each address, and write the table."""
    if multipath:
        subprocess.run([UDEVD, "--daemon"], check=True)
    paths = initiator.log_in((Login(host, tag, address) for tag, address in enumerate(addresses, 1)), disks)
    TABLE.write_text("\n".join([HEADER, *map(str, paths)]) + "\n")
    if multipath:
        Path("/etc/multipath.conf").write_text(MULTIPATH_CONF)
        subprocess.run(["modprobe", "-a", "dm_multipath", "dm_service_time"], check=True)
        subprocess.run(["multipathd"], check=True)
        subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)


def main(argv: Sequence[str]) -> None:
    """Be the target, or a host."""
    parser = argparse.ArgumentParser(prog="lab.scsi.san", description="be the target, or a host")
    parser.add_argument("role", choices=["serve", "forget", "attach"])
    parser.add_argument("--host", dest="hosts", action="append", help="a host's name; to attach, one's own")
    parser.add_argument("--address", dest="addresses", action="append", help="an address of the target")
    parser.add_argument("--disks", type=int, default=1)
    parser.add_argument("--multipath", action="store_true", help="of a host: run udev and multipathd")
    wanted = parser.parse_args(argv)
    if wanted.role == "serve":
        serve(wanted.hosts, wanted.addresses, wanted.disks)
    elif wanted.role == "forget":
        forget(wanted.addresses, wanted.disks)
    else:
        attach(wanted.hosts[0], wanted.addresses, wanted.disks, multipath=wanted.multipath)


if __name__ == "__main__":
    main(sys.argv[1:])
