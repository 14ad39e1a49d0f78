"""What the conformance kit needs to know of real libvirtds, dockerds and podmans, asked without our drivers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from vmsvc_docker import DockerGuest
from vmsvc_kvm import KvmGuest

from lab import relay
from lab.domain import Guest as Domain
from lab.engine import PrivateEngine
from lab.guest import Disk
from lab.libvirtd import PrivateLibvirtd
from lab.relay import Relay
from vmsvc.driver import Destination, Guest, Phase
from vmsvc.testing import Backend, identity

#: For how long a daemon goes on between two pauses, so that it answers, and slowly.
_BREATH_S = 0.15


class Pausable(Protocol):
    """A daemon that can be stopped for a while."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


@contextlib.contextmanager
def hung(daemon: Pausable) -> Iterator[None]:
    """A daemon that answers nobody, for as long as the block lasts."""
    daemon.pause()
    try:
        yield
    finally:
        daemon.resume()


@contextlib.contextmanager
def slow(daemon: Pausable, delay_s: float) -> Iterator[None]:
    """A daemon that takes so long for each answer."""
    over = threading.Event()

    def pant() -> None:
        while not over.is_set():
            daemon.pause()
            over.wait(delay_s)
            daemon.resume()
            time.sleep(_BREATH_S)

    panting = threading.Thread(target=pant)
    panting.start()
    try:
        yield
    finally:
        over.set()
        panting.join()


class DaemonBackend(Backend):
    """A daemon at a socket, through a relay that can spoil its answers."""

    budget_s = 30.0
    short_s = 1.5
    patience_s = 60.0

    def __init__(self, directory: Path, daemon: PrivateLibvirtd | PrivateEngine) -> None:
        super().__init__(directory)
        self.daemon = daemon
        self._place = tempfile.TemporaryDirectory(prefix="rl-", dir="/tmp")  # the path of a socket must be short
        self.relay = Relay(Path(self._place.name, "s"), daemon.socket)
        self.relay.__enter__()

    def close(self) -> None:
        super().close()
        self.relay.close()
        self._place.cleanup()

    def when_hung(self) -> contextlib.AbstractContextManager[None]:
        return hung(self.daemon)

    def when_slow(self, delay_s: float) -> contextlib.AbstractContextManager[None]:
        return slow(self.daemon, delay_s)

    @contextlib.contextmanager
    def when_dead(self) -> Iterator[None]:
        self.daemon.kill()
        try:
            yield
        finally:
            self.daemon.start()

    @contextlib.contextmanager
    def when_restarted(self) -> Iterator[None]:
        self.daemon.kill()
        self.daemon.start()
        yield

    def when_truncated(self) -> contextlib.AbstractContextManager[None]:
        return self._spoilt(relay.truncated)

    def when_empty(self) -> contextlib.AbstractContextManager[None]:
        return self._spoilt(relay.empty)

    def when_garbage(self) -> contextlib.AbstractContextManager[None]:
        return self._spoilt(relay.garbage)

    @contextlib.contextmanager
    def _spoilt(self, spoil: relay.Spoil) -> Iterator[None]:
        self.relay.spoil = spoil
        try:
            yield
        finally:
            self.relay.spoil = None


_KVM_STATES = {
    "running": Phase.RUNNING,
    "idle": Phase.RUNNING,
    "paused": Phase.PAUSED,
    "in shutdown": Phase.STOPPING,
    "shut off": Phase.STOPPED,
    "crashed": Phase.CRASHED,
}


class KvmBackend(DaemonBackend):
    """Emulated guests of a private libvirtd; `make` defines one."""

    phases = frozenset({Phase.ABSENT, Phase.PAUSED, Phase.SAVED, Phase.STUCK})

    def __init__(self, directory: Path, daemon: PrivateLibvirtd, make: Callable[..., Domain]) -> None:
        super().__init__(directory, daemon)
        self._make = make
        self._domains: dict[str, Domain] = {}
        self._elsewhere: PrivateLibvirtd | None = None

    def can_be_named(self, name: str) -> bool:
        # One of each kind: an emulated guest takes a second to start.
        return name in ("a", "axb", "a.b", "[ab]", "two words", "%s", "it's", "ä中") or "touch" in name

    def guest(self, name: str) -> KvmGuest:
        disk = self.directory / f"{len(self._domains)}.img"
        disk.write_bytes(bytes(1 << 20))
        # What nobody writes to may be a file of this machine also where a guest is moved.
        only_read = Disk(disk, readonly=True)
        self._domains[name] = self._make(name, on=self.daemon, hang=name == "deaf", disks=[only_read])
        uri = f"qemu:///system?socket={self.relay.path}"
        return KvmGuest(**identity("kvm", name), uri=uri, shutdown="acpi", tags=("kit",))

    def elsewhere(self, guest: Guest) -> KvmGuest:
        return KvmGuest(**identity("kvm", guest.name), uri=f"qemu:///system?socket={self.directory}/nobody")

    def truth(self, guest: Guest) -> Phase:
        domain = self._domains[guest.name]
        if (pid := domain.pid) and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return Phase.STUCK
        listed = self.daemon.virsh("list", "--all", "--uuid").split()
        if domain.uuid not in listed:
            return Phase.ABSENT
        said = self.daemon.virsh("domstate", "--reason", domain.uuid)
        return Phase.SAVED if "(saved)" in said else _KVM_STATES[said.partition(" (")[0]]

    def put(self, guest: Guest, phase: Phase) -> None:
        domain = self._domains[guest.name]
        if phase is Phase.ABSENT:
            self.daemon.virsh("undefine", domain.uuid)
            return
        domain.start()
        if phase is Phase.STUCK:
            os.kill(domain.pid or 0, signal.SIGSTOP)
        else:
            self.daemon.virsh("suspend" if phase is Phase.PAUSED else "managedsave", domain.uuid)

    def generation(self, guest: Guest) -> int | None:
        return self._domains[guest.name].pid

    def ready(self, guest: Guest) -> None:
        self._domains[guest.name].wait_ready()

    def destination(self, guest: Guest, *, is_open: bool) -> Destination[KvmGuest]:
        """Another libvirtd, which takes itself for another host's; or nobody."""
        if self._elsewhere is None:
            self._elsewhere = PrivateLibvirtd(hostname="elsewhere").__enter__()
        path = self._elsewhere.socket if is_open else self.directory / "nobody"
        uri = f"qemu+unix:///system?socket={path}"
        return Destination(node="elsewhere", guest=KvmGuest(**identity("kvm", guest.name), migrate_uri=uri))

    def has_arrived(self, guest: Guest) -> bool:
        assert self._elsewhere is not None
        return self._elsewhere.virsh("domstate", guest.name, check=False) == "running"

    def close(self) -> None:
        if self._elsewhere is not None:
            self._elsewhere.close()
        super().close()

    @contextlib.contextmanager
    def when_deaf(self, guest: Guest) -> Iterator[None]:
        assert guest.name == "deaf"
        yield

    @contextlib.contextmanager
    def when_dying(self, guest: Guest) -> Iterator[None]:
        """Its qemu is killed as soon as there is one."""

        def lie_in_wait() -> None:
            deadline = time.monotonic() + self.patience_s
            while time.monotonic() < deadline:
                if pid := self._domains[guest.name].pid:
                    os.kill(pid, signal.SIGKILL)
                    return
                time.sleep(0.01)

        waiting = threading.Thread(target=lie_in_wait)
        waiting.start()
        yield
        waiting.join()


_ENGINE_STATES = {
    "created": Phase.STOPPED,
    "configured": Phase.STOPPED,
    "initialized": Phase.STOPPED,
    "exited": Phase.STOPPED,
    "stopped": Phase.STOPPED,
    "running": Phase.RUNNING,
    "paused": Phase.PAUSED,
    "restarting": Phase.STARTING,
}


class EngineBackend(DaemonBackend):
    """Containers of a private engine."""

    phases = frozenset({Phase.ABSENT, Phase.PAUSED, Phase.STARTING})
    runs_commands = True

    @contextlib.contextmanager
    def when_unheard(self) -> Iterator[None]:
        self.relay.reword = lambda answer: answer.replace(b'"running"', b'"purring"')  # as long: HTTP counts bytes
        try:
            yield
        finally:
            self.relay.reword = None

    def can_be_named(self, name: str) -> bool:
        return re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name) is not None

    def guest(self, name: str) -> DockerGuest:
        words = ["-e", "IGNORE=1"] if name == "deaf" else []
        self.daemon.create(name, *words, "-v", "/etc/hostname:/data:ro")
        return DockerGuest(**identity("docker", name), docker_host=f"unix://{self.relay.path}", tags=("kit",))

    def elsewhere(self, guest: Guest) -> DockerGuest:
        return DockerGuest(**identity("docker", guest.name), docker_host="tcp://127.0.0.1:1")

    def truth(self, guest: Guest) -> Phase:
        names = self.daemon.cli("ps", "-a", "--format", "{{.Names}}").split()
        return _ENGINE_STATES[self.daemon.state(guest.name)] if guest.name in names else Phase.ABSENT

    def put(self, guest: Guest, phase: Phase) -> None:
        if phase is Phase.PAUSED:
            self.daemon.cli("start", guest.name)
            self.daemon.cli("pause", guest.name)
            return
        self.daemon.cli("rm", guest.name)
        if phase is Phase.STARTING:  # what fails at once is started again, after a pause that grows
            self.daemon.run(guest.name, "--restart", "always", command=["false"])

    def generation(self, guest: Guest) -> str:
        return self.daemon.cli("inspect", "-f", "{{.State.StartedAt}}", guest.name, check=False)

    @contextlib.contextmanager
    def when_deaf(self, guest: Guest) -> Iterator[None]:
        assert guest.name == "deaf"
        yield

    @contextlib.contextmanager
    def when_dying(self, guest: Guest) -> Iterator[None]:
        self.daemon.cli("rm", guest.name)
        self.daemon.create(guest.name, command=["false"])
        yield
