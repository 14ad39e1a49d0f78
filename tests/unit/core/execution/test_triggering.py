"""Triggers as commands on the node: what they are told, their deadline, and what is told of their failure."""

from __future__ import annotations

import contextlib
import time

import pytest

from vmsvc.core.errors import ActionFailed
from vmsvc.core.execution.triggering import TriggerCaller
from vmsvc.core.transport.local import LocalHost
from vmsvc.core.triggers import Trigger


@pytest.fixture
def call():
    with contextlib.closing(LocalHost("n1")) as host:
        caller = TriggerCaller(host=lambda: host, service="web", action="restart", node="n1")

        def call(*command, budget_s=20.0):
            caller(Trigger(key="pre_start", command=command, rid="container#1", budget_s=budget_s))

        yield call


def test_it_knows_what_it_runs_for(call, tmp_path):
    call("sh", "-c", f"env | grep ^VMSVC_ | sort > {tmp_path}/told")
    told = dict(line.split("=", 1) for line in (tmp_path / "told").read_text().splitlines())
    expected = {
        "VMSVC_SERVICE": "web",
        "VMSVC_RID": "container#1",
        "VMSVC_ACTION": "restart",
        "VMSVC_TRIGGER": "pre_start",
        "VMSVC_NODE": "n1",
    }
    assert {key: told[key] for key in expected} == expected


def test_no_shell_reads_its_words(call, tmp_path):
    call("touch", str(tmp_path / "$HOME; x"))
    assert (tmp_path / "$HOME; x").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("sh", "-c", "echo out; echo no space >&2; exit 3"), "exit code 3: no space"),
        (("sh", "-c", "echo only out; exit 1"), "exit code 1: only out"),
        (("false",), "exit code 1: no output"),
        (("sh", "-c", "kill -9 $$"), "signal 9"),
        (("/no/such/command",), "cannot be started"),
    ],
)
def test_its_failure_is_told_with_what_it_said(call, command, told):
    with pytest.raises(ActionFailed) as error:
        call(*command)
    assert error.value.message.startswith("pre_start of container#1")
    assert told in error.value.message
    assert error.value.hint.startswith("run it by hand: ")


def test_one_that_hangs_is_killed_when_its_time_is_up(call):
    began = time.monotonic()
    with pytest.raises(ActionFailed, match=r"did not end within 0.3 s, and was killed"):
        call("sh", "-c", "trap '' TERM; sleep 60", budget_s=0.3)
    assert time.monotonic() - began < 15
