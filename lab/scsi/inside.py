"""The disks of one kernel in the hands of a test inside of it: where they are, what can go wrong, and a clean slate."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.scsi import passthrough, target
from lab.scsi.disks import OBSERVER, Layout, table
from lab.scsi.initiator import DevicePath, initiator_name, paths
from lab.scsi.target import Disk, PortalGroup
from lab.scsi.witness import Seen, look

SYS_BLOCK = Path("/sys/block")
PATIENCE_S = 30
WIPING_KEY = 0x77697065
REGISTRANTS_ONLY = 5  # a type of reservation: all may read, registrants may write (SPC-4, table 65)


class ScsiLab:
    """What a test has of the lab.

    A host is a letter; its paths are counted from 1, disks from 0. One more host, the observer, has a path of its own
    to every disk, registers nowhere, and is how disks are looked at.
    """

    def __init__(self) -> None:
        self.layout = Layout.of_this_kernel()
        self._table = {(path.host, path.group, path.disk): path for path in table()}

    # --- where things are ------------------------------------------------------------------------------------------

    def path(self, host: str, path: int = 1, disk: int = 0) -> DevicePath:
        """One path of a host to a disk."""
        return self._table[host, self.layout.group(host, path).tag, disk]

    def devices(self, host: str, disk: int = 0) -> list[str]:
        """The block devices by which a host reaches a disk, in the order of its paths."""
        return [self.path(host, number, disk).device for number in range(1, self.layout.paths + 1)]

    def scsi_hosts(self, host: str) -> list[int]:
        """The kernel's numbers of the SCSI hosts (adapters, so to speak) that belong to a host."""
        return sorted({int(path.address.partition(":")[0]) for path in self._table.values() if path.host == host})

    # --- what is -------------------------------------------------------------------------------------------------

    def look(self, disk: int = 0) -> Seen:
        """What a disk shows to the observer."""
        return look(self._observer(disk))

    def _observer(self, disk: int) -> str:
        return self.path(OBSERVER, 1, disk).generic

    # --- what can go wrong ---------------------------------------------------------------------------------------

    @contextmanager
    def cut(self, host: str, path: int) -> Iterator[None]:
        """A dead transport: the target does not answer any more. After the block the path is back, as it was."""
        group = self.layout.group(host, path)
        group.disable()
        try:
            yield
        finally:
            group.enable()
            for disk in self.layout.all_disks:
                self.wait_for(lambda number=disk.number: self.is_alive(host, path, number))  # type: ignore[misc]

    def is_alive(self, host: str, path: int, disk: int = 0) -> bool:
        """Whether a path answers."""
        try:
            return passthrough.test(self.path(host, path, disk).generic).transport == 0
        except OSError:
            return False  # the kernel has given it up, and lets nobody open it

    @contextmanager
    def offline(self, host: str, path: int, disk: int = 0) -> Iterator[None]:
        """A device that the kernel has put offline, as after too many errors."""
        state = self._device(host, path, disk) / "state"
        state.write_text("offline\n")
        try:
            yield
        finally:
            state.write_text("running\n")

    @contextmanager
    def not_ready(self, disk: int = 0) -> Iterator[None]:
        """A disk that answers NOT READY to nearly everything, through every path."""
        self._access(disk, target.UNAVAILABLE)
        try:
            yield
        finally:
            self._access(disk, target.OPTIMIZED)

    def _access(self, disk: int, state: int) -> None:
        Disk(disk).access(state)
        for path in self._table.values():
            while path.disk == disk and passthrough.test(path.generic).is_attention:
                pass  # each path is told of the change

    @contextmanager
    def gone(self, host: str, path: int, disk: int = 0) -> Iterator[None]:
        """A device that is deleted; after the block it is found again, perhaps under another name."""
        old = self.path(host, path, disk)
        (self._device(host, path, disk) / "delete").write_text("1")
        try:
            yield
        finally:
            adapter, channel, number, unit = old.address.split(":")
            Path(f"/sys/class/scsi_host/host{adapter}/scan").write_text(f"{channel} {number} {unit}")
            self.wait_for(lambda: any(new.address == old.address for new in paths()))
            [found] = [new for new in paths() if new.address == old.address]
            self._table[host, old.group, disk] = found

    @contextmanager
    def readonly(self, host: str, disk: int = 0) -> Iterator[None]:
        """A disk that the target lets a host read only, and whose kernel knows it."""
        self._protect(host, disk, readonly=True)
        try:
            yield
        finally:
            self._protect(host, disk, readonly=False)

    def _protect(self, host: str, disk: int, *, readonly: bool) -> None:
        for number in range(1, self.layout.paths + 1):
            self.layout.group(host, number).protect(Disk(disk), initiator_name(host), readonly=readonly)
            self.drain(self.path(host, number, disk).generic)
            (self._device(host, number, disk) / "rescan").write_text("1")

    def forget_keys(self, disk: int = 0) -> None:
        """A restart of the target that keeps no keys."""
        target.forget_keys(self.layout.all_disks[disk], self.groups())
        for path in self._table.values():
            if path.disk == disk:
                self.wait_for(lambda path=path: self.drain(path.generic))  # type: ignore[misc]

    def groups(self) -> list[PortalGroup]:
        """Every portal group."""
        return [PortalGroup(login.group) for login in self.layout.logins]

    @contextmanager
    def crowd(self, keys: Sequence[int], disk: int) -> Iterator[None]:
        """A registrant for each key: hosts that the target knows, and that are not there.

        LIO then holds on to the disk's place in the portal group: this disk cannot `forget_keys()` any more.
        """
        group, device = self.layout.group(OBSERVER, 1), self._observer(disk)
        Disk(disk).tell_sessions_apart(do=False)  # LIO takes the name of an absent session from its first port only
        try:
            for number, key in enumerate(keys):
                name = initiator_name(f"crowd{number}")
                group.allow(name, Disk(disk))
                passthrough.reserve_out(device, passthrough.REGISTER, new_key=key, other=name).check()
                passthrough.reserve_out(device, passthrough.REGISTER, key=key).check()
            yield
        finally:
            Disk(disk).tell_sessions_apart(do=True)
            self.clear(disk)

    def leave_attentions(self, host: str, disk: int = 0) -> None:
        """Let a unit attention wait on every path of a host; nobody is registered afterwards."""
        for number in range(1, self.layout.paths + 1):
            device = self.path(host, number, disk).generic
            register(device, WIPING_KEY)
        self.clear(disk)

    def _device(self, host: str, path: int, disk: int) -> Path:
        return SYS_BLOCK / Path(self.path(host, path, disk).device).name / "device"

    # --- a clean slate -------------------------------------------------------------------------------------------

    def clear(self, disk: int) -> None:
        """Remove every registration and the reservation; all who were registered get a unit attention."""
        device = self._observer(disk)
        register(device, WIPING_KEY)
        passthrough.reserve_out(device, passthrough.CLEAR, key=WIPING_KEY).check()

    def wipe(self) -> None:
        """No keys, no reservations, no unit attentions, anywhere."""
        for disk in self.layout.all_disks:
            if disk.reservations:
                self.clear(disk.number)
        for path in self._table.values():
            assert self.drain(path.generic), f"{path} is not ready"

    def drain(self, generic: str, attempts: int = 8) -> bool:
        """Take what unit attentions wait at a path; whether it is ready then."""
        return any(passthrough.test(generic).is_good for _ in range(attempts))

    def wait_for(self, condition: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not so after {within_s:g} s"
            time.sleep(0.05)


def register(generic: str, key: int) -> None:
    """Register a nexus, whatever key it had, without any tool; unit attentions that wait there are gone then."""
    while passthrough.test(generic).is_attention:
        pass
    passthrough.reserve_out(generic, passthrough.REGISTER_AND_IGNORE_EXISTING_KEY, new_key=key).check()


def reserve(generic: str, key: int) -> None:
    """Reserve for the registrants only, through a nexus that is registered, without any tool."""
    passthrough.reserve_out(generic, passthrough.RESERVE, key=key, kind=REGISTRANTS_ONLY).check()


def sg_persist(*words: str) -> subprocess.CompletedProcess[str]:
    """The real tool, as it is."""
    return subprocess.run(["sg_persist", *words], capture_output=True, text=True, timeout=60, check=False)
