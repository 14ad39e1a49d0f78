"""Real container engines of one's own: what dockerd and podman's API service have in common.

    with PrivateDockerd() as dockerd:
        dockerd.run("web", "--network", "none")

Each lives in namespaces of its own (see `lab.place`) with its own data, socket and cgroup, needs no network, and has
one tiny image, `svc:1`, made of busybox. Leaving the block ends engine and containers and removes what they wrote.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from lab import Closing, LabError
from lab.place import Place

BUSYBOX = Path("/bin/busybox")
#: Ends on SIGTERM, after SLOW seconds; ignores it where IGNORE is set.
SERVICE = """\
#!/bin/sh
if [ -n "$IGNORE" ]; then trap "" TERM; else trap 'echo stopping; sleep "${SLOW:-0}"; exit 0' TERM; fi
echo started
while :; do sleep 0.2 & wait $!; done
"""
IMAGE = "svc:1"


def image() -> bytes:
    """The image's files, as a tar archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            tar.addfile(_entry(name, tarfile.DIRTYPE))
        _add(tar, "bin/busybox", BUSYBOX.read_bytes())
        _add(tar, "svc", SERVICE.encode())
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
        for name in listed.split():
            if name != "busybox":
                link = _entry(f"bin/{name}", tarfile.SYMTYPE)
                link.linkname = "busybox"
                tar.addfile(link)
    return archive.getvalue()


def _entry(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, 0o755
    return entry


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = _entry(name, tarfile.REGTYPE)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


class PrivateEngine(Closing):
    """One private engine and its containers. Subclasses say which programs it needs and how it is started."""

    programs: ClassVar[Sequence[str]] = ()
    covers: ClassVar[Mapping[str, str]] = {}
    other_cgroups: ClassVar[Sequence[str]] = ()

    def __init__(self) -> None:
        for program in (*self.programs, "unshare", "mount", "umount", str(BUSYBOX)):
            if shutil.which(program) is None:
                raise LabError(f"{program} is missing: ./quickstart installs what the lab needs")
        if os.geteuid() != 0:
            raise LabError("a private container engine needs root")
        self.directory = Path(tempfile.mkdtemp(prefix="ce-", dir="/tmp"))  # the path of a socket must be short
        self._place: Place | None = None
        self._pid = 0
        self._daemon = -1  # a descriptor of the process: it can't be mistaken for a later one with the same number

    def command(self) -> Sequence[str]:
        """The engine's program, and its arguments."""
        raise NotImplementedError

    def __enter__(self) -> PrivateEngine:  # noqa: PYI034 - Self is younger than Python 3.10
        """Start the engine, and give it its image."""
        try:
            self._place = Place(self.directory, covers=self.covers, cgroups=[self.cgroup, *self.other_cgroups])
            self.prepare()
            self.start()
            self.cli("import", "-c", 'CMD ["/svc"]', "-", IMAGE, given=image())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End engine and containers in whatever state they are. Doing it twice is harmless."""
        if self._place is not None:
            self._place.close()
        if self._daemon >= 0:
            os.close(self._daemon)
        self._place, self._daemon = None, -1
        shutil.rmtree(self.directory, ignore_errors=True)

    def prepare(self) -> None:
        """Write what the engine needs before it starts."""

    # --- the daemon ------------------------------------------------------------------------------------------------

    def start(self, timeout: float = 30) -> None:
        """Start the daemon, and wait until it answers."""
        if self._place is None or not self._ended(0):
            raise LabError("an engine is started once, inside of its `with` block")
        self.socket.unlink(missing_ok=True)
        self._pid = self._place.start(*self.command())
        if self._daemon >= 0:
            os.close(self._daemon)
        self._daemon = os.pidfd_open(self._pid)
        deadline = time.monotonic() + timeout
        while not self.answers:
            if self._ended(0) or time.monotonic() > deadline:
                raise LabError(f"{self.programs[0]} did not start within {timeout:g} s:\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the daemon with SIGKILL; its containers may go on."""
        self._signal(signal.SIGKILL)
        if not self._ended(10):
            raise LabError(f"{self.programs[0]} does not die on SIGKILL")

    def pause(self) -> None:
        """Stop the daemon (SIGSTOP): from now on it accepts connections and never answers."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while not all(state in "TZ" for state in _thread_states(self._pid)):
            if time.monotonic() > deadline:
                raise LabError(f"{self.programs[0]} does not stop on SIGSTOP")
            time.sleep(0.005)

    def resume(self) -> None:
        """Let a paused daemon go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether the daemon's process exists, paused or not."""
        return not self._ended(0)

    @property
    def answers(self) -> bool:
        """Whether the daemon serves."""
        try:
            self.cli("ps", timeout=5)
        except LabError:
            return False
        return True

    @property
    def pid(self) -> int:
        """The daemon's process, as this machine sees it."""
        return self._pid

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.directory / "s"

    @property
    def endpoint(self) -> str:
        """What to connect to."""
        return f"unix://{self.socket}"

    @property
    def cgroup(self) -> str:
        """The cgroup of its containers."""
        return f"vmsvc-lab-{self.directory.name}"

    def log(self) -> str:
        """What the daemon printed."""
        return self._place.printed() if self._place is not None else ""

    # --- its containers --------------------------------------------------------------------------------------------

    def cli(self, *words: str, given: bytes | None = None, timeout: float = 60, check: bool = True) -> str:
        """Run docker's command on this engine and return what it printed; an exit code other than 0 is an error."""
        argv = ["docker", "-H", self.endpoint, *words]
        environment = {**os.environ, "LC_ALL": "C", "DOCKER_CONFIG": str(self.directory / "config")}
        try:
            done = subprocess.run(
                argv, input=given, capture_output=True, timeout=timeout, check=False, env=environment, cwd="/"
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(words)}: no answer after {timeout:g} s") from None
        if check and done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise LabError(f"{' '.join(words)}: exit {done.returncode}: {said}")
        return done.stdout.decode(errors="replace").strip()

    def create(self, name: str, *words: str, command: Sequence[str] = ()) -> str:
        """Make a container without a network, and do not start it; returns its id."""
        apart = ("--network", "none", "--cgroup-parent", f"/{self.cgroup}")
        return self.cli("create", "--name", name, *apart, *words, IMAGE, *command)

    def run(self, name: str, *words: str, command: Sequence[str] = ()) -> str:
        """The same, and start it."""
        identity = self.create(name, *words, command=command)
        self.cli("start", name)
        return identity

    def state(self, name: str) -> str:
        """The state of a container, in the engine's word."""
        return self.cli("inspect", "-f", "{{.State.Status}}", name)

    def processes(self) -> list[str]:
        """The names of what runs in its containers, whatever it says itself."""
        names = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit() and f"/{self.cgroup}/" in (process / "cgroup").read_text():
                    names.append((process / "comm").read_text().strip())
        return names

    def clear(self) -> None:
        """Remove all containers."""
        if names := self.cli("ps", "-aq").split():
            self.cli("rm", "-f", "-v", *names)

    def _signal(self, number: signal.Signals) -> None:
        if self._daemon >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._daemon, number)

    def _ended(self, timeout: float) -> bool:
        """Whether the daemon ends within a time."""
        if self._daemon < 0:
            return True
        poll = select.poll()
        poll.register(self._daemon, select.POLLIN)
        return bool(poll.poll(timeout * 1000))


def _thread_states(pid: int) -> list[str]:
    """The scheduler's letter for each thread of a process."""
    states = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states
