"""The one door for authors of drivers: the contract, its records, and the tools to keep its promises.

Everything here is a promise to code outside of this project; nothing else is.
"""

from vmsvc.core.answers import DefinitionFields, Definitions, FoundGuest, GuestAddress, GuestDisk, Sizes
from vmsvc.core.contract import (
    API,
    AddressLister,
    AddressPlumber,
    BulkObserver,
    Capability,
    ConfigFiles,
    Context,
    DefinitionComparer,
    DefinitionKeeper,
    Discoverer,
    DiskLister,
    Driver,
    Entrance,
    SelfStarting,
    Sizer,
    SplitStart,
    Waiter,
)
from vmsvc.core.errors import (
    NO_COMMANDS,
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
from vmsvc.core.records.publishing import Publication, Publisher
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Evidence, Objection, Observation, Phase, Status, inapplicable, unknown
from vmsvc.core.transport import ANSWER_LIMIT, OUTPUT_GRACE_S, OUTPUT_LIMIT, Host, Kept, NodeHost, Outcome
from vmsvc.core.transport.announced import Announced
from vmsvc.core.transport.command import check as check_command
from vmsvc.core.transport.command import printable, said_last, shown
from vmsvc.core.transport.commands import Commands, whole
from vmsvc.core.verb import Verb
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.hookspecs import hookimpl

__all__ = [
    "ANSWER_LIMIT",
    "API",
    "NO_COMMANDS",
    "OUTPUT_GRACE_S",
    "OUTPUT_LIMIT",
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
    "option",
    "path",
    "printable",
    "said_last",
    "seconds",
    "shown",
    "survey_each",
    "text",
    "unknown",
    "whole",
    "words",
]
