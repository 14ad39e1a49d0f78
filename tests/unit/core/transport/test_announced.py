"""Commands that say that they are run: what is theirs is told from what the tool says that runs them."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from vmsvc.core.transport import OUTPUT_LIMIT, Outcome
from vmsvc.core.transport.announced import Announced


def ran(announced, before=b""):
    done = subprocess.run(announced.words, capture_output=True, check=False)
    stdout = (before + done.stdout)[: announced.keep]
    return Outcome(argv=announced.words, code=done.returncode, stdout=stdout, stderr=done.stderr, duration_s=0.0)


def test_what_the_tool_says_before_is_not_the_command_s():
    announced = Announced(("sh", "-c", "echo well; echo 'tool: failed to exec' >&2; exit 127"))
    left = announced.left_by_command(ran(announced, b"a note of the tool\n"))
    assert (left.argv, left.code, left.out, left.err) == (announced.argv, 127, "well\n", "tool: failed to exec\n")


@pytest.mark.parametrize("program", ["nosuch", "/nosuch", "/tmp"])
def test_a_program_that_cannot_be_run_is_told_and_nothing_is_left_by_it(program):
    announced = Announced((program,))
    done = ran(announced)
    assert announced.is_missing(done.stdout)
    assert announced.left_by_command(done) is None


@pytest.mark.parametrize(("more", "truncated"), [(0, False), (1, True)])
def test_as_much_of_the_command_s_output_is_kept_as_of_any(more, truncated):
    announced = Announced(("head", "-c", str(OUTPUT_LIMIT), "/dev/zero"))
    done = ran(announced)
    left = announced.left_by_command(
        Outcome(argv=done.argv, code=0, stdout=done.stdout, stderr=b"x" * (OUTPUT_LIMIT + more), duration_s=0.0)
    )
    assert (len(left.stdout), len(left.stderr), left.truncated) == (OUTPUT_LIMIT, OUTPUT_LIMIT, truncated)


def test_what_a_command_has_started_is_killed_in_whatever_session_it_is():
    announced = Announced(("sh", "-c", "setsid sh -c 'echo; exec sleep 60' & exec sleep 60"))
    environment = {**os.environ, **announced.marked}
    with (
        subprocess.Popen(announced.words, env=environment, stdout=subprocess.PIPE) as command,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        assert [command.stdout.readline() for _ in range(2)][1] == b"\n"
        assert subprocess.run(announced.killing, check=False).returncode == 0
        assert command.stdout.read() == b"", "somebody has it open still"
        assert command.wait(timeout=5) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_nothing_is_called_killed_where_nobody_can_look(tmp_path):
    assert (
        subprocess.run(
            ["/bin/sh", *Announced(("true",)).killing[1:]], check=False, env={"PATH": str(tmp_path)}
        ).returncode
        != 0
    )
