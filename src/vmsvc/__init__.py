"""vmsvc runs virtual machines and containers as services: the same start, stop and status for all of them.

Example::

    import vmsvc

    with vmsvc.Session() as session:
        web = session.load("web")
        if session.status(web).overall is vmsvc.Status.DOWN:
            session.start(web)

PYTEST_DONT_REWRITE: a program may import vmsvc, and then start pytest.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# As in the typing module, whose own import would be most of what this one costs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmsvc.core.answers import FoundGuest, GuestDisk, Sizes
    from vmsvc.core.config import Catalog
    from vmsvc.core.declaration import DriverReport
    from vmsvc.core.errors import (
        ActionFailed,
        Busy,
        ConfigError,
        DriverError,
        ExitCode,
        Problem,
        Refused,
        Severity,
        Undetermined,
        UsageError,
        VmsvcError,
    )
    from vmsvc.core.execution.report import Progress, Report, StepResult
    from vmsvc.core.guests.adoption import Adoption, Proposal
    from vmsvc.core.guests.definitions import Drift
    from vmsvc.core.guests.drift import Difference
    from vmsvc.core.guests.inventory import GuestFacts
    from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus
    from vmsvc.core.keeping.freezer import Freeze
    from vmsvc.core.keeping.upkeep import Care, Deed, Finding, Upkeep
    from vmsvc.core.node import Node
    from vmsvc.core.planning.limits import Limits
    from vmsvc.core.planning.plan import Kept, Plan, Step
    from vmsvc.core.planning.rules import Consent
    from vmsvc.core.plugins import PluginReport, PluginState
    from vmsvc.core.records.changes import Change
    from vmsvc.core.records.record import Record, Snapshot
    from vmsvc.core.resource import Guest, Resource
    from vmsvc.core.service import Service
    from vmsvc.core.status import Evidence, Observation, Phase, Status
    from vmsvc.core.triggers import Trigger
    from vmsvc.core.verb import Verb
    from vmsvc.hookspecs import hookimpl
    from vmsvc.session import Session

# Names are looked up when first used: `vmsvc --version` and completion must not pay for what they do not touch.
_HOMES = {
    "vmsvc.core.guests.adoption": ("Adoption", "Proposal"),
    "vmsvc.core.answers": ("FoundGuest", "GuestDisk", "Sizes"),
    "vmsvc.core.records.changes": ("Change",),
    "vmsvc.core.config": ("Catalog",),
    "vmsvc.core.guests.definitions": ("Drift",),
    "vmsvc.core.guests.drift": ("Difference",),
    "vmsvc.core.errors": (
        "ActionFailed", "Busy", "ConfigError", "DriverError", "ExitCode", "Problem", "Refused", "Severity",
        "Undetermined", "UsageError", "VmsvcError",
    ),
    "vmsvc.core.keeping.freezer": ("Freeze",),
    "vmsvc.core.instance": ("Instance", "ResourceStatus", "ServiceStatus"),
    "vmsvc.core.guests.inventory": ("GuestFacts",),
    "vmsvc.core.planning.limits": ("Limits",),
    "vmsvc.core.node": ("Node",),
    "vmsvc.core.planning.plan": ("Kept", "Plan", "Step"),
    "vmsvc.core.declaration": ("DriverReport",),
    "vmsvc.core.plugins": ("PluginReport", "PluginState"),
    "vmsvc.core.records.record": ("Record", "Snapshot"),
    "vmsvc.core.execution.report": ("Progress", "Report", "StepResult"),
    "vmsvc.core.resource": ("Guest", "Resource"),
    "vmsvc.core.planning.rules": ("Consent",),
    "vmsvc.core.service": ("Service",),
    "vmsvc.core.status": ("Evidence", "Observation", "Phase", "Status"),
    "vmsvc.core.triggers": ("Trigger",),
    "vmsvc.core.keeping.upkeep": ("Care", "Deed", "Finding", "Upkeep"),
    "vmsvc.core.verb": ("Verb",),
    "vmsvc.hookspecs": ("hookimpl",),
    "vmsvc.session": ("Session",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ActionFailed",
    "Adoption",
    "Busy",
    "Care",
    "Catalog",
    "Change",
    "ConfigError",
    "Consent",
    "Deed",
    "Difference",
    "Drift",
    "DriverError",
    "DriverReport",
    "Evidence",
    "ExitCode",
    "Finding",
    "FoundGuest",
    "Freeze",
    "Guest",
    "GuestDisk",
    "GuestFacts",
    "Instance",
    "Kept",
    "Limits",
    "Node",
    "Observation",
    "Phase",
    "Plan",
    "PluginReport",
    "PluginState",
    "Problem",
    "Progress",
    "Proposal",
    "Record",
    "Refused",
    "Report",
    "Resource",
    "ResourceStatus",
    "Service",
    "ServiceStatus",
    "Session",
    "Severity",
    "Sizes",
    "Snapshot",
    "Status",
    "Step",
    "StepResult",
    "Trigger",
    "Undetermined",
    "Upkeep",
    "UsageError",
    "Verb",
    "VmsvcError",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    """Find a public name in the module that it comes from."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
