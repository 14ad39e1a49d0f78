"""Measure two sides by turns: processes and functions, in wall-clock and processor time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import Factory, frozen

from benchmarks.table import Figure


class Unavailable(Exception):
    """A benchmark cannot run here; the text says why."""


@frozen
class Sample:
    """What one run took.

    Attributes:
        wall_s: Seconds on the clock.
        cpu_s: Seconds of processor time, in user and in system mode; those of daemons that were asked not included.
    """

    wall_s: float
    cpu_s: float

    def __add__(self, other: Sample) -> Sample:
        return Sample(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)


#: Something that can be run again and again, and tells what it took.
Runnable = Callable[[], Sample]


@frozen
class Command:
    """A whole process, from its start to its end.

    Attributes:
        argv: The command with its arguments.
        environment: What it finds in its environment.
        exit_codes: How it may end; anything else is no measurement.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = Factory(dict)
    exit_codes: tuple[int, ...] = (0,)

    def __call__(self) -> Sample:
        """Run it, with nobody who reads its output.

        Raises:
            Unavailable: It failed.
        """
        began = time.perf_counter()
        # Measured with what the kernel counts for this one child: other children may run at the same time.
        process = subprocess.Popen(
            self.argv, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.stderr.close()
        process.returncode = code = os.waitstatus_to_exitcode(status)
        if code not in self.exit_codes:
            raise Unavailable(f"{' '.join(self.argv[:4])} … exit {code}: {complaint.decode(errors='replace').strip()}")
        return Sample(wall_s, usage.ru_utime + usage.ru_stime)

    def peak_mib(self) -> float:
        """The most memory that it holds at a time (resident, as getrusage(2) tells it), in MiB.

        A process inherits the peak of the one that started it, so a Python that has loaded nothing starts it.
        """
        answer = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PEAK, *self.argv],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(answer.stderr.split()[-1]) / 1024


_PEAK = """
import os, sys
pid = os.fork()
if not pid:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
print(os.wait4(pid, 0)[2].ru_maxrss, file=sys.stderr)
"""


def timed(work: Callable[[], object]) -> Runnable:
    """Make a function of this process measurable.

    Args:
        work: The function.
    """

    def run() -> Sample:
        began, spent = time.perf_counter(), time.process_time()
        work()
        return Sample(time.perf_counter() - began, time.process_time() - spent)

    return run


@frozen
class Comparison:
    """Two sides, measured by turns.

    Attributes:
        ours: The samples of vmsvc, one a round.
        theirs: Those of what it is compared with, in the same rounds.
    """

    ours: Sequence[Sample]
    theirs: Sequence[Sample]

    @property
    def ratio(self) -> Figure:
        """How many times as long ours took, round by round."""
        return Figure.of([mine.wall_s / other.wall_s for mine, other in zip(self.ours, self.theirs, strict=True)])

    @property
    def told(self) -> str:
        """Both sides in milliseconds, and the ratio of processor time."""
        mine, other = (1000 * Figure.of([one.wall_s for one in side]).median for side in (self.ours, self.theirs))
        cpu = Figure.of(
            [mine.cpu_s / (other.cpu_s or 1e-9) for mine, other in zip(self.ours, self.theirs, strict=True)]
        )
        return f"{mine:.3g} ms : {other:.3g} ms; processor time {cpu.median:.3g} x"


def side_by_side(ours: Runnable, theirs: Runnable | Iterable[Runnable], *, rounds: int) -> Comparison:
    """Run both sides by turns, after one run of each that does not count.

    Args:
        ours: What is measured.
        theirs: What it is measured against; of several, the sum.
        rounds: How often.

    Returns:
        All samples.
    """
    others = [theirs] if callable(theirs) else list(theirs)

    def their_turn() -> Sample:
        return sum((other() for other in others), Sample(0.0, 0.0))

    ours()
    their_turn()
    mine, their = [], []
    for number in range(rounds):
        if number % 2:  # whoever comes first may find warmer caches, or colder ones
            mine.append(ours())
            their.append(their_turn())
        else:
            their.append(their_turn())
            mine.append(ours())
    return Comparison(mine, their)
