"""The plugin host: finds plugins by their entry points, and keeps a broken one from harming the rest.

Entry points are loaded one at a time. A plugin that fails in any way is *quarantined*: its hooks are taken out again
and a report says why, in words for an operator. What the others offer works as if it were not there.
"""

from __future__ import annotations

import contextlib
import enum
import importlib.metadata
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType, ModuleType
from typing import Any

import pluggy
from attrs import evolve, frozen

from vmsvc.core.contract import Driver
from vmsvc.core.declaration import DriverReport, Quarantined, declaration_of
from vmsvc.core.errors import Undetermined, told
from vmsvc.core.lane import call_within
from vmsvc.core.nearest import nearest

#: The entry-point group of plugins, which is also pluggy's project name.
GROUP = "vmsvc"
#: Environment variable: names of plugins, or of their distributions, not to load; separated by commas.
DISABLE_VARIABLE = "VMSVC_DISABLE_PLUGINS"

AnyDriver = type[Driver[Any]]

_log = logging.getLogger(__name__)
#: How long a plugin may take to be imported, and to name its drivers, in seconds.
_PATIENCE_S = 3.0


class PluginState(str, enum.Enum):
    """What became of a plugin."""

    OK = "ok"
    REFUSED = "refused"
    CLASH = "clash"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value


@frozen(kw_only=True)
class PluginReport:
    """One plugin, and what became of it.

    Attributes:
        name: The entry point's name.
        distribution: The distribution that brings it.
        version: That distribution's version.
        state: ``ok``, ``refused`` (nothing of it is in use) or ``clash`` (another one claims the same type).
        reason: Why, when it is not ``ok``.
        drivers: Its drivers; none where it was refused.
        origin: The directory that it was found in.
    """

    name: str
    distribution: str
    version: str
    state: PluginState = PluginState.OK
    reason: str = ""
    drivers: tuple[DriverReport, ...] = ()
    origin: str = ""


@frozen(kw_only=True)
class PluginHost:
    """What the installed plugins offer.

    Attributes:
        drivers: Driver classes by kind and type.
        refused_types: Why a type that somebody claims has no driver; for a plugin that could not be asked, the type is
            guessed from its name.
        reports: Every plugin that was found, by name.
        hook: Calls a broadcast hook in all plugins in use: ``host.hook.vmsvc_before_step(step=…, service=…)``.
    """

    drivers: Mapping[tuple[str, str], AnyDriver]
    refused_types: Mapping[str, str]
    reports: tuple[PluginReport, ...]
    hook: pluggy.HookRelay


@frozen
class _Claim:
    """One driver that one plugin offers."""

    report: PluginReport
    driver: AnyDriver
    declared: DriverReport


def load_plugins(
    hookspecs: ModuleType,
    *,
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> PluginHost:
    """Load every installed plugin that can be used, and say of the others why they cannot.

    Args:
        hookspecs: The module that specifies the hooks; given, so that the core depends on no hook.
        entry_points: What to load instead of all installed entry points of the group ``vmsvc``.
        environment: Where :data:`DISABLE_VARIABLE` is looked up.

    Returns:
        The drivers, the hooks, and a report for each plugin.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    disabled = set(re.split(r"[\s,]+", environment.get(DISABLE_VARIABLE, ""))) - {""}
    reports: list[PluginReport] = []
    claims: list[_Claim] = []
    refused_types: dict[str, str] = {}
    for entry_point in _installed() if entry_points is None else entry_points:
        report = _report_on(entry_point)
        try:
            if disabled & {report.name, report.distribution}:
                raise Quarantined(f"disabled by {DISABLE_VARIABLE}")
            drivers = _load(entry_point, report, manager)
            with _foreign_code("its drivers cannot be examined"):
                offered = [_Claim(report, driver, declaration_of(driver)) for driver in drivers]
        except Quarantined as verdict:
            _take_out(manager, report)
            reports.append(evolve(report, state=PluginState.REFUSED, reason=str(verdict)))
            for type_name in verdict.types or (report.name,):
                refused_types.setdefault(type_name, f"{_who(report)} was refused: {verdict}")
        else:
            claims += offered
            reports.append(evolve(report, drivers=tuple(claim.declared for claim in offered)))
    winners, clashes = _settle(claims)
    refused_types.update({type_name: reason for (_, type_name), reason in clashes.items()})
    served = {type_name for _, type_name in winners}
    return PluginHost(
        drivers=MappingProxyType(winners),
        refused_types=MappingProxyType({name: why for name, why in refused_types.items() if name not in served}),
        reports=tuple(sorted((_with_clash(r, clashes) for r in reports), key=lambda r: (r.name, r.distribution))),
        hook=manager.hook,
    )


# --- finding ---------------------------------------------------------------------------------------------------------


def _installed() -> Iterator[importlib.metadata.EntryPoint]:
    """Entry points of all distributions; of one that is on the path twice, those that Python would import.

    Distributions are asked one by one, so that unreadable metadata of one of them costs only that one.
    """
    seen = set()
    for distribution in importlib.metadata.distributions():
        try:
            found = [point for point in distribution.entry_points if point.group == GROUP]
            name, _ = _identity(distribution) if found else ("", "")
        except Exception as error:  # noqa: BLE001 - whatever a stranger's broken metadata raises
            _log.warning("ignoring a distribution with unreadable metadata: %s", error)
            continue
        if found and name not in seen:
            seen.add(name)
            yield from found


def _canonical(name: str) -> str:
    """A distribution's name in the form in which names compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@lru_cache(maxsize=64)
def _identity(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """A distribution's canonical name, and its version. Each look at its metadata parses the whole of it again."""
    metadata = distribution.metadata
    return _canonical(metadata["Name"]), metadata["Version"]


def _report_on(entry_point: importlib.metadata.EntryPoint) -> PluginReport:
    distribution = entry_point.dist
    if distribution is None:
        return PluginReport(name=entry_point.name, distribution="", version="")
    name, version = _identity(distribution)
    return PluginReport(
        name=entry_point.name, distribution=name, version=version, origin=str(distribution.locate_file(""))
    )


def _who(report: PluginReport) -> str:
    return f"{report.distribution or 'an unknown distribution'} {report.version}".strip()


# --- loading ---------------------------------------------------------------------------------------------------------


def _load(
    entry_point: importlib.metadata.EntryPoint, report: PluginReport, manager: pluggy.PluginManager
) -> list[AnyDriver]:
    """Import a plugin, register its hooks, and ask it for its drivers."""
    with _foreign_code("it cannot be imported"):
        plugin = _in_time(report, entry_point.load)
    if not inspect.ismodule(plugin):
        raise Quarantined(f"its entry point must name a module, not {type(plugin).__name__}: {entry_point.value}")
    # Two distributions may bring the very same module: its hooks count once, and its types are claimed by both.
    if not manager.is_registered(plugin):
        _register(plugin, manager, _registered_name(report))
    others = manager.get_plugins() - {plugin}
    with _foreign_code("its hook vmsvc_drivers failed"):
        answers = _in_time(report, manager.subset_hook_caller("vmsvc_drivers", others))
        return [driver for answer in answers for driver in answer]


def _in_time(report: PluginReport, work: Callable[[], Any]) -> Any:
    """Run code of a plugin, and go on without it when it hangs: one bad plugin must not take every command along."""

    def attempt() -> tuple[Any, BaseException | None]:
        try:
            return work(), None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is raised where it can be blamed
            return None, error
        except BaseException as error:  # noqa: BLE001 - not the operator's Ctrl-C: that goes to the main thread
            return None, RuntimeError(told(error))

    try:
        result, error = call_within(f"plugin {report.name}", attempt, budget_s=_PATIENCE_S)
    except Undetermined:
        raise Quarantined(f"it did not load within {_PATIENCE_S:g} s") from None
    if error is not None:
        raise error
    return result


@contextlib.contextmanager
def _foreign_code(what_failed: str) -> Iterator[None]:
    """Run code of a plugin: nothing that it prints reaches our stdout, and nothing that it raises gets through."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        except Quarantined:
            raise
        except (Exception, SystemExit) as error:
            raise Quarantined(f"{what_failed}: {type(error).__name__}: {_one_line(error)}") from error


def _register(plugin: ModuleType, manager: pluggy.PluginManager, name: str) -> None:
    known = [attribute for attribute in vars(manager.hook) if getattr(manager.hook, attribute).has_spec()]
    try:
        manager.register(plugin, name)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise Quarantined(f"its hooks do not match vmsvc's: {_one_line(error)}") from error
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if not caller.has_spec():
            near = nearest(caller.name, known)
            advice = f"; did you mean {near}?" if near else f"; hooks are {', '.join(sorted(known))}"
            raise Quarantined(f"vmsvc has no hook {caller.name}{advice}")
    if not callers:
        raise Quarantined("it implements no hook: mark its functions with vmsvc.driver.hookimpl")


def _registered_name(report: PluginReport) -> str:
    """A plugin's name for pluggy: names of entry points alone need not be unique."""
    return f"{report.distribution}:{report.name}"


def _take_out(manager: pluggy.PluginManager, report: PluginReport) -> None:
    name = _registered_name(report)
    if manager.has_plugin(name):
        manager.unregister(name=name)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no reason given"


# --- settling --------------------------------------------------------------------------------------------------------


def _settle(claims: Iterable[_Claim]) -> tuple[dict[tuple[str, str], AnyDriver], dict[tuple[str, str], str]]:
    """Give each type to the only one who claims it; where there are several, to nobody.

    Returns:
        Drivers by kind and type, and for each contested kind and type a sentence that names both sides.
    """
    by_type: dict[tuple[str, str], list[_Claim]] = {}
    for claim in claims:
        by_type.setdefault((claim.declared.kind, claim.declared.type), []).append(claim)
    winners, clashes = {}, {}
    for (kind, type_name), rivals in by_type.items():
        if len({(rival.report.distribution, rival.driver) for rival in rivals}) == 1:
            winners[kind, type_name] = rivals[0].driver
        else:
            sides = " and by ".join(f"{_who(rival.report)} ({rival.driver.__name__})" for rival in rivals)
            clashes[kind, type_name] = (
                f"{kind} type {type_name} is claimed by {sides}; neither gets it: uninstall one, "
                f"or name it in {DISABLE_VARIABLE}"
            )
    return winners, clashes


def _with_clash(report: PluginReport, clashes: Mapping[tuple[str, str], str]) -> PluginReport:
    """Mark a plugin that claims a contested type. Its hooks stay in use: dropping a veto would not be safe."""
    reasons = [clashes[claimed] for driver in report.drivers if (claimed := (driver.kind, driver.type)) in clashes]
    return evolve(report, state=PluginState.CLASH, reason="; ".join(reasons)) if reasons else report
