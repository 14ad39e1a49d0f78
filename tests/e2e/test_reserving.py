"""Services that ask for reservations, where there is no SCSI at all: what is refused, and in which words."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.node import Node

pytest.importorskip("vmsvc_null")
SVCMGR = (sys.executable, "-c", "from vmsvc.cli.svcmgr import main; raise SystemExit(main())")
GONE = "disks = /dev/vmsvc-no-such-disk"


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_a_guest_does_not_start_on_disks_that_nobody_can_see(node):
    node.add("web", GONE, "scsireserv = true")
    done = node.run("start", "web")
    assert done.returncode == 4
    assert "/dev/vmsvc-no-such-disk" in done.stderr
    assert node.hypervisor.machine("web").phase == "stopped"


def test_a_guest_whose_disks_cannot_be_reserved_starts_and_they_are_not_applicable(node):
    node.add("web", f"disks = {node.root}/disk.img", "[vmdg]", "scsireserv = true")
    assert node.run("start", "web").returncode == 0
    _, document = node.json("status", "web")
    states = {each["rid"]: each for each in document["services"][0]["instances"][0]["resources"]}
    assert states["vmdg"]["status"] == "n/a"
    assert "a file" in states["vmdg"]["evidence"]["detail"]
    assert node.run("stop", "web").returncode == 0


def test_a_stop_brings_the_guest_down_though_its_disks_cannot_be_seen(node):
    file = node.add("web", GONE, "[vmdg]", "scsireserv = false")
    assert node.run("start", "web").returncode == 0
    file.write_text(file.read_text().replace("false", "true"))
    assert node.run("node", "prkey").returncode == 0
    done = node.run("stop", "web")
    assert done.returncode == 4
    assert "/dev/vmsvc-no-such-disk" in done.stderr
    assert node.hypervisor.machine("web").phase == "stopped"


def test_no_disk_is_released_under_a_guest(node):
    node.add(
        "web",
        f"disks = {node.root}/disk.img",
        "[vmdg]",
        "scsireserv = true",
        "[disk#1]",
        "scsireserv = true",
        "devices = /dev/vmsvc-no-such-disk",
    )
    node.hypervisor.set("web", phase="running")
    done = node.run("pr", "stop", "web")
    assert done.returncode == 3
    assert "container#1" in done.stderr


def test_who_asks_for_reservations_that_there_cannot_be_is_warned(node):
    file = node.add("web", f"disks = {node.root}/disk.img", "[vmdg]", "scsireserv = true")
    assert "disk.img: not reservable: a file" in node.run("start", "web").stderr
    code, document = node.json("validate", "web")
    assert (code, [each["code"] for each in document["files"][0]["problems"]]) == (0, ["warning.nothing-to-reserve"])
    file.write_text(file.read_text().replace("true", "false"))
    assert "reserve" not in node.run("start", "web").stderr + node.run("validate", "web").stdout
    # Which disks a guest has that is not here, nobody knows.
    node.add("db", "initial = absent", "[vmdg]", "scsireserv = true")
    assert "nothing to reserve" not in node.run("start", "db").stderr + node.run("validate", "db").stdout


def test_a_plan_shows_disks_of_which_nobody_knows_how_they_stand(node):
    node.add("web", GONE, "[vmdg]", "scsireserv = true")
    done = node.run("start", "web", "--dry-run")
    assert done.returncode == 4
    assert "vmdg is left as it is: its status is unknown: /dev/vmsvc-no-such-disk" in done.stdout


def test_a_garbage_file_among_the_peers_is_named_with_what_to_do(node):
    node.add("web", f"disks = {node.root}/disk.img", "[vmdg]", "scsireserv = true")
    garbage = node.root / "var/lib/vmsvc/peers/n2"
    garbage.parent.mkdir(parents=True)
    garbage.write_text("garbage")
    done = node.run("disks", "web")
    assert done.returncode == 2
    assert str(garbage) in done.stderr
    assert "`vmsvc node peer remove n2`" in done.stderr
    assert node.run("node", "peer", "remove", "n2").returncode == 0
    assert node.run("disks", "web").returncode == 0


def test_no_disk_is_released_under_a_guest_whose_section_is_disabled(node):
    node.add("web", GONE, "disable = true", "[vmdg]", "scsireserv = true")
    node.hypervisor.set("web", phase="running")
    done = node.run("plan", "stop", "web")
    assert done.returncode == 3
    assert "it needs container#1 down" in done.stderr


@pytest.mark.parametrize("section", ["[vmdg]", "[disk#1]\ndevices = /dev/vmsvc-no-such-disk"])
def test_a_disk_that_two_services_name_is_an_error(node, section):
    node.add("web", GONE, "[vmdg]", "scsireserv = true")
    node.add("db", GONE, section, "scsireserv = true")
    done = node.run("validate", "web")
    assert done.returncode == 2
    assert "/dev/vmsvc-no-such-disk is a disk of [" in done.stdout
    assert node.run("start", "db").returncode in (3, 4)
    code, document = node.json("validate", "db")
    assert code == 2
    assert [problem["code"] for problem in document["files"][0]["problems"]][-1] == "config.same-disk"


def test_a_disk_that_another_guest_uses_without_reserving_it_is_an_error(node):
    node.add("web", GONE, "[vmdg]", "scsireserv = true")
    node.add("db", GONE)
    done = node.run("validate", "web")
    assert done.returncode == 2
    assert "db ([container#1] of db), which does not reserve it" in done.stdout
    assert node.run("validate", "db").returncode == 0  # it is for who reserves to see to it


def test_a_disk_that_another_service_only_lists_is_nobodys(node):
    node.add("web", GONE, "[vmdg]", "scsireserv = true")
    node.add("db", "[disk#1]", GONE.replace("disks", "devices"), "scsireserv = false")
    assert node.run("validate").returncode == 0


def test_a_file_that_cannot_be_read_keeps_those_from_starting_whose_disks_it_names_and_nobody_else(node):
    disk = f"{node.root}/disk.img"
    node.add("web", f"disks = {disk}", "[vmdg]", "scsireserv = true")
    file = node.add("db")
    file.write_text("nonsense\n")
    done = node.run("start", "web")
    assert done.returncode == 0
    assert f"{file} cannot be read, and names none of them" in done.stderr
    node.add("erp", GONE, "[vmdg]", "scsireserv = true")
    file.write_text(f"nonsense {GONE}\n")
    done = node.run("validate", "erp")
    assert f"{file} cannot be read, and names it" in done.stdout
    assert node.run("start", "erp").returncode == 4


@pytest.mark.parametrize("words", [("pr", "start", "web"), ("pr", "stop", "web"), ("disks", "web")])
def test_a_service_without_disks_is_told_so(node, words):
    node.add("web")
    done = node.run(*words)
    assert done.returncode == 2
    assert "[vmdg]" in done.stderr
    assert node.hypervisor.machine("web").phase == "stopped"


def test_disks_and_status_tell_what_cannot_be_told(node):
    node.add("web", f"{GONE} {node.root}/disk.img", "[vmdg]", "scsireserv = true")
    for words in (("disks", "web"), ("pr", "status", "web"), ("disks",)):
        done = node.run(*words)
        assert done.returncode == 4
        assert "/dev/vmsvc-no-such-disk" in done.stdout
        assert "a file" in done.stdout
    code, document = node.json("disks", "web")
    assert code == 4
    assert [each["status"] for each in document["resources"][0]["others"]] == ["n/a", "unknown"]


def test_disks_of_a_service_whose_file_is_gone_are_not_forgotten(node):
    record = node.root / "var/lib/vmsvc/reserved/web/vmdg.json"
    record.parent.mkdir(parents=True)
    disk = '{"wwid": "naa.1", "prkey": "0x0000000000000001", "name": "/dev/mapper/web"}'
    record.write_text(f'{{"guests": [], "disks": [{disk}]}}')
    node.add("db")
    for words in (("disks",), ("pr", "status")):
        done = node.run(*words)
        assert done.returncode == 4
        assert "reserved for [vmdg] of web, whose file is gone: /dev/mapper/web" in done.stderr
        assert str(record) in done.stderr
    code, document = node.json("pr", "watch", "--once")
    assert code == 0
    assert [(each["service"], each["concern"]) for each in document["watched"]] == [("web", "care")]
    assert "whether what it ran runs is not known" in document["watched"][0]["text"]
    node.add("web")
    assert "/dev/mapper/web (naa.1)" in node.run("disks", "web").stdout
    record.write_text("garbage")
    assert str(record) in node.run("disks", "web").stdout


def test_a_directory_of_records_that_cannot_be_read_hides_nothing_else(node):
    reserved = node.root / "var/lib/vmsvc/reserved"
    reserved.mkdir(parents=True)
    (reserved / "old").symlink_to("old")
    node.add("web", GONE, "[vmdg]", "scsireserv = true")
    node.add("db", f"disks = {node.root}/disk.img", "scsireserv = true")
    code, document = node.json("pr", "watch", "--once")
    assert code == 4
    concerns = {each["service"]: each["concern"] for each in document["watched"]}
    assert concerns == {"web": "none", "db": "none", "old": "unknown"}
    code, document = node.json("disks")
    assert code == 4
    assert {each["service"] for each in document["resources"]} == {"web", "db", "old"}


def test_the_words_of_old(node):
    node.add("web", f"disks = {node.root}/disk.img", "[vmdg]", "scsireserv = true")
    assert "a file" in node.run("-s", "web", "prstatus", program=SVCMGR).stdout
    assert node.run("-s", "web", "prstart", program=SVCMGR).returncode == 0
    assert node.run("-s", "web", "prstop", program=SVCMGR).returncode == 0
    assert node.hypervisor.machine("web").phase == "stopped"
    assert node.run("-s", "web", "prstart", "--force=0xabc", program=SVCMGR).returncode == 0
    unknown = node.run("-s", "web", "prstart", "--force=n2", program=SVCMGR)
    assert unknown.returncode == 2
    assert "vmsvc node peer add n2" in unknown.stderr
    assert node.run("-s", "web", "prstart", "--force", program=SVCMGR).returncode == 2


@pytest.mark.option("pr watch --once")
def test_a_watcher_says_what_it_cannot_see_and_exits_with_it(node):
    node.add("web", GONE, "[vmdg]", "scsireserv = true")
    node.add("db", f"disks = {node.root}/disk.img", "scsireserv = true")
    node.add("plain")
    code, document = node.json("pr", "watch", "--once")
    assert code == 0  # nothing runs
    node.hypervisor.set("web", phase="running")
    code, document = node.json("pr", "watch", "--once")
    assert code == 4
    assert {each["service"]: each["concern"] for each in document["watched"]} == {"web": "unknown", "db": "none"}
    assert "/dev/vmsvc-no-such-disk" in node.run("pr", "watch", "web", "--once").stdout


@pytest.mark.option("pr watch --interval")
def test_a_watcher_goes_on_until_it_is_interrupted(node):
    node.add("web", f"disks = {node.root}/disk.img", "scsireserv = true")
    watcher = node.begin("pr", "watch", "--interval", "100ms")
    try:
        assert "web vmdg#1: idle: nothing runs here" in watcher.stdout.readline()
        node.hypervisor.set("web", phase="running")
        assert "web vmdg#1: n/a: nothing keeps other nodes from the disks of container#1" in watcher.stdout.readline()
        watcher.terminate()
        assert watcher.wait(10) == 0
    finally:
        watcher.kill()
        watcher.communicate()


@pytest.mark.parametrize("interval", ["0", "soon"])
def test_an_interval_is_a_duration(node, interval):
    assert node.run("pr", "watch", "--interval", interval).returncode == 2
