"""The grammar of ``vmsvc``: its commands, their options, their help.

A command names the function that runs it as text, so that nothing but the one that was asked for is imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from vmsvc import __version__
from vmsvc.cli.words import Parser

_EXIT_CODES = """\
exit codes:
  0  done; for status: every status was determined, down included
  1  failed, and rolled back
  2  usage or configuration
  3  refused by a safety rule
  4  could not be determined
Of several services, the highest code counts. `vmsvc COMMAND --help` has more on each command."""

#: What `--dry-run` does to a file.
_SHOWN_ONLY = "show how the file would change, and write nothing"


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
    _common(top)
    commands = _Commands(top.add_subparsers(metavar="COMMAND", title="commands", required=True))
    _looking(commands)
    if looks:
        return top
    _acting(commands)
    _reserving(commands)
    _files(commands)
    _about(commands)
    return top


def _common(parser: argparse.ArgumentParser) -> None:
    """Options that may stand before the command or after it."""
    suppress = argparse.SUPPRESS
    parser.add_argument("--format", choices=("text", "json"), default=suppress, help="print text (default) or JSON")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default=suppress, help="colours; auto: on a terminal"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=suppress, help="log what is asked and run to standard error"
    )


class _Commands:
    """Adds commands that all have the common options."""

    def __init__(self, subparsers: Any) -> None:
        self._subparsers = subparsers

    def add(
        self,
        name: str,
        run: str,
        help: str,  # noqa: A002 - argparse's name for it
        *,
        examples: Sequence[str] = (),
        about: str = "",
        **defaults: object,
    ) -> Parser:
        description = help[0].upper() + help[1:] + "." + (f" {about}" if about else "")
        epilog = "\n  ".join(["examples:", *examples]) if examples else None
        command: Parser = self._subparsers.add_parser(name, help=help, description=description, epilog=epilog)
        command.set_defaults(run=run, **defaults)
        _common(command)
        return command

    def group(self, name: str, help: str) -> _Commands:  # noqa: A002 - argparse's name for it
        """A command that consists of others."""
        command: Parser = self._subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        return _Commands(command.add_subparsers(metavar="COMMAND", title="commands", required=True))


def _names(command: Parser, *, required: bool) -> None:
    """The names of services that a command is for."""
    text = "names of services, or patterns such as 'web*'" + ("" if required else "; all services when not given")
    names = command.add_argument("names", nargs="+" if required else "*", metavar="NAME", help=text)
    completed(names, "services")
    command.set_defaults(more="names")


def _name(command: Parser) -> None:
    completed(command.add_argument("name", metavar="NAME", help="the service's name"), "services")


def completed(action: argparse.Action, by: str) -> None:
    """Let a shell complete an argument.

    Args:
        action: The argument.
        by: The function of :mod:`vmsvc.cli.completion` that knows how.
    """

    def completer(**asked: Any) -> list[str]:
        from vmsvc.cli import completion  # noqa: PLC0415

        found: Callable[..., list[str]] = getattr(completion, by)
        return found(**asked)

    action.completer = completer  # type: ignore[attr-defined]


def _looking(commands: _Commands) -> None:
    status = commands.add(
        "status",
        "looking:status",
        "tell whether services are up",
        about="One line for each service, and beneath it whatever is not plainly up or down.",
        examples=("vmsvc status", "vmsvc status web 'db*'", "vmsvc status --format json web"),
    )
    _names(status, required=False)
    _limits(status)
    printing = commands.add(
        "print", "looking:print_status", "print the status of services in full", examples=("vmsvc print status web",)
    )
    # Not a sub-command of its own: there is only one thing to print.
    printing.add_argument("what", choices=("status",), help="the one thing to print")
    _names(printing, required=False)
    _limits(printing)
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
    _name(show)
    what = show.add_mutually_exclusive_group()
    what.add_argument("--config", action="store_true", help="print the file as it is; ask no hypervisor")
    what.add_argument("--disks", action="store_true", help="its disks, as `vmsvc diskupdate` last found them")
    what.add_argument("--history", action="store_true", help="what push and diskupdate found, and what changed when")
    what.add_argument(
        "--drift",
        action="store_true",
        help="compare its guests' definitions: live, persistent, and kept by push; exits with 1 where they differ",
    )
    show.add_argument("--limit", type=_positive, metavar="N", help="of the history, the newest N only")
    show.add_argument(
        "--since", metavar="WHEN", help="of the history, what was so since: a date, or 12h for a duration"
    )


def _acting(commands: _Commands) -> None:
    for action, text in (
        ("start", "start services"),
        ("stop", "stop services"),
        ("restart", "stop services and start them again"),
    ):
        command = commands.add(
            action,
            "acting:act",
            text,
            about="What is in the wanted state already is left alone.",
            examples=(f"vmsvc {action} web", f"vmsvc {action} 'web*' --parallel 4", f"vmsvc {action} web --dry-run"),
            action=action,
        )
        _names(command, required=True)
        _limits(command)
        _consents(command, action)
        _running(command)
    plan = commands.add(
        "plan",
        "acting:plan",
        "show what an action would do, and do nothing",
        about="Exits with what the action would be refused with; 0 if it may run.",
        examples=("vmsvc plan start web", "vmsvc plan stop 'web*' --kill"),
    )
    plan.add_argument("action", choices=("start", "stop", "restart"), metavar="ACTION", help="start, stop or restart")
    _names(plan, required=True)
    _limits(plan)
    _consents(plan, "restart")
    for verb, text, about in (
        ("freeze", "let nothing start services", "What runs goes on and may be stopped. Reboots change nothing."),
        ("thaw", "let services that are frozen start again", "It starts nothing by itself."),
    ):
        command = commands.add(
            verb,
            f"freezing:{verb}",
            text,
            about=about,
            examples=(f"vmsvc {verb} web", f"vmsvc {verb} 'web*' --dry-run"),
        )
        _names(command, required=True)
        if verb == "freeze":
            command.add_argument(
                "--reason", default="", metavar="TEXT", help="why, for those who find the services frozen"
            )
        command.add_argument("--dry-run", action="store_true", help="show what would change, and do nothing")
    monitor = commands.add(
        "monitor",
        "monitoring:monitor",
        "start again what this node has brought up and is down",
        about="As often as each resource's `restart` says; then the service's `monitor_action` is taken. It goes on "
        "until it is interrupted. Exits with 1 where something stays down, and with 4 where nobody can tell.",
        examples=("vmsvc monitor", "vmsvc monitor 'web*' --interval 30", "vmsvc monitor --once"),
    )
    _names(monitor, required=False)
    monitor.add_argument("--once", action="store_true", help="look once, do what is to be done, and end")
    monitor.add_argument(
        "--interval",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long from one look to the next (default: 10)",
    )
    monitor.add_argument("--dry-run", action="store_true", help="look once, show what is to be done, and do nothing")
    for topic, text in (
        ("push", "put configuration, status and guest facts into the node's own store"),
        ("diskupdate", "put the disks of the guests into the node's own store"),
    ):
        command = commands.add(topic, "storing:store", text, examples=(f"vmsvc {topic} web",), topic=topic)
        _names(command, required=True)


def _limits(command: Parser) -> None:
    """The resources that a command may be limited to."""
    rid = command.add_argument(
        "--rid",
        action="append",
        default=[],
        metavar="RID[,RID…]",
        help="only these resources; a kind, such as container, means all of it (repeatable)",
    )
    completed(rid, "rids")
    tags = command.add_argument(
        "--tags",
        action="append",
        default=[],
        metavar="TAG[,TAG…]",
        help="only resources with one of these tags; TAG+TAG means both (repeatable)",
    )
    completed(tags, "tags")
    subset = command.add_argument(
        "--subset",
        action="append",
        default=[],
        metavar="NAME[,NAME…]",
        help="only resources of these subsets (repeatable)",
    )
    completed(subset, "subsets")


def _reserving(commands: _Commands) -> None:
    disks = commands.add(
        "disks",
        "reserving:disks",
        "show the disks of services: their paths, and who has reserved them",
        about="A path that does not answer is marked with `!`.",
        examples=("vmsvc disks web", "vmsvc disks --format json"),
    )
    _names(disks, required=False)
    validate = commands.add(
        "validate-disks",
        "validating:validate",
        "check whether the disks of a service do what exclusive disks need of them",
        about="Without options nothing is changed, so that disks may be in use. With --scratch, two paths play two "
        "nodes: registering, reserving, conflicts, takeovers and races are tried with throw-away keys. Nobody else can "
        "write to the disk meanwhile. Exits with 1 where a check has failed, with 4 where one could not be made.",
        examples=("vmsvc validate-disks web", "vmsvc validate-disks web --scratch /dev/mapper/spare"),
    )
    _name(validate)
    how = validate.add_mutually_exclusive_group()
    how.add_argument("--safe", action="store_true", help="only read (the default)")
    how.add_argument(
        "--scratch",
        action="append",
        default=[],
        metavar="DISK",
        help="try everything on this disk of the service: nobody uses it, and nobody is registered on it (repeatable)",
    )
    reservations = commands.group(
        "pr",
        "reserve the disks of services, release them, or tell who has them (SCSI-3 persistent reservations)",
    )
    status = reservations.add(
        "status",
        "reserving:status",
        "tell how each disk stands with this node",
        examples=("vmsvc pr status web",),
    )
    _names(status, required=False)
    _limits(status)
    for action, text, about in (
        ("start", "reserve the disks of services", "All disks of a resource, or none. Nothing else is started."),
        ("stop", "release the disks of services", "Only what is this node's. Refused while a guest may use them."),
    ):
        command = reservations.add(
            action,
            "acting:act",
            text,
            about=about,
            examples=(f"vmsvc pr {action} web", f"vmsvc pr {action} web --dry-run"),
            action=action,
            reserved=True,
        )
        _names(command, required=True)
        _limits(command)
        _consents(command, action)
        _running(command)
    _watching(reservations)


def _watching(reservations: _Commands) -> None:
    watch = reservations.add(
        "watch",
        "watching:watch",
        "notice keys that are lost under a running guest, and do what its service wants",
        about="With `on_lost_keys = kill` the guest is stopped by force. Exits with 1 where keys are lost.",
        examples=("vmsvc pr watch", "vmsvc pr watch web --once", "vmsvc pr watch --interval 5"),
    )
    _names(watch, required=False)
    watch.add_argument("--once", action="store_true", help="look once, and exit with what was seen")
    watch.add_argument(
        "--interval",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait after a look (default: 10)",
    )


def _seconds(text: str) -> float:
    from vmsvc.core.options import some_seconds  # noqa: PLC0415

    try:
        return some_seconds.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _running(command: Parser) -> None:
    """How an action is to run."""
    command.add_argument("--dry-run", action="store_true", help="show the plan, and do nothing")
    command.add_argument(
        "--parallel", type=_positive, default=10, metavar="N", help="act on so many services at once (default: 10)"
    )


def _consents(command: Parser, action: str) -> None:
    """What an operator may agree to."""
    command.set_defaults(drp=False, despite_frozen=False, kill=False, force=[])
    if action != "stop":
        command.add_argument("--despite-frozen", action="store_true", help="start services although they are frozen")
        command.add_argument(
            "--force",
            action="append",
            default=[],
            metavar="NODE|KEY",
            help="take disks that this node, or this key (0x…), holds: it is gone for certain (repeatable)",
        )
        command.add_argument(
            "--drp", action="store_true", help="this is the disaster, or its rehearsal: start on a drpnode"
        )
    if action != "start":
        command.add_argument("--kill", action="store_true", help="stop guests by force at once, without asking them")
    rid = command.add_argument(
        "--despite-unknown",
        action="append",
        default=[],
        metavar="RID",
        help="act on this resource although its status is unknown (repeatable)",
    )
    completed(rid, "rids")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 upwards")
    return int(text)


def _files(commands: _Commands) -> None:
    validate = commands.add(
        "validate",
        "files:validate",
        "check service files",
        about="Without arguments: all services, and the node's own file. No hypervisor is asked, but for the names of "
        "disks that are to be reserved: a disk belongs to one service.",
        examples=("vmsvc validate", "vmsvc validate web", "vmsvc validate ./web.conf"),
        more="names",
    )
    completed(validate.add_argument("names", nargs="*", metavar="NAME|FILE", help="a service, or a file"), "files")
    create = commands.add(
        "create",
        "files:create",
        "make a service",
        examples=(
            "vmsvc create web --type kvm",
            "vmsvc create web nodes='n1 n2' container#1.type=kvm container#1.name=web01",
            "vmsvc create web2 --from web.conf",
        ),
        more="settings",
    )
    create.add_argument("name", metavar="NAME", help="the service's name")
    completed(create.add_argument("settings", nargs="*", metavar="SECTION.KEY=VALUE", help="settings"), "settings")
    create.add_argument("--from", dest="template", metavar="FILE", help="begin with a copy of this file")
    completed(create.add_argument("--type", metavar="TYPE", help="the type of its guest, container#1"), "types")
    create.add_argument("--toml", action="store_true", help="make a TOML file instead of an INI file")
    create.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)
    adopt = commands.add(
        "adopt",
        "adopting:adopt",
        "make services of the guests that are there already",
        about="Writes a service file for each guest that has none; changes no guest, and nothing in its hypervisor. "
        "A file that is there is never changed: run it again for guests that have come since.",
        examples=(
            "vmsvc adopt --dry-run",
            "vmsvc adopt 'erp-*' --set app=ERP --set nodes='n1 n2'",
            "vmsvc adopt --set container#1.uri=xen:///system",
        ),
        more="guests",
    )
    adopt.add_argument(
        "guests", nargs="*", metavar="GUEST", help="names of guests, or patterns such as 'web*'; all when not given"
    )
    adopt.add_argument("--dry-run", action="store_true", help="show the files, and write nothing")
    given = adopt.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="what every file is to say (repeatable); keys such as container#1.uri also tell where to look",
    )
    completed(given, "new_settings")
    edit = commands.add(
        "edit",
        "editing:edit",
        "edit a service's file",
        about="$VISUAL or $EDITOR works on a copy, which replaces the file once it is valid.",
        examples=("vmsvc edit web",),
    )
    _name(edit)
    get = commands.add(
        "get",
        "files:get",
        "print the value of a key",
        examples=("vmsvc get web container#1.start_timeout", "vmsvc get web nodes --raw"),
    )
    _name(get)
    completed(get.add_argument("key", metavar="SECTION.KEY", help="the key; KEY alone is one of [DEFAULT]"), "keys")
    get.add_argument("--raw", action="store_true", help="as it stands in the file, before references and defaults")
    change = commands.add(
        "set",
        "files:set_keys",
        "set keys in a service's file",
        about="The file is replaced only if the result is valid. `vmsvc keywords` lists the keys.",
        examples=("vmsvc set web container#1.start_timeout=5m", "vmsvc set web nodes='n1 n2'"),
        more="settings",
    )
    _name(change)
    completed(change.add_argument("settings", nargs="+", metavar="SECTION.KEY=VALUE", help="settings"), "settings")
    change.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)
    unset = commands.add(
        "unset",
        "files:unset_keys",
        "remove keys, or whole sections, from a service's file",
        examples=("vmsvc unset web comment", "vmsvc unset web container#2"),
        more="keys",
    )
    _name(unset)
    completed(
        unset.add_argument("keys", nargs="+", metavar="SECTION.KEY", help="the keys; SECTION alone removes it"), "keys"
    )
    unset.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)


def _about(commands: _Commands) -> None:
    commands.add("drivers", "about:drivers", "list the installed drivers, and plugins that were refused")
    keywords = commands.add(
        "keywords",
        "about:keywords",
        "list the keys that a section may have",
        examples=("vmsvc keywords", "vmsvc keywords DEFAULT", "vmsvc keywords container kvm"),
    )
    keywords.add_argument("kind", nargs="?", metavar="KIND", help="DEFAULT, container, ip, app …")
    keywords.add_argument("type", nargs="?", default="", metavar="TYPE", help="the type, such as kvm")
    node = commands.add(
        "node",
        "node:node",
        "tell about this node, set its host mode, or keep the keys of nodes",
        examples=(
            "vmsvc node",
            "vmsvc node mode PRD",
            "vmsvc node prkey",
            "vmsvc node peer add n2 --prkey 0x4ac11d08baf7e1b9",
        ),
    )
    node.add_argument("what", nargs="?", choices=("mode", "prkey", "peer"), help="what to set or print")
    node.add_argument("words", nargs="*", metavar="WORD", help="the host mode: PRD, DEV, TST …; or `add` and a node")
    node.add_argument("--prkey", metavar="KEY", help="the key by which a peer registers on disks (SCSI-3)")
    shell = commands.add(
        "completion",
        "about:completion",
        "print code that makes a shell complete our commands",
        examples=('eval "$(vmsvc completion bash)"', "vmsvc completion fish | source"),
    )
    shell.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
