"""What is mirrored: tests that run inside of a kernel are seen outside to pass and to fail, and never to be lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(200)

CONFTEST = """\
from pathlib import Path
from lab.scsi.mirror import Mirror, is_inside

def pytest_configure(config):
    config.addinivalue_line("markers", "layout: as in the tree")
    if not is_inside():
        config.pluginmanager.register(Mirror(Path(__file__).parent))
"""
TESTS = """\
import os
import pytest
from lab.scsi.disks import Layout

pytestmark = pytest.mark.layout(hosts=1, paths=1, disks=1)

def test_passes():
    assert os.uname().nodename == "lab"
    assert Layout.of_this_kernel().hosts == 1

@pytest.mark.parametrize("word", ["a b", "é/[x]"])
def test_fails(word):
    print("printed inside")
    assert word == "something else"

def test_is_not_chosen():
    pass

def test_breaks_down():
    os._exit(9)

def test_comes_after_it():
    pass
"""


def run(directory, *words, lab="require", without=""):
    """Run pytest on a mirrored directory, on a machine that lacks a file, perhaps."""
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_mirrored.py").write_text(TESTS)
    (directory / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-v", "-ra", "-p", "no:cacheprovider", "-W", "error", *words]
    if without:
        hide = f'mount --bind /dev/null {without} && exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh", *command]
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(TREE), "VMSVC_LAB": lab, "CI": ""},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_each_test_is_reported_as_it_went(tmp_path):
    done = run(tmp_path, "-k", "not chosen")
    said = done.stdout
    assert done.returncode == 1
    assert "test_passes PASSED" in said
    assert "test_fails[a b] FAILED" in said
    assert "assert 'a b' == 'something else'" in said
    assert "printed inside" in said
    assert "= 2 failed, 1 passed, 1 deselected, 2 errors in " in said
    assert said.count("pytest inside of the kernel has ended") >= 2


@pytest.mark.parametrize(("lab", "outcome"), [("require", "6 errors"), ("", "6 skipped")])
def test_where_the_lab_cannot_run_every_test_says_so(tmp_path, lab, outcome):
    done = run(tmp_path, lab=lab, without="/usr/bin/linux.uml")
    assert f"= {outcome} in " in done.stdout
    assert "linux.uml: missing; ./quickstart installs what the lab needs" in done.stdout
