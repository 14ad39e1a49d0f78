"""One action at a time for a service: a lock that tells who holds it and goes away with its process."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from vmsvc.core.errors import ActionFailed, Busy
from vmsvc.core.node import Node

#: The ending of the note in which a lock's holder tells of itself.
_HOLDER = ".holder"


def holder_of(node: Node, service: str) -> str:
    """Which other process is acting on a service right now, for people.

    Takes no lock, not even for a moment: an action that comes meanwhile must not find it held by a mere look. So it
    believes the holder's own words while its process lives: that very one, and not another that has got its pid since.

    Args:
        node: The node whose locks are looked at.
        service: The service's name.

    Returns:
        Such as ``start by pid 4711 since 21:03:12``; empty when no other process acts.
    """
    words, pid = _living_holder(_holder_path(node, service))
    return "" if pid == os.getpid() else words


def with_holders(node: Node) -> frozenset[str]:
    """The services that may have a holder: one look for all those that :func:`holder_of` can tell nothing of.

    Args:
        node: The node whose locks are looked at.
    """
    try:
        names = os.listdir(node.run_dir / "locks")  # noqa: PTH208 - names are wanted, not a path for each
    except OSError:
        return frozenset()
    return frozenset(name.removesuffix(_HOLDER) for name in names if name.endswith(_HOLDER))


@contextlib.contextmanager
def service_lock(
    node: Node, service: str, intent: str, *, timeout_s: float, cancelled: threading.Event | None = None
) -> Iterator[None]:
    """Hold the lock of a service.

    Args:
        node: The node that acts.
        service: The service's name.
        intent: The action, for those who wait.
        timeout_s: How long to wait for another holder, in seconds.
        cancelled: Set it from elsewhere to wait no longer.

    Raises:
        Busy: Another process still holds it after that time; the message tells which.
        ActionFailed: The wait was cancelled, or the lock cannot be made, for want of permission or space.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - slow to load, and looking takes no lock

    path = _lock_path(node, service)
    holder = _holder_path(node, service)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=timeout_s, poll_interval=0.05, cancel_check=cancelled.is_set if cancelled else None)
    except Timeout:
        if cancelled and cancelled.is_set():
            raise ActionFailed(
                f"interrupted while it waited for another action on {service}; nothing was done",
                code="action.interrupted",
            ) from None
        words, _ = _living_holder(holder)
        raise Busy(
            f"another action on {service} is going on: {words or 'its holder left no name'}",
            hint="wait for it to end; see `vmsvc status` for what it has done so far",
        ) from None
    except OSError as error:
        raise ActionFailed(
            f"the lock of {service} cannot be taken: {error.strerror}: {path}",
            code="lock.unavailable",
            hint="run as root, or choose another root with VMSVC_ROOT",
        ) from error
    try:
        # Best effort: who waits is told less on a full disk, and loses nothing.
        with contextlib.suppress(OSError):
            pid = os.getpid()
            holder.write_text(
                json.dumps({"intent": intent, "pid": pid, "born": _born(pid), "since": time.time()}), encoding="utf-8"
            )
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _lock_path(node: Node, service: str) -> Path:
    return node.run_dir / "locks" / f"{service}.lock"


def _holder_path(node: Node, service: str) -> Path:
    return node.run_dir.joinpath("locks", f"{service}{_HOLDER}")


def _living_holder(path: Path) -> tuple[str, int]:
    """What the holder says of itself, and its pid; nothing and 0 where it said nothing, or has ended since."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        pid, born = int(note["pid"]), int(note["born"])
        since = time.strftime("%H:%M:%S", time.localtime(note["since"]))
        words = f"{note['intent']} by pid {pid} since {since}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "", 0
    return (words, pid) if _born(pid) == born != 0 else ("", 0)


def _born(pid: int) -> int:
    """When a process began, in clock ticks since the machine's; 0 where there is none but perhaps a zombie.

    Fields 3 and 22 of ``/proc/PID/stat``, proc(5). Together with it, a pid names one process and no later one.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return 0 if after_name[0] in ("Z", "X") else int(after_name[19])
    except (OSError, IndexError, ValueError):
        return 0
