"""Guests whose qemu process has been stopped, which libvirt still calls running.

Only a stop by a signal or a debugger can be told from outside: it lasts until somebody ends it. Sleep in the kernel
(state D), as behind dead storage, looks the same as a disk that is merely busy, and a qemu process whose disks hang
mostly sleeps in a thread other than its first. That is left to libvirt, which reports I/O errors and missed replies.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

_STOPPED = {"T": "SIGSTOP", "t": "a debugger"}
_DEAD = ("Z", "X", "x")


def stopped_guests(proc: Path = Path("/proc")) -> dict[str, tuple[int, str]]:
    """Look at all processes once for qemu's that are stopped.

    Args:
        proc: Where the kernel shows its processes.

    Returns:
        By the guest's UUID: the process id, and what stopped it. Empty where nobody may look.
    """
    return {
        uuid: (int(process.name), _STOPPED[state])
        for process, state in _processes(proc)
        if state in _STOPPED and (uuid := _guest_uuid(process))
    }


def living_guests(proc: Path = Path("/proc")) -> set[str]:
    """Look at all processes once for qemu's that live, running or stopped.

    Args:
        proc: Where the kernel shows its processes.

    Returns:
        Their guests' UUIDs.
    """
    return {uuid for process, state in _processes(proc) if state not in _DEAD and (uuid := _guest_uuid(process))}


def _processes(proc: Path) -> Iterator[tuple[Path, str]]:
    """Each process's directory and its state: see proc(5) on ``stat``."""
    with contextlib.suppress(OSError):
        for process in proc.iterdir():
            if process.name.isdecimal():
                with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
                    yield process, (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]


def _guest_uuid(process: Path) -> str:
    """The UUID on a qemu process's command line; empty for other processes."""
    try:
        words = (process / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return ""
    for flag, value in itertools.pairwise(words):
        if flag == "-uuid":
            return value.lower()
    return ""
