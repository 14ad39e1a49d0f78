"""Where service files are, and the node's own file."""

from __future__ import annotations

import pytest

from vmsvc.core.config import read_node, service_file, service_names
from vmsvc.core.config.files import ignored_files
from vmsvc.core.errors import ConfigError, UsageError
from vmsvc.core.node import Node


@pytest.fixture
def node(tmp_path):
    node = Node(name="n1", root=tmp_path)
    node.services_dir.mkdir(parents=True)
    return node


def test_names(node):
    for name in (
        "web.env",
        "db.toml",
        "a.b.conf",
        ".hidden.env",
        "old.env~",
        "x.env.bak",
        "#web.env#",
        "README",
        "two.env",
        "two.conf",
    ):
        (node.services_dir / name).touch()
    (node.services_dir / "dir.env").mkdir()

    assert service_names(node) == ["a.b", "db", "two", "web"]


def test_files_that_look_like_a_service(node):
    for name in ("UP.CONF", "a.cfg", "b.ini", "c", "d[1].conf", "-x.conf", "ok.conf", ".h", "e~", "f.bak", "#g#"):
        (node.services_dir / name).touch()

    told = ignored_files(node)

    assert service_names(node) == ["ok"]
    assert [problem.file.rpartition("/")[2] for problem in told] == [
        "-x.conf",
        "UP.CONF",
        "a.cfg",
        "b.ini",
        "c",
        "d[1].conf",
    ]
    assert "rename it to UP.conf" in told[1].hint
    with pytest.raises(UsageError) as raised:
        service_file(node, "UP")
    assert "UP.CONF is not read; if it is a service's, rename it to UP.conf" in raised.value.hint


def test_no_directory_is_no_service(tmp_path):
    assert service_names(Node(name="n1", root=tmp_path)) == []


def test_a_directory_that_is_a_file(tmp_path):
    (tmp_path / "etc/vmsvc").mkdir(parents=True)
    (tmp_path / "etc/vmsvc/services").touch()

    with pytest.raises(ConfigError, match="Not a directory"):
        service_names(Node(name="n1", root=tmp_path))


def test_file(node):
    (node.services_dir / "web.env").touch()

    assert service_file(node, "web") == node.services_dir / "web.env"
    with pytest.raises(UsageError) as raised:
        service_file(node, "wbe")
    assert (raised.value.code, raised.value.hint) == ("usage.no-such-service", "did you mean `web`?")


@pytest.mark.parametrize("name", ["", "../node", "-x", "a\0b", "x" * 4000, "\udcff"])
def test_names_that_no_service_can_have(node, name):
    with pytest.raises(UsageError):
        service_file(node, name)


def test_two_files(node):
    (node.services_dir / "web.env").touch()
    (node.services_dir / "web.toml").touch()

    with pytest.raises(ConfigError) as raised:
        service_file(node, "web")

    assert raised.value.code == "config.two-files"
    assert "web.env and web.toml" in raised.value.message


def node_of(root, name="n1"):
    return read_node({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": name})


@pytest.mark.parametrize(
    ("file", "text", "mode"),
    [
        ("node.conf", "PRD", "PRD"),
        ("node.conf", "# the mode\n\n  prd  # says who\n; x\n", "PRD"),
        ("node.conf", "\ufeffDEV ; x\r\n", "DEV"),
        ("node.conf", "[node]\nhost_mode = PRD\n", "PRD"),
        ("node.conf", "[node]\nenv = REC ; x\n", "REC"),
        ("node.toml", '[node]\nmode = "drp"\n', "DRP"),
    ],
)
def test_node_file(tmp_path, file, text, mode):
    (tmp_path / "etc/vmsvc").mkdir(parents=True)
    (tmp_path / "etc/vmsvc" / file).write_text(text, newline="")

    assert node_of(tmp_path) == Node(name="n1", root=tmp_path, mode=mode)


@pytest.mark.parametrize(
    ("file", "text", "hosts"),
    [
        ("node.toml", "[disks]\nscsi_hosts = [0, 12]\n", (0, 12)),
        ("node.toml", '[node]\nmode = "TST"\n[disks]\nscsi_hosts = ["host3"]\n', (3,)),
        ("node.toml", "[disks]\nscsi_hosts = 4\n", (4,)),
        ("node.conf", "[disks]\nscsi_hosts = 0, host1\n", (0, 1)),
    ],
)
def test_a_node_may_have_some_of_the_scsi_hosts(tmp_path, file, text, hosts):
    (tmp_path / "etc/vmsvc").mkdir(parents=True)
    (tmp_path / "etc/vmsvc" / file).write_text(text)

    assert node_of(tmp_path) == Node(name="n1", root=tmp_path, mode="TST", scsi_hosts=hosts)


def test_no_node_file(tmp_path):
    assert node_of(tmp_path).mode == "TST"


@pytest.mark.parametrize(
    ("file", "text", "code", "words"),
    [
        ("node.conf", "PDR\n", "node", "did you mean `PRD`"),
        ("node.conf", "PRD DEV\n", "node", "single word"),
        ("node.conf", "# PRD\n", "node", "single word"),
        ("node.conf", "mode = PRD\n", "node", "single word"),
        ("node.conf", "", "file", "empty"),
        ("node.conf", "[nod]\nmode = PRD\n", "unknown-section", "`[node]` and `[disks]`"),
        ("node.conf", "[node]\nhostmode = PRD\n", "unknown-key", "did you mean `host_mode`"),
        ("node.conf", "[node]\nenv = PRD\nmode = DEV\n", "node", "given twice"),
        ("node.conf", "[node]\n", "node", "missing"),
        ("node.toml", "[node]\nmode = PRD\n", "syntax", "not TOML"),
        ("node.toml", "[node]\nmode = 3\n", "node", "`3` is no host mode"),
        ("node.toml", '[node]\nmode = ["PRD"]\n', "node", "no host mode"),
        ("node.toml", 'mode = "DEV"\n', "syntax", "put `[node]` above it"),
        ("node.toml", "[disks]\nx = 1\n", "unknown-key", "`scsi_hosts`"),
        ("node.toml", "[disks]\nscsi_hosts = [true]\n", "node", "True is no SCSI host"),
        ("node.toml", '[disks]\nscsi_hosts = ["sda"]\n', "node", "'sda' is no SCSI host"),
        ("node.toml", "[disk]\nx = 1\n", "unknown-section", "[node]"),
    ],
)
def test_broken_node_files(tmp_path, file, text, code, words):
    (tmp_path / "etc/vmsvc").mkdir(parents=True)
    path = tmp_path / "etc/vmsvc" / file
    path.write_text(text)

    node = node_of(tmp_path)

    problem = node.problems[0]
    assert node.mode == "TST"
    assert problem.code == f"config.{code}"
    assert words in f"{problem.message} {problem.hint}"
    assert problem.file == str(path)


def test_two_node_files(tmp_path):
    (tmp_path / "etc/vmsvc").mkdir(parents=True)
    (tmp_path / "etc/vmsvc/node.conf").write_text("PRD")
    (tmp_path / "etc/vmsvc/node.toml").write_text('[node]\nmode = "PRD"\n')

    (problem,) = node_of(tmp_path).problems
    assert "node.conf and node.toml" in problem.message


def test_a_node_name_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="the node cannot have its name"):
        node_of(tmp_path, "a/b")
