"""The grammar of ``vmsvc``: its commands, their options, their help.

A command names the function that runs it as text, so that nothing but the one that was asked for is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vmsvc import __version__
from vmsvc.cli.phrases import Commands, common, limits, name, names, positive
from vmsvc.cli.words import Parser

_EXIT_CODES = """\
exit codes:
  0  done; for status: every status was determined, down included
  1  failed, and rolled back
  2  usage or configuration
  3  refused by a safety rule
  4  could not be determined
Of several services, the highest code counts. `vmsvc COMMAND --help` has more on each command."""

#: Commands that only look. They are asked for most often, and not kept waiting for the grammar of the others.
_LOOKS = ("status", "print", "ls", "show")


def parser(prog: str = "vmsvc", *, words: Sequence[str] = ()) -> Parser:
    """The parser of ``vmsvc``.

    Args:
        prog: The program's name, as help and errors show it.
        words: What it is going to parse, if that is known: of commands that these words do not name it may learn only
            once something is wrong with them, to tell what would have been right.
    """
    looks = bool(words) and words[0] in _LOOKS
    top = Parser(
        whole=partial(parser, prog) if looks else None,
        prog=prog,
        description="Virtual machines and containers as services: the same start, stop and status for all of them.",
        epilog=_EXIT_CODES,
    )
    top.add_argument("--version", action="version", version=f"vmsvc {__version__}")
    top.set_defaults(format="text", color="auto", verbose=False)
    common(top)
    commands = Commands(top.add_subparsers(metavar="COMMAND", title="commands", required=True))
    _looking(commands)
    if looks:
        return top
    from vmsvc.cli import grammar_acting, grammar_files  # noqa: PLC0415

    grammar_acting.add(commands)
    grammar_files.add(commands)
    return top


def _looking(commands: Commands) -> None:
    status = commands.add(
        "status",
        "looking:status",
        "tell whether services are up",
        about="One line for each service, and beneath it whatever is not plainly up or down.",
        examples=("vmsvc status", "vmsvc status web 'db*'", "vmsvc status --format json web"),
    )
    names(status, required=False)
    limits(status)
    _nodes(status)
    printing = commands.add(
        "print", "looking:print_status", "print the status of services in full", examples=("vmsvc print status web",)
    )
    # Not a sub-command of its own: there is only one thing to print.
    printing.add_argument("what", choices=("status",), help="the one thing to print")
    names(printing, required=False)
    limits(printing)
    _nodes(printing)
    listing = commands.add("ls", "looking:ls", "list the services of this node")
    listing.add_argument("-l", "--long", action="store_true", help="with their types, nodes and files")
    show = commands.add(
        "show",
        "looking:show",
        "show a service: its settings, defaults included, and its guests",
        examples=(
            "vmsvc show web",
            "vmsvc show web --config",
            "vmsvc show web --disks",
            "vmsvc show web --history --limit 5",
            "vmsvc show web --history --since '2026-01-31 18:00'",
            "vmsvc show web --drift",
        ),
    )
    name(show)
    what = show.add_mutually_exclusive_group()
    what.add_argument("--config", action="store_true", help="print the file as it is; ask no hypervisor")
    what.add_argument("--disks", action="store_true", help="its disks, as `vmsvc diskupdate` last found them")
    what.add_argument("--history", action="store_true", help="what push and diskupdate found, and what changed when")
    what.add_argument(
        "--drift",
        action="store_true",
        help="compare its guests' definitions: live, persistent, and kept by push; exits with 1 where they differ",
    )
    show.add_argument("--limit", type=positive, metavar="N", help="of the history, the newest N only")
    show.add_argument(
        "--since", metavar="WHEN", help="of the history, what was so since: a date, or 12h for a duration"
    )


def _nodes(command: Parser) -> None:
    """Which nodes are looked at."""
    which = command.add_mutually_exclusive_group()
    which.add_argument("--peers", action="store_true", help="ask the other nodes of the services, too")
    which.add_argument("--local", action="store_true", help="ask no other node, whatever is seen here")
