"""The tool that vmsvc asks by, on real devices: what it reads is what the witness sees, and no trap is believed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from lab.scsi.inside import register, sg_persist
from vmsvc.core.vmdg.keys import LARGEST
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Act, Answer, Operation, ScsiDisk

A, B = 0xA1A1000000000001, 0xB2B2000000000002
IN_TWO = Quirks(full_status=False)


@pytest.fixture
def disk_of(nodes):
    """A disk as a node sees it."""
    return lambda name, number=0: next(node for node in nodes if node.name == name).disks(number)[0]


def do(tool, disk, act, key, *, path=0, **more):
    """Do something through a path; a unit attention is met by doing it again."""
    operation = Operation(act=act, path=disk.paths[path], key=key, **more)
    performed = tool.perform(disk, operation)
    return tool.perform(disk, operation) if performed.answer is Answer.ATTENTION else performed


def test_what_is_read_is_what_is_so(scsi, tool, disk_of):
    a, b = disk_of("a"), disk_of("b")
    empty = tool.read(a, a.paths[0])
    assert (empty.answer, empty.keys, empty.reservation, empty.calls) == (Answer.DONE, (), None, 1)
    for path in (0, 1):
        assert do(tool, a, Act.REGISTER, A, path=path).answer is Answer.DONE
    assert do(tool, b, Act.REGISTER, B).answer is Answer.DONE
    assert do(tool, a, Act.RESERVE, A, path=1).answer is Answer.DONE
    seen = scsi.look()
    assert (seen.keys, seen.holder) == ({"a": {A: 2}, "b": {B: 1}}, A)
    for disk in (a, b):
        for path in disk.paths:
            reading = tool.read(disk, path)
            assert (sorted(reading.keys), reading.reservation.key, reading.reservation.type) == ([A, A, B], A, 5)
            assert reading.generation == seen.generation
            assert [each.holds for each in reading.registrations].count(True) == 1
            assert len({each.nexus for each in reading.registrations}) == 3


@pytest.mark.parametrize("keys", [[0x12, 0x1200, 0x120000], [0x00000000000000FF, 0xFF00000000000000], [1, LARGEST]])
def test_keys_are_numbers_and_none_is_taken_for_another(scsi, tool, disk_of, keys):
    """Leading zeros, upper case, one a prefix of another, the largest."""
    a, b, c = (disk_of(host) for host in "abc")
    for disk, key in zip((a, b, c), keys, strict=False):
        assert do(tool, disk, Act.REGISTER, key).answer is Answer.DONE
    assert sorted(tool.read(c, c.paths[1]).keys) == sorted(keys)
    assert do(tool, a, Act.PREEMPT, keys[0], victim=keys[1]).answer is Answer.DONE
    assert sorted(tool.read(c, c.paths[1]).keys) == sorted({*keys} - {keys[1]})


def test_two_requests_tell_the_same_as_one(tool, disk_of):
    a, b = disk_of("a"), disk_of("b")
    for disk, key in ((a, A), (b, B)):
        assert do(tool, disk, Act.REGISTER, key).answer is Answer.DONE
    assert do(tool, a, Act.RESERVE, A).answer is Answer.DONE
    one, two = tool.read(b, b.paths[0]), tool.read(evolve(b, quirks=IN_TWO), b.paths[0])
    assert (two.answer, two.calls) == (Answer.DONE, 2)
    assert (two.keys, two.reservation, two.generation) == (one.keys, one.reservation, one.generation)


def test_registrations_are_to_survive_a_loss_of_power_and_unregistering_leaves_it_so(scsi, tool, disk_of):
    """The last registration or unregistration decides for all of a disk's registrations."""

    def survive():
        told = sg_persist("-n", "--in", "--readonly", "--report-capabilities", scsi.devices("c")[0]).stdout
        return "Persist Through Power Loss Active(PTPL_A): 1" in told

    a, b = disk_of("a"), disk_of("b")
    do(tool, a, Act.REGISTER, A)
    assert survive()
    do(tool, b, Act.REGISTER, B)
    assert do(tool, a, Act.UNREGISTER, A).answer is Answer.DONE
    assert survive()
    assert scsi.look().keys == {"b": {B: 1}}


def test_only_ones_own_key_is_unregistered(scsi, tool, disk_of):
    a, b = disk_of("a"), disk_of("b")
    do(tool, a, Act.REGISTER, A)
    do(tool, b, Act.REGISTER, B)
    assert do(tool, b, Act.UNREGISTER, A).answer is Answer.CONFLICT
    assert do(tool, b, Act.UNREGISTER, B).answer is Answer.DONE
    assert scsi.look().keys == {"a": {A: 1}}


def test_an_unregistration_that_is_late_does_nothing(scsi, tool, disk_of):
    a = disk_of("a")
    assert do(tool, a, Act.UNREGISTER, A).answer is Answer.CONFLICT
    assert do(tool, a, Act.RELEASE, A).answer in {Answer.NOT_READY, Answer.CONFLICT}
    assert scsi.look().keys == {}


def test_a_release_through_another_path_is_done_and_releases_nothing(scsi, tool, disk_of):
    a = disk_of("a")
    for path in (0, 1):
        do(tool, a, Act.REGISTER, A, path=path)
    do(tool, a, Act.RESERVE, A, path=0)
    assert do(tool, a, Act.RELEASE, A, path=1).answer is Answer.DONE
    assert scsi.look().holder == A


def test_attentions_are_told_and_not_swallowed(scsi, tool, disk_of):
    scsi.leave_attentions("a")
    a = disk_of("a")
    for path in a.paths:
        assert tool.read(a, path).answer is Answer.ATTENTION
        assert tool.read(a, path).answer is Answer.DONE
    scsi.leave_attentions("a")
    told = tool.perform(a, Operation(act=Act.REGISTER, path=a.paths[0], key=A))
    assert (told.answer, scsi.look().hosts) == (Answer.ATTENTION, set())
    assert "preempted" in told.detail.lower()


def test_a_dead_transport_is_no_disk_without_keys(scsi, tool, disk_of):
    """sg_persist 1.46 exits with 0, says that there are no keys, and registers, reserves and releases "successfully"."""
    a = disk_of("a")
    dead, alive = scsi.devices("a")
    do(tool, a, Act.REGISTER, A, path=a.paths.index(dead))
    with Path(dead).open("rb"), scsi.cut("a", 1):
        assert tool.read(a, dead).answer is Answer.GONE
        assert tool.read(evolve(a, quirks=IN_TWO), dead).answer is Answer.GONE
        for act in Act:
            assert do(tool, a, act, A, path=a.paths.index(dead), victim=B).answer is Answer.GONE, act
        assert tool.read(a, alive).keys == (A,)


def test_devices_that_cannot_be_asked(scsi, tool, disk_of):
    a = disk_of("a")
    one, two = scsi.devices("a")
    with scsi.offline("a", 1):
        assert tool.read(a, one).answer is Answer.GONE
    with scsi.gone("a", 2):
        assert tool.read(a, two).answer is Answer.GONE
    a = disk_of("a")
    with scsi.not_ready():
        assert tool.read(a, a.paths[0]).answer is Answer.NOT_READY
    plain = disk_of("a", scsi.layout.disks)
    assert tool.read(plain, plain.paths[0]).answer is Answer.UNSUPPORTED
    assert do(tool, plain, Act.REGISTER, A).answer is Answer.UNSUPPORTED


def test_a_disk_that_is_readonly_here_can_be_read_and_not_changed(scsi, tool, disk_of):
    b = disk_of("b")
    register(scsi.path("a").generic, A)
    with scsi.readonly("b"):
        assert tool.read(b, b.paths[0]).keys == (A,)
        assert do(tool, b, Act.REGISTER, B).answer is Answer.DENIED
    assert scsi.look().hosts == {"a"}


def test_what_is_no_scsi_device_is_known_as_such(tool, tmp_path):
    (tmp_path / "image").write_bytes(bytes(1 << 16))
    subprocess.run(["modprobe", "loop"], check=True)
    loop = subprocess.check_output(["losetup", "--find", "--show", tmp_path / "image"], text=True).strip()
    for device in (loop, "/dev/null", str(tmp_path / "image"), str(tmp_path)):
        assert tool.read(ScsiDisk(name="x", wwid="x", paths=(device,)), device).answer is Answer.FOREIGN
    subprocess.run(["losetup", "--detach", loop], check=True)


def test_a_hundred_registrants_are_all_read(scsi, tool, disk_of):
    """They do not fit into what READ FULL STATUS is asked for."""
    keys = [0xCC00 + number for number in range(100)]
    a = disk_of("a", 7)
    with scsi.crowd(keys, disk=7):
        do(tool, a, Act.REGISTER, A)
        do(tool, a, Act.RESERVE, A)
        reading = tool.read(a, a.paths[0])
        assert (sorted(reading.keys), reading.reservation.key) == ([*keys, A], A)
        assert do(tool, a, Act.PREEMPT, A, victim=keys[50]).answer is Answer.DONE
        assert sorted(tool.read(a, a.paths[0]).keys) == [*keys[:50], *keys[51:], A]
