"""The lock of a service, against another process that holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vmsvc.core.errors import ActionFailed, Busy
from vmsvc.core.execution.lock import holder_of, service_lock, with_holders
from vmsvc.core.node import Node

HOLDER = """
import sys, time
from pathlib import Path
from vmsvc.core.execution.lock import service_lock
from vmsvc.core.node import Node
with service_lock(Node(name="n1", root=Path(sys.argv[1])), sys.argv[2], "start", timeout_s=5):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def node(tmp_path):
    return Node(name="n1", root=tmp_path)


@pytest.fixture
def other(node):
    """Start another process that holds the lock of a service."""
    started = []

    def hold(service="web"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(node.root), service],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def take(node, service="web", timeout_s=0.2):
    with service_lock(node, service, "stop", timeout_s=timeout_s):
        return True


def test_a_second_process_is_told_who_holds_it_and_waits_as_long_as_it_may(node, other):
    process = other()
    began = time.monotonic()
    with pytest.raises(Busy, match=f"web is going on: start by pid {process.pid} since ..:..:..") as error:
        take(node, timeout_s=0.4)
    assert 0.4 <= time.monotonic() - began < 2
    assert error.value.exit_code == 3
    assert holder_of(node, "web").startswith(f"start by pid {process.pid} since")


def test_one_who_waits_long_enough_gets_it(node, other):
    process = other()
    process.stdin.close()
    assert take(node, timeout_s=10)
    assert holder_of(node, "web") == ""


def test_one_who_waits_can_be_interrupted(node, other):
    other()
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    began = time.monotonic()
    with (
        pytest.raises(ActionFailed, match="interrupted while it waited for another action on web") as error,
        service_lock(node, "web", "stop", timeout_s=60, cancelled=cancelled),
    ):
        raise AssertionError("got it")
    assert error.value.code == "action.interrupted"
    assert time.monotonic() - began < 5


def test_an_event_that_nobody_sets_changes_nothing(node, other):
    never = threading.Event()
    with service_lock(node, "web2", "stop", timeout_s=0, cancelled=never):
        pass
    other()
    with pytest.raises(Busy), service_lock(node, "web", "stop", timeout_s=0.1, cancelled=never):
        raise AssertionError("got it")


def test_a_holder_whose_note_is_anothers_is_nameless(node, other):
    process = other()
    note = node.run_dir / "locks/web.holder"
    note.write_text(json.dumps({**json.loads(note.read_text()), "pid": 1}))
    with pytest.raises(Busy, match="its holder left no name"):
        take(node)
    assert process.poll() is None


def test_another_service_is_not_concerned(node, other):
    other("web2")
    assert take(node, "web")
    assert holder_of(node, "web") == ""


def test_kill_9_releases_it(node, other):
    process = other()
    process.kill()
    process.wait()
    assert holder_of(node, "web") == ""  # its words are still there, it is not
    assert (node.run_dir / "locks/web.holder").exists()
    assert take(node)
    assert not (node.run_dir / "locks/web.holder").exists()


def test_a_look_takes_no_lock_and_makes_nothing(node, other):
    assert holder_of(node, "web") == ""
    assert not node.run_dir.exists()
    process = other()
    for _ in range(50):
        holder_of(node, "web")
    process.stdin.close()
    assert take(node, timeout_s=10)


def test_the_own_action_is_no_other(node):
    with service_lock(node, "web", "start", timeout_s=0):
        assert holder_of(node, "web") == ""
        with pytest.raises(Busy, match=f"start by pid {os.getpid()}"):
            take(node, timeout_s=0)


def test_an_error_within_releases_it(node):
    with pytest.raises(KeyError), service_lock(node, "web", "start", timeout_s=0):
        raise KeyError
    assert take(node)


@pytest.mark.parametrize("service", ["web.prod", "web", "a b;$(id)", "x.lock", "x.holder", "ü", ".hidden"])
def test_odd_names_have_locks_of_their_own(node, other, service):
    process = other(service)
    with pytest.raises(Busy, match=str(process.pid)):
        take(node, service, timeout_s=0)
    assert take(node, "web.test")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "{",
        "[]",
        "null",
        '{"intent": "start"}',
        '{"intent": "start", "pid": "x", "born": 1, "since": 0}',
        '{"intent": "start", "pid": -1, "born": 0, "since": 0}',
        "[" * 100_000,
        '{"intent": "start", "pid": 1, "since": 1e300}',
        '{"intent": "start", "pid": 1e300, "since": 0}',
        '{"intent": "start", "pid": 99999999999999999999999, "since": 0}',
        "\x00",
    ],
)
def test_a_garbled_note_of_a_holder(node, words):
    (node.run_dir / "locks").mkdir(parents=True)
    (node.run_dir / "locks/web.holder").write_text(words)
    assert holder_of(node, "web") == ""
    assert take(node)


def test_another_living_process_is_believed_and_a_zombie_is_not(node):
    (node.run_dir / "locks").mkdir(parents=True)
    note = node.run_dir / "locks/web.holder"
    child = subprocess.Popen(["sleep", "60"])
    try:
        born = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        for wrong in ({}, {"born": born + 1}, {"born": 0}, {"born": None}):  # the pid has been given anew since
            note.write_text(json.dumps({"intent": "start", "pid": child.pid, "since": 0, **wrong}))
            assert holder_of(node, "web") == ""
        note.write_text(json.dumps({"intent": "start", "pid": child.pid, "born": born, "since": 0}))
        assert holder_of(node, "web").startswith(f"start by pid {child.pid}")
    finally:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it
        assert holder_of(node, "web") == ""
        child.wait()


def test_a_lock_that_cannot_be_made(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(ActionFailed, match="lock of web cannot be taken: Not a directory") as error:
        take(Node(name="n1", root=tmp_path))
    assert error.value.code == "lock.unavailable"


def test_a_note_that_cannot_be_written_loses_nothing(node):
    (node.run_dir / "locks/web.holder").mkdir(parents=True)
    assert take(node)


def garble(node):
    (node.run_dir / "locks/web.holder").write_text("{")


def hide_its_beginning(node):
    """As on systems without ``/proc/PID/stat``."""
    note = node.run_dir / "locks/web.holder"
    note.write_text(json.dumps({**json.loads(note.read_text()), "born": 0}))


@pytest.mark.parametrize("hide", [garble, hide_its_beginning])
def test_a_holder_that_cannot_be_known_is_still_something_going_on(node, other, hide):
    process = other()
    hide(node)
    assert holder_of(node, "web") == "an action of a process that left no name"
    process.kill()
    process.wait()
    assert holder_of(node, "web") == ""


def test_a_lock_that_cannot_be_looked_at_is_something_going_on(node, other, monkeypatch):
    other()
    garble(node)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert "for all that can be told: Permission denied" in holder_of(node, "web")


def test_locks_that_cannot_be_listed_may_all_have_a_holder(node, monkeypatch):
    assert with_holders(node, ["web", "db"]) == frozenset()
    with service_lock(node, "web", "start", timeout_s=0):
        assert with_holders(node, ["web", "db"]) == {"web"}

    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", denied)
    assert with_holders(node, ["web", "db"]) == {"web", "db"}


def test_an_action_that_others_must_hear_of_is_not_begun_where_it_cannot_tell(node):
    (node.run_dir / "locks/web.holder").mkdir(parents=True)  # nothing can be written there
    with (
        pytest.raises(ActionFailed, match=r"start of web was not begun: .*Is a directory") as error,
        service_lock(node, "web", "start", timeout_s=0, must_tell=True),
    ):
        raise AssertionError("begun")
    assert error.value.code == "lock.cannot-tell"
    assert take(node)  # a stop goes on, and the lock was released
