"""Clauses about the end: a driver that is closed leaves no connection, no thread and no process.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
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
#: Every process that a driver starts inherits it.
_MARK = "VMSVC_KIT"


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
    with _marked() as mark:
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
        while (left := list(_left(mark))) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not left, f"the guest has stopped, the driver is closed, and there still run: {'; '.join(left)}"


@contextlib.contextmanager
def _marked() -> Iterator[str]:
    """Mark the processes that are started from now on."""
    mark = secrets.token_hex(8)
    os.environ[_MARK] = mark
    try:
        yield f"{_MARK}={mark}"
    finally:
        del os.environ[_MARK]


def _left(mark: str) -> Iterator[str]:
    """What still runs of the processes that were marked; proc(5) has both files."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if int(process.name) != os.getpid() and mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="backslashreplace")
                yield f"{process.name} {words.strip()}"
