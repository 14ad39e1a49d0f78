"""The driver of Xen is held to the contract on real guests of the real Xen."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from vmsvc_xen import XenDriver, XenGuest

from lab.xen import guests
from lab.xen.machine import PrivateXen
from vmsvc.driver import Phase
from vmsvc.testing.kit import CommandBackend, DriverKit, identity

pytestmark = pytest.mark.timeout(400)

_KEPT = tuple(f'on_{end} = "preserve"' for end in ("poweroff", "reboot", "crash"))
# The kernels that bring a guest into a phase at once, and keep it there.
_ENDING = {Phase.STOPPING: "poweroff", Phase.SUSPENDED: "suspend", Phase.CRASHED: "crash"}


class XenBackend(CommandBackend):
    """Guests of an emulated machine, with config files in a directory of their own for each clause."""

    phases = frozenset({Phase.ABSENT, Phase.STARTING, Phase.PAUSED, *_ENDING})
    budget_s = 60.0
    short_s = 1.5
    patience_s = 120.0

    def __init__(self, directory: Path, xen: PrivateXen) -> None:
        super().__init__(directory)
        self._xen = xen

    def guest(self, name: str) -> XenGuest:
        guest = XenGuest(**identity("xen", name), config_dir=str(self.directory / "xen"))
        Path(guest.config_dir).mkdir(exist_ok=True)
        # "web" is the guest that clauses ask to stop.
        text = guests.linux(name) if name == "web" else guests.config(name)
        Path(guest.file).write_text(text)
        return guest

    def can_be_named(self, name):
        # One of each kind: an emulated machine takes seconds for each.
        return name in ('a"b', "ä中")

    def truth(self, guest):
        seen = self._xen.seen(guest.name)
        if seen is None:
            return Phase.STOPPED if Path(guest.file).exists() else Phase.ABSENT
        ended = {phase for phase, kernel in _ENDING.items() if seen.letters[4] == kernel[0].replace("p", "-")}
        if seen.letters[3] == "s":
            return ended.pop()
        if seen.letters[2] == "p":
            return Phase.PAUSED if seen.seconds else Phase.STARTING
        return Phase.RUNNING

    def put(self, guest, phase):
        file = Path(guest.file)
        if phase is Phase.ABSENT:
            file.unlink()
        elif phase is Phase.STARTING:
            self._xen.xl("create", "-p", guest.file)
        elif phase is Phase.PAUSED:
            self._xen.xl("create", guest.file)
            self._xen.xl("pause", str(self._xen.has_run(guest.name).number))
        else:
            file.write_text(guests.config(guest.name, _ENDING[phase], *_KEPT))
            self._xen.xl("create", guest.file)

    def generation(self, guest):
        seen = self._xen.seen(guest.name)
        return seen.number if seen else 0

    def ready(self, guest):
        deadline = time.monotonic() + self.patience_s
        while not self._xen.is_listening(guest.name):
            assert time.monotonic() < deadline, f"{guest.name} does not boot"
            time.sleep(0.3)

    def close(self) -> None:
        super().close()
        self._xen.clear()

    def when_hung(self):
        """Xenstored is stopped."""
        return self._xen.silent()

    @contextlib.contextmanager
    def when_dying(self, guest):
        Path(guest.file).write_text(guests.config(guest.name, "crash"))
        yield


class TestXen(DriverKit):
    driver = XenDriver
    backend = XenBackend
    waivers = {  # noqa: RUF012 - the base says that nobody changes it; the stand-in's kit waives none
        **dict.fromkeys(
            ("slow", "dead", "restarted", "missing-tool", "refused", "truncated", "cut", "new-word", "empty", "garbage", "locale", "noise",
             "extra-column"),
            "what a command prints is spoilt behind the real xl as it is behind the stand-in: tried there, in less time",
        ),
        "near-names": "xl is told numbers, and its list has whole names: tried on the stand-in, in less time",
        "prefixes": "xl is told numbers, and its list has whole names: tried on the stand-in, in less time",
        "processes": "what xl leaves runs in domain 0, and not on this machine",
        "deaf": "tried from the command line: one of them is enough of a guest that hears nothing",
        "migrate": "there is one machine with Xen, and nobody to move a guest to: tried on the stand-in",
        "migrate-broken": "the same: one that has not left is no matter of it",
        "migrate-arrived": "the same: a guest that has gone nowhere arrives nowhere",
        "close": "there is no connection to close, whatever hangs",
    }  # fmt: skip

    @pytest.fixture
    def kit_backend(self, xen, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", f"{xen.tools}:{os.environ['PATH']}")
        return XenBackend(tmp_path, xen)
