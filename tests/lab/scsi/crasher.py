"""Takes or releases disks, and dies at a given command, a read or any other: killed, as by `kill -9`, while it runs.

The command goes on, and is carried out. So what is found then is also what a death just before the next one leaves.

Usage: crasher.py acquire|release KEY NUMBER WWID=PATH,PATH... It exits with 0 if it was done before that.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys

from tests.lab.scsi.quick import QuickHost
from vmsvc.core.vmdg.attempt import acquire, release
from vmsvc.core.vmdg.seen import ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.tools.sg_persist import SgPersist


class Mortal(QuickHost):
    """A host whose process dies at one of the commands that it is to run."""

    def __init__(self, number):
        self._number, self._count = number, itertools.count()

    def run(self, argv, *, budget_s, environment=None):
        if next(self._count) != self._number:
            return super().run(argv, budget_s=budget_s, environment=environment)
        subprocess.Popen(argv, env={**os.environ, **(environment or {})})  # it has our output: who reads that waits
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("alive")


def main(action, key, number, *disks):
    known = [
        ScsiDisk(name=wwid, wwid=wwid, paths=tuple(paths.split(",")))
        for wwid, paths in (word.split("=") for word in disks)
    ]
    attempt = {"acquire": acquire, "release": release}[action](known, int(key, 16))
    result = carry_out(attempt, SgPersist(Mortal(int(number))), budget_s=60, parallel=1)
    assert not result.reasons


if __name__ == "__main__":
    main(*sys.argv[1:])
