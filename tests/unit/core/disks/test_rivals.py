"""Who else of this node may write to a disk: whatever it is called, and whether or not its service reserves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.support import guest, resource, service
from vmsvc.core.config import identity as guest_identity
from vmsvc.core.disks.ledger import Entry, Record
from vmsvc.core.disks.rivals import identity, rivals_of
from vmsvc.core.disks.usage import Usage, Use
from vmsvc.core.estate import Estate, Unread
from vmsvc.core.vmdg.seen import OtherDisk, ScsiDisk

DISK = ScsiDisk(name="/dev/mapper/erp", wwid="naa.1", paths=("/dev/sda", "/dev/sdb"))
GROUP = resource("vmdg", container_id="container#1", scsireserv=True)
LISTED = resource("disk#1", devices=("/dev/mapper/erp",), scsireserv=True)
GUEST, TWO = guest(name="erp"), guest(2, name="two")
IDENTITIES = {each.name: guest_identity(each) for each in (GUEST, TWO)}


def called(name, *resources):
    """A service of another name, whose resources are its own."""
    return evolve(service(*(evolve(each, service=name) for each in resources)), name=name)


def using(service="db", rid="container#1", guest="db", **more):
    return Use(
        source="/dev/sda",
        who=IDENTITIES.get(guest, guest),
        guest=guest,
        service=service,
        rid=rid,
        target="sda",
        **more,
    )


def rivals(disks, *uses, services=(), unread=(), records=(), gaps=(), unresolved=()):
    known = {"/dev/sda": DISK, "/dev/mapper/erp": DISK}
    return rivals_of(
        disks,
        Usage(by_disk={DISK.wwid: uses}, backings={}, gaps=gaps, unresolved=unresolved),
        Estate(services=(service(GUEST, TWO, disks), *services), unread=unread),
        records,
        lambda names: [known.get(name) or OtherDisk(name=name, why="gone", is_known=False) for name in names],
    )


def claim(disks, *uses, **more):
    return rivals(disks, *uses, **more).claims.get(DISK.wwid, "")


def test_the_guest_that_it_is_reserved_for_is_no_rival():
    assert claim(GROUP, using("web", guest="erp")) == ""
    assert claim(LISTED, using("web", guest="erp"), Use(source="/dev/sda", service="web", rid="disk#1")) == ""


@pytest.mark.parametrize("disks", [GROUP, LISTED], ids=["vmdg", "disk"])
@pytest.mark.parametrize(
    ("section", "words"),
    [
        (resource("vmdg", container_id="container#1", scsireserv=True), "[vmdg] of db"),
        (resource("vmdg", container_id="container#1", scsireserv=True, disable=True), "does not reserve"),
        (resource("vmdg", container_id="container#1"), "db ([container#1] of db), which does not reserve it"),
        (resource("vmdg", container_id="container#2", scsireserv=True), "does not reserve"),
        (None, "db ([container#1] of db), which does not reserve it"),
    ],
)
def test_a_guest_of_another_service_is_a_rival_whether_or_not_that_reserves(disks, section, words):
    db = called("db", guest(name="db"), *([section] if section else []))
    assert words in claim(disks, using(), services=[db])


def test_another_guest_of_the_same_service_is_a_rival_unless_the_disk_is_listed_for_all_of_them():
    two = using("web", "container#2", "two")
    assert "which does not reserve it" in claim(GROUP, two)
    assert claim(LISTED, two) == ""


def test_a_guest_that_two_services_mean_is_no_rival_of_itself():
    other = called("db", guest(name="erp"))
    assert claim(GROUP, using("db", guest="erp"), services=[other]) == ""
    both = called("db", guest(name="erp"), resource("vmdg", container_id="container#1", scsireserv=True))
    assert claim(GROUP, using("db", guest="erp"), services=[both]) == "[vmdg] of db"


def test_a_section_that_lists_a_disk_is_a_rival_only_where_it_reserves_it():
    use = Use(source="/dev/sda", service="db", rid="disk#1")
    assert claim(GROUP, use, services=[called("db", resource("disk#1", scsireserv=True))]) == "[disk#1] of db"
    assert claim(GROUP, use, services=[called("db", resource("disk#1"))]) == ""


def test_who_only_reads_is_no_rival():
    assert claim(GROUP, using(readonly=True), services=[called("db", guest(name="db"))]) == ""


def test_a_guest_of_no_service_is_a_rival_only_where_it_runs():
    assert claim(GROUP, using("", "", "stray")) == ""
    assert "stray" in claim(GROUP, using("", "", "stray", live=True))


class TestANameThatCannotBeLookedUp:
    """Any disk may be behind it: who has it may write to the one that is about to be reserved."""

    def doubts(self, use, *services, disks=GROUP):
        found = rivals(disks, services=services, unresolved=[use])
        assert found.doubts_on([]) == []
        return found.doubts_on([DISK])

    def test_is_a_doubt_where_another_guest_has_it(self):
        db = called("db", guest(name="db"))
        assert "/dev/sda could not be looked up, and is what db ([container#1] of db)" in self.doubts(using(), db)[0]
        assert "the guest stray" in self.doubts(using("", "", "stray", live=True))[0]
        assert "two" in self.doubts(using("web", "container#2", "two"))[0]

    def test_is_a_doubt_where_another_resource_reserves_it(self):
        use = Use(source="/mnt/lun", service="db", rid="disk#1")
        assert "[disk#1] of db" in self.doubts(use, called("db", resource("disk#1", scsireserv=True)))[0]

    @pytest.mark.parametrize(
        "use",
        [
            using("web", guest="erp"),
            using("web", "container#2", "two", readonly=True),
            using("web", "container#2", "two", kind="file"),
            using("", "", "stray"),
        ],
        ids=["our own guest", "who only reads", "a file", "who does not run"],
    )
    def test_is_none_where_it_cannot_matter(self, use):
        assert self.doubts(use) == []

    def test_is_none_of_a_guest_that_a_list_of_disks_is_for(self):
        assert self.doubts(using("web", "container#2", "two"), disks=LISTED) == []


class TestAFileThatCannotBeRead:
    def suspicion(self, text, *uses, name="db"):
        found = rivals(GROUP, *uses, unread=[Unread(name=name, file=f"/etc/{name}.conf", text=text)])
        return found.doubts_on([DISK]), found.unrelated

    @pytest.mark.parametrize(
        "text", ["devices = /dev/sda", "devices = ['/dev/mapper/erp']", "x = /dev/sdz,/dev/sda", "disks=/dev/sda;no"]
    )
    def test_is_suspect_where_its_text_names_a_device_of_the_disk(self, text):
        (words,), _ = self.suspicion(text)
        assert "/dev/mapper/erp: /etc/db.conf cannot be read, and names it" in words

    @pytest.mark.parametrize(("text", "name"), [("name = stray\n", "db"), ("", "stray")])
    def test_is_suspect_where_it_may_mean_a_guest_that_has_the_disk(self, text, name):
        (words,), _ = self.suspicion(text, using("", "", "stray"), name=name)
        assert f"/etc/{name}.conf cannot be read, and may mean the guest stray" in words

    @pytest.mark.parametrize("text", ["name = stray-2", "devices = /dev/sdab", "[DEFAULT", None])
    def test_keeps_nobody_from_starting_where_it_names_neither(self, text):
        doubts, unrelated = self.suspicion(text, using("", "", "stray"))
        assert doubts == []
        assert "/etc/db.conf" in unrelated[0]


class TestWhatWasWrittenDown:
    def record(self, service="db", rid="vmdg", **more):
        entry = Entry(wwid=DISK.wwid, key=1, name="x")
        return Record(
            service=service, rid=rid, file=Path("/r"), entries=(entry,), guests={"db": "db", "erp": "erp"}, **more
        )

    def found(self, *uses, record=None, **more):
        return rivals(GROUP, *uses, records=[record or self.record()], **more)

    def test_holds_as_long_as_the_other_names_it(self):
        db = called("db", guest(name="db"))
        assert self.found(using(), services=[db]).holders == {(DISK.wwid, 1): "[vmdg] of db"}
        passed_on = self.found(services=[db])
        assert (passed_on.holders, passed_on.doubtful) == ({}, {})

    def test_holds_with_the_key_that_was_written_down_and_no_other(self):
        entries = (Entry(wwid=DISK.wwid, key=7, name="x"), Entry(wwid="naa.2", key=1, name="y"))
        record = evolve(self.record(), entries=entries)
        found = self.found(using(), record=record, services=[called("db", guest(name="db"))])
        assert found.holders == {(DISK.wwid, 7): "[vmdg] of db"}
        assert (found.holder(DISK.wwid), found.holder("naa.9")) == ("[vmdg] of db", "")

    def test_of_the_same_service_holds_as_long_as_that_very_resource_names_it(self):
        of_disk = evolve(self.record("web", "disk#1"), guests={})
        listed = Use(source="/dev/sda", service="web", rid="disk#1")
        assert self.found(listed, record=of_disk).holders == {(DISK.wwid, 1): "[disk#1] of web"}
        assert self.found(using("web", guest="erp"), record=of_disk).holders == {}

    def test_of_a_service_that_cannot_be_read_is_doubtful(self):
        found = self.found(unread=[Unread(name="db", file="/etc/db.conf")])
        assert "/etc/db.conf cannot be read" in found.doubtful[DISK.wwid]
        assert found.doubts_on([DISK])

    def test_is_doubtful_where_a_hypervisor_does_not_answer(self):
        assert "libvirtd hangs" in self.found(gaps=("libvirtd hangs",)).doubtful[DISK.wwid]

    def test_and_cannot_be_read_is_doubtful_for_all_that_its_service_has(self):
        unreadable = evolve(self.record(), entries=(), fault="garbage")
        found = self.found(using(), record=unreadable, services=[called("db", guest(name="db"))])
        assert (found.holders, "garbage" in found.doubtful[DISK.wwid]) == ({}, True)
        assert self.found(record=unreadable).doubtful == {}

    def test_of_a_service_that_is_no_more_counts_for_nothing(self):
        found = self.found()
        assert (found.holders, found.doubtful) == ({}, {})


def test_disks_without_a_world_wide_id_are_told_apart_by_where_their_names_lead(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    names = [str(tmp_path / name) for name in ("file", "link")]
    assert len({identity(OtherDisk(name=name, why="a file")) for name in names}) == 1
    assert identity(DISK) == "naa.1"
