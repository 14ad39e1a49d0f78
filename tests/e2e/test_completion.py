"""What real shells offer when a line is completed, through the code that `vmsvc completion SHELL` prints."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.node import Node

#: How each shell is asked what it offers at the end of a line, without a terminal: through the code that vmsvc prints.
BASH = """
eval "$(vmsvc completion bash)"
complete -p vmsvc svcmgr >/dev/null
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
IFS=" " read -ra COMP_WORDS <<<"$1."
COMP_WORDS[-1]=${COMP_WORDS[-1]%.} COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_python_argcomplete "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
#: `_describe` shows what it is given, each with its help behind a colon, where a menu would be drawn: zshcompsys(1).
ZSH = """
autoload -U compinit && compinit -u -D
eval "$(vmsvc completion zsh)"
[[ $_comps[vmsvc] == _python_argcomplete && $_comps[svcmgr] == _python_argcomplete ]] || exit 9
_describe() { print -rl -- "${(@P)2}" }
BUFFER=$1 CURSOR=${#1} words=("${(@s: :)1}")
_python_argcomplete
"""
FISH = """
vmsvc completion fish | source
complete -C $argv[1]
"""
SHELLS = {
    "bash": ("bash", "--norc", "-c", BASH, "bash"),
    "zsh": ("zsh", "-f", "-c", ZSH, "zsh"),
    "fish": ("fish", "--no-config", "-c", FISH),
}


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    node.add("web", "tags = front", "subset = late")
    node.add("db", "[disk#1]", "devices = /dev/spare", default=("nodes = n1 n2",))
    peers = tmp_path / "var/lib/vmsvc/peers"
    peers.mkdir(parents=True)
    (peers / "n3").write_text("0xb2")
    return node


@pytest.fixture(params=SHELLS)
def offered(node, request):
    """What a shell offers at the end of a line."""
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} here")

    def complete(line: str) -> set[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [*words, line],
            env={**node.environment, "PATH": path, "HOME": str(node.root)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == "", shlex.quote(line)
        # zsh and fish show a word's help beside it.
        return {re.split(r":|\t", line)[0].strip() for line in done.stdout.splitlines() if line.strip()}

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
        ("vmsvc sdk test vmsvc-n", {"vmsvc-null"}),
        ("vmsvc sdk test --clause li", {"life"}),
        ("vmsvc boot ", {"web", "db"}),
        ("vmsvc start db --force ", {"n2", "n3", "0x00000000000000b2"}),
        ("vmsvc validate-disks db --scratch ", {"/dev/spare"}),
        ("vmsvc node ", {"mode", "peer", "prkey"}),
        ("vmsvc node mode P", {"PRD"}),
        ("vmsvc node peer ", {"add", "remove"}),
        ("vmsvc node peer remove ", {"n3"}),
        ("vmsvc keywords ", {"DEFAULT", "container", "vmdg"}),
        ("vmsvc keywords container ", {"null"}),
        ("svcmgr -s ", {"web", "db"}),
        ("svcmgr -s web pri", {"print"}),
        ("svcmgr -s web boo", {"boot"}),
        ("svcmgr -s db start --force ", {"n2", "n3"}),
        ("svcmgr -s web print ", {"status"}),
    ],
)
def test_a_shell_offers(offered, line, among):
    assert among <= offered(line)


def test_what_is_named_already_is_not_offered_again(offered):
    assert "web" not in offered("vmsvc start web ")


def test_nothing_is_offered_and_nothing_said_where_a_file_is_wrong(node, offered):
    (node.services_dir / "web.conf").write_text("nonsense\n")
    assert offered("vmsvc start web --rid c") == set()
