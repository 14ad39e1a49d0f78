"""The lab's container engines: they leave nothing behind, whatever ends them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.dockerd import PrivateDockerd
from lab.place import CGROUPS
from lab.podman import PrivatePodman

pytestmark = pytest.mark.timeout(120)


def left_of(engine):
    cgroups = [str(path) for path in CGROUPS.glob(f"*/{engine.cgroup}")]
    return [*([str(engine.directory)] if engine.directory.exists() else []), *cgroups, *engine.processes()]


def test_what_runs_and_what_is_paused_ends_with_the_engine(private_engine):
    private_engine.run("web")
    private_engine.run("frozen")
    private_engine.cli("pause", "frozen")
    assert private_engine.processes().count("svc") == 2
    private_engine.close()
    assert left_of(private_engine) == []


@pytest.mark.parametrize("trouble", ["kill", "pause"])
def test_an_engine_that_is_dead_or_hangs_can_be_ended(private_engine, trouble):
    private_engine.run("web")
    getattr(private_engine, trouble)()
    private_engine.close()
    assert left_of(private_engine) == []


@pytest.mark.parametrize("kind", [PrivateDockerd, PrivatePodman])
def test_an_owner_that_is_killed_leaves_nothing(kind):
    code = f"""
import os, signal
from {kind.__module__} import {kind.__name__}
engine = {kind.__name__}().__enter__()
engine.run("web")
print(engine.directory, engine.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    directory, pid = done.stdout.split()
    deadline = time.monotonic() + 15
    while Path(directory).exists() or Path("/proc", pid).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not list(CGROUPS.glob(f"*/vmsvc-lab-{Path(directory).name}"))
    assert os.path.ismount(directory) is False
