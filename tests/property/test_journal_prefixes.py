"""A crash leaves any prefix of a journal's bytes: each of them can be read, and tells no more than was written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.execution.journal import Journal

STEPS = st.sampled_from(["start container#1", "stop container#2", "kill ü#3"])
EVENTS = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from(["start", "stop"])),
    st.tuples(st.just("intend"), STEPS),
    st.tuples(st.just("done"), STEPS, st.sampled_from(["", "no memory\n"])),
    st.tuples(st.just("end"), st.sampled_from(["done", "it failed"])),
)


def write(diary, events):
    for event, *arguments in events:
        if event == "begin":
            arguments.append(())
        getattr(diary, event)(*arguments)


def told(diary):
    found = diary.unfinished()
    return found and (found.action, found.begun, found.done)


@given(st.lists(EVENTS, max_size=8), st.floats(0, 1))
def test_any_prefix_reads_as_the_whole_records_in_it(events, share):
    with tempfile.TemporaryDirectory() as folder:
        whole, cut, model = (Journal(Path(folder) / name) for name in ("whole", "cut", "model"))
        write(whole, events)
        content = whole.path.read_bytes() if events else b""
        kept = content[: round(share * len(content))]
        cut.path.write_bytes(kept)
        # A record counts when its last brace is there, whether or not its line end came through.
        complete = kept.count(b"\n") + (kept.endswith(b"}") if kept else 0)
        write(model, events[:complete])
        assert told(cut) == told(model)
        # And whoever goes on writes whole lines.
        write(cut, [("begin", "stop"), ("intend", "kill x")])
        assert told(cut) == ("stop", "kill x", ())


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(content):
    with tempfile.TemporaryDirectory() as folder:
        diary = Journal(Path(folder) / "x")
        diary.path.write_bytes(content)
        str(diary.unfinished())
        write(diary, [("begin", "stop")])
        assert told(diary) == ("stop", "", ())
