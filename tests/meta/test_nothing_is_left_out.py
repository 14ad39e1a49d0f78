"""CI fails where a test leaves itself out, for whatever reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
SKIPPING = {
    "a test": "import pytest\ndef test_it():\n    pytest.skip('no backend')\n",
    "a mark": "import pytest\n@pytest.mark.skipif(True, reason='no backend')\ndef test_it(): pass\n",
    "a fixture": "import pytest\n@pytest.fixture\ndef it():\n    pytest.skip('no backend')\ndef test_it(it): pass\n",
    "a file": "import pytest\npytest.skip('no backend', allow_module_level=True)\n",
    "an import": "import pytest\npytest.importorskip('no_backend', reason='no backend')\n",
}


@pytest.mark.parametrize("source", SKIPPING.values(), ids=SKIPPING)
# What pytest exits with: 1 where a test has failed and 2 where a file has; 5 where there was no test in it.
@pytest.mark.parametrize(("lab", "codes"), [("require", {1, 2}), ("", {0, 5})])
def test_what_is_left_out_has_failed_in_ci_and_nowhere_else(tmp_path, source, lab, codes):
    done = _run(tmp_path, source, lab)

    assert done.returncode in codes, done.stdout
    assert "no backend" in done.stdout


def test_a_waiver_with_its_reason_is_told_and_is_no_failure(tmp_path):
    done = _run(tmp_path, "import pytest\ndef test_it():\n    pytest.xfail('waived: no backend')\n", "require")

    assert done.returncode == 0, done.stdout
    assert "waived: no backend" in done.stdout


def _run(tmp_path, source, lab):
    (tmp_path / "test_it.py").write_text(f"{source}\ndef test_other(): pass\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-c", os.devnull, "-p", "tests.left_out", str(tmp_path)],
        env={**os.environ, "VMSVC_LAB": lab, "PYTHONPATH": str(TREE)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
