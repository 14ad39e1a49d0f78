"""Resources: the parts of a service, and the kinds that the core itself knows. Pure.

A resource is a frozen record. Its identity comes from the section it was read from; its options are declared here
for the core's kinds, and by a driver for its own type (a subclass of :class:`Guest` for containers).
"""

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
    seconds,
    some_seconds,
    text,
    whole,
    words,
)
from vmsvc.core.status import Phase
from vmsvc.core.triggers import Triggered
from vmsvc.core.verb import STARTING, Verb

#: How long a look at one technology may take, in seconds; status answers well within ten.
OBSERVE_BUDGET_S = 5.0
_LONGEST_CHECK_S = 8.0
#: The tag of resources that no action touches.
NO_ACTION = "noaction"


def _check_seconds(raw: Raw) -> float:
    value = some_seconds.parse(raw)
    if value > _LONGEST_CHECK_S:
        raise ValueError(f"{raw!r} is too long: status answers within ten seconds, so a check has {_LONGEST_CHECK_S:g}")
    return value


check_seconds: Value[float] = Value(
    f"a duration of more than 0 and at most {_LONGEST_CHECK_S:g} seconds", _check_seconds
)


@frozen(kw_only=True, eq=False, repr=False)
class Resource(Triggered):
    """One part of a service.

    Attributes:
        service: The service's name.
        rid: The resource's id, which is its section's name: ``container#1``, ``vmdg``.
        kind: What it is: ``container``, ``ip``, ``app`` …
        type: Which technology serves it; empty for a kind that has only one.
    """

    service: str
    rid: str
    kind: str
    type: str = ""

    optional: bool = option(
        boolean, default=False, help="Count in the overall status only; its failure does not fail an action."
    )
    disable: bool = option(boolean, default=False, help="Leave the resource out of every action; its status is n/a.")
    tags: tuple[str, ...] = option(
        words,
        default=(),
        help=f"Words by which `--tags` finds the resource. `{NO_ACTION}` is one with a meaning: no action touches it, "
        "and its status still counts.",
    )
    subset: str = option(
        line,
        default="",
        help="A group within the resources of one kind, for `--subset`. Groups start in the order of their names, "
        "after what is in none.",
    )
    restart: int = option(
        whole,
        default=0,
        help="How often `vmsvc monitor` starts the resource again that this node has brought up, where it is down.",
    )
    restart_delay: float = option(
        seconds, default=10.0, inherited=True, help="How long after one such attempt the next one may come."
    )
    restart_period: float = option(
        some_seconds, default=3600.0, inherited=True, help="How long an attempt counts against `restart`."
    )
    monitor: bool = option(
        boolean, default=False, help="Take the service's `monitor_action` where the resource stays down."
    )
    comment: str = option(text, default="", help="Free text.")

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        return self.comment

    @property
    def observe_budget_s(self) -> float:
        """How long a look at the resource may take, in seconds."""
        return OBSERVE_BUDGET_S

    @property
    def budgets_s(self) -> Mapping[Verb, float]:
        """The verbs that can be done to the resource, and how long each may take, in seconds."""
        return {}

    @property
    def startable(self) -> frozenset[Phase]:
        """The phases in which it may be started."""
        return _STARTABLE

    @property
    def is_awaited(self) -> bool:
        """Whether a start waits until it is up."""
        return True

    def forgives(self, verb: Verb) -> bool:
        """Whether a verb that fails is told as a warning, and the action goes on.

        Args:
            verb: The verb.
        """
        return self.optional and verb in STARTING

    @property
    def proves_itself(self) -> bool:
        """Whether its verbs look before they act and return only what they have read back.

        The core then neither looks again before a step nor waits after it; and a stop may be tried whatever is known,
        since it takes away nothing but what it finds to be its own.
        """
        return False


_STARTABLE = frozenset({Phase.STOPPED, Phase.SAVED, Phase.ABSENT, Phase.MOVED, Phase.STARTING})


@frozen(kw_only=True, eq=False, repr=False)
class Guest(Resource):
    """The VM or container behind a ``container`` resource; drivers add their own options in a subclass."""

    name: str = option(name, default="", help="The guest's name on the hypervisor; the service's name when not given.")
    guestos: str = option(choice("unix", "windows"), default="unix", help="The family of the guest's operating system.")
    start_timeout: float = option(
        some_seconds,
        default=240.0,
        inherited=True,
        help="How long the guest may take until the hypervisor says it is up.",
    )
    stop_timeout: float = option(
        seconds,
        default=120.0,
        inherited=True,
        help="How long the guest may take to shut down after it was asked to; 0 forces it at once.",
    )
    kill_timeout: float = option(
        some_seconds, default=30.0, inherited=True, help="How long a forced stop may take, once asking has not helped."
    )
    scsireserv: bool = option(
        boolean, default=False, inherited=True, help="Reserve the guest's disks for this hypervisor (SCSI-3)."
    )
    way_in: str = option(
        choice("auto", "ssh", "entry", "agent", "none"),
        default="auto",
        inherited=True,
        help="How commands are run inside the guest: by ssh; by the technology's own entry, such as `docker exec`; by "
        "an agent inside it, such as QEMU's; or not at all. `auto` is the entry where there is one, else ssh, and for "
        "a Windows guest the agent where there is one, else none.",
    )
    hostname: str = option(
        line,
        default="",
        help="What ssh calls the guest: its host name, its address, or a host of the administrator's ssh "
        "configuration; the guest's name when not given.",
    )
    ready: str = option(
        choice("auto", "up", "way-in"),
        default="auto",
        inherited=True,
        help="What a start waits for after the hypervisor has said that the guest is up: `way-in`, until commands can "
        "be run inside it; `up`, nothing. `auto` is `way-in` where applications are started inside it. All that a "
        "start waits for shares `start_timeout`.",
    )

    @property
    def label(self) -> str:
        """A few words for a person who looks at the resource in a list."""
        return self.name

    @property
    def is_local(self) -> bool:
        """Whether the guest runs on this node, so that its disks are devices of this node."""
        return True

    @property
    def is_split(self) -> bool:
        """Whether its start is split: it is prepared, then booted. Its driver has the capability ``split-start``."""
        return False

    @property
    def is_plumbed(self) -> bool:
        """Whether this node gives it its addresses, by its driver's capability ``plumb``; else it has its own."""
        return False

    @property
    def budgets_s(self) -> Mapping[Verb, float]:
        """A guest can be started, asked to stop, and stopped by force; in seconds."""
        return {Verb.START: self.start_timeout, Verb.STOP: self.stop_timeout, Verb.KILL: self.kill_timeout}

    @property
    def startable(self) -> frozenset[Phase]:
        """A guest that is prepared is half started: a start goes on from there."""
        return _STARTABLE | {Phase.PREPARED}


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
        help="The command that tells its status: exit code 0 is up, 1 and 3 are down; a signal, 126 and 127 are "
        "unknown; others are warn.",
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
        help="What a launcher that fails means: a warning, and the others run; or the action fails at once, and the "
        "`K…` launchers take back what a start has begun. With `warn`, an application that cannot be stopped does not "
        "keep its guest from being stopped, either.",
    )

    @property
    def has_launchers(self) -> bool:
        """Whether launchers in its guest start, stop and check it, since it has no commands of its own."""
        return self.is_inside_guest and not (self.start or self.stop or self.check)

    @property
    def startable(self) -> frozenset[Phase]:
        """Launchers bear to be called again, so they start what runs in part, or has ended uncleanly."""
        return _STARTABLE | {Phase.DEGRADED} if self.has_launchers else _STARTABLE

    def forgives(self, verb: Verb) -> bool:
        """Whether a verb that fails is told as a warning, and the action goes on.

        Args:
            verb: The verb.
        """
        wants_warning = self.is_inside_guest and self.on_launcher_failure == "warn"
        return super().forgives(verb) or (wants_warning and (self.has_launchers or verb is Verb.STOP))

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
        return _STARTABLE | {Phase.DEGRADED} if self.is_plumbed else _STARTABLE

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
        return _STARTABLE | {Phase.DEGRADED, Phase.CONTESTED, Phase.INCAPABLE}

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


def kind_of(rid: str) -> str:
    """The kind in a section's name.

    Args:
        rid: A section's name, such as ``container#1``.

    Returns:
        What stands before ``#``.
    """
    return rid.partition("#")[0]
