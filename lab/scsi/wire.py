"""The owner's end of a kernel's serial line, and the commands that run at the other end (see `lab.scsi.agent`)."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab import LabError

Output = Callable[[str, str], None]


@dataclass(frozen=True)
class Completed:
    """How a command ended: a negative `returncode` is a signal."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def check(self) -> Completed:
        """This, if the command exited with 0; else the error says what it printed."""
        if self.returncode != 0:
            said = self.stderr.strip() or self.stdout.strip()
            raise LabError(f"{shlex.join(self.argv)}: exit {self.returncode}: {said}")
        return self


class Wire:
    """The line; a thread listens to it."""

    def __init__(self, connection: socket.socket) -> None:
        self.ready = threading.Event()
        self.is_cut = False
        self._connection = connection
        self._jobs: dict[int, Job] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="lab: a kernel's serial line", daemon=True).start()

    def add(self, job: Job) -> int:
        """Give a command its number."""
        with self._lock:
            number = len(self._jobs) + 1
            self._jobs[number] = job
            return number

    def ask(self, request: Mapping[str, Any]) -> None:
        """Send a request; a line that is cut takes it, and never answers."""
        with self._lock:
            if self.is_cut:
                return
            self._connection.sendall(json.dumps(request).encode() + b"\n")

    def close(self) -> None:
        """Close our end."""
        self._connection.close()

    def _listen(self) -> None:
        try:
            with self._connection.makefile("rb") as lines:
                for line in lines:
                    answer = json.loads(line)
                    if "ready" in answer:
                        self.ready.set()
                    else:
                        self._jobs[answer["id"]].hear(answer)
        except (OSError, ValueError):
            pass  # cut in the middle of a line
        finally:
            with self._lock:
                self.is_cut = True
                jobs = list(self._jobs.values())
            self.ready.set()
            for job in jobs:
                job.over.set()


class Job:
    """A command that runs inside of a kernel."""

    def __init__(
        self,
        where: str,
        wire: Wire,
        command: Mapping[str, Any],
        *,
        output: Output | None = None,
        last_words: Callable[[], str] = str,
    ) -> None:
        self.over = threading.Event()
        self._last_words = last_words
        self._where = where
        self._wire = wire
        self._argv: tuple[str, ...] = tuple(command["argv"])
        self._output = output
        self._said = {"stdout": bytearray(), "stderr": bytearray()}
        self._exit: int | None = None
        self._number = wire.add(self)
        if wire.is_cut:
            raise LabError(f"{shlex.join(self._argv)}: {where} has ended; {last_words()}")
        wire.ask({"id": self._number, **command})

    def wait(self, timeout: float = 60) -> Completed:
        """Wait for the command's end, for so many seconds; one that takes longer is killed, and is an error."""
        if not self.over.wait(timeout):
            self.signal(signal.SIGKILL)
            raise LabError(f"{shlex.join(self._argv)}: no end after {timeout:g} s in {self._where}")
        if self._exit is None:
            raise LabError(f"{shlex.join(self._argv)}: {self._where} ended before it; {self._last_words()}")
        said = {stream: bytes(data).decode(errors="replace") for stream, data in self._said.items()}
        return Completed(self._argv, self._exit, said["stdout"], said["stderr"])

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all that it said was told."""
        return self.over.is_set()

    def signal(self, number: int) -> None:
        """Send a signal to the command and to what it has started."""
        self._wire.ask({"id": self._number, "signal": int(number)})

    def hear(self, answer: Mapping[str, Any]) -> None:
        """Take in what the agent tells of it."""
        for stream in self._said.keys() & answer.keys():
            self._said[stream] += answer[stream].encode(errors="surrogateescape")
            if self._output is not None:
                self._output(stream, answer[stream])
        if "exit" in answer:
            self._exit = answer["exit"]
            self.over.set()
