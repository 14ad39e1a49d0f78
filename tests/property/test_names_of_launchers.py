"""Launchers may have any name that a directory takes: each is found, and run, as itself and as nothing else."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from vmsvc.core.errors import Undetermined
from vmsvc.core.inside.launchers import Action, EntryKind, parsed
from vmsvc.core.inside.verbs import ask
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.asking import encoded

NAMES = st.binary(min_size=1, max_size=40).map(lambda name: b"S" + name.replace(b"\0", b"").replace(b"/", b""))


class Here:
    name = "here"

    def run(self, argv, *, budget_s, environment=None):
        done = subprocess.run(argv, env={**os.environ, **(environment or {})}, capture_output=True, check=False)
        return Outcome(argv=tuple(argv), code=done.returncode, stdout=done.stdout, stderr=done.stderr, duration_s=0.0)


@example({b"Svmsvc-guest launchers"})
@settings(max_examples=25, deadline=None)
@given(st.sets(NAMES, min_size=1, max_size=5))
def test_each_is_found_in_order_and_run_as_itself(names):
    with tempfile.TemporaryDirectory() as directory:
        for name in names:
            path = Path(directory, os.fsdecode(name))
            path.write_bytes(b'#!/bin/sh\nprintf "%s|%s" "${0##*/}" "$1"\n')
            path.chmod(0o755)
        found = parsed(ask(Here(), "launchers", directory, budget_s=30.0).stdout)
        assert {entry.name for entry in found.entries} == set(map(os.fsdecode, names))
        assert {entry.kind for entry in found.entries} == {EntryKind.EXECUTABLE}
        launchers = found.of_action(Action.START)
        assert list(map(os.fsencode, launchers)) == sorted(map(os.fsencode, launchers))
        for name in launchers[:2]:
            done = ask(Here(), "launch", directory, name, "start", budget_s=30.0)
            assert (done.code, done.stdout) == (0, os.fsencode(name) + b"|start")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_word_is_sent_without_anything_that_a_shell_or_a_blank_could_mean(word):
    sent = encoded(word)
    assert sent.isascii()
    assert all(each.isalnum() or each in "_./=-%" for each in sent)
    parts = sent.split("%")
    back = parts[0].encode() + b"".join(bytes([int(part[:3], 8)]) + part[3:].encode() for part in parts[1:])
    assert back == word.encode()


@given(st.binary(max_size=200))
def test_an_answer_of_any_bytes_is_read_or_is_undetermined(garbage):
    for answer in (garbage, b"vmsvc-guest launchers/" + garbage, b"vmsvc-guest launchers/" + garbage + b"/end\n"):
        try:
            parsed(answer)
        except Undetermined:
            continue
