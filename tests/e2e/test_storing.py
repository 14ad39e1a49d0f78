"""push, diskupdate, and what the store shows: as people and scripts see it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time

import pytest

if not any(entry.name == "null" for entry in importlib.metadata.entry_points(group="vmsvc")):
    pytest.skip("vmsvc-null is not installed", allow_module_level=True)

from tests.e2e.node import Node
from tests.support import lay_plugin


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "root")


def without_times(text):
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "NOW", text)


def test_push_says_field_by_field_what_has_changed(node):
    path = node.add("web", "vcpus = 1", "disks = /dev/zero")
    first = node.run("push", "web")
    again = node.run("push", "web")
    node.run("start", "web")
    path.write_text(path.read_text().replace("vcpus = 1", "vcpus = 2").replace("nodes = n1", "nodes = n1 n2"))
    changed = node.run("push", "web")

    assert [done.returncode for done in (first, again, changed)] == [0, 0, 0]
    stored = "web: stored configuration, status, and facts of 1 guest at NOW"
    assert without_times(first.stdout) == f"{stored}; nothing was stored before\n"
    assert without_times(again.stdout) == f"{stored}; nothing has changed since NOW\n"
    assert without_times(changed.stdout).splitlines() == [
        f"{stored}; changed since NOW",
        "  service nodes: n1 → n1 n2",
        "  service container#1 vcpus: 1 → 2",
        "  status avail: down → up",
        "  status overall: down → up",
        "  status n1 avail: down → up",
        "  status n1 overall: down → up",
        "  status n1 container#1 status: down → up",
        "  status n1 container#1 state: stopped → running",
        "  container#1 sizes vcpus: 1 → 2",
        "  container#1 disks disk0 live: false → true",
    ]


def test_diskupdate_tells_of_disks_that_came_and_went(node):
    path = node.add("web", "disks = /dev/zero /dev/one")
    node.run("diskupdate", "web")
    path.write_text(path.read_text().replace("/dev/one", "/dev/two /dev/three"))
    code, answer = node.json("diskupdate", "web")
    path.write_text(path.read_text().replace(" /dev/two /dev/three", ""))
    less = node.run("diskupdate", "web")
    (record,) = answer["stored"]

    assert code == 0
    assert [(change["kind"], change["path"]) for change in record["changes"]] == [
        ("changed", ["container#1 disk1", "source"]),
        ("changed", ["container#1 disk1", "backing", "path"]),
        ("added", ["container#1 disk2"]),
    ]
    assert record["changes"][0]["before"] == "/dev/one"
    assert "  container#1 disk2: removed (rid container#1, guest web, target disk2, " in less.stdout


def test_diskupdate_tells_who_else_uses_a_disk(node, tmp_path):
    device, link = tmp_path / "sdb", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    node.add("web", f"disks = {device} /dev/one")
    node.run("diskupdate", "web")
    path = node.add("db", "name = db01", f"disks = {link}")
    path.write_text(path.read_text() + f"[fs#1]\ndev = {device}\nmnt = /srv\n")
    told = node.run("diskupdate", "web", "db")
    code, answer = node.json("diskupdate", "db")

    assert (told.returncode, code) == (0, 0)
    assert "  container#1 disk0 users disk0 of db01 (container#1 of db): added (" in told.stdout
    assert told.stdout.count("    also used by disk0 of db01 (container#1 of db)\n") == 1
    assert told.stdout.count("    also used by fs#1 of db on /srv\n") == 1
    assert told.stdout.count("    also used by disk0 of web (container#1 of web)\n") == 1
    (row,) = answer["stored"][0]["content"]
    assert (row["source"], row["backing"]) == (str(link), {"path": str(device), "wwid": ""})
    assert [(user["service"], user["rid"], user["target"]) for user in row["users"]] == [
        ("web", "container#1", "disk0")
    ]


def test_show_disks_asks_no_hypervisor(node):
    node.add("web", "disks = /dev/zero")
    nothing = node.run("show", "web", "--disks")
    node.run("diskupdate", "web")
    node.hypervisor.set("*", fail="observe")
    shown = node.run("show", "web", "--disks")

    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "`vmsvc diskupdate web` collects it" in nothing.stderr
    assert shown.returncode == 0
    assert without_times(shown.stdout).splitlines()[0] == "web  1 disk, as n1 found them at NOW"
    assert shown.stdout.rstrip().endswith("/dev/zero")


def test_history_tells_what_changed_when_the_newest_first(node):
    path = node.add("web", "disks = /dev/zero")
    for command in ("push", "diskupdate", "push", "push"):
        node.run(command, "web")
    path.write_text(path.read_text() + "comment = new\n")
    node.run("push", "web")
    shown = node.run("show", "web", "--history")
    code, answer = node.json("show", "web", "--history", "--limit", "2")

    assert without_times(shown.stdout).splitlines() == [
        "NOW  push on n1",
        "  service container#1 comment: none → new",
        "NOW  diskupdate on n1: the first that is known",
        "NOW  push on n1, and so until NOW: the first that is known",
    ]
    assert code == 0
    assert [record["topic"] for record in answer["history"]] == ["push", "disks"]


def test_history_since(node):
    node.add("web")
    node.run("push", "web")

    def found(since):
        return len(node.json("show", "web", "--history", "--since", since)[1]["history"])

    assert [found(since) for since in ("1h", "2026-01-01", "2026-01-01 10:00")] == [1, 1, 1]
    time.sleep(0.1)
    assert found("0.05s") == 0
    assert found("2999-01-01") == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("show web --history --since yesterday", "'yesterday' is no time"),
        ("show web --history --limit 0", "is not a number from 1 upwards"),
        ("show web --limit 3", "are about the history"),
        ("show web --history --disks", "not allowed with argument"),
        ("show wbe --history", "there is no service 'wbe'"),
    ],
)
def test_mistakes(node, words, told):
    node.add("web")
    done = node.run(*words.split())
    assert done.returncode == 2
    assert told in done.stderr


def test_the_history_of_a_service_that_is_no_more(node):
    path = node.add("web")
    node.run("push", "web")
    path.unlink()
    assert "the first that is known" in node.run("show", "web", "--history").stdout


@pytest.fixture
def plugin(node, tmp_path):
    def lay(code):
        lay_plugin(tmp_path / "plugins", "tellers", textwrap.dedent(code))
        node.environment["PYTHONPATH"] = str(tmp_path / "plugins")

    return lay


def test_publishers_hear_of_push_and_of_diskupdate(node, plugin, tmp_path):
    plugin(f"""
        from pathlib import Path
        from vmsvc.driver import hookimpl

        class Teller:
            name = "a teller"

            def publish(self, publication, *, budget_s):
                with Path({str(tmp_path / "heard")!r}).open("a") as file:
                    file.write(f"{{publication.service}} {{publication.topic}} {{publication.document['schema']}}\\n")

        @hookimpl
        def vmsvc_publishers(node):
            return [Teller()]
    """)
    node.add("web")
    node.run("push", "web")
    node.run("diskupdate", "web")
    assert (tmp_path / "heard").read_text().splitlines() == [
        "web push vmsvc.snapshot/1",
        "web disks vmsvc.snapshot/1",
    ]


def test_a_publisher_that_fails_or_hangs_is_told_and_costs_nothing_else(node, plugin):
    plugin("""
        import time
        from vmsvc.driver import hookimpl

        class Failing:
            name = "one that fails"
            def publish(self, publication, *, budget_s):
                raise OSError("nobody is there")

        class Hanging:
            name = "one that hangs"
            def publish(self, publication, *, budget_s):
                time.sleep(60)

        @hookimpl
        def vmsvc_publishers(node):
            return [Failing(), Hanging()]
    """)
    node.add("web")
    began = time.monotonic()
    code, answer = node.json("push", "web")
    text = node.run("push", "web")

    assert time.monotonic() - began < 25
    assert (code, text.returncode) == (0, 0)
    assert answer["stored"][0]["stored"] is True
    assert [problem["severity"] for problem in answer["stored"][0]["problems"]] == ["warning", "warning"]
    assert (
        "warning: web: web was not published by the publisher one that fails: OSError: nobody is there" in text.stderr
    )
    assert "the publisher one that hangs did not answer within 5.0 s" in text.stderr


@pytest.fixture
def small_disk(node):
    """The node's state on a file system of 256 KiB."""
    state = node.root / "var/lib/vmsvc"
    state.mkdir(parents=True)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system of its own needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", state]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    yield state
    subprocess.run(["umount", state], check=True)


def test_a_full_disk_is_told_and_loses_no_history(node, small_disk):
    path = node.add("web", "disks = /dev/zero")
    node.run("push", "web")
    node.run("diskupdate", "web")
    before = node.run("show", "web", "--history").stdout
    filler = small_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, capture_output=True)
    path.write_text(path.read_text().replace("/dev/zero", "/dev/zero /dev/one") + f"comment = {'x' * 20000}\n")
    pushed = node.run("push", "web")
    code, disks = node.json("diskupdate", "web")

    assert pushed.returncode == 1
    assert "error: web: the store cannot be used: database or disk is full: " in pushed.stderr
    assert "make room" in pushed.stderr
    assert "web: collected configuration, status" in pushed.stdout
    assert "service container#1 disks: /dev/zero → /dev/zero /dev/one" in pushed.stdout
    assert (code, disks["stored"][0]["stored"]) in ((1, False), (0, True))  # a small record may find a free page
    if code:
        assert node.run("show", "web", "--history").stdout == before
    filler.unlink()
    assert node.run("push", "web").returncode == 0
    assert before.splitlines()[-1] in node.run("show", "web", "--history").stdout


def test_a_store_that_is_broken_never_keeps_a_service_from_starting(node):
    node.add("web")
    (node.root / "var/lib/vmsvc").mkdir(parents=True)
    (node.root / "var/lib/vmsvc/store.sqlite").write_text("hello" * 500)
    assert node.run("push", "web").returncode == 1
    assert node.run("start", "web").returncode == 0
    assert node.run("stop", "web").returncode == 0


KILLED = """
import os, signal, sqlite3, sys

connect, left = sqlite3.connect, int(sys.argv[1])

def dying(*words, **more):
    database = connect(*words, **more)
    def before(statement):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    database.set_trace_callback(before)
    return database

sqlite3.connect = dying
from vmsvc.cli import main
sys.exit(main(["push", "web"]))
"""


def test_kill_9_at_each_statement_of_push_loses_no_history(node):
    path = node.add("web")
    node.run("push", "web")
    path.write_text(path.read_text() + "comment = new\n")
    for number in range(1, 40):
        done = node.run(program=(sys.executable, "-c", KILLED, str(number)))
        history = node.run("show", "web", "--history").stdout.splitlines()
        assert history[-1].endswith("the first that is known")
        if done.returncode == 0:
            break
        assert done.returncode == -9
        assert len(history) == 1
    assert number > 5
    assert len(history) == 3
