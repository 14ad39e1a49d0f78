"""Disks that the kernel takes for empty."""

import os
import threading
import time

import pytest

from vmsvc.core.vmdg.tools.capacity import restore_capacity


@pytest.fixture
def add(tmp_path):
    """A block device in a /sys of our own."""

    def add(name, size, *, rescan=True):
        (tmp_path / "class/block" / name / "device").mkdir(parents=True)
        (tmp_path / "class/block" / name / "size").write_text(f"{size}\n")
        if rescan:
            (tmp_path / "class/block" / name / "device/rescan").write_text("")
        return tmp_path / "class/block" / name

    return add


def test_only_disks_that_are_taken_for_empty_are_asked_again(tmp_path, add):
    whole, empty = add("sda", 65536), add("sdb", 0)

    assert restore_capacity(["/dev/sda", "/dev/sdb"], sys=tmp_path) == ("/dev/sdb",)
    assert [(each / "device/rescan").read_text() for each in (whole, empty)] == ["", "1"]


def test_a_disk_that_has_gone_or_knows_no_rescan_is_no_trouble(tmp_path, add):
    add("sda", 0, rescan=False)
    (tmp_path / "class/block/sda/device").rmdir()

    assert restore_capacity(["/dev/sda", "/dev/sdb"], sys=tmp_path) == ("/dev/sda",)


def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path, add):
    device = add("sda", 0, rescan=False)
    os.mkfifo(device / "device/rescan")  # opening it blocks until somebody reads
    began = time.monotonic()

    assert restore_capacity(["/dev/sda"], sys=tmp_path, budget_s=0.2) == ("/dev/sda",)

    assert time.monotonic() - began < 5
    reader = threading.Thread(target=(device / "device/rescan").read_text)
    reader.start()  # so that the thread that was left behind can end
    reader.join(5)
