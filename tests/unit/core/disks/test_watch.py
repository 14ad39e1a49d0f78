"""What a watcher says of disks whose keys are lost, and of those that nobody uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.support import guest, resource, seen, service
from tests.unit.core.disks.test_reservations import GROUP, KEYS, Around, take
from tests.unit.core.vmdg.drive import register, reserve
from vmsvc.core.disks.examining import examine
from vmsvc.core.disks.ledger import Entry, Record
from vmsvc.core.disks.reservations import ReservationDriver
from vmsvc.core.disks.sets import DiskReport, DiskSet
from vmsvc.core.disks.watch import Concern, users_of, watched, watched_over
from vmsvc.core.errors import Undetermined
from vmsvc.core.status import Phase, Status
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.seen import ScsiDisk
from vmsvc.testing import Action, Fault, Request, San

DISKS = resource("vmdg", container_id="container#1", scsireserv=True)
KILLING = evolve(DISKS, on_lost_keys="kill")
RUNNING = {"container#1": seen(Phase.RUNNING)}


def report(phase, *, is_lost=False, foreign=(), key=1, is_taken=False):
    whole = Judged(
        name="d", phase=phase, state=phase.value, detail="as told", is_lost=is_lost, is_taken=is_taken, foreign=foreign
    )
    entries = (Entry(wwid="w", key=1, name="d"),)
    record = Record(service=DISKS.service, rid=DISKS.rid, file=Path("/none"), entries=entries)
    found = DiskSet(resource=DISKS, disks=(ScsiDisk(name="d", wwid="w", paths=("/dev/d",)),), key=key, record=record)
    return DiskReport(found=found, names={}, readings=(), judged=(whole,), others=(), whole=whole, duration_s=0.0)


@pytest.mark.parametrize("user", [Phase.RUNNING, Phase.PAUSED, Phase.STARTING, Phase.STUCK, Phase.UNKNOWN])
@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.CONTESTED])
def test_keys_that_are_lost_under_what_may_write_are_an_alarm(user, phase):
    found = watched(DISKS, report(phase, is_lost=True), {"container#1": seen(user)})
    assert (found.concern, found.users) == (Concern.LOST, ("container#1",))
    assert "lost" in found.text
    assert "pr start" in found.hint


@pytest.mark.parametrize("user", [Phase.STOPPED, Phase.ABSENT, Phase.SAVED])
def test_disks_that_nobody_uses_may_be_anybodys(user):
    found = watched(DISKS, report(Phase.STOPPED, is_lost=True), {"container#1": seen(user)})
    assert (found.concern, found.users) == (Concern.NONE, ())


@pytest.mark.parametrize(
    ("phase", "concern"),
    [
        (Phase.RUNNING, Concern.NONE),
        (Phase.INAPPLICABLE, Concern.NONE),
        (Phase.DEGRADED, Concern.CARE),
        (Phase.CONTESTED, Concern.CARE),
        (Phase.UNKNOWN, Concern.UNKNOWN),
    ],
)
def test_everything_else_is_no_alarm(phase, concern):
    assert watched(DISKS, report(phase), RUNNING).concern is concern


@pytest.mark.parametrize("is_taken", [True, False])
def test_only_what_somebody_else_took_from_us_calls_for_a_kill(is_taken):
    lost = report(Phase.STOPPED, is_lost=True, foreign=(2,), is_taken=is_taken)
    found = watched(KILLING, lost, RUNNING)
    assert (found.concern, bool(found.taken), found.calls_for_kill) == (Concern.LOST, is_taken, is_taken)
    assert "pr start" in found.hint
    assert not watched(DISKS, lost, RUNNING).calls_for_kill


class TestWhatCallsForAKill:
    """Guests are not killed by mistake: the disks are real ones of a SAN in memory, and so is the record."""

    @pytest.fixture
    def san(self):
        return San(nodes="ab", disks=2)

    @pytest.fixture
    def a(self, san, tmp_path):
        return Around(tmp_path, san, "a", peers=())

    @pytest.fixture
    def b(self, san, tmp_path):
        return Around(tmp_path, san, "b", peers=("a",))

    def look(self, around, group=KILLING):
        (found,) = examine([group], around, budget_s=5)
        return watched(group, found, RUNNING)

    def test_disks_that_another_node_has_taken(self, a, b):
        take(a)
        assert self.look(a).concern is Concern.NONE
        take(b, force=["a"])
        found = self.look(a)
        assert (found.concern, found.taken, found.calls_for_kill) == (Concern.LOST, ("disk0", "disk1"), True)
        assert found.confirms(found)

    def test_not_the_key_that_was_edited_under_the_guest(self, a):
        take(a)
        for edited in (evolve(KILLING, prkey="0x77"), KILLING):
            found = self.look(a, edited)
            assert (found.concern.is_alarm, found.calls_for_kill) == (False, False)
            a.keyring.file.write_text("0x88")  # the node's own
        assert "with an earlier key" in found.text
        assert "`prkey`" in found.hint
        a.keyring.file.unlink()
        assert not self.look(a).concern.is_alarm

    def test_not_half_a_set_under_an_edited_key(self, san, a):
        # One disk has the key of now, as after a start that was interrupted; the other still that of before.
        take(a)
        a.disks.pop()
        edited = evolve(KILLING, prkey="0x77")
        ReservationDriver(a).stop(edited, budget_s=60)
        take(a)
        a.disks.append(evolve(a.disks[0], source="disk1"))
        found = self.look(a, edited)
        assert (found.concern, found.taken) == (Concern.LOST, ())  # disk1 is nobody's, and what runs may write to it

    def test_not_a_disk_that_was_never_ours(self, san, a):
        gone = a.disks.pop()
        take(a)
        reserve(san, "/dev/b1d1", KEYS["b"])
        a.disks.append(gone)
        found = self.look(a)
        assert (found.concern, found.taken) == (Concern.LOST, ())
        assert found.text.startswith("this node has not reserved the disks under container#1: disk1: held by")

    def test_not_where_the_node_has_a_key_and_no_record(self, a, b):
        take(b)
        found = self.look(a)
        assert (found.concern, found.taken) == (Concern.LOST, ())

    def test_not_where_the_key_is_gone_and_nobody_elses_there(self, san, a):
        take(a)
        for path in [path for disk in san.disks("a") for path in disk.paths] * 2:  # the second path hears of the first
            san.ask(path, Request(Action.REGISTER_AND_IGNORE, action_key=0))
        found = self.look(a)
        assert (found.concern, found.taken) == (Concern.LOST, ())
        assert found.text.startswith("this node's keys are lost under container#1")

    def test_not_what_could_not_be_read(self, san, a, b):
        take(a)
        take(b, force=["a"])
        for disk in san.disks("a"):
            for path in disk.paths:
                san.give(path, Fault.DEAD)
        found = self.look(a)
        assert (found.concern, found.taken) == (Concern.UNKNOWN, ())

    def test_not_where_a_key_of_the_record_is_there_though_it_is_a_peers_now(self, san, a):
        take(a)
        a.peers = {"b": KEYS["a"]}
        found = self.look(a, evolve(KILLING, prkey="0x77"))
        assert (found.concern, found.taken) == (Concern.LOST, ())

    def test_not_a_disk_that_the_running_guest_does_not_have_any_more(self, a, b):
        take(a)
        a.disks = [evolve(a.disks[0], live=True), evolve(a.disks[1], persistent=True)]
        b.disks = b.disks[1:]
        take(b, force=["a"])
        found = self.look(a)
        assert (found.concern, found.taken) == (Concern.LOST, ())
        assert "it does not run with it" in found.text
        a.disks[1] = evolve(a.disks[1], live=True)
        assert self.look(a).taken == ("disk1",)

    def test_a_disk_that_the_running_guest_has_by_another_name(self, a, b):
        take(a)
        a.known["alias"] = a.known["disk0"]
        a.disks = [evolve(a.disks[0], persistent=True), evolve(a.disks[0], source="alias", live=True)]
        take(b, force=["a"])
        assert "disk0" in self.look(a).taken

    def test_not_where_nobody_knows_which_disks_the_guest_has(self, a, b):
        take(a)
        take(b, force=["a"])
        a.disks = Undetermined("libvirtd hangs")
        found = self.look(a)
        assert (found.concern, found.taken) == (Concern.LOST, ())
        assert found.text.startswith("this node's keys are lost under container#1")

    def test_not_what_its_service_does_not_want_reserved_any_more(self, a, b):
        take(a)
        take(b, force=["a"])
        web = a.ledger.with_left_over(service(guest(1), evolve(KILLING, scsireserv=False)))
        found = self.look(a, web.resource("vmdg"))
        assert (found.concern, found.taken) == (Concern.LOST, ())

    def test_not_where_the_record_is_of_another_guest(self, a, b):
        take(a)
        take(b, force=["a"])
        web = a.ledger.with_left_over(service(guest(1, name="another"), KILLING))
        found = self.look(a, web.resource("vmdg"))
        assert (found.concern, found.taken) == (Concern.LOST, ())

    def test_a_guest_whose_disks_a_section_lists(self, a, b):
        listed = resource("disk#1", scsireserv=True, on_lost_keys="kill", devices=("disk0",))
        ReservationDriver(a).start(listed, budget_s=60)
        b.disks.pop()
        take(b, force=["a"])
        web = a.ledger.with_left_over(service(guest(1), listed))
        assert self.look(a, web.resource("disk#1")).taken == ("disk0",)

    @pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.UNKNOWN])
    def test_not_where_a_section_lists_disks_and_several_run_that_may_have_them(self, a, b, phase):
        listed = resource("disk#1", scsireserv=True, on_lost_keys="kill", devices=("disk0",))
        ReservationDriver(a).start(listed, budget_s=60)
        b.disks.pop()
        take(b, force=["a"])
        (report_,) = examine([listed], a, budget_s=5)
        found = watched(listed, report_, {**RUNNING, "container#2": seen(phase)})
        assert (found.concern, found.calls_for_kill) == (Concern.LOST, False)
        assert watched(listed, report_, {**RUNNING, "container#2": seen(Phase.STOPPED)}).calls_for_kill

    @pytest.mark.parametrize(
        "group",
        [None, evolve(KILLING, scsireserv=False), evolve(KILLING, disable=True)],
        ids=["gone", "off", "disabled"],
    )
    def test_what_is_held_and_not_wanted_any_more_is_watched_all_the_same(self, a, b, group):
        take(a)
        web = a.ledger.with_left_over(service(*filter(None, (guest(1), group))))
        (disks,) = watched_over(web)
        assert users_of(web, disks) == ("container#1",)
        assert self.look(a, disks).concern is Concern.CARE
        take(b, force=["a"])
        assert self.look(a, disks).concern is Concern.LOST

    @pytest.mark.parametrize("group", [None, evolve(KILLING, scsireserv=False), evolve(KILLING, disable=True)])
    @pytest.mark.parametrize("holder", ["a", "b"])
    def test_somebody_beside_us_on_disks_that_are_not_wanted_any_more_is_an_alarm(self, san, a, b, group, holder):
        owner, other = (a, b) if holder == "a" else (b, a)
        take(owner)
        for disk in other.known.values():
            register(san, disk.paths[0], KEYS["b" if holder == "a" else "a"])
        if holder == "b":
            a.ledger.write(a.ledger.read(KILLING).with_disks(a.known.values(), KEYS["a"], [guest(1)]))
        web = a.ledger.with_left_over(service(*filter(None, (guest(1), group))))
        found = self.look(a, web.resource("vmdg"))
        assert (found.concern, found.taken, found.status) == (Concern.CONTESTED, (), Status.WARN)
        assert key_text(KEYS["b"]) in found.text
        assert "still for this node" not in found.text

    def test_a_guest_that_has_left_the_file_may_run(self, a, b):
        take(a)
        web = a.ledger.with_left_over(service(guest(1, name="another"), GROUP))
        (disks,) = watched_over(web)
        users = {rid: seen(Phase.STOPPED) if rid == "container#1" else None for rid in users_of(web, disks)}
        (report_,) = examine([disks], a, budget_s=5)
        found = watched(disks, report_, users)
        assert (found.concern, found.users) == (Concern.CARE, ("the guest container#1",))
        assert "whether the guest container#1 runs is not known" in found.text
        take(b, force=["a"])
        (report_,) = examine([disks], a, budget_s=5)
        found = watched(disks, report_, users)
        assert found.concern is Concern.LOST
        assert "under the guest container#1, if it runs" in found.text

    @pytest.mark.parametrize("knows_guests", [True, False])
    def test_what_a_service_without_a_file_ran_may_run(self, a, knows_guests):
        if not knows_guests:
            a.guests = []
        take(a)
        assert a.ledger.left_behind({"web"}) == []
        (web,) = a.ledger.left_behind(set())
        (disks,) = watched_over(web)
        (user,) = users_of(web, disks)
        assert user == ("the guest container#1" if knows_guests else "what it ran")
        (report_,) = examine([disks], a, budget_s=5)
        assert watched(disks, report_, {user: None}).concern is Concern.CARE


def test_where_disks_cannot_be_read_a_guest_that_has_left_the_file_makes_it_no_better():
    assert watched(DISKS, report(Phase.UNKNOWN), {"the guest web": None}).concern is Concern.UNKNOWN


def test_two_looks_at_different_disks_confirm_nothing():
    first = watched(KILLING, report(Phase.STOPPED, is_lost=True, is_taken=True), RUNNING)
    assert not evolve(first, taken=("another",)).confirms(first)
    assert not first.confirms(evolve(first, concern=Concern.CARE))


def test_somebody_registered_beside_what_may_write_is_an_alarm():
    found = watched(DISKS, report(Phase.CONTESTED, foreign=(2,)), RUNNING)
    assert (found.concern, found.concern.is_alarm, found.calls_for_kill) == (Concern.CONTESTED, True, False)
    assert "container#1" in found.text


def test_where_nothing_runs_disks_that_cannot_be_named_are_no_concern():
    found = watched(DISKS, Undetermined("libvirtd hangs"), {"container#1": seen(Phase.STOPPED)})
    assert (found.concern, found.users) == (Concern.NONE, ())
    assert "libvirtd hangs" in found.text


def test_disks_that_cannot_be_named_are_unknown():
    found = watched(DISKS, Undetermined("libvirtd hangs"), RUNNING)
    assert (found.concern, found.text) == (Concern.UNKNOWN, "libvirtd hangs")


def test_who_may_write_to_disks():
    one = service(
        guest(1), guest(2), DISKS, resource("disk#1", scsireserv=True), resource("vmdg#2", container_id="container#2")
    )
    assert users_of(one, DISKS) == ("container#1",)
    assert set(users_of(one)) == {"container#1", "container#2"}
    assert watched_over(one) == [one.resource("vmdg"), one.resource("disk#1")]
    assert users_of(service(resource("app#1", start=("x",)), resource("disk#1", scsireserv=True))) == ("app#1",)
