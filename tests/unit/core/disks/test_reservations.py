"""Disks as resources, over a SAN in memory: who gets them, who is told what, and what nobody may lose."""

from __future__ import annotations

import threading
import time

import pytest
from attrs import evolve

from tests.support import NODE, guest, resource, service
from vmsvc.core.answers import GuestDisk
from vmsvc.core.disks.keyring import Keyring
from vmsvc.core.disks.ledger import Ledger
from vmsvc.core.disks.reservations import ReservationDriver
from vmsvc.core.disks.rivals import Rivals
from vmsvc.core.disks.sets import DiskReport
from vmsvc.core.disks.surroundings import quirks_of
from vmsvc.core.errors import ActionFailed, DriverError, Refused, Undetermined, UsageError
from vmsvc.core.node import Node
from vmsvc.core.planning.planner import plan
from vmsvc.core.status import Phase
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import OtherDisk
from vmsvc.testing import Action, Fault, Request, San

KEYS = {"a": 0xA, "b": 0xB, "c": 0xC}


class Around:
    """What a node's services, guests and peers are: as a test says. Devices are those of the SAN."""

    def __init__(self, root, san, name, peers=("a", "b", "c")):
        node = Node(name=name, root=root / name)
        self.keyring = Keyring(node)
        self.ledger = Ledger(node)
        self.keyring.file.parent.mkdir(parents=True)
        self.keyring.file.write_text(key_text(KEYS[name]))
        self.tool = self.looking = san.tool(name)
        self.known = {disk.name: disk for disk in san.disks(name)}
        self.disks = [GuestDisk(target=f"sd{name}", kind="block", source=name) for name in self.known]
        self.others = {}
        self.peers = {peer: KEYS[peer] for peer in peers if peer != name}
        self.in_use = False
        self.guests = [guest()]
        self.claims = {}
        self.suspicions = {}
        self.holders = {}
        self.doubtful = {}
        self.silent = ()
        self.empty = ()
        self.held = {}
        self.beside = frozenset()

    def guest_disks(self, group):
        if isinstance(self.disks, Exception):
            raise self.disks
        return self.disks

    def devices(self, names):
        return [
            self.known.get(name) or self.others.get(name) or OtherDisk(name=name, why="gone", is_known=False)
            for name in names
        ]

    def listed_beside(self, resource):
        return self.beside

    def peer_keys(self, disks):
        return self.peers

    def keys_of_peers(self, disks):
        return self.peers

    def use_of(self, disk):
        return self.held.get(disk.name, "")

    def guests_of(self, disks):
        return self.guests

    def is_in_use(self, disks):
        return self.in_use

    def units(self, units):
        found = {disk.wwid: disk for disk in self.known.values()}
        absent = OtherDisk(name="", why="not to be found", is_known=False)
        return [evolve(found.get(wwid, absent), name=f"{name} ({wwid})") for wwid, name in units]

    def rivals(self, disks):
        return Rivals(
            claims=self.claims,
            suspicions=self.suspicions,
            holders=self.holders,
            doubtful=self.doubtful,
            silent=self.silent,
        )

    def restore_capacity(self, paths):
        return [path for path in paths if path in self.empty]


@pytest.fixture
def san():
    return San(nodes="abc", disks=2)


@pytest.fixture
def around(san, tmp_path):
    return {name: Around(tmp_path, san, name) for name in "abc"}


GROUP = resource("vmdg", container_id="container#1", scsireserv=True)


def take(around, **options):
    told = []
    was_taken = ReservationDriver(around, tell=told.append, **options).start(GROUP, budget_s=60)
    return was_taken, told


def look(around, group=GROUP):
    return ReservationDriver(around).observe(group, budget_s=5)


def give_up(around):
    ReservationDriver(around).stop(GROUP, budget_s=60)


def writers(san):
    return [san.writers(wwid) for wwid in san.units]


def test_a_disk_has_one_node_that_can_write(san, around):
    assert look(around["a"]).phase is Phase.STOPPED
    assert take(around["a"]) == (True, [])
    assert look(around["a"]).phase is Phase.RUNNING
    assert writers(san) == [{"a"}, {"a"}]
    seen = look(around["b"])
    assert seen.phase is Phase.STOPPED
    assert f"held by a ({key_text(0xA)})" in seen.evidence.detail


def test_a_disk_that_stays_empty_after_another_node_had_it_for_itself_is_told(san, around):
    path = san.disks("a")[1].paths[0]
    around["a"].empty = (path,)

    assert take(around["a"]) == (
        True,
        [f"{GROUP.rid}: {path} has a size of 0 here, and guests would read nothing from it"],
    )


def test_no_guest_starts_on_a_disk_that_seems_empty_through_every_path(san, around):
    around["a"].empty = san.disks("a")[1].paths
    with pytest.raises(ActionFailed, match=r"disk1: it has a size of 0.*released again"):
        take(around["a"])
    assert writers(san) == [{"a", "b", "c"}] * 2  # nothing is kept from others that nobody uses here
    assert look(around["a"]).phase is Phase.STOPPED
    assert not around["a"].ledger.read(GROUP).entries


def test_a_disk_that_seems_empty_keeps_what_was_reserved_before(san, around):
    take(around["a"])
    around["a"].empty = san.disks("a")[1].paths
    with pytest.raises(ActionFailed, match="reserved for this node before, and still are"):
        take(around["a"])
    assert writers(san) == [{"a"}, {"a"}]
    around["a"].in_use = True
    was_taken, told = take(around["a"])
    assert (was_taken, len(told)) == (False, 2)  # what runs already is not stopped for it


def test_a_takeover_of_a_disk_that_seems_empty_says_whose_reservation_is_gone(san, around):
    take(around["b"])
    around["a"].empty = san.disks("a")[1].paths
    with pytest.raises(ActionFailed, match=r"released again; disk0: the reservation of b .* is gone"):
        take(around["a"], force=["b"])
    assert writers(san) == [{"a", "b", "c"}] * 2


def test_a_disk_that_seems_empty_and_cannot_be_released_is_told_as_left(san, around, monkeypatch):
    paths = san.disks("a")[1].paths

    def die(_):
        for path in paths:
            san.give(path, Fault.DEAD)
        return paths

    monkeypatch.setattr(around["a"], "restore_capacity", die)
    with pytest.raises(Undetermined, match=r"size of 0.*could not be released again: disk1: no path answers"):
        take(around["a"])
    assert writers(san) == [{"a", "b", "c"}, {"a"}]
    assert around["a"].ledger.read(GROUP).wwids == {san.disks("a")[1].wwid}


def test_who_was_not_named_is_not_evicted_and_nothing_was_written(san, around):
    take(around["a"])
    before = dict(san.units)
    with pytest.raises(Refused, match=r"held by a \(0x000000000000000a\)") as refused:
        take(around["b"])
    assert "--force" in refused.value.hint
    assert san.units == before
    assert not [asked for asked in san.asked if asked.node == "b" and asked.operation]


@pytest.mark.parametrize("holder", ["a", "A", "0xa", "0x000000000000000A"])
def test_a_holder_is_named_by_node_or_key(san, around, holder):
    take(around["a"])
    was_taken, told = take(around["b"], force=[holder])
    assert was_taken
    assert writers(san) == [{"b"}, {"b"}]
    assert [f"disk{number}: removed the registrations of a ({key_text(0xA)})" in told[number] for number in (0, 1)]
    lost = look(around["a"])
    assert lost.phase is Phase.STOPPED
    assert "held by b" in lost.evidence.detail


@pytest.mark.parametrize(("holder", "words"), [("n9", "not known"), ("0xzz", "hexadecimal"), ("0x0", "hexadecimal")])
def test_a_holder_that_means_nobody(around, holder, words):
    take(around["a"])
    with pytest.raises(UsageError, match=words):
        take(around["b"], force=[holder])


def test_nobody_takes_disks_from_himself(around):
    with pytest.raises(UsageError, match="this node's own key"):
        take(around["a"], force=["0xa"])


def test_nobody_names_himself_as_the_holder(around):
    with pytest.raises(UsageError, match="A is this node"):
        take(around["a"], force=["A"])


def test_a_node_with_our_key_is_evicted_only_where_the_key_is_named(san, around):
    san.ask(san.disks("b")[0].paths[0], Request(Action.REGISTER_AND_IGNORE, action_key=KEYS["a"]))
    known = around["a"].known
    known.update({name: evolve(disk, initiators=frozenset({"san a"})) for name, disk in known.items()})
    with pytest.raises(Refused, match="none of its initiators") as refused:
        take(around["a"])
    assert "--force 0xKEY" in refused.value.hint
    give_up(around["a"])
    assert san.shown("/dev/b1d0").keys == (KEYS["a"],)
    assert take(around["a"], force=["0xa"]) == (True, [])
    assert writers(san) == [{"a"}, {"a"}]


def test_naming_somebody_else_is_no_authority(san, around):
    take(around["a"])
    with pytest.raises(Refused):
        take(around["b"], force=["c"])
    assert writers(san) == [{"a"}, {"a"}]


def test_only_what_is_ours_is_given_up(san, around):
    take(around["a"])
    give_up(around["b"])
    assert writers(san) == [{"a"}, {"a"}]
    give_up(around["a"])
    assert look(around["a"]).phase is Phase.STOPPED
    assert writers(san) == [{"a", "b", "c"}] * 2
    give_up(around["a"])


def test_taking_what_is_ours_already_takes_nothing(around):
    take(around["a"])
    assert take(around["a"]) == (False, [])


def test_disks_that_are_not_to_be_reserved_are_not_read_as_up(around):
    take(around["a"])
    seen = look(around["a"], resource("vmdg", container_id="container#1", scsireserv=False))
    assert seen.phase is Phase.INAPPLICABLE
    assert "scsireserv is false" in seen.evidence.detail


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (GuestDisk(target="vda", kind="file", source="/x.img"), "a file"),
        (GuestDisk(target="vda", kind="network", source="rbd://x"), "a network disk"),
        (GuestDisk(target="sda", kind="block", source="", device="cdrom"), "a cdrom without a medium"),
        (GuestDisk(target="sda", kind="block", source="/dev/sr0", readonly=True), "read-only for the guest"),
        (GuestDisk(target="sda", kind="vhostuser", source="/run/x"), "through a socket"),
    ],
)
def test_what_cannot_be_reserved_is_told_apart(around, disk, words):
    around["a"].disks = [disk]
    seen = look(around["a"])
    assert seen.phase is Phase.INAPPLICABLE
    assert words in seen.evidence.detail
    assert take(around["a"]) == (False, [])
    give_up(around["a"])


@pytest.mark.parametrize(
    ("kind", "words"), [("volume", "a volume of a storage pool"), ("flux", "does not know (flux)")]
)
def test_what_may_be_anything_is_unknown_and_nothing_is_started_on_it(san, around, kind, words):
    around["a"].disks.append(GuestDisk(target="vdz", kind=kind, source="pool/x"))
    seen = look(around["a"])
    assert seen.phase is Phase.UNKNOWN
    assert words in seen.evidence.detail
    with pytest.raises(Undetermined):
        take(around["a"])
    assert not [asked for asked in san.asked if asked.operation]


def test_a_guest_without_disks_is_no_guest_whose_disks_are_released(around):
    around["a"].disks = []
    assert look(around["a"]).phase is Phase.INAPPLICABLE


def test_a_disk_that_might_be_reservable_is_not_left_out(san, around):
    around["a"].disks.append(GuestDisk(target="sdz", kind="block", source="/dev/gone"))
    assert look(around["a"]).phase is Phase.UNKNOWN
    with pytest.raises(Undetermined, match="/dev/gone: gone"):
        take(around["a"])
    assert not [asked for asked in san.asked if asked.operation]


def test_a_disk_that_cannot_be_seen_does_not_keep_others_from_being_released(san, around):
    take(around["a"])
    around["a"].disks.append(GuestDisk(target="sdz", kind="block", source="/dev/gone"))
    with pytest.raises(Undetermined, match="/dev/gone"):
        give_up(around["a"])
    assert writers(san) == [{"a", "b", "c"}] * 2


def test_a_guest_that_is_not_here_has_no_disks_here(around):
    around["a"].disks = DriverError("there is no such guest", code="driver.absent")
    seen = look(around["a"])
    assert seen.phase is Phase.INAPPLICABLE
    assert "no such guest" in seen.evidence.detail


def test_a_hypervisor_that_refuses_to_answer_has_not_said_that_there_is_no_guest(around):
    around["a"].disks = DriverError("access denied")
    assert look(around["a"]).phase is Phase.UNKNOWN


def test_a_hypervisor_that_does_not_answer_makes_its_disks_unknown(around):
    around["a"].disks = Undetermined("libvirtd hangs")
    assert look(around["a"]).phase is Phase.UNKNOWN
    with pytest.raises(Undetermined, match="libvirtd hangs"):
        take(around["a"])
    with pytest.raises(Undetermined, match="libvirtd hangs"):
        give_up(around["a"])


def test_a_dead_path_is_a_warning_and_no_path_is_unknown(san, around):
    take(around["a"])
    one, other = san.disks("a")[0].paths
    san.give(one, Fault.DEAD)
    assert look(around["a"]).phase is Phase.DEGRADED
    san.give(other, Fault.DEAD)
    assert look(around["a"]).phase is Phase.UNKNOWN
    with pytest.raises(Undetermined):
        give_up(around["a"])


@pytest.mark.option(
    "start --despite-lost-keys, restart --despite-lost-keys, plan --despite-lost-keys, pr start --despite-lost-keys"
)
def test_disks_are_not_given_back_to_a_guest_that_went_on_without_them(san, around):
    take(around["a"])
    around["a"].in_use = True
    take(around["b"], force=["a"])
    give_up(around["b"])
    with pytest.raises(Refused, match="keys are lost") as refused:
        take(around["a"])
    assert "--despite-lost-keys" in refused.value.hint
    assert writers(san) == [{"a", "b", "c"}] * 2
    was_taken, _ = take(around["a"], despite_lost_keys=True)
    assert was_taken


def test_a_look_that_fails_gives_no_disks_back_to_a_guest_that_went_on_without_them(san, around):
    take(around["a"])
    around["a"].in_use = True
    take(around["b"], force=["a"])
    give_up(around["b"])
    for disk in san.disks("a"):
        for path in disk.paths:
            san.give(path, Fault.LOST_REQUEST)
    with pytest.raises(Undetermined, match="no path answers"):
        take(around["a"])
    assert writers(san) == [{"a", "b", "c"}] * 2


def test_disks_that_are_kept_may_be_made_sure_of_under_a_guest(around):
    take(around["a"])
    around["a"].in_use = True
    assert take(around["a"]) == (False, [])


def test_another_service_whose_disks_cannot_be_named_is_told_and_keeps_nobody_from_starting(san, around):
    around["a"].silent = ("db: libvirtd hangs",)
    was_taken, told = take(around["a"])
    assert was_taken
    assert "db" in told[0]


def test_a_disk_of_another_service_is_refused_before_anything_is_written(san, around):
    (first, _) = san.disks("a")
    around["a"].claims = {first.wwid: "[vmdg] of db"}
    with pytest.raises(Refused, match=r"disk0 is a disk of \[vmdg\] of db, too"):
        take(around["a"])
    assert not [asked for asked in san.asked if asked.operation]


def test_a_look_makes_no_key_and_without_one_every_key_is_foreign(san, around):
    take(around["b"])
    around["a"].keyring.file.unlink()
    seen = look(around["a"])
    assert seen.phase is Phase.STOPPED
    assert "held by b" in seen.evidence.detail
    give_up(around["a"])
    assert not around["a"].keyring.file.exists()


class TestAGuestThatIsHalfProtected:
    """One of its disks is reserved; another may be written to by every node, and no reservation of ours says otherwise."""

    VOLUME = OtherDisk(name="lv", why="a logical volume", is_shared=True, below=frozenset({"naa.9"}))

    @pytest.fixture
    def half(self, around):
        around["a"].disks[1] = evolve(around["a"].disks[1], source="lv")
        around["a"].others["lv"] = self.VOLUME
        return around["a"]

    def warnings(self, around):
        take(around)
        seen = look(around)
        planned = plan("start", service(guest(1), GROUP), NODE, {"vmdg": seen})
        told = {problem.message for problem in planned.notes if problem.code == "warning.disks"}
        assert told == {*seen.warnings}
        assert told == {each.message for each in ReservationDriver(around).problems_of(GROUP)}
        assert seen.phase is Phase.RUNNING
        return seen.warnings

    def test_is_told_so_by_start_status_and_validate(self, half):
        assert self.warnings(half) == ("lv is not reserved, and nothing keeps other nodes from it: a logical volume",)

    @pytest.mark.parametrize("change", [{"is_shared": False, "below": frozenset()}, {"below": None}])
    def test_is_not_told_so_of_what_is_this_nodes_or_lies_on_what_is_reserved(self, san, half, change):
        below = change.get("below")
        half.others["lv"] = evolve(
            self.VOLUME, **{**change, "below": frozenset(list(san.units)[:1]) if below is None else below}
        )
        assert self.warnings(half) == ()

    def test_is_not_told_so_where_a_section_lists_the_whole_disk(self, half):
        half.beside = frozenset({"naa.9"})
        assert self.warnings(half) == ()

    def test_is_told_of_a_network_disk(self, half):
        half.disks[1] = evolve(half.disks[1], kind="network", source="pool/image")
        assert self.warnings(half) == (
            "pool/image is not reserved, and nothing keeps other nodes from it: a network disk",
        )


def test_a_resource_may_have_a_key_of_its_own(san, around):
    own = resource("vmdg", container_id="container#1", scsireserv=True, prkey="0x0000000000000abc")
    ReservationDriver(around["a"]).start(own, budget_s=60)
    assert look(around["a"], own).phase is Phase.RUNNING
    assert "held by this node, with an earlier key (0x0000000000000abc)" in look(around["a"]).evidence.detail


def test_no_disk_is_taken_with_the_key_of_a_peer(san, around):
    around["a"].peers["d"] = KEYS["a"]
    with pytest.raises(Refused, match="this node and d have the same key"):
        take(around["a"])
    assert not [asked for asked in san.asked if asked.operation]


def test_a_stale_registrant_goes_with_the_holder(san, around):
    take(around["a"])
    san.ask(san.disks("c")[0].paths[0], Request(Action.REGISTER_AND_IGNORE, action_key=KEYS["c"]))
    assert look(around["a"]).phase is Phase.CONTESTED
    _, told = take(around["b"], force=["a"])
    assert writers(san) == [{"b"}, {"b"}]
    assert "c (0x000000000000000c)" in "".join(told)


def test_listed_disks_use_the_same_machinery(san, around):
    listed = resource("disk#1", devices=("disk1",), scsireserv=True)
    ReservationDriver(around["a"]).start(listed, budget_s=60)
    assert writers(san) == [{"a", "b", "c"}, {"a"}]


def test_many_resources_are_read_at_once_and_each_path_once(san, around):
    one = resource("disk#1", devices=("disk0",), scsireserv=True)
    two = resource("disk#2", devices=("disk1", "disk0"), scsireserv=True)
    seen = ReservationDriver(around["a"]).observe_all([one, two], budget_s=5)
    assert {key for _, key in seen} == {"disk#1", "disk#2"}
    assert len(san.asked) == 4


def test_a_report_has_all_there_is_to_show(san, around):
    take(around["a"])
    around["a"].disks.append(GuestDisk(target="vdz", kind="file", source="/x.img"))
    (report,) = ReservationDriver(around["a"]).examine([GROUP], budget_s=5)
    assert isinstance(report, DiskReport)
    assert [each.phase for each in report.every] == [Phase.RUNNING, Phase.RUNNING, Phase.INAPPLICABLE]
    assert report.found.targets["disk1"] == "sddisk1"
    assert report.named(0xA) == "this node (0x000000000000000a)"
    assert report.named(0xB) == "b (0x000000000000000b)"
    assert report.named(0xF) == "0x000000000000000f"


def test_there_is_no_force_to_use(around):
    with pytest.raises(DriverError):
        ReservationDriver(around["a"]).kill(GROUP, budget_s=1)


# --- quirks that plugins know -------------------------------------------------------------------------------------


class Implementation:
    def __init__(self, name, function):
        self.plugin_name = name
        self.function = function


class Hook:
    def __init__(self, *implementations):
        self._implementations = list(implementations)

    def get_hookimpls(self):
        return self._implementations


def test_plugins_add_quirks_and_one_that_fails_hides_no_other(caplog):
    def vmsvc_disk_quirks():
        return [Quirks(vendor="ACME", abort=False)]

    def broken():
        raise RuntimeError("no table")

    hook = Hook(
        Implementation("good", vmsvc_disk_quirks),
        Implementation("broken", broken),
        Implementation("wrong", lambda: ["ACME"]),
    )
    assert quirks_of(hook) == (Quirks(vendor="ACME", abort=False),)
    assert "broken" in caplog.text
    assert "wrong" in caplog.text


def test_what_naming_the_disks_takes_is_charged_to_the_budget(san, around, monkeypatch):
    monkeypatch.setattr(around["a"], "rivals", lambda disks: time.sleep(0.05) or Rivals())
    with pytest.raises(Undetermined, match="left as they are"):
        ReservationDriver(around["a"]).start(GROUP, budget_s=0.02)
    assert san.asked == []


def test_an_interrupted_start_gives_the_disks_back(san, around):
    cancelled = threading.Event()
    san.before = lambda request: cancelled.set() if request.operation is not None else None
    with pytest.raises(Undetermined, match="interrupted"):
        ReservationDriver(around["a"], cancelled=cancelled).start(GROUP, budget_s=60)
    assert look(around["a"]).phase is Phase.STOPPED


def test_a_release_is_what_an_interrupt_wants(san, around):
    take(around["a"])
    cancelled = threading.Event()
    cancelled.set()
    ReservationDriver(around["a"], cancelled=cancelled).stop(GROUP, budget_s=60)
    assert look(around["a"]).phase is Phase.STOPPED


def test_a_guest_whose_disks_nobody_names_hides_those_of_no_other(around, monkeypatch):
    other = resource("disk#1", devices=("disk0",), scsireserv=True)
    hung = threading.Event()
    monkeypatch.setattr(around["a"], "guest_disks", lambda group: hung.wait(10))
    try:
        nameless, report = ReservationDriver(around["a"]).examine([GROUP, other], budget_s=0.4)
    finally:
        hung.set()
    assert "could not be named" in nameless.message
    assert report.whole.phase is Phase.STOPPED
