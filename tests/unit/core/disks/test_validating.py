"""Validating disks, over a SAN in memory: what is found, what is refused, and that nothing is left behind."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from tests.support import resource
from tests.unit.core.disks.test_reservations import KEYS, Around
from tests.unit.core.vmdg.drive import register
from vmsvc.core.disks.reservations import ReservationDriver
from vmsvc.core.disks.validating import trials_of, validate_in_use, validate_scratch
from vmsvc.core.errors import Refused, Undetermined, UsageError, VmsvcError
from vmsvc.core.vmdg import sequences, trial
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Act, Answer, OtherDisk, Performed
from vmsvc.core.vmdg.trial import halves
from vmsvc.core.vmdg.validation import Verdict
from vmsvc.testing import Fault, San

GROUP = resource("vmdg", container_id="container#1", scsireserv=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody waits here for a target that is in memory."""
    monkeypatch.setattr(sequences, "PAUSE_S", 0.0)
    monkeypatch.setattr(trial, "PAUSE_S", 0.0)


@pytest.fixture
def san():
    return San(nodes="ab", disks=2, paths=4)


@pytest.fixture
def around(san, tmp_path):
    return Around(tmp_path, san, "a", peers=("a", "b"))


@pytest.fixture
def record(tmp_path):
    return tmp_path / "validating.json"


def read_only(around, record):
    return validate_in_use(around, GROUP, record=record).checks


def tried(around, record, *disks):
    return validate_scratch(around, GROUP, disks or ("disk0", "disk1"), record=record).checks


def verdict(checks, name, disk="disk0"):
    return next((check.verdict, check.text) for check in checks if check.name == name and check.disk in (disk, ""))


def is_clean(san):
    return all(not unit.registrations and not unit.holder for unit in san.units.values())


class Interfering:
    """A tool that something happens to: told of each request, it may answer itself."""

    def __init__(self, tool, interfere):
        self._tool, self._interfere = tool, interfere

    def read(self, disk, path, **deadline):
        return self._interfere(path, None) or self._tool.read(disk, path, **deadline)

    def perform(self, disk, operation, **deadline):
        return self._interfere(operation.path, operation) or self._tool.perform(disk, operation, **deadline)

    def capabilities(self, disk, path):
        return self._tool.capabilities(disk, path)


class TestDisksInUse:
    def test_disks_that_are_well_pass_and_nothing_is_written(self, san, around, record):
        ReservationDriver(around).start(GROUP, budget_s=60)
        before, san.asked[:] = dict(san.units), []

        checks = read_only(around, record)

        assert {check.verdict for check in checks} <= {Verdict.PASSED, Verdict.SKIPPED}
        assert all(asked.operation is None for asked in san.asked)
        assert san.units == before
        assert not record.exists()

    def test_each_path_is_read_once_and_capabilities_are_asked_once_a_disk(self, san, around, record):
        read_only(around, record)
        assert len(san.asked) == 2 * 4 + 2

    def test_a_dead_path_is_named(self, san, around, record):
        san.give("/dev/a2d0", Fault.DEAD)
        found, text = verdict(read_only(around, record), "paths")
        assert (found, "/dev/a2d0" in text) == (Verdict.FAILED, True)

    def test_a_disk_that_does_not_answer_is_not_known_to_be_bad(self, san, around, record):
        for path in range(1, 5):
            san.give(f"/dev/a{path}d0", Fault.DEAD)
        assert verdict(read_only(around, record), "paths")[0] is Verdict.UNKNOWN

    def test_a_strangers_key_is_told_from_a_peers(self, san, around, record):
        register(san, "/dev/b1d0", KEYS["b"])
        assert verdict(read_only(around, record), "registrants")[0] is Verdict.PASSED
        register(san, "/dev/b2d0", 0xDEAD)
        found, text = verdict(read_only(around, record), "registrants")
        assert (found, "0x000000000000dead" in text) == (Verdict.FAILED, True)

    @pytest.mark.parametrize(
        ("change", "check", "words"),
        [
            ({"size_bytes": 0}, "size", "empty"),
            ({"readonly": True}, "writable", "read-only"),
            ({"name": "/dev/sda"}, "name", "by-id"),
            ({"quirks": Quirks(aptpl=False)}, "power loss", "restart"),
            ({"quirks": Quirks(abort=False, why="a source")}, "abort", "a source"),
        ],
    )
    def test_what_is_wrong_with_a_disk(self, around, record, change, check, words):
        around.known["disk0"] = evolve(around.known["disk0"], **change)
        found, text = verdict(read_only(around, record), check, around.known["disk0"].name)
        assert (found, words in text) == (Verdict.FAILED, True)

    def test_a_disk_without_reservations_fails_that_check_and_no_other_is_made(self, san, around, record):
        disk = around.known["disk0"]
        tool = around.tool
        around.tool = Interfering(
            tool,
            lambda path, _: evolve(tool.read(disk, path), answer=Answer.UNSUPPORTED) if path.endswith("d0") else None,
        )
        checks = read_only(around, record)
        assert verdict(checks, "reservations")[0] is Verdict.FAILED
        assert {check.name for check in checks if check.disk == "disk0"} == {"name", "size", "writable", "reservations"}

    def test_other_disks_are_skipped_or_unknown(self, around, record):
        around.known.clear()
        around.others = {
            "disk0": OtherDisk(name="disk0", why="a file"),
            "disk1": OtherDisk(name="disk1", why="gone", is_known=False),
        }
        checks = read_only(around, record)
        assert [verdict(checks, "kind", name)[0] for name in ("disk0", "disk1")] == [Verdict.SKIPPED, Verdict.UNKNOWN]

    def test_keys_of_the_nodes(self, around, record):
        assert verdict(read_only(around, record), "peers' keys")[0] is Verdict.PASSED
        around.peers = {"b": KEYS["a"]}
        assert verdict(read_only(around, record), "own key")[0] is Verdict.FAILED
        around.peers = {"b": None}
        around.peer_keys = lambda disks: {}
        assert verdict(read_only(around, record), "peers' keys")[0] is Verdict.FAILED


class TestTrials:
    def test_a_good_target_passes_everything_and_nothing_is_left(self, san, around, record):
        checks = tried(around, record)

        assert {(check.name, check.verdict) for check in checks if check.verdict is not Verdict.PASSED} == set()
        assert {"takeover", "bystander", "race", "cleaned up"} <= {check.name for check in checks}
        assert is_clean(san)
        assert not record.exists()

    def test_only_disks_that_are_named_are_touched(self, san, around, record):
        tried(around, record, "disk0")
        assert {asked.path[-2:] for asked in san.asked} == {"d0"}
        with pytest.raises(UsageError, match="disk7"):
            trials_of(around, [GROUP], ["disk7"])

    def test_one_path_cannot_play_two_nodes(self, tmp_path, record):
        around = Around(tmp_path, San(nodes="a", disks=1, paths=1), "a")
        checks = tried(around, record, "disk0")
        assert verdict(checks, "take")[0] is Verdict.PASSED
        assert {verdict(checks, name)[0] for name in ("conflict", "takeover", "race")} == {Verdict.SKIPPED}

    @pytest.mark.parametrize(
        "why", ["registered", "guest", "claimed", "mounted", "read-only", "unreadable", "unknown", "gap"]
    )
    def test_a_disk_that_may_be_in_use_is_not_touched(self, san, around, record, why):
        match why:
            case "registered":
                register(san, "/dev/b1d1", KEYS["b"])
            case "guest":
                around.in_use = True
            case "claimed":
                around.claims = {around.known["disk1"].wwid: "[vmdg] of db"}
            case "mounted":
                around.held = {"disk1": "is mounted"}
            case "read-only":
                around.known["disk1"] = evolve(around.known["disk1"], readonly=True)
            case "unknown":
                around.suspicions = {around.known["disk1"].wwid: "db.conf cannot be read, and names it"}
            case "gap":
                around.silent = ("libvirtd does not answer",)
            case "unreadable":
                for path in range(1, 5):
                    san.give(f"/dev/a{path}d1", Fault.DEAD)
        with pytest.raises(Undetermined if why in {"unreadable", "unknown", "gap"} else Refused):
            tried(around, record)
        assert all(asked.operation is None for asked in san.asked)
        assert not record.exists()

    @pytest.mark.parametrize(
        ("act", "failing"), [(Act.CONFIRM, "told apart"), (Act.RESERVE, "conflict"), (Act.PREEMPT, "takeover")]
    )
    def test_a_target_that_says_done_and_does_nothing_is_found_out(self, san, around, record, act, failing):
        tool, refusals = around.tool, []

        def interfere(path, operation):
            if operation is None or operation.act is not act:
                return None
            if act is Act.RESERVE and not san.units[around.known["disk0"].wwid].holder:
                return None  # the first is carried out
            refusals.append(path)
            return Performed(operation=operation, answer=Answer.DONE)

        around.tool = Interfering(tool, interfere)
        checks = tried(around, record, "disk0")

        assert refusals
        assert verdict(checks, failing)[0] is Verdict.FAILED
        assert verdict(checks, "give back") == (Verdict.SKIPPED, f"not tried after “{failing}”")
        assert is_clean(san)

    def test_a_trial_that_is_killed_at_any_request_leaves_nothing_after_the_next(self, san, around, record):
        tool, killed = around.tool, 0
        while True:
            left = iter(range(killed))

            def interfere(_path, _operation, left=left):
                if next(left, None) is None:
                    raise KeyboardInterrupt

            around.tool = Interfering(tool, interfere)
            try:
                tried(around, record, "disk0")
            except KeyboardInterrupt:
                was_registered = not is_clean(san)
                assert record.exists() or not was_registered
                register(san, "/dev/b1d0", KEYS["b"])  # a peer takes the disk meanwhile: it keeps its key
                around.tool = tool
                with pytest.raises(Refused):
                    tried(around, record, "disk0")
                [unit] = [san.units[around.known["disk0"].wwid]]
                assert [key for _, key in unit.registrations] == [KEYS["b"]]
                assert not record.exists()
                register(san, "/dev/b1d0", 0)
                killed += 4
            else:
                break
        assert killed > 60
        assert is_clean(san)

    def test_what_a_killed_trial_has_left_is_told_by_a_look(self, san, around, record):
        register(san, "/dev/a1d0", 0x777)
        record.write_text(json.dumps({"keys": ["0x777"], "disks": ["disk0"]}))
        found, text = verdict(read_only(around, record), "registrants")
        assert (found, "--scratch" in text) == (Verdict.FAILED, True)

    def test_disks_that_a_killed_trial_has_left_and_that_are_gone_are_not_forgotten(self, around, record):
        record.write_text(json.dumps({"keys": ["0x777"], "disks": ["disk7"]}))
        with pytest.raises(Undetermined, match="disk7"):
            tried(around, record)
        assert record.exists()

    def test_a_record_that_cannot_be_read_is_no_record_of_nothing(self, around, record):
        record.write_text("{}")
        with pytest.raises(Undetermined):
            tried(around, record)

    def test_what_cannot_be_removed_is_told_and_stays_written_down(self, san, around, record):
        tool = around.tool
        around.tool = Interfering(
            tool,
            lambda _, operation: (
                Performed(operation=operation, answer=Answer.DONE)
                if operation and operation.act is Act.UNREGISTER
                else None
            ),
        )
        with pytest.raises(VmsvcError, match="may be left"):
            tried(around, record, "disk0")
        assert record.exists()
        around.tool = tool
        tried(around, record, "disk0")
        assert is_clean(san)


class TestHalves:
    def test_by_hosts_where_there_are_several(self, around):
        disk = evolve(around.known["disk0"], paths=("/dev/1", "/dev/2", "/dev/3", "/dev/4"), hosts=("5", "6", "5", "6"))
        ours, theirs = halves(disk)
        assert (ours.paths, ours.hosts) == (("/dev/1", "/dev/3"), ("5", "5"))
        assert (theirs.paths, theirs.hosts) == (("/dev/2", "/dev/4"), ("6", "6"))

    def test_by_paths_where_there_is_one_host_unless_it_counts_as_one_nexus(self, around):
        disk = evolve(around.known["disk0"], paths=("/dev/1", "/dev/2", "/dev/3"), hosts=("5", "5", "5"))
        ours, theirs = halves(disk)
        assert (ours.paths, theirs.paths) == (("/dev/1", "/dev/2"), ("/dev/3",))
        assert halves(evolve(disk, quirks=Quirks(per_initiator=True)))[1] is None
