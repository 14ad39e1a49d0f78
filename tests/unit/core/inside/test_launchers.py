"""Which files of a directory are launchers, in which order, and what they are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import guest, resource, service
from vmsvc.core.errors import NoWayIn, TimedOut, Undetermined
from vmsvc.core.inside.launchers import Action, Entry, EntryKind, Launchers, environment_of, parsed
from vmsvc.core.inside.launching import Ran
from vmsvc.core.inside.outputs import keep_output
from vmsvc.core.node import Node
from vmsvc.core.transport import OUTPUT_LIMIT, Outcome


def lying(*names, kind=EntryKind.EXECUTABLE):
    return Launchers.of(Entry(name, kind) for name in names)


def test_each_sort_is_in_the_order_of_its_names_bytes():
    found = lying("S9", "S10", "Sä", "S z", "SZ", "K1", "C1", "s1", "README", "functions")
    assert found.of_action(Action.START) == ("S z", "S10", "S9", "SZ", "Sä")
    assert found.of_action(Action.STOP) == ("K1",)
    assert found.of_action(Action.STATUS) == ("C1",)


@pytest.mark.parametrize("name", ["S1~", "S1.bak", "S1.rpmsave", "S1.dpkg-old", "S1.swp", "S1.ORIG"])
def test_what_an_editor_or_a_package_leaves_behind_is_no_launcher(name):
    found = lying(name)
    assert (found.of_action(Action.START), found.odd, bool(found)) == ((), (f"{name} looks like a backup",), False)


@pytest.mark.parametrize("name", ["S1.sh", "S1 bak", "Sbak", "S1.old.sh"])
def test_what_only_resembles_a_backup_is_one(name):
    assert lying(name).of_action(Action.START) == (name,)


def test_directories_and_links_to_nothing_are_told_and_not_run():
    found = Launchers.of([Entry("S2", EntryKind.OTHER), Entry("K1", EntryKind.DANGLING), Entry("x", EntryKind.OTHER)])
    assert (found.odd, bool(found)) == (("K1 is a link to nothing", "S2 is no file"), False)


def test_what_is_not_executable_is_a_launcher_all_the_same():
    assert lying("S1", kind=EntryKind.READABLE).of_action(Action.START) == ("S1",)


def test_an_answer_is_read_whatever_names_there_are_and_whatever_the_shell_says_first():
    found = parsed(b"Welcome/to this guest\nvmsvc-guest launchers/readable/S\n1/executable/K\xff/end\n")
    assert [(entry.name, entry.kind) for entry in found.entries] == [
        (os.fsdecode(b"K\xff"), EntryKind.EXECUTABLE),
        ("S\n1", EntryKind.READABLE),
    ]
    assert not parsed(b"vmsvc-guest launchers/end\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"end\n",
        b"vmsvc-guest launchers/",
        b"vmsvc-guest launchers/executable/S1/",
        b"vmsvc-guest launchers/executable/S1/readable/end\n",
        b"vmsvc-guest launchers/strange/S1/end\n",
        b"vmsvc-guest launchers/\xff/S1/end\n",
        b"executable/S1/end\n",
    ],
)
def test_an_answer_that_is_cut_or_strange_is_unknown_and_not_no_launchers(answer):
    with pytest.raises(Undetermined, match="cannot be read"):
        parsed(answer)


def test_launchers_are_told_of_the_addresses_beside_them():
    web = service(
        guest(),
        resource("ip#1", container_id="container#1", ipname="web", ipdev="eth0", netmask=24),
        resource("ip#2", container_id="container#1", ipname="192.0.2.7", ipdev="eth1", netmask=24),
        resource("ip#3", ipname="node"),
        resource("ip#4", container_id="container#1", ipname="unknown", ipdev="eth0", netmask=24),
        resource("ip#dev", container_id="container#1", ipname="192.0.2.7", ipdev="eth1", netmask=24),
        resource("app#1", container_id="container#1"),
    )
    assert environment_of(web.resource("app#1"), web, "n1", {"web": "192.0.2.6", "192.0.2.7": "192.0.2.7"}) == {
        "VMSVC_SERVICE": "web",
        "VMSVC_RID": "app#1",
        "VMSVC_NODE": "n1",
        "OPENSVC_SVCNAME": "web",
        "OPENSVC_IP1": "web eth0 192.0.2.6 255.255.255.0",
        "OPENSVC_IP2": "192.0.2.7 eth1 192.0.2.7 255.255.255.0",
        "OPENSVC_IP4": "unknown eth0",
        "OPENSVC_IPNAME": "192.0.2.7",
        "OPENSVC_IPDEV": "eth1",
        "OPENSVC_IPADDR": "192.0.2.7",
        "OPENSVC_MASK": "255.255.255.0",
    }


def printed(stdout, stderr=b"", **more):
    return Ran(name="S1", outcome=Outcome(argv=("sh",), code=1, stdout=stdout, stderr=stderr, duration_s=0.0, **more))


def test_what_a_launcher_printed_is_kept_and_a_full_disk_keeps_nothing_from_running(tmp_path):
    app = resource("app#1", container_id="container#1")
    outcome = printed(b"out\xff", b"err")
    node = Node(name="n1", root=tmp_path)
    path = keep_output(node, app, "S1 größe\n" + "x" * 255, "start", outcome)
    assert Path(path).read_bytes() == b"out\xff\nerr"
    assert Path(path).parent == node.state_dir / "launchers/web/app#1"
    assert keep_output(node, app, "C1", "status", outcome) == ""
    (tmp_path / "taken").touch()
    assert keep_output(Node(name="n1", root=tmp_path / "taken"), app, "S1", "start", outcome) == ""


def test_long_names_that_begin_alike_have_files_of_their_own(tmp_path):
    node, app = Node(name="n1", root=tmp_path), resource("app#1", container_id="container#1")
    names = [f"S10 запуск сервера приложений {which}" for which in ("основной", "запасной")]
    paths = [keep_output(node, app, name, "start", printed(name.encode())) for name in names]
    assert [Path(path).read_text() for path in paths] == names


def kept(tmp_path, ran):
    app = resource("app#1", container_id="container#1")
    return Path(keep_output(Node(name="n1", root=tmp_path), app, "S1", "start", ran)).read_bytes()


def test_where_a_launcher_printed_more_than_is_kept_its_file_says_so(tmp_path):
    mark = b"\n[vmsvc: it printed more: only the first 1 MiB is kept]\n"
    whole = b"x" * OUTPUT_LIMIT
    assert kept(tmp_path, printed(whole, b"err", truncated=True)) == whole + mark + b"err"
    assert kept(tmp_path, printed(b"out\n", whole, truncated=True)) == b"out\n" + whole + mark
    assert kept(tmp_path, printed(whole)) == whole


@pytest.mark.parametrize(
    ("failure", "content"),
    [
        (
            TimedOut("it did not end", stdout=b"begun", stderr=b""),
            b"begun\n[vmsvc: it did not come to its end: it did not end]\n",
        ),
        (NoWayIn("nobody answers"), b"[vmsvc: it did not come to its end: nobody answers]\n"),
        (Undetermined("not run: größe"), "[vmsvc: it did not come to its end: not run: größe]\n".encode()),
    ],
)
def test_a_launcher_that_did_not_end_leaves_what_it_printed_and_no_file_of_an_earlier_run(tmp_path, failure, content):
    kept(tmp_path, printed(b"all is well\n"))
    assert kept(tmp_path, Ran(name="S1", failure=failure)) == content
