"""Commands that are handed to a shell by a tool which has words and exit codes of its own. Pure.

A tool prints notes beside what the command prints, and ends with a code of its own where it has run nothing. So the
command comes with a few lines that say, after a word that nobody else says, whether it is run; what stands before is
the tool's, and all that comes after, with the exit code, is the command's.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

from attrs import field, frozen

_RUN = """\
case $1 in
*/*) [ -f "$1" ] && [ -x "$1" ] ;;
*) command -v -- "$1" >/dev/null 2>&1 ;;
esac || { printf '%s none\\n' "$0"; exit 0; }
printf '%s runs\\n' "$0"
exec "$@"
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
        return shlex.join(["exec", "env", *variables, "sh", "-c", _RUN, self.mark, *self.argv])

    def printed(self, stdout: bytes) -> bytes | None:
        """What the command has printed; ``None`` where it was not run.

        Args:
            stdout: What the tool has printed.
        """
        return stdout.partition(f"{self.mark} runs\n".encode())[2] if self._says(stdout, "runs") else None

    def is_missing(self, stdout: bytes) -> bool:
        """Whether the shell was asked, and there is no such program, or it may not be run.

        Args:
            stdout: What the tool has printed.
        """
        return self._says(stdout, "none")

    def _says(self, stdout: bytes, word: str) -> bool:
        return f"{self.mark} {word}\n".encode() in stdout
