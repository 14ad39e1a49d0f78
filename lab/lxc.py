"""Real containers of LXC of one's own: by Debian's `lxc`, in a directory of their own, from its busybox template.

    with PrivateLxc() as lxc:
        lxc.create("web")
        lxc.tool("lxc-start", "web")

LXC has no daemon: each container that runs has a process `[lxc monitor] DIRECTORY NAME`, which ends its container when
it ends, and by whose number everything is ended here. `PrivateLxc` is the owner's side. Run as a program, this waits
until its standard input ends, which it does just as well when the owner is killed, and then ends all containers of a
directory and removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lab import Closing, LabError

CGROUPS = Path("/sys/fs/cgroup")
TOOLS = ("lxc-attach", "lxc-create", "lxc-freeze", "lxc-info", "lxc-ls", "lxc-start", "lxc-stop", "busybox")
#: Ends at once on SIGUSR1, which is what the template's config sends; busybox's own init takes two seconds for it.
INIT = """\
#!/bin/sh
trap 'exit 0' USR1
ifconfig lo up
while :; do sleep 1000 & wait $!; done
"""
CONFIG = """\
lxc.apparmor.profile = unconfined
lxc.net.0.type = empty
lxc.cgroup.dir = {cgroup}
"""


class PrivateLxc(Closing):
    """A directory of containers, and what runs of them."""

    def __init__(self) -> None:
        for program in TOOLS:
            if shutil.which(program) is None:
                raise LabError(f"{program} is missing: ./quickstart installs what the lab needs")
        if os.geteuid() != 0:
            raise LabError("containers of LXC need root here")
        if not any(CGROUPS.iterdir()):
            raise LabError(f"nothing is mounted at {CGROUPS}: containers need control groups")
        self.directory = Path(tempfile.mkdtemp(prefix="lx-", dir="/tmp"))
        self.path = self.directory / "lxc"
        self._template = self.directory / "template"
        self._keeper: subprocess.Popen[bytes] | None = None
        self._made = 0

    def __enter__(self) -> PrivateLxc:  # noqa: PYI034 - Self is younger than Python 3.10
        """Make the container of which others are copied."""
        try:
            self.path.mkdir()
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(self.directory)],
                stdin=subprocess.PIPE,
                cwd=Path(__file__).parents[1],
                start_new_session=True,
            )
            config = self.directory / "config"
            config.write_text(CONFIG.format(cgroup=cgroup_of(self.directory)))
            words = ("-t", "busybox", "-f", str(config))
            self.tool("lxc-create", "svc", *words, path=self._template)
            init = self.rootfs / "svc"
            init.write_text(INIT)
            init.chmod(0o755)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End all containers in whatever state they are. Doing it twice is harmless."""
        if self._keeper is not None:
            try:
                self._keeper.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
        self._keeper = None
        end_all(self.directory)

    def create(self, name: str, *lines: str, init: str = "/svc", at: Path | None = None) -> Path:
        """Make a container that does not run; `lines` are added to its config. Its config file is returned.

        `init` is a program of its root file system, which all containers share: `/sbin/init` is busybox's.
        """
        home = (at or self.path) / name
        home.mkdir(parents=True)
        self._made += 1
        own = {"lxc.uts.name": f"box{self._made}", "lxc.init.cmd": init}
        kept = [
            line
            for line in (self._template / "svc/config").read_text().splitlines()
            if line.partition(" =")[0] not in own
        ]
        config = home / "config"
        config.write_text("\n".join([*kept, *(f"{key} = {value}" for key, value in own.items()), *lines, ""]))
        return config

    @property
    def rootfs(self) -> Path:
        """The root file system of all containers."""
        return self._template / "svc/rootfs"

    def tool(self, program: str, name: str, *words: str, path: Path | None = None, timeout: float = 30) -> str:
        """Run a command of LXC about a container and return what it printed; a failure is an error."""
        argv = [program, "-P", str(path or self.path), "-n", name, *words]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, cwd="/")
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(argv)}: no end after {timeout:g} s") from None
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def state(self, name: str, path: Path | None = None) -> str:
        """The state of a container, in LXC's word; empty where there is no such container."""
        if not ((path or self.path) / name / "config").exists():
            return ""
        return self.tool("lxc-info", name, "-sH", path=path)

    def init(self, name: str, path: Path | None = None) -> int:
        """The first process of a container, as this machine sees it; 0 where it does not run."""
        return int(self.tool("lxc-info", name, "-pH", path=path) or 0)

    def monitor(self, name: str) -> int:
        """The monitor of a container; 0 where it does not run."""
        return next((pid for pid, of in monitors(self.directory) if of == name), 0)

    def clear(self) -> None:
        """Remove all containers."""
        _end_monitors(self.directory)
        for home in self.path.iterdir():
            shutil.rmtree(home)


def cgroup_of(directory: Path) -> str:
    """The control group of a directory's containers."""
    return f"vmsvc-lab-{directory.name}"


def monitors(directory: Path) -> Iterator[tuple[int, str]]:
    """The monitors of a directory's containers, each with its container's name."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (process / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
            path, _, name = title.removeprefix("[lxc monitor] ").partition("/lxc ")
            if title.startswith("[lxc monitor] ") and path == str(directory):
                yield int(process.name), name


def end_all(directory: Path) -> None:
    """End the containers of a directory, and remove it and its control groups."""
    _end_monitors(directory)
    shutil.rmtree(directory, ignore_errors=True)
    for top in [*CGROUPS.glob(f"*/{cgroup_of(directory)}"), CGROUPS / cgroup_of(directory)]:
        for inner, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # what ran in it has not quite gone
                Path(inner).rmdir()


def _end_monitors(directory: Path, timeout: float = 10) -> None:
    """Kill monitors, stopped ones too, and thaw what is frozen: what is frozen does not die before that."""
    deadline = time.monotonic() + timeout
    while found := list(monitors(directory)):
        for pid, _ in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for state in CGROUPS.glob(f"freezer/{cgroup_of(directory)}/**/freezer.state"):
            with contextlib.suppress(OSError):
                state.write_text("THAWED")
        if time.monotonic() > deadline:
            raise LabError(f"these monitors would not die: {found}")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.stdin.read()
    end_all(Path(sys.argv[1]))
