"""Runs commands inside of a kernel, on behalf of its owner outside: one JSON object a line, over a serial line.

It is the kernel's first process, and thus also adopts daemons and takes note of their deaths. It needs the standard
library only, since it runs before anything else is there.

Requests: ``{"id", "argv", "cwd", "env"}`` starts a command; ``{"id", "signal"}`` sends a signal to it and to what it
has started. Answers: ``{"ready": true}`` first; of a command ``{"id", "stdout"}`` and ``{"id", "stderr"}`` as they
come, and at last ``{"id", "exit"}``, a negative number for a signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tty
from typing import Any

LINE = "/dev/ttyS0"
COMMAND_NOT_FOUND = 127
CHUNK = 1 << 15


class Agent:
    """The line to the owner, and the commands that run."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._received = b""
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        deaths, notices = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(notices)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        self._selector = selectors.DefaultSelector()
        self._selector.register(line, selectors.EVENT_READ, self._receive)
        self._selector.register(deaths, selectors.EVENT_READ, self._bury)

    def serve(self) -> None:
        """Serve for ever: it is the owner who ends the kernel."""
        self._say({"ready": True})
        while True:
            for key, _mask in self._selector.select():
                if self._selector.get_map().get(key.fd) is key:  # what came before may have closed it
                    key.data(key.fd)

    def _receive(self, line: int) -> None:
        *requests, self._received = (self._received + os.read(line, CHUNK)).split(b"\n")
        for request in map(json.loads, requests):
            if "argv" in request:
                self._start(request["id"], request["argv"], request["cwd"], request["env"])
            elif request["id"] in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._running[request["id"]].pid, request["signal"])

    def _start(self, job: int, argv: list[str], cwd: str, env: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            self._say({"id": job, "stderr": f"{error}\n"})
            self._say({"id": job, "exit": COMMAND_NOT_FOUND})
            return
        self._running[job] = process
        for stream in ("stdout", "stderr"):
            descriptor = getattr(process, stream).fileno()
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, self._forwarder(job, stream))

    def _forwarder(self, job: int, stream: str) -> Any:
        def forward(descriptor: int) -> None:
            with contextlib.suppress(BlockingIOError):
                while data := os.read(descriptor, CHUNK):
                    self._say({"id": job, stream: data.decode(errors="surrogateescape")})
                self._selector.unregister(descriptor)

        return forward

    def _bury(self, deaths: int) -> None:
        """Take note of every death: of commands, and of daemons that were adopted."""
        os.read(deaths, CHUNK)
        jobs = {process.pid: job for job, process in self._running.items()}
        with contextlib.suppress(ChildProcessError):
            while (death := os.waitpid(-1, os.WNOHANG))[0]:
                if death[0] in jobs:
                    self._finish(jobs[death[0]], os.waitstatus_to_exitcode(death[1]))

    def _finish(self, job: int, code: int) -> None:
        """Tell the last words and the end of a command; what a daemon of its writes from now on, nobody reads."""
        process = self._running.pop(job)
        process.returncode = code
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            if stream.fileno() in self._selector.get_map():
                forward = self._selector.get_key(stream).data
                forward(stream.fileno())
            if stream.fileno() in self._selector.get_map():
                self._selector.unregister(stream)
            stream.close()
        self._say({"id": job, "exit": code})

    def _say(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(self._line, data) :]


if __name__ == "__main__":
    serial = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(serial)
    Agent(serial).serve()
