"""The command runner: the main of a small process of its own, the only one that imports ``sh``.

``sh`` forks and starts threads, and a process that has threads must not fork. So local commands do not run in vmsvc's
own process, where connections and API clients keep threads, but here::

    vmsvc ──control──▶ runner ──fork──▶ worker ──sh──▶ command
      └───────────────link────────────────┘

The runner has no threads. For each command it receives one end of a fresh socket, the *link*, and hands it to a worker,
which reads the command from the link as one line of JSON, runs it, and answers with another. The link also tells each
end whether the other is still alive. A worker whose command has come to an ordinary end waits for the next one: to fork
a Python costs more than most commands do. The file stands alone, importing nothing of vmsvc, to start fast.
"""

from __future__ import annotations

import binascii
import contextlib
import errno
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sh

#: How long a command may take to obey SIGTERM, and its processes to vanish after SIGKILL, in seconds.
TERM_GRACE_S, KILL_GRACE_S = 1.0, 0.5

#: How many workers are kept that have nothing to do: as many as ask disks at once.
SPARE = 32

#: How long a worker waits for the threads of ``sh`` to vanish, in seconds; beside one it must not fork again.
THREADS_GRACE_S = 0.2

_READ_BYTES = 1 << 16  # a pipe's whole capacity, so that one read takes all that an ended command left in it
_CHECK_S = 0.02


def main() -> None:
    """Serve the control socket whose descriptor is the last argument, until its other end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the workers
    _Runner(socket.socket(fileno=int(sys.argv[-1]))).serve()


class _Runner:
    """Hands links to workers: to one that waits, or else to a new one."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._events = selectors.DefaultSelector()
        self._events.register(control, selectors.EVENT_READ)
        self._waiting: list[socket.socket] = []

    def serve(self) -> None:
        """Serve until the control socket ends; workers that wait end then, and others after their command."""
        while True:
            ready = [key.fileobj for key, _ in self._events.select()]
            for worker in ready:  # first, since the command that comes may be for one of them
                if isinstance(worker, socket.socket) and worker is not self._control:
                    self._hear(worker)
            if self._control in ready:
                _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
                if not descriptors:
                    return
                with socket.socket(fileno=descriptors[0]) as link:
                    self._hand_over(link)

    def _hear(self, worker: socket.socket) -> None:
        """A worker has nothing to do any more, or has ended."""
        with contextlib.suppress(OSError):
            if worker.recv(1) and len(self._waiting) < SPARE:
                self._waiting.append(worker)
                return
        self._forget(worker)

    def _hand_over(self, link: socket.socket) -> None:
        while self._waiting:
            worker = self._waiting.pop()
            try:
                socket.send_fds(worker, [b"!"], [link.fileno()])
            except OSError:
                self._forget(worker)
            else:
                return
        self._fork(link)

    def _fork(self, link: socket.socket) -> None:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            _answer(link, {"failure": "cannot-start", "reason": f"cannot fork: {error.strerror}"})
            return
        with theirs:
            try:
                worker = os.fork()
            except OSError as error:
                ours.close()
                _answer(link, {"failure": "cannot-start", "reason": f"cannot fork: {error.strerror}"})
                return
            if worker == 0:
                try:
                    ours.close()
                    self._close()
                    _work_on(link, theirs)
                finally:
                    os._exit(0)
        self._events.register(ours, selectors.EVENT_READ)

    def _forget(self, worker: socket.socket) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(worker)
        self._events.unregister(worker)
        worker.close()

    def _close(self) -> None:
        """In a worker: close what belongs to the runner; others could not tell its end from here otherwise."""
        for key in list(self._events.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._events.close()


def _work_on(link: socket.socket, runner: socket.socket) -> None:
    """Run a command, and others as long as nothing of the one before is left: a daemon, or a thread."""
    while True:
        try:
            if not _work(link, runner):
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is to be told
            _answer(link, {"broken": repr(error)})
            return
        _, descriptors, _, _ = socket.recv_fds(runner, 1, 1)
        if not descriptors:
            return
        link = socket.socket(fileno=descriptors[0])


def _tell_of_being_free(runner: socket.socket) -> bool:
    try:
        runner.sendall(b".")
    except OSError:  # it has ended: there is nobody to work for
        return False
    return True


def _is_without_threads() -> bool:
    """Whether the threads of ``sh`` have ended, as the kernel counts them: Python tells of their end too early."""
    end = time.monotonic() + THREADS_GRACE_S
    while len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - only their number is wanted
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def _work(link: socket.socket, runner: socket.socket) -> bool:
    """Run the one command that a link tells.

    Returns:
        Whether it has come to an ordinary end and has left nothing behind; the runner has been told so then, before the
        caller had its answer and could come with another command.
    """
    with link.makefile("rb") as stream:
        line = stream.readline()
    if not line.endswith(b"\n"):
        return False  # the caller ended before it had told the command
    request: dict[str, Any] = json.loads(line)
    os.environ.clear()
    os.environ.update(request["environment"])
    started = time.monotonic()
    try:
        command = _Command(request["argv"], request["limit"], link)
    except _NotStartedError as failure:
        _answer(link, {"failure": failure.args[0], "reason": failure.args[1]})
        return False
    in_time = command.read_until_end(started + request["budget_s"])
    left = [] if in_time else _end_session(command)
    code, duration_s = command.exit_code(), time.monotonic() - started
    command.read_rest(request["grace_s"])
    is_free = in_time and not command.is_heard and _is_without_threads() and _tell_of_being_free(runner)
    _answer(link, {"code": code, "in_time": in_time, "left": left, "duration_s": duration_s, **command.output()})
    command.drain()
    command.close()
    return is_free


def _answer(link: socket.socket, answer: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the caller is gone: nobody wants the answer
        link.sendall(json.dumps(answer).encode() + b"\n")
    link.close()


class _NotStartedError(Exception):
    """The command could not be started; its arguments are a word for the code, and the reason."""


class _Command:
    """One command: what it prints, whether it has ended, and whether its caller still waits."""

    def __init__(self, argv: list[str], limit: int, link: socket.socket) -> None:
        self._limit = limit
        self._caller_waits = True
        self._is_truncated = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(link, selectors.EVENT_READ, self._lose_caller)
        # A SIGCHLD writes into this socket, so that the command's end is an event among the others.
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda woken: woken.recv(_READ_BYTES))
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self._running = _launch(argv, out_end, err_end)
        self.session: int = self._running.pid
        self._kept = {out: bytearray(), err: bytearray()}
        self._open = {out, err}
        for pipe in (out, err):
            self._selector.register(pipe, selectors.EVENT_READ, self._read)

    def pump(self, timeout_s: float | None) -> None:
        """Wait for something to happen, and deal with it."""
        for key, _ in self._selector.select(timeout_s):
            key.data(key.fileobj)

    def read_until_end(self, deadline: float) -> bool:
        """Read until the command has ended; ``False`` where the deadline passed or the caller ended before."""
        while not self._has_ended():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._caller_waits:
                return False
            self.pump(left_s)
        return True

    def read_rest(self, grace_s: float) -> None:
        """Read what the pipes still hold, for a short moment: a daemon may keep them open for ever."""
        end = time.monotonic() + grace_s
        while self._open and (left_s := end - time.monotonic()) > 0:
            self.pump(left_s)

    def drain(self) -> None:
        """Read and drop until nobody holds the pipes: a daemon would die of writing to a pipe that nobody reads."""
        while self._open:
            self.pump(None)

    @property
    def is_heard(self) -> bool:
        """Whether somebody holds its pipes still: a daemon, once it has ended itself."""
        return bool(self._open)

    def close(self) -> None:
        """Close what was opened for it; its pipes have been closed when they ended."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._woken.close()
        self._wake.close()

    def exit_code(self) -> int | None:
        """The command's exit code, or ``None`` where it does not die."""
        return int(self._running.exit_code) if self._has_ended() else None

    def output(self) -> dict[str, Any]:
        """What was printed, as far as it was kept: bytes that JSON can carry."""
        out, err = (binascii.b2a_base64(kept, newline=False).decode() for kept in self._kept.values())
        return {"out": out, "err": err, "truncated": self._is_truncated}

    def _has_ended(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.session, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True  # a thread of sh has reaped it already

    def _read(self, pipe: int) -> None:
        chunk = os.read(pipe, _READ_BYTES)
        kept = self._kept[pipe]
        room = self._limit - len(kept)
        kept += chunk[:room]
        self._is_truncated |= len(chunk) > room
        if not chunk:
            self._selector.unregister(pipe)
            self._open.discard(pipe)
            os.close(pipe)

    def _lose_caller(self, link: socket.socket) -> None:
        self._selector.unregister(link)  # the caller sends nothing after its request: this is the end of the link
        self._caller_waits = False


def _launch(argv: list[str], out: int, err: int) -> sh.RunningCommand:
    """Start a command in a session of its own, with these descriptors, which are closed here."""
    try:
        with open(os.devnull, "rb") as nothing, open(out, "wb") as out_end, open(err, "wb") as err_end:  # noqa: PTH123
            return sh.Command(argv[0])(
                *argv[1:],
                _in=nothing,
                _out=out_end,
                _err=err_end,
                _bg=True,
                _bg_exc=False,
                _new_session=True,
                _tty_out=False,
                _truncate_exc=False,
                _ok_code=tuple(range(-signal.NSIG, 256)),
                _preexec_fn=_restore_signals,
            )
    except sh.CommandNotFound:
        raise _NotStartedError(*_why_not_found(argv[0])) from None
    except sh.ForkException as error:
        raise _NotStartedError("cannot-start", _why_not_started(str(error))) from None
    except OSError as error:
        raise _NotStartedError("cannot-start", f"cannot fork: {error.strerror}") from None


def _restore_signals() -> None:
    # ``sh`` ignores SIGHUP for commands in the background, and Python SIGXFSZ; commands would inherit both.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def _end_session(command: _Command) -> list[int]:
    """Ask all processes of the command's session to end, then kill them; those that do not die are returned.

    A session's number is not given to another process while one of its processes lives, so nobody else is hit.
    """
    left: list[int] = []
    for number, grace_s in ((signal.SIGTERM, TERM_GRACE_S), (signal.SIGKILL, KILL_GRACE_S)):
        end = time.monotonic() + grace_s
        _signal(command.session, number)
        while (left := [*_members(command.session)]) and time.monotonic() < end:
            command.pump(_CHECK_S)
            if number == signal.SIGKILL:
                _signal(command.session, number)  # again: processes may have been started meanwhile
        if not left:
            break
    return left


def _signal(session: int, number: int) -> None:
    for process in _members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _members(session: int) -> Iterator[int]:
    """The living processes of a session, whatever their process groups: see proc(5)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile
                if os.getsid(int(entry.name)) == session:
                    state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
                    if state not in (b"Z", b"X"):
                        yield int(entry.name)


def _why_not_found(program: str) -> tuple[str, str]:
    if "/" not in program:
        return "no-such-command", f"there is no such command in PATH={os.environ.get('PATH', '')}"
    if Path(program).exists():
        return "not-executable", "it is not an executable file, or this user may not execute it"
    return "no-such-command", "there is no such file"


def _why_not_started(story: str) -> str:
    """The reason in the child's traceback, whose last line is like ``OSError: [Errno 8] Exec format error``."""
    last = story.strip().splitlines()[-1].strip()
    if f"[Errno {errno.ENOENT}]" in last:
        return "the interpreter that its first line names does not exist"
    return last.rpartition("] ")[2]


if __name__ == "__main__":
    main()
