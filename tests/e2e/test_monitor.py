"""``vmsvc monitor`` as a process: once, and until it is ended."""

from __future__ import annotations

import importlib.metadata
import signal

import pytest

if not any(entry.name == "null" for entry in importlib.metadata.entry_points(group="vmsvc")):
    pytest.skip("vmsvc-null is not installed", allow_module_level=True)

from tests.e2e.node import Node


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "root")


@pytest.mark.keyword("any.monitor", "any.restart")
@pytest.mark.option("monitor --once", "monitor --dry-run")
def test_one_round(node):
    node.add("web", "restart = 1", "restart_delay = 0")
    node.add("db", "monitor = true")
    idle = node.run("monitor", "--once")
    node.run("start", "web", "db")
    node.hypervisor.set("web", phase="stopped")
    dry = node.run("monitor", "--dry-run")
    starts = node.hypervisor.starts("web")
    once = node.run("monitor", "--once", "web")
    node.hypervisor.set("web", phase="stopped")
    spent = node.json("monitor", "--once", "web")
    node.hypervisor.set("db", phase="stopped")
    given_up = node.run("monitor", "--once", "db")
    node.hypervisor.set(None, fail=["observe"])
    blind = node.run("monitor", "--once", "db")

    assert (idle.returncode, idle.stdout) == (
        0,
        "nothing to do: nothing was started here in this boot that has not been stopped since\n",
    )
    assert (dry.returncode, dry.stdout) == (
        1,
        "web: container#1: it is stopped (attempt 1 of 1): to be started again\n",
    )
    assert starts == 1
    assert (once.returncode, once.stdout) == (
        0,
        "web: container#1: it is stopped (attempt 1 of 1): start it again: done\n",
    )
    assert spent[0] == 1
    assert spent[1]["services"][0]["findings"][0]["care"] == "leave"
    assert (given_up.returncode, given_up.stdout) == (1, "db: container#1: it stays stopped: given up\n")
    assert blind.returncode == 4


@pytest.mark.option("monitor --interval")
def test_it_goes_on_until_it_is_ended(node):
    node.add("web", "restart = 5", "restart_delay = 0")
    node.run("start", "web")
    process = node.begin("monitor", "--interval", "0.1")
    for attempt in (1, 2):
        node.hypervisor.set("web", phase="stopped")
        told = f"web: container#1: it is stopped (attempt {attempt} of 5): start it again: done"
        assert any(told in line for line in iter(process.stderr.readline, ""))  # else the next one might come too early
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (0, "")
    assert node.hypervisor.starts("web") == 3


def test_what_has_not_changed_is_told_once(node):
    node.add("web", "monitor = true")
    node.run("start", "web")
    node.hypervisor.set("web", phase="paused")
    process = node.begin("monitor", "--interval", "0.05")
    line = process.stderr.readline()
    node.hypervisor.set("web", phase="stopped")
    changed = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)

    assert "web: container#1: it is warn: paused" in line
    assert "web: container#1: it stays stopped: given up" in changed
    assert rest == ""


def test_a_monitor_without_end_is_no_document(node):
    code, answer = node.json("monitor")

    assert (code, answer["schema"]) == (2, "vmsvc.error/1")
    assert "--once" in answer["errors"][0]["hint"]
    assert node.run("monitor", "--interval", "0").returncode == 2


def test_once_says_how_it_stands_also_where_there_is_nothing_to_do_and_after_giving_up(node):
    node.add("web", "monitor = true", default=("nodes = n1", "monitor_action = freezestop"))
    node.run("start", "web")
    well = node.run("monitor", "--once")
    node.hypervisor.set("web", phase="stopped")
    given_up = node.run("monitor", "--once")
    after = node.run("monitor", "--once")

    assert (well.returncode, well.stdout) == (0, "nothing to do; kept up here: web (container#1)\n")
    assert "stop the service: done" in given_up.stdout
    assert "nothing to do: " in after.stdout
    assert "web: it is frozen" in after.stdout
