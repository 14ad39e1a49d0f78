"""vmsvc on real containers of LXC, from the command line."""

import os
import re
import signal
import stat
import subprocess
import time

import pytest

from tests.lab.shell import NODE, Shell, ok

pytestmark = pytest.mark.timeout(180)

LAUNCHER = '#!/bin/sh\necho "$0 $1" >> /tmp/launched\n'


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "root")


def serve(shell, lxc, name, *lines, sections=""):
    text = f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = lxc\nlxcpath = {lxc.path}\n"
    shell.file(name, text + "".join(f"{line}\n" for line in lines) + sections)


def timed(call, *words, **options):
    began = time.monotonic()
    return call(*words, **options), time.monotonic() - began


def test_a_service_lives(shell, lxc):
    lxc.create("web 1", init="/sbin/init")
    serve(shell, lxc, "web", "name = web 1")
    assert shell.statuses()["web"] == ("down", "stopped", "STOPPED")
    ok(shell.run("start", "web"))
    assert shell.statuses()["web"][:2] == ("up", "running")
    first = lxc.init("web 1")
    ok(shell.run("start", "web"))
    assert lxc.init("web 1") == first, "what runs is not started anew"
    done, took = timed(shell.run, "stop", "web")
    ok(done)
    assert took > 2, "busybox's init takes two seconds for it: it was asked, and not killed"
    assert lxc.state("web 1") == "STOPPED"
    ok(shell.run("stop", "web"))
    ok(shell.run("start", "web"))
    ok(shell.run("stop", "--kill", "web"))
    assert lxc.state("web 1") == "STOPPED"


def test_a_container_outlives_whoever_has_started_it_and_all_of_its_process_group(shell, lxc):
    lxc.create("web")
    serve(shell, lxc, "web")
    starting = subprocess.Popen(
        ["sh", "-c", '"$@"; sleep 60', "sh", "python3", "-m", "vmsvc", "start", "web"],
        env=shell.environment, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while lxc.state("web") != "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(starting.pid, signal.SIGKILL)
    starting.wait()
    assert shell.statuses()["web"][0] == "up"
    os.kill(lxc.monitor("web"), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while shell.statuses()["web"][0] != "down":
        assert time.monotonic() < deadline, "LXC ends a container whose monitor has ended"


def test_a_deaf_container_is_killed_when_its_time_is_over(shell, lxc):
    lxc.create("deaf", "lxc.signal.halt = SIGCONT")
    serve(shell, lxc, "deaf", "stop_timeout = 1")
    ok(shell.run("start", "deaf"))
    done, took = timed(shell.run, "stop", "deaf")
    ok(done)
    assert 1 < took < 20
    assert lxc.state("deaf") == "STOPPED"


def test_a_frozen_container_is_warn_and_is_not_started_and_can_be_stopped(shell, lxc):
    lxc.create("web")
    lxc.tool("lxc-start", "web")
    lxc.tool("lxc-freeze", "web")
    serve(shell, lxc, "web")
    assert shell.statuses()["web"][:2] == ("warn", "frozen")
    refused = shell.run("start", "web")
    assert (refused.returncode, "frozen" in refused.stderr) == (3, True), refused.stderr
    ok(shell.run("stop", "web"))
    assert lxc.state("web") == "STOPPED"


def test_a_start_that_fails_says_why(shell, lxc):
    lxc.create("web", init="/nosuch")
    serve(shell, lxc, "web")
    failed = shell.run("start", "web")
    assert failed.returncode == 1
    assert 'Failed to exec "/nosuch"' in failed.stderr
    assert shell.statuses()["web"][0] == "down"


def test_push_adopt_autostart_and_a_start_where_the_config_is_lost(shell, lxc, tmp_path):
    disk = tmp_path / "disk"
    os.mknod(disk, stat.S_IFBLK | 0o600, os.makedev(7, 0))
    lines = (
        "lxc.start.auto = 1", "lxc.cgroup.memory.limit_in_bytes = 64M", "lxc.cgroup.cpuset.cpus = 0",
        f"lxc.mount.entry = {disk} data none ro,bind,create=file 0 0", "lxc.cgroup.devices.allow = b 7:1 rwm",
    )  # fmt: skip
    config = lxc.create("web", *lines)
    adopted = shell.run("adopt", "--set", f"container#1.lxcpath={lxc.path}")
    file = shell.root / "etc/vmsvc/services/web.conf"
    assert file.exists(), adopted.stderr + adopted.stdout
    assert "lxc.start.auto is 1" in adopted.stdout + adopted.stderr
    assert f"lxcpath = {lxc.path}" in file.read_text()
    assert "lxc.start.auto is 1" in ok(shell.run("status", "web"))

    facts = str(shell.json("push", "web"))
    assert "'vcpus': 1" in facts
    assert "'memory_mib': 64" in facts
    found = shell.json("diskupdate", "web")["stored"][0]["content"]
    named = [(each["target"], each["kind"], each["source"], each["readonly"]) for each in found]
    assert named[0] == ("/", "dir", str(lxc.rootfs), False)
    assert ("/data", "block", str(disk), True) in named
    assert named[-1] == ("/dev/block/7:1", "block", "/dev/block/7:1", False)

    config.unlink()
    config.parent.rmdir()
    assert shell.statuses()["web"][:2] == ("down", "absent")
    ok(shell.run("start", "web"))
    assert lxc.state("web") == "RUNNING"


def test_what_is_not_there_is_absent_and_what_cannot_be_read_is_unknown(shell, lxc):
    lxc.create("web")
    (lxc.path / "broken").mkdir()
    (lxc.path / "broken/config").write_text("lxc.nosuch = 1\n")
    for name in ("web", "we", "broken"):
        serve(shell, lxc, name)
    assert {name: found[0] for name, found in shell.statuses(code=4).items()} == {
        "web": "down", "we": "down", "broken": "unknown",
    }  # fmt: skip
    detail = shell.statuses("broken", code=4)["broken"][2]
    assert "Failed to load config for broken" in detail or "Failure to retrieve" in detail
    assert shell.run("start", "we").returncode == 1


def test_a_directory_that_is_not_there_or_may_not_be_read_is_unknown(shell, lxc, tmp_path):
    text = f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = lxc\nlxcpath = "
    shell.file("gone", f"{text}{tmp_path}/nosuch\n")
    detail = shell.statuses("gone", code=4)["gone"][2]
    assert "is no directory that can be read" in detail
    (tmp_path / "empty").mkdir()
    shell.file("gone", f"{text}{tmp_path}/empty\n")
    assert shell.statuses("gone")["gone"][:2] == ("down", "absent")


def test_one_monitor_that_hangs_leaves_the_others_known(shell, lxc):
    for name in ("hung", "web", "down"):
        lxc.create(name)
        serve(shell, lxc, name)
    for name in ("hung", "web"):
        lxc.tool("lxc-start", name)
    monitor = lxc.monitor("hung")
    os.kill(monitor, signal.SIGSTOP)
    try:
        found, took = timed(shell.statuses, code=4)
        assert {name: told[0] for name, told in found.items()} == {"hung": "unknown", "web": "up", "down": "down"}
        assert took < 12
        refused, took = timed(shell.run, "stop", "hung")
        assert (refused.returncode, took < 20) == (4, True), refused.stderr
        ok(shell.run("start", "down"))
    finally:
        os.kill(monitor, signal.SIGCONT)
    assert shell.statuses("hung")["hung"][0] == "up"


def test_without_lxc_s_commands_all_is_unknown(shell, lxc, tmp_path):
    lxc.create("web")
    serve(shell, lxc, "web")
    (tmp_path / "bin").mkdir()
    shell.environment["PATH"] = str(tmp_path / "bin")
    assert "no such" in shell.statuses("web", code=4)["web"][2]
    assert shell.run("start", "web").returncode == 4


def test_launchers_run_inside_by_lxc_attach_and_addresses_are_told(shell, lxc):
    launchers = lxc.rootfs / "svc.d"
    launchers.mkdir(exist_ok=True)
    (launchers / "launcher").write_text(LAUNCHER)
    (launchers / "launcher").chmod(0o755)
    lxc.create("web")
    app = "[app#1]\nstart = /svc.d/launcher start\nstop = /svc.d/launcher stop\ncheck = test -e /tmp/launched\n"
    (lxc.rootfs / "tmp/launched").unlink(missing_ok=True)
    serve(shell, lxc, "web", sections=app)
    ok(shell.run("start", "web"))
    assert (lxc.rootfs / "tmp/launched").read_text() == "/svc.d/launcher start\n"
    told = []
    for adapter in ("lo", "eth7"):
        address = f"[ip#1]\nipname = 127.0.0.1\nipdev = {adapter}\ncheck_ping = no\n"
        serve(shell, lxc, "web", sections=address)
        (service,) = shell.json("status", "web")["services"]
        seen = service["instances"][0]["resources"][1]
        told.append((seen["status"], seen["state"].partition("; ")[2]))
    assert told == [("up", "127.0.0.1/8 is on lo"), ("down", "127.0.0.1/8 is on lo and not on eth7")]


def test_the_status_of_a_hundred_containers_is_one_command(shell, lxc, tmp_path):
    for number in range(100):
        lxc.create(f"web{number}")
        serve(shell, lxc, f"web{number}")
    lxc.tool("lxc-start", "web7")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("lxc-ls", "lxc-info"):
        (tools / tool).write_text(f'#!/bin/sh\necho "$0" >> {tmp_path}/ran\nexec /usr/bin/{tool} "$@"\n')
        (tools / tool).chmod(0o755)
    shell.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    found = shell.statuses()
    assert {name for name, (avail, _, _) in found.items() if avail == "up"} == {"web7"}
    assert len(found) == 100
    assert re.findall(r"lxc-\w+", (tmp_path / "ran").read_text()) == ["lxc-ls"]
