"""The command line: the only room that prints, colours, draws progress and exits.

It is thin: every command parses its words, calls a :class:`vmsvc.Session`, and shows what that says. Nothing is
imported before a command needs it, since start-up is most of what a short command costs.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a safety rule, 4 could not be determined, 130
interrupted. A command for several services exits with the highest of their codes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vmsvc``.

    Args:
        argv: The arguments; the process's own when not given.

    Returns:
        The exit code.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["--version"]:
        from vmsvc import __version__  # noqa: PLC0415 - see the module's docstring

        print(f"vmsvc {__version__}")  # noqa: T201 - without the cost of a screen
        return 0
    from vmsvc.cli import grammar  # noqa: PLC0415
    from vmsvc.cli.call import run  # noqa: PLC0415

    return run(grammar.parser(), words)
