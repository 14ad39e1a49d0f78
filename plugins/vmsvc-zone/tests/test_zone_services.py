"""A service of a zone by the command line, on stand-ins that are first in the search path."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from vmsvc_zone.kit import ZoneBackend

SERVICE = """[DEFAULT]
nodes = n1
[container#1]
type = zone
name = web
[ip#1]
ipname = 192.0.2.7
ipdev = net0
check_ping = false
"""


class Node:
    """A node with one zone, and a service of it."""

    def __init__(self, directory):
        self.backend = ZoneBackend(directory)
        self.standin = self.backend.standin
        self.root = directory / "root"
        services = self.root / "etc/vmsvc/services"
        services.mkdir(parents=True)
        self.backend.guest("web")
        (services / "web.conf").write_text(SERVICE, encoding="utf-8")

    def vmsvc(self, *words):
        """Run a command; its exit code and what it printed."""
        of_node = {"VMSVC_ROOT": str(self.root), "VMSVC_NODENAME": "n1", "PATH": self.standin.path}
        done = subprocess.run(
            [sys.executable, "-m", "vmsvc", *words],
            env={**os.environ, **of_node},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def statuses(self):
        _, text = self.vmsvc("status", "--format", "json")
        resources = json.loads(text)["services"][0]["instances"][0]["resources"]
        return {each["rid"]: each["status"] for each in resources}

    def changes(self):
        """What was changed, in order."""
        looks = ({"list", "-cp"}, {"ifconfig", "-a"}, {"export"})
        argvs = [call.argv for call in self.standin.calls()]
        return [" ".join(argv) for argv in argvs if not any(look <= set(argv) for look in looks)]


@pytest.fixture(name="node")
def a_node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.backend.close()


def test_a_zone_is_readied_given_its_address_and_booted(node):
    code, plan = node.vmsvc("plan", "start", "web")
    assert code == 0
    assert [line.split()[1] for line in plan.splitlines()[1:4]] == ["prepare", "start", "boot"]
    code, text = node.vmsvc("start", "web")
    assert (code, node.statuses()) == (0, {"container#1": "up", "ip#1": "up"}), text
    assert node.changes() == [
        "zoneadm -z web ready",
        "ifconfig net0 addif 192.0.2.7 netmask + broadcast + zone web up",
        "zoneadm -z web boot",
    ]
    assert node.vmsvc("stop", "web")[0] == 0
    assert node.statuses() == {"container#1": "down", "ip#1": "down"}
    assert node.changes()[3:] == ["zlogin web /sbin/init 0"]


def test_a_zone_that_was_left_ready_is_booted_and_not_readied_again(node):
    node.standin.change("web", "ready")
    assert node.statuses() == {"container#1": "warn", "ip#1": "down"}
    assert node.vmsvc("start", "web")[0] == 0
    assert [change.split()[-1] for change in node.changes()] == ["up", "boot"]


def test_where_the_boot_fails_the_zone_is_halted_again(node):
    node.standin.knob("refused", words=["boot"])
    code, text = node.vmsvc("start", "web")
    assert code == 1
    assert "rolled back" in text
    assert node.standin.state("web") == "installed"
    assert node.changes()[-1] == "zoneadm -z web halt"


def test_nothing_is_changed_where_zoneadm_does_not_answer(node):
    with node.standin.having("dead"):
        code, text = node.vmsvc("start", "web")
    assert code == 4
    assert "failed to get zone data" in text
    assert node.changes() == []
