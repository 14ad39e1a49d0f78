"""`vmsvc show --drift` as a process, on the simulated hypervisor."""

from __future__ import annotations

import pytest

pytest.importorskip("vmsvc_null")

from tests.e2e.node import Node


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "root")


def test_what_is_kept_is_compared_with_what_the_guest_has(node):
    node.add("web", "memory_mib = 256", "initial = running")
    nothing = node.run("show", "web", "--drift")
    assert (nothing.returncode, nothing.stderr) == (0, "")
    assert nothing.stdout == (
        "container#1 (null web): no drift (live, persistent)\n  nothing is kept of it: `vmsvc push web` does that\n"
    )
    assert node.run("push", "web").returncode == 0
    same = node.run("show", "web", "--drift")
    assert (same.returncode, same.stdout) == (0, "container#1 (null web): no drift (live, persistent, kept)\n")
    node.add("web", "memory_mib = 512", "disks = /srv/web.img", "initial = running")
    drift = node.run("show", "web", "--drift")
    assert (drift.returncode, drift.stderr) == (1, "")
    assert drift.stdout == (
        "container#1 (null web): 2 fields differ\n"
        "  memory_mib\n"
        "    live        512\n"
        "    persistent  512\n"
        "    kept        256\n"
        "  disk[/srv/web.img]\n"
        "    live        yes\n"
        "    persistent  yes\n"
        "    kept        -\n"
    )
    code, document = node.json("show", "web", "--drift")
    assert code == 1
    assert document["guests"][0]["differences"][0] == {
        "field": "memory_mib",
        "live": "512",
        "persistent": "512",
        "kept": "256",
    }


def test_a_guest_that_does_not_run_has_no_live_definition(node):
    node.add("web", "memory_mib = 256")
    node.run("push", "web")
    assert node.run("show", "web", "--drift").stdout == "container#1 (null web): no drift (persistent, kept)\n"


def test_what_nobody_can_tell_is_no_drift(node):
    node.add("web", "initial = running")
    node.run("push", "web")
    node.hypervisor.set(None, fail=["observe"])
    done = node.run("show", "web", "--drift")
    assert (done.returncode, done.stdout) == (4, "container#1 (null web): could not be compared\n")
    assert "the hypervisor refused the connection" in done.stderr


def test_a_kept_definition_that_is_damaged(node):
    node.add("web", "initial = running")
    node.run("push", "web")
    (node.root / "var/lib/vmsvc/definitions/web/container#1").write_text("{")
    done = node.run("show", "web", "--drift")
    assert done.returncode == 1
    assert "[container#1]: the kept definition cannot be compared: this is not a definition" in done.stderr
