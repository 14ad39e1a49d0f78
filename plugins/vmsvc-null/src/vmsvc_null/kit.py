"""The conformance kit of this driver; ``vmsvc sdk test vmsvc-null`` runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from vmsvc.driver import Destination, Guest, Phase
from vmsvc.testing import Backend, DriverKit, identity
from vmsvc_null.driver import PHASES, NullDriver, NullGuest
from vmsvc_null.hypervisor import VERBS, Hypervisor


class NullBackend(Backend):
    """The simulated hypervisor of a node of the kit's own."""

    phases = frozenset(PHASES.values()) - {Phase.RUNNING, Phase.STOPPED}

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._hypervisor = Hypervisor.of_node(self.context.node.root)
        self._file = self.context.node.root / "var/lib/vmsvc-null/hypervisor.json"
        self._elsewhere = self.directory / "elsewhere"
        self._elsewhere.joinpath("var/lib").mkdir(parents=True)

    def guest(self, name: str) -> NullGuest:
        """A machine with a disk."""
        self._hypervisor.set(name, phase="stopped")
        return NullGuest(**identity("null", name), disks=("/dev/null/disk",))

    def destination(self, guest: Guest, *, is_open: bool) -> Destination[NullGuest]:
        """The hypervisor of another root; one that is closed does not exist."""
        root = self._elsewhere if is_open else self.directory / "nowhere"
        return Destination(node="elsewhere", guest=NullGuest(**identity("null", guest.name), migrate_root=str(root)))

    def has_arrived(self, guest: Guest) -> bool:
        """What the other hypervisor has written down."""
        return Hypervisor.of_node(self._elsewhere).machine(guest.name).phase == "running"

    def truth(self, guest: Guest) -> Phase:
        """What the hypervisor has written down."""
        return PHASES[self._hypervisor.machine(guest.name).phase]

    def put(self, guest: Guest, phase: Phase) -> None:
        """Write it down for the hypervisor."""
        self._hypervisor.set(guest.name, phase=phase.value)

    def generation(self, guest: Guest) -> int:
        """How often it was really started."""
        return self._hypervisor.starts(guest.name)

    @contextlib.contextmanager
    def when_hung(self) -> Iterator[None]:
        """No verb returns."""
        self._hypervisor.set(None, hang=VERBS)
        yield
        self._hypervisor.set(None, hang=())

    @contextlib.contextmanager
    def when_dead(self) -> Iterator[None]:
        """Every verb fails as where nobody listens."""
        self._hypervisor.set(None, fail=VERBS)
        yield
        self._hypervisor.set(None, fail=())

    @contextlib.contextmanager
    def when_deaf(self, guest: Guest) -> Iterator[None]:
        """The machine ignores requests."""
        self._hypervisor.set(guest.name, ignore_stop=True)
        yield

    @contextlib.contextmanager
    def when_dying(self, guest: Guest) -> Iterator[None]:
        """The machine stops as soon as it runs."""
        self._hypervisor.set(guest.name, start_delay=0.1, dies_after=0.1)
        yield

    def when_truncated(self) -> contextlib.AbstractContextManager[None]:
        """Half of its state can be read."""
        text = self._file.read_bytes()
        return self._state(text[: len(text) // 2])

    def when_empty(self) -> contextlib.AbstractContextManager[None]:
        """Its state is an empty file."""
        return self._state(b"")

    def when_garbage(self) -> contextlib.AbstractContextManager[None]:
        """Its state is no JSON."""
        return self._state(b"\xff\x00{]")

    @contextlib.contextmanager
    def _state(self, text: bytes) -> Iterator[None]:
        right = self._file.read_bytes()
        self._file.write_bytes(text)
        yield
        self._file.write_bytes(right)


class NullKit(DriverKit):
    """Every clause that a hypervisor without a daemon can be tried on."""

    driver = NullDriver
    backend = NullBackend
    waivers: ClassVar[Mapping[str, str]] = {
        "cut": "the hypervisor's library returns records; a file that ends early is `truncated`",
        "inside": "a guest's inside is a directory, where a shell runs commands: one that is not there is its code 127",
        "migrate-broken": "the hypervisor's library moves a guest and tells of it in one: nothing fails in between",
        "new-word": "the hypervisor is given its phases by tests, and takes none that it does not know",
        "slow": "nothing delays an answer: the hypervisor is a file, and a verb that hangs is another clause",
        "restarted": "there is no daemon that could be restarted",
        "missing-tool": "the client's library is a module of this package",
        "refused": "the hypervisor knows no permissions of its own",
        "locale": "its library tells by codes what went wrong, and its words are not translated",
        "noise": "its library returns records, and warns of nothing",
        "extra-column": "its library returns records, not lines",
    }
