"""What actions intended and did, on disk before anything else hears of it.

One file a service, one line a record (JSON), each on disk (``fsync``) before the next thing happens; so after a
``kill -9`` or a power cut the last line tells how far an action had come. Records are only appended: a line that a
crash has torn is skipped when reading, and closed off by the next append.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vmsvc.core.errors import ActionFailed

#: The ending of a journal's name, behind its service's.
SUFFIX = ".jsonl"
#: Every status reads a service's journal: what it has to read stays small. The one before is kept.
_ROTATE_BYTES = 1 << 16
#: How much of its end tells that the last action has ended.
_TAIL_BYTES = 1024
#: The year 9999, in seconds since the epoch: what lies beyond is no time that anybody has recorded.
_END_OF_TIME = 253370764800


@frozen(kw_only=True)
class Unfinished:
    """An action whose end is not in the journal.

    Attributes:
        action: What it was: ``start``, ``stop`` …
        pid: The process that took it.
        at: When it began, in seconds since the epoch.
        begun: The step that it had announced and not finished; empty when it ended between two steps.
        done: The steps that it had finished.
    """

    action: str
    pid: int
    at: float
    begun: str = ""
    done: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Read as a sentence for the operator."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.at))
        done = f"; it had done: {', '.join(self.done)}" if self.done else ""
        begun = f"; it had begun: {self.begun}" if self.begun else ""
        return f"the {self.action} of {when} by pid {self.pid} was cut short{done}{begun}"


def with_journals(directory: Path) -> frozenset[str]:
    """The services that have a journal: one look for all those whose journals need not be read.

    Args:
        directory: Where journals are.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are wanted, not a path for each
    except OSError:
        return frozenset()
    return frozenset(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


@frozen
class Journal:
    """The journal of one service.

    Args:
        path: Its file; made when the first action begins.
    """

    path: Path = field(converter=Path)

    def begin(self, action: str, steps: tuple[str, ...]) -> None:
        """Record that an action begins, and what it intends.

        Args:
            action: What it is.
            steps: What it intends to do, in order.

        Raises:
            ActionFailed: The record cannot be written; the action must not go on.
        """
        try:
            if self.path.exists() and self.path.stat().st_size > _ROTATE_BYTES:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
        except OSError:  # a journal that is too long still works
            pass
        self._append(event="begin", action=action, steps=steps)

    def intend(self, step: str) -> None:
        """Record that a step is about to be taken.

        Args:
            step: The step, such as ``start container#1``.

        Raises:
            ActionFailed: The record cannot be written; the step must not be taken.
        """
        self._append(event="intend", step=step)

    def done(self, step: str, error: str) -> None:
        """Record how a step ended.

        Args:
            step: The step.
            error: Why it failed; empty where it succeeded.

        Raises:
            ActionFailed: The record cannot be written.
        """
        self._append(event="done", step=step, error=error)

    def end(self, result: str) -> None:
        """Record how the action ended.

        Args:
            result: ``done``, or why not.

        Raises:
            ActionFailed: The record cannot be written.
        """
        self._append(event="end", result=result)

    def records(self) -> Iterator[dict[str, Any]]:
        """All records that can be read, oldest first."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return
        yield from filter(None, map(_record_in, content.splitlines()))

    def unfinished(self) -> Unfinished | None:
        """The last action, if its end was never recorded.

        Returns:
            What is known of it; ``None`` when the last action has ended, or there was none. Whether its process
            still lives is the lock's affair.
        """
        if self._has_ended():
            return None
        begin: dict[str, Any] | None = None
        done: list[str] = []
        begun = ""
        for record in self.records():
            match record.get("event"):
                case "begin":
                    begin, done, begun = record, [], ""
                case "intend":
                    begun = str(record.get("step"))
                case "done":
                    begun = ""
                    if not record.get("error"):
                        done.append(str(record.get("step")))
                case "end":
                    begin = None
        if begin is None:
            return None
        return Unfinished(
            action=str(begin.get("action")),
            pid=begin["pid"],
            at=begin["at"],
            begun=begun,
            done=tuple(done),
        )

    def _has_ended(self) -> bool:
        """Whether the last record is an action's end: what came before it does not matter then, and stays unread.

        That of an action with more steps than fit in the end of the file that is read is found by reading all of it.
        """
        try:
            with self.path.open("rb") as file:
                beginning = max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0)
                file.seek(beginning)
                lines = file.read().splitlines()
        except OSError:
            return True  # there is nothing to read, as `records` sees it
        whole = lines[1:] if beginning else lines
        last = next((record for record in map(_record_in, reversed(whole)) if record), {})
        return last.get("event") == "end" or not lines

    def _append(self, **record: object) -> None:
        import json  # noqa: PLC0415 - most looks find no journal to read, and need none of it

        line = json.dumps({"at": time.time(), "pid": os.getpid(), **record}) + "\n"
        try:
            is_new = not self.path.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                torn = file.tell() and not self._ends_with_newline(file)
                file.write((b"\n" if torn else b"") + line.encode())
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                self._sync_directory()
        except OSError as error:
            raise ActionFailed(
                f"the journal cannot be written: {error.strerror}: {self.path}",
                code="journal.unwritable",
                hint="nothing is started without a trace: make room there, or mend its permissions",
            ) from error

    @staticmethod
    def _ends_with_newline(file: Any) -> bool:
        file.seek(-1, os.SEEK_END)
        return bool(file.read(1) == b"\n")

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _record_in(line: bytes) -> dict[str, Any]:
    """The record that a line holds; empty where it is none of ours: torn, or what a broken disk has made of it."""
    import json  # noqa: PLC0415

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    at, pid = found.get("at"), found.get("pid")
    is_ours = isinstance(at, (int, float)) and 0 <= at < _END_OF_TIME and isinstance(pid, int)
    return found if is_ours else {}
