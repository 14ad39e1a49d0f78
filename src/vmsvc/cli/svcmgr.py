"""``svcmgr``: the command with the grammar of old."""

from __future__ import annotations

import sys

from vmsvc.cli import end_quietly_when_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``svcmgr``.

    Args:
        argv: The arguments; the process's own when not given.

    Returns:
        The exit code.
    """
    if argv is None:
        end_quietly_when_interrupted()
    from vmsvc.cli.call import run  # noqa: PLC0415 - see the package's docstring
    from vmsvc.cli.legacy import Legacy  # noqa: PLC0415

    return run(Legacy(), sys.argv[1:] if argv is None else list(argv))
