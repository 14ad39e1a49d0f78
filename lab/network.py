"""Machines that are network namespaces on one switch: with adapters and addresses of their own, and shared files.

Nothing outside of them is touched: the switch is in a namespace of its own, too.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import TYPE_CHECKING

from lab import Closing, LabError

if TYPE_CHECKING:
    from typing_extensions import Self

_numbers = itertools.count()


class Network(Closing):
    """A switch, and machines `here` and `there` that are plugged into it by their adapters.

    The names of the namespaces have this process's id in them.
    """

    def __init__(self) -> None:
        self._prefix = f"vmsvc-{os.getpid()}-{next(_numbers)}"
        self.here, self.there = f"{self._prefix}-here", f"{self._prefix}-there"
        self._switch = f"{self._prefix}-sw"
        self._plugs = itertools.count()
        self._ports: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        """Make the switch and the machines, without adapters."""
        try:
            for name in (self._switch, self.here, self.there):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
            ip("-n", self._switch, "link", "set", "br0", "up")
        except LabError:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Take everything away again; what is not there is no trouble."""
        for name in (self._switch, self.here, self.there):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def plug(self, machine: str, adapter: str, *addresses: str) -> str:
        """Give a machine an adapter with a cable to the switch, and addresses that it does not check.

        Returns the adapter's MAC.
        """
        port = self._ports[machine, adapter] = f"port{next(self._plugs)}"
        ip("-n", machine, "link", "add", adapter, "type", "veth", "peer", "name", port, "netns", self._switch)
        ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        ip("-n", machine, "link", "set", adapter, "up")
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            ip("-n", machine, "addr", "add", address, "dev", adapter, *extra)
        return self.run(machine, "cat", f"/sys/class/net/{adapter}/address").strip()

    def plug_in(self, adapter: str) -> None:
        """Plug an adapter of this machine into the switch, such as a guest's; it is this machine's no more."""
        ip("link", "set", adapter, "netns", self._switch)
        ip("-n", self._switch, "link", "set", adapter, "master", "br0", "up")

    def cut(self, machine: str, adapter: str) -> None:
        """Pull an adapter's cable out of the switch."""
        ip("-n", self._switch, "link", "set", self._ports[machine, adapter], "down")

    def mend(self, machine: str, adapter: str) -> None:
        """Put it in again."""
        ip("-n", self._switch, "link", "set", self._ports[machine, adapter], "up")

    def run(self, machine: str, *argv: str) -> str:
        """Run a command on a machine, and return what it printed."""
        done = subprocess.run(self.entered(machine, *argv), capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"{argv} on {machine} exited with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def entered(self, machine: str, *argv: str) -> list[str]:
        """A command as one that runs on a machine."""
        return ["ip", "netns", "exec", machine, *argv]


def ip(*words: str) -> None:
    """Have iproute2 do something, or say what it has against it."""
    try:
        subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise LabError("ip is not installed") from error
    except subprocess.CalledProcessError as error:
        raise LabError(f"ip {' '.join(words)}: {error.stderr.strip()}") from error
