"""Verdicts about disks, from what was read and tried: every one that there is."""

from __future__ import annotations

import errno
import os

import pytest
from attrs import evolve

from vmsvc.core.errors import Undetermined
from vmsvc.core.vmdg.attempt import Outcome, Reason, Result
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Answer, Capabilities, OtherDisk, Reading, Registration, Reservation, ScsiDisk
from vmsvc.core.vmdg.tools import holding
from vmsvc.core.vmdg.validation import (
    Looked,
    Verdict,
    check_answer,
    check_disk,
    check_keys_of_nodes,
    check_latency,
    check_other,
    check_outcome,
    check_race,
)

OURS, THEIRS = 0xA, 0xB
DISK = ScsiDisk(name="/dev/disk/by-id/one", wwid="naa.1", paths=("/dev/sda", "/dev/sdb"), size_bytes=1 << 30)
CAPABLE = Capabilities(answer=Answer.DONE, can_persist=True, is_persistent=True, types=frozenset({5}))
HELD = tuple(
    Reading(
        path=path,
        answer=Answer.DONE,
        generation=2,
        registrations=(Registration(key=OURS, holds=True), Registration(key=OURS)),
        reservation=Reservation(key=OURS, type=5),
    )
    for path in DISK.paths
)
LOOKED = Looked(disk=DISK, readings=HELD, capabilities=CAPABLE, key=OURS, names={THEIRS: "n2"}, seconds=(0.01, 0.02))


def verdict(name, looked=LOOKED, **change):
    checks = {check.name: check for check in check_disk(evolve(looked, **change))}
    assert {check.disk for check in checks.values()} == {looked.disk.name}
    return checks[name].verdict, checks[name].text


def test_words_are_what_they_say():
    assert [str(each) for each in Verdict] == ["passed", "failed", "skipped", "unknown"]


def test_a_disk_that_is_well():
    assert {check.verdict for check in check_disk(LOOKED)} == {Verdict.PASSED, Verdict.SKIPPED}
    assert "2 SCSI hosts" in verdict("paths", disk=evolve(DISK, hosts=("3", "4")))[1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("/dev/sdb", Verdict.FAILED), ("/dev/dm-3", Verdict.FAILED), ("/dev/mapper/sdb", Verdict.PASSED)],
)
def test_a_name_that_means_another_disk_after_the_next_boot(name, expected):
    assert verdict("name", evolve(LOOKED, disk=evolve(DISK, name=name)))[0] is expected


def test_a_path_that_was_not_read_in_time_is_missing_and_not_forgotten():
    found, text = verdict("paths", readings=HELD[:1])
    assert (found, "/dev/sdb (not read in time)" in text) == (Verdict.FAILED, True)
    assert verdict("one unit", readings=HELD[:1])[0] is Verdict.SKIPPED


def test_a_single_path_passes_and_is_told():
    found, text = verdict("paths", disk=evolve(DISK, paths=("/dev/sda",)), readings=HELD[:1])
    assert (found, "if it fails" in text) == (Verdict.PASSED, True)


def test_paths_that_show_different_things_may_lead_to_different_disks():
    other = evolve(HELD[1], registrations=(Registration(key=THEIRS),))
    assert verdict("one unit", readings=(HELD[0], other))[0] is Verdict.UNKNOWN


def test_a_size_that_cannot_be_read_is_not_a_size_of_nothing():
    assert verdict("size", disk=evolve(DISK, size_bytes=None))[0] is Verdict.UNKNOWN
    assert verdict("size", disk=evolve(DISK, size_bytes=0))[0] is Verdict.FAILED


@pytest.mark.parametrize(
    ("capabilities", "type", "power"),
    [
        (Capabilities(answer=Answer.GONE, detail="transport"), Verdict.UNKNOWN, Verdict.UNKNOWN),
        (evolve(CAPABLE, types=None), Verdict.SKIPPED, Verdict.PASSED),
        (evolve(CAPABLE, types=frozenset({1})), Verdict.FAILED, Verdict.PASSED),
        (evolve(CAPABLE, can_persist=False), Verdict.PASSED, Verdict.FAILED),
        (evolve(CAPABLE, is_persistent=False), Verdict.PASSED, Verdict.FAILED),
    ],
)
def test_what_a_disk_says_that_it_can_do(capabilities, type, power):
    assert verdict("type", capabilities=capabilities)[0] is type
    assert verdict("power loss", capabilities=capabilities)[0] is power


def test_a_disk_of_nobody_may_still_be_asked_for_registrations_that_last():
    assert verdict("power loss", key=0, capabilities=evolve(CAPABLE, is_persistent=False))[0] is Verdict.PASSED


def test_a_target_without_full_status_takes_two_requests_a_look():
    assert "two requests" in verdict("full status", readings=tuple(evolve(each, calls=2) for each in HELD))[1]


@pytest.mark.parametrize(("why", "told"), [("a source", True), ("", False)])
def test_a_make_without_abort_is_told_with_where_that_is_known_from(why, told):
    found, text = verdict("abort", disk=evolve(DISK, quirks=Quirks(abort=False, why=why)))
    assert (found, "a source" in text) == (Verdict.FAILED, told)


def test_keys_of_strangers_and_of_earlier_trials():
    assert verdict("registrants", key=THEIRS, names={OURS: "n1"})[0] is Verdict.PASSED
    assert verdict("registrants", key=THEIRS, names={})[0] is Verdict.FAILED
    assert "--scratch" in verdict("registrants", key=THEIRS, names={}, trial_keys=(OURS,))[1]


def test_a_disk_that_answers_nothing():
    dead = tuple(Reading(path=path, answer=Answer.GONE, detail="offline") for path in DISK.paths)
    assert verdict("paths", readings=dead)[0] is Verdict.UNKNOWN
    assert verdict("paths", readings=())[0] is Verdict.UNKNOWN
    foreign = tuple(evolve(each, answer=Answer.UNSUPPORTED) for each in dead)
    assert verdict("reservations", readings=foreign)[0] is Verdict.FAILED


def test_disks_that_cannot_be_reserved():
    assert check_other(OtherDisk(name="x", why="a file")).verdict is Verdict.SKIPPED
    assert check_other(OtherDisk(name="x", why="gone", is_known=False)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("own", "peers", "expected"),
    [
        (None, {}, (Verdict.FAILED, Verdict.SKIPPED)),
        (OURS, {"n2": OURS}, (Verdict.FAILED, Verdict.PASSED)),
        (OURS, {"n2": None}, (Verdict.PASSED, Verdict.FAILED)),
        (OURS, {"n2": THEIRS}, (Verdict.PASSED, Verdict.PASSED)),
    ],
)
def test_keys_of_nodes(own, peers, expected):
    assert tuple(check.verdict for check in check_keys_of_nodes(own, peers)) == expected


def test_latency():
    assert check_latency(()).verdict is Verdict.SKIPPED
    assert check_latency((0.1, 0.2)).verdict is Verdict.PASSED
    assert check_latency((0.1, 3.5)).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(Outcome.HELD, Verdict.PASSED), (Outcome.LOST, Verdict.FAILED), (Outcome.UNDETERMINED, Verdict.UNKNOWN)],
)
def test_how_an_attempt_ended(outcome, expected):
    assert check_outcome("take", Result(outcome=outcome), {Outcome.HELD}, "").verdict is expected
    why = Result(outcome=Outcome.FAILED, reasons=(Reason(disk="d", text="because"),))
    assert "because" in check_outcome("take", why, {Outcome.HELD}, "").text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(Answer.CONFLICT, Verdict.PASSED), (Answer.DONE, Verdict.FAILED), (Answer.SILENT, Verdict.UNKNOWN)],
)
def test_how_a_request_was_answered(answer, expected):
    assert check_answer("conflict", answer, Answer.CONFLICT, "").verdict is expected


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((Outcome.HELD, Outcome.LOST), Verdict.PASSED),
        ((Outcome.REFUSED, Outcome.HELD), Verdict.PASSED),
        ((Outcome.HELD, Outcome.HELD), Verdict.FAILED),
        ((Outcome.LOST, Outcome.LOST), Verdict.FAILED),
        ((Outcome.HELD, Outcome.UNDETERMINED), Verdict.UNKNOWN),
    ],
)
def test_how_a_race_ended(ends, expected):
    first, second = (Result(outcome=each) for each in ends)
    good = (Result(outcome=Outcome.HELD), Result(outcome=Outcome.REFUSED))
    assert check_race([good, (first, second)]).verdict is expected


class TestUse:
    @pytest.fixture
    def opened(self, monkeypatch):
        """What opening each device comes to, and which were opened."""
        errors, asked = {}, []

        def open_(device, flags):
            assert flags & os.O_EXCL
            assert not flags & (os.O_RDWR | os.O_WRONLY)
            asked.append(device)
            if device in errors:
                raise OSError(errors[device], "no")
            return os.dup(0)

        monkeypatch.setattr(holding.os, "open", open_)
        return errors, asked

    def test_each_path_is_looked_at_unless_a_map_has_them(self, opened):
        errors, asked = opened
        assert holding.use_of(DISK) == ""
        assert asked == ["/dev/sda", "/dev/sdb"]
        errors["/dev/sda"] = errno.EBUSY
        assert holding.use_of(evolve(DISK, map="/dev/mapper/one")) == ""
        assert "/dev/sda" in holding.use_of(DISK)

    def test_a_device_that_cannot_be_opened_is_not_taken_for_mounted(self, opened):
        errors, _ = opened
        errors["/dev/sda"] = errno.ENXIO
        assert holding.use_of(DISK) == ""

    def test_a_device_that_hangs_is_not_taken_for_free(self, monkeypatch):
        reading, writing = os.pipe()
        monkeypatch.setattr(holding, "_is_taken", lambda _: os.read(reading, 1) == b"")
        with pytest.raises(Undetermined):
            holding.use_of(DISK, budget_s=0.1)
        os.close(writing)
