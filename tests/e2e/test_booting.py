"""What `vmsvc boot` says of each service, where there is no SCSI at all."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("vmsvc_null")

from tests.e2e.node import Node

SVCMGR = (sys.executable, "-c", "from vmsvc.cli.svcmgr import main; raise SystemExit(main())")
RESERVED = ("[vmdg]", "scsireserv = true")


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def cut_short(node, name):
    journal = node.root / f"var/lib/vmsvc/journal/{name}.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    record = {"at": 1e9, "pid": 1, "event": "begin", "action": "start", "steps": []}
    journal.write_text(json.dumps(record) + "\n")


def test_each_service_is_told_of_and_nothing_is_started(node):
    node.add("web")
    node.add("db", f"disks = {node.root}/disk.img", *RESERVED)
    done = node.run("boot")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"db: nothing to do: vmdg nothing to give up: {node.root}/disk.img: not reservable: a file",
        "web: nothing to do: it reserves no disks",
    ]
    assert [node.hypervisor.machine(name).phase for name in ("web", "db")] == ["stopped", "stopped"]
    assert node.run("-s", "web", "boot", program=SVCMGR).stdout == "web: nothing to do: it reserves no disks\n"
    assert "db: nothing to do" in node.run("boot", program=SVCMGR).stdout


def test_what_a_crash_has_cut_short_is_told_once(node):
    node.add("web")
    cut_short(node, "web")
    assert "was cut short" in node.run("status", "web").stdout
    assert "the start of" in node.run("boot").stderr
    assert "was cut short" not in node.run("status", "web").stdout + node.run("boot").stderr


def test_a_disk_that_cannot_be_seen_is_told_and_hides_no_other_service(node):
    node.add("db", "disks = /dev/vmsvc-no-such-disk", *RESERVED)
    node.add("web")
    assert node.run("node", "prkey").returncode == 0
    code, document = node.json("boot")
    assert code == 4
    assert {each["service"]: each["outcome"] for each in document["results"]} == {
        "db": "undetermined",
        "web": "unchanged",
    }


def test_a_file_that_cannot_be_read_keeps_a_boot_from_no_other_service(node):
    node.add("web")
    (node.services_dir / "bad.conf").write_text("[container#1]\ntype = nul\n")
    code, document = node.json("boot")
    assert code == 2
    assert [each["service"] for each in document["results"]] == ["web"]
    assert "nul" in document["errors"][0]["message"]
    # Who names services wants just these.
    assert node.json("boot", "web", "bad")[1]["schema"] == "vmsvc.error/1"
    assert node.run("boot", "wbe").returncode == 2


def test_what_is_reserved_for_a_service_without_a_file_is_not_passed_over(node):
    node.add("web")
    record = node.root / "var/lib/vmsvc/reserved/gone/vmdg.json"
    record.parent.mkdir(parents=True)
    entry = {"wwid": "naa.1", "prkey": "0x1", "name": "/dev/mapper/gone"}
    record.write_text(json.dumps({"guests": [], "disks": [entry]}))
    done = node.run("boot")
    assert done.returncode == 4
    assert "web: nothing to do" in done.stdout
    assert "gone has no file any more, and disks are reserved for it: /dev/mapper/gone" in done.stderr
    assert node.run("boot", "web").returncode == 0
