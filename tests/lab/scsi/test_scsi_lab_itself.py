"""The SCSI lab's promises: a kernel that runs commands, real disks, and nothing left behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lab import LabError
from lab.fixtures import required
from lab.scsi.disks import Layout
from lab.scsi.initiator import DevicePath
from lab.scsi.keeper import Kept
from lab.scsi.kernel import Kernel
from lab.scsi.single import kernel_with_disks

TREE = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(180)
A, B = "0xa1a1000000000001", "0xb2b2000000000002"


@pytest.fixture(scope="module")
def kernel():
    with required(), kernel_with_disks(Layout(hosts=2, paths=2, disks=1, plain=True, debug=True)) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def devices(kernel):
    """The devices of disk 0, by host."""
    lines = kernel.run(["cat", "/run/scsi-lab"]).stdout.splitlines()
    paths = [DevicePath.parse(line) for line in lines[1:]]
    return {host: [path.device for path in paths if (path.host, path.disk) == (host, 0)] for host in "ab"}


def traces(directory):
    """What is left of a kernel: its directory, and processes of this machine whose command line mentions it."""
    found = [directory] if directory.exists() else []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [file] if str(directory).encode() in file.read_bytes() else []
    return found


def gone(directory, within_s=10):
    deadline = time.monotonic() + within_s
    while (left := traces(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left == [] or left


def test_commands_run_with_their_exit_codes_and_outputs(kernel):
    done = kernel.run(["sh", "-c", "seq 20000; printf 'caf\\303\\251' >&2; exit 3"])
    assert (done.returncode, done.stderr) == (3, "café")
    assert done.stdout.split() == [str(number) for number in range(1, 20001)]
    assert kernel.run(["sh", "-c", "kill -9 $$"]).returncode == -signal.SIGKILL
    assert kernel.run(["no-such-program"]).returncode == 127


def test_a_daemon_does_not_keep_a_command_from_ending(kernel):
    started = time.monotonic()
    assert kernel.run(["sh", "-c", "sleep 30 & echo left"]).stdout == "left\n"
    assert time.monotonic() - started < 10


def test_many_commands_at_once_and_short_ones(kernel):
    """Ends of commands and of their outputs come in any order, and together."""
    for _ in range(8):
        jobs = [kernel.start(["sh", "-c", f"echo {number}; echo {number} >&2"]) for number in range(10)]
        assert [job.wait().stdout for job in jobs] == [f"{number}\n" for number in range(10)]


def test_a_command_without_end_is_killed(kernel):
    with pytest.raises(LabError, match="no end after"):
        kernel.run(["sleep", "987"], timeout=0.5)
    deadline = time.monotonic() + 10
    while kernel.run(["pgrep", "-fx", "sleep 987"]).returncode == 0:
        assert time.monotonic() < deadline


def test_nothing_is_written_to_this_machine(kernel, tmp_path):
    assert kernel.run(["touch", tmp_path / "inside", "/etc/inside"]).returncode == 0
    assert not (tmp_path / "inside").exists()
    assert not Path("/etc/inside").exists()


def test_every_path_of_a_disk_is_the_same_disk_and_a_nexus_of_its_own(kernel, devices):
    assert len({*devices["a"], *devices["b"]}) == 4
    everything = [*devices["a"], *devices["b"]]
    names = {kernel.run(["cat", f"/sys/block/{Path(device).name}/device/wwid"]).stdout for device in everything}
    assert len(names) == 1
    for number, device in enumerate(everything):
        kernel.run(["sg_persist", "--out", "--register-ignore", f"--param-sark={number + 1:#x}", device]).check()
    full = kernel.run(["sg_persist", "--in", "--read-full-status", devices["a"][0]]).check().stdout
    assert len(re.findall("Key=", full)) == 4
    assert len(set(re.findall(r"port id: (\S+)", full))) == 4
    kernel.run(["sg_persist", "--out", "--clear", "--param-rk=1", devices["a"][0]]).check()


def test_a_preempted_host_cannot_write_any_more(kernel, devices):
    """Register, reserve, conflict, preempt and abort: with the real tool, without any code of vmsvc."""
    (a1, a2), (b1, b2) = devices["a"], devices["b"]
    script = f"""
        out() {{ sg_persist -n --out "$@"; }}
        again() {{ out "$@" || out "$@"; }}  # the first attempt may meet a unit attention
        write() {{ dd if=/dev/zero of=$1 bs=4096 count=1 oflag=direct status=none; }}
        set -e
        for path in {a1} {a2}; do again --register-ignore --param-sark={A} $path; done
        again --reserve --param-rk={A} --prout-type=5 {a1}
        write {a1}; write {a2}
        if write {b1}; then echo "b writes unregistered"; exit 1; fi
        for path in {b1} {b2}; do again --register-ignore --param-sark={B} $path; done
        if out --reserve --param-rk={B} --prout-type=5 {b1}; then echo "b reserves what a holds"; exit 1; fi
        again --preempt-abort --param-rk={B} --param-sark={A} --prout-type=5 {b1}
        write {b1}; write {b2}
        for path in {a1} {a2}; do
            if write $path; then echo "a writes after its preemption"; exit 1; fi
        done
        sg_persist --in --readonly --read-reservation {b2}
        again --clear --param-rk={B} {b1}
    """
    assert f"Key={B}" in kernel.run(["bash", "-c", script]).check().stdout


def test_disks_that_know_no_reservations(kernel):
    debug = "$(lsscsi | awk '/scsi_debug/ { print $NF }')"
    plain = "$(awk '$3 == 1 { print $4; exit }' /run/scsi-lab)"
    for device in (debug, plain):
        done = kernel.run(["sh", "-c", f"sg_persist --in -k {device}"])
        assert (done.returncode, "command not supported" in done.stderr) == (9, True)


@pytest.mark.parametrize("end", ["close", "frozen", "kernel killed", "keeper killed"])
def test_nothing_is_left(end):
    with required(), Kernel(memory_mib=128) as kernel:
        job = kernel.start(["sleep", "1000"])
        directory = kernel.directory
        assert len(traces(directory)) > 3
        if end == "frozen":
            kernel.freeze()
        elif end == "kernel killed":
            os.kill(kernel.pid, signal.SIGKILL)
        elif end == "keeper killed":
            os.kill(int(Path(f"/proc/{kernel.pid}/stat").read_text().split()[3]), signal.SIGKILL)
        if end not in {"close", "frozen"}:
            with pytest.raises(LabError, match="ended before it"):
                job.wait(20)
            assert not kernel.is_running
    assert gone(directory) is True


def test_whatever_is_kept_ends_when_its_time_is_up(tmp_path):
    kept = Kept(tmp_path, ["sleep", "1000"], budget_s=1)
    deadline = time.monotonic() + 20
    while not kept.has_ended:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert traces(tmp_path) == [tmp_path]  # its owner lives, and may want to read what it said
    kept.end()
    assert traces(tmp_path) == []


def test_nothing_is_left_when_the_owner_is_killed():
    script = """
        import time
        from lab.scsi.kernel import Kernel
        with Kernel(memory_mib=128) as kernel:
            print(kernel.directory, flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TREE) as owner:
        directory = Path(owner.stdout.readline().strip())
        assert len(traces(directory)) > 3
        owner.kill()
    assert gone(directory) is True


def test_a_frozen_kernel_does_nothing_until_it_thaws(kernel):
    job = kernel.start(["sh", "-c", "while :; do date +%s; sleep 0.1; done"])
    kernel.freeze()
    with pytest.raises(LabError, match="no end after 1 s"):
        kernel.run(["true"], timeout=1)
    kernel.thaw()
    kernel.run(["true"]).check()
    job.signal(signal.SIGTERM)
    assert job.wait().returncode == -signal.SIGTERM


def test_the_command_for_people():
    command = [sys.executable, "-m", "lab.scsi", "--hosts", "1", "--paths", "1", "--", "sh", "-c"]
    script = "grep -c '^a ' /run/scsi-lab; exit 7"
    done = subprocess.run([*command, script], cwd=TREE, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "1\n", "")
