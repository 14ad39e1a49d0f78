from __future__ import annotations

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
from vmsvc.core.store import Store


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


ADDER = """
import sys
from vmsvc.core.store import Store
store = Store(sys.argv[1])
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
    monkeypatch.setattr("vmsvc.core.store._BUSY_S", 0.2)
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
