"""Work on many services at once, bounded, and break off when the operator interrupts."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TypeVar

from vmsvc.cli.call import unexpected
from vmsvc.core.errors import VmsvcError

S = TypeVar("S")
T = TypeVar("T")

#: How many services are worked on at once, unless the operator says otherwise.
WIDTH = 10
#: How often the waiting thread looks around, in seconds.
_POLL_S = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def each(
    work: Callable[[S], T], items: Sequence[S], *, width: int = WIDTH, meanwhile: Callable[[], None] = lambda: None
) -> list[T | VmsvcError]:
    """Work on items, some at once. The failure of one is its own result, and nobody else's.

    The threads are daemons: an interrupt ends the program without waiting for them.

    Args:
        work: Called with each item, in any thread.
        items: The items.
        width: How many are worked on at once.
        meanwhile: Called in this thread several times a second until all is done.

    Returns:
        What the work returned, or the error that it raised, in the order of the items.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, T | VmsvcError]] = queue.SimpleQueue()
    for index in range(len(items)):
        todo.put(index)

    def worker() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                index = todo.get_nowait()
                done.put((index, _result(work, items[index])))

    for _ in range(min(width, len(items))):
        threading.Thread(target=worker, daemon=True).start()
    results: dict[int, T | VmsvcError] = {}
    while len(results) < len(items):
        meanwhile()
        with contextlib.suppress(queue.Empty):
            index, result = done.get(timeout=_POLL_S)
            results[index] = result
    meanwhile()
    return [results[index] for index in range(len(items))]


def _result(work: Callable[[S], T], item: S) -> T | VmsvcError:
    try:
        return work(item)
    except VmsvcError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a defect met by one service must not hide the others
        return unexpected(error)


@contextlib.contextmanager
def breaking_off(cancelled: threading.Event) -> Iterator[None]:
    """Let the first interrupt, termination or hangup set an event, and the second one raise.

    Args:
        cancelled: The event.
    """

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal handlers are given
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()

    if threading.current_thread() is not threading.main_thread():
        yield  # Python hears signals in the main thread only
        return
    # Under nohup, a hangup is ignored, and stays so.
    caught = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, handle)) for number in caught]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
