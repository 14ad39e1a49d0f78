"""The lab's promises, which every other lab test rests on."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lab import LabError, guardian, vcsim
from lab.accel import probe
from lab.fixtures import required
from lab.libvirtd import PrivateLibvirtd

pytestmark = pytest.mark.timeout(120)


def traces(directory):
    """What is left of a private libvirtd: processes and mounts of any process that mention its directory."""
    text = str(directory).encode()
    found = [directory] if directory.exists() else []
    for process in Path("/proc").glob("[0-9]*"):
        found += [process / part for part in ("cmdline", "mountinfo") if text in read(process / part)]
    return found


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def gone(directory, within=10):
    deadline = time.monotonic() + within
    while (left := traces(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left == [] or left


def test_the_image_is_built_once(guest_image):
    from lab.image import build_image

    started = time.monotonic()
    assert build_image() == guest_image
    assert time.monotonic() - started < 2
    assert any(name.startswith("linux-image-") for name in guest_image.packages)


def test_a_killed_build_leaves_no_half_image(guest_image, tmp_path, monkeypatch):
    from lab import image

    def killed(work):
        (work / "result").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(image, "_build", killed)
    with pytest.raises(KeyboardInterrupt):
        image.build_image(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_guest_boots_and_the_power_button_ends_it(make_guest):
    guest = make_guest("boots")
    assert guest.state == "shut off"
    assert guest.pid is None
    guest.start()
    assert "GUEST READY boots" in guest.wait_ready()
    assert guest.wait_console("Linux version", timeout=0)
    assert guest.pid is not None
    guest.libvirtd.virsh("shutdown", "--mode", "acpi", guest.name)
    guest.wait_state("shut off", timeout=30)
    assert guest.pid is None


def test_the_agent_answers_and_shuts_down(make_guest):
    guest = make_guest("agent")
    guest.start()
    guest.wait_ready()
    ping = ("qemu-agent-command", guest.name, '{"execute":"guest-ping"}')
    deadline = time.monotonic() + 30  # libvirt hears a moment later than the guest that the agent is there
    while (answer := guest.libvirtd.virsh(*ping, check=False).strip()) != '{"return":{}}':
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    guest.libvirtd.virsh("shutdown", "--mode", "agent", guest.name)
    guest.wait_state("shut off", timeout=30)


def test_a_slow_guest_is_slow_and_a_hanging_one_ignores_requests(make_guest):
    slow, hanging = make_guest("slow", slow_shutdown=3), make_guest("hanging", hang=True)
    for guest in (slow, hanging):
        guest.start()
    for guest in (slow, hanging):
        guest.wait_ready()
    asked = time.monotonic()
    for guest in (slow, hanging):
        guest.libvirtd.virsh("shutdown", "--mode", "acpi", guest.name)
    slow.wait_console("GUEST SHUTS DOWN")
    hanging.wait_console("GUEST IGNORES SHUTDOWN")
    slow.wait_state("shut off", timeout=30)
    assert time.monotonic() - asked > 2
    assert hanging.state == "running"


def test_a_name_that_needs_escaping(make_guest):
    guest = make_guest('a & <b> "c"')
    guest.start()
    assert guest.name in guest.libvirtd.virsh("list", "--name")
    assert guest.pid is not None
    guest.wait_ready()


def test_a_guest_survives_its_killed_libvirtd(private_libvirtd, make_guest):
    guest = make_guest("survivor", on=private_libvirtd)
    guest.start()
    pid = guest.pid
    assert pid is not None
    private_libvirtd.kill()
    assert not private_libvirtd.running
    assert guest.pid == pid
    with pytest.raises(LabError, match="Failed to connect"):
        private_libvirtd.virsh("list")
    private_libvirtd.start()
    assert guest.state == "running"
    private_libvirtd.stop()
    private_libvirtd.start()
    assert guest.pid == pid


def test_a_paused_libvirtd_does_not_answer_and_goes_on(private_libvirtd):
    private_libvirtd.pause()
    with pytest.raises(LabError, match="no answer"):
        private_libvirtd.virsh("list", timeout=1)
    private_libvirtd.resume()
    private_libvirtd.virsh("list", timeout=20)


def test_several_beside_each_other_know_nothing_of_each_other(libvirtd, private_libvirtd, make_guest):
    mine, other = make_guest("same name", on=private_libvirtd), make_guest("same name")
    mine.start()
    assert (mine.state, other.state) == ("running", "shut off")


@pytest.mark.parametrize("end", ["close", "paused", "killed", "guardian killed"])
def test_nothing_is_left(end, make_guest):
    with PrivateLibvirtd() as libvirtd:
        guest = make_guest("left", on=libvirtd)
        guest.start()
        processes = libvirtd.processes()
        assert {libvirtd.pid, guest.pid} < set(processes)
        if end == "paused":
            libvirtd.pause()
        elif end == "killed":
            libvirtd.kill()
        elif end == "guardian killed":
            (pid,) = set(processes) - {libvirtd.pid, guest.pid}
            os.kill(pid, signal.SIGKILL)
    assert [pid for pid in processes if guardian.namespace_of(pid)] == []
    assert gone(libvirtd.directory) is True


def test_nothing_is_left_when_the_owner_is_killed():
    script = """
        import time
        from lab.domain import define_guest
        from lab.image import build_image
        from lab.libvirtd import PrivateLibvirtd
        with PrivateLibvirtd() as libvirtd:
            define_guest(libvirtd, build_image(), "orphan").start()
            print(libvirtd.directory, flush=True)
            time.sleep(60)
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as owner:
        directory = Path(owner.stdout.readline().strip())
        assert len(traces(directory)) > 3
        owner.kill()
    assert gone(directory) is True


def test_no_machine_with_xen_is_left_when_its_owner_is_killed():
    script = """
        import time
        from lab.xen.machine import PrivateXen
        PrivateXen._wait = lambda xen: print(xen.directory, flush=True) or time.sleep(60)
        with PrivateXen():
            pass
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as owner:
        directory = Path(owner.stdout.readline().strip())
        assert traces(directory) != [directory], "there is an emulated machine"
        owner.kill()
    deadline = time.monotonic() + 10
    while traces(directory) != [directory] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert traces(directory) == [directory], "the machine has ended; a file system that is left does no harm"
    shutil.rmtree(directory)


def test_the_machine_own_directories_are_not_touched(libvirtd):
    before = {path: path.stat().st_mtime_ns for path in (Path("/etc/libvirt"), Path("/run"), Path("/etc/passwd"))}
    with PrivateLibvirtd() as other:
        other.virsh("list")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_acceleration_probe_is_bounded_and_gives_a_reason(guest_image):
    started = time.monotonic()
    answer = probe(guest_image, patience=3)
    assert time.monotonic() - started < 10
    assert answer.domain_type in {"kvm", "qemu"}
    assert "kvm" in answer.reason
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"-accel\0kvm\0-m\x00128" in read(path)]
    assert left == []


def test_a_simulator_of_vsphere_ends_with_its_owner():
    with required():
        vcsim.build()
    code = """
        import os, signal
        from lab.vcsim import PrivateVcsim
        with PrivateVcsim() as simulator:
            print(simulator.pid, simulator.directory, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    pid, directory = done.stdout.split()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/exe").exists():
        assert time.monotonic() < deadline, "it goes on without anybody"
        time.sleep(0.05)
    shutil.rmtree(directory)
