"""Services of Xen by the command line, on a stand-in for xl that is first in the search path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vmsvc_xen.kit import XenBackend

SERVICE = """[DEFAULT]
nodes = n1
[container#1]
type = xen
config_dir = {directory}
name = {name}
start_timeout = 20s
stop_timeout = 20s
"""


class Node:
    """A node whose Xen has five guests, each of a service of its own."""

    def __init__(self, directory: Path) -> None:
        self.backend = XenBackend(directory)
        self.root = directory / "root"
        self.names = [f"g{number}" for number in range(5)]
        services = self.root / "etc/vmsvc/services"
        services.mkdir(parents=True)
        for name in self.names:
            self.backend.guest(name)
            (services / f"{name}.conf").write_text(
                SERVICE.format(name=name, directory=directory / "xen"), encoding="utf-8"
            )

    def vmsvc(self, *words: str) -> tuple[int, str]:
        """Run a command; its exit code and what it printed."""
        of_node = {"VMSVC_ROOT": str(self.root), "VMSVC_NODENAME": "n1", "PATH": self.backend.standin.path}
        done = subprocess.run(
            [sys.executable, "-m", "vmsvc", *words],
            env={**os.environ, **of_node},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def statuses(self) -> dict[str, str]:
        _, text = self.vmsvc("status", "--format", "json")
        return {service["name"]: service["avail"] for service in json.loads(text)["services"]}


@pytest.fixture(name="node")
def a_node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.backend.close()


def test_a_status_of_all_services_asks_xen_once(node):
    assert node.statuses() == dict.fromkeys(node.names, "down")
    assert [call.argv for call in node.backend.standin.calls()] == [("xl", "list")]


def test_a_service_is_started_and_stopped(node):
    assert node.vmsvc("start", "g1")[0] == 0
    assert node.statuses() == {**dict.fromkeys(node.names, "down"), "g1": "up"}
    assert node.vmsvc("stop", "g1")[0] == 0
    assert node.backend.standin.state("g1") == "off"
    assert node.backend.standin.guest("g1")["starts"] == 1


def test_a_guest_that_hears_no_request_is_destroyed(node):
    node.backend.standin.change("g1", "running", deaf=True)
    file = node.root / "etc/vmsvc/services/g1.conf"
    file.write_text(file.read_text().replace("stop_timeout = 20s", "stop_timeout = 1s"), encoding="utf-8")
    assert node.vmsvc("stop", "g1")[0] == 0
    assert node.backend.standin.state("g1") == "off"
    assert len(node.backend.standin.calls("destroy")) == 1


def test_nothing_is_started_where_xen_does_not_answer(node):
    with node.backend.standin.having("dead"):
        code, text = node.vmsvc("start", "g1")
    assert code == 4
    assert "Can't find hypervisor information" in text
    assert node.backend.standin.guest("g1")["starts"] == 0
