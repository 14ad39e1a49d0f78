"""One action at a time for a service: a lock that tells who holds it and goes away with its process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from vmsvc.core.errors import INTERRUPTED, ActionFailed, Busy
from vmsvc.core.node import Node

#: The ending of the note in which a lock's holder tells of itself.
_HOLDER = ".holder"


def holder_of(node: Node, service: str) -> str:
    """Which other process is acting on a service right now, for people.

    Believes the holder's own words while its process lives: that very one, and not another that has got its pid since.
    Where these leave it open (words that cannot be read, a process that cannot be seen), the lock itself is tried for a
    moment. Otherwise it takes no lock: an action that comes meanwhile must not find it held by a mere look.

    Args:
        node: The node whose locks are looked at.
        service: The service's name.

    Returns:
        Such as ``start by pid 4711 since 21:03:12``; empty when no other process acts. What cannot be told counts as an
        action, and says why.
    """
    path = _holder_path(node, service)
    words, pid = _living_holder(path)
    if words:
        return "" if pid == os.getpid() else words
    try:
        path.stat()
    except FileNotFoundError:
        return ""
    except OSError:
        pass  # the lock beside it may say more
    return _held_namelessly(_lock_path(node, service))


def with_holders(node: Node, services: Iterable[str]) -> frozenset[str]:
    """The services that may have a holder: one look for all those that :func:`holder_of` can tell nothing of.

    Args:
        node: The node whose locks are looked at.
        services: The names of those that matter.
    """
    try:
        names = os.listdir(node.run_dir / "locks")  # noqa: PTH208 - names are wanted, not a path for each
    except FileNotFoundError:
        return frozenset()
    except OSError:
        return frozenset(services)
    return frozenset(services) & {name.removesuffix(_HOLDER) for name in names if name.endswith(_HOLDER)}


@contextlib.contextmanager
def service_lock(
    node: Node,
    service: str,
    intent: str,
    *,
    timeout_s: float,
    cancelled: threading.Event | None = None,
    must_tell: bool = False,
) -> Iterator[None]:
    """Hold the lock of a service.

    Args:
        node: The node that acts.
        service: The service's name.
        intent: The action, for those who wait.
        timeout_s: How long to wait for another holder, in seconds.
        cancelled: Set it from elsewhere to wait no longer.
        must_tell: Whether others rely on hearing of the action, as peers do of a start: it fails if it cannot tell.

    Raises:
        Busy: Another process still holds it after that time; the message tells which.
        ActionFailed: The wait was cancelled, or the lock cannot be made, for want of permission or space;
            or nobody could hear of an action that others rely on hearing of.
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
                code=INTERRUPTED,
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
        try:
            _tell(holder, intent)
        except OSError as error:
            # A stop must work on a full disk, too: who waits is told less, and loses nothing.
            if must_tell:
                raise ActionFailed(
                    f"{intent} of {service} was not begun: the other nodes could not hear of it: "
                    f"{error.strerror}: {holder}",
                    code="lock.cannot-tell",
                    hint="make room there, or mend that file system",
                ) from error
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _lock_path(node: Node, service: str) -> Path:
    return node.run_dir / "locks" / f"{service}.lock"


def _holder_path(node: Node, service: str) -> Path:
    return node.run_dir.joinpath("locks", f"{service}{_HOLDER}")


def _tell(holder: Path, intent: str) -> None:
    import json  # noqa: PLC0415 - most looks find nobody who has left word, and need none of it

    pid = os.getpid()
    note = {"intent": intent, "pid": pid, "born": _born(pid), "since": time.time()}
    holder.write_text(json.dumps(note), encoding="utf-8")


def _held_namelessly(lock: Path) -> str:
    """Whether anybody holds a lock, by trying it: for people; empty where nobody does."""
    import fcntl  # noqa: PLC0415 - hardly ever needed

    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return ""
    except BlockingIOError:
        return "an action of a process that left no name"
    except OSError as error:
        return f"an action, for all that can be told: {error.strerror}: {lock}"
    return ""


def _living_holder(path: Path) -> tuple[str, int]:
    """What the holder says of itself, and its pid; nothing and 0 where it said nothing, or has ended since."""
    import json  # noqa: PLC0415

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
