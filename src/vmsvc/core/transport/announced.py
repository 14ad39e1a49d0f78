"""Commands that are handed to a shell by a tool which has words and exit codes of its own. Pure.

A tool prints notes beside what the command prints, and ends with a code of its own where it has run nothing. So the
command comes with a few lines that say, after a word that nobody else says, whether it is run; what stands before is
the tool's, and all that comes after, with the exit code, is the command's.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

from attrs import evolve, field, frozen

from vmsvc.core.transport import OUTPUT_LIMIT, Outcome

_RUN = """\
case $1 in
*/*) [ -f "$1" ] && [ -x "$1" ] ;;
*) command -v -- "$1" >/dev/null 2>&1 ;;
esac || { printf '%s none\\n' "$0"; exit 0; }
printf '%s runs\\n' "$0"
exec "$@"
"""

_VARIABLE = "VMSVC_ENTRY"
# Several times, in case one was just making another.
_KILL = """\
command -v grep >/dev/null || exit 1
for again in 1 2 3; do
    for of in $(grep -l "$0" /proc/[0-9]*/environ); do
        of=${of%/environ}
        kill -9 "${of#/proc/}"
    done
done 2>/dev/null
for again in 1 2 3 4 5; do
    grep -q "$0" /proc/[0-9]*/environ 2>/dev/null || exit 0
    sleep 0.1 2>/dev/null
done
exit 1
"""


@frozen
class Announced:
    """A command that says that it is run, before it prints anything.

    Attributes:
        argv: The program and its arguments.
        mark: What it says.
    """

    argv: Sequence[str]
    mark: str = field(factory=lambda: os.urandom(16).hex())

    def line(self, environment: Mapping[str, str]) -> str:
        """The line for the shell.

        Args:
            environment: Variables to set.
        """
        variables = [f"{name}={value}" for name, value in environment.items()]
        return shlex.join(["exec", "env", *variables, *self.words])

    @property
    def words(self) -> tuple[str, ...]:
        """The command, for a tool that takes one as it is."""
        return ("sh", "-c", _RUN, self.mark, *self.argv)

    @property
    def marked(self) -> dict[str, str]:
        """The variable by which :attr:`killing` finds what the command has started, however far that has gone."""
        return {_VARIABLE: self.mark}

    @property
    def killing(self) -> tuple[str, ...]:
        """A command that kills it with all that it has started, and succeeds where nothing of that is left.

        It is to be run where those processes are seen, and only finds them where :attr:`marked` was among their
        variables. It takes sh and grep.
        """
        return ("sh", "-c", _KILL, self.mark)

    def printed(self, stdout: bytes) -> bytes | None:
        """What the command has printed; ``None`` where it was not run.

        Args:
            stdout: What the tool has printed.
        """
        return stdout.partition(self._note("runs"))[2] if self._note("runs") in stdout else None

    @property
    def keep(self) -> int:
        """How much of what the tool prints must be kept, in bytes, so that enough is left of the command's own."""
        return OUTPUT_LIMIT + len(self._note("runs"))

    def left_by_command(self, done: Outcome) -> Outcome | None:
        """What the command has left behind; ``None`` where it was not run.

        Args:
            done: What the tool has left behind, of which :attr:`keep` was kept.
        """
        printed = self.printed(done.stdout)
        if printed is None:
            return None
        return evolve(
            done,
            argv=tuple(self.argv),
            stdout=printed[:OUTPUT_LIMIT],
            stderr=done.stderr[:OUTPUT_LIMIT],
            truncated=done.truncated or max(len(printed), len(done.stderr)) > OUTPUT_LIMIT,
        )

    def is_missing(self, stdout: bytes) -> bool:
        """Whether the shell was asked, and there is no such program, or it may not be run.

        Args:
            stdout: What the tool has printed.
        """
        return self._note("none") in stdout

    def _note(self, word: str) -> bytes:
        return f"{self.mark} {word}\n".encode()
