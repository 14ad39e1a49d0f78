from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vmsvc.core.errors import ActionFailed
from vmsvc.core.execution import journal
from vmsvc.core.execution.journal import Journal


@pytest.fixture
def diary(tmp_path):
    return Journal(tmp_path / "var" / "web.jsonl")


def test_a_whole_action(diary):
    assert diary.unfinished() is None
    diary.begin("start", ("start container#1", "start container#2"))
    assert diary.unfinished().begun == ""
    diary.intend("start container#1")
    assert diary.unfinished().begun == "start container#1"
    diary.done("start container#1", "")
    diary.intend("start container#2")
    found = diary.unfinished()
    assert (found.action, found.pid, found.done, found.begun) == (
        "start",
        os.getpid(),
        ("start container#1",),
        "start container#2",
    )
    assert "the start of 20" in str(found)
    assert (
        f"by pid {os.getpid()} was cut short; it had done: start container#1; it had begun: start container#2"
        in str(found)
    )
    diary.done("start container#2", "no memory")
    assert diary.unfinished().done == ("start container#1",)
    diary.end("done")
    assert diary.unfinished() is None
    assert [each["event"] for each in diary.records()] == ["begin", "intend", "done", "intend", "done", "end"]


def test_only_the_last_action_counts(diary):
    diary.begin("start", ())
    diary.intend("start container#1")
    diary.begin("stop", ())
    found = diary.unfinished()
    assert (found.action, found.begun, found.done) == ("stop", "", ())


@pytest.mark.parametrize("steps", [1, 1000])
def test_an_end_is_found_however_long_the_records_before_it_are(diary, steps, monkeypatch):
    diary.begin("start", tuple(f"start container#{number}" for number in range(steps)))
    assert diary.unfinished().action == "start"
    diary.end("done")
    # One that has ended is told by its last line, however many there are.
    monkeypatch.setattr(Journal, "records", lambda self: pytest.fail("the whole journal was read"))
    assert diary.unfinished() is None


def test_a_torn_end_does_not_hide_that_the_action_had_ended(diary):
    diary.begin("start", ())
    diary.end("done")
    with diary.path.open("a") as file:
        file.write('{"at": 1, "pid": 2, "event": "beg')
    assert diary.unfinished() is None


def test_each_record_is_on_disk_and_so_is_the_name_of_the_file(diary, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    diary.begin("start", ())
    diary.intend("start container#1")
    assert synced == [str(diary.path), str(diary.path.parent), str(diary.path)]


def test_a_torn_line_is_skipped_and_closed_off(diary):
    diary.begin("start", ())
    with diary.path.open("ab") as file:
        file.write(b'{"event": "end", "at": 17')
    assert diary.unfinished().action == "start"
    diary.end("done")
    assert diary.unfinished() is None
    assert len(diary.path.read_bytes().splitlines()) == 3


GARBAGE = [
    b"\xff\xfe\0\0",
    b"[1, 2]",
    b"null",
    b'"end"',
    b"{}",
    b'{"event": "begin", "pid": "x", "at": 1}',
    b'{"event": "begin", "pid": 1, "at": "now"}',
    b'{"event": "begin", "pid": 1, "at": 1e300}',
    b'{"event": "begin", "pid": 1, "at": NaN}',
    b'{"event": "begin", "pid": 1, "at": -1}',
    b'{"event": "end"',
    b"[" * 100_000,
    b"9" * 5000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda line: line[:40].decode(errors="replace"))
def test_what_cannot_be_read_is_skipped(diary, garbage):
    diary.begin("start", ())
    with diary.path.open("ab") as file:
        file.write(garbage + b"\n")
    diary.intend("start container#1")
    assert [each["event"] for each in diary.records()] == ["begin", "intend"]
    assert str(diary.unfinished()).endswith("it had begun: start container#1")


def test_a_long_journal_is_put_aside_between_actions(diary, monkeypatch):
    monkeypatch.setattr(journal, "_ROTATE_BYTES", 300)
    for _ in range(3):
        diary.begin("start", ())
        for _ in range(5):
            diary.intend("start container#1")
        diary.end("done")
    kept = diary.path.with_name("web.jsonl.1")
    assert kept.exists()
    assert [json.loads(line)["event"] for line in kept.read_text().splitlines()] == ["begin", *["intend"] * 5, "end"]
    assert [each["event"] for each in diary.records()] == ["begin", *["intend"] * 5, "end"]


def test_what_a_status_has_to_read_stays_small(diary):
    steps = tuple(f"start container#{number}" for number in range(20))
    for _ in range(200):
        diary.begin("start", steps)
        diary.end("done")
    assert diary.path.stat().st_size < 1 << 17
    assert diary.path.with_name("web.jsonl.1").exists()


def test_a_full_disk_says_what_to_do(tmp_path):
    (tmp_path / "web.jsonl").symlink_to("/dev/full")
    with pytest.raises(ActionFailed, match=r"No space left on device.*make room") as error:
        Journal(tmp_path / "web.jsonl").begin("start", ())
    assert error.value.code == "journal.unwritable"


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ActionFailed, match="the journal cannot be written: File exists"):
        Journal(tmp_path / "file" / "web.jsonl").begin("start", ())


def test_a_journal_that_cannot_be_read_tells_nothing(tmp_path):
    assert Journal(tmp_path).unfinished() is None
