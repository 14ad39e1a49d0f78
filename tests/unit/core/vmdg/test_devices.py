"""From names to disks with paths: on a recorded /sys, on made ones, and on this machine's own files."""

import json
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.core.vmdg.recordings import DIRECTORY, FakeHost, outcome, recorded, replaying
from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.vmdg.quirks import NONE, Quirks
from vmsvc.core.vmdg.seen import OtherDisk, ScsiDisk
from vmsvc.core.vmdg.tools.classify import BlockDevice, Circumstances, Node, classify, without_looking
from vmsvc.core.vmdg.tools.devices import DiskFinder, System, device_at, node_at

NAA = "naa.60014055ca1ab{:02}00004000800000000"
ALL = ("0", "1", "2", "3")


def find_disks(names, *, host, **more):
    return DiskFinder(host, **more).find(names)


def nothing_to_run():
    return FakeHost(lambda argv: pytest.fail(f"{argv} was run"))


def multipathd():
    return replaying("mpathpersist-0.9.4/show-config-local")


@pytest.fixture(scope="module")
def recorded_system(tmp_path_factory):
    """A copy of a real /sys."""
    top = tmp_path_factory.mktemp("machine")
    machine = json.loads((DIRECTORY / "sysfs.json").read_text())
    for path, content in machine["sys"].items():
        file = top / path.lstrip("/")
        if isinstance(content, dict) and "directory" in content:
            file.mkdir(parents=True, exist_ok=True)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            file.write_text(content)
        elif "link" in content:
            file.symlink_to(content["link"])
    names = machine["names"]

    def number_of(path):
        if path.startswith("/dev/") and path not in names:
            raise FileNotFoundError(2, "No such file or directory")
        return names.get(path)

    return System(sys=top / "sys", number_of=number_of)


@pytest.fixture
def find(recorded_system):
    def find(*names, host=None, **more):
        return find_disks(names, host=host or multipathd(), system=recorded_system, **more)

    return find


class TestRealMachine:
    def test_a_map_is_found_with_all_paths_and_asks_multipathd_once_for_all(self, find):
        host = multipathd()

        first, third = find("/dev/mapper/mpatha", "/dev/mapper/mpathb", host=host)

        assert first == ScsiDisk(
            name="/dev/mapper/mpatha",
            wwid=NAA.format("00"),
            paths=first.paths,
            hosts=first.hosts,
            map="/dev/mapper/mpatha",
            is_managed=True,
            vendor="LIO-ORG",
            product="FILEIO",
            size_bytes=32 << 20,
        )
        assert len(first.paths) == 4
        assert sorted(first.hosts) == sorted(ALL)
        assert third.wwid == NAA.format("02")
        assert host.ran == [["multipathd", "show", "config", "local"]]

    @pytest.mark.parametrize(
        "name",
        [
            "/dev/dm-0",
            "/dev/disk/by-id/dm-name-mpatha",
            "/dev/disk/by-id/scsi-360014055ca1ab0000004000800000000",
            "/dev/disk/by-id/scsi-SLIO-ORG_FILEIO_5ca1ab00-0000-4000-8000-000000000000",  # a path, by an ID of udev's own
            "/dev/sda",
        ],
    )
    def test_a_map_and_each_of_its_paths_are_the_same_disk(self, find, name):
        (by_map,) = find("/dev/mapper/mpatha")
        (disk,) = find(name)

        assert evolve(disk, name=by_map.name) == by_map

    def test_what_the_kernel_tells_of_a_device_needs_no_command(self, recorded_system):
        path, by_map = (device_at(name, recorded_system) for name in ("/dev/sda", "/dev/mapper/mpatha"))

        assert path.wwid == by_map.wwid == NAA.format("00")
        assert (path.name, by_map.name, by_map.size_bytes) == ("sda", "dm-0", 32 << 20)
        assert [device_at(name, recorded_system).wwid for name in ("/dev/mapper/vg-lv", "/dev/loop0")] == ["", ""]
        assert device_at("/no/such/disk", recorded_system) is None

    def test_two_names_of_one_disk_are_one_disk_under_the_first(self, find):
        disks = find("/dev/sda", "/dev/mapper/mpatha", "/dev/dm-0", "/dev/sdl", "/dev/sda")

        assert [disk.name for disk in disks] == ["/dev/sda", "/dev/sdl"]

    def test_a_disk_is_found_by_its_world_wide_id_whatever_it_is_called_now(self, find, recorded_system):
        (by_map,) = find("/dev/mapper/mpatha")
        lost = "naa.6000000000000000"

        finder = DiskFinder(multipathd(), system=recorded_system)
        found = finder.find_units([(lost, "/dev/sdq"), (by_map.wwid, "/dev/sdx"), (by_map.wwid, "/dev/sdy")])

        assert (found[0].name, found[0].is_known) == (f"/dev/sdq ({lost})", False)
        assert [evolve(disk, name=by_map.name) for disk in found[1:]] == [by_map, by_map]
        assert found[2].name == f"/dev/sdy ({by_map.wwid})"
        assert finder.find_units([]) == ()

    def test_raw_paths_are_joined_without_a_map(self, find):
        (disk,) = find("/dev/sdl")

        assert len(disk.paths) == 4
        assert "/dev/sdl" in disk.paths
        assert (disk.map, disk.is_managed) == ("", False)

    def test_paths_of_other_nodes_hosts_are_never_ours(self, find):
        (disk,) = find("/dev/mapper/mpatha", scsi_hosts=["0", "host2"])
        (by_a_path_that_is_not_ours,) = find("/dev/sdl", scsi_hosts=["[01]"])

        assert sorted(disk.hosts) == ["0", "2"]
        assert len(disk.paths) == 2
        assert sorted(by_a_path_that_is_not_ours.hosts) == ["0", "1"]
        assert "/dev/sdl" not in by_a_path_that_is_not_ours.paths

    def test_a_disk_that_this_node_has_no_path_to_is_unknown(self, find):
        (disk,) = find("/dev/sda", scsi_hosts=["7", "8?"])

        assert not disk.is_known
        assert "7, 8?" in disk.why

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("/dev/sdl1", "partition 1 of /dev/sdl"),
            ("/dev/disk/by-id/scsi-360014055ca1ab0100004000800000000-part1", "partition 1 of /dev/sdl"),
            ("/dev/mapper/mpatha-part1", "a partition of a multipath map"),
            ("/dev/mapper/vg-lv", "a logical volume"),
            ("/dev/mapper/plain", "a device-mapper device"),
        ],
    )
    def test_what_is_only_a_part_of_a_disk_is_not_taken_for_the_disk(self, find, name, words):
        (disk,) = find(name)

        assert disk.is_known
        assert disk.why.startswith(words)
        assert "name the whole disk" in disk.why

    def test_other_kinds_are_told_apart(self, find):
        loop, ram = find("/dev/loop0", "/dev/ram0")

        assert (loop.why, loop.is_known) == ("a loop device, which is a file", True)
        assert (ram.why, ram.is_known) == ("a RAM disk", True)

    def test_a_disk_of_scsi_debug_is_a_disk_until_it_is_asked(self, find):
        (disk,) = find("/dev/sdm")

        assert (disk.wwid, disk.paths, disk.vendor, disk.product) == (
            "naa.3333333000002710",
            ("/dev/sdm",),
            "Linux",
            "scsi_debug",
        )

    def test_a_name_that_is_not_there_is_unknown(self, find):
        (disk,) = find("/dev/disk/by-id/wwn-0x1")

        assert disk == OtherDisk(
            name="/dev/disk/by-id/wwn-0x1", why="not to be found here (No such file or directory)", is_known=False
        )

    def test_a_multipathd_that_is_dead_silent_or_missing_keeps_no_registrations(self, find):
        for failure in (
            outcome(code=1, err="ux socket connect error"),
            Undetermined("n1: multipathd: did not end within 10.0 s, and was killed"),
            ActionFailed("n1: multipathd: cannot be started: there is no such command"),
        ):
            (disk,) = find("/dev/mapper/mpatha", host=replaying(failure))
            assert (disk.map, disk.is_managed) == ("/dev/mapper/mpatha", False)

    def test_quirks_travel_with_the_disk(self, find):
        row = Quirks(vendor="LIO-ORG", abort=False)

        assert find("/dev/sda", quirks=[row])[0].quirks == row
        assert find("/dev/sda")[0].quirks == NONE

    def test_multipathd_is_asked_once_however_often_disks_are_looked_for(self, recorded_system):
        host = multipathd()
        finder = DiskFinder(host, system=recorded_system)

        assert all(finder.find(["/dev/dm-0", f"/dev/sd{letter}"])[0].is_managed for letter in "abc")
        assert len(host.ran) == 1

    def test_files_and_urls_cost_no_look_at_devices_and_no_command(self, find, tmp_path):
        file = tmp_path / "disk.img"
        file.write_text("")

        disks = find(str(file), "rbd://mon1/pool/image", "", host=nothing_to_run())

        assert [disk.why for disk in disks] == ["a file", "a network disk (rbd)", "a drive without a medium"]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("nbd+unix:///export?socket=/run/s", "a network disk (nbd+unix)"),
            ("iscsi://portal/iqn.2003-01.org:t/1", "a network disk (iscsi)"),
            ("rbd:pool/image", "a network disk (rbd)"),
            ("0000:01:00.0/1", "a PCI device, which the guest drives itself"),
            ("", "a drive without a medium"),
        ],
    )
    def test_that_are_no_paths_are_told_apart(self, name, why):
        assert without_looking(name) == Node(why=why, is_shared="network" in why)

    def test_of_volumes_might_be_anything(self):
        assert without_looking("pool/volume").is_known is False

    def test_that_are_paths_must_be_looked_up(self):
        assert without_looking("/dev/sda") is None

    def test_lead_to_files_of_all_kinds(self, tmp_path):
        (tmp_path / "file").write_text("")
        os.mkfifo(tmp_path / "fifo")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "socket"))
        (tmp_path / "loop").symlink_to("loop")
        seen = {
            name: (node.why, node.is_known)
            for name in ("file", ".", "socket", "fifo", "loop", "none", "nu\0l", "file/below")
            for node in [node_at(str(tmp_path / name), System())]
        }

        assert seen["file"] == ("a file", True)
        assert seen["."] == ("a directory", True)
        assert seen["socket"] == ("a socket, behind which a program serves the disk", True)
        assert [name for name, (_, is_known) in seen.items() if not is_known] == [
            "fifo",
            "loop",
            "none",
            "nu\0l",
            "file/below",
        ]
        assert node_at("/dev/null", System()).is_known is False

    def test_of_devices_that_have_just_gone_are_unknown(self, tmp_path):
        system = System(sys=tmp_path, number_of=lambda _path: "8:0")

        (disk,) = find_disks(["/dev/sda"], host=nothing_to_run(), system=system)

        assert disk == OtherDisk(
            name="/dev/sda", why="gone: the kernel has no device with the number 8:0 any more", is_known=False
        )

    def test_on_a_file_system_that_hangs_do_not_hang_the_others(self, tmp_path):
        release = threading.Event()

        def number_of(path):
            if "nfs" in path:
                release.wait(30)

        try:
            began = time.monotonic()
            hangs, file = find_disks(
                ["/nfs/disk.img", str(tmp_path)],
                host=nothing_to_run(),
                system=System(number_of=number_of),
                budget_s=0.3,
            )
            assert time.monotonic() - began < 5
        finally:
            release.set()

        assert (hangs.is_known, file.why) == (False, "a directory")
        assert "did not answer" in hangs.why


def device(name="sda", lun="0", host="0", wwid="naa.1", **more):
    return BlockDevice(name=name, address=(host, "0", "0", lun), wwid=wwid, size_bytes=1 << 20, **more)


def classified(name, *devices, **circumstances):
    known = {device.name: device for device in devices}
    (disk,) = classify([(f"/dev/{name}", Node(device=name))], known, Circumstances(**circumstances))
    return disk


class TestClassifying:
    def test_two_logical_units_with_one_id_are_nobodys_disk(self):
        disk = classified("sda", device("sda", lun="0"), device("sdb", lun="1"))

        assert disk.is_known is False
        assert "sda is 0:0:0:0, sdb is 0:0:0:1" in disk.why

    def test_one_logical_unit_at_two_targets_is_one_disk(self):
        assert classified("sda", device("sda"), device("sdb", host="1", lun="4")).paths == ("/dev/sda", "/dev/sdb")

    @pytest.mark.parametrize("twin", [device("sdb", host="5", lun="1"), device("sdb", wwid="naa.2", lun="1")])
    def test_what_is_not_ours_or_another_disk_is_no_twin(self, twin):
        assert classified("sda", device("sda"), twin, scsi_hosts=("0",)).paths == ("/dev/sda",)

    def test_a_disk_without_an_id_is_unknown_since_its_other_paths_are(self):
        disk = classified("sda", device("sda", wwid=""), device("sdb", wwid=""))

        assert disk.is_known is False
        assert "/sys/block/sda/device/rescan" in disk.why

    def test_a_map_without_paths_is_unknown(self):
        above = BlockDevice(name="dm-0", dm_uuid="mpath-3600", dm_name="mpatha", slaves=())

        assert classified("dm-0", above).why == "a multipath map without any path left"

    def test_a_map_of_different_disks_is_unknown(self):
        above = BlockDevice(name="dm-0", dm_uuid="mpath-3600", dm_name="mpatha", slaves=("sda", "sdb"))

        disk = classified("dm-0", above, device("sda"), device("sdb", wwid="naa.2"))

        assert disk.is_known is False
        assert "sda: naa.1, sdb: naa.2" in disk.why

    def test_paths_beside_a_map_belong_to_it_and_come_in_the_order_of_their_letters(self):
        above = BlockDevice(name="dm-0", dm_uuid="mpath-3600", dm_name="mpatha", slaves=("sdb",))
        raw = [device(name, host=host) for name, host in (("sdaa", "1"), ("sdc", "2"))]

        disk = classified("sdaa", above, device("sdb", holders=("dm-0",)), *raw)

        assert disk.paths == ("/dev/sdb", "/dev/sdc", "/dev/sdaa")
        assert disk.hosts == ("0", "2", "1")
        assert disk.map == "/dev/mapper/mpatha"

    def test_whether_multipathd_keeps_a_map_is_asked_by_its_own_id(self):
        above = BlockDevice(name="dm-0", dm_uuid="mpath-3600", dm_name="mpatha", slaves=("sda",))
        asked = []

        def is_managed(name, wwid):
            asked.append((name, wwid))
            return True

        assert classified("dm-0", above, device("sda", holders=("dm-0",)), is_managed=is_managed).is_managed
        assert asked == [("mpatha", "3600")]

    def test_a_read_only_disk_is_told(self):
        assert classified("sda", device("sda", is_readonly=True)).readonly

    def test_that_a_disk_is_read_only_for_another_node_is_not_ours(self):
        theirs, ours = device("sda", is_readonly=True), device("sdb", host="1")

        assert not classified("sda", theirs, ours, scsi_hosts=("1",)).readonly

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("vda", "virtio-blk"),
            ("nvme0n1", "NVMe"),
            ("sr0", "CD or DVD"),
            ("md127", "software RAID"),
            ("xvda", "Xen"),
            ("nbd3", "NBD"),
            ("rbd0", "Ceph"),
            ("zram0", "RAM"),
            ("dm-4", "device-mapper"),
        ],
    )
    def test_kinds_that_cannot_be_reserved_say_what_they_are(self, name, words):
        disk = classified(name, BlockDevice(name=name))

        assert disk.is_known
        assert words in disk.why

    def test_a_partition_of_such_a_kind_says_the_same(self):
        assert "virtio-blk" in classified("vda1", BlockDevice(name="vda1", partition="1", whole="vda")).why

    def test_what_is_made_of_a_disk_of_an_array_is_in_reach_of_other_nodes(self):
        disks = (device("sda", vendor="LIO-ORG"), device("sdb", host="1", vendor="LIO-ORG"))
        above = BlockDevice(name="dm-0", dm_uuid="mpath-3600", dm_name="mpatha", slaves=("sda", "sdb"))
        volume = BlockDevice(name="dm-1", dm_uuid="LVM-x", slaves=("dm-0",))
        part = BlockDevice(name="sda1", partition="1", whole="sda")
        for name in ("dm-1", "sda1"):
            found = classified(name, *disks, above, volume, part)
            assert (found.is_known, found.is_shared, found.below) == (True, True, {"naa.1"})
        local = classified("sda1", device("sda", vendor="ATA"), part)
        assert (local.is_shared, local.below) == (False, frozenset())

    @pytest.mark.parametrize(("name", "is_shared"), [("nbd3", True), ("rbd0", True), ("vda", False), ("loop0", False)])
    def test_what_leads_over_a_network_is_in_reach_of_other_nodes(self, name, is_shared):
        assert classified(name, BlockDevice(name=name)).is_shared is is_shared

    def test_a_kind_that_nobody_knows_might_be_a_disk(self):
        assert classified("foo0", BlockDevice(name="foo0")).is_known is False


def test_every_block_device_of_this_machine_is_something():
    nodes = [Path("/dev", entry.name) for entry in sorted(Path("/sys/class/block").iterdir())]
    names = [str(node) for node in nodes if node.exists()]

    disks = find_disks(names, host=replaying(*[outcome(code=1)]))

    assert all(re.search(r"\w", disk.why if isinstance(disk, OtherDisk) else disk.wwid) for disk in disks)


def test_the_recorded_configuration_is_the_one_that_is_asked_for():
    assert recorded("mpathpersist-0.9.4/show-config-local").argv == ("multipathd", "show", "config", "local")
