"""Services on a real libvirtd, from the command line: what people see when things go wrong."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab.guest import Disk
from tests.lab.shell import NODE, Shell, ok

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "root")


def timed(call, *arguments, **options):
    began = time.monotonic()
    result = call(*arguments, **options)
    return result, time.monotonic() - began


# --- libvirtd is not there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["kill", "pause"])
def test_a_dead_and_a_hung_libvirtd_are_unknown_and_never_down(shell, make_guest, private_libvirtd, trouble):
    guest = make_guest("web", on=private_libvirtd)
    shell.service("web", guest)
    shell.file("simulated", f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = null\n")
    shell.file("node-app", f"[DEFAULT]\nnodes = {NODE}\n[app#1]\ncheck = true\nstart = true\nstop = true\n")
    ok(shell.run("start", "web"))
    assert shell.statuses("web") == {"web": ("up", "running (booted)", "running (booted)")}

    getattr(private_libvirtd, trouble)()
    try:
        found, took = timed(shell.statuses, code=4)
        assert took < 10
        assert found["web"][0] == "unknown"
        assert "libvirt" in found["web"][2] or "qemu:///" in found["web"][2]
        assert found["simulated"][0] == "down"
        assert found["node-app"][0] == "up"

        _, others = timed(shell.statuses, "simulated", "node-app")
        assert others < 4

        for action in ("start", "stop", "restart"):
            refused, took = timed(shell.run, action, "web")
            assert (refused.returncode, took < 15) == (4, True), refused.stderr
            assert "unknown" in refused.stderr
        ok(shell.run("start", "simulated"))
    finally:
        if trouble == "pause":
            private_libvirtd.resume()
        else:
            private_libvirtd.start()
    assert shell.statuses("web")["web"][0] == "up"
    assert guest.pid is not None
    ok(shell.run("stop", "--kill", "web"))


def test_fifty_looks_from_one_program_at_a_hung_libvirtd(shell, make_guest, private_libvirtd):
    guest = make_guest("web", on=private_libvirtd)
    shell.service("web", guest)
    program = textwrap.dedent("""
        import threading, time, vmsvc
        began = time.monotonic()
        for _ in range(50):
            with vmsvc.Session() as session:
                assert session.status(session.load("web")).avail is vmsvc.Status.UNKNOWN
        print(threading.active_count(), time.monotonic() - began)
        ended = time.time()
        print(ended, flush=True)
    """)
    private_libvirtd.pause()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=shell.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        exited = time.time()
    finally:
        private_libvirtd.resume()
    threads, took, ended = done.stdout.split()
    assert int(threads) < 12
    assert float(took) < 30
    assert exited - float(ended) < 2


# --- guests in trouble ------------------------------------------------------------------------------------------------


def test_paused_by_somebody_is_warn_and_stops_in_its_budget(shell, make_guest):
    guest = make_guest("paused")
    shell.service("web", guest, "stop_timeout = 20", "kill_timeout = 20")
    ok(shell.run("start", "web"))
    guest.libvirtd.virsh("suspend", guest.uuid)

    assert shell.statuses("web")["web"][:2] == ("warn", "paused (user)")
    refused = shell.run("start", "web")
    assert refused.returncode == 3
    assert "paused (user)" in refused.stderr

    done, took = timed(shell.run, "stop", "web")
    ok(done)
    assert took < 20
    assert shell.statuses("web")["web"][:2] == ("down", "shut off (destroyed)")


def test_deaf_to_acpi_is_forced_after_its_budget(shell, make_guest):
    guest = make_guest("deaf", hang=True)
    shell.service("web", guest, "shutdown = acpi", "stop_timeout = 3", "kill_timeout = 20")
    ok(shell.run("start", "web"))
    guest.wait_ready()

    done, took = timed(shell.run, "stop", "web")

    assert "kill container#1" in ok(done)
    assert 3 <= took < 23
    assert shell.statuses("web")["web"][:2] == ("down", "shut off (destroyed)")


def test_a_stopped_qemu_is_told_and_forced(shell, make_guest):
    guest = make_guest("stuck")
    other = make_guest("other")
    shell.service("web", guest, "stop_timeout = 60", "kill_timeout = 30")
    shell.service("other", other)
    ok(shell.run("start", "web", "other"))
    os.kill(guest.pid, signal.SIGSTOP)

    found = shell.statuses()
    assert found["web"][0] == "warn"
    assert "SIGSTOP" in found["web"][1]
    assert found["other"][0] == "up"

    done, took = timed(shell.run, "stop", "web")
    ok(done)
    assert took < 40  # libvirt itself takes ten seconds; the budget for asking is not spent
    assert shell.statuses("web")["web"][0] == "down"
    ok(shell.run("stop", "--kill", "other"))


def test_destroyed_while_its_start_waits(shell, make_guest):
    """A guest that is paused as soon as it runs keeps its start waiting; then it is destroyed."""
    guest = make_guest("doomed")
    shell.service("web", guest, "start_timeout = 60")
    program = textwrap.dedent(f"""
        import subprocess, threading, time, vmsvc
        from vmsvc_kvm import KvmDriver

        def virsh(verb):
            subprocess.run(["virsh", "-c", {guest.libvirtd.uri!r}, "-q", verb, {guest.uuid!r}], check=True)

        really_start = KvmDriver.start

        def start_and_meddle(self, resource, *, budget_s):
            really_start(self, resource, budget_s=budget_s)
            virsh("suspend")
            threading.Timer(2, virsh, ["destroy"]).start()

        KvmDriver.start = start_and_meddle
        with vmsvc.Session() as session:
            began = time.monotonic()
            try:
                session.start(session.load("web"))
            except vmsvc.ActionFailed as error:
                print(round(time.monotonic() - began, 1), error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], env=shell.environment, capture_output=True, text=True, timeout=60, check=True
    )
    took, _, words = done.stdout.partition(" ")
    assert float(took) < 10
    assert "went down while its start waited" in words
    assert "shut off (destroyed)" in words
    assert shell.statuses("web")["web"][0] == "down"


def test_odd_names_and_names_that_begin_alike(shell, make_guest):
    odd = make_guest("a & <b> \"c\" 'd' $(x)")
    short, long = make_guest("web"), make_guest("web1")
    shell.service("odd", odd)
    shell.service("web", short)
    shell.service("web1", long)
    ok(shell.run("start", "odd", "web1"))

    found = shell.statuses()
    assert {name: status for name, (status, *_) in found.items()} == {"odd": "up", "web": "down", "web1": "up"}
    assert (odd.state, short.state, long.state) == ("running", "shut off", "running")

    ok(shell.run("stop", "--kill", "odd", "web1"))
    assert (odd.state, short.state, long.state) == ("shut off", "shut off", "shut off")


def test_an_absent_guest_is_down_and_its_start_says_what_to_do(shell, make_guest):
    guest = make_guest("gone")
    shell.service("web", guest)
    ok(shell.run("push", "web"))
    stored = shell.root / "var/lib/vmsvc/definitions/web/container#1"
    assert stored.stat().st_mode & 0o077 == 0
    guest.remove()

    assert shell.statuses("web")["web"][:2] == ("down", "absent")
    ok(shell.run("start", "web"))  # from the stored definition
    assert guest.state == "running"
    guest.remove()

    stored.unlink()
    failed = shell.run("start", "web")
    assert failed.returncode == 1
    assert "vmsvc push web" in failed.stderr


def test_disks_are_stored(shell, make_guest, tmp_path):
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    guest = make_guest("disky", disks=[image])
    shell.service("web", guest)
    document = shell.json("diskupdate", "web")
    (row,) = document["stored"][0]["content"]
    assert (row["source"], row["size_bytes"], row["kind"]) == (str(image), 1 << 20, "file")


# --- vmsvc itself is killed -------------------------------------------------------------------------------------------

KILLER = """
import os, signal, sys
from vmsvc import hookimpl

def _count():
    path = os.environ["KILL_COUNTER"]
    with open(path, "a+") as file:
        file.write("x")
    if os.path.getsize(path) == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)

@hookimpl
def vmsvc_before_step(step, service):
    _count()

@hookimpl
def vmsvc_after_step(step, service, error):
    _count()
"""


@pytest.fixture
def killer(tmp_path):
    """A plugin that kills its process at a given call."""
    site = tmp_path / "site"
    info = site / "vmsvc_killer-1.dist-info"
    info.mkdir(parents=True)
    (site / "vmsvc_killer.py").write_text(KILLER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vmsvc-killer\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[vmsvc]\nkiller = vmsvc_killer\n")
    return site


@pytest.mark.parametrize(
    ("action", "before", "after"), [("start", "shut off", "running"), ("stop", "running", "shut off")]
)
def test_killed_at_each_step_a_second_run_converges(shell, make_guest, killer, tmp_path, action, before, after):
    guest = make_guest("web", slow_shutdown=1)
    shell.service("web", guest, "shutdown = acpi")
    counter = tmp_path / "counter"
    plain = dict(shell.environment)
    for step in range(1, 20):
        if before == "running":
            ok(shell.run("start", "web"))
            guest.wait_ready()
        counter.unlink(missing_ok=True)
        shell.environment.update(PYTHONPATH=str(killer), KILL_AT=str(step), KILL_COUNTER=str(counter))
        done = shell.run(action, "web")
        shell.environment = dict(plain)
        was_killed = done.returncode == -signal.SIGKILL
        if was_killed:
            assert "cut short" in ok(shell.run("print", "status", "web"))
        pid = guest.pid
        ok(shell.run(action, "web"))
        assert guest.state == after
        if action == "start" and pid is not None:
            assert guest.pid == pid  # what had been started was not started again
        assert "cut short" not in ok(shell.run("print", "status", "web"))
        ok(shell.run("stop", "--kill", "web"))
        if not was_killed:
            break
    assert step == 3  # before and after the one step; then the action ended without a kill


def test_an_interrupt_takes_back_what_was_started(shell, make_guest):
    """Ctrl-C during a start with two guests, of which the second never comes up."""
    first, second = make_guest("first"), make_guest("second")
    shell.service("web", first, "start_timeout = 60")
    path = shell.root / "etc/vmsvc/services/web.conf"
    path.write_text(path.read_text() + "[container#2]\ntype = null\nstart_delay = 50s\n")
    process = shell.popen("start", "web")
    deadline = time.monotonic() + 30
    while first.state != "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert b"rolled back" in err
    assert first.state == "shut off"
    assert second.state == "shut off"


def test_the_console_shows_a_kernel(shell, make_guest):
    guest = make_guest("kernel")
    shell.service("web", guest)
    ok(shell.run("start", "web"))
    assert "Linux version" in guest.wait_console("Linux version")
    ok(shell.run("stop", "--kill", "web"))


def test_saved_xml_keeps_what_the_guest_is(shell, make_guest):
    guest = make_guest("kept")
    shell.service("web", guest)
    ok(shell.run("push", "web"))
    stored = ET.fromstring((shell.root / "var/lib/vmsvc/definitions/web/container#1").read_text())
    assert (stored.findtext("name"), stored.findtext("uuid")) == ("kept", guest.uuid)


# --- disks that are to be reserved ------------------------------------------------------------------------------------


@pytest.fixture
def loop_device(tmp_path):
    """A block device of this machine that passes no reservations on."""
    image = tmp_path / "loop.img"
    image.write_bytes(bytes(1 << 20))
    device = subprocess.run(
        ["losetup", "--find", "--show", image], capture_output=True, text=True, check=True
    ).stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


def disk_rows(shell, name, code):
    (group,) = shell.json("disks", name, code=code)["resources"]
    assert group["disks"] == []
    return {each["target"]: (each["name"], each["status"], each["why"]) for each in group["others"]}


def test_the_disks_of_a_guests_definition_are_told_apart(shell, make_guest, tmp_path, loop_device):
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    guest = make_guest("web", disks=[image, Disk(Path(loop_device), block=True)])
    shell.service("web", guest, "[vmdg]", "scsireserv = true")
    ok(shell.run("validate", "web"))
    rows = disk_rows(shell, "web", code=0)
    assert rows["vda"] == (str(image), "n/a", "a file")
    assert rows["vdb"][:2] == (loop_device, "n/a")
    assert "loop device" in rows["vdb"][2]
    ok(shell.run("start", "web"))
    assert shell.statuses("web")["web"][0] == "up"
    ok(shell.run("stop", "web"))


def test_no_guest_runs_on_a_disk_that_nobody_can_see(shell, make_guest):
    gone = "/dev/disk/by-id/wwn-0x5000000000000001"
    guest = make_guest("web", disks=[Disk(Path(gone), block=True)])
    shell.service("web", guest, "[vmdg]", "scsireserv = true")
    assert disk_rows(shell, "web", code=4)["vda"][:2] == (gone, "unknown")
    refused = shell.run("start", "web")
    assert refused.returncode == 4
    assert gone in refused.stderr
    assert guest.libvirtd.virsh("domstate", "web").strip() == "shut off"


def test_a_node_without_the_guest_knows_its_disks_from_the_definition_that_it_keeps(shell, make_guest):
    gone = "/dev/disk/by-id/wwn-0x5000000000000001"
    guest = make_guest("web", disks=[Disk(Path(gone), block=True)])
    shell.service("web", guest, "[vmdg]", "scsireserv = true")
    shell.run("push", "web")
    guest.libvirtd.virsh("undefine", "web")
    assert disk_rows(shell, "web", code=4)["vda"][:2] == (gone, "unknown")
    assert shell.run("start", "web").returncode == 4
    assert "web" not in guest.libvirtd.virsh("list", "--all", "--name").split()


def test_two_services_whose_guests_have_one_disk(shell, make_guest):
    shared = Disk(Path("/dev/disk/by-id/wwn-0x5000000000000001"), block=True)
    for name in ("web", "db"):
        shell.service(name, make_guest(name, disks=[shared]), "[vmdg]", "scsireserv = true")
    done = shell.run("validate")
    assert done.returncode == 2
    assert "is a disk of [vmdg] of db" in done.stdout
    assert "is a disk of [vmdg] of web" in done.stdout
