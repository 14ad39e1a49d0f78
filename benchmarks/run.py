"""One run of benchmarks: what it was asked for, and the surroundings that all of its processes share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from attrs import field, frozen

from benchmarks.measure import Command, Comparison, Runnable, side_by_side
from benchmarks.table import Row

#: What a user's shell would not have set, and what changes how fast Python starts or writes.
_NOT_PASSED_ON = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "PYTHONDEVMODE", "VMSVC_TRACEBACK")


@frozen(kw_only=True, slots=False)
class Run:
    """What benchmarks are given.

    Attributes:
        directory: A directory of this run's own, gone when it has ended.
        sizes: How many services, or what else a benchmark counts, to measure with.
        rounds: How often each comparison is made.
    """

    directory: Path
    sizes: tuple[int, ...] = (1, 10, 100, 1000)
    rounds: int = field(default=9)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment of all processes: a root of their own, and compiled modules, as an installed vmsvc has."""
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        return {
            **kept,
            "PYTHONPYCACHEPREFIX": str(self.directory / "compiled"),
            "VMSVC_ROOT": str(self.directory / "root"),
            "VMSVC_NODENAME": "n1",
            "LC_ALL": "C.UTF-8",
        }

    def vmsvc(self, *words: str) -> Command:
        """The command ``vmsvc``.

        Args:
            words: Its arguments.
        """
        return self.command(str(Path(sys.executable).with_name("vmsvc")), *words)

    def python(self, code: str) -> Command:
        """This very Python with a line of code.

        Args:
            code: The code.
        """
        return self.command(sys.executable, "-c", code)

    def command(self, *argv: str) -> Command:
        """Any command, in the environment of all.

        Args:
            argv: The command with its arguments.
        """
        return Command(argv, self.environment)

    def compare(
        self,
        what: str,
        ours: Runnable,
        against: str,
        *theirs: Runnable,
        size: int = 1,
        at_most: float | None = None,
        rounds: int | None = None,
    ) -> Row:
        """Measure two sides by turns and make a row of it.

        Args:
            what: What ours is.
            ours: What is measured.
            against: What theirs is.
            theirs: What it is measured against; of several, the sum.
            size: How many services, disks …
            at_most: What the ratio must not exceed.
            rounds: How often; the run's own number when not given.
        """
        found: Comparison = side_by_side(ours, theirs, rounds=rounds or self.rounds)
        return Row(what=what, against=against, size=size, value=found.ratio, at_most=at_most, told=found.told)
