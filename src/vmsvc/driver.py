"""The one door for authors of drivers: the contract, its records, and the tools to keep its promises.

Everything here is a promise to code outside of this project; nothing else is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmsvc.core.contract import API, Capability, Context, Driver
from vmsvc.core.errors import (
    NO_COMMANDS,
    NO_SUCH_COMMAND,
    TIMED_OUT,
    ActionFailed,
    DriverError,
    NoWayIn,
    TimedOut,
    Undetermined,
    UsageError,
    VmsvcError,
)
from vmsvc.core.kinds import App, Disk, Fs, Ip, Sync, Vmdg
from vmsvc.core.lane import Lane
from vmsvc.core.lanes import ClientLanes, ConnectionLost, ask, ask_once, survey_each
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.node import Node
from vmsvc.core.options import (
    Value,
    argv,
    boolean,
    choice,
    count,
    integer,
    line,
    name,
    names,
    option,
    path,
    seconds,
    text,
    words,
)
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.roles import (
    AddressLister,
    AddressPlumber,
    BulkObserver,
    ConfigFiles,
    DefinitionComparer,
    DefinitionKeeper,
    Destination,
    Discoverer,
    DiskLister,
    Entrance,
    Migrator,
    SelfStarting,
    Sizer,
    SplitStart,
    Waiter,
)
from vmsvc.core.status import (
    AT_REST,
    AWAKE,
    GOING_DOWN,
    Evidence,
    Objection,
    Observation,
    Phase,
    Status,
    inapplicable,
    unknown,
)
from vmsvc.core.transport import ANSWER_LIMIT, OUTPUT_GRACE_S, OUTPUT_LIMIT, Host, Kept, NodeHost, Outcome
from vmsvc.core.verb import Verb
from vmsvc.hookspecs import hookimpl

if TYPE_CHECKING:
    from vmsvc.core.answers import DefinitionFields, Definitions, FoundGuest, GuestAddress, GuestDisk, Sizes
    from vmsvc.core.inside.addresses.zones import addresses_of_zones
    from vmsvc.core.records.publishing import Publication, Publisher
    from vmsvc.core.settled import settled
    from vmsvc.core.transport.announced import Announced
    from vmsvc.core.transport.command import check_command, printable, said_last, shown
    from vmsvc.core.transport.commands import Commands, not_moved, refusal, whole, whole_lines
    from vmsvc.core.vmdg.quirks import Quirks

# What not every driver needs to tell where a guest stands is looked up when it is first used: a look is asked for most
# often, and start-up is most of what it costs.
_HOMES = {
    "vmsvc.core.answers": ("DefinitionFields", "Definitions", "FoundGuest", "GuestAddress", "GuestDisk", "Sizes"),
    "vmsvc.core.inside.addresses.zones": ("addresses_of_zones",),
    "vmsvc.core.records.publishing": ("Publication", "Publisher"),
    "vmsvc.core.settled": ("settled",),
    "vmsvc.core.transport.announced": ("Announced",),
    "vmsvc.core.transport.command": ("check_command", "printable", "said_last", "shown"),
    "vmsvc.core.transport.commands": ("Commands", "not_moved", "refusal", "whole", "whole_lines"),
    "vmsvc.core.vmdg.quirks": ("Quirks",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ANSWER_LIMIT",
    "API",
    "AT_REST",
    "AWAKE",
    "GOING_DOWN",
    "NO_COMMANDS",
    "NO_SUCH_COMMAND",
    "OUTPUT_GRACE_S",
    "OUTPUT_LIMIT",
    "TIMED_OUT",
    "ActionFailed",
    "AddressLister",
    "AddressPlumber",
    "Announced",
    "App",
    "BulkObserver",
    "Capability",
    "ClientLanes",
    "Commands",
    "ConfigFiles",
    "ConnectionLost",
    "Context",
    "DefinitionComparer",
    "DefinitionFields",
    "DefinitionKeeper",
    "Definitions",
    "Destination",
    "Discoverer",
    "Disk",
    "DiskLister",
    "Driver",
    "DriverError",
    "Entrance",
    "Evidence",
    "FoundGuest",
    "Fs",
    "Guest",
    "GuestAddress",
    "GuestDisk",
    "Host",
    "Ip",
    "Kept",
    "Lane",
    "Migrator",
    "NoWayIn",
    "Node",
    "NodeHost",
    "Objection",
    "Observation",
    "Outcome",
    "Phase",
    "Publication",
    "Publisher",
    "Quirks",
    "Resource",
    "SelfStarting",
    "Sizer",
    "Sizes",
    "SplitStart",
    "Status",
    "Sync",
    "TimedOut",
    "Undetermined",
    "UsageError",
    "Value",
    "Verb",
    "Vmdg",
    "VmsvcError",
    "Waiter",
    "addresses_of_zones",
    "argv",
    "ask",
    "ask_once",
    "boolean",
    "check_command",
    "choice",
    "count",
    "did_you_mean",
    "hookimpl",
    "inapplicable",
    "integer",
    "line",
    "name",
    "names",
    "not_moved",
    "option",
    "path",
    "printable",
    "refusal",
    "said_last",
    "seconds",
    "settled",
    "shown",
    "survey_each",
    "text",
    "unknown",
    "whole",
    "whole_lines",
    "words",
]


def __getattr__(name: str) -> Any:
    """Find a name in the module that it comes from."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
