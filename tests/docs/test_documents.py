"""The documentation as a whole: every block is known, generated parts are current, shown commands exist, links lead somewhere.

The examples themselves are collected from the documents, by the conftest.py at the top.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import conftest
from docs import examples, generate
from vmsvc.cli import grammar
from vmsvc.core.errors import UsageError
from vmsvc.core.planning.rules import Ruling, judge
from vmsvc.core.resource import Guest
from vmsvc.core.status import Evidence, Observation, Phase
from vmsvc.core.transport.local import LocalHost
from vmsvc.core.verb import Verb

TREE = Path(__file__).parents[2]
PAGES = [TREE / "README.md", TREE / "CONTRIBUTING.md", *sorted(TREE.glob("docs/**/*.md"))]
page_test = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(TREE)) for page in PAGES])


def fences(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", sorted(generate.REFERENCE.glob("*.md")), ids=lambda page: page.name)
def test_generated_parts_are_current(page):
    if missing := generate.missing():
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert page.read_text() == generate.renewed(page.read_text()), "run `python -m docs.generate`"


@page_test
def test_every_command_that_is_shown_and_not_run_is_understood(page):
    known = {"demo", "test", "install", "uninstall"}
    helped = subprocess.run([TREE / "quickstart", "help"], capture_output=True, text=True, check=True).stdout
    for line in "".join(fences(page, "sh")).splitlines():
        words = shlex.split(line.partition(" | ")[0], comments=True)
        if words[:1] == ["./quickstart"]:
            assert words[1] in known
            assert re.search(rf"^  {words[1]}\b", helped, re.MULTILINE)
        elif words[:1] == ["vmsvc"]:
            grammar.parser().parse(words[1:])


def test_that_check_can_fail():
    with pytest.raises(UsageError):
        grammar.parser().parse(["stat", "web"])


def test_units_of_systemd_start_commands_that_there_are():
    units = re.findall(r"^ExecStart=/usr/local/bin/vmsvc (.*)$", "".join(map(Path.read_text, PAGES)), re.MULTILINE)

    assert units
    for words in units:
        grammar.parser().parse(shlex.split(words))


def test_no_docstring_has_an_example_that_is_not_run():
    sources = sorted(TREE.glob("src/**/*.py"))
    with_examples = [file for file in sources if re.search(r"^ +>>> ", file.read_text(), re.MULTILINE)]

    assert with_examples
    assert [file for file in with_examples if not conftest.docstrings.should_parse(file)] == []


@page_test
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#[^)]*)?\)", page.read_text()):
        assert not target or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_reached_from_the_index():
    trees = "\n".join(re.findall(r"```\{toctree\}\n(.*?)```", (TREE / "docs/index.md").read_text(), re.DOTALL))
    listed = {line for line in trees.splitlines() if line and not line.startswith(":")}
    assert listed == {
        page.relative_to(TREE / "docs").with_suffix("").as_posix()
        for page in TREE.glob("docs/*/*.md")
        if page.parent.name != "_build"
    }


@pytest.mark.parametrize("name", ["write-a-driver", "use-from-python"])
def test_code_to_copy_is_strictly_typed(tmp_path, name):
    blocks = fences(TREE / f"docs/how-to/{name}.md", "python")
    files = [tmp_path / f"block{number}.py" for number in range(len(blocks))]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        tmp_path / "cache",
        *files,
    ]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert files
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_phases_mean_what_the_table_for_authors_says():
    starts = {
        "nothing to do": Ruling.NEEDLESS,
        "starts": Ruling.DO,
        "refuses": Ruling.FORBIDDEN,
        "cannot tell: exit code 4": Ruling.UNKNOWN,
    }
    stops = {**starts, "asks, then forces": Ruling.DO, "forces at once": Ruling.UNHEARD}
    guest = Guest(service="web", rid="container#1", kind="container", type="null", name="web")
    told, ruled = {}, {}
    rows = re.findall(
        r"^\| (`[A-Z` ]+`) \| (\w+) \| ([^|]+) \| ([^|]+) \|$",
        (TREE / "docs/how-to/write-a-driver.md").read_text(),
        re.MULTILINE,
    )
    for phases, status, start, stop in rows:
        for phase in re.findall(r"\w+", phases):
            told[phase] = status, starts[start], stops[stop]
    for phase in set(Phase) - {Phase.INAPPLICABLE, Phase.INCAPABLE}:  # which no guest has
        seen = Observation(phase=phase, state="", evidence=Evidence(probe=""))
        rulings = [judge(verb, guest, seen, ()).ruling for verb in (Verb.START, Verb.STOP)]
        ruled[phase.name] = str(phase.status), *rulings
    assert told == ruled


def test_what_the_page_launches_outlives_its_command(tmp_path):
    page = (TREE / "docs/how-to/write-a-driver.md").read_text()
    [shown] = re.findall(r"`(\[\"setsid\".*?), \"my-hypervisor\"", page)
    script = "echo $$; echo $$ >$0; exec sleep 60"
    pid_file = tmp_path / "pid"
    with contextlib.closing(LocalHost()) as host:
        launched = host.run([*ast.literal_eval(f"{shown}]"), "sh", "-c", script, str(pid_file)], budget_s=10)
    assert (launched.code, launched.out) == (0, "")
    deadline = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pid = int(pid_file.read_text())
    try:
        assert os.getsid(pid) == pid
        assert {str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)} == {os.devnull}
    finally:
        os.kill(pid, signal.SIGKILL)  # fails where it has not outlived the host


def test_the_driver_to_copy_is_small():
    [driver] = fences(TREE / "docs/how-to/write-a-driver.md", "python")
    assert len([line for line in driver.splitlines() if line]) < 60


def run_block(tmp_path: Path, text: str) -> list[str | None]:
    """What the harness finds wrong with each block of a page."""
    page = tmp_path / "page.md"
    page.write_text(text)
    document = examples.sybil().parse(page)
    document.namespace["page"] = examples.Page()
    try:
        return [example.region.evaluator(example) for example in document.examples()]
    finally:
        document.namespace["page"].close()


@pytest.mark.parametrize(
    "block",
    [
        "```console\n$ echo one\ntwo\n```",
        "```console\n$ echo one\n```",
        "```console\n$ false\n```",
        "```python\nassert False\n```",
        "```ini\n[container#1]\ntipe = kvm\n```",
        "```toml\n[DEFAULT]\nnodez = 3\n```",
    ],
)
def test_the_harness_tells_what_is_wrong(tmp_path, block):
    [wrong] = run_block(tmp_path, block)
    assert wrong


def test_the_harness_keeps_a_shell_for_a_page(tmp_path):
    page = """
```console
$ export WORD=hello
$ mkdir inside && cd inside
$ (exit 3)
$ echo $?
3
```

<!-- file: inside/script.sh -->
```text
echo "$WORD, 1.5 s"
```

<!-- lab -->
```console
$ false
```

```console
$ sh script.sh
hello, 0.2 s
$ seq 5 \\
>   | tail -n 3
3
...
```
"""
    assert run_block(tmp_path, page) == [None, None, None]


def test_an_unknown_language_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nobody knows how to run a block of 'rst'"):
        run_block(tmp_path, "```rst\ntext\n```")
