"""Stands between a client and a daemon's socket, and passes everything on; until it is told to spoil the answers.

with Relay(Path("/tmp/r"), dockerd.socket) as relay:
    relay.spoil = garbage
    relay.overhears = lambda request: dockerd.kill() if b"/start" in request else None
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from lab import Closing

#: What is made of the next answer, or of its first part; the connection is closed after it.
Spoil = Callable[[bytes], bytes]


def empty(_answer: bytes) -> bytes:
    """No answer, and the end of the connection."""
    return b""


def truncated(answer: bytes) -> bytes:
    """Half of an answer, and the end of the connection."""
    return answer[: len(answer) // 2]


def garbage(answer: bytes) -> bytes:
    """As many bytes that mean nothing."""
    return (b"\xff\xfe{]\x00\x1b" * len(answer))[: max(len(answer), 64)]


class Relay(Closing):
    """A Unix socket that leads to another one."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.spoil: Spoil | None = None
        self.reword: Spoil | None = None  # what is made of every part of an answer; the connection goes on
        self.overhears: Callable[[bytes], object] | None = None
        self._target = target
        self._listening = socket.socket(socket.AF_UNIX)
        self._open: list[socket.socket] = []

    def __enter__(self) -> Relay:  # noqa: PYI034 - Self is younger than Python 3.10
        """Listen."""
        self._listening.bind(str(self.path))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self) -> None:
        """Close every connection. Doing it twice is harmless."""
        for each in (self._listening, *self._open):
            _end(each)
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                daemon = socket.socket(socket.AF_UNIX)
                self._open += [client, daemon]
                try:
                    daemon.connect(str(self._target))
                except OSError:
                    _end(client)
                    continue
                for passing in ((client, daemon, self._overheard), (daemon, client, self._spoilt)):
                    threading.Thread(target=_pass, args=passing, daemon=True).start()

    def _overheard(self, request: bytes) -> tuple[bytes, bool]:
        if self.overhears:
            self.overhears(request)
        return request, False

    def _spoilt(self, answer: bytes) -> tuple[bytes, bool]:
        if self.spoil:
            return self.spoil(answer), True
        return self.reword(answer) if self.reword else answer, False


def _pass(source: socket.socket, sink: socket.socket, change: Callable[[bytes], tuple[bytes, bool]]) -> None:
    """Pass on what comes, changed; until either end closes, or the change says that this was the last."""
    with contextlib.suppress(OSError):
        over = False
        while not over and (data := source.recv(1 << 16)):
            data, over = change(data)
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
