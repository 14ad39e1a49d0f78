"""Keeps a private mount namespace, and ends everything in it once its owner lets go.

Run as a program, it is the first process of a new mount namespace. It covers the directories that libvirtd would share
with the machine with private ones, says so, and then runs a command for each line of its standard input (a JSON list),
answering with its pid, until that input ends. The end comes when the owner closes the pipe and just as well when the
owner is killed: there is one way to clean up, and every exit takes it.

A process belongs to the namespace if the kernel says so (`/proc/PID/ns/mnt`), whoever its parent is by now: guests
that libvirtd has let go as daemons are found as surely as libvirtd itself. The guardian also adopts those daemons, and
takes note of their deaths at once; libvirtd waits for that, and not every machine's first process is quick about it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

# private directory -> what it covers inside of the namespace
COVERS = {
    "run": "/run",
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}
EMULATOR = "/usr/bin/qemu-system-x86_64"
PR_SET_CHILD_SUBREAPER = 36
COVERED_FILES = {"passwd": "/etc/passwd", "group": "/etc/group"}


def namespace_of(pid: int | str) -> str | None:
    """The mount namespace of a process, as the kernel names it; None for one that is gone or a zombie."""
    try:
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    except OSError:
        return None


def processes_in(namespace: str) -> list[int]:
    """The living processes of a mount namespace, the caller left out."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and namespace_of(pid) == namespace]


def end_all(namespace: str, timeout: float = 10) -> list[int]:
    """Kill the processes of a namespace, stopped ones too; returns those that would not die."""
    deadline = time.monotonic() + timeout
    while pids := processes_in(namespace):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return pids
        time.sleep(0.02)
    return []


def main(directory: Path) -> None:
    """Guard one namespace from its first to its last moment."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    namespace = namespace_of("self")
    if namespace is None or namespace == namespace_of(os.getppid()):
        sys.exit("guardian: not in a mount namespace of its own")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        for covered in COVERS.values():
            Path(covered).mkdir(parents=True, exist_ok=True)  # an empty mount point, where libvirt was never set up
        for private, covered in (COVERS | COVERED_FILES).items():
            _cover(directory / private, covered)
        for emulator in unwanted_emulators():
            _cover(directory / "hidden", emulator)
        signal.signal(signal.SIGCHLD, _reap)
        print("ready", flush=True)
        for line in sys.stdin:
            print(_run(json.loads(line), directory / "log/out"), flush=True)
    finally:
        left = end_all(namespace)
        shutil.rmtree(directory, ignore_errors=True)
        if left:
            sys.exit(f"guardian: these processes would not die: {left}")


def unwanted_emulators() -> list[str]:
    """Emulators of other architectures: libvirtd would spend seconds on asking each what it can do."""
    wanted = os.path.realpath(EMULATOR)
    others = {os.path.realpath(path) for path in Path(EMULATOR).parent.glob("qemu-system-*")}
    return sorted(path for path in others - {wanted} if os.access(path, os.X_OK))


def _cover(private: Path, covered: str) -> None:
    subprocess.run(["mount", "--bind", str(private), covered], check=True)


def _run(command: list[str], output: Path) -> int:
    with output.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True
        )
    return process.pid


def _reap(_signal: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
