"""The driver of LXC is held to the contract on real containers."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_lxc import LxcDriver, LxcGuest

from lab.lxc import PrivateLxc
from vmsvc.driver import Phase
from vmsvc.testing.kit import CommandBackend, DriverKit, identity

_PHASES = {"": Phase.ABSENT, "RUNNING": Phase.RUNNING, "STOPPED": Phase.STOPPED, "FROZEN": Phase.PAUSED}
# Sent to an init, it does nothing: what a container that ignores requests gets instead of its signal.
_IGNORED = "lxc.signal.halt = SIGCONT\n"


class LxcBackend(CommandBackend):
    """Containers of the lab, in a directory of their own for each clause."""

    phases = frozenset({Phase.ABSENT, Phase.PAUSED})
    short_s = 0.5
    runs_commands = True
    dead = (1, "lxc-info: web: ../src/lxc/commands.c: lxc_cmd: 1 Connection refused\n")
    refused = (1, "Failed to create lock for web\nFailure to retrieve information on /var/lib/lxc:web\n")

    def __init__(self, directory: Path, lxc: PrivateLxc) -> None:
        super().__init__(directory)
        self._lxc = lxc

    def guest(self, name: str) -> LxcGuest:
        self._lxc.create(name)
        return LxcGuest(**identity("lxc", name), lxcpath=str(self._lxc.path))

    def elsewhere(self, guest):
        return evolve(guest, lxcpath=str(self.directory / "nobody"))

    def truth(self, guest):
        return _PHASES[self._lxc.state(guest.name)]

    def put(self, guest, phase):
        if phase is Phase.ABSENT:
            self._config(guest).unlink()
        else:
            self._lxc.tool("lxc-start", guest.name)
            self._lxc.tool("lxc-freeze", guest.name)

    def generation(self, guest):
        return self._lxc.init(guest.name) if self.truth(guest) is not Phase.ABSENT else 0

    def close(self) -> None:
        super().close()
        self._lxc.clear()

    def when_unheard(self):
        return self._changed(lambda done: evolve(done, stdout=done.stdout.replace(b"RUNNING", b"PURRING")))

    @contextlib.contextmanager
    def when_deaf(self, guest):
        with self._more(guest, _IGNORED):
            yield

    @contextlib.contextmanager
    def when_dying(self, guest):
        with self._more(guest, "lxc.init.cmd = /bin/false\n"):
            yield

    @contextlib.contextmanager
    def when_hung(self):
        """The monitors of all containers are stopped, and no command ends: there may be none that runs."""
        monitors = [self._lxc.monitor(home.name) for home in self._lxc.path.iterdir()]
        with super().when_hung():
            for pid in filter(None, monitors):
                os.kill(pid, signal.SIGSTOP)
            try:
                yield
            finally:
                for pid in filter(None, monitors):
                    os.kill(pid, signal.SIGCONT)

    def _config(self, guest) -> Path:
        return self._lxc.path / guest.name / "config"

    @contextlib.contextmanager
    def _more(self, guest, line):
        before = self._config(guest).read_text()
        self._config(guest).write_text(before + line)
        try:
            yield
        finally:
            self._config(guest).write_text(before)


class TestLxc(DriverKit):
    driver = LxcDriver
    backend = LxcBackend
    waivers = {  # noqa: RUF012 - the base says that nobody changes it
        "starting": "a container whose start is held up by a hook answers nobody: it is unknown meanwhile",
        "stopping": "LXC tells RUNNING of a container that was asked to stop until it has stopped",
    }

    @pytest.fixture
    def kit_backend(self, lxc, tmp_path):
        return LxcBackend(tmp_path, lxc)
