"""Real daemons that are killed, stopped (SIGSTOP) or restarted just as a status or a start has asked them.

A relay stands between vmsvc and the daemon, and makes the trouble when it overhears the request; of LXC, which has no
daemon, the tool itself is in trouble.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable

import pytest

from lab.dockerd import PrivateDockerd
from lab.fixtures import required
from lab.podman import PrivatePodman
from tests.lab.kits import DaemonBackend, EngineBackend, KvmBackend
from tests.lab.shell import NODE, Shell, ok
from vmsvc.driver import Phase
from vmsvc.testing.kit import service_file

pytestmark = pytest.mark.timeout(180)

#: Numbers of libvirt's calls (remote_protocol.x) that look at a guest, and that start one.
_LIBVIRT = b"\x20\x00\x80\x86"
_LOOKS, _STARTS = {23, 24, 212, 273, 344}, {9, 196}
#: How long a status takes at most, in seconds, and a start whose guest has three of them.
STATUS_S, START_S = 12.0, 25.0
WORDS = {Phase.RUNNING: "up", Phase.STOPPED: "down"}


class Node:
    """A node with one service, whose guest is behind a daemon that gets into trouble."""

    def __init__(self, backend: DaemonBackend) -> None:
        self.backend = backend
        self.guest = backend.guest("web")
        self.shell = Shell(backend.context.node.root)
        text = service_file(self.guest, nodes=[NODE], start_timeout="3s")
        (self.shell.root / "etc/vmsvc/services/web.toml").write_text(text)

    @contextlib.contextmanager
    def in_trouble(self, trouble: str, asks: Callable[[bytes], bool]):
        """The trouble begins with the first request that asks for it, and is over at the end."""
        daemon, met = self.backend.daemon, []
        begin = {"kill": daemon.kill, "pause": daemon.pause, "restart": self._restart}
        end = {"kill": daemon.start, "pause": daemon.resume}

        def overhear(request: bytes) -> None:
            if not met and asks(request):
                met.append(request)
                begin[trouble]()

        self.backend.relay.overhears = overhear
        yield
        self.backend.relay.overhears = None
        if trouble in end:
            end[trouble]()
        assert met, "the request that was waited for was never made"

    def _restart(self) -> None:
        self.backend.daemon.kill()
        self.backend.daemon.start()

    @property
    def truth(self) -> Phase:
        return self.backend.truth(self.guest)

    def avail(self) -> str:
        done = self.shell.run("status", "web", "--format", "json")
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)["services"][0]["avail"]

    def tells_the_truth(self) -> None:
        """Once the daemon is well again, status is right; it may need some time to be well."""
        deadline = time.monotonic() + 30
        while self.avail() != WORDS.get(self.truth, ""):
            assert time.monotonic() < deadline, f"{self.truth} and yet {self.avail()}"
            time.sleep(0.2)


def asks_docker(way: bytes) -> Callable[[bytes], bool]:
    return lambda request: way in request.split(b"\r\n", 1)[0]


def asks_libvirt(calls: set[int]) -> Callable[[bytes], bool]:
    return lambda request: request[4:8] == _LIBVIRT and int.from_bytes(request[12:16], "big") in calls


LOOK = {"docker": asks_docker(b"/containers/"), "podman": asks_docker(b"/containers/"), "kvm": asks_libvirt(_LOOKS)}
START = {"docker": asks_docker(b"/start"), "podman": asks_docker(b"/start"), "kvm": asks_libvirt(_STARTS)}


# docker's driver serves podman, too, and what tells the two apart has tests of its own.
@pytest.fixture(params=["docker", pytest.param("podman", marks=pytest.mark.soak), "kvm"])
def served(request) -> str:
    return request.param


@pytest.fixture
def node(served, request, tmp_path):
    if served == "kvm":
        backend = KvmBackend(
            tmp_path, request.getfixturevalue("private_libvirtd"), request.getfixturevalue("make_guest")
        )
        yield Node(backend)
        backend.close()
        return
    kind = {"docker": PrivateDockerd, "podman": PrivatePodman}[served]
    with required():
        engine = kind().__enter__()
    backend = EngineBackend(tmp_path, engine)
    yield Node(backend)
    backend.close()
    engine.close()


def timed(call, *words):
    began = time.monotonic()
    return call(*words), time.monotonic() - began


@pytest.mark.parametrize("trouble", ["kill", "pause", "restart"])
def test_a_status_that_has_asked_already_is_unknown_in_time_and_never_down(node, served, trouble):
    ok(node.shell.run("start", "web"))
    with node.in_trouble(trouble, LOOK[served]):
        done, took = timed(node.shell.run, "status", "web", "--format", "json")
        avail = json.loads(done.stdout)["services"][0]["avail"]
    right = {WORDS.get(node.truth)} if trouble == "restart" else set()  # dockerd ends what it finds as it starts
    assert avail in {"unknown", *right}, done
    assert (done.returncode, took < STATUS_S) == (4 if avail == "unknown" else 0, True), done
    node.tells_the_truth()


@pytest.mark.parametrize("trouble", ["kill", "pause", "restart"])
def test_a_start_that_has_asked_already_goes_on_or_fails_with_words_and_starts_nothing_twice(node, served, trouble):
    with node.in_trouble(trouble, START[served]):
        done, took = timed(node.shell.run, "start", "web")
    assert took < START_S, done
    assert done.returncode in ((0, 1, 4) if trouble == "restart" else (1, 4)), done
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "container#1" in done.stderr, done
    if trouble != "pause":  # a daemon that was merely stopped may still do what it was asked to
        assert node.truth is (Phase.RUNNING if done.returncode == 0 else Phase.STOPPED), done
    node.tells_the_truth()
    first = node.backend.generation(node.guest) if node.truth is Phase.RUNNING else None
    ok(node.shell.run("start", "web"))
    node.tells_the_truth()
    assert node.truth is Phase.RUNNING
    assert first in (None, node.backend.generation(node.guest)), "what ran was started a second time"
    ok(node.shell.run("stop", "--kill", "web"))
    assert node.truth is Phase.STOPPED


# --- LXC --------------------------------------------------------------------------------------------------------------

#: What becomes of a tool: it is stopped, it is killed, or the monitor that it leaves behind is.
TOOL = {
    "pause": "kill -STOP $$",
    "kill": "kill -KILL $$",
    "monitor": '"{real}" "$@"; kill -KILL $(pgrep -f "^.lxc monitor. {path} web$")',
}


@pytest.fixture
def with_lxc(tmp_path, lxc):
    lxc.create("web")
    shell = Shell(tmp_path / "root")
    shell.file(
        "web", f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = lxc\nlxcpath = {lxc.path}\nstart_timeout = 3s\n"
    )
    (tmp_path / "bin").mkdir()

    @contextlib.contextmanager
    def troubled(trouble, *tools):
        before = shell.environment["PATH"]
        for tool in tools:
            body = TOOL[trouble].format(real=shutil.which(tool), path=lxc.path)
            (tmp_path / "bin" / tool).write_text(f"#!/bin/sh\n{body}\n")
            (tmp_path / "bin" / tool).chmod(0o755)
        shell.environment["PATH"] = f"{tmp_path}/bin{os.pathsep}{before}"
        yield
        shell.environment["PATH"] = before

    return shell, troubled


@pytest.mark.parametrize("trouble", ["pause", "kill"])
def test_a_look_whose_tool_is_stopped_or_killed_is_unknown(with_lxc, lxc, trouble):
    shell, troubled = with_lxc
    ok(shell.run("start", "web"))
    with troubled(trouble, "lxc-info", "lxc-ls"):
        found, took = timed(lambda: shell.statuses("web", code=4))
    assert (found["web"][0], took < STATUS_S) == ("unknown", True)
    assert shell.statuses("web")["web"][0] == "up"


@pytest.mark.parametrize("trouble", ["pause", "kill", "monitor"])
def test_a_start_whose_tool_or_monitor_is_stopped_or_killed_leaves_nothing_behind(with_lxc, lxc, trouble):
    shell, troubled = with_lxc
    with troubled(trouble, "lxc-start"):
        done, took = timed(shell.run, "start", "web")
    assert (done.returncode in (1, 4), took < START_S, "Traceback" in done.stderr) == (True, True, False), done
    assert "container#1" in done.stderr
    assert lxc.state("web") == "STOPPED"
    assert shell.statuses("web")["web"][0] == "down"
    ok(shell.run("start", "web"))
    assert shell.statuses("web")["web"][0] == "up"
