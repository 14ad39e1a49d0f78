"""One Linux kernel as a process, and commands inside of it.

    with Kernel() as kernel:
        kernel.run(["uname", "-r"]).stdout

Its owner may freeze it (``SIGSTOP``: a hypervisor that hangs, and comes back) and kill it (a power cut). Leaving the
block ends all of it; so does the end of its owner, however it ends, and the end of its time (see `lab.scsi.keeper`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from lab import LabError
from lab.scsi import agent
from lab.scsi.keeper import Kept
from lab.scsi.wire import Completed, Job, Output, Wire

PROGRAM = "linux.uml"
NEEDED = (PROGRAM, "busybox", "modprobe", "ip", "unshare")
INIT = Path(__file__).with_name("guest") / "init"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TREE = Path(__file__).resolve().parents[2]
ROOMY = 2 << 30
LAST_WORDS = 80


class Kernel:
    """A kernel, booted by `boot()` or by a `with` block.

    Args:
        name: Its host name.
        memory_mib: Its memory in MiB; it lies in a file that grows as it is used.
        writable: Directories of this machine that commands in it write to for real.
        switch: The socket of the ``uml_switch`` that its eth0 is plugged into.
        address: The address of its eth0, with the length of its prefix.
        budget_s: So many seconds after booting it is ended, come what may.
    """

    def __init__(
        self,
        name: str = "lab",
        *,
        memory_mib: int = 512,
        writable: Sequence[Path] = (),
        switch: Path | None = None,
        address: str = "",
        budget_s: float = 900,
    ) -> None:
        missing = [program for program in NEEDED if shutil.which(program, path=PATH) is None]
        if missing:
            raise LabError(f"{', '.join(missing)}: missing; ./quickstart installs what the lab needs")
        self.name = name
        self._options = [f"mem={memory_mib}M"]
        if switch is not None:
            self._options.append(f"eth0=daemon,,unix,{switch}")
        self._writable = [path.resolve() for path in writable]
        self._address = address
        self._budget_s = budget_s
        self._kept: Kept | None = None
        self._wire: Wire | None = None
        self._directory = Path()

    def __str__(self) -> str:
        """For people."""
        return f"the kernel {self.name!r}"

    def __enter__(self) -> Kernel:  # noqa: PYI034 - Self is younger than Python 3.10
        """Boot it."""
        self.boot()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.kill()

    # --- life ------------------------------------------------------------------------------------------------------

    def boot(self, timeout: float = 60) -> None:
        """Boot it, for the first time or after `kill()`, and wait until it takes commands."""
        if self._kept is not None:
            raise LabError(f"{self} has been booted already")
        self._directory = Path(tempfile.mkdtemp(prefix="uml-"))
        ours, theirs = socket.socketpair()
        try:
            self._kept = self._start(theirs.fileno())
            theirs.close()
            self._wire = Wire(ours)
            if not self._wire.ready.wait(timeout) or self._wire.is_cut:
                raise LabError(f"{self} takes no commands after {timeout:g} s; {self._last_words()}")
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, like a power cut. Doing it twice is harmless."""
        if self._kept is not None:
            self._kept.end()
        if self._wire is not None:
            self._wire.close()
        self._kept, self._wire = None, None

    def freeze(self) -> None:
        """Stop it in its tracks, programs and timers and all, as a hypervisor that hangs."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, as if no time had passed."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        """Whether it runs; a frozen one does."""
        return self._wire is not None and not self._wire.is_cut

    @property
    def pid(self) -> int:
        """The kernel's process; its programs are others, which it traces."""
        if self._kept is None or not self.is_running:
            raise LabError(f"{self} is not running")
        return self._kept.pid

    @property
    def directory(self) -> Path:
        """Its directory on this machine, as long as it runs; the command lines of all its processes mention it."""
        return self._directory

    def _last_words(self) -> str:
        """What the kernel, its first programs and its keeper said last."""
        try:
            said = (self._directory / "console").read_text(errors="replace").replace("\r", "")
        except FileNotFoundError:
            return "nothing of it is left"
        return "its last words:\n" + "\n".join(said.strip().splitlines()[-LAST_WORDS:])

    # --- commands --------------------------------------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
        output: Output | None = None,
    ) -> Completed:
        """Run a command inside; see `start()` and `Job.wait()`."""
        return self.start(argv, env=env, cwd=cwd, output=output).wait(timeout)

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: Output | None = None,
    ) -> Job:
        """Start a command inside.

        Args:
            argv: The command.
            env: Its environment, beside ``PATH``, ``HOME`` and ``LANG``.
            cwd: Its working directory; the tree's, unless told otherwise.
            output: Is called with ``stdout`` or ``stderr`` and text, as it comes.

        Returns:
            The command that runs.
        """
        if self._wire is None:
            raise LabError(f"{self} is not running")
        words = tuple(map(str, argv))
        environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
        command = {"argv": words, "env": environment, "cwd": str(cwd or TREE)}
        return Job(str(self), self._wire, command, output=output, last_words=self._last_words)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _start(self, line: int) -> Kept:
        directory = self._directory
        settings = {
            "name": self.name,
            "address": self._address,
            "python": sys.executable,
            "agent": agent.__file__,
            "writable": " ".join(map(str, [directory, *self._writable])),
        }
        text = "".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items())
        (directory / "settings").write_text(text)
        boot = [PROGRAM, *self._options, "umid=kernel", f"uml_dir={directory}/"]
        boot += ["rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}", f"lab={directory}"]
        boot += ["con=null", "con0=null,fd:1", f"ssl0=fd:{line}", "loglevel=4"]
        env = {**os.environ, "PATH": PATH, **_memory_place()}
        return Kept(directory, boot, budget_s=self._budget_s, descriptors=[line], env=env)


def _memory_place() -> dict[str, str]:
    """Where a kernel's memory goes: /dev/shm, unless it is as small as containers often have it."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").free > ROOMY:
            return {"TMPDIR": "/dev/shm"}
    return {"TMPDIR": tempfile.gettempdir()}
