"""Recorded sessions: what real tools have printed, as files that parsers and stand-ins are both held to.

A file begins with where it comes from, in lines with ``#``. Each exchange begins with ``--- $`` and the command, ends
with ``rc=`` and the exit code, and has between them what was printed; lines of standard error begin with
``[stderr]``::

    # origin: acmectl 1.2 on acmeOS 7
    --- $ acmectl state web
    [stderr] acmectl: no such guest: web
    rc=4
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

_COMMAND, _CODE, _ERROR = "--- $ ", "rc=", "[stderr] "


@frozen(kw_only=True)
class Exchange:
    """A command, and what became of it.

    Attributes:
        argv: The command.
        out: What it printed.
        err: What it printed to standard error.
        code: Its exit code.
    """

    argv: tuple[str, ...]
    out: str
    err: str
    code: int

    def __str__(self) -> str:
        """The command, for the names of tests."""
        return shlex.join(self.argv)


def exchanges(file: Path) -> Iterator[Exchange]:
    """Read a recorded session.

    Args:
        file: Where it is.

    Yields:
        Its exchanges, in their order.
    """
    argv: tuple[str, ...] = ()
    out: list[str] = []
    err: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith(_COMMAND):
            argv, out, err = tuple(shlex.split(line[len(_COMMAND) :])), [], []
        elif argv and line.startswith(_CODE):
            yield Exchange(argv=argv, out=_lines(out), err=_lines(err), code=int(line[len(_CODE) :]))
            argv = ()
        elif argv and line.startswith(_ERROR.rstrip()):
            err.append(line[len(_ERROR) :])
        elif argv:
            out.append(line)


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
