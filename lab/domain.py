"""A guest of a private libvirtd, driven with virsh: what tests set up, look at and throw away."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from lab import LabError
from lab.guest import READY, Disk, GuestImage, domain_xml, wait_for_console
from lab.libvirtd import PrivateLibvirtd


class GuestOptions(TypedDict, total=False):
    """What can be chosen about a guest; see `lab.guest.domain_xml`."""

    uuid: str
    domain_type: str
    memory_mib: int
    cmdline: str
    slow_shutdown: float
    hang: bool
    disks: list[Path | Disk]
    agent: bool
    ssh_port: int
    taps: list[str]
    bridges: list[str]


@dataclass(frozen=True)
class Guest:
    """A domain that was defined; it may run or not."""

    libvirtd: PrivateLibvirtd
    name: str
    uuid: str
    console: Path

    @property
    def state(self) -> str:
        """What libvirt says, such as "running" or "shut off"."""
        return self.libvirtd.virsh("domstate", self.uuid)

    @property
    def pid(self) -> int | None:
        """Its qemu process."""
        return self.libvirtd.guest_pid(self.name)

    def start(self) -> None:
        """Start it; it takes some seconds more until it is ready."""
        self.libvirtd.virsh("start", self.uuid)

    def wait_ready(self, timeout: float = 90) -> str:
        """Wait for the end of its boot."""
        return wait_for_console(self.console, READY, timeout)

    def wait_console(self, pattern: str, timeout: float = 60) -> str:
        """Wait for a line on its console."""
        return wait_for_console(self.console, pattern, timeout)

    def wait_state(self, state: str, timeout: float = 60) -> None:
        """Wait until libvirt gives it this state."""
        deadline = time.monotonic() + timeout
        while (now := self.state) != state:
            if time.monotonic() > deadline:
                raise LabError(f"{self.name!r} is {now!r}, and not {state!r} within {timeout:g} s")
            time.sleep(0.05)

    def remove(self) -> None:
        """Destroy and undefine it, whatever its state; a guest that is gone already is fine."""
        for verb in ("destroy", "undefine"):
            self.libvirtd.virsh(verb, self.uuid, check=False)


def define_guest(libvirtd: PrivateLibvirtd, image: GuestImage, name: str, options: GuestOptions | None = None) -> Guest:
    """Define a guest that boots the image; it is not started."""
    options = GuestOptions(**(options or {}))
    identity = options.setdefault("uuid", str(uuid.uuid4()))
    console = libvirtd.directory / f"{identity}.console"
    xml = domain_xml(name, kernel=image.kernel, initrd=image.initrd, console=console, **options)
    description = libvirtd.directory / f"{identity}.{os.getpid()}.xml"
    description.write_text(xml)
    try:
        libvirtd.virsh("define", description)
    finally:
        with contextlib.suppress(FileNotFoundError):
            description.unlink()
    return Guest(libvirtd, name, identity, console)
