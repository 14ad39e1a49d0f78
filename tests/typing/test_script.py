"""A script of fifteen lines that uses nothing but ``import vmsvc``: strictly typed, and it works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("script.py")
SERVICE = "[DEFAULT]\nnodes = n1\n[container#1]\ntype = null\nname = web1\n"


def test_it_has_strict_types():
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(SCRIPT)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.usefixtures("hypervisor")
def test_it_works(make_service):
    make_service(SERVICE)
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("down start container#1 1 up simulated hypervisor", "")


def test_it_has_fifteen_lines():
    lines = [line for line in SCRIPT.read_text().splitlines() if line]
    assert len(lines) == 15
    assert [line for line in lines if "import" in line] == ["import sys", "import vmsvc"]
