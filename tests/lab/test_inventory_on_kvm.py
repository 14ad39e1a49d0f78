"""push and diskupdate on a real libvirtd: the difference is said, and neither kill -9 nor a full disk loses history."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import documents
from tests.e2e.test_documents import CALLS
from tests.lab.shell import Shell, ok

pytestmark = pytest.mark.timeout(240)

MIB = 1 << 20


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "root")


@pytest.fixture
def images(tmp_path):
    """Two disk images of a MiB, and a link to the second one."""
    made = [tmp_path / "a.img", tmp_path / "b.img"]
    for image in made:
        image.write_bytes(bytes(MIB))
    link = tmp_path / "by-id"
    link.symlink_to(made[1])
    return *made, link


def paths_of(document, kind):
    (record,) = document["stored"]
    return [" ".join(change["path"]) for change in record["changes"] if change["kind"] == kind]


def attach(guest, image, target, *more):
    guest.libvirtd.virsh("attach-disk", guest.name, image, target, "--persistent", *more)


def test_a_disk_that_was_attached_in_between_is_said(shell, make_guest, images):
    first, second, link = images
    guest = make_guest("web", disks=[first])
    other = make_guest("stray", disks=[link])
    shell.service("web", guest)
    shell.run("start", "web")
    for command in ("push", "diskupdate"):
        assert "nothing was stored before" in ok(shell.run(command, "web"))

    attach(guest, second, "vdb", "--serial", "B-1", "--wwn", "5000c50015ea71ad", "--targetbus", "scsi")
    pushed = shell.json("push", "web")
    disks = shell.json("diskupdate", "web")

    assert paths_of(pushed, "added") == ["guests container#1 disks container#1 vdb"]
    assert paths_of(disks, "added") == ["container#1 vdb"]
    row = next(row for row in disks["stored"][0]["content"] if row["target"] == "vdb")
    assert (row["source"], row["size_bytes"], row["serial"], row["wwn"]) == (
        str(second), MIB, "B-1", "5000c50015ea71ad",
    )  # fmt: skip
    assert (row["bus"], row["live"], row["persistent"]) == ("scsi", True, True)
    assert [(user["guest"], user["service"]) for user in row["users"]] == [(other.name, "")]

    guest.libvirtd.virsh("detach-disk", guest.name, "vdb", "--persistent")
    told = ok(shell.run("diskupdate", "web"))
    assert "  container#1 vdb: removed (" in told
    assert "nothing has changed since" in ok(shell.run("diskupdate", "web"))
    history = ok(shell.run("show", "web", "--history")).splitlines()
    assert sum("container#1 vdb: added (" in line or "disks vdb: added (" in line for line in history) == 2
    assert "1 disk, as n1 found them at" in ok(shell.run("show", "web", "--disks"))
    ok(shell.run("stop", "web", "--kill"))


def test_one_disk_of_two_services_is_told_by_both(shell, make_guest, images):
    _, second, link = images
    for name, image in (("web", second), ("db", link)):
        shell.service(name, make_guest(name, disks=[image]))
    told = ok(shell.run("diskupdate", "web", "db"))
    assert "also used by vda of db (container#1 of db)" in told
    assert "also used by vda of web (container#1 of web)" in told


def test_a_libvirtd_that_hangs_has_taken_no_disk_away(shell, make_guest, private_libvirtd, images):
    shell.service("web", make_guest("web", on=private_libvirtd, disks=[images[0]]))
    ok(shell.run("push", "web"))
    private_libvirtd.pause()
    try:
        blind = shell.json("push", "web", code=4)
        refused = shell.run("diskupdate", "web")
    finally:
        private_libvirtd.resume()
    assert refused.returncode == 4
    assert not paths_of(blind, "removed")
    assert blind["stored"][0]["content"]["guests"][0]["disks"] is None
    back = shell.json("push", "web")
    assert not paths_of(back, "added")
    assert {change["path"][0] for change in back["stored"][0]["changes"]} <= {"status"}


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
sys.exit(main(["diskupdate", "web"]))
"""


def test_kill_9_at_each_statement_of_diskupdate_loses_no_history(shell, make_guest, images):
    first, second, _ = images
    guest = make_guest("web", disks=[first])
    shell.service("web", guest)
    ok(shell.run("diskupdate", "web"))
    before = ok(shell.run("show", "web", "--history"))
    guest.libvirtd.virsh("attach-disk", guest.name, second, "vdb", "--config")
    for number in range(1, 40):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(number)], env=shell.environment, check=False, capture_output=True
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9
        assert ok(shell.run("show", "web", "--history")) == before
    assert number > 5
    history = ok(shell.run("show", "web", "--history"))
    assert history.endswith(before)
    assert history.splitlines()[1].startswith("  container#1 vdb: added (")


@pytest.fixture
def small_disk(shell):
    """The node's state on a file system of 256 KiB."""
    state = shell.root / "var/lib/vmsvc"
    state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", state], check=True)
    yield state
    subprocess.run(["umount", state], check=True)


def test_a_full_disk_is_told_and_loses_no_history(shell, make_guest, images, small_disk):
    first, second, _ = images
    guest = make_guest("web", disks=[first])
    shell.service("web", guest)
    for command in ("push", "diskupdate"):
        ok(shell.run(command, "web"))
    before = ok(shell.run("show", "web", "--history"))
    guest.libvirtd.virsh("attach-disk", guest.name, second, "vdb", "--config")
    filler = small_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, capture_output=True)
    pushed, disks = shell.run("push", "web"), shell.run("diskupdate", "web")

    for done in (pushed, disks):
        assert done.returncode == 1
        assert "the store cannot be used: database or disk is full" in done.stderr
        assert "web: collected " in done.stdout
        assert "vdb: added (" in done.stdout
    assert ok(shell.run("show", "web", "--history")) == before
    filler.unlink()
    for command in ("push", "diskupdate"):
        ok(shell.run(command, "web"))
    assert ok(shell.run("show", "web", "--history")).endswith(before)


def test_outputs_of_all_commands_are_what_their_schemas_say(shell, make_guest, images):
    shell.environment["EDITOR"] = "true"
    shell.service("web", make_guest("web", disks=[images[0]]))
    shell.service("shared", make_guest("shared", disks=[images[1]]), "scsireserv = true")
    shell.file("blind", "[container#1]\ntype = kvm\nuri = qemu+unix:///system?socket=/nobody/is/there\n")
    shell.file("sick", "[DEFAULT]\nnodes = n1\nservice_type = TST\n[app#1]\nstart = false\ncheck = false\n")
    for name, words in CALLS:
        called = words.format(root=shell.environment["VMSVC_ROOT"]).replace("--type null", "--type kvm")
        done = shell.run(*called.split(), "--format", "json")
        assert (words, documents.checked(done.stdout)["schema"]) == (words, name)
