"""vmsvc's commands on three nodes that share disks: who may write, who is told what, and what guests do.

Each command runs in this process and starts commands directly: a process of its own for each, and vmsvc's helper process,
take seconds in a kernel that is a process itself. test_two_hypervisors.py runs them as users do.
"""

from __future__ import annotations

import contextlib
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import pytest

from lab.scsi.inside import register
from lab.scsi.witness import can_write
from tests import documents
from tests.e2e.node import Node
from tests.lab.scsi.quick import QuickHost
from vmsvc.cli import main
from vmsvc.core.vmdg.keys import key_text

pytest.importorskip("vmsvc_null")
KEYS = {"a": 0xA1A1000000000001, "b": 0x0B2B000000000002, "c": 0xFFFFFFFFFFFFFFFF}
DISKS = 2


class San(Node):
    """A node whose disks are those of one host of the lab."""

    def __init__(self, root, scsi, name):
        super().__init__(root / name)
        self._scsi, self._name, self.key = scsi, name, KEYS[name]
        self.environment["VMSVC_NODENAME"] = name
        hosts = ", ".join(map(str, scsi.scsi_hosts(name)))
        (self.services_dir.parent / "node.toml").write_text(
            f'[node]\nmode = "TST"\n\n[disks]\nscsi_hosts = [{hosts}]\n'
        )
        for other, key in KEYS.items():
            file = self.root / "var/lib/vmsvc" / ("prkey" if other == name else f"peers/{other}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(key_text(key) + "\n")

    def add_reserved(self, *disks, more=()):
        """A service called db whose guest has these disks: numbers, or names of devices."""
        names = [self._scsi.devices(self._name, disk)[0] if isinstance(disk, int) else disk for disk in disks]
        lines = [f"disks = {' '.join(names)}", *more, "[vmdg]", "scsireserv = true"]
        return self.add("db", *lines, default=("nodes = a b c",))

    def vmsvc(self, *words):
        """The exit code, and all that was said."""
        said = io.StringIO()
        with mock.patch.dict(os.environ, self.environment), redirect_stdout(said), redirect_stderr(said):
            code = main(words)
        return code, said.getvalue()

    def disks(self):
        """The exit code of `vmsvc disks`, and the disks in its document."""
        code, said = self.vmsvc("--format", "json", "disks", "db")
        [report] = documents.checked(said)["resources"]
        return code, report["disks"] + report["others"]

    @property
    def is_up(self):
        return self.hypervisor.machine("db").phase == "running"

    def writes(self, disk=0):
        """Where it can write: through each path, directly and through the page cache."""
        devices = self._scsi.devices(self._name, disk)
        return [can_write(device, buffered=buffered) for device in devices for buffered in (False, True)]


ALL, NONE = [True] * 4, [False] * 4


@pytest.fixture
def nodes(scsi, tmp_path, monkeypatch):
    monkeypatch.setattr("vmsvc.parts.Parts._host", QuickHost())
    found = [San(tmp_path, scsi, name) for name in "abc"]
    for node in found:
        node.add_reserved(*range(DISKS))
    return found


def test_refused_before_it_registers_and_with_authority_the_old_one_cannot_write(scsi, nodes):
    a, b, c = nodes
    assert a.vmsvc("pr", "start", "db")[0] == 0
    for path in (1, 2):
        register(scsi.path("c", path).generic, c.key)  # it has no reservation, and can write all the same
    assert (a.writes(), b.writes(), c.writes()) == (ALL, NONE, ALL)

    before = [scsi.look(disk) for disk in range(DISKS)]
    code, said = b.vmsvc("pr", "start", "db")
    assert (code, f"held by a ({key_text(a.key)})" in said, "--force" in said) == (3, True, True)
    assert [scsi.look(disk) for disk in range(DISKS)] == before  # PRGENERATION, too: it has not even tried

    code, said = b.vmsvc("pr", "start", "db", "--force", "a")
    assert (code, key_text(a.key) in said, key_text(c.key) in said) == (0, True, True)
    assert (a.writes(), b.writes(), c.writes()) == (NONE, ALL, NONE)
    assert [scsi.look(disk).keys for disk in range(DISKS)] == [{"b": {b.key: 2}}] * 2
    code, said = a.vmsvc("pr", "status", "db")
    assert (code, "down" in said, f"held by b ({key_text(b.key)})" in said) == (0, True, True)


def test_a_guest_runs_only_on_disks_that_are_reserved(scsi, nodes):
    a, b, _ = nodes
    assert a.vmsvc("start", "db")[0] == 0
    assert (a.is_up, a.writes(), scsi.look(1).keys) == (True, ALL, {"a": {a.key: 2}})
    code, said = b.vmsvc("start", "db")
    assert (code, b.is_up, b.writes()) == (3, False, NONE), said
    code, said = a.vmsvc("pr", "stop", "db")
    assert (code, scsi.look(0).hosts) == (3, {"a"}), said  # not under a guest that runs
    assert a.vmsvc("stop", "db")[0] == 0
    assert (a.is_up, scsi.look(0).hosts, scsi.look(0).holder) == (False, set(), None)
    assert b.vmsvc("start", "db")[0] == 0
    assert (b.is_up, a.writes()) == (True, NONE)


@pytest.mark.parametrize("fault", ["fail", "hang"])
def test_disks_are_not_released_when_the_stop_failed_or_could_not_be_proven(scsi, nodes, fault):
    a, *_ = nodes
    a.add_reserved(0, more=["stop_timeout = 3"])
    assert a.vmsvc("start", "db")[0] == 0
    a.hypervisor.set("db", **{fault: ("stop", "kill") if fault == "fail" else ("observe",)})
    code, said = a.vmsvc("stop", "db")
    assert code in {1, 4}, said
    assert (scsi.look().keys, scsi.look().holder) == ({"a": {a.key: 2}}, a.key)


def test_a_stop_leaves_the_keys_of_others(scsi, nodes):
    a, _, c = nodes
    assert a.vmsvc("start", "db")[0] == 0
    register(scsi.path("c").generic, c.key)
    assert a.vmsvc("stop", "db")[0] == 0
    assert [scsi.look(disk).keys for disk in range(DISKS)] == [{"c": {c.key: 1}}, {}]


def test_keys_that_are_lost_under_a_running_guest_are_told(scsi, nodes):
    a, b, _ = nodes
    assert a.vmsvc("start", "db")[0] == 0
    assert b.vmsvc("pr", "start", "db", "--force", key_text(a.key))[0] == 0
    code, said = a.vmsvc("status", "db")
    assert code == 0
    assert "warn" in said
    code, said = a.vmsvc("pr", "status", "db")
    assert f"held by b ({key_text(b.key)})" in said
    code, said = a.vmsvc("stop", "db")
    assert (code, a.is_up) == (0, False), said
    assert [scsi.look(disk).keys for disk in range(DISKS)] == [{"b": {b.key: 2}}] * 2


def test_a_dead_path_is_a_warning_and_one_that_comes_back_is_registered(scsi, nodes):
    a, *_ = nodes
    assert a.vmsvc("pr", "start", "db")[0] == 0
    with scsi.cut("a", 1):
        code, said = a.vmsvc("pr", "status", "db")
        assert (code, "warn" in said) == (0, True), said
        assert a.vmsvc("pr", "stop", "db")[0] == 0
        assert a.vmsvc("pr", "start", "db")[0] == 0
        assert scsi.look().keys == {"a": {a.key: 1}}
    code, said = a.vmsvc("pr", "status", "db")
    assert (code, "1 of 2 paths" in said) == (0, True), said
    assert a.vmsvc("pr", "start", "db")[0] == 0
    assert (scsi.look().keys, a.writes()) == ({"a": {a.key: 2}}, ALL)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("no reservations", "n/a", "persistent reservations"),
        ("not ready", "unknown", "not ready"),
        ("gone", "unknown", "no such"),
        ("offline", "unknown", "gone"),
        ("readonly", "n/a", "read-only"),
        ("no SCSI disk", "n/a", "a file"),
    ],
)
def test_each_disk_that_cannot_be_reserved_has_its_status_and_its_words(scsi, nodes, fault, status, words):
    a, *_ = nodes
    a.add_reserved({"no reservations": scsi.layout.disks, "no SCSI disk": "/etc/hostname"}.get(fault, 1))
    with trouble(scsi, fault):
        code, [disk] = a.disks()
        assert (disk["status"], code) == (status, 4 if status == "unknown" else 0)
        assert words in str(disk).lower()
        # Of the other nodes, which nobody can ask here, only reservations could tell that they run no such guest.
        alone = ["--despite-peer", "b", "--despite-peer", "c"] if fault == "no SCSI disk" else []
        code, said = a.vmsvc("start", "db", *alone)
        # A disk that could be written by anybody at any time is none to start on; one that nobody can write to here is.
        expected = 4 if status == "unknown" else 3 if fault == "no reservations" else 0
        assert (code, a.is_up) == (expected, expected == 0), said
    assert scsi.look(1).hosts == set()


def trouble(scsi, fault):
    """Something is wrong with disk 1, as host a sees it."""
    with contextlib.ExitStack() as faults:
        match fault:
            case "not ready":
                faults.enter_context(scsi.not_ready(1))
            case "readonly":
                faults.enter_context(scsi.readonly("a", 1))
            case "gone" | "offline":
                for path in (1, 2):
                    faults.enter_context(getattr(scsi, fault)("a", path, 1))
        return faults.pop_all()


def test_a_disk_that_became_read_only_is_not_called_given_back(scsi, nodes):
    a, *_ = nodes
    assert a.vmsvc("pr", "start", "db")[0] == 0
    with scsi.readonly("a", 1):
        code, said = a.vmsvc("pr", "stop", "db")
        assert (code, "read-only here, and still reserved for this node" in said) == (1, True), said
        assert [scsi.look(disk).hosts for disk in range(DISKS)] == [set(), {"a"}]
        code, said = a.vmsvc("pr", "status", "db")
        assert (code, "still reserved for this node" in said) == (0, True), said
    code, said = a.vmsvc("pr", "stop", "db")
    assert (code, scsi.look(1).hosts) == (0, set()), said


@pytest.mark.parametrize("change", ["disk gone", "switched off", "section gone"])
def test_what_was_reserved_is_given_back_whatever_the_file_says_by_then(scsi, nodes, change):
    a, b, _ = nodes
    assert a.vmsvc("start", "db")[0] == 0
    file = a.services_dir / "db.conf"
    if change == "disk gone":
        a.add_reserved(0)
    elif change == "switched off":
        file.write_text(file.read_text().replace("scsireserv = true", "scsireserv = false"))
    else:
        file.write_text(file.read_text().partition("[vmdg]")[0])
    code, said = a.vmsvc("pr", "status", "db")
    assert (code, "not named any more" in said) == (0, True), said
    code, said = a.vmsvc("pr", "stop", "db")
    assert (code, scsi.look(1).hosts) == (3, {"a"}), said  # not under a guest that runs
    assert b.vmsvc("pr", "stop", "db")[0] == 0
    code, said = a.vmsvc("stop", "db")
    assert (code, a.is_up) == (0, False), said
    assert [scsi.look(disk).hosts for disk in range(DISKS)] == [set(), set()]
    assert not list((a.root / "var/lib/vmsvc").glob("reserved/db/*"))


def test_a_record_that_cannot_be_read_is_told_and_kept(scsi, nodes):
    a, *_ = nodes
    assert a.vmsvc("pr", "start", "db")[0] == 0
    [record] = (a.root / "var/lib/vmsvc/reserved/db").iterdir()
    record.write_text("garbage")
    for words in (("pr", "status"), ("start",), ("pr", "stop")):
        code, said = a.vmsvc(*words, "db")
        assert (code, str(record) in said) == (4, True), said
    assert record.read_text() == "garbage"
    assert [scsi.look(disk).hosts for disk in range(DISKS)] == [set(), set()]


def test_a_node_that_was_copied_with_its_key_evicts_nobody_until_the_key_is_named(scsi, nodes):
    a, b, _ = nodes
    (b.root / "var/lib/vmsvc/prkey").write_text(key_text(a.key) + "\n")
    (b.root / "var/lib/vmsvc/peers/a").unlink()
    assert a.vmsvc("pr", "start", "db")[0] == 0
    before = [scsi.look(disk) for disk in range(DISKS)]
    for words in (("pr", "start", "db"), ("start", "db")):
        code, said = b.vmsvc(*words)
        assert (code, "none of its initiators" in said) == (3, True), said
    assert b.vmsvc("pr", "stop", "db")[0] == 0
    assert [scsi.look(disk) for disk in range(DISKS)] == before
    code, said = b.vmsvc("pr", "status", "db")
    assert (code, "down" in said) == (0, True), said
    code, said = b.vmsvc("pr", "start", "db", "--force", key_text(a.key))
    assert (code, a.writes(), b.writes()) == (0, NONE, ALL), said
    code, said = a.vmsvc("pr", "status", "db")
    assert (code, "none of its initiators" in said) == (0, True), said
