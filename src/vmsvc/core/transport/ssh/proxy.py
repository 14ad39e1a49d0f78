"""A connection by a ``ProxyCommand``: a line for a shell, see ssh_config(5)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque

from vmsvc.core.transport.command import inherited, said_last

#: What is kept of what it says to its standard error: so many pieces, of so many bytes at the most.
_PIECES, _PIECE_BYTES = 8, 4096
#: How long one that has closed the connection may take to end, and its last words to arrive, in seconds.
_END_S = 0.3
_LOOK_S = 0.02
#: How long its end is waited for after it was killed, in seconds.
_KILL_S = 0.5


class ProxyCommand:
    """A proxy command that runs, and what it has started.

    Paramiko's own is not used: it does not notice when its command ends.

    Args:
        line: The line.

    Attributes:
        link: The connection: what is sent to its input, and comes from its output.
    """

    def __init__(self, line: str) -> None:
        self.link, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S602 - the admin's own command; vfork and exec are safe beside threads
                f"exec {line}",
                shell=True,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                env=inherited(os.environ),
                start_new_session=True,  # a Ctrl-C at the terminal is for vmsvc; and all that it starts ends with it
            )
        self._said = deque[bytes](maxlen=_PIECES)
        self._guard = threading.Lock()
        self._listener = threading.Thread(target=self._listen, name="ssh proxy", daemon=True)
        self._listener.start()

    @property
    def end(self) -> str:
        """How it has ended, and what it said last; empty where it goes on."""
        until = time.monotonic() + _END_S
        while (code := self._code()) is None:
            if time.monotonic() >= until:
                return ""
            time.sleep(_LOOK_S)
        self._listener.join(_END_S)
        how = f"signal {-code} has ended it" if code < 0 else f"it has ended with exit code {code}"
        return f"{how}{said_last(b''.join(self._said), b'')}"

    def close(self) -> None:
        """End it with all that it has started, and the connection, without waiting for long."""
        with contextlib.suppress(OSError):
            self.link.shutdown(socket.SHUT_RDWR)  # wakes up a thread that reads
        self.link.close()
        with self._guard, contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if self._process.returncode is None:  # until it has been waited for, nobody else has its number
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(_KILL_S)

    def _code(self) -> int | None:
        """Its exit code, or a signal's negative number; it is not waited for, so that its number stays its own."""
        with self._guard:
            if self._process.returncode is not None:
                return self._process.returncode
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream, contextlib.suppress(OSError):
            while piece := os.read(stream.fileno(), _PIECE_BYTES):
                self._said.append(piece)
