"""What is said to a guest's shell, by a real sh of this machine, and what is made of its answers."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmsvc.core.transport.ssh import script
from vmsvc.core.transport.ssh.script import Answer

MARK = "vmsvc-0123456789abcdef"
SHELLS = [shell for shell in ("dash", "bash", "zsh", "busybox") if shutil.which(shell)]


def told(shell, text):
    argv = ["busybox", "sh"] if shell == "busybox" else [shell]
    return subprocess.run(argv, input=text.encode(), capture_output=True, check=False, timeout=20)


def answer_of(stdout, *, in_pieces_of=None):
    answer = Answer(MARK)
    for start in range(0, len(stdout), in_pieces_of or len(stdout) or 1):
        answer.add(stdout[start : start + (in_pieces_of or len(stdout))])
    return answer


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_greets_and_becomes_the_command(shell):
    done = told(shell, script.greeting(MARK) + script.command(["sh", "-c", "echo $$ $A; exit 3"], {"A": "x y"}, MARK))
    out = answer_of(done.stdout)
    assert done.returncode == 3
    assert out.output.decode() == f"{out.word} x y\n"
    assert answer_of(done.stderr).output == b""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("length", range(5, 80, 7))
def test_half_of_a_command_is_never_run(shell, tmp_path, length):
    mark = tmp_path / "mark"
    text = script.command(["touch", str(mark)], {"A": "1"}, MARK)
    told(shell, script.greeting(MARK) + text[: len(text) - length])
    assert not mark.exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("vmsvc-has-none", script.NO_SUCH_COMMAND),
        ("/no/such", script.NO_SUCH_COMMAND),
        ("/etc", script.NOT_EXECUTABLE),
        ("/etc/passwd", script.NOT_EXECUTABLE),
    ],
)
def test_what_cannot_be_run_is_said(shell, program, word):
    done = told(shell, script.greeting(MARK) + script.command([program, "x"], {}, MARK))
    assert done.returncode == script.NOT_RUN
    assert script.why_not(answer_of(done.stdout)) == word


def test_an_output_that_looks_like_a_reason_is_none():
    assert not script.why_not(answer_of(f"{MARK} 7\n{MARK} was printed\n".encode()))
    assert not script.why_not(answer_of(f"{MARK} 7\n".encode()))


@settings(deadline=None)
@given(before=st.binary(max_size=200), after=st.binary(max_size=200), size=st.integers(1, 60))
def test_the_mark_is_found_however_the_stream_is_cut(before, after, size):
    answer = answer_of(before + f"{MARK} 4711\n".encode() + after, in_pieces_of=size)
    assert (answer.word, answer.output) == ("4711", after)


def test_without_a_mark_all_is_output():
    answer = Answer("")
    answer.add(b"all")
    assert (answer.output, answer.word) == (b"all", "")


def test_a_stream_that_never_has_the_mark_is_kept_in_little_memory():
    answer = answer_of(b"x" * 1_000_000, in_pieces_of=10_000)
    assert len(answer.output) < 10_000


def test_a_session_is_ended_and_nothing_else(tmp_path):
    victims = [subprocess.Popen(["sleep", "1000"], start_new_session=True) for _ in range(2)]
    try:
        done = subprocess.run(
            ["sh", "-c", script.END, "sh", str(victims[0].pid), "8", "6"], capture_output=True, check=True, timeout=20
        )
        assert done.stdout == b""
        assert victims[0].wait(5) == -15
        assert victims[1].poll() is None
    finally:
        for victim in victims:
            victim.kill()
            victim.wait()
