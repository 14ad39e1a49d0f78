"""The qemu processes of this machine: which guests live, and which are stopped while libvirt calls them running.

Only a stop by a signal or a debugger can be told from outside: it lasts until somebody ends it. Sleep in the kernel
(state D), as behind dead storage, looks the same as a disk that is merely busy, and a qemu process whose disks hang
mostly sleeps in a thread other than its first. That is left to libvirt, which reports I/O errors and missed replies.
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

from attrs import frozen

_STOPPED = {"T": "SIGSTOP", "t": "a debugger"}
_DEAD = ("Z", "X", "x")


@frozen(kw_only=True)
class Qemu:
    """A guest's process that lives.

    Attributes:
        pid: Its number.
        uuid: The guest's UUID, in lower case.
        name: The guest's name, as libvirt gives it (``-name guest=NAME,…``); empty where it has none.
        stopped_by: What has stopped the process; empty where it runs.
    """

    pid: int
    uuid: str
    name: str = ""
    stopped_by: str = ""


def qemus(proc: Path = Path("/proc")) -> list[Qemu]:
    """Look at all processes once for those of guests.

    Args:
        proc: Where the kernel shows its processes.

    Returns:
        Those that live, running or stopped. Empty where nobody may look.
    """
    found = []
    with contextlib.suppress(OSError):
        for process in proc.iterdir():
            if process.name.isdecimal():
                with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
                    found += _qemu(process)
    return found


def _qemu(process: Path) -> list[Qemu]:
    """The guest whose process this is: none of others, nor of one that has ended; see proc(5)."""
    words = (process / "cmdline").read_bytes()
    if b"\0-uuid\0" not in words:  # as of nearly all
        return []
    state = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    if state in _DEAD:
        return []
    options = dict(reversed([*itertools.pairwise(words.decode(errors="replace").split("\0"))]))
    uuid, name = options.get("-uuid", ""), options.get("-name", "")
    stopped_by = _STOPPED.get(state, "")
    return [Qemu(pid=int(process.name), uuid=uuid.lower(), name=_guest_name(name), stopped_by=stopped_by)]


def _guest_name(value: str) -> str:
    """The name in ``guest=NAME,debug-threads=on``, where a comma of the name is doubled; see qemu(1) on ``-name``."""
    if not value.startswith("guest="):
        return ""
    return value.removeprefix("guest=").replace(",,", "\0").partition(",")[0].replace("\0", ",")
