"""Attempts carried out: in parallel, within a budget, and waited for."""

from __future__ import annotations

import threading
import time

import pytest
from attrs import define, field

from tests.unit.core.vmdg.drive import A, B, keys, take
from vmsvc.core.vmdg import sequences
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey
from vmsvc.testing import Fault, San


def test_an_attempt_is_carried_out():
    san = San("a", disks=8)

    assert carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=30).outcome is Outcome.HELD
    assert carry_out(release(san.disks("a"), A), san.tool("a"), budget_s=30).outcome is Outcome.RELEASED
    assert keys(san) == {}


def test_a_survey_is_carried_out():
    san = San("a", disks=2)

    assert len(carry_out(survey(san.disks("a")), san.tool("a"), budget_s=30)) == 2


def test_disks_and_paths_go_in_parallel():
    san = San("ab", disks=16, delay_s=0.02)
    take(evolved := San("ab", disks=16), "b", B)
    san.units = evolved.units

    began = time.monotonic()
    result = carry_out(acquire(san.disks("a"), A, authority=frozenset({B})), san.tool("a"), budget_s=30)
    took_s = time.monotonic() - began

    assert result.outcome is Outcome.HELD
    assert took_s < 0.4 * len(san.asked) * san.delay_s


def test_no_more_at_once_than_allowed():
    san = San("a", disks=8)
    at_once, most = [], []

    def count(request):
        at_once.append(request)
        most.append(len(at_once))
        time.sleep(0.005)
        at_once.pop()

    san.before = count
    carry_out(survey(san.disks("a")), san.tool("a"), budget_s=30, parallel=3)

    assert max(most) <= 3


def test_what_takes_too_long_is_given_up_and_taken_back():
    san = San("a", delay_s=0.05)

    result = carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=0.08)

    assert result.outcome is Outcome.UNDETERMINED
    assert "not done within 0.08 s" in str(result.reasons[0])
    assert keys(san) == {}


def test_taking_back_has_its_limit_too(monkeypatch):
    monkeypatch.setattr(sequences, "GRACE_S", 0.0)
    san = San("a", delay_s=0.05)

    result = carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=0.08)

    assert result.outcome is Outcome.UNDETERMINED


def test_an_interrupted_attempt_is_taken_back():
    san = San("a")
    cancelled = threading.Event()
    san.before = lambda request: cancelled.set() if request.operation is not None else None

    result = carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=30, cancelled=cancelled)

    assert result.outcome is Outcome.UNDETERMINED
    assert "interrupted" in str(result.reasons[0])
    assert keys(san) == {}


def test_a_request_that_is_repeated_waits_before_it(monkeypatch):
    monkeypatch.setattr(sequences, "PAUSE_S", 0.05)
    san = San("a", paths=1)
    san.give("/dev/a1d0", Fault.BUSY)

    began = time.monotonic()
    carry_out(survey(san.disks("a")), san.tool("a"), budget_s=30)

    assert time.monotonic() - began >= 0.05


@define
class Broken:
    """A tool that raises: nobody may take that for an answer."""

    asked: list = field(factory=list)

    def read(self, disk, path):
        raise RuntimeError("broken")

    def perform(self, disk, operation):
        raise RuntimeError("broken")


def test_a_tool_that_breaks_its_promise_is_heard():
    san = San("a")

    with pytest.raises(RuntimeError, match="broken"):
        carry_out(survey(san.disks("a")), Broken(), budget_s=30)
