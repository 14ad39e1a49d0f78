"""Stopped qemu processes, found among all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from vmsvc_kvm.processes import Qemu, qemus

UUID = "0d7c2e6a-1c5f-4b43-9d3d-7f1f6ad9b001"


def guest_of(pid):
    return next((each for each in qemus() if each.pid == pid), None)


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_stopped_process_with_a_uuid_is_found():
    argv = [sys.executable, "-c", "import time; time.sleep(60)", "-name", "guest=x", "-uuid", UUID.upper()]
    with subprocess.Popen(argv) as process:
        try:
            deadline = time.monotonic() + 5
            while guest_of(process.pid) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert guest_of(process.pid) == Qemu(pid=process.pid, uuid=UUID, name="x")
            os.kill(process.pid, signal.SIGSTOP)
            deadline = time.monotonic() + 5
            while state_of(process.pid) != "T" and time.monotonic() < deadline:
                time.sleep(0.01)

            assert guest_of(process.pid) == Qemu(pid=process.pid, uuid=UUID, name="x", stopped_by="SIGSTOP")
        finally:
            process.kill()


def test_what_cannot_be_read_changes_nothing(tmp_path):
    assert qemus(tmp_path / "none") == []
    (tmp_path / "12").mkdir()
    (tmp_path / "12/stat").write_text("12 (qemu) T) T 1")
    (tmp_path / "13").mkdir()
    (tmp_path / "13/stat").write_text("garbage")
    (tmp_path / "self").mkdir()
    assert qemus(tmp_path) == []

    (tmp_path / "12/cmdline").write_text(f"qemu\0-name\0guest=a,,b,debug-threads=on\0-uuid\0{UUID}\0-uuid")
    assert qemus(tmp_path) == [Qemu(pid=12, uuid=UUID, name="a,b", stopped_by="SIGSTOP")]


def test_living_guests_are_those_whose_process_is_no_zombie():
    argv = [sys.executable, "-c", "import time; time.sleep(60)", "-uuid", UUID]
    with subprocess.Popen(argv) as process:
        try:
            deadline = time.monotonic() + 5
            while guest_of(process.pid) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert guest_of(process.pid) is not None
        finally:
            process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert guest_of(process.pid) is None
