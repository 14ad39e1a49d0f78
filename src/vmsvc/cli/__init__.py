"""The command line: the only room that prints, colours, draws progress and exits.

It is thin: every command parses its words, calls a :class:`vmsvc.Session`, and shows what that says. Nothing is
imported before a command needs it, since start-up is most of what a short command costs.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a safety rule, 4 could not be determined, 130
interrupted. A command for several services exits with the highest of their codes.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
else:
    # The half of it that is written in C: the other half defines enumerations, which takes longer than all else here,
    # and an interrupt in the meantime would be told with a traceback.
    import _signal as signal

__all__ = ["main"]


def end_quietly_when_interrupted() -> None:
    """Let an interrupt end this process at once, without a traceback, until a command can do better.

    For programs' entry points, before anything is imported that takes its time. An ignored interrupt stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def collect_garbage_rarely() -> None:
    """Let a command keep what it makes to its end, which is near; looking for garbage finds little else than that.

    For programs' entry points.
    """
    import gc  # noqa: PLC0415

    gc.set_threshold(50_000)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vmsvc``.

    Args:
        argv: The arguments; the process's own when not given.

    Returns:
        The exit code.
    """
    if argv is None:
        end_quietly_when_interrupted()
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["--version"]:
        from vmsvc import __version__  # noqa: PLC0415 - see the module's docstring

        print(f"vmsvc {__version__}")  # noqa: T201 - without the cost of a screen
        return 0
    if argv is None:
        collect_garbage_rarely()
    from vmsvc.cli import grammar  # noqa: PLC0415
    from vmsvc.cli.call import run  # noqa: PLC0415

    return run(grammar.parser(words=words), words)
