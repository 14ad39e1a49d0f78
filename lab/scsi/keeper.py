"""The first process of a kernel's PID namespace: whoever dies, nothing is left behind.

Programs inside of a user-mode kernel are processes of this machine that the kernel traces. Were it killed alone, they
would go on, untraced, on this machine. So they live in a PID namespace, and are killed in one stroke by its first
process: when the kernel has ended, when its time is up, and when its owner closes a pipe or dies. A directory that has
lost its owner is removed.

Usage, in a new PID namespace: keeper.py DIRECTORY SECONDS KERNEL...; it prints the kernel's pid, as seen from outside.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys

# /proc is the outer namespace's, and knows the process by its number there; `exec` keeps it.
TELLING_PID = ("sh", "-c", 'read -r pid rest </proc/self/stat && echo "$pid" && exec "$@" >"$0" 2>&1')
OWNER = 0


def main(directory: str, budget_s: float, *program: str) -> None:
    """Run the kernel until something ends it."""
    lines = [int(word.removeprefix("ssl0=fd:")) for word in program if word.startswith("ssl0=fd:")]
    kernel = subprocess.Popen(
        [*TELLING_PID, f"{directory}/console", *program], stdin=subprocess.DEVNULL, pass_fds=lines
    )
    for line in lines:
        os.close(line)
    poll = select.poll()
    poll.register(OWNER, select.POLLIN)
    poll.register(os.pidfd_open(kernel.pid), select.POLLIN)
    ended = dict(poll.poll(budget_s * 1000))
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    kernel.wait()
    if OWNER in ended:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
