"""For authors of tests: the conformance kit of drivers, what stands in for hardware, and what that is held to.

``vmsvc.testing.kit`` holds a driver to the contract, clause by clause.

A SCSI target in memory, with persistent reservations exactly as the Linux target has them (``vmsvc.testing.target``); a
network of nodes and paths that leads to it, with faults (``vmsvc.testing.san``); and the table of cases by which both
are compared with a real target (``vmsvc.testing.cases``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmsvc.testing.kit import Backend, CommandBackend, DriverKit, identity
    from vmsvc.testing.san import Fault, San
    from vmsvc.testing.target import Action, Request, Unit, answer, may_read, may_write

# Names are looked up when first used: who needs a stand-in for disks does not need the kit.
_HOMES = {
    "vmsvc.testing.kit": ("Backend", "CommandBackend", "DriverKit", "identity"),
    "vmsvc.testing.san": ("Fault", "San"),
    "vmsvc.testing.target": ("Action", "Request", "Unit", "answer", "may_read", "may_write"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Backend",
    "CommandBackend",
    "DriverKit",
    "Fault",
    "Request",
    "San",
    "Unit",
    "answer",
    "identity",
    "may_read",
    "may_write",
]


def __getattr__(name: str) -> Any:
    """Find a public name in the module that it comes from."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
