"""Attempts carried out: in parallel, within a budget, and waited for."""

from __future__ import annotations

import threading
import time

import pytest
from attrs import define, field

from tests.unit.core.vmdg.drive import A, B, keys, take
from tests.unit.core.vmdg.recordings import outcome, recorded
from vmsvc.core.errors import Undetermined
from vmsvc.core.vmdg import sequences
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.seen import Act, Answer, Operation, ScsiDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.core.vmdg.survey import survey
from vmsvc.core.vmdg.tool import TOO_LATE, Deadline
from vmsvc.core.vmdg.tools import new_tool
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

    result = carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=0.16)

    assert result.outcome is Outcome.UNDETERMINED
    assert "not done within 0.08 s" in str(result.reasons[0])


def test_what_was_done_is_taken_back_within_the_same_budget():
    san = San("a", paths=1)
    slow = iter([0.0, 0.3])  # the look, and the registration
    san.before = lambda request: time.sleep(next(slow, 0.0))

    began = time.monotonic()
    result = carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=0.5)

    assert result.outcome is Outcome.UNDETERMINED
    assert keys(san) == {}
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("hung", [1, 2, 3])
def test_an_attempt_that_is_over_asks_for_nothing_any_more(hung):
    # A removal that came later could take the disks away from under a guest that was started meanwhile.
    san, release_it, calls = San("a", paths=1), threading.Event(), []

    def hang(request):
        calls.append(request)
        if len(calls) == hung:
            release_it.wait(10)

    san.before = hang
    began = time.monotonic()
    result = carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=0.2)
    took_s, asked = time.monotonic() - began, len(calls)
    release_it.set()
    time.sleep(0.1)

    assert result.outcome is Outcome.UNDETERMINED
    assert took_s < 2
    assert len(calls) == asked
    if hung > 1:
        assert "not been taken back" in str(result.reasons)


def test_every_request_is_told_when_its_attempt_ends():
    san = San("a", paths=1)
    tool = Counting(san.tool("a"))

    began = time.monotonic()
    carry_out(acquire(san.disks("a"), A), tool, budget_s=40)

    assert tool.deadlines
    for deadline in tool.deadlines:
        assert deadline.begins == pytest.approx(began + 20, abs=1)  # the rest is for taking back
        assert began + 35 < deadline.ends < began + 40  # and killed early enough to be gone at the end


class Stalling:
    """A host whose commands do not end before their time is over; or that says, each time, what stands in a list."""

    name = "here"

    def __init__(self, *answers):
        self._answers, self.ran = [*answers], []

    def run(self, argv, *, budget_s, environment):
        began = time.monotonic()
        self.ran.append((argv, began, began + budget_s))
        if self._answers:
            return self._answers.pop(0)
        time.sleep(budget_s)
        raise Undetermined(f"did not end within {budget_s:.1f} s")


@pytest.mark.parametrize("is_managed", [False, True])
def test_no_command_begins_or_goes_on_after_its_attempt(is_managed):
    # An unregistration that outlived its attempt took the disk away from under a guest that was started meanwhile.
    disk = ScsiDisk(name="d", wwid="w", paths=("/dev/sda", "/dev/sdb"), map="/dev/mapper/m", is_managed=is_managed)
    host = Stalling(recorded("1.46/vmsvc-full-status-held"))

    began = time.monotonic()
    result = carry_out(release([disk], 0xA1A1_0000_0000_0001), new_tool(host), budget_s=0.6)
    ended = time.monotonic()
    time.sleep(0.4)

    assert result.outcome is Outcome.UNDETERMINED
    assert len(host.ran) > 1
    assert all(start < began + 0.6 and end <= ended for _, start, end in host.ran)


def test_a_request_of_several_commands_begins_none_of_them_after_its_time():
    disk = ScsiDisk(name="d", wwid="w", paths=("/dev/sda",))
    late = Deadline(begins=time.monotonic() + 0.05)
    host = Stalling(outcome(code=5))  # no APTPL: it would be asked again without
    host.run = lambda *args, run=host.run, **more: (time.sleep(0.1), run(*args, **more))[1]

    performed = new_tool(host).perform(disk, Operation(act=Act.REGISTER, path="/dev/sda", key=A), deadline=late)

    assert len(host.ran) == 1
    assert (performed.answer, performed.detail) == (Answer.SILENT, TOO_LATE)


def test_a_hung_path_hides_no_other_one_and_no_exit_waits_for_it():
    san, release_it = San("a", disks=2, paths=2), threading.Event()
    hung = san.disks("a")[0].paths[0]
    san.before = lambda request: release_it.wait(10) if request.path == hung else None

    try:
        shown = carry_out(survey(san.disks("a")), san.tool("a"), budget_s=0.3)
        assert all(each.daemon for each in threading.enumerate() if each is not threading.main_thread())
    finally:
        release_it.set()

    assert [[reading.is_live for reading in readings] for readings in shown] == [[False, True], [True, True]]


def test_looks_before_anything_is_done_are_the_short_ones():
    san = San("a", paths=1)
    quick, patient = Counting(san.tool("a")), Counting(san.tool("a"))

    result = carry_out(acquire(san.disks("a"), A), patient, looking=quick, budget_s=30)

    assert result.outcome is Outcome.HELD
    assert quick.asked == ["read"]
    assert patient.asked.count("read") == 1


def test_an_interrupt_lets_no_queued_request_be_made():
    san, cancelled, calls = San("a", disks=8, paths=1), threading.Event(), []

    def interrupt(request):
        calls.append(request)
        cancelled.set()

    san.before = interrupt
    carry_out(acquire(san.disks("a"), A), san.tool("a"), budget_s=30, parallel=1, cancelled=cancelled)

    assert len(calls) == 1


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
class Counting:
    """A tool that remembers what it was asked for."""

    tool: object
    asked: list = field(factory=list)
    deadlines: list = field(factory=list)

    def read(self, disk, path, *, deadline):
        self.asked.append("read")
        self.deadlines.append(deadline)
        return self.tool.read(disk, path)

    def perform(self, disk, operation, *, deadline):
        self.asked.append("perform")
        self.deadlines.append(deadline)
        return self.tool.perform(disk, operation)


@define
class Broken:
    """A tool that raises: nobody may take that for an answer."""

    asked: list = field(factory=list)

    def read(self, disk, path, *, deadline):
        raise RuntimeError("broken")

    def perform(self, disk, operation, *, deadline):
        raise RuntimeError("broken")


def test_a_tool_that_breaks_its_promise_is_heard():
    san = San("a")

    with pytest.raises(RuntimeError, match="broken"):
        carry_out(survey(san.disks("a")), Broken(), budget_s=30)
