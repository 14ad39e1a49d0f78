"""The command of a ``ProxyCommand``: its end, what it has said, and what becomes of what it has started."""

import contextlib
import os
import re
import threading
import time
from pathlib import Path

import pytest

from vmsvc.core.transport.ssh.proxy import ProxyCommand


@pytest.fixture
def run():
    with contextlib.ExitStack() as ending:

        def make(line):
            return ending.enter_context(contextlib.closing(ProxyCommand(line)))

        yield make


def test_what_is_sent_is_its_input_and_its_output_comes(run):
    proxy = run("cat")
    proxy.link.sendall(b"SSH-2.0-")
    assert proxy.link.recv(100) == b"SSH-2.0-"
    assert proxy.end == ""


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("true", "it has ended with exit code 0"),
        ("vmsvc-no-such-program", r"it has ended with exit code 127; it said last: .*vmsvc-no-such-program: not found"),
        ("sh -c 'echo one >&2; echo two >&2; exit 3'", r"it has ended with exit code 3; it said last: one \| two"),
        ("sh -c 'kill -9 $$'", "signal 9 has ended it"),
        (
            "sh -c 'yes too much | head -c 1000000 >&2; echo >&2; echo more than that >&2; exit 1'",
            "it has ended with exit code 1; it said last: .* more than that",
        ),
    ],
)
def test_how_it_ended_and_what_it_said_last(run, line, end):
    proxy = run(line)
    proxy.link.settimeout(10)
    assert proxy.link.recv(100) == b""
    assert re.fullmatch(end, proxy.end)


@pytest.mark.parametrize("line", ["sh -c 'sleep 1000 & echo $!; wait'", "sh -c 'sleep 1000 & echo $!'"])
def test_what_it_has_started_ends_with_the_connection(run, line):
    proxy = run(line)
    pid = int(proxy.link.recv(100))
    os.kill(pid, 0)
    began = time.monotonic()
    proxy.close()
    assert time.monotonic() - began < 1.0
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    proxy.close()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def test_whoever_reads_is_woken_by_the_close(run):
    proxy = run("sleep 1000")
    threading.Timer(0.2, proxy.close).start()
    proxy.link.settimeout(10)
    with contextlib.suppress(OSError):
        assert proxy.link.recv(1) == b""
