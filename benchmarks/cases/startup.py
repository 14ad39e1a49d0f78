"""Starting up: what a command costs before it does anything, beside Python's own start."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.run import Run
from benchmarks.table import Row


def measure(run: Run) -> Iterator[Row]:
    """Compare ``vmsvc --version``, which loads no plugin, and ``vmsvc --help`` with a Python that does nothing.

    Args:
        run: The run.
    """
    nothing = run.python("pass")
    yield run.compare("vmsvc --version", run.vmsvc("--version"), "python -c pass", nothing, at_most=2.5)
    yield run.compare("vmsvc --help", run.vmsvc("--help"), "python -c pass", nothing)
    yield run.compare("vmsvc ls, no service", run.vmsvc("ls"), "python -c pass", nothing)
