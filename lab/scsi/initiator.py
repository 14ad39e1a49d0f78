"""The initiator's side, inside of a kernel: open-iscsi, and which device leads where.

One kernel can be several hosts: each has an initiator's name of its own, and logs in through an "interface" that bears
it. To a target these are different hosts.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from lab.scsi.target import IQN, PORT

ISCSI = Path("/etc/iscsi")
SESSIONS = Path("/sys/class/iscsi_session")
# A path that dies is given up after 3 seconds, not after 120: tests wait for that.
ISCSID_CONF = """\
node.startup = manual
node.leading_login = No
node.session.scan = auto
node.session.timeo.replacement_timeout = 3
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
"""
PATIENCE_S = 30


def initiator_name(host: str) -> str:
    """The iSCSI name of a host."""
    return f"iqn.2024-01.lab:{host}"


@dataclass(frozen=True)
class Login:
    """One session to be: which host logs in to which portal group, and where."""

    host: str
    group: int
    address: str


@dataclass(frozen=True, order=True)
class DevicePath:
    """One device of this kernel: a disk, as one host sees it through one portal group.

    Attributes:
        host: The host.
        group: The portal group's tag.
        disk: The disk's number.
        device: The block device, such as ``/dev/sda``.
        generic: The generic SCSI device, such as ``/dev/sg0``.
        address: The SCSI address, ``host:channel:target:unit``.
    """

    host: str
    group: int
    disk: int
    device: str
    generic: str
    address: str

    def __str__(self) -> str:
        """A line of the table."""
        return " ".join(map(str, astuple(self)))

    @classmethod
    def parse(cls, line: str) -> DevicePath:
        """Read a line of the table."""
        host, group, disk, device, generic, address = line.split()
        return cls(host, int(group), int(disk), device, generic, address)


def log_in(logins: Iterable[Login], disks: int) -> list[DevicePath]:
    """Start open-iscsi, log in everywhere at once, and wait until every session has its so many disks."""
    logins = list(logins)
    subprocess.run(["modprobe", "-a", "iscsi_tcp", "sd_mod", "sg"], check=True)
    subprocess.run(["busybox", "mount", "-t", "tmpfs", "iscsi", ISCSI], check=True)
    Path("/run/lock/iscsi").mkdir(parents=True, exist_ok=True)
    (ISCSI / "iscsid.conf").write_text(ISCSID_CONF)
    (ISCSI / "initiatorname.iscsi").write_text(f"InitiatorName={initiator_name('nobody')}\n")
    (ISCSI / "ifaces").mkdir()
    for host in {login.host for login in logins}:
        (ISCSI / "ifaces" / host).write_text(
            f"iface.iscsi_ifacename = {host}\niface.transport_name = tcp\n"
            f"iface.initiatorname = {initiator_name(host)}\n"
        )
    subprocess.run(["iscsid"], check=True)
    for login in logins:
        portal = f"{login.address}:{PORT},{login.group}"
        _iscsiadm("-I", login.host, "-T", IQN, "-p", portal, "-o", "new")
    _iscsiadm("-l")
    deadline = time.monotonic() + PATIENCE_S
    while len(found := sorted(paths())) < len(logins) * disks:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only these devices have appeared in {PATIENCE_S} s: {found}")
        time.sleep(0.05)
    return found


def paths() -> Iterator[DevicePath]:
    """Every device that leads to the target, as the kernel tells."""
    for session in SESSIONS.glob("session*"):
        host = (session / "initiatorname").read_text().strip().rpartition(":")[2]
        group = int((session / "tpgt").read_text())
        for block in session.glob("device/target*/*:*:*:*/block/*"):
            unit = block.parents[1]
            for generic in (unit / "scsi_generic").iterdir():
                disk = int(unit.name.rpartition(":")[2])
                yield DevicePath(host, group, disk, f"/dev/{block.name}", f"/dev/{generic.name}", unit.name)


def _iscsiadm(*words: str) -> None:
    done = subprocess.run(["iscsiadm", "-m", "node", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"iscsiadm -m node {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
