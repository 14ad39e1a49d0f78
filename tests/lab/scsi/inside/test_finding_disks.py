"""Which disks names stand for, on real devices, with several hosts in one kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.scsi.inside import sg_persist
from vmsvc.core.vmdg.seen import OtherDisk, ScsiDisk
from vmsvc.core.vmdg.tools import DiskFinder
from vmsvc.core.vmdg.tools.capacity import restore_capacity


@pytest.fixture
def find(scsi, tool):
    """The disk behind a name, as a host of the lab finds it."""

    def find(letter, name):
        # No host is needed where there is no multipath map.
        (disk,) = DiskFinder(None, scsi_hosts=[str(number) for number in scsi.scsi_hosts(letter)]).find([name])
        return disk

    return find


def test_each_host_finds_its_own_paths_whatever_path_is_named(scsi, find):
    name = scsi.devices("a")[1]
    a, b = find("a", name), find("b", name)

    assert sorted(a.paths) == sorted(scsi.devices("a"))
    assert sorted(b.paths) == sorted(scsi.devices("b"))
    assert sorted(map(int, b.hosts)) == scsi.scsi_hosts("b")
    assert a.wwid == b.wwid != find("a", scsi.devices("a", 1)[0]).wwid
    assert (a.vendor, a.readonly, a.map) == ("LIO-ORG", False, "")
    assert a.size_bytes == int(Path(f"/sys/block/{Path(a.paths[0]).name}/size").read_text()) * 512


def test_dead_paths_are_paths_and_deleted_ones_are_not(scsi, find):
    first, second = scsi.devices("a")
    with scsi.offline("a", 1):
        assert len(find("a", first).paths) == len(find("a", second).paths) == 2
    with scsi.gone("a", 1):
        assert find("a", second).paths == (second,)
        gone = find("a", first)
        assert isinstance(gone, OtherDisk)
        assert not gone.is_known
    assert len(find("a", second).paths) == 2


def test_a_disk_that_is_read_only_for_one_host_is_so_for_this_one_only(scsi, find):
    name = scsi.devices("a")[0]
    with scsi.readonly("a"):
        assert (find("a", name).readonly, find("b", name).readonly) == (True, False)
    assert not find("a", name).readonly


def test_disks_that_know_no_reservations_are_disks_until_they_are_asked(scsi, find):
    assert isinstance(find("a", scsi.devices("a", scsi.layout.disks)[0]), ScsiDisk)
    (model,) = [file for file in Path("/sys/block").glob("sd*/device/model") if "scsi_debug" in file.read_text()]
    (debug,) = DiskFinder(None).find([f"/dev/{model.parents[1].name}"])
    assert (debug.vendor, debug.product, len(debug.paths)) == ("Linux", "scsi_debug", 1)


def test_a_loop_device_is_a_file(find, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 16))
    subprocess.run(["modprobe", "loop"], check=True)
    loop = subprocess.check_output(["losetup", "--find", "--show", image], text=True).strip()
    try:
        assert find("a", loop) == OtherDisk(name=loop, why="a loop device, which is a file")
        assert find("a", str(image)) == OtherDisk(name=str(image), why="a file")
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def test_a_partition_is_not_the_disk(scsi, find):
    device = Path(scsi.devices("a", 3)[0])
    table = bytearray(512)  # one partition of type 83h: sectors 2048 to 4095
    table[446:462] = bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") * 2
    table[510:] = b"\x55\xaa"
    with device.open("r+b", buffering=0) as opened:
        empty = opened.read(512)
        opened.seek(0)
        opened.write(table)
    subprocess.run(["blockdev", "--rereadpt", device], check=True)
    try:
        assert find("a", f"{device}1").why.startswith(f"partition 1 of {device};")
        assert isinstance(find("a", str(device)), ScsiDisk)
    finally:
        with device.open("r+b", buffering=0) as opened:
            opened.write(empty)
        subprocess.run(["blockdev", "--rereadpt", device], check=True)


def test_a_disk_taken_for_empty_under_somebodys_exclusive_access_gets_its_capacity_back(scsi, find):
    """Whoever reads the partition table of a disk that another has for itself leaves it with a size of 0."""
    theirs, ours = scsi.devices("a")[0], scsi.devices("b")[0]
    whole = find("b", ours)
    sg_persist("-n", "--out", "--register-ignore", "--param-sark=0xa1", theirs)
    sg_persist("-n", "--out", "--reserve", "--param-rk=0xa1", "--prout-type=3", theirs)
    subprocess.run(["blockdev", "--rereadpt", ours], check=True)
    assert find("b", ours).size_bytes == 0
    assert restore_capacity([ours]) == (ours,)

    sg_persist("-n", "--out", "--register-ignore", "--param-sark=0xb2", ours)
    sg_persist("-n", "--out", "--preempt-abort", "--param-rk=0xb2", "--param-sark=0xa1", "--prout-type=5", ours)
    assert find("b", ours).size_bytes == 0  # though it is ours

    assert restore_capacity([ours]) == ()
    assert find("b", ours) == whole
