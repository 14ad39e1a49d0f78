"""Lanes: call an API client that can block for ever, without ever blocking for ever.

A lane runs one daemon thread that *owns* a connection: it opens it, and every call runs in that thread. A call that
misses its deadline takes its thread with it: the thread is abandoned, still blocked and still holding its connection,
and the next call gets a new one. Because the connection lives in the blocked thread's own frame, nobody else can close
it by accident (closing blocks too, when the other end has stopped), and the interpreter's exit waits for neither.

Abandoned threads are counted for each lane name in the whole process. At the limit, calls fail at once instead of
adding another; when an abandoned call returns after all, its thread ends and the count goes down.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from vmsvc.core.deadline import left_until
from vmsvc.core.errors import TIMED_OUT, Undetermined, told

C = TypeVar("C")
S = TypeVar("S")
T = TypeVar("T")

#: How often the caller of :func:`call_each` looks around while it waits, in seconds.
_LOOK_AROUND_S = 0.05

_abandoned: Counter[str] = Counter()
_abandoned_guard = threading.Lock()


class _Call:
    """One piece of work on its way through a lane's thread."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None


class _Worker(Generic[C]):
    """A daemon thread that owns one connection."""

    def __init__(self, name: str, connect: Callable[[], C], disconnect: Callable[[C], object]) -> None:
        self._name = name
        self._connect = connect
        self._disconnect = disconnect
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._is_abandoned = False
        self._has_ended = False
        threading.Thread(target=self._run, name=f"vmsvc lane {name}", daemon=True).start()

    def submit(self, work: Callable[[C], T]) -> _Call:
        call = _Call(work)
        self._calls.put(call)
        return call

    def finish(self) -> None:
        self._calls.put(None)

    def abandon(self) -> None:
        with _abandoned_guard:
            if not self._has_ended:
                self._is_abandoned = True
                _abandoned[self._name] += 1
        self.finish()

    def _run(self) -> None:
        connection: C | None = None
        connected = False
        while (call := self._calls.get()) is not None:
            try:
                if not connected:
                    connection, connected = self._connect(), True
                if self._is_abandoned:
                    break  # its caller gave up while the connection was opened: nothing may be done for it any more
                call.result = call.work(connection)
            except Exception as error:  # noqa: BLE001 - it belongs to the caller, who raises it
                call.error = error
            except BaseException as error:  # noqa: BLE001 - a client that calls sys.exit() must not end the program
                call.error = Undetermined(f"{self._name} broke off with {told(error)}")
            call.done.set()
            del call
        if connected:
            with contextlib.suppress(Exception):
                self._disconnect(connection)  # type: ignore[arg-type]
        with _abandoned_guard:
            self._has_ended = True
            if self._is_abandoned:
                _abandoned[self._name] -= 1


class Lane(Generic[C]):
    """One connection, used by one call at a time, each with a deadline.

    Args:
        name: What is at the other end, for messages; abandoned threads are counted by it.
        connect: Opens the connection; called in the lane's thread, when the first call comes.
        disconnect: Closes it; called in the lane's thread.
        is_broken: Whether an error of a call means that the connection is of no more use; the next call opens another.
        max_abandoned: How many threads may be lost to this name before calls fail at once.

    >>> lane = Lane("a list", connect=lambda: [1, 2, 3], disconnect=lambda numbers: None)
    >>> lane.call(sum, budget_s=1.0)
    6
    >>> lane.close()
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[], C],
        disconnect: Callable[[C], object],
        is_broken: Callable[[Exception], bool] | None = None,
        max_abandoned: int = 3,
    ) -> None:
        self._name = name
        self._connect = connect
        self._disconnect = disconnect
        self._is_broken = is_broken
        self._max_abandoned = max_abandoned
        self._turn = threading.Lock()
        self._worker: _Worker[C] | None = None

    def call(self, work: Callable[[C], T], *, budget_s: float) -> T:
        """Run ``work`` with the connection, in the lane's thread.

        Args:
            work: Called with the connection. Its objects must not outlive it: return plain data.
            budget_s: How long opening, waiting for one's turn and the work may take together, in seconds.

        Returns:
            What ``work`` returned.

        Raises:
            Undetermined: The deadline was missed, now or by too many earlier calls.
            Exception: Whatever ``connect`` or ``work`` raised.
        """
        deadline = time.monotonic() + budget_s
        if not self._turn.acquire(timeout=max(budget_s, 0.0)):
            raise Undetermined(f"{self._name}: an earlier call was still going on after {budget_s:.1f} s")
        try:
            worker = self._ready_worker()
            call = worker.submit(work)
            if not call.done.wait(left_until(deadline)):
                self._worker = None
                worker.abandon()
                raise Undetermined(f"{self._name} did not answer within {budget_s:.1f} s", code=TIMED_OUT)
            if call.error is not None:
                if self._is_broken is not None and self._is_broken(call.error):
                    self.close()
                raise call.error
            result: T = call.result
            return result
        finally:
            self._turn.release()

    def close(self) -> None:
        """Let the thread close its connection and end; returns at once."""
        if self._worker is not None:
            self._worker.finish()
            self._worker = None

    def _ready_worker(self) -> _Worker[C]:
        if self._worker is None:
            lost = _abandoned[self._name]
            if lost >= self._max_abandoned:
                raise Undetermined(
                    f"{self._name} is not answering: {lost} earlier calls have not returned",
                    code="undetermined.not-answering",
                )
            self._worker = _Worker(self._name, self._connect, self._disconnect)
        return self._worker


def call_within(name: str, work: Callable[[], T], *, budget_s: float, max_abandoned: int = 8) -> T:
    """Call code that ought to keep its own deadline, and go on without it where it does not.

    Args:
        name: Whose code it is, for messages; abandoned threads are counted by it.
        work: What to call.
        budget_s: How long it may take, in seconds.
        max_abandoned: How many threads may be lost to this name before calls fail at once.

    Returns:
        What ``work`` returned.

    Raises:
        Undetermined: The deadline was missed, now or by too many earlier calls.
        Exception: Whatever ``work`` raised.
    """
    lane: Lane[None] = Lane(name, connect=lambda: None, disconnect=lambda _: None, max_abandoned=max_abandoned)
    try:
        return lane.call(lambda _: work(), budget_s=budget_s)
    finally:
        lane.close()


def call_each(
    work: Callable[[S], T],
    items: Sequence[S],
    *,
    deadline: float,
    width: int,
    name: str = "vmsvc lane",
    meanwhile: Callable[[], None] | None = None,
) -> list[T | None]:
    """Do many pieces of work that wait for others, some at once, and return what is there at the deadline.

    The threads are daemons: neither the caller nor the interpreter's exit waits for one that hangs. None begins another
    piece of work after the deadline.

    Args:
        work: Called with each item, in any thread.
        items: The items.
        deadline: When to return at the latest, on the monotonic clock.
        width: How many are worked on at once.
        name: What the threads are called.
        meanwhile: Called in this thread several times a second until all is done; what it raises ends the waiting.

    Returns:
        What the work returned, in the order of the items; ``None`` where it had not by the deadline.

    Raises:
        Exception: What the work raised, as soon as it is known.
    """
    todo = deque(enumerate(items))
    done: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        with contextlib.suppress(IndexError):  # nothing is left to do
            while time.monotonic() < deadline:
                index, item = todo.popleft()
                done.put((index, *_outcome(work, item)))

    for _ in items[:width]:
        threading.Thread(target=run, name=name, daemon=True).start()
    answers: list[T | None] = [None] * len(items)
    try:
        for _ in items:
            index, answer, error = _next(done, deadline, meanwhile)
            if error is not None:
                raise error
            answers[index] = answer
    except queue.Empty:
        pass  # the deadline has passed
    finally:
        todo.clear()
    return answers


def _next(done: queue.SimpleQueue[T], deadline: float, meanwhile: Callable[[], None] | None) -> T:
    """What is done next; raises ``Empty`` at the deadline."""
    while meanwhile is not None and deadline - time.monotonic() > _LOOK_AROUND_S:
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=_LOOK_AROUND_S)
        meanwhile()
    return done.get(timeout=left_until(deadline))


def _outcome(work: Callable[[S], T], item: S) -> tuple[T | None, BaseException | None]:
    try:
        return work(item), None
    except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who raises it
        return None, error
