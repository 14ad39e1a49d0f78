"""A peer: a node with a root of its own on this machine, behind a real sshd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.node import VMSVC, Node
from tests.support import drivers_but

SOURCES = str(Path(__file__).parents[2] / "src")


def tools_of(directory: Path, root: Path, name: str, driver: str = "null") -> Path:
    """A directory with a `vmsvc` that is the node of that root, whoever calls it."""
    tools = directory / f"tools-{name}"
    tools.mkdir()
    program = tools / "vmsvc"
    program.write_text(
        "#!/bin/sh\n"
        f"export VMSVC_ROOT={root} PYTHONPATH={SOURCES}\n"
        f"export VMSVC_DISABLE_PLUGINS={drivers_but(driver)}\n"
        f'exec {sys.executable} -m vmsvc "$@"\n'
    )
    program.chmod(0o755)
    return tools


class Peer(Node):
    """A node, and the sshd by which its peers reach it; both in a machine of their own, where `within` leads there."""

    def __init__(
        self, make_sshd, directory: Path, name: str, *, driver: str = "null", within: Sequence[str] = (), **options
    ) -> None:
        super().__init__(directory / name)
        self.name = name
        self.within = tuple(within)
        self.environment["VMSVC_NODENAME"] = name
        self.environment["VMSVC_DISABLE_PLUGINS"] = drivers_but(driver)
        self.home = directory / f"home-{name}"
        (self.home / ".ssh").mkdir(parents=True)
        self.environment["HOME"] = str(self.home)
        self.environment.pop("SSH_AUTH_SOCK", None)
        self.tools = tools_of(directory, self.root, name, driver)
        # The private home would hide a Python that is in root's.
        named = f"PATH={self.tools}:{os.environ['PATH']} VMSVC_NODENAME={name}"
        self.server = make_sshd(home=self.home, environment=named, within=within, **options)

    def run(self, *words: str, program: tuple[str, ...] = VMSVC, **environment: str) -> subprocess.CompletedProcess:
        return super().run(*words, program=(*self.within, *program), **environment)

    def begin(self, *words: str, program: tuple[str, ...] = VMSVC) -> subprocess.Popen:
        return super().begin(*words, program=(*self.within, *program))

    def knows(self, *others: Peer) -> None:
        """Have its administrator be let in at others by ssh."""
        text = "".join(other.server.config.read_text().replace("Host guest", f"Host {other.name}") for other in others)
        (self.home / ".ssh/config").write_text(text)
