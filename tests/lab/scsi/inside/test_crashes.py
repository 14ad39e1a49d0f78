"""Killed at every command of an acquire and of a release, on a real target: the same again converges."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys

from lab.scsi.inside import register
from vmsvc.core.vmdg.attempt import Outcome

DISKS = (0, 1)
FOREIGN = 0xF0F0000000000001


def killed_at(node, action, number):
    """Whether an attempt was killed at this command, or else was done before it came to that.

    The command has ended then, too: it has the same output, which is read to its end.
    """
    disks = [f"{disk.wwid}={','.join(disk.paths)}" for disk in node.disks(*DISKS)]
    command = [sys.executable, "-m", "tests.lab.scsi.crasher", action, hex(node.key), str(number), *disks]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


def test_an_acquire_that_was_killed_is_run_again(scsi, nodes):
    a, b, _ = nodes
    for number in itertools.count():
        scsi.wipe()
        if not killed_at(a, "acquire", number):
            break
        again = a.acquire(*DISKS)
        assert again.outcome is Outcome.HELD, (number, again)
        assert [scsi.look(disk).keys for disk in DISKS] == [{"a": {a.key: 2}}] * 2
        assert [scsi.look(disk).holder for disk in DISKS] == [a.key] * 2
        assert b.acquire(*DISKS).outcome is Outcome.REFUSED
    assert number == 10  # for each disk two reads, two registrations and a reservation


def test_a_release_that_was_killed_is_run_again_and_leaves_a_foreign_key(scsi, nodes):
    a, *_ = nodes
    for number in itertools.count():
        scsi.wipe()
        assert a.acquire(*DISKS).outcome is Outcome.HELD
        register(scsi.path("c").generic, FOREIGN)
        if not killed_at(a, "release", number):
            break
        again = a.release(*DISKS)
        assert again.outcome is Outcome.RELEASED, (number, again)
        assert [scsi.look(disk).keys for disk in DISKS] == [{"c": {FOREIGN: 1}}, {}]
        assert [scsi.look(disk).holder for disk in DISKS] == [None] * 2
    assert number >= 8
