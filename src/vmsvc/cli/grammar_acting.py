"""The grammar of commands that act on services, watch them, and collect facts about them."""

from __future__ import annotations

from vmsvc.cli.phrases import Commands, completed, limits, name, names, positive, seconds
from vmsvc.cli.words import Parser

#: How many services are acted on at once.
_PARALLEL = 10
#: What an operator has agreed to who was not asked.
_NO_CONSENT = {
    "drp": False,
    "despite_frozen": False,
    "despite_lost_keys": False,
    "despite_moved": (),
    "despite_peer": (),
    "despite_unknown": (),
    "force": (),
    "kill": False,
}


def add(commands: Commands) -> None:
    """Add the commands.

    Args:
        commands: Where to.
    """
    _acting(commands)
    _applying(commands)
    _reserving(commands)


def _acting(commands: Commands) -> None:
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
        names(command, required=True)
        limits(command)
        _consents(command, action)
        _running(command)
    _migrating(commands)
    boot = commands.add(
        "boot",
        "acting:act",
        "give up disks that a crash has left reserved for this node: once after it has booted",
        about="Removes this node's own registrations where what may use the disks is down here, and starts nothing. "
        "Tells of actions that the crash has cut short.",
        examples=("vmsvc boot", "vmsvc boot web", "vmsvc boot --dry-run"),
        action="boot",
    )
    names(boot, required=False)
    boot.add_argument("--dry-run", action="store_true", help="show the plan, and do nothing")
    boot.set_defaults(**_NO_CONSENT, rid=(), tags=(), subset=(), parallel=_PARALLEL)
    plan = commands.add(
        "plan",
        "acting:plan",
        "show what an action would do, and do nothing",
        about="Exits with what the action would be refused with; 0 if it may run.",
        examples=("vmsvc plan start web", "vmsvc plan stop 'web*' --kill", "vmsvc plan migrate web --to n2"),
    )
    plan.add_argument(
        "action",
        choices=("start", "stop", "restart", "migrate"),
        metavar="ACTION",
        help="start, stop, restart or migrate",
    )
    names(plan, required=True)
    limits(plan)
    _to(plan, required=False)
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
        names(command, required=True)
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
    names(monitor, required=False)
    _again(monitor)
    monitor.add_argument("--dry-run", action="store_true", help="look once, show what is to be done, and do nothing")
    for topic, text in (
        ("push", "put configuration, status and guest facts into the node's own store"),
        ("diskupdate", "put the disks of the guests into the node's own store"),
    ):
        examples = (f"vmsvc {topic} web", f"vmsvc {topic} 'web*' --dry-run")
        command = commands.add(topic, "storing:store", text, examples=examples, topic=topic)
        names(command, required=True)
        command.add_argument("--dry-run", action="store_true", help="show what has changed, and store nothing")


def _migrating(commands: Commands) -> None:
    migrate = commands.add(
        "migrate",
        "acting:act",
        "move the guests of services to another node while they run",
        about="Both nodes must see their storage: nothing of it is copied. The other node is asked first whether they "
        "are down there, and afterwards whether they are up. Exits with 1 where a guest stays here, and with 4 where "
        "nobody can tell where it runs.",
        examples=("vmsvc migrate web --to n2", "vmsvc migrate web --to n2 --dry-run"),
        action="migrate",
    )
    names(migrate, required=True)
    _to(migrate, required=True)
    migrate.set_defaults(**_NO_CONSENT, rid=(), tags=(), subset=())
    migrate.add_argument(
        "--despite-frozen", action="store_true", help="move services although they are frozen on the other node"
    )
    _running(migrate)


def _to(command: Parser, *, required: bool) -> None:
    """Where guests are to be moved."""
    text = "the node to move to" if required else "the node to move to, of a migration"
    completed(command.add_argument("--to", required=required, metavar="NODE", help=text), "other_nodes")


def _applying(commands: Commands) -> None:
    for action, text, about in (
        ("start", "start the applications of services", "Their guests must be up."),
        ("stop", "stop the applications of services", "Their guests stay up."),
    ):
        command = commands.add(
            f"{action}app",
            "acting:act",
            text,
            about=f"{about} A service without [app#…] sections has those for which there are launchers in its guests.",
            examples=(
                f"vmsvc {action}app web",
                f"vmsvc {action}app web --rid app#2",
                f"vmsvc {action}app web --dry-run",
            ),
            action=action,
            called=f"{action}app",
            applications=True,
        )
        names(command, required=True)
        limits(command)
        command.set_defaults(**_NO_CONSENT)
        if action == "start":
            _despite_frozen_or_drp(command)
        _despite_unknown(command)
        _running(command)
    info = commands.add(
        "appinfo",
        "applying:info",
        "have the launchers of services tell about what they start",
        about="Calls each launcher that starts something (`S…`) with `info`.",
        examples=("vmsvc appinfo web",),
        applications=True,
    )
    names(info, required=True)
    limits(info)


def _reserving(commands: Commands) -> None:
    disks = commands.add(
        "disks",
        "reserving:disks",
        "show the disks of services: their paths, and who has reserved them",
        about="A path that does not answer is marked with `!`.",
        examples=("vmsvc disks web", "vmsvc disks --format json"),
    )
    names(disks, required=False)
    validate = commands.add(
        "validate-disks",
        "validating:validate",
        "check whether the disks of a service do what exclusive disks need of them",
        about="Without options nothing is changed, so that disks may be in use. With --scratch, two paths play two "
        "nodes: registering, reserving, conflicts, takeovers and races are tried with throw-away keys. Nobody else can "
        "write to the disk meanwhile. Exits with 1 where a check has failed, else with 4 where one could not be made.",
        examples=("vmsvc validate-disks web", "vmsvc validate-disks web --scratch /dev/mapper/spare"),
    )
    name(validate)
    how = validate.add_mutually_exclusive_group()
    how.add_argument("--safe", action="store_true", help="only read (the default)")
    disk = how.add_argument(
        "--scratch",
        action="append",
        default=[],
        metavar="DISK",
        help="try everything on this disk of the service: nobody uses it, and nobody is registered on it (repeatable)",
    )
    completed(disk, "devices")
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
    names(status, required=False)
    limits(status)
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
            called=f"pr {action}",
            reserved=True,
        )
        names(command, required=True)
        limits(command)
        _consents(command, action, guests=False)
        _running(command)
    _watching(reservations)


def _watching(reservations: Commands) -> None:
    watch = reservations.add(
        "watch",
        "watching:watch",
        "notice keys that are lost under a running guest, and do what its service wants",
        about="With `on_lost_keys = kill` the guest is stopped by force, if another node has the disks. "
        "Exits with 1 where keys are lost, or another node can write, too.",
        examples=("vmsvc pr watch", "vmsvc pr watch web --once", "vmsvc pr watch --interval 5"),
    )
    names(watch, required=False)
    _again(watch)


def _again(command: Parser) -> None:
    """How often a command is to look."""
    command.add_argument(
        "--once", action="store_true", help="look once, do what is to be done, and exit with what was seen"
    )
    command.add_argument(
        "--interval",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait after a look (default: 10)",
    )


def _running(command: Parser) -> None:
    """How an action is to run."""
    command.add_argument("--dry-run", action="store_true", help="show the plan, and do nothing")
    command.add_argument(
        "--parallel",
        type=positive,
        default=_PARALLEL,
        metavar="N",
        help=f"act on so many services at once (default: {_PARALLEL})",
    )


def _consents(command: Parser, action: str, *, guests: bool = True) -> None:
    """What an operator may agree to; of a command that touches no guest, nothing about those."""
    command.set_defaults(**_NO_CONSENT)
    if action != "stop":
        holder = command.add_argument(
            "--force",
            action="append",
            default=[],
            metavar="NODE|KEY",
            help="take disks that this node, or this key (0x…), holds: it is gone for certain (repeatable)",
        )
        completed(holder, "holders")
        command.add_argument(
            "--despite-lost-keys",
            action="store_true",
            help="reserve disks again under a guest that went on without its keys: no other node has written since",
        )
        _despite_frozen_or_drp(command)
    if action != "stop" and guests:
        peer = command.add_argument(
            "--despite-peer",
            action="append",
            default=[],
            metavar="NODE",
            help="start although this other node cannot be asked: nothing of the service runs there (repeatable)",
        )
        completed(peer, "other_nodes")
        moved = command.add_argument(
            "--despite-moved",
            action="append",
            default=[],
            metavar="RID",
            help="start this guest although it was moved away to where nobody sees it: it runs nowhere (repeatable)",
        )
        completed(moved, "rids")
    if action != "start" and guests:
        command.add_argument("--kill", action="store_true", help="stop guests by force at once, without asking them")
    _despite_unknown(command)


def _despite_frozen_or_drp(command: Parser) -> None:
    command.add_argument("--despite-frozen", action="store_true", help="start services although they are frozen")
    command.add_argument(
        "--drp", action="store_true", help="this is the disaster, or its rehearsal: start on a drpnode"
    )


def _despite_unknown(command: Parser) -> None:
    rid = command.add_argument(
        "--despite-unknown",
        action="append",
        default=[],
        metavar="RID",
        help="act on this resource although its status is unknown (repeatable)",
    )
    completed(rid, "rids")
