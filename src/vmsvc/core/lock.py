"""One action at a time for a service: a lock that tells who holds it and goes away with its process."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from vmsvc.core.errors import ActionFailed, Busy
from vmsvc.core.node import Node


def holder_of(node: Node, service: str) -> str:
    """Which other process is acting on a service right now, for people.

    Takes no lock, not even for a moment: an action that comes meanwhile must not find it held by a mere look. So it
    believes the holder's own words while its process lives.

    Args:
        node: The node whose locks are looked at.
        service: The service's name.

    Returns:
        Such as ``start by pid 4711 since 21:03:12``; empty when no other process acts.
    """
    words, pid = _words_of(_lock_path(node, service))
    return words if pid != os.getpid() and _lives(pid) else ""


@contextlib.contextmanager
def service_lock(node: Node, service: str, intent: str, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a service.

    Args:
        node: The node that acts.
        service: The service's name.
        intent: The action, for those who wait.
        timeout_s: How long to wait for another holder, in seconds.

    Raises:
        Busy: Another process still holds it after that time; the message tells which.
        ActionFailed: The lock cannot be made, for want of permission or space.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - slow to load, and looking takes no lock

    path = _lock_path(node, service)
    holder = path.with_suffix(".holder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=timeout_s, poll_interval=0.05)
    except Timeout:
        raise Busy(
            f"another action on {service} is going on: {_words_of(path)[0]}",
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
            holder.write_text(json.dumps({"intent": intent, "pid": os.getpid(), "since": time.time()}))
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _lock_path(node: Node, service: str) -> Path:
    return node.run_dir / "locks" / f"{service}.lock"


def _words_of(lock_path: Path) -> tuple[str, int]:
    """What the holder says of itself, and its pid; 0 where it said nothing."""
    try:
        holder = json.loads(lock_path.with_suffix(".holder").read_text())
        since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
        return f"{holder['intent']} by pid {holder['pid']} since {since}", int(holder["pid"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "its holder left no name", 0


def _lives(pid: int) -> bool:
    """Whether a process exists and is more than a zombie: proc(5) on ``stat``."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return False
