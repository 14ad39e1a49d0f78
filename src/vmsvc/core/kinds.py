"""The kinds of resource that the core knows beside guests: their options, and what can be done to them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from vmsvc.core.networks import host, prefix_length
from vmsvc.core.options import (
    Raw,
    Value,
    argv,
    boolean,
    choice,
    choices,
    hexadecimal,
    line,
    name,
    option,
    path,
    paths,
    some_seconds,
    words,
)
from vmsvc.core.resource import STARTABLE, Guest, Resource
from vmsvc.core.status import Phase
from vmsvc.core.verb import STARTING, Verb

_LONGEST_CHECK_S = 8.0


def _check_seconds(raw: Raw) -> float:
    value = some_seconds.parse(raw)
    if value > _LONGEST_CHECK_S:
        raise ValueError(f"{raw!r} is too long: status answers within ten seconds, so a check has {_LONGEST_CHECK_S:g}")
    return value


check_seconds: Value[float] = Value(
    f"a duration of more than 0 and at most {_LONGEST_CHECK_S:g} seconds", _check_seconds
)


@frozen(kw_only=True, eq=False, repr=False)
class Located(Resource):
    """What is inside a guest where its service has one, and else on the node: addresses and applications."""

    container_id: str = option(
        line, default="", help="The rid of the container inside which it is; the only one when not given."
    )

    @property
    def is_inside_guest(self) -> bool:
        """Whether it is inside a guest rather than on the node."""
        return bool(self.container_id)


@frozen(kw_only=True, eq=False, repr=False)
class App(Located):
    """An application that commands start, stop and check, or launchers: inside the guest where the service has one.

    Attributes:
        is_implied: Whether no section asks for it: it stands for the launchers that there may be in a guest.
    """

    is_implied: bool = False

    start: tuple[str, ...] = option(argv, default=(), help="The command that starts the application.")
    stop: tuple[str, ...] = option(argv, default=(), help="The command that stops it.")
    check: tuple[str, ...] = option(
        argv,
        default=(),
        help="The command that tells its status: exit code 0 is up, 1 and 3 are down; 126 and 127 (it was not run) and "
        "a signal, also as a shell tells it by 129 to 159, are unknown; others are warn.",
    )
    start_timeout: float = option(
        some_seconds, default=60.0, inherited=True, help="How long the start command, or all launchers, may take."
    )
    stop_timeout: float = option(
        some_seconds, default=60.0, inherited=True, help="How long the stop command, or all launchers, may take."
    )
    check_timeout: float = option(
        check_seconds,
        default=5.0,
        inherited=True,
        help="How long the check command, or all launchers that check, may take; at most 8 seconds.",
    )
    launchers: str = option(
        path,
        default="/svc/etc/init.d",
        inherited=True,
        help="The directory inside the guest where the launchers are that start (`S…`), stop (`K…`) and check (`C…`) "
        "what has no commands of its own.",
    )
    launcher_timeout: float = option(
        some_seconds, default=30.0, inherited=True, help="How long each launcher may take to start or stop something."
    )
    on_launcher_failure: str = option(
        choice("warn", "fail"),
        default="warn",
        inherited=True,
        help="What a launcher that fails means: a warning, and the others run; or the action fails, a start at once, "
        "and the `K…` launchers take back what it has begun (of those all are run). With `warn`, an application that "
        "cannot be stopped does not keep its guest from being stopped, either.",
    )

    @property
    def ending_s(self) -> float:
        """A launcher or a command that hangs is ended by the way that has run it, and then wherever else it went."""
        return 9.0

    @property
    def has_launchers(self) -> bool:
        """Whether launchers in its guest start, stop and check it, since it has no commands of its own."""
        return self.is_inside_guest and not (self.start or self.stop or self.check)

    @property
    def startable(self) -> frozenset[Phase]:
        """Launchers bear to be called again, so they start what runs in part, or has ended uncleanly."""
        return STARTABLE | {Phase.DEGRADED} if self.has_launchers else STARTABLE

    def forgives(self, verb: Verb) -> bool:
        """Whether a verb that fails is told as a warning, and the action goes on.

        Args:
            verb: The verb.
        """
        wants_warning = self.is_inside_guest and self.on_launcher_failure == "warn"
        runs_launchers = self.has_launchers and verb in STARTING
        return super().forgives(verb) or (wants_warning and (runs_launchers or verb is Verb.STOP))

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        if self.comment or not self.has_launchers:
            return self.comment or shlex.join(self.start or self.check)
        return f"launchers in {self.launchers}"

    @property
    def observe_budget_s(self) -> float:
        """As long as its check command may take, in seconds."""
        return self.check_timeout

    @property
    def budgets_s(self) -> Mapping[Verb, float]:
        """An application can do what it has commands for, or launchers; in seconds."""
        commands = {Verb.START: (self.start, self.start_timeout), Verb.STOP: (self.stop, self.stop_timeout)}
        return {verb: timeout for verb, (command, timeout) in commands.items() if command or self.has_launchers}


@frozen(kw_only=True, eq=False, repr=False)
class Ip(Located):
    """An address by which the service is reached.

    Attributes:
        is_plumbed: Whether it is inside a guest to which this node gives its addresses.
    """

    is_plumbed: bool = False

    ipname: str = option(host, help="The address, or a name that resolves to it.")
    ipdev: str = option(name, help="The adapter that carries the address.")
    netmask: int = option(
        prefix_length,
        default=0,
        help="The length of the network's prefix, or its netmask, where the node itself has the address; as long as "
        "that of the adapter's other addresses in the network when not given.",
    )
    gateway: str = option(
        host,
        default="",
        help="A router, or another host, that is to learn at once where the address is now: it is sent a ping from it "
        "when the node has got it. Routes are not changed.",
    )
    check_ping: bool = option(
        boolean, default=True, inherited=True, help="Inside a guest: up means that the address answers to ping."
    )
    check_adapter: bool = option(
        boolean,
        default=True,
        inherited=True,
        help="Inside a guest: up means that `ipdev` has the address, as the guest itself tells.",
    )
    ping_timeout: float = option(
        check_seconds,
        default=2.0,
        inherited=True,
        help="How long an answer to ping is waited for, in whole seconds; each second, it is asked again. Less, where "
        "`check_timeout` leaves less.",
    )
    check_timeout: float = option(
        check_seconds,
        default=5.0,
        inherited=True,
        help="How long the whole check may take; at most 8 seconds. "
        "With less than 2, an address that answers nobody is `unknown`.",
    )
    wait: bool = option(
        boolean,
        default=True,
        inherited=True,
        help="A start waits until the address is there and answers, where it is a guest's: within the guest's "
        "`start_timeout`.",
    )
    start_timeout: float = option(
        some_seconds,
        default=30.0,
        inherited=True,
        help="How long the node itself may take to get the address, or to give it to a guest.",
    )
    stop_timeout: float = option(
        some_seconds, default=30.0, inherited=True, help="How long the node itself may take to give the address up."
    )

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        return f"{self.ipname}@{self.ipdev}"

    @property
    def startable(self) -> frozenset[Phase]:
        """What a guest was given, and does not answer by, is made sure of, and waited for."""
        return STARTABLE | {Phase.DEGRADED} if self.is_plumbed else STARTABLE

    @property
    def is_awaited(self) -> bool:
        """A guest that was given an address may be silent, where nobody wants to wait for it."""
        return self.wait or not self.is_plumbed

    @property
    def observe_budget_s(self) -> float:
        """As long as its check may take, in seconds."""
        return self.check_timeout

    @property
    def budgets_s(self) -> Mapping[Verb, float]:
        """The node can get an address and give it up; most guests see to theirs themselves; in seconds."""
        is_ours = self.is_plumbed or not self.is_inside_guest
        return {Verb.START: self.start_timeout, Verb.STOP: self.stop_timeout} if is_ours else {}


@frozen(kw_only=True, eq=False, repr=False)
class Reserved(Resource):
    """Disks that are reserved for this hypervisor: what ``vmdg`` and ``disk`` have in common.

    Attributes:
        is_left_over: Whether its service does not want it reserved any more, and this node has written down that it is:
            it can be released, and nothing else.
        former_users: The rids of guests for which this node has reserved it, and that its file does not name as its
            users any more; a description of one that the service does not have any more.
    """

    is_left_over: bool = False
    former_users: tuple[str, ...] = ()

    scsireserv: bool = option(
        boolean, default=False, inherited=True, help="Reserve the disks for this hypervisor (SCSI-3)."
    )
    prkey: str = option(
        hexadecimal,
        default="",
        inherited=True,
        help="The key to register with, such as 0x1a2b; the node's own when not given. `prkey@n2` is what n2 uses.",
    )
    on_lost_keys: str = option(
        choice("alarm", "kill"),
        default="alarm",
        inherited=True,
        help="What `vmsvc pr watch` does when keys are lost under a running guest: tell, or stop it by force. Of a "
        "`disk` section, whose disks may be anybody's in the service, it stops only what runs alone.",
    )
    reserve_timeout: float = option(
        some_seconds, default=60.0, inherited=True, help="How long reserving the disks, or releasing them, may take."
    )

    @property
    def observe_budget_s(self) -> float:
        """As long as any look may take, in seconds: many disks have many paths, and each may be slow."""
        return _LONGEST_CHECK_S

    @property
    def budgets_s(self) -> Mapping[Verb, float]:
        """To start is to reserve the disks and to stop is to release them, where that is wanted; in seconds."""
        verbs = (Verb.START, Verb.STOP) if self.scsireserv else (Verb.STOP,) if self.is_left_over else ()
        return dict.fromkeys(verbs, self.reserve_timeout)

    @property
    def may_be_held(self) -> bool:
        """Whether there may be anything to release: it is to be reserved, or was."""
        return self.scsireserv or self.is_left_over

    @property
    def startable(self) -> frozenset[Phase]:
        """Disks that lack a path, or that another node claims, may be reserved again: that decides by itself."""
        return STARTABLE | {Phase.DEGRADED, Phase.CONTESTED, Phase.INCAPABLE}

    @property
    def proves_itself(self) -> bool:
        """Reserving and releasing read the disks before and after."""
        return True


@frozen(kw_only=True, eq=False, repr=False)
class Vmdg(Reserved):
    """The disks of a guest, as its own definition lists them."""

    container_id: str = option(line, default="", help="The rid of the container whose disks are meant.")

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        return f"disks of {self.container_id or 'the guest'}"


@frozen(kw_only=True, eq=False, repr=False)
class Disk(Reserved):
    """Disks that the file lists by itself."""

    devices: tuple[str, ...] = option(paths, default=(), help="The disks' device paths.")

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        return " ".join(self.devices)


@frozen(kw_only=True, eq=False, repr=False)
class Fs(Resource):
    """A file system that the service needs mounted."""

    dev: str = option(path, help="The device to mount.")
    mnt: str = option(path, help="Where to mount it.")
    mnt_opt: str = option(line, default="", help="Mount options.")

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        return f"{self.dev} on {self.mnt}"


@frozen(kw_only=True, eq=False, repr=False)
class Sync(Resource):
    """Data to be copied to other nodes."""

    src: tuple[str, ...] = option(words, default=(), help="What to copy.")
    dst: str = option(path, default="", help="Where to on the target nodes.")
    target: tuple[str, ...] = option(
        choices("nodes", "drpnodes"), default=("nodes",), help="Which nodes: nodes, drpnodes, or both."
    )
    dstfs: str = option(path, default="", help="The mount point that must be there on the target node.")


#: The kinds of resource, in the order in which a start takes them; a stop goes the other way.
KINDS = MappingProxyType({"disk": Disk, "vmdg": Vmdg, "fs": Fs, "container": Guest, "ip": Ip, "app": App, "sync": Sync})

#: Kinds whose resources decide whether the service is available; the others count in the overall status only.
AVAILABILITY_KINDS = frozenset({"container", "ip", "vmdg", "disk", "fs", "app"})
