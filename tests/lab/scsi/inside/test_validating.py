"""`vmsvc validate-disks` on a real target, as a process: two hosts' paths play two nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from vmsvc.core.vmdg.tools.holding import use_of

pytest.importorskip("vmsvc_null")


@pytest.fixture
def run(scsi, tmp_path):
    """Runs the command on a service whose guest has the first disk, which all hosts here are to share."""
    services = tmp_path / "etc/vmsvc/services"
    services.mkdir(parents=True)
    lines = ["[DEFAULT]", "nodes = n1", "[container#1]", "type = null"]
    lines += [f"disks = {scsi.devices('a')[0]}", "[vmdg]", "scsireserv = true"]
    (services / "web.conf").write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "VMSVC_ROOT": str(tmp_path), "VMSVC_NODENAME": "n1", "VMSVC_DISABLE_PLUGINS": "kvm"}

    def begin(*words):
        return subprocess.Popen(
            [sys.executable, "-m", "vmsvc", *words, "--format", "json"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    return begin


def report(process):
    document = json.loads(process.communicate(timeout=240)[0])
    checks = document["resources"][0]["checks"]
    return process.returncode, {check["check"]: (check["verdict"], check["text"]) for check in checks}


def test_everything_that_is_tried_passes_and_a_killed_trial_is_cleaned_up_by_the_next(scsi, run):
    disk = scsi.devices("a")[0]
    killed = run("validate-disks", "web", "--scratch", disk)
    deadline = time.monotonic() + 120
    while not scsi.look().keys:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.communicate(timeout=60)
    assert scsi.look().keys

    code, checks = report(run("validate-disks", "web", "--scratch", disk))

    odd = {name for name, (verdict, _) in checks.items() if verdict != "passed"}
    assert odd <= {"latency"}  # a process takes long in a kernel that is one itself
    assert code == bool(odd)
    assert {"conflict", "takeover", "bystander", "race", "cleaned up"} <= checks.keys()
    assert (scsi.look().keys, scsi.look().holder) == ({}, None)


@pytest.mark.option("validate-disks --safe", "validate-disks --scratch")
def test_a_disk_in_use_is_read_only_and_told_as_it_is(scsi, run, nodes):
    _, b, _ = nodes
    b.acquire(0)
    before = scsi.look()
    code, checks = report(run("validate-disks", "web", "--safe"))
    assert code == 1  # of a stranger's key, and of the name
    failed = {name for name, (verdict, _) in checks.items() if verdict == "failed"}
    assert failed - {"latency"} == {"name", "own key", "registrants"}
    assert checks["type"][0] == checks["power loss"][0] == checks["one unit"][0] == "passed"
    assert scsi.look() == before

    refused = run("validate-disks", "web", "--scratch", scsi.devices("a")[0])
    refused.communicate(timeout=120)
    assert refused.returncode == 3
    assert scsi.look() == before


def test_a_disk_that_somebody_here_has_for_himself_is_told(nodes):
    a, *_ = nodes
    (disk,) = a.disks(0)
    assert use_of(disk) == ""
    mounted = os.open(disk.paths[1], os.O_RDONLY | os.O_EXCL)  # what the kernel does when it mounts it
    try:
        assert disk.paths[1] in use_of(disk)
    finally:
        os.close(mounted)
    assert use_of(disk) == ""
