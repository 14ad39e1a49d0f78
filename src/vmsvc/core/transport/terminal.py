"""Run a program that talks with the person at this terminal, such as an editor."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from vmsvc.core.errors import UsageError
from vmsvc.core.transport.command import inherited


def run_on_terminal(argv: Sequence[str], *, spares_output: bool = False) -> int:
    """Run a program with our own standard streams, and wait for it for as long as it takes.

    To be called before anything that has threads is in use: it forks.

    Args:
        argv: The program, and its arguments.
        spares_output: Whether what it prints goes to standard error, since standard output is for others.

    Returns:
        Its exit code; the negative signal number where a signal ended it.

    Raises:
        UsageError: There is no such program.
    """
    import sh  # noqa: PLC0415 - only who edits pays for it

    try:
        with _output_to_errors() if spares_output else contextlib.nullcontext():
            sh.Command(argv[0])(*argv[1:], _fg=True, _env=inherited(os.environ))
    except sh.CommandNotFound:
        raise UsageError(f"there is no program {argv[0]!r}", code="usage.no-such-program") from None
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return 0


@contextlib.contextmanager
def _output_to_errors() -> Iterator[None]:
    """Have what this process and its children print go to standard error for a while."""
    sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)
