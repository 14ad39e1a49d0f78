"""One emulated machine with Xen, from its boot to its end."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import Closing, LabError
from lab.xen import client
from lab.xen.client import Done, Silence
from lab.xen.image import XenImage, build_image

QEMU = "qemu-system-x86_64"
# Of all that qemu can emulate: domain 0 dies of the first two; with the others, Xen and kernels switch programs in ways
# after which, now and then, one has the thread-local memory of another one (the base of the segment FS). Domain 0 has a
# processor of its own, and so do guests (see `guests`), so that there is less to switch.
PROCESSOR = "max,smap=off,smep=off,svm=off,fsgsbase=off"
PINNED = "dom0_max_vcpus=1 dom0_vcpus_pin"
MEMORY_MIB, DOM0_MIB = 1100, 400
# What a driver asks of domain 0; whatever else it runs, it runs here.
TOOLS = ("xl", "pgrep", "find", "kill")
STUB = """#!{python} -IS
import sys
sys.path.insert(0, {root!r})
from lab.xen import client
client.main({directory!r})
"""
# How wide the list prints names; longer ones are not for the lab.
_NAME = 40
_TRIES = 5
_BOOT_S = 180.0
_RUN_S = 120.0


@dataclass(frozen=True)
class Seen:
    """What the list tells of a guest: its domain's number, the letters of its state, and its processor time."""

    number: int
    letters: str
    seconds: float


class PrivateXen(Closing):
    """A machine with Xen; `tools` is a directory whose `xl`, `pgrep` … are those of its domain 0."""

    def __init__(self) -> None:
        for program in (QEMU, "setpriv", "ldd", "dpkg-deb"):
            if shutil.which(program) is None:
                raise LabError(f"{program} is missing: ./quickstart installs what the lab needs")
        self.directory = Path(tempfile.mkdtemp(prefix="xen-", dir="/tmp"))
        self.tools = self.directory / "tools"
        self._qemu: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrivateXen:  # noqa: PYI034 - Self is younger than Python 3.10
        """Boot it, and wait until `xl` answers."""
        try:
            image = build_image()
            for number in range(_TRIES):
                if self._boots(image):
                    break
                if number == _TRIES - 1:
                    raise LabError(f"qemu did not start: {self.printed()[-3000:]}")
            self._wait()
            self.tools.mkdir()
            root = str(Path(__file__).parents[2])
            for tool in TOOLS:
                stub = self.tools / tool
                stub.write_text(STUB.format(python=sys.executable, root=root, directory=str(self.directory)))
                stub.chmod(0o755)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End the machine. Doing it twice is harmless."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
        self._qemu = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _boots(self, image: XenImage) -> bool:
        """Start qemu; somebody else may have taken the port meanwhile, which ends it at once."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        (self.directory / "port").write_text(str(port))
        argv = [
            "setpriv", "--pdeathsig", "KILL", "--", QEMU, "-name", "vmsvc-xen",
            "-accel", "tcg,thread=multi,tb-size=256", "-M", "q35", "-cpu", PROCESSOR, "-smp", "2",
            "-m", str(MEMORY_MIB),
            "-kernel", str(image.hypervisor),
            "-append", f"console=com1 com1=115200,8n1 loglvl=warning dom0_mem={DOM0_MIB}M {PINNED} sched=credit",
            "-initrd", f"{image.kernel} console=hvc0 quiet,{image.initrd}",
            "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
            "-serial", f"file:{self.directory / 'console'}",
            "-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:2323",
            "-device", "virtio-net-pci,netdev=n,romfile=",
        ]  # fmt: skip
        with (self.directory / "qemu").open("wb") as log:
            self._qemu = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        time.sleep(0.3)
        return self._qemu.poll() is None

    def _wait(self) -> None:
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline:
            if self._qemu is None or self._qemu.poll() is not None:
                raise LabError(f"qemu ended: {self.printed()[-3000:]}")
            if "DOM0 READY" in self.printed():
                with contextlib.suppress(LabError):  # the door of domain 0 opens a moment later
                    self.xl("list")
                    return
            time.sleep(0.1)
        raise LabError(f"Xen did not boot within {_BOOT_S:g} s: {self.printed()[-3000:]}")

    def printed(self) -> str:
        """What qemu, Xen and domain 0 have printed."""
        files = (self.directory / "qemu", self.directory / "console")
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    # --- domain 0 -----------------------------------------------------------------------------------------------------

    def run(self, script: str, timeout: float = 120) -> Done:
        """Run a shell script in domain 0, whatever its exit code."""
        try:
            return client.run(str(self.directory), script, timeout)
        except Silence as silence:
            raise LabError(f"domain 0 does not answer `{script[:80]}`: {silence}") from None

    def xl(self, *words: str) -> str:
        """Run xl with files of this machine, and return what it printed; a failure is an error."""
        done = self.run(client.brought(["xl", *words]))
        if done.code:
            raise LabError(f"{shlex.join(['xl', *words])}: exit {done.code}: {done.err.decode(errors='replace')}")
        return done.out.decode(errors="replace")

    def seen(self, name: str) -> Seen | None:
        """What the list tells of a guest; None where it is not in it."""
        for line in self.xl("list").splitlines()[1:]:
            row = line[_NAME:].split() if line.startswith(f"{name:<{_NAME}} ") else []
            if row:
                return Seen(number=int(row[0]), letters=row[3], seconds=float(row[4]))
        return None

    def has_run(self, name: str) -> Seen:
        """Wait until a guest has had processor time: that alone tells one that is paused from one that is made."""
        deadline = time.monotonic() + _RUN_S
        while time.monotonic() < deadline:
            seen = self.seen(name)
            if seen and seen.seconds:
                return seen
            time.sleep(0.1)
        raise LabError(f"{name} has had no processor time within {_RUN_S:g} s: {self.xl('list')}")

    def is_listening(self, name: str) -> bool:
        """Whether a guest with a kernel of Linux hears requests by now: its kernel says so in xenstore."""
        seen = self.seen(name)
        number = seen.number if seen else 0
        return self.run(f"xenstore-read /local/domain/{number}/control/feature-poweroff").out.strip() == b"1"

    def clear(self) -> None:
        """Destroy every guest, whatever it is called."""
        numbers = [line[_NAME:].split()[0] for line in self.xl("list").splitlines()[2:]]
        for number in numbers:
            self.run(f"xl destroy {number}")

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Xenstored is stopped for the length of a block: xl waits for its answers."""
        self.run("kill -STOP $(cat /run/xenstored.pid)")
        try:
            yield
        finally:
            self.run("kill -CONT $(cat /run/xenstored.pid)")
