"""Resources: the parts of a service; and guests, which drivers extend. Pure.

A resource is a frozen record. Its identity comes from the section it was read from; its options are declared here
for the core's kinds, and by a driver for its own type (a subclass of :class:`Guest` for containers).
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from vmsvc.core.options import (
    boolean,
    choice,
    line,
    name,
    option,
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
#: The tag of resources that no action touches.
NO_ACTION = "noaction"


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
    def ending_s(self) -> float:
        """How long it may take to end what a verb has begun, once its budget is spent, in seconds."""
        return 0.0

    @property
    def startable(self) -> frozenset[Phase]:
        """The phases in which it may be started."""
        return STARTABLE

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


#: The phases in which most resources may be started.
STARTABLE = frozenset({Phase.STOPPED, Phase.SAVED, Phase.ABSENT, Phase.MOVED, Phase.STARTING})


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
    migrate_timeout: float = option(
        some_seconds,
        default=600.0,
        inherited=True,
        help="How long `vmsvc migrate` may take to move the guest to another node; then the move is called off.",
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
        "be run inside it; `up`, for nothing but what else is asked for: addresses, and launchers. `auto` is `way-in` "
        "where applications are started inside it. All that a start waits for shares `start_timeout`.",
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
    def has_shell(self) -> bool:
        """Whether its operating system has a shell, ``/bin/sh``: without one, a command there is a program's alone."""
        return self.guestos != "windows"

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
        """A guest can be started, asked to stop, stopped by force, and moved; in seconds."""
        return {
            Verb.START: self.start_timeout,
            Verb.STOP: self.stop_timeout,
            Verb.KILL: self.kill_timeout,
            Verb.MIGRATE: self.migrate_timeout,
        }

    @property
    def startable(self) -> frozenset[Phase]:
        """A guest that is prepared is half started: a start goes on from there."""
        return STARTABLE | {Phase.PREPARED}


def kind_of(rid: str) -> str:
    """The kind in a section's name.

    Args:
        rid: A section's name, such as ``container#1``.

    Returns:
        What stands before ``#``.
    """
    return rid.partition("#")[0]
