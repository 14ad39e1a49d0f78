"""Triggers, and what is kept up, with a real guest of a real libvirtd."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def vmsvc(tmp_path, make_guest):
    """A service on a guest: gives the guest, and a function that runs a command."""
    guest = make_guest("policy")
    root = tmp_path / "root"
    services = root / "etc/vmsvc/services"
    services.mkdir(parents=True)
    log = tmp_path / "log"
    (services / "web.conf").write_text(
        "[DEFAULT]\nnodes = n1\n"
        f"[container#1]\ntype = kvm\nname = {guest.name}\nuri = {guest.libvirtd.uri}\n"
        f"restart = 2\nrestart_delay = 0\npost_start = sh -c 'echo up >> {log}'\nblocking_pre_stop = test -e {log}.may\n"
    )

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "vmsvc", *words],
            env={**os.environ, "VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    run.log = log
    run.guest = guest
    return run


def test_a_guest_that_was_destroyed_is_started_again_and_one_that_was_saved_or_paused_is_not(vmsvc):
    guest, virsh = vmsvc.guest, vmsvc.guest.libvirtd.virsh
    assert vmsvc("start", "web").returncode == 0
    virsh("destroy", guest.uuid)
    again = vmsvc("monitor", "--once")
    assert (again.returncode, "(attempt 1 of 2): start it again: done" in again.stdout) == (0, True), again.stderr
    assert guest.state == "running"
    assert vmsvc.log.read_text() == "up\nup\n"
    for verb, state in (("suspend", "paused"), ("managedsave", "shut off")):
        virsh(verb, guest.uuid)
        left = vmsvc("monitor", "--once")
        assert (left.returncode, guest.state) == (1, state), left.stdout + left.stderr
        assert "start it again" not in left.stdout
    virsh("managedsave-remove", guest.uuid)


def test_a_trigger_that_blocks_keeps_a_running_guest_from_being_stopped(vmsvc):
    assert vmsvc("start", "web").returncode == 0
    refused = vmsvc("stop", "web", "--kill")
    assert (refused.returncode, vmsvc.guest.state) == (1, "running")
    assert "blocking_pre_stop of container#1 ended with exit code 1" in refused.stderr
    vmsvc.log.with_name("log.may").touch()
    assert vmsvc("stop", "web", "--kill").returncode == 0
    assert vmsvc.guest.state == "shut off"
    assert vmsvc("monitor", "--once").stdout.startswith("nothing to do: ")
