"""A peer: a node with a root of its own on this machine, behind a real sshd."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.e2e.node import Node
from tests.support import drivers_but

SOURCES = str(Path(__file__).parents[2] / "src")


def tools_of(directory: Path, root: Path, name: str) -> Path:
    """A directory with a `vmsvc` that is the node of that name and root, whoever calls it."""
    tools = directory / f"tools-{name}"
    tools.mkdir()
    program = tools / "vmsvc"
    program.write_text(
        "#!/bin/sh\n"
        f"export VMSVC_ROOT={root} VMSVC_NODENAME={name} PYTHONPATH={SOURCES}\n"
        f"export VMSVC_DISABLE_PLUGINS={drivers_but('null')}\n"
        f'exec {sys.executable} -m vmsvc "$@"\n'
    )
    program.chmod(0o755)
    return tools


class Peer(Node):
    """A node, and the sshd by which its peers reach it."""

    def __init__(self, make_sshd, directory: Path, name: str) -> None:
        super().__init__(directory / name)
        self.name = name
        self.environment["VMSVC_NODENAME"] = name
        self.home = directory / f"home-{name}"
        (self.home / ".ssh").mkdir(parents=True)
        self.environment["HOME"] = str(self.home)
        self.environment.pop("SSH_AUTH_SOCK", None)
        tools = tools_of(directory, self.root, name)
        # The private home would hide a Python that is in root's.
        self.server = make_sshd(home=self.home, environment=f"PATH={tools}:{os.environ['PATH']}")

    def knows(self, *others: Peer) -> None:
        """Have its administrator be let in at others by ssh."""
        text = "".join(other.server.config.read_text().replace("Host guest", f"Host {other.name}") for other in others)
        (self.home / ".ssh/config").write_text(text)
