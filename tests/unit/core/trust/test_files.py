"""Files on other hosts: what is needed there to read and replace them. This machine stands in for the host."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from vmsvc.core.errors import ActionFailed
from vmsvc.core.transport.local import LocalHost
from vmsvc.core.trust import files

#: What the scripts need besides a tool for checksums.
_TOOLS = ("sh", "cat", "cp", "mv", "rm", "chmod", "readlink", "mkdir")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host that has no tools but these; tests add others."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in _TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    with contextlib.closing(LocalHost("small")) as host:
        monkeypatch.setattr(
            host,
            "run",
            lambda argv, *, budget_s, run=host.run: run(argv, budget_s=budget_s, environment={"PATH": str(tools)}),
        )
        host.tools = tools
        yield host


@pytest.mark.parametrize("tool", ["cksum", "sha256sum", "md5sum"])
def test_a_host_with_any_tool_for_checksums_has_its_files_replaced_and_changes_by_others_noticed(host, tmp_path, tool):
    (host.tools / tool).symlink_to(shutil.which(tool))
    file = tmp_path / "keys"
    file.write_text("theirs\n")
    path, checksum, before = files.read(host, str(file), budget_s=5)
    change = files.Change(path=path, before=before, after="theirs\nours\n", checksum=checksum, mode="600")
    files.write(host, change, budget_s=5)
    assert (before, file.read_text()) == ("theirs\n", "theirs\nours\n")
    with pytest.raises(ActionFailed, match="changed by somebody else meanwhile"):
        files.write(host, change, budget_s=5)


def test_a_file_that_is_longer_than_an_argument_may_be_is_replaced(host, tmp_path):
    (host.tools / "cksum").symlink_to(shutil.which("cksum"))
    file = tmp_path / "keys"
    theirs = b"ssh-rsa AAAA J\xfcrgen \\c 100%s\n" * 9000  # 270 kB, with what is to be escaped
    file.write_bytes(theirs)
    path, checksum, before = files.read(host, str(file), budget_s=5)
    change = files.Change(path=path, before=before, after=f"{before}ours\n", checksum=checksum, mode="600")
    files.write(host, change, budget_s=5)
    assert file.read_bytes() == theirs + b"ours\n"


def test_a_host_without_any_is_told_what_it_lacks(host, tmp_path):
    (tmp_path / "keys").write_text("theirs\n")
    with pytest.raises(ActionFailed, match="none of cksum, sha256sum and md5sum"):
        files.read(host, str(tmp_path / "keys"), budget_s=5)
