"""The demo: a service around a real guest, started, looked at and stopped with vmsvc, from nothing to nothing.

Everything lives in a directory of its own: libvirtd, the guest, and vmsvc's configuration and state (VMSVC_ROOT).
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from lab import LabError
from lab.accel import find_acceleration
from lab.domain import define_guest
from lab.image import build_image
from lab.libvirtd import PrivateLibvirtd

NAME = "demo"
SERVICE = """\
[DEFAULT]
nodes = {node}

[container#1]
type = kvm
name = {name}
uri = {uri}
"""


class DemoError(RuntimeError):
    """The demo did not show what it had to show."""


class Vmsvc:
    """The vmsvc command of this environment, on a root of its own."""

    def __init__(self, root: Path, node: str) -> None:
        beside = Path(sys.executable).with_name("vmsvc")
        found = str(beside) if beside.exists() else shutil.which("vmsvc")
        if found is None:
            raise DemoError("there is no vmsvc command in this environment: run ./quickstart demo")
        self.program = found
        self._environment = {**os.environ, "VMSVC_ROOT": str(root), "VMSVC_NODENAME": node}

    def show(self, *words: str) -> None:
        """Run a command as a user would, showing it and what it prints."""
        say(f"$ vmsvc {shlex.join(words)}")
        done = self._run(words, capture=False)
        if done.returncode != 0:
            raise DemoError(f"vmsvc {shlex.join(words)} failed (exit {done.returncode})")

    def expect(self, status: str) -> None:
        """Make sure that the service has this status, in the form for programs."""
        done = self._run(("status", NAME, "--format", "json"), capture=True)
        try:
            answer = json.loads(done.stdout)["services"][0]["avail"]
        except (ValueError, LookupError, TypeError):
            raise DemoError(f"no status to be read from vmsvc: {done.stdout}{done.stderr}") from None
        if answer != status:
            raise DemoError(f"the status of {NAME} is {answer!r} where it must be {status!r}")

    def _run(self, words: tuple[str, ...], *, capture: bool) -> subprocess.CompletedProcess[str]:
        argv = [self.program, *words]
        try:
            return subprocess.run(
                argv,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=capture,
                text=True,
                timeout=300,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoError(f"vmsvc {shlex.join(words)}: no end after 300 s") from None


def demo() -> None:
    """Show one service's life."""
    note("building the guest (a kernel and an initramfs from Debian packages), unless it is there already")
    image = build_image()
    acceleration = find_acceleration(image)
    note(f"the guest runs by {acceleration}")
    with PrivateLibvirtd() as libvirtd:
        note(f"a private libvirtd serves at {libvirtd.uri}")
        guest = define_guest(libvirtd, image, NAME, {"domain_type": acceleration.domain_type})
        root, node = libvirtd.directory / "root", platform.node()
        service = root / "etc/vmsvc/services" / f"{NAME}.conf"
        service.parent.mkdir(parents=True)
        service.write_text(SERVICE.format(node=node, name=NAME, uri=libvirtd.uri))
        note(f"{service}:")
        say(service.read_text())

        vmsvc = Vmsvc(root, node)
        vmsvc.show("status", NAME)
        vmsvc.expect("down")
        vmsvc.show("start", NAME)
        vmsvc.show("print", "status", NAME)
        vmsvc.expect("up")
        note("waiting for the guest to boot; its console:")
        ready = guest.wait_ready(timeout=180)
        say(guest.wait_console("Linux version", timeout=0))
        say(ready)
        vmsvc.show("stop", NAME)
        vmsvc.show("status", NAME)
        vmsvc.expect("down")
        if guest.pid is not None:
            raise DemoError(f"{NAME} is said to be down, and its qemu process {guest.pid} runs")
    note("done; nothing is left running")
    note(f"to go on by yourself: {os.path.relpath(vmsvc.program)}, and README.md tells how to try it without a guest")


def note(text: str) -> None:
    """Say what the demo does."""
    say(f"-- {text}")


def say(text: str) -> None:
    """Print a line at once, so that it comes before what a command prints."""
    print(text, flush=True)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)


def main() -> int:
    """Run the demo; 0 if it showed all that it had to show."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        demo()
    except BrokenPipeError:  # whoever reads has read enough, as `head` does
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # so that the interpreter's last flush does not fail either
        return 128 + signal.SIGPIPE
    except (DemoError, LabError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; nothing is left running", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
