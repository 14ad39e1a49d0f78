"""Builders and stand-ins that many tests use: services without files, and a driver that does as it is told."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmsvc.core.contract import Capability
from vmsvc.core.kinds import KINDS
from vmsvc.core.node import Node
from vmsvc.core.planning.plan import Step
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.status import Evidence, Observation, Phase

if TYPE_CHECKING:
    from docs.examples import Page

NODE = Node(name="n1")
_DRIVERS = {file.parents[2].name for file in Path(__file__).parents[1].glob("plugins/*/src/*/driver.py")}


def drivers_but(*wanted: str) -> str:
    """What VMSVC_DISABLE_PLUGINS must be to leave some of this tree's drivers only, whichever are installed."""
    return ",".join(sorted({name.removeprefix("vmsvc-") for name in _DRIVERS} - {*wanted}))


def resource(rid: str, **options: Any) -> Resource:
    """A resource of service ``web``, if not told otherwise; its kind stands in its rid."""
    kind = rid.partition("#")[0]
    fill: dict[str, Any] = {"type": "fake", "name": rid} if kind == "container" else {}
    fill |= {"ipname": "192.0.2.1", "ipdev": "eth0"} if kind == "ip" else {}
    fill |= {"dev": "/dev/x", "mnt": "/x"} if kind == "fs" else {}
    return KINDS[kind](rid=rid, kind=kind, **{"service": "web", **fill, **options})


def guest(number: int = 1, **options: Any) -> Guest:
    """A guest with short budgets."""
    short = {"start_timeout": 2.0, "stop_timeout": 1.0, "kill_timeout": 1.0}
    made = resource(f"container#{number}", **{**short, **options})
    assert isinstance(made, Guest)
    return made


def service(*resources: Resource, **settings: Any) -> Service:
    """Service ``web`` of node n1."""
    return Service(
        name="web",
        file=Path("/etc/web.conf"),
        resources=resources,
        **{"nodes": ("n1",), "lock_timeout": 0.2, **settings},
    )


def seen(phase: Phase, state: str = "", **more: Any) -> Observation:
    """An observation of a phase."""
    return Observation(
        phase=phase, state=state or phase.value, evidence=Evidence(probe="test", detail="as told", at=1.0), **more
    )


class SplitGuest(Guest):
    """A guest that is prepared, is given its addresses, and is booted."""

    is_split = True
    is_plumbed = True


def split_guest(number: int | str = 1, **options: Any) -> SplitGuest:
    """A guest whose start is split, with short budgets."""
    short = {"start_timeout": 2.0, "stop_timeout": 1.0, "kill_timeout": 1.0}
    identity = {"service": "web", "rid": f"container#{number}", "kind": "container", "type": "fake", "name": "g"}
    return SplitGuest(**{**short, **identity, **options})


class FakeDriver:
    """Resources in memory. What a verb does to one of them can be replaced: ``driver.on["start", rid] = ...``.

    A replacement is an exception to raise, or a function that is called instead and may call :meth:`become`.
    """

    type = "fake"
    kind = "container"
    api = frozenset({1})
    options = Guest
    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, **phases: Phase) -> None:
        self.phases = {rid.replace("_", "#"): phase for rid, phase in phases.items()}
        self.on: dict[tuple[str, str], BaseException | Callable[[], Any]] = {}
        self.answers: dict[str, bool | None] = {}
        self.calls: list[str] = []
        self.release = threading.Event()

    def become(self, rid: str, phase: Phase) -> None:
        self.phases[rid] = phase

    def hang(self) -> None:
        """Block until the test lets go: what a bad driver does."""
        self.release.wait(60)

    def verbs(self) -> list[str]:
        """What was asked beyond looking."""
        return [call for call in self.calls if not call.startswith("observe")]

    def observe(self, resource: Resource, *, budget_s: float) -> Any:
        return self._do("observe", resource, lambda: seen(self.phases.get(resource.rid, Phase.STOPPED)))

    def start(self, resource: Resource, *, budget_s: float) -> bool | None:
        """It was this call, unless a replacement says ``False``, or :attr:`answers` something else."""
        is_ours = self._do("start", resource, lambda: self.become(resource.rid, Phase.RUNNING)) is not False
        return self.answers.get(resource.rid, is_ours)

    def prepare(self, resource: Resource, *, budget_s: float) -> bool:
        return self._do("prepare", resource, lambda: self.become(resource.rid, Phase.PREPARED)) is not False

    def boot(self, resource: Resource, *, budget_s: float) -> bool:
        return self._do("boot", resource, lambda: self.become(resource.rid, Phase.RUNNING)) is not False

    def stop(self, resource: Resource, *, budget_s: float) -> None:
        self._do("stop", resource, lambda: self.become(resource.rid, Phase.STOPPED))

    def kill(self, resource: Resource, *, budget_s: float) -> None:
        self._do("kill", resource, lambda: self.become(resource.rid, Phase.STOPPED))

    def close(self) -> None:
        self.release.set()

    def _do(self, verb: str, resource: Resource, otherwise: Callable[[], Any]) -> Any:
        self.calls.append(f"{verb} {resource.rid}")
        what = self.on.get((verb, resource.rid), otherwise)
        if isinstance(what, BaseException):
            raise what
        return what()


class Hooks:
    """Remembers what it was called with; ``before`` and ``after`` may be replaced."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.before: Callable[[Step], None] = lambda step: None
        self.after: Callable[[Step], None] = lambda step: None

    def before_step(self, step: Step, service: Service) -> None:
        self.heard.append(f"before {step}")
        self.before(step)

    def after_step(self, step: Step, service: Service, error: str) -> None:
        self.heard.append(f"after {step}" + (f": {error}" if error else ""))
        self.after(step)


def lay_plugin(folder: Path, name: str, source: str, *, serves: str = "") -> None:
    """Lay a plugin as a package manager would: a module, and the metadata that makes it known.

    It says that it is for one type of container alone where that is given.
    """
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    says = f"[vmsvc.container]\n{serves} = {name}\n" if serves else ""
    (metadata / "entry_points.txt").write_text(f"[vmsvc]\n{name} = {name}\n{says}")
    (folder / f"{name}.py").write_text(textwrap.dedent(source))


def succeeds(page: Page, command: str) -> str:
    """What a command says, which has to succeed."""
    said, code = page.run(command)
    assert code == 0, said
    return said
