"""Commands on this node, run by a helper process (:mod:`vmsvc.core.transport.runner`) that may fork safely."""

from __future__ import annotations

import binascii
import contextlib
import logging
import os
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vmsvc.core.errors import NO_TIME, TIMED_OUT, ActionFailed, TimedOut, Undetermined
from vmsvc.core.node import node_from
from vmsvc.core.transport import OUTPUT_GRACE_S, OUTPUT_LIMIT, Outcome
from vmsvc.core.transport.command import check_command, inherited, said_last, shown

log = logging.getLogger("vmsvc.host")

#: Isolated, so that no PYTHON… variable changes the runner, while its commands inherit them all; with this process's
#: own search path, so that it finds the same ``sh``.
_RUNNER = (
    *(sys.executable, "-I", "-X", "utf8", "-c"),
    "import runpy, sys; sys.path[:] = sys.argv[2:-1]; runpy.run_path(sys.argv[1], run_name='__main__')",
    str(Path(__file__).with_name("runner.py")),
)

#: How much longer than a command's budget its worker may take to end it and to answer, in seconds.
_ANSWER_GRACE_S = 3.0

#: How long the runner may take to accept work, or to exit when told, in seconds.
_RUNNER_GRACE_S = 1.0

_HINTS = {
    "no-such-command": "install it, or give its full path",
    "not-executable": "look at its mode and owner with ls -l",
}


class _Runner:
    """The helper process, and the socket by which it is given work."""

    def __init__(self) -> None:
        # Every driver is given this node, and one that has an API may run nothing on it.
        import subprocess  # noqa: PLC0415

        self._control, theirs = socket.socketpair()
        self._control.settimeout(_RUNNER_GRACE_S)
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(self._control.close)
            self._process = subprocess.Popen(  # noqa: S603 - our own program; vfork and exec are safe beside threads
                [*_RUNNER, *filter(os.path.isabs, sys.path), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=inherited(os.environ),
                start_new_session=True,  # a Ctrl-C at the terminal is for vmsvc, which then ends its commands itself
            )
            undo.pop_all()

    def submit(self) -> socket.socket:
        """Let the runner fork a worker; the socket to talk to it is returned."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"!"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        return ours

    def close(self) -> None:
        """End the runner; commands that still run are their workers' business."""
        import subprocess  # noqa: PLC0415

        self._control.close()
        try:
            self._process.wait(_RUNNER_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_RUNNER_GRACE_S)


class LocalHost:
    """This node, as a :class:`~vmsvc.core.transport.NodeHost`. Threads may share it; their commands run in parallel.

    A command runs in a session of its own, without input, with the environment of the calling process (without
    vmsvc's own passwords), and in the directory that was current when the host ran its first command. A daemon that a
    command leaves behind lives on.

    Args:
        name: The host's name, for messages; this node's own unless given.

    Attributes:
        name: The host's name.

    >>> with contextlib.closing(LocalHost()) as host:
    ...     host.run(["echo", "a b"], budget_s=10.0).out.rstrip()
    'a b'
    """

    def __init__(self, name: str = "") -> None:
        self.name = name or node_from(os.environ).name
        self._guard = threading.Lock()
        self._runner: _Runner | None = None
        self._close_runner: Callable[[], object] = lambda: None

    def run(
        self,
        argv: Sequence[str],
        *,
        budget_s: float,
        environment: dict[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Outcome:
        """Run one command to its end, or to the end of its budget.

        Args:
            argv: The program and its arguments; no shell is involved.
            budget_s: How long it may take, in seconds; then all processes of its session are ended.
            environment: Variables to set in addition to this process's own.
            keep: How much of each output stream is kept, in bytes.

        Returns:
            What the command left behind, whatever its exit code.

        Raises:
            UsageError: The arguments or the environment cannot be given to any command.
            ActionFailed: The command could not be started at all: no such program, or no permission.
            TimedOut: The budget was spent; what the command did is not known.
            Undetermined: The helper process ended, or the command cannot be killed; that is not known, either.
        """
        check_command(argv, environment or {})
        request = {
            "argv": [*argv],
            "budget_s": budget_s,
            "environment": {**inherited(os.environ), **(environment or {})},
            "limit": keep,
            "grace_s": OUTPUT_GRACE_S,
        }
        place = f"{self.name}: {shown(argv)}"
        if budget_s <= 0:
            raise Undetermined(f"{place}: not started, since no time was left for it", code=NO_TIME)
        answer = self._ask(request, place, time.monotonic() + budget_s + _ANSWER_GRACE_S)
        if "failure" in answer:
            log.info("%s: not started: %s", place, answer["reason"])
            raise ActionFailed(
                f"{place}: cannot be started: {answer['reason']}",
                code=f"action.{answer['failure']}",
                hint=_HINTS.get(answer["failure"], ""),
            )
        code, duration_s = answer["code"], answer["duration_s"]
        stdout, stderr = binascii.a2b_base64(answer["out"]), binascii.a2b_base64(answer["err"])
        if not answer["in_time"]:
            log.info("%s: ended by us after %.3f s", place, duration_s)
            raise TimedOut(
                f"{place}: did not end within {budget_s:.1f} s, and was killed"
                f"{_undead(answer['left'])}{said_last(stderr, stdout)}",
                hint="what it did is not known: look, before trying again with a larger timeout",
                stdout=stdout,
                stderr=stderr,
                truncated=answer["truncated"],
            )
        log.info("%s: exit code %d after %.3f s", place, code, duration_s)
        return Outcome(
            argv=tuple(argv),
            code=code,
            stdout=stdout,
            stderr=stderr,
            duration_s=duration_s,
            truncated=answer["truncated"],
        )

    def close(self) -> None:
        """End the helper process; commands that still run go on. A later command starts another helper."""
        with self._guard:
            self._runner = None
            self._close_runner()

    def _ask(self, request: dict[str, Any], place: str, deadline: float) -> dict[str, Any]:
        import json  # noqa: PLC0415

        try:
            with self._new_link() as link:
                _set_deadline(link, deadline)
                link.sendall(json.dumps(request).encode() + b"\n")
                received = bytearray()
                while chunk := link.recv(1 << 20):
                    received += chunk
                    _set_deadline(link, deadline)
            if not received.endswith(b"\n"):
                raise ConnectionResetError("it ended before it had told the result")
            answer: dict[str, Any] = json.loads(received)
            if "broken" in answer:
                raise ConnectionResetError(answer["broken"])
        except TimeoutError:
            log.info("%s: abandoned", place)
            raise Undetermined(
                f"{place}: did not end within {request['budget_s']:.1f} s, and cannot be killed",
                code=TIMED_OUT,
                hint="it hangs in the kernel (state D in ps), on storage perhaps; or the helper process is stopped",
            ) from None
        except OSError as error:
            log.info("%s: the helper process broke: %s", place, error)
            raise Undetermined(
                f"{place}: the helper process that runs commands broke: {error}",
                code="undetermined.runner",
                hint="what the command did is not known: look, before trying again",
            ) from None
        return answer

    def _new_link(self) -> socket.socket:
        with self._guard:
            if self._runner is not None:
                try:
                    return self._runner.submit()
                except (BrokenPipeError, ConnectionResetError):
                    log.info("%s: the helper process was ended by somebody; starting another", self.name)
                    self._close_runner()
            self._runner = runner = _Runner()
            self._close_runner = weakref.finalize(self, runner.close)  # also where nobody calls close()
            return runner.submit()


def _set_deadline(link: socket.socket, deadline: float) -> None:
    link.settimeout(max(deadline - time.monotonic(), 0.001))


def _undead(left: Sequence[int]) -> str:
    """What there is to tell of processes that do not die."""
    return f"; these processes of it do not die: {', '.join(map(str, left))}" if left else ""
