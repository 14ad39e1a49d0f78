"""A switch of this machine, for guests that are to be reached by the network: with an address of the machine's own.

Its name and its network are nobody else's, and it goes when its block is left.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab import Closing, LabError
from lab.network import ip

if TYPE_CHECKING:
    from typing_extensions import Self


class Bridge(Closing):
    """A bridge with an address of this machine.

    Attributes:
        name: The bridge.
    """

    def __init__(self) -> None:
        self.name = f"lab{os.getpid()}"
        self._number = os.getpid() % 512  # of the networks of 198.18.0.0/15, which RFC 2544 keeps for tests

    def __enter__(self) -> Self:
        """Make it."""
        try:
            ip("link", "add", self.name, "type", "bridge")
            ip("addr", "add", f"{self.address(1)}/24", "dev", self.name)
            ip("link", "set", self.name, "up")
        except LabError:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Take it away again; if it is gone, that is no trouble."""
        subprocess.run(["ip", "link", "delete", self.name], capture_output=True, check=False)

    def address(self, number: int) -> str:
        """An address of its network; 1 is this machine's.

        `number` is from 1 to 254.
        """
        return f"198.{18 + self._number // 256}.{self._number % 256}.{number}"

    def swallow(self, number: int) -> str:
        """Make an address a black hole: what is sent there leaves, and nobody gets it. Returns the address."""
        nobody = ("lladdr", "02:00:00:00:00:01", "nud", "permanent")
        ip("neigh", "replace", self.address(number), "dev", self.name, *nobody)
        return self.address(number)

    @contextlib.contextmanager
    def own(self, number: int) -> Iterator[None]:
        """Let this machine have an address, for a while."""
        address = f"{self.address(number)}/24"
        ip("addr", "add", address, "dev", self.name)
        try:
            yield
        finally:
            ip("addr", "del", address, "dev", self.name)

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Let it pass nothing on, for a while."""
        ip("link", "set", self.name, "down")
        try:
            yield
        finally:
            ip("link", "set", self.name, "up")
