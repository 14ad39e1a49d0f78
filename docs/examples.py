"""Runs the documentation's examples: every fenced block of a page, in order, in a directory of the page's own.

============  ==========================================================================================================
a block of    is
============  ==========================================================================================================
``console``   run: what follows ``$`` is a command for bash, the lines after it are what it prints (``...`` matches
              anything, a number of seconds any other). A command that fails is followed by ``$ echo $?``
``ini``       a service file, and must be right; so must ``toml``
``python``    run as a program of its own
``text``      not run, like ``json`` and ``sh``
============  ==========================================================================================================

``<!-- file: PATH -->`` before a block writes it to that path instead. ``<!-- lab -->`` leaves a block to the lab's
tests. A page runs as node ``n1`` with its directory as the root, and in a virtual environment of its own, so that
it may install packages.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

_TIMEOUT_S = 60
_MARKER = re.compile(r"<!-- (?P<word>file|lab)(?:: (?P<path>[^\n]+))? -->\n\s*\Z")
_SECONDS = re.compile(r"\d+\.\d s\b")
_SCRIPTS = {"vmsvc": "vmsvc.cli", "svcmgr": "vmsvc.cli.svcmgr"}
#: Languages of blocks that are shown only.
SHOWN = frozenset({"text", "json", "sh"})
TREE = Path(__file__).resolve().parents[1]


class Page:
    """The directory, environment and shell of one page.

    Args:
        environment: Variables for its commands, on top of what every page has.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="vmsvc-docs-")
        scratch = Path(self._scratch.name).resolve()
        self.directory = scratch / "page"
        self.directory.mkdir()
        self._state = scratch / "state.sh"
        self._state.touch()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("VMSVC_", "PIP_", "PYTHON"))},
            "PATH": f"{_python_of_its_own(scratch / 'venv')}:{os.environ['PATH']}",
            "VMSVC_ROOT": str(self.directory),
            "VMSVC_NODENAME": "n1",
            "HOME": str(scratch),
            "COLUMNS": "120",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            # Packages are built with what is there, from no index: a page needs no network.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            **(environment or {}),
        }

    def close(self) -> None:
        """Remove everything."""
        self._scratch.cleanup()

    def write(self, path: str, content: str) -> None:
        """Write a file of the page.

        Args:
            path: Where, relative to the page's directory.
            content: Its text.
        """
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def aside(self, name: str, content: str) -> str:
        """Write a file that is not the page's own.

        Args:
            name: Its name.
            content: Its text.

        Returns:
            Its path, for a shell.
        """
        file = self._state.with_name(name)
        file.write_text(content)
        return shlex.quote(str(file))

    def run(self, command: str) -> tuple[str, int]:
        """Run a command in the page's shell; variables, directory and ``$?`` are those that the last one left.

        Args:
            command: What a reader types.

        Returns:
            What it printed, errors included, and its exit code.
        """
        state = shlex.quote(str(self._state))
        keep = f'code=$?; {{ export -p; printf "cd %q; (exit %s)\\n" "$PWD" "$code"; }} >{state}; exit "$code"'
        done = subprocess.run(  # noqa: S603 - the commands are the documentation's
            ["bash", "-c", f". {state}\n{command}\n{keep}"],  # noqa: S607 - found as a reader's shell is
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return done.stdout, done.returncode


def _python_of_its_own(directory: Path) -> str:
    """Make a virtual environment that sees what this one has, and can be installed into.

    Returns:
        Its directory of commands.
    """
    venv.create(directory, symlinks=True)
    packages = next(directory.glob("lib/python*/site-packages"))
    outer = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    packages.joinpath("outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in outer))
    commands = directory / "bin"
    for name, module in _SCRIPTS.items():
        script = commands / name
        script.write_text(f"#!{commands / 'python'}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    return str(commands)


# --- blocks ----------------------------------------------------------------------------------------------------------


def blocks(document: Document, *, lab: bool = False) -> Iterator[Region]:
    """The blocks of a page that are run: a parser for Sybil.

    Args:
        document: The page.
        lab: Whether to yield those that are for the lab, instead of the others.

    Yields:
        A region for each, with how to run it.
    """
    for region in FencedCodeBlockLexer(r".+", mapping={"language": "arguments", "source": "source"})(document):
        language = region.lexemes["arguments"]
        marker = _MARKER.search(document.text, 0, region.start)
        word = marker["word"] if marker else ""
        if (word == "lab") is not lab:
            continue
        region.parsed = region.lexemes["source"]
        if word == "file" and marker:
            region.parsed = (marker["path"], str(region.parsed))
            region.evaluator = _write
        elif language in _EVALUATORS:
            region.evaluator = _EVALUATORS[language]
        elif language in SHOWN or language.startswith("{"):  # {toctree} and the like are Sphinx's
            continue
        else:
            raise ValueError(f"{document.path}: nobody knows how to run a block of {language!r}")
        yield region


def _write(example: Example) -> None:
    path, content = example.parsed
    _page(example).write(path, content)


def _run_console(example: Example) -> str | None:
    """Run each command, and compare what it printed with what the page says."""
    page = _page(example)
    told = list(_commands(example.parsed))
    for number, (command, expected) in enumerate(told):
        printed, code = page.run(command)
        if not is_as_told(expected, printed):
            return f"$ {command}\n--- expected\n{expected}--- printed (exit code {code})\n{printed}"
        follows = told[number + 1][0] if number + 1 < len(told) else ""
        if code and follows != "echo $?":
            return f"$ {command}\n{printed}--- failed with exit code {code}; if that is meant, show it with `echo $?`"
    return None


def is_as_told(expected: str, printed: str) -> bool:
    """Whether a command printed what the page says.

    Args:
        expected: What the page says.
        printed: What the command printed.
    """
    told, found = (_SECONDS.sub("0.0 s", _trimmed(text)) for text in (expected, printed))
    return doctest.OutputChecker().check_output(told, found, doctest.ELLIPSIS)


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _commands(source: str) -> Iterator[tuple[str, str]]:
    """Split a console block into commands and what they print; a line that ends in a backslash goes on in the next."""
    for part in re.split(r"^\$ ", source, flags=re.MULTILINE)[1:]:
        command, _, expected = re.sub(r"\\\n(?:> )?", "", part).partition("\n")
        yield command, expected


def _run_python(example: Example) -> str | None:
    page = _page(example)
    script = page.aside("block.py", example.parsed)
    printed, code = page.run(f"python {script}")
    return printed if code else None


def _validate(example: Example) -> str | None:
    page = _page(example)
    ending = {"ini": "conf", "toml": "toml"}[example.region.lexemes["arguments"]]
    printed, code = page.run(f"vmsvc validate {page.aside(f'block.{ending}', example.parsed)}")
    return printed if code else None


def _page(example: Example) -> Page:
    page: Page = example.namespace["page"]
    return page


_EVALUATORS = {"console": _run_console, "python": _run_python, "ini": _validate, "toml": _validate}


# --- for pytest ------------------------------------------------------------------------------------------------------


def _open(namespace: dict[str, Any]) -> None:
    namespace["page"] = Page()


def _close(namespace: dict[str, Any]) -> None:
    namespace["page"].close()


def sybil() -> Sybil:
    """The collector of the documentation's examples, for the conftest.py above all pages."""
    patterns = ["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md"]
    return Sybil([blocks], path=str(TREE), patterns=patterns, excludes=["plugins/*/*.md"], setup=_open, teardown=_close)
