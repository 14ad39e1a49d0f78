"""Takes or releases disks, and dies at a given request: killed, as by `kill -9`, before it is made or right after.

Usage: crasher.py acquire|release KEY NUMBER before|after WWID=PATH,PATH... It exits with 0 if it was done before that.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys

from tests.lab.scsi.quick import QuickHost
from vmsvc.core.vmdg.attempt import acquire, release
from vmsvc.core.vmdg.seen import ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.tools.sg_persist import SgPersist


class Mortal(SgPersist):
    """A tool whose process dies at one of its operations."""

    def __init__(self, number, when):
        super().__init__(QuickHost())
        self._number, self._when, self._count = number, when, itertools.count()

    def perform(self, disk, operation, **deadline):
        is_last = next(self._count) == self._number
        if is_last and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        performed = super().perform(disk, operation, **deadline)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return performed


def main(action, key, number, when, *disks):
    known = [
        ScsiDisk(name=wwid, wwid=wwid, paths=tuple(paths.split(",")))
        for wwid, paths in (word.split("=") for word in disks)
    ]
    attempt = {"acquire": acquire, "release": release}[action](known, int(key, 16))
    result = carry_out(attempt, Mortal(int(number), when), budget_s=60, parallel=1)
    assert not result.reasons


if __name__ == "__main__":
    main(*sys.argv[1:])
