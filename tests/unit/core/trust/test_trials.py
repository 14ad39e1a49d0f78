"""The self-test's verdicts, by what a host answers."""

from __future__ import annotations

import pytest

from vmsvc.core.inside.verbs import script
from vmsvc.core.transport.ssh.trial import Answer
from vmsvc.core.trust.guest import expected
from vmsvc.core.trust.trials import Verdict, try_out

#: As of dash on Debian, seen in a guest.
_MISSING = Answer(2, b"", b"/bin/sh: 0: cannot open /usr/local/lib/vmsvc/vmsvc-guest: No such file\n")


class Trial:
    """A host that answers requests as a test says, and grants nothing besides."""

    is_restricted = True

    def __init__(self, answer):
        self._answer = answer

    def trial(self, *, budget_s):
        return self

    def run(self, what, *fields, budget_s):
        return self._answer(what, *fields)

    def grants(self, *_fields, budget_s):
        return False

    connects = listens = grants


def verdicts(answer):
    return {each.name: each.verdict for each in try_out(Trial(answer), expected(["/svc/etc/init.d"]), budget_s=5)}


@pytest.mark.parametrize("missing", [_MISSING, Answer(127, b"Welcome\n", b"sh: not found\n")])
def test_where_the_script_is_missing_nothing_is_let_in_and_no_alarm_is_given(missing):
    def answer(what, *_fields):
        return Answer(missing.code, missing.stdout) if what == "subsystem" else missing

    found = verdicts(answer)
    assert found["the verb hello"] is Verdict.DOES_NOT_WORK
    assert Verdict.NOT_REFUSED not in found.values()
    assert found["a shell"] is found["sftp"] is Verdict.UNKNOWN


def test_a_key_that_runs_what_it_is_given_is_an_alarm_though_the_script_is_missing():
    def answer(_what, line="", *_fields):
        return Answer(127, b"", b"sh: vmsvc-guest: not found\n") if line.startswith(script().name) else Answer(0)

    found = verdicts(answer)
    assert found["rm -rf of a directory that is nowhere"] is Verdict.NOT_REFUSED
    assert found["a shell"] is found["sftp"] is Verdict.NOT_REFUSED
