"""Run a program that talks with the person at this terminal, such as an editor."""

from __future__ import annotations

from collections.abc import Sequence

from vmsvc.core.errors import UsageError


def run_on_terminal(argv: Sequence[str]) -> int:
    """Run a program with our own standard streams, and wait for it for as long as it takes.

    To be called before anything that has threads is in use: it forks.

    Args:
        argv: The program, and its arguments.

    Returns:
        Its exit code; the negative signal number where a signal ended it.

    Raises:
        UsageError: There is no such program.
    """
    import sh  # noqa: PLC0415 - only who edits pays for it

    try:
        sh.Command(argv[0])(*argv[1:], _fg=True)
    except sh.CommandNotFound:
        raise UsageError(f"there is no program {argv[0]!r}", code="usage.no-such-program") from None
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return 0
