"""One kernel that is everything: the target, and several hosts with several paths to its disks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.scsi.disks import Layout
from lab.scsi.kernel import Kernel

BASE_MIB, DISK_MIB = 512, 24


@contextmanager
def kernel_with_disks(
    layout: Layout, *, writable: Sequence[Path] = (), memory_mib: int = 0, budget_s: float = 900
) -> Iterator[Kernel]:
    """A kernel whose disks are ready (some 5 seconds for two hosts).

    Args:
        layout: The hosts, paths and disks.
        writable: Directories of this machine that commands in it write to for real.
        memory_mib: Its memory in MiB; by default, what the disks need.
        budget_s: So many seconds after booting it is ended, come what may.
    """
    memory_mib = memory_mib or BASE_MIB + DISK_MIB * layout.disks
    with Kernel(memory_mib=memory_mib, writable=writable, budget_s=budget_s) as kernel:
        kernel.run([sys.executable, "-m", "lab.scsi.disks", *layout.options], timeout=120).check()
        yield kernel
