"""Who else uses a disk, whatever it is called, and whoever could not be asked."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.support import FakeDriver, guest, resource, service
from vmsvc.core.answers import FoundGuest, GuestDisk
from vmsvc.core.contract import Capability
from vmsvc.core.disks import usage
from vmsvc.core.disks.usage import usage_of
from vmsvc.core.errors import DriverError, Undetermined
from vmsvc.core.status import Phase
from vmsvc.core.vmdg.tools.classify import BlockDevice


def disk(source, target="vda", **more):
    return GuestDisk(target=target, kind="block", source=source, **more)


class Discovering(FakeDriver):
    """A hypervisor that names all of its guests at once; ``guests`` has their disks."""

    capabilities = frozenset({Capability.DISKS, Capability.DISCOVER})

    def __init__(self, **guests):
        super().__init__()
        self.guests = guests

    def discover(self, where, *, budget_s):
        self.calls.append("discover")
        if isinstance(self.guests, Exception):
            raise self.guests
        return [
            FoundGuest(name=name, phase=Phase.RUNNING, state="running", disks=tuple(disks))
            for name, disks in self.guests.items()
        ]

    def disks(self, guest, *, budget_s):
        self.calls.append(f"disks {guest.name}")
        if guest.name not in self.guests:
            raise DriverError("no such guest")
        return self.guests[guest.name]


class OneByOne(Discovering):
    capabilities = frozenset({Capability.DISKS})


def web(*more, **options):
    return service(guest(name="web", **options), *more)


def db(*more):
    return evolve(service(guest(name="db", service="db"), *more), name="db")


def users(services, driver, source):
    """Who else uses a disk of guest web."""
    found = usage_of(services, lambda _: driver).others(services[0].guests[0], disk(source))
    return None if found is None else [str(use) for use in found]


@pytest.mark.parametrize("driver", [Discovering, OneByOne])
def test_the_guest_of_another_service(driver):
    shared = {"web": [disk("/dev/a")], "db": [disk("/dev/b"), disk("/dev/a", "vdb")]}
    assert users([web(), db()], driver(**shared), "/dev/a") == ["vdb of db (container#1 of db)"]
    assert users([web(), db()], driver(**shared), "/dev/c") == []


def test_a_guest_of_no_service_and_one_query_for_all():
    driver = Discovering(web=[disk("/dev/a")], stray=[disk("/dev/a")], db=[disk("/dev/a")])
    assert users([web(), db()], driver, "/dev/a") == ["vda of db (container#1 of db)", "vda of stray"]
    assert driver.calls == ["discover"]


def test_another_guest_of_the_same_service():
    both = service(guest(1, name="web"), guest(2, name="two"))
    driver = Discovering(web=[disk("/dev/a")], two=[disk("/dev/a")])
    assert users([both], driver, "/dev/a") == ["vda of two (container#2 of web)"]


def test_a_disk_that_a_guest_has_twice_is_its_own():
    assert users([web()], Discovering(web=[disk("/dev/a"), disk("/dev/a", "vdb")]), "/dev/a") == []


def test_a_service_that_names_the_device_itself():
    other = db(
        resource("fs#1", service="db", dev="/dev/a", mnt="/srv"), resource("disk#1", service="db", devices=("/dev/a",))
    )
    own = web(resource("disk#1", devices=("/dev/a",)))
    assert users([own, other], Discovering(web=[disk("/dev/a")]), "/dev/a") == ["fs#1 of db on /srv", "disk#1 of db"]


def test_links_are_resolved(tmp_path):
    device, link = tmp_path / "sdb", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    driver = Discovering(web=[disk(str(device))], db=[disk(str(link))])
    assert users([web(), db()], driver, str(device)) == ["vda of db (container#1 of db)"]
    found = usage_of([web(), db()], lambda _: driver)
    assert found.backing(str(link)).path == str(device)
    assert found.backing("rbd://pool/image").path == "rbd://pool/image"


def test_paths_to_one_scsi_disk_are_one_disk(monkeypatch):
    wwids = {"/dev/sda": "naa.1", "/dev/mapper/mpatha": "naa.1", "/dev/sdb": "naa.2", "/dev/loop0": ""}
    monkeypatch.setattr(usage, "device_at", lambda name: BlockDevice(name=name, wwid=wwids[name]))
    driver = Discovering(web=[disk("/dev/sda"), disk("/dev/loop0")], db=[disk("/dev/mapper/mpatha"), disk("/dev/sdb")])
    assert users([web(), db()], driver, "/dev/sda") == ["vda of db (container#1 of db)"]
    assert users([web(), db()], driver, "/dev/loop0") == []
    assert usage_of([web()], lambda _: driver).backing("/dev/sda").wwid == "naa.1"


def test_a_drive_without_a_medium_is_shared_with_nobody():
    assert users([web(), db()], Discovering(web=[disk("")], db=[disk("")]), "") == []


def test_what_nobody_could_tell_is_not_known_and_not_nobody():
    driver = Discovering(web=[disk("/dev/a")])
    driver.guests = Undetermined("it hangs")
    driver.disks = lambda guest, *, budget_s: [disk("/dev/a")]
    assert users([web(), db()], driver, "/dev/a") is None
    (problem,) = usage_of([web()], lambda _: driver).problems
    assert (problem.severity.value, problem.message) == (
        "warning", "who else uses the disks is not known: fake: it hangs",
    )  # fmt: skip


@pytest.fixture
def hanging(monkeypatch):
    """Names below /mnt lead to a server that hangs."""
    look, waiting = usage._backing, FakeDriver()
    monkeypatch.setattr(usage, "_RESOLVE_S", 0.1)
    monkeypatch.setattr(usage, "_backing", lambda name: waiting.hang() if name.startswith("/mnt/") else look(name))
    yield
    waiting.close()


def test_a_name_that_hangs_keeps_no_other_from_being_looked_up(hanging, tmp_path, monkeypatch):
    monkeypatch.setattr(usage, "device_at", lambda name: BlockDevice(name=name, wwid="naa.1" if "dev" in name else ""))
    file, link = tmp_path / "disk.img", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    slow = [disk(f"/mnt/{number}", f"vd{number}") for number in range(3)]
    driver = Discovering(web=[*slow, disk("/dev/sda"), disk(str(file))], db=[disk("/dev/mapper/a"), disk(str(link))])
    found = usage_of([web(), db()], lambda _: driver)
    assert [use.guest for use in found.by_disk["naa.1"]] == ["db", "web"]
    assert found.backing(str(link)).path == str(file)
    assert [use.source for use in found.unresolved] == ["/mnt/0", "/mnt/1", "/mnt/2"]
    assert len(found.gaps) == 3
    assert "the file system of /mnt/0 did not answer" in found.gaps[0]
    assert found.others(web().guests[0], disk("/dev/sda")) is None


def test_a_driver_that_cannot_be_made_leaves_a_gap(monkeypatch):
    driver = Discovering(web=[disk("/dev/a")])

    def driver_of(guest):
        if guest.name == "db":
            raise DriverError("no driver for type fake is installed")
        return driver

    found = usage_of([web(), db()], driver_of)
    assert found.gaps == ("container#1 of db: no driver for type fake is installed",)
    assert [use.guest for use in found.by_disk["/dev/a"]] == ["web"]


def test_disks_on_another_machine_have_other_names_there():
    class Remote(type(guest())):
        is_local = False

    far = Remote(service="web", rid="container#1", kind="container", type="fake", name="web")
    driver = Discovering(db=[disk("/dev/a")])
    found = usage_of([service(far), db()], lambda _: driver)
    assert found.others(far, disk("/dev/a")) is None
    assert [use.guest for use in found.by_disk["/dev/a"]] == ["db"]


def test_a_guest_that_is_not_here_uses_nothing_here():
    assert users([web(), db()], Discovering(web=[disk("/dev/a")]), "/dev/a") == []
