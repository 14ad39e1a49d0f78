"""Clauses about the end: a driver that is closed leaves no connection, no thread and no process.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

from vmsvc.core.errors import Undetermined
from vmsvc.core.lane import call_within
from vmsvc.core.status import Phase
from vmsvc.testing.kit.bench import Bench
from vmsvc.testing.kit.clause import clause

#: How long a driver may take to give up its connections, in seconds; and what a busy machine may add.
_CLOSE_S, _GRACE_S = 1.0, 0.5
#: How long a process may take to be gone, in seconds.
_GONE_S = 3.0
#: Of prctl(2): processes that lose their parent become children of this one, and not of init.
_PR_SET_CHILD_SUBREAPER = 36


@clause("close")
def closing_is_prompt(bench: Bench) -> None:
    """A session closes its drivers when it ends: one that waits for a daemon that hangs keeps the operator waiting."""
    up = bench.running("up")
    with bench.trouble("hung", or_none=True) as _:
        bench.observe(up, budget_s=bench.backend.short_s)
        for _ in range(2):
            begin = time.monotonic()
            try:
                call_within("close in the kit", bench.driver.close, budget_s=_CLOSE_S + _GRACE_S)
            except Undetermined:
                raise AssertionError(
                    f"close had not returned after {time.monotonic() - begin:.1f} s; it has {_CLOSE_S:g} s"
                ) from None


@clause("processes")
def no_process_is_left(bench: Bench) -> None:
    """A process that is left with each look fills the node's table within days."""
    with _adopting():
        before = set(_processes_of_ours())
        guest = bench.running("web")
        bench.observe_all(guest)
        for read in bench.reads().values():
            read(guest)
        bench.backend.ready(guest)
        bench.stop(guest)
        with bench.trouble("hung", or_none=True):
            bench.observe(guest, budget_s=bench.backend.short_s)
        bench.do("start", guest)
        bench.true(guest, Phase.RUNNING)
        bench.do("kill", guest)
        bench.true(guest, Phase.STOPPED)
        bench.driver.close()
        bench.backend.close()
        deadline = time.monotonic() + _GONE_S
        while (left := set(_processes_of_ours()) - before) and time.monotonic() < deadline:
            time.sleep(0.05)
        told = "; ".join(f"{pid} {_command(pid)}" for pid in sorted(left))
    assert not left, f"the guest has stopped, the driver is closed, and there still run: {told}"


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of whatever loses its own: a process that has cut itself loose is found all the same."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _processes_of_ours() -> Iterator[int]:
    """What runs below this process; one that has ended and is only not waited for does not count."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            state, parent, *_ = file.read_text(errors="replace").rpartition(")")[2].split()
            if state != "Z":
                children.setdefault(int(parent), []).append(int(file.parent.name))
    below = [os.getpid()]
    while below:
        found = children.get(below.pop(), [])
        yield from found
        below += found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="backslashreplace").strip()
    return ""
