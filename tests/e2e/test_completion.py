"""What real bash offers when a line is completed, through the code that `vmsvc completion bash` prints."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.node import Node

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="there is no bash here")

SCRIPT = """
eval "$(vmsvc completion bash)"
complete -p vmsvc svcmgr >/dev/null
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_CWORD=$(( $# - 2 ))
COMP_WORDS=("${@:2}")
_python_argcomplete "$2" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    node.add("web", "tags = front", "subset = late")
    node.add("db")
    return node


@pytest.fixture
def offered(node):
    """What bash offers at the end of a line."""

    def complete(line: str) -> set[str]:
        words = line.split(" ")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [BASH, "--norc", "-c", SCRIPT, "bash", line, *words],
            env={**node.environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == "", shlex.quote(line)
        return {word.strip() for word in done.stdout.splitlines() if word.strip()}

    return complete


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("vmsvc sta", {"start", "status"}),
        ("vmsvc start ", {"web", "db"}),
        ("vmsvc start w", {"web"}),
        ("vmsvc start web --despite-", {"--despite-frozen", "--despite-unknown"}),
        ("vmsvc start web --rid ", {"container#1"}),
        ("vmsvc start web --tags ", {"front"}),
        ("vmsvc status web --subset ", {"late"}),
        ("vmsvc status --format ", {"json", "text"}),
        ("vmsvc get web container#1.start_", {"container#1.start_timeout"}),
        ("vmsvc set web orch", {"orchestrate="}),
        ("vmsvc create new --type ", {"null"}),
        ("vmsvc pr ", {"start", "status", "stop", "watch"}),
        ("vmsvc completion ", {"bash", "fish", "zsh"}),
        ("svcmgr -s ", {"web", "db"}),
        ("svcmgr -s web pri", {"print"}),
        ("svcmgr -s web print ", {"status"}),
    ],
)
def test_bash_offers(offered, line, among):
    assert among <= offered(line)


def test_what_is_named_already_is_not_offered_again(offered):
    assert "web" not in offered("vmsvc start web ")


def test_nothing_is_offered_and_nothing_said_where_a_file_is_wrong(node, offered):
    (node.services_dir / "web.conf").write_text("nonsense\n")
    assert offered("vmsvc start web --rid c") == set()
