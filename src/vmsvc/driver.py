"""The one door for authors of drivers: the contract, its records, and the tools to keep its promises.

Everything here is a promise to code outside of this project; nothing else is.
"""

from vmsvc.core.contract import (
    API,
    BulkObserver,
    Capability,
    ConfigFiles,
    Context,
    DefinitionKeeper,
    DiskLister,
    Driver,
    GuestDisk,
    Sizer,
    Sizes,
    Waiter,
)
from vmsvc.core.errors import DriverError, Undetermined, VmsvcError
from vmsvc.core.lane import Lane
from vmsvc.core.node import Node
from vmsvc.core.options import (
    Value,
    argv,
    boolean,
    choice,
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
from vmsvc.core.status import Evidence, Observation, Phase, Status, inapplicable, unknown
from vmsvc.core.transport import Host, Outcome
from vmsvc.hookspecs import hookimpl

__all__ = [
    "API",
    "BulkObserver",
    "Capability",
    "ConfigFiles",
    "Context",
    "DefinitionKeeper",
    "DiskLister",
    "Driver",
    "DriverError",
    "Evidence",
    "Guest",
    "GuestDisk",
    "Host",
    "Lane",
    "Node",
    "Observation",
    "Outcome",
    "Phase",
    "Resource",
    "Sizer",
    "Sizes",
    "Status",
    "Undetermined",
    "Value",
    "VmsvcError",
    "Waiter",
    "argv",
    "boolean",
    "choice",
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
