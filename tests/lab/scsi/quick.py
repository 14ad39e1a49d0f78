"""Runs commands without vmsvc's helper process, whose forks take long in a kernel that is a process itself."""

from __future__ import annotations

import os
import subprocess
import time

from vmsvc.core.transport import Outcome


class QuickHost:
    """A host as vmsvc knows it."""

    name = "quick"

    def run(self, argv, *, budget_s, environment=None):
        started = time.monotonic()
        env = {**os.environ, **(environment or {})}
        done = subprocess.run(argv, env=env, capture_output=True, timeout=budget_s, check=False)
        return Outcome(
            argv=tuple(argv),
            code=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
            duration_s=time.monotonic() - started,
        )

    def close(self):
        pass
