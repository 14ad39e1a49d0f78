"""What a command inside of a container prints, as the engine sends it."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from typing import Any

#: How much is received ahead of who reads it; then the engine has to wait, and with it the command.
_PIECE_BYTES, _PIECES = 1 << 16, 16


class Attached:
    """What a command prints, as it arrives; received by a thread, since waiting for it knows no limit.

    The SDK's own way would lose what has come together with the answer's head.

    Args:
        answer: The engine's answer, whose body is what the command prints.

    Attributes:
        at_end: Whether all has been read.
    """

    def __init__(self, answer: Any) -> None:
        self.at_end = False
        self._answer = answer
        self._file = answer.raw._fp.fp  # noqa: SLF001 - the SDK reads there, too
        self._is_closed = False
        self._pieces = queue.Queue[bytes](_PIECES)
        threading.Thread(target=self._receive, name="vmsvc docker output", daemon=True).start()

    def read(self, budget_s: float) -> bytes:
        """What has arrived since the last time; waits for something as long as that takes.

        Args:
            budget_s: How long to wait, in seconds.

        Returns:
            Some bytes; none where nothing has arrived.
        """
        try:
            piece = self._pieces.get(timeout=max(budget_s, 0.0))
        except queue.Empty:
            return b""
        self.at_end = not piece
        return piece

    def close(self) -> None:
        """Receive no more."""
        with suppress(OSError, AttributeError):
            self._file.raw._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - wakes the thread; closing would wait for it
        self._answer.close()
        self._is_closed = True
        with suppress(queue.Empty):  # makes room for what the thread would hand over still
            while True:
                self._pieces.get_nowait()

    def _receive(self) -> None:
        with suppress(OSError, ValueError):
            while not self._is_closed and (piece := self._file.read1(_PIECE_BYTES)):
                self._pieces.put(piece)
        self._pieces.put(b"")
