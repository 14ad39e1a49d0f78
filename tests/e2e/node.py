"""A node of its own on the simulated hypervisor, and its command line as processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from vmsvc_null import Hypervisor

from tests import documents
from tests.support import drivers_but

VMSVC = (sys.executable, "-m", "vmsvc")
#: What ping says, by whether somebody has answered, and its exit code: iputils 20221126.
_PING = {
    True: ("64 bytes from 192.0.2.7: icmp_seq=1 ttl=64 time=0.4 ms\n1 packets transmitted, 1 received", 0),
    False: ("1 packets transmitted, 0 received, 100% packet loss, time 0ms", 1),
}


class Node:
    """A node of our own, and its command line."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hypervisor = Hypervisor.of_node(root)
        self.services_dir = root / "etc/vmsvc/services"
        self.services_dir.mkdir(parents=True)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "TERM")},
            "VMSVC_ROOT": str(root),
            "VMSVC_NODENAME": "n1",
            "VMSVC_DISABLE_PLUGINS": drivers_but("null"),
            "TERM": "xterm",
        }

    def add(self, name: str, *lines: str, default: tuple[str, ...] = ("nodes = n1",)) -> Path:
        path = self.services_dir / f"{name}.conf"
        path.write_text("\n".join(["[DEFAULT]", *default, "[container#1]", "type = null", *lines, ""]))
        return path

    def pings(self, directory: Path, *, answered: bool) -> None:
        """Have everybody answer its pings, or nobody: another `ping` is made in a directory, and found there first."""
        words, code = _PING[answered]
        directory.mkdir()
        (directory / "ping").write_text(f"#!/bin/sh\necho '{words}'\nexit {code}\n")
        (directory / "ping").chmod(0o755)
        self.environment["PATH"] = f"{directory}:{self.environment['PATH']}"

    def run(self, *words: str, program: tuple[str, ...] = VMSVC, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*program, *words],
            env={**self.environment, **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def json(self, *words: str, **environment: str) -> tuple[int, Any]:
        """The exit code and the document, which is what its published schema says."""
        done = self.run("--format", "json", *words, **environment)
        return done.returncode, documents.checked(done.stdout)

    def begin(self, *words: str, program: tuple[str, ...] = VMSVC) -> subprocess.Popen:
        return subprocess.Popen(
            [*program, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )

    def wait_for(self, machine: str, phase: str) -> None:
        deadline = time.monotonic() + 20
        while self.hypervisor.machine(machine).phase != phase:
            assert time.monotonic() < deadline, f"{machine} never was {phase}"
            time.sleep(0.02)
