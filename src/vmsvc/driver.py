"""The one door for authors of drivers: the contract, its records, and the tools to keep its promises.

Everything here is a promise to code outside of this project; nothing else is.
"""

from vmsvc.core.answers import DefinitionFields, Definitions, FoundGuest, GuestDisk, Sizes
from vmsvc.core.contract import (
    API,
    BulkObserver,
    Capability,
    ConfigFiles,
    Context,
    DefinitionComparer,
    DefinitionKeeper,
    Discoverer,
    DiskLister,
    Driver,
    Publication,
    Publisher,
    Sizer,
    Waiter,
)
from vmsvc.core.errors import ActionFailed, DriverError, Undetermined, UsageError, VmsvcError
from vmsvc.core.lane import Lane
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
from vmsvc.core.resource import App, Disk, Fs, Guest, Ip, Resource, Sync, Vmdg
from vmsvc.core.status import Evidence, Observation, Phase, Status, inapplicable, unknown
from vmsvc.core.transport import Host, Outcome
from vmsvc.core.verb import Verb
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.hookspecs import hookimpl

__all__ = [
    "API",
    "ActionFailed",
    "App",
    "BulkObserver",
    "Capability",
    "ConfigFiles",
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
    "Evidence",
    "FoundGuest",
    "Fs",
    "Guest",
    "GuestDisk",
    "Host",
    "Ip",
    "Lane",
    "Node",
    "Observation",
    "Outcome",
    "Phase",
    "Publication",
    "Publisher",
    "Quirks",
    "Resource",
    "Sizer",
    "Sizes",
    "Status",
    "Sync",
    "Undetermined",
    "UsageError",
    "Value",
    "Verb",
    "Vmdg",
    "VmsvcError",
    "Waiter",
    "argv",
    "boolean",
    "choice",
    "count",
    "hookimpl",
    "inapplicable",
    "integer",
    "line",
    "name",
    "names",
    "option",
    "path",
    "seconds",
    "text",
    "unknown",
    "words",
]
