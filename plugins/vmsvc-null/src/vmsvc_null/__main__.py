"""The simulated hypervisor's own command: ``python -m vmsvc_null ROOT set NAME phase=paused``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vmsvc.driver import Value, boolean, line, seconds, words
from vmsvc_null.driver import verbs
from vmsvc_null.hypervisor import Hypervisor

_SETTINGS: dict[str, Value[str] | Value[float] | Value[bool] | Value[tuple[str, ...]]] = {
    "phase": line,
    "start_delay": seconds,
    "stop_delay": seconds,
    "dies_after": seconds,
    "move_delay": seconds,
    "ignore_stop": boolean,
    "fail": verbs,
    "hang": verbs,
    "autostart": boolean,
    "disks": words,
}
_EVERYTHING = "*"


def _setting(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or key not in _SETTINGS:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE with one of {', '.join(_SETTINGS)}")
    try:
        return key, _SETTINGS[key].parse(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{key}: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vmsvc_null", description="Handle a node's simulated hypervisor.")
    parser.add_argument("root", type=Path, metavar="ROOT", help="the root of the node's files, as in VMSVC_ROOT")
    commands = parser.add_subparsers(dest="command", required=True)
    change = commands.add_parser("set", help="change a machine, or how the hypervisor behaves")
    change.add_argument("name", metavar="NAME", help=f"the machine; {_EVERYTHING} for the hypervisor itself")
    change.add_argument("settings", nargs="+", type=_setting, metavar="KEY=VALUE", help=", ".join(_SETTINGS))
    show = commands.add_parser("show", help="print a machine's state")
    show.add_argument("name", metavar="NAME")
    commands.add_parser("log", help="print what was asked: time, process, machine, verb, and whether it had an effect")
    return parser


def main(argv: Sequence[str] | None = None, say: Callable[[str], object] = print) -> int:
    """Run the command.

    Args:
        argv: The arguments; the process's own when not given.
        say: Called with each line of output.

    Returns:
        The exit code.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    hypervisor = Hypervisor.of_node(arguments.root)
    if arguments.command == "set":
        try:
            hypervisor.set(None if arguments.name == _EVERYTHING else arguments.name, **dict(arguments.settings))
        except ValueError as error:
            parser.error(str(error))
    elif arguments.command == "show":
        say(hypervisor.machine(arguments.name).phase)
    else:
        for entry in hypervisor.log():
            at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(entry.at))
            say(f"{at} {entry.pid} {entry.machine} {entry.verb} {'done' if entry.effect else 'nothing to do'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
