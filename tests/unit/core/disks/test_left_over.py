"""Disks that are reserved, and that nothing names any more: what this node has written down is what it gives back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from tests.support import NODE, guest, resource, seen, service
from tests.unit.core.disks.test_reservations import GROUP, KEYS, Around, give_up, look, take, writers
from tests.unit.core.vmdg.drive import reserve
from vmsvc.core.disks import ledger
from vmsvc.core.disks.ledger import Ledger
from vmsvc.core.disks.reservations import ReservationDriver
from vmsvc.core.disks.sets import disk_set
from vmsvc.core.disks.watch import users_of
from vmsvc.core.errors import ActionFailed, DriverError, Refused, Severity, Undetermined, VmsvcError
from vmsvc.core.kinds import Vmdg
from vmsvc.core.planning.needs import needs_of
from vmsvc.core.planning.planner import plan
from vmsvc.core.status import Phase
from vmsvc.core.verb import Verb
from vmsvc.core.vmdg.migration import Window
from vmsvc.core.vmdg.seen import Act
from vmsvc.testing import Action, Fault, Request, San

ALL = {"a", "b"}


@pytest.fixture
def san():
    return San(nodes="ab", disks=2)


@pytest.fixture
def a(san, tmp_path):
    return Around(tmp_path, san, "a", peers=("a", "b"))


@pytest.fixture
def b(san, tmp_path):
    return Around(tmp_path, san, "b", peers=("a", "b"))


def record_of(around, group=GROUP):
    return around.ledger.read(group)


def stop(around, group):
    ReservationDriver(around).stop(group, budget_s=60)


def told_by_stop(around):
    told = []
    ReservationDriver(around, tell=told.append).stop(GROUP, budget_s=60)
    return "; ".join(told)


def operations(san, node="a"):
    return [asked for asked in san.asked if asked.node == node and asked.operation]


class TestTheRecord:
    def test_is_there_before_anything_is_registered(self, san, a):
        found = []
        san.before = lambda asked: found.append(record_of(a).wwids) if asked.operation else None
        take(a)
        assert found
        assert set(found) == {frozenset(san.units)}

    def test_has_nothing_that_an_attempt_in_vain_has_not_touched(self, san, a, b):
        # What stands there counts as ours, and may be evicted as a dead connection of ours.
        for path in san.disks("a")[1].paths:
            san.give(path, Fault.DEAD)
        with pytest.raises(Undetermined):
            take(a)
        assert record_of(a).entries == ()

    def test_keeps_what_it_had_before_an_attempt_in_vain(self, san, a):
        take(a)
        for path in san.disks("a")[1].paths:
            san.give(path, Fault.DEAD)
        with pytest.raises(Undetermined):
            take(a)
        assert record_of(a).wwids == frozenset(san.units)

    def test_is_gone_when_everything_was_given_back(self, a):
        take(a)
        give_up(a)
        assert record_of(a).entries == ()
        assert not record_of(a).file.parent.exists()

    def test_has_nothing_of_an_attempt_that_was_refused_or_taken_back(self, san, a, b):
        take(b)
        with pytest.raises(Refused):
            take(a)
        assert not record_of(a).file.exists()

    def test_keeps_what_may_be_ours_of_an_attempt_that_was_lost_and_a_release_puts_it_right(self, san, a):
        first, second = san.disks("a")

        def win(asked):
            if asked.operation is not None and asked.operation.act is Act.RESERVE:
                san.before = lambda _: None
                reserve(san, "/dev/b1d0", KEYS["b"])

        san.before = win
        with pytest.raises(Refused, match="faster"):
            take(a)
        assert first.wwid not in record_of(a).wwids  # taken back, and read
        assert record_of(a).wwids <= {second.wwid}
        give_up(a)
        assert not record_of(a).file.exists()
        assert writers(san) == [{"b"}, ALL]

    def test_stays_where_nobody_knows_what_came_of_the_attempt(self, san, a):
        paths = [path for disk in san.disks("a") for path in disk.paths]

        def die(asked):
            if asked.operation is not None and len(operations(san)) == 1:  # the first path is registered by now
                for path in paths:
                    san.give(path, Fault.DEAD)

        san.before = die
        with pytest.raises(Undetermined):
            take(a)
        first, second = san.disks("a")
        assert record_of(a).wwids == {first.wwid}
        assert not san.units[second.wwid].registrations

    def test_that_cannot_be_written_keeps_everything_from_being_registered(self, san, a, monkeypatch):
        def full(*args, **more):
            raise VmsvcError("no space left on device", code="failed.write")

        monkeypatch.setattr(ledger, "write_atomically", full)
        with pytest.raises(Refused, match="no space left"):
            take(a)
        assert operations(san) == []

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"container": "", "disks": [{"wwid": "", "prkey": "0x1"}]}', "\0"]
    )
    def test_that_cannot_be_read_is_unknown_and_never_replaced(self, san, a, text):
        take(a)
        file = record_of(a).file
        file.write_text(text)
        seen = look(a)
        assert seen.phase is Phase.UNKNOWN
        assert str(file) in seen.evidence.detail
        before = len(operations(san))
        with pytest.raises(Undetermined, match=r"cannot be read"):
            take(a)
        assert len(operations(san)) == before
        with pytest.raises(Undetermined, match=r"cannot be read"):
            give_up(a)
        assert writers(san) == [ALL, ALL]  # what is named is given back all the same
        assert file.read_text() == text

    def test_that_says_too_much_after_a_crash_is_put_right_by_a_release(self, san, a):
        found = disk_set(GROUP, a)
        a.ledger.write(found.record.with_disks(found.disks, KEYS["a"], a.guests))
        give_up(a)
        assert not record_of(a).file.exists()
        assert operations(san) == []

    def test_keeps_the_disks_that_could_not_be_read(self, san, a):
        take(a)
        for path in san.disks("a")[0].paths:
            san.give(path, Fault.DEAD)
        with pytest.raises(Undetermined):
            give_up(a)
        assert record_of(a).wwids == {san.disks("a")[0].wwid}

    def test_that_cannot_be_struck_out_is_told_and_fails_nothing(self, san, a, monkeypatch):
        take(a)
        san.give(san.disks("a")[0].paths[0], Fault.DEAD)
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert "next release" in told_by_stop(a)

    def test_has_no_disks_that_cannot_be_written_to(self, a):
        found = disk_set(GROUP, a)
        disks = [evolve(disk, readonly=True) for disk in found.disks]
        assert found.record.with_disks(disks, 1, []).entries == ()


class TestADiskThatLeftTheDefinition:
    def test_is_seen_and_given_back(self, san, a):
        take(a)
        a.disks.pop()
        seen = look(a)
        assert seen.phase is Phase.DEGRADED
        assert "not named any more" in seen.evidence.detail
        give_up(a)
        assert writers(san) == [ALL, ALL]
        assert not record_of(a).file.exists()

    def test_is_given_back_although_no_other_is_ours(self, san, a):
        take(a)
        gone = a.disks.pop()
        give_up(a)
        a.disks.append(gone)
        take(a)
        a.disks.clear()
        assert look(a).phase is Phase.DEGRADED
        give_up(a)
        assert writers(san) == [ALL, ALL]

    def test_keeps_nobody_from_starting_and_is_not_forgotten(self, san, a):
        take(a)
        a.disks.pop()
        take(a)
        assert record_of(a).wwids == set(san.units)

    def test_of_which_nothing_is_left_counts_for_nothing(self, san, a, b):
        take(a)
        a.disks.pop()
        (_, second) = san.disks("a")
        stop(b, GROUP)
        b.disks = b.disks[1:]
        take(b, force=["a"])
        assert look(a).phase is Phase.RUNNING
        give_up(a)
        assert san.writers(second.wwid) == {"b"}

    def test_and_cannot_be_found_is_told_and_kept_in_mind(self, san, a):
        take(a)
        a.disks.pop()
        (_, second) = san.disks("a")
        del a.known["disk1"]
        seen = look(a)
        assert seen.phase is Phase.DEGRADED
        assert "perhaps still" in seen.evidence.detail
        with pytest.raises(Undetermined, match="not to be found"):
            give_up(a)
        assert record_of(a).wwids == {second.wwid}

    def test_is_told_by_validate(self, a):
        take(a)
        a.disks.pop()
        (problem,) = ReservationDriver(a).problems_of(GROUP)
        assert (problem.code, problem.severity) == ("config.left-over", Severity.WARNING)

    def test_of_a_guest_that_is_known_here_no_more_is_given_back(self, san, a):
        take(a)
        a.disks = DriverError("no such guest", code="driver.absent")
        assert look(a).phase is Phase.DEGRADED
        give_up(a)
        assert writers(san) == [ALL, ALL]

    def test_is_given_back_though_nobody_names_the_others(self, san, a):
        take(a)
        a.disks = Undetermined("libvirtd hangs")
        assert look(a).phase is Phase.UNKNOWN
        with pytest.raises(Undetermined, match="libvirtd hangs"):
            give_up(a)
        assert writers(san) == [ALL, ALL]


class TestADiskThatIsReadOnly:
    @pytest.fixture
    def freeze(self, a):
        """Make a disk read-only for node a."""

        def freeze(disk):
            a.known[disk.name] = evolve(a.known[disk.name], readonly=True)

        return freeze

    def test_and_still_reserved_for_this_node_is_a_fault_and_not_called_released(self, san, a, freeze):
        take(a)
        first, _ = san.disks("a")
        freeze(first)
        assert (look(a).phase, "read-only here, and still reserved" in look(a).evidence.detail) == (
            Phase.DEGRADED,
            True,
        )
        for _ in range(2):  # it stays so until it is writable again
            with pytest.raises(ActionFailed, match="disk0: is read-only here, and still reserved for this node"):
                give_up(a)
            assert writers(san) == [{"a"}, ALL]
            assert record_of(a).wwids == {first.wwid}
        a.known[first.name] = first
        give_up(a)
        assert (writers(san), record_of(a).entries) == ([ALL, ALL], ())

    def test_is_a_fault_where_the_guest_does_not_have_it_any_more(self, san, a, freeze):
        take(a)
        first, second = san.disks("a")
        freeze(first)
        a.disks = [disk for disk in a.disks if disk.source == second.name]
        assert look(a).phase is Phase.DEGRADED
        with pytest.raises(ActionFailed, match="still reserved for this node"):
            give_up(a)

    def test_and_was_never_reserved_counts_for_nothing_although_the_array_copies_our_key_to_it(self, san, a, freeze):
        replica, _ = san.disks("a")
        reserve(san, replica.paths[0], KEYS["a"])
        freeze(replica)
        assert take(a) == (True, ["vmdg: disk0: is read-only here, and left as it is"])
        assert look(a).phase is Phase.RUNNING
        assert "this node has not reserved it" in told_by_stop(a)
        assert look(a).phase is Phase.STOPPED
        assert (writers(san)[1], record_of(a).entries) == (ALL, ())
        assert not [asked for asked in operations(san) if asked.path in replica.paths]

    def test_and_copies_our_key_fails_no_start_that_gives_back_another_disk(self, san, a, freeze):
        replica, empty = san.disks("a")
        reserve(san, replica.paths[0], KEYS["a"])
        freeze(replica)
        a.empty = empty.paths
        with pytest.raises(ActionFailed, match="the disks have been released again"):
            take(a)


class TestAKey:
    def test_that_was_changed_meanwhile_is_removed_all_the_same(self, san, a):
        take(a)
        other = resource("vmdg", container_id="container#1", scsireserv=True, prkey="0x0000000000000abc")
        assert look(a, other).phase is Phase.CONTESTED
        stop(a, other)
        assert writers(san) == [ALL, ALL]

    def test_that_is_a_peers_by_now_is_never_removed(self, san, a):
        take(a)
        a.peers = {"b": KEYS["a"]}
        other = resource("vmdg", container_id="container#1", scsireserv=True, prkey="0x0000000000000abc")
        with pytest.raises(Undetermined, match="is now the key of b"):
            stop(a, other)
        assert writers(san) == [{"a"}, {"a"}]


class TestTheDestinationOfAMigration:
    WINDOW = Window(source=KEYS["a"], destination=KEYS["b"], opened_at=0.0, until=100.0)

    @pytest.fixture(autouse=True)
    def source(self, a, b):
        """The guest runs on a; b does not know it, and nothing there names its disks."""
        take(a)
        b.disks = DriverError("no such guest", code="driver.absent")

    def join(self, san, b):
        ReservationDriver(b).join(GROUP, san.disks("b"), self.WINDOW, budget_s=60)

    def test_writes_the_disks_down_before_it_registers(self, san, b):
        found = []
        san.before = lambda asked: found.append(record_of(b).wwids) if asked.operation else None
        self.join(san, b)
        assert set(found) == {frozenset(san.units)}
        assert writers(san) == [ALL, ALL]

    def test_that_was_killed_or_given_up_gives_back_what_nothing_names(self, san, a, b):
        self.join(san, b)
        give_up(b)
        assert (writers(san), record_of(b).entries) == ([{"a"}, {"a"}], ())
        assert look(a).phase is Phase.RUNNING

    def test_has_no_record_where_the_source_does_not_hold_the_disks(self, san, a, b):
        give_up(a)
        with pytest.raises(Refused):
            self.join(san, b)
        assert record_of(b).entries == ()
        assert operations(san, "b") == []


class TestANodeThatWasCopiedWithItsKey:
    """The disk does not tell it from the one that it was copied from: who cannot know does not evict."""

    @pytest.fixture
    def b(self, san, tmp_path):
        b = Around(tmp_path, san, "b", peers=())
        b.keyring.file.write_text("0xa")
        return b

    def test_does_not_take_disks_that_it_has_not_reserved_from_the_other(self, san, a, b):
        take(b)
        with pytest.raises(ActionFailed, match="this node has no record of having reserved the disk") as left:
            give_up(a)
        assert str(left.value).count("it may be another node's") == 2
        assert writers(san) == [{"b"}] * 2

    def test_removes_what_is_registered_on_its_own_paths(self, san, a, b):
        take(b)
        for disk in san.disks("a"):
            san.ask(disk.paths[0], Request(Action.REGISTER_AND_IGNORE, action_key=KEYS["a"]))
        with pytest.raises(ActionFailed):
            give_up(a)
        assert writers(san) == [{"b"}] * 2

    def test_takes_nothing_away_where_a_peer_is_known_by_its_key(self, san, a, b):
        take(a)
        for disk in san.disks("b"):
            san.ask(disk.paths[0], Request(Action.REGISTER_AND_IGNORE, action_key=KEYS["a"]))
        a.peers = {"b": KEYS["a"]}
        with pytest.raises(ActionFailed, match="b has the same key"):
            give_up(a)
        assert {nexus for disk in san.units.values() for nexus, _ in disk.registrations} == {"b1"}
        assert record_of(a).wwids == frozenset(san.units)

    def test_is_rid_of_its_own_dead_connections_where_it_has_a_record(self, san, a):
        take(a)
        disk = san.disks("a")[0]
        a.known[disk.name] = evolve(a.known[disk.name], paths=disk.paths[:1])  # it came back without the second one
        give_up(a)
        assert not any(unit.registrations for unit in san.units.values())


class TestADiskThatAnotherServiceReserves:
    @pytest.fixture
    def both(self, a):
        """The record of another resource has the first disk, too."""
        take(a)
        db = resource("vmdg", service="db", container_id="container#1", scsireserv=True)
        (first, _) = disk_set(GROUP, a).disks
        a.ledger.write(a.ledger.read(db).with_disks([first], KEYS["a"], []))
        return first

    def test_is_left_to_it_and_forgotten(self, san, a, both):
        a.holders = {(both.wwid, KEYS["a"]): "[vmdg] of db"}
        assert "stays reserved, for [vmdg] of db" in told_by_stop(a)
        assert writers(san) == [{"a"}, ALL]
        assert not record_of(a).file.exists()

    def test_with_another_key_is_given_back_and_not_forgotten_under_the_first(self, san, a, both):
        # The other had written down its own key, and was killed before it registered: nobody else knew of ours.
        a.holders = {(both.wwid, 0xABC): "[vmdg] of db"}
        give_up(a)
        assert (writers(san), record_of(a).entries) == ([ALL, ALL], ())

    def test_with_another_key_loses_no_path_to_what_is_left_of_ours(self, san, a, both):
        a.holders = {(both.wwid, 0xABC): "[vmdg] of db"}
        _, alive = both.paths
        a.known[both.name] = evolve(both, paths=(alive,))  # what is registered on the other cannot be removed from here
        san.ask(alive, Request(Action.REGISTER_AND_IGNORE, action_key=0xABC))
        with pytest.raises(ActionFailed, match=r"has been left there: \[vmdg\] of db has the disk by now"):
            give_up(a)
        assert san.units[both.wwid].key_of("a2") == 0xABC
        assert record_of(a).wwids == {both.wwid}

    def test_perhaps_is_left_as_it_is_and_kept_in_mind(self, san, a, both):
        a.doubtful = {both.wwid: "db.conf cannot be read"}
        with pytest.raises(Undetermined, match=r"db\.conf cannot be read"):
            give_up(a)
        assert writers(san) == [{"a"}, ALL]
        assert record_of(a).wwids == {both.wwid}

    def test_is_left_as_it_is_where_the_services_cannot_be_read(self, san, a, both, monkeypatch):
        def rivals(_):
            raise VmsvcError("etc/vmsvc/services: Input/output error")

        monkeypatch.setattr(a, "rivals", rivals)
        with pytest.raises(Undetermined, match="Input/output error"):
            give_up(a)
        assert writers(san) == [{"a"}, {"a"}]

    def test_was_passed_on_by_it_is_given_back(self, san, a, both):
        give_up(a)
        assert writers(san) == [ALL, ALL]


class TestAServiceThatWantsNothingReservedAnyMore:
    GUEST = guest()

    @pytest.fixture(autouse=True)
    def taken(self, a):
        take(a)

    def left_over(self, a, *resources):
        web = a.ledger.with_left_over(service(*resources))
        return web, next(each for each in web.resources if each.rid == "vmdg")

    @pytest.mark.parametrize(
        "resources",
        [
            (GUEST,),
            (GUEST, resource("vmdg", container_id="container#1", scsireserv=False)),
            (GUEST, resource("vmdg", container_id="container#1", scsireserv=True, disable=True)),
        ],
        ids=["section gone", "switched off", "disabled"],
    )
    def test_can_give_them_back_and_not_take_them(self, san, a, resources):
        web, group = self.left_over(a, *resources)
        assert isinstance(group, Vmdg)
        assert set(group.budgets_s) == {Verb.STOP}
        assert [str(need) for need in needs_of(Verb.STOP, group, web)] == ["container#1 down"]
        assert needs_of(Verb.START, self.GUEST, web) == ()
        assert look(a, group).phase is Phase.DEGRADED
        stop(a, group)
        assert writers(san) == [ALL, ALL]
        assert a.ledger.with_left_over(service(*resources)).resources == resources

    @pytest.mark.parametrize("scsireserv", [True, False])
    def test_needs_the_guest_down_that_used_them_then_too(self, a, scsireserv):
        two = resource("vmdg", container_id="container#2", scsireserv=scsireserv)
        web, group = self.left_over(a, self.GUEST, guest(2), two)
        assert [need.rid for need in needs_of(Verb.STOP, group, web)] == ["container#2", "container#1"]
        assert group.is_left_over is not scsireserv

    def test_knows_a_guest_whose_section_was_renamed(self, a):
        web, group = self.left_over(a, evolve(self.GUEST, rid="container#7"))
        assert [need.rid for need in needs_of(Verb.STOP, group, web)] == ["container#7"]

    @pytest.mark.parametrize("scsireserv", [True, False])
    def test_cannot_be_given_up_while_nobody_can_look_at_a_guest_that_is_named_no_more(self, a, scsireserv):
        group = resource("vmdg", container_id="container#1", scsireserv=scsireserv)
        web, _ = self.left_over(a, guest(name="another"), group)
        looks = {"vmdg": seen(Phase.RUNNING), "container#1": seen(Phase.STOPPED)}
        made = plan("stop", web, NODE, looks)
        assert made.exit_code == 4
        assert "the guest container#1 down" in made.refusals[0].message
        assert users_of(web) == ("container#1", "the guest container#1")

    def test_needs_everything_down_where_the_record_does_not_tell_who_used_them(self, a):
        record_of(a).file.write_text("")
        web, group = self.left_over(a, self.GUEST, guest(2))
        assert [need.rid for need in needs_of(Verb.STOP, group, web)] == ["container#1", "container#2"]

    def test_is_as_its_file_says_where_it_wants_them_still(self, a):
        web = service(self.GUEST, GROUP)
        assert a.ledger.with_left_over(web).resources == web.resources

    def test_keeps_its_guest_beside_a_record_that_bears_the_name_of_the_guest(self, a):
        file = record_of(a).file
        file.rename(file.with_name("container#1.json"))
        web = a.ledger.with_left_over(service(self.GUEST))
        assert web.resources == (self.GUEST,)
        (problem,) = web.problems
        assert "[container#1]" in problem.message
        assert problem.file.endswith("container#1.json")
        assert problem.severity is Severity.WARNING

    def test_is_told_where_records_cannot_be_listed(self, a):
        directory = record_of(a).file.parent
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
        directory.symlink_to(directory)
        with pytest.raises(Undetermined, match="not known"):
            a.ledger.with_left_over(service(self.GUEST))


def test_what_an_editor_leaves_beside_a_record_is_none(a):
    take(a)
    file = record_of(a).file
    (file.parent / ".vmsvc-123.json").write_text("{")
    (file.parent / "vmdg.json~").write_text("{")
    assert [each.rid for each in a.ledger.others(resource("disk#9"))] == ["vmdg"]
    assert Ledger(a.ledger.node).read(GROUP).entries
    assert [each["name"] for each in json.loads(file.read_text())["guests"]] == ["container#1"]
