"""A place of its own for daemons and all that they start: PID, mount and network namespaces, ended in one stroke.

    with Place(directory, covers={"run": "/run"}) as place:
        pid = place.start("dockerd", ...)

`Place` is the owner's side. Run as a program, this is the first process of the namespaces: it covers directories of the
machine with private ones, and then starts a command for each line of its standard input (a JSON list), answering with
its number there, until that input ends. The end comes when the owner closes the pipe and just as well when the owner is
killed: the kernel kills everything in a PID namespace whose first process has ended, containers and their keepers too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from lab import LabError

CGROUPS = Path("/sys/fs/cgroup")
# Programs of containers want cgroups of one version; a machine that has both shows the second here.
SECOND_CGROUPS = CGROUPS / "unified"


class Place:
    """Namespaces, and what runs in them.

    `directory` is removed with them. `covers` says which directories below it stand for which of the machine's. Of
    `cgroups`, what is empty then is removed, too.
    """

    def __init__(self, directory: Path, *, covers: Mapping[str, str], cgroups: Sequence[str]) -> None:
        self.directory = directory
        self._cgroups = cgroups
        for private in covers:
            (directory / private).mkdir(parents=True)
        namespaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--propagation", "private"]
        words = [json.dumps([str(directory), dict(covers), cgroups])]
        with (directory / "place.log").open("w") as log:
            self._first = subprocess.Popen(
                [*namespaces, sys.executable, "-m", __spec__.name, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parents[1],
                start_new_session=True,
            )
        if self._ask() != "ready":
            reason = (directory / "place.log").read_text().strip()
            self.close()
            raise LabError(f"no namespaces of one's own to be had here (CAP_SYS_ADMIN is needed): {reason}")

    def start(self, *argv: str) -> int:
        """Start a program; gives its number as this machine sees it. What it prints goes to `out` in the directory."""
        inside = int(self._ask(json.dumps(argv)) or 0)
        for pid in _children(_only_child(self._first.pid)):
            if _number_inside(pid) == inside:
                return pid
        raise LabError(f"{argv[0]} ended at once:\n{self.printed()[-3000:]}")

    def printed(self) -> str:
        """What the programs have printed."""
        file = self.directory / "out"
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self) -> None:
        """End everything, and remove the directory. Doing it twice is harmless."""
        try:
            self._first.communicate(timeout=15)
        except (subprocess.TimeoutExpired, ValueError):
            self._first.kill()
            self._first.wait()
            _thaw(self._cgroups)
        _remove(self.directory, self._cgroups)

    def _ask(self, line: str | None = None) -> str:
        assert self._first.stdin is not None
        assert self._first.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            if line is not None:
                print(line, file=self._first.stdin, flush=True)
            return self._first.stdout.readline().strip()
        return ""


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _only_child(pid: int) -> int:
    return next(iter(_children(pid)), 0)


def _number_inside(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def _thaw(cgroups: Sequence[str]) -> None:
    """Let paused containers go on: what is frozen does not die before that."""
    for cgroup in cgroups:
        for state in CGROUPS.glob(f"freezer/{cgroup}/**/freezer.state"):
            with contextlib.suppress(OSError):
                state.write_text("THAWED")


def _remove(directory: Path, cgroups: Sequence[str]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    for top in (top for cgroup in cgroups for top in CGROUPS.glob(f"*/{cgroup}")):
        for inner, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # somebody else's
                Path(inner).rmdir()


def main(directory: str, covers: Mapping[str, str], cgroups: Sequence[str]) -> None:
    """Be the first process of the namespaces, from their first to their last moment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    if SECOND_CGROUPS.is_dir():
        subprocess.run(["umount", str(SECOND_CGROUPS)], check=False, stderr=subprocess.DEVNULL)
    for private, covered in covers.items():
        Path(covered).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", f"{directory}/{private}", covered], check=True)
    signal.signal(signal.SIGCHLD, _reap)
    print("ready", flush=True)
    with Path(directory, "out").open("ab") as out:
        for line in sys.stdin:
            started = subprocess.Popen(
                json.loads(line), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True
            )
            print(started.pid, flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    _thaw(cgroups)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([place for place in mounted if place.startswith(f"{directory}/")]):
        subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)
    _remove(Path(directory), cgroups)


def _reap(_signal: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
