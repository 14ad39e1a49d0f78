"""What ./quickstart does beside setting up: links that it never overwrites, what it removes, readers that go away."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
MARK = ".installed-by-vmsvc-quickstart"
pytestmark = pytest.mark.timeout(60)


def in_private(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where /usr/local/bin is an empty one of its own."""
    script = f"mount -t tmpfs none /usr/local/bin && cd {shlex.quote(str(TREE))} && {script}"
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture
def prefix(tmp_path):
    """What an installation looks like, links aside."""
    commands = tmp_path / "there/venv/bin"
    commands.mkdir(parents=True)
    (commands.parent / MARK).touch()
    for name in ("vmsvc", "svcmgr"):
        (commands / name).touch(mode=0o755)
    return tmp_path / "there"


def test_links_of_another_prefix_are_left_and_named(prefix, tmp_path):
    done = in_private(
        f"ln -s {prefix}/venv/bin/vmsvc /usr/local/bin/vmsvc; ./quickstart install --prefix {tmp_path}/other"
    )
    assert done.returncode == 1
    assert f"./quickstart uninstall --prefix {prefix}" in done.stderr
    assert "nothing was changed" in done.stderr
    assert not (tmp_path / "other").exists()


def test_what_is_not_ours_is_left(tmp_path):
    done = in_private(
        f"echo mine >/usr/local/bin/vmsvc; ./quickstart install --prefix {tmp_path}/other; cat /usr/local/bin/vmsvc"
    )
    assert done.stdout == "mine\n"
    assert "leads to no vmsvc of this script's: nothing was changed" in done.stderr


def test_uninstall_removes_ours_only(prefix):
    (prefix / "notes").touch()
    done = in_private(
        f"ln -s {prefix}/venv/bin/vmsvc /usr/local/bin/ && echo mine >/usr/local/bin/svcmgr"
        f" && ./quickstart uninstall --prefix {prefix} && ls /usr/local/bin"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "svcmgr"
    assert [file.name for file in prefix.iterdir()] == ["notes"]


def test_uninstall_removes_nothing_that_install_has_not_made(prefix):
    (prefix / "venv" / MARK).unlink()
    done = in_private(f"./quickstart uninstall --prefix {prefix}")
    assert (done.returncode, "was not made by this script" in done.stderr) == (1, True)
    assert (prefix / "venv/bin/vmsvc").exists()
    assert "--prefix says where else" in in_private(f"./quickstart uninstall --prefix {prefix}/nowhere").stderr


def test_a_demo_whose_reader_goes_away_ends_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lab.demo"],
            cwd=TREE,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=50,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_an_activated_environment_is_not_what_environments_are_made_of(tmp_path):
    """Ours, first in PATH, would be removed while it makes itself anew."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [function] = [part for part in (TREE / "quickstart").read_text().split("\n\n") if "\nbase() {" in part]
    path = {**os.environ, "PATH": f"{tmp_path}/venv/bin:{os.environ['PATH']}"}
    found = subprocess.run(
        ["bash", "-c", f"{function}\nbase python3"], env=path, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(found).exists()
    assert not Path(found).is_relative_to(tmp_path)
