"""A session after its node has booted, on the simulated hypervisor, with disks in memory that another node has, too."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

import vmsvc
from vmsvc.cli import main
from vmsvc.core.disks.keyring import Keyring
from vmsvc.core.disks.surroundings import Surroundings
from vmsvc.core.keeping.charge import charge_of
from vmsvc.core.vmdg import attempt
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import OtherDisk
from vmsvc.core.vmdg.sequences import carry_out
from vmsvc.testing import Action, Fault, Request, San

OURS, THEIRS = 0xA1, 0xB2
DB = f"""
    [DEFAULT]
    nodes = n1 n2
    lock_timeout = 300ms

    [container#1]
    type = null
    disks = /dev/disk0 /dev/disk1

    [vmdg]
    scsireserv = true
    prkey@n1 = {key_text(OURS)}
    prkey@n2 = {key_text(THEIRS)}
"""


@pytest.fixture
def san(monkeypatch):
    """Two disks that this node sees as `a`, and another one as `b`."""
    san = San(nodes="ab", disks=2)
    known = {f"/dev/{disk.name}": disk for disk in san.disks("a")}

    def devices(around, names):
        return [known.get(name) or OtherDisk(name=name, why="gone", is_known=False) for name in names]

    for tool in ("tool", "looking"):
        monkeypatch.setattr(Surroundings, tool, property(lambda _: san.tool("a")))

    def units(around, wanted):
        found = {disk.wwid: disk for disk in known.values()}
        return [found.get(wwid) or OtherDisk(name=name, why="gone", is_known=False) for wwid, name in wanted]

    monkeypatch.setattr(Surroundings, "devices", devices)
    monkeypatch.setattr(Surroundings, "units", units)
    monkeypatch.setattr(Surroundings, "units", units)
    monkeypatch.setattr("vmsvc.core.disks.usage.device_at", known.get)
    return san


@pytest.fixture
def db(session, make_service):
    return session.load(make_service(DB, "db"))


def test_a_peer_that_is_silent_does_not_keep_down_what_has_all_its_disks_reserved(san, session, db):
    (note,) = session.plan("start", db).notes
    assert note.code == "note.peer-silent"
    assert "its disks are reserved for this node alone" in note.message
    assert not session.plan("start", db).refusals


def test_a_disk_that_is_not_reserved_is_no_reason_to_start_beside_a_peer_that_is_silent(
    san, session, make_service, monkeypatch
):
    found = Surroundings.devices

    def with_a_file(around, names):
        return [evolve(each, is_known=True) if isinstance(each, OtherDisk) else each for each in found(around, names)]

    monkeypatch.setattr(Surroundings, "devices", with_a_file)
    half = session.load(make_service(DB.replace("/dev/disk1", "/dev/other"), "db"))
    assert "refused.peer-silent" in {each.code for each in session.plan("start", half).refusals}
    off = session.load(make_service(DB.replace("scsireserv = true", "scsireserv = false"), "db"))
    assert "refused.peer-silent" in {each.code for each in session.plan("start", off).refusals}


@pytest.fixture
def crashed(san, session, db, hypervisor, root):
    """The service was up when the node lost power: its disks are reserved, and nothing runs."""
    session.start(db)
    with (root / "var/lib/vmsvc/journal/db.jsonl").open("a") as journal:
        for record in ({"event": "begin", "action": "restart", "steps": []}, {"event": "intend", "step": "stop vmdg"}):
            journal.write(json.dumps({"at": 1e9, "pid": 1, **record}) + "\n")
    hypervisor.set("db", phase="stopped")
    return db


def keys(san):
    """The keys that each disk shows."""
    return [{registration.key for registration in san.shown(disk.paths[0]).registrations} for disk in san.disks("a")]


def take_over(san):
    disks = san.disks("b")
    result = carry_out(attempt.acquire(disks, THEIRS, authority=frozenset({OURS})), san.tool("b"), budget_s=60)
    assert result.outcome is attempt.Outcome.HELD


def test_what_the_crash_left_is_given_up_and_told(san, session, crashed, hypervisor):
    assert keys(san) == [{OURS}, {OURS}]
    assert "cut short" in session.status(crashed).instances[0].notes[0]
    report = session.boot(crashed)
    assert [str(result.step) for result in report.results] == ["stop vmdg"]
    assert [note.code for note in report.plan.notes] == ["note.left-over", "note.goings-on"]
    assert "the restart of 2001-09-09" in report.plan.notes[1].message
    assert keys(san) == [set(), set()]
    assert session.status(crashed).instances[0].notes == ()
    assert session.boot(crashed).results == ()
    assert hypervisor.starts("db") == 1


def test_what_another_node_has_taken_meanwhile_is_not_touched(san, session, crashed):
    take_over(san)
    report = session.boot(crashed)
    assert report.results == ()
    assert "held by n2" in report.plan.kept[0].why
    assert keys(san) == [{THEIRS}, {THEIRS}]


def test_beside_a_key_of_another_node_only_ours_is_removed(san, session, crashed):
    for disk in san.disks("b"):
        san.ask(disk.paths[0], Request(Action.REGISTER_AND_IGNORE, action_key=THEIRS))
    session.boot(crashed)
    assert keys(san) == [{THEIRS}, {THEIRS}]


def test_an_action_that_was_cut_short_is_closed_also_where_no_disks_are_left(san, session, crashed):
    take_over(san)
    assert session.status(crashed).instances[0].notes
    session.boot(crashed)
    assert session.status(crashed).instances[0].notes == ()


def test_what_a_node_with_the_same_key_has_is_not_evicted(san, session, db):
    # A hypervisor that was copied with its file of keys, and boots beside the one that runs.
    disks = san.disks("b")
    assert carry_out(attempt.acquire(disks, OURS), san.tool("b"), budget_s=60).outcome is attempt.Outcome.HELD
    with pytest.raises(vmsvc.ActionFailed, match="no record of having reserved"):
        session.boot(db)
    assert [{nexus[0] for nexus, _ in unit.registrations} for unit in san.units.values()] == [{"b"}, {"b"}]


@pytest.mark.parametrize("phase", ["running", "paused"])
def test_disks_stay_reserved_under_a_guest_that_is_up(san, session, crashed, hypervisor, phase):
    hypervisor.set("db", phase=phase)
    assert session.boot(crashed).results == ()
    assert keys(san) == [{OURS}, {OURS}]


def test_disks_stay_reserved_where_the_guest_cannot_be_seen(san, session, crashed, hypervisor):
    hypervisor.set(None, fail=["observe"])
    with pytest.raises(vmsvc.Undetermined, match="container#1 down"):
        session.boot(crashed)
    assert keys(san) == [{OURS}, {OURS}]
    assert session.status(crashed).instances[0].notes  # still to be looked at


def test_a_disk_that_cannot_be_read_is_not_called_clean(san, session, crashed):
    for path in san.disks("a")[1].paths:
        san.give(path, Fault.DEAD)
    with pytest.raises(vmsvc.Undetermined):
        session.boot(crashed)
    assert keys(san) == [set(), {OURS}]


def test_disks_that_another_service_names_are_left_under_its_guest(san, session, crashed, make_service, hypervisor):
    other = session.load(make_service(DB, "other"))
    hypervisor.set("other", phase="running")
    with pytest.raises(vmsvc.Refused, match="is a disk of"):
        session.boot(crashed)
    assert session.boot(other).results == ()
    assert keys(san) == [{OURS}, {OURS}]


def test_what_the_file_does_not_name_any_more_is_given_up_too(san, session, crashed, make_service):
    without = DB.partition("    [vmdg]")[0]
    report = session.boot(session.load(make_service(without, "db")))
    assert [str(result.step) for result in report.results] == ["stop vmdg"]
    assert keys(san) == [set(), set()]


def test_disks_of_a_service_that_has_no_file_any_more_are_told(san, session, crashed, root):
    assert session.forgotten() == ()
    (root / "etc/vmsvc/services/db.conf").unlink()
    (problem,) = session.forgotten()
    assert "db has no file any more" in problem.message
    assert "disk0, disk1" in problem.message
    assert keys(san) == [{OURS}, {OURS}]


class TestDisksOfAServiceThatHasNoFileAnyMore:
    """What is written down for it can be forgotten, once the disks are seen to show nothing of this node."""

    @pytest.fixture
    def gone(self, session, crashed, root):
        (root / "etc/vmsvc/services/db.conf").unlink()
        (found,) = session.left_behind()
        return found

    def test_are_forgotten_where_nothing_of_this_node_is_left(self, san, session, gone):
        for wwid in san.units:
            san.units[wwid] = evolve(san.units[wwid], registrations=(), holder="", type=0)
        before = len(san.asked)
        report = session.act("stop", gone)
        assert [str(result.step) for result in report.results] == ["stop vmdg"]
        assert not any(asked.operation for asked in san.asked[before:])
        assert session.left_behind() == []

    def test_are_kept_in_mind_where_they_show_its_key(self, san, session, gone):
        with pytest.raises(vmsvc.Undetermined, match="nobody can look"):
            session.act("stop", gone)
        assert keys(san) == [{OURS}, {OURS}]
        assert session.left_behind()

    def test_are_kept_in_mind_where_they_cannot_be_read(self, san, session, gone):
        for disk in san.disks("a"):
            for path in disk.paths:
                san.give(path, Fault.DEAD)
        with pytest.raises(vmsvc.Undetermined, match="nobody can look"):
            session.act("stop", gone)
        assert session.left_behind()

    def test_are_told_with_what_forgets_them(self, san, session, gone, capsys):
        (problem,) = session.forgotten()
        assert "`vmsvc pr stop db`" in problem.hint
        for words in (["disks"], ["pr", "status"]):
            assert main(words) == 4
            assert "`vmsvc pr stop db` forgets it" in capsys.readouterr().err
        assert main(["pr", "stop", "db"]) == 4
        for wwid in san.units:
            san.units[wwid] = evolve(san.units[wwid], registrations=(), holder="", type=0)
        capsys.readouterr()
        assert main(["disks"]) == 0
        assert "hint: `vmsvc pr stop` forgets it" in capsys.readouterr().out
        assert main(["pr", "stop", "db"]) == 0
        assert capsys.readouterr().out.startswith("db: ")
        assert main(["disks"]) == 0
        assert "db" not in capsys.readouterr().out
        assert main(["pr", "stop", "db"]) == 2


def test_a_boot_changes_nothing_of_what_this_node_keeps_up(san, session, db):
    session.start(db)
    session.boot(db)
    assert set(charge_of(session.node, "db")) == {"container#1", "vmdg"}


def test_a_dry_run_shows_it_and_leaves_the_disks(san, session, crashed):
    assert [str(step) for step in session.plan("boot", crashed).steps] == ["stop vmdg"]
    assert keys(san) == [{OURS}, {OURS}]


def test_a_node_without_a_key_has_left_nothing(san, session, make_service):
    text = "\n".join(line for line in DB.splitlines() if "prkey" not in line)
    fresh = session.load(make_service(text, "fresh"))
    assert session.boot(fresh).results == ()
    assert Keyring(session.node).own() is None
