from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vmsvc.core.errors import ActionFailed
from vmsvc.core.records.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "var/store.sqlite")


def contents(store):
    with sqlite3.connect(store.path) as database:
        found = [row[0] for row in database.execute("SELECT content FROM snapshot ORDER BY id")]
    database.close()
    return found


def test_the_newest_counts_and_history_is_kept(store):
    assert store.latest("web", "push") is None
    assert not store.path.exists()  # looking makes nothing
    added = store.add("web", "push", "n1", {"a": [1, None, "ü"]})
    assert store.latest("web", "push") == added
    store.add("web", "push", "n1", 2)
    store.add("web", "disks", "n1", 3)
    store.add("db", "push", "n1", 4)
    assert store.latest("web", "push").content == 2
    assert store.latest("web", "disks").content == 3
    assert store.latest("db", "disks") is None
    assert contents(store) == ['{"a": [1, null, "\\u00fc"]}', "2", "3", "4"]


def test_reading_waits_for_no_writer_and_changes_nothing(store):
    store.add("web", "push", "n1", 1)
    writer = sqlite3.connect(store.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM snapshot")
    began = time.monotonic()
    assert store.latest("web", "push").content == 1
    assert time.monotonic() - began < 1
    writer.execute("ROLLBACK")
    writer.close()
    before = store.path.stat().st_mtime_ns
    store.latest("web", "push")
    assert store.path.stat().st_mtime_ns == before
    assert list(store.path.parent.iterdir()) == [store.path]


@pytest.fixture
def mere_reader():
    """A store of another's, of which a user may read everything and change nothing; its path has odd characters."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a b#c?d%41")
        path.mkdir()
        Store(path / "store.sqlite").add("web", "push", "n1", 1)
        (path / "store.sqlite").chmod(0o444)
        path.chmod(0o555)
        Path(folder).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield Store(path / "store.sqlite")
        finally:
            if root:
                os.seteuid(0)
            path.chmod(0o755)


def test_who_may_only_read_can_read(mere_reader):
    assert mere_reader.latest("web", "push").content == 1
    with pytest.raises(ActionFailed, match="readonly database"):
        mere_reader.add("web", "push", "n1", 2)


def test_a_store_that_is_only_being_made_has_nothing_yet(store):
    store.path.parent.mkdir()
    sqlite3.connect(store.path).close()
    store.path.touch()
    assert store.latest("web", "push") is None


# --- history ----------------------------------------------------------------------------------------------------------


def test_what_says_the_same_is_confirmed_and_not_stored_again(store):
    first = store.add("web", "push", "n1", {"a": (1, 2), "evidence": {"at": 1.0}})
    again = store.add("web", "push", "n1", {"a": [1, 2], "evidence": {"at": 2.0}})
    assert (again.at, again.content) == (first.at, first.content)
    assert again.confirmed > first.confirmed == first.at
    assert store.history("web", "push") == (again,)
    store.add("web", "push", "n1", {"a": [1]})
    store.add("web", "push", "n1", {"a": [1, 2]})  # what was so once is not the same as what stayed so
    assert [snapshot.content["a"] for snapshot in store.history("web", "push")] == [[1, 2], [1], [1, 2]]


def test_what_another_node_found_confirms_nothing(store):
    for node in ("n1", "n2"):
        store.add("web", "push", node, 1)
    assert [snapshot.node for snapshot in store.history("web", "push")] == ["n2", "n1"]


def test_a_clock_that_was_set_back_takes_back_no_confirmation(store, monkeypatch):
    store.add("web", "push", "n1", 1)
    late = store.add("web", "push", "n1", 1).confirmed
    monkeypatch.setattr("vmsvc.core.records.store.time.time", lambda: 1000.0)
    assert store.add("web", "push", "n1", 1).confirmed == late


def test_the_history_is_bounded_for_each_service_and_topic(store):
    short = Store(store.path, keep=3)
    short.add("db", "push", "n1", "the only one")
    for number in range(10):
        short.add("web", "push", "n1", number)
        short.add("web", "disks", "n1", -number)
    assert [snapshot.content for snapshot in short.history("web", "push")] == [9, 8, 7]
    assert [snapshot.content for snapshot in short.history("web", "disks", limit=2)] == [-9, -8]
    assert short.latest("db", "push").content == "the only one"


def test_no_store_lets_go_of_the_only_record(store):
    with pytest.raises(ValueError, match="keep"):
        Store(store.path, keep=0)
    for number in range(3):
        Store(store.path, keep=1).add("web", "push", "n1", number)
    assert store.latest("web", "push").content == 2


# --- an older file ----------------------------------------------------------------------------------------------------


@pytest.fixture
def old_store(tmp_path):
    """A store that version 1 of the tables was used for: written by the code of then, and kept as it was."""
    path = tmp_path / "store.sqlite"
    shutil.copy(Path(__file__).parent / "files/store-1.sqlite", path)
    return Store(path)


def comments(store):
    return [snapshot.content["service"]["settings"]["comment"] for snapshot in store.history("web", "push")]


def version(store):
    with contextlib.closing(sqlite3.connect(store.path)) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


def test_an_older_file_is_read_and_left_as_it_is(old_store):
    before = old_store.path.read_bytes()
    assert comments(old_store) == ["second", "first"]
    assert old_store.latest("web", "disks").content[0]["source"] == "/dev/sda"
    assert old_store.latest("db", "push").confirmed == old_store.latest("db", "push").at > 0
    assert old_store.path.read_bytes() == before
    assert version(old_store) == 1


def test_an_older_file_is_brought_up_to_date_by_the_first_who_writes(old_store):
    old = old_store.history("web", "push")
    old_store.add("web", "push", "n1", {"service": {"settings": {"comment": "third"}}})
    assert version(old_store) == 2
    assert old_store.history("web", "push")[1:] == old
    assert comments(old_store) == ["third", "second", "first"]


KILLED_AT = """
import os, signal, sqlite3, sys
from vmsvc.core.records import store

connect, left = sqlite3.connect, int(sys.argv[2])

def dying(*words, **more):
    database = connect(*words, **more)
    def before(statement):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    database.set_trace_callback(before)
    return database

store.sqlite3.connect = dying
store.Store(sys.argv[1]).add("web", "push", "n1", {"service": {"settings": {"comment": "third"}}})
"""


def test_kill_9_before_any_statement_loses_no_earlier_history(old_store):
    for number in range(1, 100):
        done = subprocess.run([sys.executable, "-c", KILLED_AT, str(old_store.path), str(number)], check=False)
        assert comments(old_store)[-2:] == ["second", "first"]
        assert old_store.latest("db", "push")
        if done.returncode == 0:
            break
        assert done.returncode == -9
        assert version(old_store) == 1
    assert number > 8  # it has died often, in the middle of the migration too
    assert comments(old_store) == ["third", "second", "first"]


# --- trouble ----------------------------------------------------------------------------------------------------------

ADDER = """
import sys
from vmsvc.core.records.store import Store
store = Store(sys.argv[1], keep=1_000_000)
for number in range(int(sys.argv[3])):
    store.add("web", "push", sys.argv[2], number)
    print(number, flush=True)
"""


def adder(store, node, count, **more):
    return subprocess.Popen([sys.executable, "-c", ADDER, str(store.path), node, str(count)], **more)


def test_two_processes_write_at_once(store):
    writers = [adder(store, name, 30, stdout=subprocess.DEVNULL) for name in ("n1", "n2")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert sorted(contents(store)) == sorted([str(number) for number in range(30)] * 2)


def test_kill_9_loses_nothing_that_was_added(store):
    for _ in range(3):
        known = len(contents(store)) if store.path.exists() else 0
        with adder(store, "n1", 100_000, stdout=subprocess.PIPE, text=True) as writer:
            lines = [writer.stdout.readline() for _ in range(10)]
            writer.kill()
            rest = writer.stdout.read().splitlines()
        told = len(lines) + len(rest)
        assert told <= len(contents(store)) - known <= told + 1
    store.add("web", "push", "n1", "after")
    assert store.latest("web", "push").content == "after"


def test_a_newer_version_is_refused_and_left_alone(store):
    store.add("web", "push", "n1", 1)
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    for action in (lambda: store.add("web", "push", "n1", 2), lambda: store.latest("web", "push")):
        with pytest.raises(ActionFailed, match=r"a newer vmsvc has made it .version 99"):
            action()
    assert contents(store) == ["1"]


def test_a_file_that_is_no_store(store):
    store.path.parent.mkdir()
    store.path.write_text("hello" * 500)
    with pytest.raises(ActionFailed, match="not a database"):
        store.add("web", "push", "n1", 1)
    assert store.path.read_text() == "hello" * 500


def test_a_place_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ActionFailed, match="the store cannot be used"):
        Store(tmp_path / "file/store.sqlite").add("web", "push", "n1", 1)


def test_content_that_is_no_plain_data_changes_nothing(store):
    store.add("web", "push", "n1", 1)
    with pytest.raises(TypeError):
        store.add("web", "push", "n1", object())
    assert contents(store) == ["1"]


def test_a_store_that_is_held_for_long_is_told(store, monkeypatch):
    monkeypatch.setattr("vmsvc.core.records.store._BUSY_S", 0.2)
    store.add("web", "push", "n1", 1)
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with pytest.raises(ActionFailed, match="locked"):
        store.add("web", "push", "n1", 2)
    assert time.monotonic() - began < 2
    holder.close()
    store.add("web", "push", "n1", 3)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system of its own needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_what_was_there(small_disk):
    store = Store(small_disk / "store.sqlite")
    store.add("web", "push", "n1", "first")
    with pytest.raises(ActionFailed, match=r"full.*make room"):
        store.add("web", "push", "n1", "x" * 100_000)
    assert store.latest("web", "push").content == "first"
    store.add("web", "push", "n1", "small")
    assert contents(store) == ['"first"', '"small"']


def test_a_full_disk_leaves_an_older_file_as_it_is(small_disk, old_store):
    store = Store(shutil.copy(old_store.path, small_disk / "store.sqlite"))
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    with pytest.raises(ActionFailed, match=r"full.*make room"):
        store.add("web", "push", "n1", "x" * 5000)
    assert comments(store) == ["second", "first"]
    assert version(store) == 1
    (small_disk / "filler").unlink()
    store.add("web", "disks", "n1", [])
    assert version(store) == 2
    assert comments(store) == ["second", "first"]


def test_a_record_that_is_damaged_is_told(store):
    store.add("web", "push", "n1", 1)
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE snapshot SET content = '{'")
    with pytest.raises(ActionFailed, match="the store cannot be used"):
        store.latest("web", "push")


def test_an_error_that_ended_the_transaction_is_told_and_not_its_consequence(store):
    store.add("web", "push", "n1", "first")
    with sqlite3.connect(store.path) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON snapshot BEGIN SELECT RAISE(ROLLBACK, 'no more room'); END"
        )
    database.close()
    with pytest.raises(ActionFailed, match="the store cannot be used: no more room"):
        store.add("web", "push", "n1", "second")
    assert contents(store) == ['"first"']
