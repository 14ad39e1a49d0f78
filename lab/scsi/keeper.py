"""Keeps a program in a PID namespace of its own: whoever dies, nothing is left behind.

Programs inside of a user-mode kernel are processes of this machine that the kernel traces. Were it killed alone, they
would go on, untraced, on this machine. So they live in a PID namespace, and are killed in one stroke by its first
process, the keeper: when the program has ended, when its time is up, and when its owner closes a pipe or dies. A
directory that has lost its owner is removed.

`Kept` is the owner's side; `main` is the keeper: DIRECTORY SECONDS DESCRIPTORS PROGRAM...
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# /proc is the outer namespace's, and knows the process by its number there; `exec` keeps it.
TELLING_PID = ("sh", "-c", 'read -r pid rest </proc/self/stat && echo "$pid" && exec "$@" >"$0" 2>&1')
OWNER = 0


class Kept:
    """A program that is kept.

    Args:
        directory: Its directory, which is removed with it. What it prints goes to ``console`` there.
        program: The program, and its arguments.
        budget_s: So many seconds later it is ended, come what may.
        descriptors: File descriptors that it inherits.
        env: Its environment.
    """

    def __init__(
        self,
        directory: Path,
        program: Sequence[str],
        *,
        budget_s: float,
        descriptors: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        namespaces = ["unshare", "--pid", "--fork", "--kill-child"]
        if os.geteuid() != 0:
            namespaces += ["--user", "--map-root-user"]
        numbers = ",".join(map(str, descriptors))
        keep = [sys.executable, "-I", __file__, str(directory), str(budget_s), numbers]
        with (directory / "console").open("wb") as complaints:
            self._keeper = subprocess.Popen(
                [*namespaces, *keep, *program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                pass_fds=descriptors,
                start_new_session=True,
                cwd="/",
                env=env,
            )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline() or 0)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, by itself or otherwise."""
        return self._keeper.poll() is not None

    def end(self) -> None:
        """End it at once. Doing it twice is harmless."""
        try:
            self._keeper.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)


def main(directory: str, budget_s: float, descriptors: Sequence[int], *program: str) -> None:
    """Run a program until something ends it."""
    command = [*TELLING_PID, f"{directory}/console", *program]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    poll = select.poll()
    poll.register(OWNER, select.POLLIN)
    poll.register(os.pidfd_open(running.pid), select.POLLIN)
    ended = dict(poll.poll(budget_s * 1000))
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    running.wait()
    if OWNER in ended:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), [int(number) for number in sys.argv[3].split(",") if number], *sys.argv[4:])
