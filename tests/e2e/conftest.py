from __future__ import annotations

import pytest

pytest.importorskip("vmsvc_null")

from docs.examples import Page
from tests.e2e.node import Node
from vmsvc.cli import main, svcmgr


class Inside:
    """The command line in this process, on a node of its own: many short commands in little time."""

    def __init__(self, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
        self.node = node
        self.root = node.root
        self.services_dir = node.services_dir
        self.hypervisor = node.hypervisor
        self._capsys = capsys

    def add(self, *lines: str, name: str = "web") -> None:
        (self.services_dir / f"{name}.conf").write_text("\n".join([*lines, ""]))

    def run(self, line: str, *words: str) -> tuple[int, str, str]:
        """The exit code of a command, and what it printed to both streams."""
        return self._ran(main([*line.split(), *words]))

    def svcmgr(self, line: str, *words: str) -> tuple[int, str, str]:
        return self._ran(svcmgr.main([*line.split(), *words]))

    def code(self, line: str) -> int:
        return self.run(line)[0]

    def phase(self, machine: str = "web") -> str:
        return self.hypervisor.machine(machine).phase

    def _ran(self, code: int) -> tuple[int, str, str]:
        shown = self._capsys.readouterr()
        return code, shown.out, shown.err


@pytest.fixture
def inside(tmp_path, monkeypatch, capsys):
    node = Node(tmp_path)
    for name in ("VMSVC_ROOT", "VMSVC_NODENAME", "VMSVC_DISABLE_PLUGINS"):
        monkeypatch.setenv(name, node.environment[name])
    return Inside(node, capsys)


@pytest.fixture
def page(monkeypatch, request):
    """Shell commands as a document shows them, each of which may take as long as a kit does, by the module's `KIT_S`."""
    monkeypatch.setattr("docs.examples._TIMEOUT_S", request.module.KIT_S)
    page = Page()
    yield page
    page.close()
