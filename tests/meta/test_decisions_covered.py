"""Every branch of the decisions about disks is taken by their unit tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("coverage")

TREE = Path(__file__).parents[2]
ROOM = TREE / "src/vmsvc/core/vmdg"
DECISIONS = (
    "attempt",
    "decide",
    "judge",
    "laws",
    "migration",
    "moves",
    "quirks",
    "survey",
    "turn",
    "validation",
    "words",
)
TESTS = ("acquire", "clones", "costs", "judge", "laws", "migration", "quirks", "release", "survey", "validation")


def test_every_branch_of_the_decisions_is_taken(tmp_path):
    files = [str(TREE / "tests/unit/core/vmdg" / f"test_{name}.py") for name in TESTS]
    include = ",".join(str(ROOM / f"{name}.py") for name in DECISIONS)
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage"), "COVERAGE_CORE": "ctrace"}

    def coverage(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "coverage", *words]
        return subprocess.run(
            command, check=False, cwd=TREE, env=environment, capture_output=True, text=True, timeout=200
        )

    ran = coverage("run", "--branch", f"--include={include}", "-m", "pytest", "-q", "-p", "no:cacheprovider", *files)
    assert ran.returncode == 0, ran.stdout
    told = coverage("report", "--show-missing", "--fail-under=100")
    assert told.returncode == 0, told.stdout
    assert all(f"{name}.py" in told.stdout for name in DECISIONS)
