"""The tools of vmdg against a real target: the records are what the witness sees, and no trap is walked into."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from lab.scsi.inside import sg_persist
from vmsvc.core.transport.local import LocalHost
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Act, Answer, Operation, OtherDisk, Reservation, ScsiDisk
from vmsvc.core.vmdg.tools import find_disks, new_tool

A, B, C = 0xA1A1_0000_0000_0001, 0x0B2B_0000_0000_0002, 0xFFFF_FFFF_FFFF_FFFF


@pytest.fixture(scope="module")
def node():
    host = LocalHost("n1")
    yield host
    host.close()


@pytest.fixture
def tool(node):
    return new_tool(node)


@pytest.fixture
def disk_of(scsi, node):
    """A disk as a host of the lab finds it."""

    def find(letter, disk=0, name=""):
        hosts = [str(number) for number in scsi.scsi_hosts(letter)]
        (found,) = find_disks([name or scsi.devices(letter, disk)[0]], host=node, scsi_hosts=hosts)
        return found

    return find


def do(tool, disk, act, key, path=0, **more):
    return tool.perform(disk, Operation(act=act, path=disk.paths[path], key=key, **more))


def read(tool, disk, path=0):
    """A reading; unit attentions that wait there are passed over."""
    reading = tool.read(disk, disk.paths[path])
    return tool.read(disk, disk.paths[path]) if reading.answer is Answer.ATTENTION else reading


def take(tool, disk, key):
    for path in range(len(disk.paths)):
        assert do(tool, disk, Act.REGISTER, key, path).answer is Answer.DONE
    assert do(tool, disk, Act.RESERVE, key).answer is Answer.DONE


@contextmanager
def dies_under_the_tool(scsi, letter, path=1):
    """The transport dies, and the device can still be opened for a moment, since somebody has it open."""
    with Path(scsi.path(letter, path).device).open("rb"), scsi.cut(letter, path):
        yield


def test_each_host_finds_its_own_paths_whatever_path_is_named(scsi, disk_of):
    of_a, of_b = disk_of("a"), disk_of("b")

    assert sorted(of_a.paths) == sorted(scsi.devices("a"))
    assert sorted(of_b.paths) == sorted(scsi.devices("b"))
    assert of_a.wwid == of_b.wwid
    assert disk_of("b", name=of_a.name).paths == of_b.paths
    assert disk_of("a", disk=1).wwid != of_a.wwid
    assert (of_a.vendor, of_a.product, of_a.readonly) == ("LIO-ORG", of_a.product, False)
    assert of_a.size_bytes == int(Path(f"/sys/block/{Path(of_a.paths[0]).name}/size").read_text()) * 512


def test_what_is_read_is_what_the_witness_sees(scsi, tool, disk_of):
    for letter, key in (("a", A), ("b", B), ("c", C)):
        for path in range(2):
            assert do(tool, disk_of(letter), Act.REGISTER, key, path).answer is Answer.DONE
    assert do(tool, disk_of("b"), Act.RESERVE, B, path=1).answer is Answer.DONE

    reading, seen = read(tool, disk_of("a")), scsi.look()

    assert (reading.answer, reading.calls) == (Answer.DONE, 1)
    assert sorted(reading.keys) == sorted([A, A, B, B, C, C]) == sorted(each.key for each in seen.registrants)
    assert reading.generation == seen.generation
    assert reading.reservation == Reservation(key=B, type=5)
    assert len({registration.nexus for registration in reading.registrations}) == 6
    assert [registration.key for registration in reading.registrations if registration.holds] == [B]


def test_two_requests_tell_the_same_as_one(tool, disk_of):
    disk = disk_of("a")
    take(tool, disk, A)

    one = read(tool, disk)
    two = read(tool, evolve(disk, quirks=Quirks(full_status=False)))

    assert (two.answer, two.calls) == (Answer.DONE, 2)
    assert (two.keys, two.reservation, two.generation) == (one.keys, one.reservation, one.generation)


def test_each_operation_does_what_it_says(scsi, tool, disk_of):
    a, b = disk_of("a"), disk_of("b")
    take(tool, a, A)
    assert do(tool, b, Act.REGISTER, B).answer is Answer.DONE
    assert do(tool, b, Act.RESERVE, B).answer is Answer.CONFLICT
    assert do(tool, b, Act.PREEMPT, B, victim=C).answer is Answer.CONFLICT  # nobody has that key

    assert do(tool, b, Act.PREEMPT, B, victim=A).answer is Answer.DONE

    assert (scsi.look().keys, scsi.look().holder) == ({"b": {B: 1}}, B)
    for path in range(2):
        attention = tool.read(a, a.paths[path])
        assert (attention.answer, attention.registrations) == (Answer.ATTENTION, ())
        assert "preempted" in attention.detail
        assert tool.read(a, a.paths[path]).keys == (B,)
    assert do(tool, a, Act.UNREGISTER, A).answer is Answer.CONFLICT  # it has no registration any more
    assert do(tool, b, Act.RELEASE, B).answer is Answer.DONE
    assert scsi.look().holder is None
    assert do(tool, b, Act.UNREGISTER, B).answer is Answer.DONE
    assert scsi.look().keys == {}


def test_an_operation_under_a_unit_attention_is_not_done_and_not_repeated(scsi, tool, disk_of):
    scsi.leave_attentions("a")

    assert do(tool, disk_of("a"), Act.REGISTER, A).answer is Answer.ATTENTION
    assert scsi.look().keys == {}
    assert do(tool, disk_of("a"), Act.REGISTER, A).answer is Answer.DONE


def test_unregistering_a_key_that_is_not_ours_takes_nothing_away(scsi, tool, disk_of):
    take(tool, disk_of("a"), A)

    assert do(tool, disk_of("a"), Act.UNREGISTER, B).answer is Answer.CONFLICT
    assert scsi.look().keys == {"a": {A: 2}}


def test_a_release_through_another_path_says_done_and_does_nothing(scsi, tool, disk_of):
    take(tool, disk_of("a"), A)

    assert do(tool, disk_of("a"), Act.RELEASE, A, path=1).answer is Answer.DONE
    assert scsi.look().holder == A


def test_a_dead_transport_is_gone_whatever_is_asked(scsi, tool, disk_of):
    """sg_persist 1.46 exits with 0 for each of these, and shows a disk without keys."""
    a = disk_of("a")
    take(tool, a, A)
    dead = a.paths.index(scsi.path("a", 1).device)

    with dies_under_the_tool(scsi, "a"):
        answers = [tool.read(a, a.paths[dead]).answer]
        answers += [do(tool, a, act, A, path=dead, victim=B).answer for act in Act]
        two = tool.read(evolve(a, quirks=Quirks(full_status=False)), a.paths[dead])

    assert set(answers) == {Answer.GONE}
    assert (two.answer, two.registrations) == (Answer.GONE, ())
    assert (scsi.look().keys, scsi.look().holder) == ({"a": {A: 2}}, A)


def test_a_device_that_is_offline_or_deleted_is_gone_and_the_disk_is_found_by_its_other_path(scsi, tool, disk_of):
    a = disk_of("a")
    with scsi.offline("a", 1):
        assert tool.read(a, scsi.path("a", 1).device).answer is Answer.GONE
        assert len(disk_of("a").paths) == 2
    with scsi.gone("a", 1):
        gone = scsi.path("a", 1).device
        assert tool.read(a, gone).answer is Answer.GONE
        assert disk_of("a", name=scsi.path("a", 2).device).paths == (scsi.path("a", 2).device,)
        named = disk_of("a", name=gone)
        assert isinstance(named, OtherDisk)
        assert not named.is_known


def test_registrations_are_made_to_survive_a_loss_of_power_and_unregistering_leaves_it_so(scsi, tool, disk_of):
    def survive():
        shown = sg_persist("-n", "--in", "--readonly", "--report-capabilities", scsi.devices("c")[0]).stdout
        return "Persist Through Power Loss Active(PTPL_A): 1" in shown

    a, b = disk_of("a"), disk_of("b")
    do(tool, a, Act.REGISTER, A)
    assert survive()
    do(tool, b, Act.REGISTER, B)
    do(tool, a, Act.UNREGISTER, A)
    assert survive()
    assert scsi.look().keys == {"b": {B: 1}}


def test_a_hundred_registrants_are_all_read(scsi, tool, disk_of):
    keys = [0xCC00 + number for number in range(100)]
    with scsi.crowd(keys, disk=7):
        reading = read(tool, disk_of("a", disk=7))

    assert (reading.answer, sorted(reading.keys), reading.calls) == (Answer.DONE, keys, 3)


def test_devices_that_know_no_reservations_say_so(scsi, tool, disk_of, node):
    plain = disk_of("a", disk=scsi.layout.disks)
    names = [f"/dev/{file.parents[1].name}" for file in Path("/sys/block").glob("sd*/device/model")]
    disks = find_disks(names, host=node)
    (debug,) = [disk for disk in disks if isinstance(disk, ScsiDisk) and disk.product == "scsi_debug"]

    for disk in (plain, debug):
        assert tool.read(disk, disk.paths[0]).answer is Answer.UNSUPPORTED
        assert do(tool, disk, Act.REGISTER, A).answer is Answer.UNSUPPORTED


def test_a_read_only_disk_is_seen_as_such_and_can_be_read(scsi, tool, disk_of):
    with scsi.readonly("a"):
        disk = disk_of("a")
        assert disk.readonly
        assert read(tool, disk).answer is Answer.DONE
    assert not disk_of("a").readonly


def test_what_is_no_scsi_disk_is_foreign_to_the_tool_and_known_by_its_name(tool, node, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 20))
    subprocess.run(["modprobe", "loop"], check=True)
    loop = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True)
    device = loop.stdout.strip()
    try:
        names = [device, str(image), str(tmp_path)]
        disks = find_disks(names, host=node)
        assert [disk.why for disk in disks] == ["a loop device, which is a file", "a file", "a directory"]
        for name in names:
            pretended = ScsiDisk(name=name, wwid=name, paths=(name,))
            assert tool.read(pretended, name).answer is Answer.FOREIGN
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_reading_leaves_the_size_of_a_disk_alone_under_somebodys_exclusive_access(scsi, tool, disk_of):
    """A device that was open for writing is probed by udev; opened read-only, it is not."""
    a, b = disk_of("a"), disk_of("b")
    assert do(tool, a, Act.REGISTER, A).answer is Answer.DONE
    sg_persist("-n", "--out", "--reserve", f"--param-rk={A:#x}", "--prout-type=3", a.paths[0])

    assert read(tool, b).reservation == Reservation(key=A, type=3)
    assert disk_of("b").size_bytes == b.size_bytes
